/* SPDX-License-Identifier: BSD-3-Clause */
#include "system.hpp"
#include "vmbus/uio_device.hpp"

namespace vmbus::bus {

std::vector<FoundDevice> find_devices(std::vector<std::string>& messages)
{
	std::vector<FoundDevice> found;
	for (const SysfsDevice& info : scan_vmbus("/sys", messages))
		found.push_back({info.class_id, info.instance_id, info.numa_node,
				 "/dev/uio" + std::to_string(info.uio),
				 [info](Region control, uint64_t gpa) {
					 return std::make_unique<uio::UioDevice>(
						 info, std::move(control), gpa);
				 }});
	return found;
}

std::string wanted_driver()
{
	return "uio_hv_generic";
}

} // namespace vmbus::bus
