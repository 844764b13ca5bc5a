/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What the scenarios share: mbuf pools, frames, an emulated host that the test steers, and ports
 * that are plugged in, configured and removed by their scope.
 */
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <rte_bus_vdev.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "netvsp/host.hpp"
#include "netvsp/profile.hpp"
#include "uio.hpp"

namespace scenario {

using Frame = std::vector<uint8_t>;
using Clock = std::chrono::steady_clock;

/** The pools of the program: made once, so that a leak shows as a pool that is not full. */
struct Pools {
	rte_mempool* normal; /**< 2 KB of room, DPDK's default */
	rte_mempool* jumbo;  /**< takes the longest frame in one mbuf */
	rte_mempool* small;  /**< 256 bytes of room: frames are scattered */
};
const Pools& pools();
/** Mbufs that are not back in their pools. */
unsigned int mbufs_out();
/** Open descriptors of the process. */
unsigned int open_descriptors();
/** What they are, for messages. */
std::string describe_descriptors();

/** Waits for something that happens soon. @return whether it did */
bool eventually(const std::function<bool()>& condition, int timeout_ms = 3000);

/**
 * A frame whose bytes all depend on the seed. Its destination is a locally administered unicast
 * address, its source another.
 */
Frame make_frame(uint32_t length, uint32_t seed);
/** A frame to this address. */
Frame make_frame_to(const rte_ether_addr& to, uint32_t length, uint32_t seed);
/** One mbuf, or a chain where the pool's mbufs are too short; null if the pool is empty. */
rte_mbuf* to_mbuf(const Frame& frame, rte_mempool* pool = pools().jumbo);
/** A chain of segments of these lengths, which together are the frame's. */
rte_mbuf* to_chain(const Frame& frame, const std::vector<uint32_t>& lengths,
		   rte_mempool* pool = pools().jumbo);
/** The bytes of a chain, having checked what every received mbuf must comply with. */
Frame from_mbuf(const rte_mbuf* m);

/**
 * A network that the test plays itself, behind a NIC of a TestHost. The host's thread is at one
 * end, the test's at the other.
 */
class Wire {
      public:
	/** What the guest shall receive. */
	void inject(Frame frame);
	size_t injected_left();
	/** Whether the network takes frames; where not, they stay in the guest's ring. */
	void open(bool take);
	std::vector<Frame> taken();
	size_t taken_count();
	/** A frame from the guest that came by another way than the NIC. */
	void arrive(Frame frame);
	/**
	 * Who gets frames for the guest while the host's data path is a VF. @return false: the NIC
	 * delivers this one. Called by the host's thread; without it the frames are dropped.
	 */
	void set_vf(std::function<bool(const Frame&)> vf);

      private:
	friend class WireEndpoint;
	std::mutex vf_mutex_;
	std::function<bool(const Frame&)> vf_;
	std::mutex mutex_;
	bool open_ = true;
	std::deque<Frame> to_guest_;
	std::vector<Frame> from_guest_;
};

/** A host with one NIC (or more), in a thread, reached through a socket. */
class TestHost {
      public:
	explicit TestHost(netvsp::NicConfig config = {}, std::shared_ptr<Wire> wire = nullptr);
	/** A host without a NIC yet, at a path that the test chose. */
	static std::unique_ptr<TestHost> at(const std::string& path,
					    const netvsp::NicConfig& config);
	~TestHost();

	vmbus::Guid add(const netvsp::NicConfig& config, std::shared_ptr<Wire> wire = nullptr);
	netvsp::NicStats stats() { return stats(nic); }
	netvsp::NicStats stats(const vmbus::Guid& guid);
	/** Arguments of a vdev that connects to it, with a deadline that suits a test. */
	std::string args(const std::string& more = "") const;
	/** Takes the host away as a crash does: at once, with all its NICs. */
	void die();

	netvsp::Host& host() { return *host_; }
	std::string path;
	vmbus::Guid nic{};

