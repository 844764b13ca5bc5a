/* SPDX-License-Identifier: BSD-3-Clause */
/** DPDK's headers for drivers, and every difference between its versions. */
#pragma once

#include <rte_version.h>

#include <bus_driver.h>
#include <bus_vdev_driver.h>
#include <dev_driver.h>
#include <ethdev_driver.h>
#include <rte_alarm.h>
#include <rte_cycles.h>
#include <rte_devargs.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_kvargs.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_memory.h>
#include <rte_memzone.h>
#include <rte_telemetry.h>

/* 25.07: the index is gone from the macro that names a driver for tools. */
#if RTE_VERSION >= RTE_VERSION_NUM(25, 7, 0, 0)
#define NETVSC_EXPORT_NAME(name, index) RTE_PMD_EXPORT_NAME(name)
#else
#define NETVSC_EXPORT_NAME(name, index) RTE_PMD_EXPORT_NAME(name, index)
#endif

/* 23.03: numbers without a sign have another name. */
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
#define rte_tel_data_add_dict_unsigned rte_tel_data_add_dict_uint
#else
#define rte_tel_data_add_dict_unsigned rte_tel_data_add_dict_u64
#endif

/* 25.11: the number of frames that wait may be an error. */
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
using rx_queue_count_t = int;
#else
using rx_queue_count_t = uint32_t;
#endif

/* 25.11: counts of queues have a structure of their own. */
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
using queue_stats_t = eth_queue_stats;
#else
using queue_stats_t = rte_eth_stats;
#endif

/* 24.03 and 25.11 gave operations of a port one more argument each. */
template <const uint32_t* (*Get)(rte_eth_dev*, size_t*)>
constexpr void set_ptypes_get(eth_dev_ops& ops)
{
	ops.dev_supported_ptypes_get = [](rte_eth_dev* dev, auto*... count) {
		size_t unused;
		if constexpr (sizeof...(count) == 0)
			return Get(dev, &unused);
		else
			return Get(dev, count...);
	};
}
template <int (*Get)(rte_eth_dev*, rte_eth_stats*, queue_stats_t*)>
constexpr void set_stats_get(eth_dev_ops& ops)
{
	ops.stats_get = [](rte_eth_dev* dev, rte_eth_stats* stats, auto*... queues) {
		if constexpr (sizeof...(queues) == 0)
			return Get(dev, stats, reinterpret_cast<queue_stats_t*>(stats));
		else
			return Get(dev, stats, queues...);
	};
}

/* 26.07: buses are given themselves (there is one of ours), and list drivers, one of which EAL
 * finds for each device and notes in the device before it is probed. */
#if RTE_VERSION >= RTE_VERSION_NUM(26, 7, 0, 0)
template <auto Probe, auto Find, auto Plug, auto Unplug, auto Cleanup>
constexpr void set_bus_operations(rte_bus& bus)
{
	bus.probe = [](rte_bus*) { return Probe(); };
	bus.find_device = [](const rte_bus*, const rte_device* start, rte_dev_cmp_t compare,
			     const void* data) { return Find(start, compare, data); };
	bus.match = [](const rte_driver*, const rte_device*) { return true; };
	bus.probe_device = [](rte_driver*, rte_device* device) {
		device->driver = nullptr;
		return Plug(device);
	};
	bus.unplug_device = Unplug;
	bus.cleanup = [](rte_bus*) { return Cleanup(); };
}
/** The bus has a driver, whatever device there is. */
inline void add_bus_driver(rte_bus& bus, const char* name)
{
	static rte_driver driver;
	if (driver.name != nullptr)
		return;
	driver.name = name;
	rte_bus_add_driver(&bus, &driver);
}
#else
template <auto Probe, auto Find, auto Plug, auto Unplug, auto Cleanup>
constexpr void set_bus_operations(rte_bus& bus)
{
	bus.probe = Probe;
	bus.find_device = Find;
	bus.plug = Plug;
	bus.unplug = Unplug;
	bus.cleanup = Cleanup;
}
inline void add_bus_driver(rte_bus&, const char*) {}
#endif
