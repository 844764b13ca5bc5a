/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "compat.hpp"

extern int vmbus_bus_logtype;

/** One line in EAL's log, for --log-level=bus.vmbus:debug and the like. */
#define VMBUS_LOG(level, fmt, ...)                                                                 \
	rte_log(RTE_LOG_##level, vmbus_bus_logtype, "VMBUS: " fmt "\n", ##__VA_ARGS__)
