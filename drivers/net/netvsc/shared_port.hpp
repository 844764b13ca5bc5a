/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What all processes of an application have of a port, in memory at the same address: whatever
 * bursts, counters and questions need. It holds no function and no descriptor, and pointers only to
 * memory that all processes have.
 *
 * A burst of another process may be late: its thread was stopped, and the port is closed meanwhile.
 * So this memory is never freed, but used for later ports, and a queue's generation tells such a
 * burst that it is not meant.
 */
#pragma once

#include <array>
#include <atomic>
#include <memory_resource>

#include "compat.hpp"
#include "netvsc/session.hpp"
#include "packet_type.hpp"
#include "vf_counts.hpp"

namespace netvsc {

/** Device arguments, with the C driver's names and defaults where it has them. */
struct PortArgs {
	uint32_t rx_copybreak = 256; /**< longest frame copied although external mbufs are on */
	uint32_t tx_copybreak = 512; /**< longest frame copied into a send section */
	bool rx_extmbuf_enable = false;
	uint32_t latency = 50; /**< microseconds until the host sees a signal by monitor */
	bool numa_aware =
		true; /**< queues' memory is on the device's NUMA node, if they may choose */
	uint32_t max_nvsp = nvsp::kVersion61;
};

struct Port;

/** Mbufs that a receive queue keeps for small bursts. */
inline constexpr uint32_t kRxStash = 32;

struct alignas(64) RxQueue {
	/* as long as the port's memory */
	Rx* rx = nullptr;
	uint16_t port_id = 0;
	/** 0: bursts do nothing. Else the port's, and bursts of processes that know it run. */
	uint32_t generation = 0;

	rte_mempool* pool = nullptr;
	uint64_t rearm = 0; /**< the mbuf fields that every received mbuf starts with */
	uint32_t room = 0;  /**< bytes of data in one mbuf */
	uint32_t copybreak = 0;
	uint32_t wanted = 0;	 /**< Frame::Info that the application asked for */
	uint32_t ptype_mask = 0; /**< RTE_PTYPE_* to look for; 0 = none */
	bool verify_sctp = false;
	uint64_t no_mbuf = 0;
	uint64_t too_long = 0;	    /**< frames dropped because they fit no mbuf or no packet */
	rte_mbuf* joined = nullptr; /**< parts of a packet whose last one is yet to come */
	rte_mbuf* joined_last = nullptr; /**< last segment of it */
	uint64_t merged = 0;		 /**< frames that are not packets of their own */
	const uint8_t* buffer = nullptr; /**< the receive buffer, for external mbufs */
	rte_iova_t buffer_iova = RTE_BAD_IOVA;
	uint32_t stash_count = 0;
	rte_mbuf* stash[kRxStash]; /**< not yet used */

	/* of the primary process alone */
	Port* port = nullptr;
	uint16_t id = 0;

	/* not for the hot path */
	bool set_up = false;
	bool built = false;    /**< `rx` is a pipeline of the session's */
	bool scatter = false;  /**< the application takes frames of several mbufs */
	bool deferred = false; /**< does not start with the port */
	uint16_t descriptors = 0;
	VfFrames vf;
	RxStats past; /**< of pipelines that are gone */
	RxStats base; /**< at the last reset */
	uint64_t no_mbuf_base = 0;
	uint64_t too_long_base = 0;
	uint64_t merged_base = 0;

	/** As before it was set up. */
	void reset();
};

struct alignas(64) TxQueue {
	/* as long as the port's memory */
	Tx* tx = nullptr;
	Rx* rx = nullptr; /**< of the same channel: completions come there */
	uint16_t port_id = 0;
	uint32_t generation = 0; /**< as RxQueue's */

	uint32_t copybreak = 0;
	uint32_t max_lso = 0; /**< longest TCP payload that the host segments */
	/* With fewer free slots of either kind, completions are looked for. */
	uint32_t low_sections = 0;
	uint32_t low_direct = 0;
	/** Cycles when a burst first could not send all, and none could since; 0 = it is not so. */
	uint64_t starved_since = 0;
	uint64_t patience = 0; /**< cycles after which frames that nobody receives are dropped */
	/** External buffers below this address are none that the host knows. */
	rte_iova_t external_iova_min = 0;
	uint64_t dropped = 0; /**< frames that no host would take */

