/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Devices that the kernel gave to user space (system.hpp), as EAL's devices.
 *
 * EAL calls a bus from one thread at a time; only events come on its interrupt thread.
 */
#pragma once

#include "bus.hpp"

namespace vmbus::bus::real {

/** Looks for devices anew. Devices that were probed stay; the others are those of now. */
void scan(const rte_bus& bus);
/** Hands the devices to their drivers that were not. @return 0, or -1 if all of them fail */
int probe();
/** The same for one device that scan() found. */
int plug(rte_device* device);
/** Takes a device from its driver and forgets it. */
int unplug(rte_device* device);
void remove_all();
rte_device* find(const rte_device* start, rte_dev_cmp_t compare, const void* data);
/** Whether there is a device that is not blocked. */
bool any();
/** @return as rte_bus_sigbus_handler_t: 0 = the address can be accessed now, 1 = not of this bus */
int repair(const void* address);

} // namespace vmbus::bus::real
