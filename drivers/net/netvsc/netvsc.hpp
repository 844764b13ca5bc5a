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
#include "bus/vmbus/processes.hpp"
#include "compat.hpp"
#include "netvsc/session.hpp"
#include "shared_port.hpp"
#include "vf.hpp"

extern int netvsc_logtype;
#define NETVSC_LOG(level, fmt, ...)                                                                \
	rte_log(RTE_LOG_##level, netvsc_logtype, "NETVSC: " fmt "\n", ##__VA_ARGS__)

namespace netvsc {

inline constexpr uint16_t kMinDescriptors = 64;
inline constexpr uint16_t kMaxDescriptors = 4096;
inline constexpr uint16_t kDefaultDescriptors = 256;

/** Null-terminated keys that parse_args() takes. */
extern const char* const kArgKeys[];
vmbus::Error parse_args(const std::string& text, PortArgs& args);

/** A port's memory, until there is no port. */
struct PortMemory {
	explicit PortMemory(SharedPort& p) : port(p) {}
	~PortMemory() { give_shared_port(port); }
	PortMemory(const PortMemory&) = delete;
	PortMemory& operator=(const PortMemory&) = delete;
	SharedPort& port;
};

struct Port {
	/** @param node of memory that the application does not say where it shall be */
	Port(vmbus::bus::BusDevice& d, SharedPort& memory, int node)
		: bus_device(d),
		  hold(memory),
		  session(*d.device, memory.session, shared_memory(node))
	{
	}

	~Port() { rte_memzone_free(bounce); }
	Port(const Port&) = delete;
	Port& operator=(const Port&) = delete;

	vmbus::bus::BusDevice& bus_device;
	PortMemory hold;
	SharedPort& shared = hold.port;
	PortArgs& args = shared.args;
	RssWanted& rss = shared.rss;
	rte_ether_addr& mac = shared.mac;
	Session session;
	const rte_memzone* bounce = nullptr; /**< memory of the bounce buffers, once it started */
	rte_eth_dev* ethdev = nullptr;
	bool mac_changed = false; /**< by the application: again after each connect */
	std::atomic<bool> gone{false};
	/** A process died in a burst: what it was in is not to be trusted. */
	std::atomic<bool> damaged{false};
	std::atomic<bool> running{false}; /**< from start to stop */
	/** Bits of Session::Event that the application is told, and kDamagedEvent. */
	std::atomic<uint32_t> events{0};
	std::mutex link_lock; /**< one link_update() at a time; and the interrupts' descriptors */
	rte_intr_handle* interrupts =
		nullptr;  /**< of the receive queues, once they were asked for */
	int wake_fd = -1; /**< readable when a control message was found in the ring */
	vmbus::DescriptorSlot wake_slot;
	rte_intr_handle* wake = nullptr;
	Vf vf{*this};
	const std::string& name() const { return bus_device.name; }
	/** Of memory that the application does not say where it shall be. */
	int numa_node() const { return node_of(bus_device, args); }
	static int node_of(const vmbus::bus::BusDevice& device, const PortArgs& args)
	{
		return args.numa_aware ? device.device->numa_node() : SOCKET_ID_ANY;
	}
	SessionConfig session_config(uint32_t mtu) const
	{
		return {mtu, args.max_nvsp, bus_device.timeout, bus_device.copies_only};
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

/** In the primary process. */
inline Port& port_of(const rte_eth_dev* dev)
{
	return *static_cast<Port*>(dev->process_private);
}

/** Logs an error of the control path. @return its negative errno, as ethdev operations do */
int failed(const Port& port, const char* doing, const vmbus::Error& error);

/* ethdev.cpp */
extern const eth_dev_ops kOps;
int info_get(rte_eth_dev* dev, rte_eth_dev_info* info);
/** A process died in a burst of the port that has this memory, if there is one. */
void mark_damaged(const SharedPort& memory);
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
/**
 * From now on no burst of any process is in the queues, or will be until they are started.
 * @return an error if a process does not come out of a burst; it may be stopped
 */
vmbus::Error close_gates(Port& port);
vmbus::Error close_gate(Port& port, RxQueue& queue);
vmbus::Error close_gate(Port& port, TxQueue& queue);
/** Waits until the host has read what was sent. @return false: it did not by the deadline */
bool drain(Port& port, vmbus::Milliseconds timeout);
/** The same for one queue. */
bool drain(Port& port, TxQueue& queue, vmbus::Milliseconds timeout);
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
/** Opens the gates of the queues that are started. */
void resume_queues(Port& port);
void rxq_info_get(rte_eth_dev* dev, uint16_t id, rte_eth_rxq_info* info);
void txq_info_get(rte_eth_dev* dev, uint16_t id, rte_eth_txq_info* info);
/** @param Gate of bursts in this process */
template <class Gate> rx_queue_count_t rx_queue_count(void* queue);
template <class Gate> int rx_descriptor_status(void* queue, uint16_t offset);
template <class Gate> int tx_descriptor_status(void* queue, uint16_t offset);
template <class Gate> int tx_done_cleanup(void* queue, uint32_t count);

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
/** The application's table with running queues in place of stopped ones. */
std::vector<uint16_t> running_table(const Port& port);
int rss_hash_update(rte_eth_dev* dev, rte_eth_rss_conf* conf);
int rss_hash_conf_get(rte_eth_dev* dev, rte_eth_rss_conf* conf);
int reta_update(rte_eth_dev* dev, rte_eth_rss_reta_entry64* entries, uint16_t size);
int reta_query(rte_eth_dev* dev, rte_eth_rss_reta_entry64* entries, uint16_t size);

/* rxtx.cpp */
int rx_burst_mode_get(rte_eth_dev* dev, uint16_t id, rte_eth_burst_mode* mode);
int tx_burst_mode_get(rte_eth_dev* dev, uint16_t id, rte_eth_burst_mode* mode);
/** Decides which burst functions the port has, in all processes. */
void select_burst_functions(Port& port);
eth_rx_burst_t rx_burst_of(const BurstKind& kind, bool foreign);
eth_tx_burst_t tx_burst_of(const BurstKind& kind, bool foreign);

/* control.cpp */
int promiscuous_enable(rte_eth_dev* dev);
int promiscuous_disable(rte_eth_dev* dev);
int allmulticast_enable(rte_eth_dev* dev);
int allmulticast_disable(rte_eth_dev* dev);
int mtu_set(rte_eth_dev* dev, uint16_t mtu);
int mac_addr_set(rte_eth_dev* dev, rte_ether_addr* mac);
std::string version_text(const HostInfo& host);
int fw_version_get(rte_eth_dev* dev, char* text, size_t size);
/** @param count of them */
const uint32_t* supported_ptypes_get(rte_eth_dev* dev, size_t* count);
int ptypes_set(rte_eth_dev* dev, uint32_t mask);
int link_update(rte_eth_dev* dev, int wait);
/** Tells the host which frames to pass, by the port's modes. */
vmbus::Error apply_filter(Port& port);
vmbus::Error watch_session(Port& port);
void unwatch_session(Port& port);
void device_gone(Port& port);
/** Tells the application what port.events says, soon and on the interrupt thread. */
void schedule_events(Port& port);
inline constexpr uint32_t kDamagedEvent = 1u << 31;

/* processes.cpp */
/** Other processes take over what the port is now. Its queues start behind this. */
void begin_generation(Port& port);
/** Other processes have no such port any more. */
void end_sharing(Port& port);
/** Other processes look at what can wait: the link. */
void notify_processes();
/** Of the primary: a process ended, maybe in a burst. */
void process_left(uint32_t id);

/* secondary.cpp: in the other processes; see vmbus::bus::Driver */
void joined_as(uint32_t id);
int attach_ports(rte_device& parent);
void detach_ports(rte_device& parent);
void refresh_ports();
void lose_ports();

/* telemetry.cpp */
void telemetry_add(Port& port);
/** Waits for whoever looks at the port. */
void telemetry_remove(Port& port);

/* stats.cpp */
/** @param queues may be null */
int stats_get(rte_eth_dev* dev, rte_eth_stats* stats, queue_stats_t* queues);
int stats_reset(rte_eth_dev* dev);
int xstats_get(rte_eth_dev* dev, rte_eth_xstat* out, unsigned int n);
int xstats_get_names(rte_eth_dev* dev, rte_eth_xstat_name* out, unsigned int n);
/** A queue is new: what its VF's counterpart has counted is an earlier queue's. */
void begin_stats(RxQueue& queue);
void begin_stats(TxQueue& queue);
/** Keeps a pipeline's counts before it goes. */
void keep_stats(RxQueue& queue);
void keep_stats(TxQueue& queue);

/** Operations that change nothing but counters: the same in every process. */
constexpr eth_dev_ops query_ops()
{
	eth_dev_ops ops{};
	ops.dev_infos_get = info_get;
	ops.fw_version_get = fw_version_get;
	ops.rxq_info_get = rxq_info_get;
	ops.txq_info_get = txq_info_get;
	ops.rx_burst_mode_get = rx_burst_mode_get;
	ops.tx_burst_mode_get = tx_burst_mode_get;
	set_ptypes_get<supported_ptypes_get>(ops);
	ops.rss_hash_conf_get = rss_hash_conf_get;
	ops.reta_query = reta_query;
	set_stats_get<stats_get>(ops);
	ops.stats_reset = stats_reset;
	ops.xstats_get = xstats_get;
	ops.xstats_get_names = xstats_get_names;
	ops.xstats_reset = stats_reset;
	return ops;
}

} // namespace netvsc
