/* SPDX-License-Identifier: BSD-3-Clause */
/** What FreeBSD's kernel tells of its devices, and which of them hv_uio(4) gave to user space. */
#pragma once

#include "packet.hpp"
#include "uio_os.hpp"

namespace vmbus {

struct HvUioInfo {
	int unit = -1; /**< number of its device node */
	Guid class_id{};
	Guid instance_id{};
	int numa_node = -1;
};

/**
 * Finds the network adapters that are bound to hv_uio, in the order of their units.
 * @param errors gets one message for each device that is left out because it makes no sense
 */
std::vector<HvUioInfo> scan_hv_uio(std::vector<std::string>& errors,
				   uio::Os& os = uio::Os::system());

/** Whether the module is loaded. */
bool has_hv_uio(uio::Os& os = uio::Os::system());

} // namespace vmbus
