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
