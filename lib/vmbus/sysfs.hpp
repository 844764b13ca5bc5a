/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What the Linux kernel tells of the VMBus in sysfs (Documentation/ABI/stable/sysfs-bus-vmbus), and
 * of devices that its uio_hv_generic driver gave to user space.
 */
#pragma once

#include "packet.hpp"
#include "uio_os.hpp"

namespace vmbus {

struct SysfsDevice {
	std::string path; /**< of its directory */
	Guid class_id{};
	Guid instance_id{};
	uint32_t relid = 0;
	uint8_t monitor_id = kMonitorIdNone;
	int numa_node = -1;
	int uio = -1; /**< number of its device node */
};

struct SysfsChannel {
	std::string path; /**< of its directory */
	uint32_t relid = 0;
	uint16_t subchannel_index = 0; /**< 0 = the primary channel */
	uint8_t monitor_id = kMonitorIdNone;
};

/** A range of memory that a UIO driver lets user space map. */
struct UioMap {
	std::string name;
	uint64_t size = 0;
	uint64_t offset = 0; /**< of the memory in the first mapped page */
};

inline constexpr uint32_t kMaxUioMaps = 5; /* MAX_UIO_MAPS of the kernel */

/**
 * Finds the network adapters that are bound to uio_hv_generic, in the order of their names.
 * @param root where sysfs is mounted
 * @param errors gets one message for each device that is left out because it makes no sense
 */
std::vector<SysfsDevice> scan_vmbus(const std::string& root, std::vector<std::string>& errors,
				    uio::Os& os = uio::Os::system());

/** @return the number N of the device's node /dev/uioN, or -1 if there is none */
int find_uio(uio::Os& os, const std::string& device_path);

Error read_uio_map(uio::Os& os, const std::string& device_path, int uio, uint32_t index,
		   UioMap& map);

/** Channels of a device whose files can be read, at this moment. */
std::vector<SysfsChannel> list_channels(uio::Os& os, const std::string& device_path);

/** Decimal or 0x-prefixed hexadecimal digits and nothing else. */
bool parse_number(std::string_view text, uint64_t max, uint64_t& out);

} // namespace vmbus
