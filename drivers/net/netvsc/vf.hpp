/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The virtual function of the same NIC (accelerated networking): another driver's port with this
 * port's MAC address, by which frames travel while host and guest both have it.
 *
 *   vf.cpp        found, owned, taken into use and let go of, as the host and ethdev tell
 *   vf_setup.cpp  configured as the port is
 *   vf_rxtx.cpp   burst functions of a port with a VF, and a queue's change of path
 *
 * A port without a VF pays nothing: the burst functions that know of one are in place only while
 * there is one.
 */
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <vector>

#include "compat.hpp"
#include "netvsc/session.hpp"
#include "vf_counts.hpp"

namespace netvsc {

struct Port;
struct RxQueue;
struct TxQueue;

/** How a VF ends: what may still be asked of its port. */
enum class VfEnd {
	kOrderly,   /**< it works: it sends what it has, and what it received is taken */
	kRemoved,   /**< the device is gone, its port is not: what it received is taken */
	kDestroyed, /**< the port is gone */
};

/** One queue's way for frames. The lock keeps a burst and a change of path apart. */
struct alignas(64) VfRx {
	enum class Path : uint8_t {
		kSynthetic,
		kSettling, /**< to the VF: frames that the host put into the ring come first */
		kVf,	   /**< those of the VF come first: the host may switch back at any time */
	};
	vmbus::SpinLock lock;
	Path path = Path::kSynthetic;
	/** The backlog must wait until the other path has no older frame. */
	bool held = false;
	std::atomic<bool> switched{false}; /**< the host said that its data path is the VF */
	uint16_t vf = 0;		   /**< port */
	int32_t patience = 0; /**< frames of the VF that may be older than the held ones */
	eth_rx_burst_t synthetic = nullptr;
	/** Received, and to be delivered before anything that is received later. */
	std::unique_ptr<rte_mbuf*[]> backlog;
	uint32_t capacity = 0;
	uint32_t begin = 0;
	uint32_t end = 0;
	uint32_t descriptors = 0; /**< of the VF's queue */
};

struct alignas(64) VfTx {
	enum class Path : uint8_t {
		kSynthetic,
		kWaiting, /**< to the VF: until the host has read what it was sent */
		kVf,
	};
	vmbus::SpinLock lock;
	Path path = Path::kSynthetic;
	uint16_t vf = 0;
	uint64_t deadline = 0; /**< cycles when waiting ends in any case */
	eth_tx_burst_t synthetic = nullptr;
	uint32_t descriptors = 0;
};

/** What a VF was set up with: perhaps less than the port has. */
struct VfSetup {
	uint16_t rx_queues = 0;
	uint16_t tx_queues = 0;
	uint16_t rx_descriptors = 0;
	uint16_t tx_descriptors = 0;
};

class Vf {
      public:
	explicit Vf(Port& port);
	Vf(const Vf&) = delete;
	Vf& operator=(const Vf&) = delete;

	/** The port is probed: looks for the VF among the ports that are, and that come. */
	vmbus::Error open();
	/** Gives the VF's port back. Nobody calls schedule() any more. */
	void close();
	/** What the host, ethdev or the application told may concern the VF. From any thread. */
	void schedule(uint64_t microseconds = 1);
	/** The port stops: frames travel no more, by neither path. */
	void stop();
	/** The session is a new one: where its data path is, is not known. */
	void reconnected();

	/* What the application changes while the port runs. */
	void set_modes(bool promiscuous, bool all_multicast);
	void set_rss(const std::vector<uint16_t>& table);
	void set_mac(const rte_ether_addr& mac);
	void set_vlan_offload();
	void set_rx_queue(uint16_t id, bool on);

	VfRx& rx(uint16_t queue) { return rx_[queue]; }
	VfTx& tx(uint16_t queue) { return tx_[queue]; }
	const VfRx& rx(uint16_t queue) const { return rx_[queue]; }
	const VfTx& tx(uint16_t queue) const { return tx_[queue]; }
	VfCounts counts(); /**< since the last reset_counts() */
	void reset_counts();

      private:
	using Clock = std::chrono::steady_clock;
	static constexpr uint16_t kNone = RTE_MAX_ETHPORTS;

	static void on_alarm(void* arg);
	static int on_port_event(uint16_t id, rte_eth_event_type event, void* arg, void* out);
	uint64_t update();
	void find();
	bool claim(uint16_t id);
	bool wanted() const;
	void take_into_use();
	void switch_to_vf();
	void retreat(VfEnd end);
	void wait_until_settled();
	void stop_vf();
	void let_go(VfEnd end);
	void forget_vf();
	void remove_vf();
	bool install();
	void uninstall();
	bool quiet();
	bool link_up() const;
	void count_errors();
	VfCounts total();

	Port& port_;
	std::vector<VfRx> rx_;
	std::vector<VfTx> tx_;
	std::recursive_mutex lock_; /* recursive: the VF's own calls raise events */
	std::mutex claim_lock_;	    /* one claim() at a time; ours are not taken inside */
	rte_eth_dev_owner owner_{};
	std::atomic<uint16_t> id_{kNone}; /* the VF's port */
	std::atomic<bool> removed_{false};
	bool closing_ = false;	  /* the VF's port, by remove_vf() */
	bool started_ = false;	  /* it is configured and runs */
	bool active_ = false;	  /* frames may travel by it */
	bool installed_ = false;  /* the burst functions */
	bool path_known_ = false; /* the host's is not left over from an earlier session */
	bool complained_ = false; /* once for each VF and start is enough */
	uint32_t news_ = 0;	  /* of the host, at set-up */
	Clock::time_point retry_at_{};
	VfSetup setup_;
	VfCounts lost_; /* errors and switches, up to the last call of count_errors() */
	VfCounts seen_; /* errors of the VF that is */
	VfCounts base_; /* at the last reset */
};

/* vf_setup.cpp */
/** Configures the VF's port as this one is, and starts it. On error it is stopped. */
vmbus::Error set_up_vf(Port& port, uint16_t vf, VfSetup& out);
void set_vf_modes(Port& port, uint16_t vf, bool promiscuous, bool all_multicast);
/** @param table receive queues of the port, by hash; none of them stopped */
void set_vf_rss(Port& port, uint16_t vf, const VfSetup& setup, const std::vector<uint16_t>& table);

/* vf_rxtx.cpp */
uint16_t vf_rx_burst(void* queue, rte_mbuf** out, uint16_t count);
uint16_t vf_tx_burst(void* queue, rte_mbuf** mbufs, uint16_t count);
/** The VF's frames are taken from now on, behind those that are in the ring. */
void enter_vf(VfRx& v, uint16_t vf, uint32_t descriptors);
/** The VF is sent by as soon as the host has read what it was sent. */
void enter_vf(VfTx& v, uint16_t vf, uint32_t descriptors);
/** Back to the ring. What the VF received is delivered first. */
void leave_vf(RxQueue& q, VfRx& v, VfEnd end);
/** Back to the ring, when the VF has sent what it was given. */
void leave_vf(TxQueue& q, VfTx& v, VfEnd end);
void drop_backlog(RxQueue& q, VfRx& v);
/* For queue_state.cpp: what the VF adds. */
uint32_t vf_waiting(RxQueue& q);
int vf_tx_done_cleanup(TxQueue& q, uint32_t count);
/** @return false: the queue does not send by a VF */
bool vf_tx_descriptor_status(TxQueue& q, uint16_t offset, int& status);

} // namespace netvsc
