/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The netvsc ethdev: what its files share.
 *
 * A Port is one NIC. It exists from probe to close, keeps the session with the host, and builds the
 * queues' pipelines when it is started: MTU and number of channels are then known.
 */
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bus/vmbus/bus.hpp"
#include "compat.hpp"
#include "netvsc/session.hpp"

extern int netvsc_logtype;
#define NETVSC_LOG(level, fmt, ...)                                                                \
	rte_log(RTE_LOG_##level, netvsc_logtype, "NETVSC: " fmt "\n", ##__VA_ARGS__)

namespace netvsc {

inline constexpr uint16_t kMinDescriptors = 64;
inline constexpr uint16_t kMaxDescriptors = 4096;
inline constexpr uint16_t kDefaultDescriptors = 512;

/** Device arguments, with the C driver's names and defaults where it has them. */
struct PortArgs {
	uint32_t rx_copybreak = 256; /**< longest frame copied although external mbufs are on */
	uint32_t tx_copybreak = 512; /**< longest frame copied into a send section */
	bool rx_extmbuf_enable = false;
	uint32_t max_nvsp = nvsp::kVersion61;
};
/** Null-terminated keys that parse_args() takes. */
extern const char* const kArgKeys[];
vmbus::Error parse_args(const std::string& text, PortArgs& args);

struct Port;

struct alignas(64) RxQueue {
	Rx* rx = nullptr; /**< null until the port is started */
	/** True: bursts do nothing. The port's `gone`, or kAlways while the queue is stopped. */
	const std::atomic<bool>* off = nullptr;
	rte_mempool* pool = nullptr;
	uint64_t rearm = 0; /**< the mbuf fields that every received mbuf starts with */
	uint32_t room = 0;  /**< bytes of data in one mbuf */
	uint32_t copybreak = 0;
	uint32_t wanted = 0;	 /**< Frame::Info that the application asked for */
	uint32_t ptype_mask = 0; /**< RTE_PTYPE_* to look for; 0 = none */
	bool verify_sctp = false;
	uint16_t stash_count = 0;
	uint16_t port_id = 0;
	uint64_t no_mbuf = 0;
	uint64_t too_long = 0;	    /**< frames dropped because they fit no mbuf or no packet */
	rte_mbuf* joined = nullptr; /**< parts of a packet whose last one is yet to come */
	rte_mbuf* joined_last = nullptr; /**< last segment of it */
	uint64_t merged = 0;		 /**< frames that are not packets of their own */
	const uint8_t* buffer = nullptr; /**< the receive buffer, for external mbufs */
	rte_iova_t buffer_iova = RTE_BAD_IOVA;
	rte_mbuf* stash[64]; /**< allocated in bulk, not yet used */

	/* not for the hot path */
	Port* port = nullptr;
	uint16_t id = 0;
	uint16_t descriptors = 0;
	bool scatter = false;  /**< the application takes frames of several mbufs */
	bool deferred = false; /**< does not start with the port */
	RxStats past;	       /**< of pipelines that are gone */
	RxStats base;	       /**< at the last reset */
	uint64_t no_mbuf_base = 0;
	uint64_t too_long_base = 0;
	uint64_t merged_base = 0;
};

struct alignas(64) TxQueue {
	Tx* tx = nullptr;			/**< null until the port is started */
	Rx* rx = nullptr;			/**< of the same channel: completions come there */
	const std::atomic<bool>* off = nullptr; /**< as RxQueue's */
	uint32_t copybreak = 0;
	uint32_t max_lso = 0; /**< longest TCP payload that the host segments */
	uint32_t low = 0;     /**< with fewer free slots, completions are looked for */
	/** Cycles when a burst first could not send all, and none could since; 0 = it is not so. */
	uint64_t starved_since = 0;
	uint64_t patience = 0; /**< cycles after which frames that nobody receives are dropped */
	/** External buffers below this address are none that the host knows. */
	rte_iova_t external_iova_min = 0;
	uint64_t dropped = 0; /**< frames that no host would take */

	/* not for the hot path */
	Port* port = nullptr;
	uint16_t id = 0;
	uint16_t descriptors = 0;
	bool deferred = false; /**< does not start with the port */
	const rte_memzone* memory = nullptr;
	uint32_t max_bounce = 0; /**< longest frame that the bounce buffers in it take */
	TxStats past;
	TxStats base;
	uint64_t dropped_base = 0;
};

inline const std::atomic<bool> kAlways{true};

/** What the application wants of receive side scaling, in DPDK's terms. */
struct RssWanted {
	uint64_t types = 0; /**< RTE_ETH_RSS_*; 0 = none */
	std::array<uint8_t, kRssKeySize> key = kRssDefaultKey;
	std::vector<uint16_t> table; /**< receive queues */
};

/** Of what rte_net_get_ptype() finds, all that is said of the outermost headers. */
inline constexpr uint32_t kAllPtypes = RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK | RTE_PTYPE_L4_MASK;

struct Port {
	explicit Port(vmbus::bus::BusDevice& d) : bus_device(d), session(*d.device) {}

	vmbus::bus::BusDevice& bus_device;
	Session session;
	PortArgs args;
	RssWanted rss;
	uint32_t ptype_mask = kAllPtypes; /**< packet types that the application wants */
	rte_eth_dev* ethdev = nullptr;
	rte_ether_addr mac{};
	bool mac_changed = false;	  /**< by the application: again after each connect */
	std::atomic<bool> gone{false};	  /**< read by every burst */
	std::atomic<bool> running{false}; /**< from start to stop */
	std::atomic<uint32_t> events{0}; /**< bits of Session::Event that the application is told */
	std::mutex link_lock; /**< one link_update() at a time; and the interrupts' descriptors */
	rte_intr_handle* interrupts =
		nullptr; /**< of the receive queues, once they were asked for */
	const std::string& name() const { return bus_device.name; }
	SessionConfig session_config(uint32_t mtu) const
	{
		return {mtu, args.max_nvsp, bus_device.timeout};
	}
};

inline RxQueue* rx_queue(const rte_eth_dev_data& data, uint16_t i)
{
	return static_cast<RxQueue*>(data.rx_queues[i]);
}

inline TxQueue* tx_queue(const rte_eth_dev_data& data, uint16_t i)
{
	return static_cast<TxQueue*>(data.tx_queues[i]);
}

inline Port& port_of(rte_eth_dev* dev)
{
	return *static_cast<Port*>(dev->process_private);
}

/** Logs an error of the control path. @return its negative errno, as ethdev operations do */
int failed(const Port& port, const char* doing, const vmbus::Error& error);

/* ethdev.cpp */
extern const eth_dev_ops kOps;
/** Connects anew, with another MTU or after the host got stuck. Queues' pipelines are gone then. */
vmbus::Error reconnect(Port& port, uint32_t mtu);

/* queues.cpp */
int rx_queue_setup(rte_eth_dev* dev, uint16_t id, uint16_t descriptors, unsigned int socket,
		   const rte_eth_rxconf* config, rte_mempool* pool);
int tx_queue_setup(rte_eth_dev* dev, uint16_t id, uint16_t descriptors, unsigned int socket,
		   const rte_eth_txconf* config);
void rx_queue_release(rte_eth_dev* dev, uint16_t id);
void tx_queue_release(rte_eth_dev* dev, uint16_t id);
vmbus::Error build_pipelines(Port& port);
void drop_pipelines(Port& port);
/** Waits until the host has read what was sent. @return false: it did not by the deadline */
bool drain(Port& port, vmbus::Milliseconds timeout);
/** The same for one queue. */
bool drain(TxQueue& queue, vmbus::Milliseconds timeout);
/** How long the host may take to read what was sent before a queue or the port stops. */
inline constexpr vmbus::Milliseconds kDrainTimeout{2000};

/** Drops the frames that wait, of which nobody will ask. */
void discard(RxQueue& queue);

/* queue_state.cpp */
int rx_queue_start(rte_eth_dev* dev, uint16_t id);
int rx_queue_stop(rte_eth_dev* dev, uint16_t id);
int tx_queue_start(rte_eth_dev* dev, uint16_t id);
int tx_queue_stop(rte_eth_dev* dev, uint16_t id);
/** Starts the queues that are not deferred; the port starts. */
void start_queues(Port& port);
void stop_queues(Port& port);
void rxq_info_get(rte_eth_dev* dev, uint16_t id, rte_eth_rxq_info* info);
void txq_info_get(rte_eth_dev* dev, uint16_t id, rte_eth_txq_info* info);
rx_queue_count_t rx_queue_count(void* queue);
int rx_descriptor_status(void* queue, uint16_t offset);
int tx_descriptor_status(void* queue, uint16_t offset);
int tx_done_cleanup(void* queue, uint32_t count);

/* offload.cpp */
/** RTE_ETH_RX_OFFLOAD_* and RTE_ETH_TX_OFFLOAD_* of what the host has. */
uint64_t rx_offloads_of(const HostInfo& host);
uint64_t tx_offloads_of(const HostInfo& host);
/** Tells the host what the application configured. */
vmbus::Error apply_offloads(Port& port);
int vlan_offload_set(rte_eth_dev* dev, int mask);
uint16_t tx_prepare(void* queue, rte_mbuf** mbufs, uint16_t count);
/** Frame::Info that receive queues need for these RTE_ETH_RX_OFFLOAD_*. */
uint32_t wanted_info(uint64_t offloads);

/* interrupt.cpp */
/** Makes the queues' descriptors known to ethdev, if the application wants receive interrupts. */
vmbus::Error open_interrupts(Port& port);
/** The descriptors are about to be closed, or the port stops. */
void close_interrupts(Port& port);
/** Wakes whoever sleeps on a queue: the port is gone. */
void wake_sleepers(Port& port);
int rx_interrupt_enable(rte_eth_dev* dev, uint16_t id);
int rx_interrupt_disable(rte_eth_dev* dev, uint16_t id);

/* rss.cpp */
/** RTE_ETH_RSS_* of a host's hash types. */
uint64_t rss_types_of(uint32_t hash_types);
/** Takes over what dev_configure asks for. */
int configure_rss(Port& port);
/** Tells the host, with the queues that run. */
vmbus::Error apply_rss(Port& port);
int rss_hash_update(rte_eth_dev* dev, rte_eth_rss_conf* conf);
int rss_hash_conf_get(rte_eth_dev* dev, rte_eth_rss_conf* conf);
int reta_update(rte_eth_dev* dev, rte_eth_rss_reta_entry64* entries, uint16_t size);
int reta_query(rte_eth_dev* dev, rte_eth_rss_reta_entry64* entries, uint16_t size);

/* rxtx.cpp */
int rx_burst_mode_get(rte_eth_dev* dev, uint16_t id, rte_eth_burst_mode* mode);
int tx_burst_mode_get(rte_eth_dev* dev, uint16_t id, rte_eth_burst_mode* mode);
void select_burst_functions(Port& port);

/* control.cpp */
int promiscuous_enable(rte_eth_dev* dev);
int promiscuous_disable(rte_eth_dev* dev);
int allmulticast_enable(rte_eth_dev* dev);
int allmulticast_disable(rte_eth_dev* dev);
int mtu_set(rte_eth_dev* dev, uint16_t mtu);
int mac_addr_set(rte_eth_dev* dev, rte_ether_addr* mac);
std::string version_text(const HostInfo& host);
int fw_version_get(rte_eth_dev* dev, char* text, size_t size);
const uint32_t* supported_ptypes_get(rte_eth_dev* dev);
int ptypes_set(rte_eth_dev* dev, uint32_t mask);
int link_update(rte_eth_dev* dev, int wait);
/** Tells the host which frames to pass, by the port's modes. */
vmbus::Error apply_filter(Port& port);
void watch_session(Port& port);
void unwatch_session(Port& port);
void device_gone(Port& port);

/* telemetry.cpp */
void telemetry_add(Port& port);
/** Waits for whoever looks at the port. */
void telemetry_remove(Port& port);

/* stats.cpp */
int stats_get(rte_eth_dev* dev, rte_eth_stats* stats);
int stats_reset(rte_eth_dev* dev);
int xstats_get(rte_eth_dev* dev, rte_eth_xstat* out, unsigned int n);
int xstats_get_names(rte_eth_dev* dev, rte_eth_xstat_name* out, unsigned int n);
/** Keeps a pipeline's counts before it goes. */
void keep_stats(RxQueue& queue);
void keep_stats(TxQueue& queue);

} // namespace netvsc