      private:
	explicit TestHost(std::string where);
	void listen();
	std::unique_ptr<netvsp::Host> host_;
};

/** The profile of every emulated host in this run: TEST_PROFILE in the environment, or the default.
 *  What a test asks for beyond it is cut to what such a host has. */
const netvsp::Profile& profile();
/** What a port of such a host announces, with as many queues as there may be. */
const rte_eth_dev_info& announced();
/** Skips a test that needs what the host has not. */
#define NEEDS(condition, what)                                                                     \
	if (!(condition))                                                                          \
	GTEST_SKIP() << profile().name << " has no " << (what)

/** Skips a test of what only a vdev has. */
#define NEEDS_VDEV(what)                                                                           \
	if (UioDevices::there())                                                                   \
	GTEST_SKIP() << "a device of the kernel's has no " << (what)

inline netvsp::NicConfig nic_with(const std::string& endpoint)
{
	netvsp::NicConfig config;
	config.endpoint = endpoint;
	return config;
}

struct PortOptions {
	uint16_t mtu = 0; /**< 0 = ethdev's default */
	uint64_t rx_offloads = 0;
	uint64_t tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	uint16_t rx_descriptors = 512;
	uint16_t tx_descriptors = 512;
	rte_mempool* pool = nullptr; /**< null = normal, or jumbo where the MTU wants it */
	bool lsc = false;
	bool interrupts = false; /**< of receive queues */
	uint16_t rx_queues = 1;
	uint16_t tx_queues = 1;
	uint64_t rss_types = 0;		   /**< RTE_ETH_RSS_*; 0 = no RSS */
	uint16_t rx_deferred = UINT16_MAX; /**< this queue does not start with the port */
	uint16_t tx_deferred = UINT16_MAX;
	bool promiscuous = true; /**< frames of make_frame() are not to the port's address */
};

/** A vdev with one port, or a device of uio.hpp. Its end closes and removes what the test did not. */
class Port {
      public:
	/** A NIC of this process has the profile of the run, if `args` names none. */
	explicit Port(const std::string& args);
	/** A port that is there; its device is another's. */
	explicit Port(uint16_t existing) : id(existing), plug_result_(0) {}
	~Port();
	Port(const Port&) = delete;
	Port& operator=(const Port&) = delete;

	/** 0, or the negative errno of the hot-plug. */
	int plug_result() const { return plug_result_; }
	int configure(const PortOptions& options = {});
	int start();
	int stop();
	int close();
	int remove(); /**< the vdev */
	/** configure() and start(), both of which must succeed. */
	void up(const PortOptions& options = {});

	uint16_t rx(rte_mbuf** mbufs, uint16_t count, uint16_t queue = 0)
	{
		return rte_eth_rx_burst(id, queue, mbufs, count);
	}
	uint16_t tx(rte_mbuf** mbufs, uint16_t count, uint16_t queue = 0)
	{
		return rte_eth_tx_burst(id, queue, mbufs, count);
	}
	/** Sends one mbuf, trying for a second; frees it where nobody takes it. */
	bool send(rte_mbuf* m, uint16_t queue = 0);
	bool send(const Frame& frame, uint16_t queue = 0) { return send(to_mbuf(frame), queue); }
	/** Receives until there are `count` frames or the time is over. */
	std::vector<Frame> receive(size_t count, int timeout_ms = 2000, uint16_t queue = 0);
	/** Frees whatever comes until nothing came for a while. @return number of frames */
	size_t receive_rest(int quiet_ms = 50);

	rte_eth_stats stats();
	uint64_t xstat(const std::string& name);
	rte_eth_dev_info info();
	rte_ether_addr mac();
	rte_eth_link link();

	std::string name;
	uint16_t id = RTE_MAX_ETHPORTS;

      private:
	UioDevices uio_;
	int plug_result_;
	bool plugged_ = false;
	bool started_ = false;
};

/** Gives an mbuf with the frame of this number; the frame itself must be as `frames` has it. */
using Maker = std::function<rte_mbuf*(const Frame& frame, size_t number)>;
/**
 * Sends all frames into a NIC that loops them back, and expects them in order and intact.
 * `on_receive` sees every received mbuf and frees it; without it they are freed.
 */
void loop(Port& port, const std::vector<Frame>& frames, const Maker& make = nullptr,
	  const std::function<void(rte_mbuf*)>& on_receive = nullptr);

/** Every scenario ends as it began: no mbuf, descriptor or port more than before. */
class Scenario : public testing::Test {
      protected:
	void SetUp() override;
	void TearDown() override;

      private:
	unsigned int descriptors_ = 0;
};

} // namespace scenario
