/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The netvsc ethdev: what its files share.
 *
 * A Port is one NIC. It exists from probe to close, keeps the session with the host, and builds the
 * queues' pipelines when it is started: MTU and number of channels are then known.
 */
#pragma once

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

inline constexpr uint16_t kMaxQueues = 1;
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
	const std::atomic<bool>* gone = nullptr;
	rte_mempool* pool = nullptr;
	uint64_t rearm = 0; /**< the mbuf fields that every received mbuf starts with */
	uint32_t room = 0;  /**< bytes of data in one mbuf */
	uint32_t copybreak = 0;
	uint16_t stash_count = 0;
	uint16_t port_id = 0;
	uint64_t no_mbuf = 0;
	uint64_t too_long = 0;		 /**< frames dropped because they do not fit an mbuf */
	const uint8_t* buffer = nullptr; /**< the receive buffer, for external mbufs */
	rte_iova_t buffer_iova = RTE_BAD_IOVA;
	rte_mbuf* stash[64]; /**< allocated in bulk, not yet used */

	/* not for the hot path */
	Port* port = nullptr;
	uint16_t id = 0;
	uint16_t descriptors = 0;
	bool scatter = false; /**< the application takes frames of several mbufs */
	RxStats past;	      /**< of pipelines that are gone */
	RxStats base;	      /**< at the last reset */
	uint64_t no_mbuf_base = 0;
	uint64_t too_long_base = 0;
};

struct alignas(64) TxQueue {
	Tx* tx = nullptr; /**< null until the port is started */
	Rx* rx = nullptr; /**< of the same channel: completions come there */
	const std::atomic<bool>* gone = nullptr;
	uint32_t copybreak = 0;
	uint32_t low = 0; /**< with fewer free slots, completions are looked for */
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
	const rte_memzone* memory = nullptr;
	TxStats past;
	TxStats base;
	uint64_t dropped_base = 0;
};

struct Port {
	explicit Port(vmbus::bus::BusDevice& d) : bus_device(d), session(*d.device) {}

	vmbus::bus::BusDevice& bus_device;
	Session session;
	PortArgs args;
	rte_eth_dev* ethdev = nullptr;
	rte_ether_addr mac{};
	std::atomic<bool> gone{false};	  /**< read by every burst */
	std::atomic<bool> running{false}; /**< from start to stop */
	std::mutex link_lock;		  /**< one link_update() at a time */
	const std::string& name() const { return bus_device.name; }
	SessionConfig session_config(uint32_t mtu) const
	{
		return {mtu, args.max_nvsp, bus_device.timeout};
	}
};

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

/* rxtx.cpp */
void select_burst_functions(Port& port);

/* control.cpp */
int promiscuous_enable(rte_eth_dev* dev);
int promiscuous_disable(rte_eth_dev* dev);
int allmulticast_enable(rte_eth_dev* dev);
int allmulticast_disable(rte_eth_dev* dev);
int mtu_set(rte_eth_dev* dev, uint16_t mtu);
int link_update(rte_eth_dev* dev, int wait);
/** Tells the host which frames to pass, by the port's modes. */
vmbus::Error apply_filter(Port& port);
void watch_session(Port& port);
void unwatch_session(Port& port);
void device_gone(Port& port);

/* stats.cpp */
int stats_get(rte_eth_dev* dev, rte_eth_stats* stats);
int stats_reset(rte_eth_dev* dev);
int xstats_get(rte_eth_dev* dev, rte_eth_xstat* out, unsigned int n);
int xstats_get_names(rte_eth_dev* dev, rte_eth_xstat_name* out, unsigned int n);
/** Keeps a pipeline's counts before it goes. */
void keep_stats(RxQueue& queue);
void keep_stats(TxQueue& queue);

} // namespace netvsc
