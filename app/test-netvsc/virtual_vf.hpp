/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A virtual function without hardware: another driver's port, hot-plugged by EAL, whose network is
 * the test's Wire. It records how it was configured, and misbehaves on request.
 */
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <mutex>

#include "support.hpp"

struct rte_vdev_device;

namespace scenario {

/* Virtual functions came with NVSP 5, as receive side scaling did. */
#define NEEDS_VF() NEEDS(announced().flow_type_rss_offloads != 0, "virtual functions")

struct VirtualVfOptions {
	rte_ether_addr mac{};
	uint16_t queues = 8; /**< that it has at most, of each kind */
	uint16_t max_mtu = 9202;
	uint64_t rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_CHECKSUM |
			       RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_RSS_HASH;
	uint64_t tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM |
			       RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
			       RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
	uint64_t rss_types =
		RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV4_TCP;
	uint16_t reta_size = 64; /**< not the host's */
	bool link = true;
	uint32_t failing_starts = 0; /**< of the first ones */
};

class VirtualVf {
      public:
	/** Plugs it in. The wire's frames for a VF come to it; what is sent by it arrives there. */
	VirtualVf(std::shared_ptr<Wire> wire, const VirtualVfOptions& options);
	/** Plugs it out, if nobody did. */
	~VirtualVf();
	VirtualVf(const VirtualVf&) = delete;
	VirtualVf& operator=(const VirtualVf&) = delete;

	/** The network has a frame for it. @return false: no room, or it does not run */
	bool receive(const Frame& frame);
	/** Frames that it takes stay in its queues until it may send again. */
	void hold(bool hold);
	/** Frames in its queues. */
	size_t held();
	void set_link(bool up);
	bool link_is_down() const { return !link_; }
	/** The device goes without a word before, and tells its owner. */
	void vanish();
	/** Somebody closes the port, whoever uses it. */
	int unplug();
	bool plugged() const { return plugged_; }

	/* How it was configured; to be read while nobody configures. */
	struct Seen {
		std::atomic<bool> started{false};
		std::atomic<uint32_t> starts{0};
		std::atomic<bool> promiscuous{false};
		std::atomic<bool> all_multicast{false};
		std::atomic<uint16_t> mtu{0};
		std::atomic<uint16_t> rx_queues{0};
		std::atomic<uint16_t> tx_queues{0};
		std::atomic<uint64_t> rx_offloads{0};
		std::atomic<uint64_t> tx_offloads{0};
		std::atomic<uint64_t> rss_types{0};
		std::atomic<uint64_t> received{0}; /**< by the guest */
		std::atomic<uint64_t> sent{0};	   /**< by the guest */
		std::atomic<uint64_t> missed{0};   /**< no room in its ring */
	} seen;
	std::array<uint8_t, 40> key() const;
	std::vector<uint16_t> table() const;
	bool queue_stopped(uint16_t id) const;

	uint16_t id = RTE_MAX_ETHPORTS;
	std::string name;

      private:
	friend struct VirtualVfDriver;
	struct Queue {
		VirtualVf* vf = nullptr;
		uint16_t id = 0;
		mutable std::mutex mutex;
		rte_mempool* pool = nullptr;
		uint16_t descriptors = 0;
		bool stopped = false;
		std::deque<Frame> arrived;
		std::deque<rte_mbuf*> sending;
	};
	uint16_t queue_of(const Frame& frame) const;
	void send_waiting(Queue& q);
	void drop_all();

	const std::shared_ptr<Wire> wire_;
	const VirtualVfOptions options_;
	rte_ether_addr mac_;
	std::array<Queue, 16> rx_;
	std::array<Queue, 16> tx_;
	std::atomic<bool> hold_{false};
	std::atomic<bool> link_{true};
	std::atomic<bool> plugged_{false};
	mutable std::mutex rss_mutex_;
	std::array<uint8_t, 40> key_{};
	std::vector<uint16_t> table_;
	uint32_t failing_starts_;
};

} // namespace scenario
