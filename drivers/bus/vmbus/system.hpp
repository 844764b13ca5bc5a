/* SPDX-License-Identifier: BSD-3-Clause */
/** Devices that the kernel of this system gave to user space: each system has its own file. */
#pragma once

#include "vmbus/kernel_device.hpp"

namespace vmbus::bus {

struct FoundDevice {
	Guid class_id{};
	Guid instance_id{};
	int numa_node = -1;
	std::string node; /**< path of its device node, for people */
	/** The device, closed. @param control its control memory, at this address; may be none */
	std::function<std::unique_ptr<uio::KernelDevice>(Region control, uint64_t control_gpa)>
		make;
};

/** @param messages gets what people should know of the system and of devices left out */
std::vector<FoundDevice> find_devices(std::vector<std::string>& messages);

/** The kernel's driver that a device must be bound to, and what that takes. */
std::string wanted_driver();

} // namespace vmbus::bus
