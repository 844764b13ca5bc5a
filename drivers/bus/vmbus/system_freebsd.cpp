/* SPDX-License-Identifier: BSD-3-Clause */
#include "compat.hpp"
#include "system.hpp"
#include "vmbus/hv_uio_device.hpp"

namespace vmbus::bus {

/* EAL's own message, which comes later, says that a sysctl cannot be read. */
static void check_contigmem(std::vector<std::string>& messages)
{
	int32_t buffers = 0;
	size_t size = sizeof(buffers);
	if (rte_eal_has_hugepages() == 0 ||
	    uio::Os::system().sysctl("hw.contigmem.num_buffers", {}, &buffers, size) == 0)
		return;
	messages.push_back("contigmem is not loaded, from which DPDK has memory with "
			   "guest-physical addresses: load it (kldload contigmem), or run with "
			   "--no-huge, where frames are copied");
}

std::vector<FoundDevice> find_devices(std::vector<std::string>& messages)
{
	std::vector<FoundDevice> found;
	for (const HvUioInfo& info : scan_hv_uio(messages))
		found.push_back({info.class_id, info.instance_id, info.numa_node,
				 "/dev/hv_uio" + std::to_string(info.unit),
				 [info](Region control, uint64_t gpa) {
					 return std::make_unique<uio::HvUioDevice>(
						 info, std::move(control), gpa);
				 }});
	if (!found.empty())
		check_contigmem(messages);
	return found;
}

std::string wanted_driver()
{
	return has_hv_uio() ? "hv_uio" : "hv_uio, which is not loaded (kldload hv_uio)";
}

} // namespace vmbus::bus
