/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The vmbus bus: what its device drivers and its ways to a host have in common.
 *
 * A device is found by one of the ways to a host (here: the emulated host behind a vdev) and handed
 * to the driver of its class.
 */
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "compat.hpp"
#include "vmbus/device.hpp"

namespace vmbus::bus {

struct Driver;

/** A device on the bus, and the driver's hold on it. */
struct BusDevice {
	std::unique_ptr<vmbus::Device> device;
	rte_device* parent = nullptr; /**< EAL's device, to which the driver's ports belong */
	std::string name;	      /**< of the port: unique, a valid ethdev name */
	std::string args;	      /**< "key=value,..." for the driver */
	Milliseconds timeout{60000};  /**< of each command to the host */
	/** The host reaches no memory of the application's: it is told no addresses of any. */
	bool copies_only = false;
	const Driver* driver = nullptr;
	bool attached = false;			  /**< a driver took it */
	std::atomic<void*> driver_data = nullptr; /**< null again once the driver let go */
};

/** A driver of one class of devices. */
struct Driver {
	Guid class_id;
	const char* name;
	/** Takes the device over. @return 0 or a negative errno; then the device is untouched */
	int (*probe)(BusDevice& device);
	/** Gives the device back, closed. */
	void (*remove)(BusDevice& device);
	/** The host took the device away: tell the application. Called on EAL's interrupt thread.
	 */
	void (*gone)(BusDevice& device);
	/** Which keys of the device's arguments are the driver's. Null-terminated. */
	const char* const* arg_keys;

	/** In the primary process: another one ended, maybe in the middle of a burst. */
	void (*process_left)(uint32_t id);
	/* In secondary processes */
	/** This process is called `id` in locks from now on. */
	void (*joined)(uint32_t id);
	/** Takes the primary's ports over that belong to `parent`. @return how many, or an errno */
	int (*attach)(rte_device& parent);
	/** Gives them back. */
	void (*detach)(rte_device& parent);
	/** The primary changed something, and waits until this process knows. */
	void (*refresh)();
	/** The primary is gone, or does not count on this process any more. */
	void (*lose)();
};

void register_driver(const Driver& driver);
const Driver* find_driver(const Guid& class_id);
void for_each_driver(const std::function<void(const Driver&)>& what);

} // namespace vmbus::bus