	/* of the primary process alone */
	Port* port = nullptr;
	uint16_t id = 0;

	/* not for the hot path */
	bool set_up = false;
	bool built = false;    /**< `tx` is a pipeline */
	bool deferred = false; /**< does not start with the port */
	uint16_t descriptors = 0;
	const rte_memzone* memory = nullptr;
	VfFrames vf;
	TxStats past;
	TxStats base;
	uint64_t dropped_base = 0;

	void reset();
};

/** What the application wants of receive side scaling, in DPDK's terms. */
struct RssWanted {
	uint64_t types = 0; /**< RTE_ETH_RSS_*; 0 = none */
	std::array<uint8_t, ndis::kRssKeySize> key = kRssDefaultKey;
	uint16_t table_size = 0;
	std::array<uint16_t, ndis::kRssMaxTable> table{}; /**< receive queues */
};

/** Which burst functions a port has. */
struct BurstKind {
	bool scatter = false;
	bool external = false;
	bool info = false;
	bool lro = false;
	bool tx_offloads = false;
};

struct SharedPort {
	SharedPort();

	std::array<RxQueue, nvsp::kMaxChannels> rx;
	std::array<TxQueue, nvsp::kMaxChannels> tx;
	/** The same, for the burst functions of other processes. */
	std::array<void*, nvsp::kMaxChannels> rx_table;
	std::array<void*, nvsp::kMaxChannels> tx_table;
	SessionState session;
	BouncePool bounce;

	char name[RTE_ETH_NAME_MAX_LEN] = "";
	char device[RTE_DEV_NAME_MAX_LEN] = ""; /**< EAL's, to which the port belongs */
	PortArgs args;
	HostInfo host; /**< of the latest conversation */
	rte_ether_addr mac{};
	RssWanted rss;
	uint32_t ptype_mask = kAllPtypes; /**< packet types that the application wants */
	BurstKind bursts;
	VfCounts vf; /**< as of the last look at the VF */
	/** Of the port's current or last run; no two runs of any ports have the same. */
	std::atomic<uint32_t> generation{0};
	std::atomic<bool> used{false}; /**< the memory is some port's */
	std::atomic<bool> open{false}; /**< there is such a port, for other processes */

	/** As new but for what late bursts look at. */
	void reset();
};

/** All there are. Found by its name by other processes. */
struct SharedPorts {
	std::array<std::atomic<SharedPort*>, RTE_MAX_ETHPORTS> ports;
};
/** Null: there is none yet, in this process or the primary, or no memory for it. */
SharedPorts* shared_ports();

/** Memory for a port; null: there is none. */
SharedPort* take_shared_port(int socket);
/** For a later port. */
void give_shared_port(SharedPort& port);
/** A generation that no port has had. */
uint32_t next_generation();

/** Memory that all processes have. Kept for ever: what comes from it may outlive its port. */
std::pmr::memory_resource& shared_memory(int socket);

inline SharedPort& shared_of(const rte_eth_dev* dev)
{
	return *static_cast<SharedPort*>(dev->data->dev_private);
}

/** Of bursts in the process that has the session. */
struct OwnGate {
	template <class Q> explicit OwnGate(const Q& q) : generation_(&q.generation) {}
	static constexpr bool kForeign = false;
	static constexpr uint32_t owner() { return 1; }
	bool operator()() const { return vmbus::load_once(generation_) != 0; }

      private:
	const uint32_t* generation_;
};

/** Which generation of each port this process, a secondary one, has taken over; 0 = none. */
extern std::array<uint32_t, RTE_MAX_ETHPORTS> taken_over;
/** What this process is called in locks. */
extern uint32_t process_id;

/** Of bursts in other processes: they run while they have what the primary has. */
struct ForeignGate {
	template <class Q>
	explicit ForeignGate(const Q& q) : generation_(&q.generation), mine_(&taken_over[q.port_id])
	{
	}
	static constexpr bool kForeign = true;
	static uint32_t owner() { return process_id; }
	bool operator()() const
	{
		const uint32_t generation = vmbus::load_once(generation_);
		return generation != 0 && generation == vmbus::load_once(mine_);
	}

      private:
	const uint32_t* generation_;
	const uint32_t* mine_;
};

} // namespace netvsc
