/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hw.bus.info and hw.bus.devices, which libdevinfo reads, too: sys/sys/bus.h has the structures,
 * sysctl_devices() in sys/kern/subr_bus.c fills them in, and vmbus_child_pnpinfo() in
 * sys/dev/hyperv/vmbus/vmbus.c says which device of the VMBus it is.
 */
#include "hv_uio_scan.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "guid.hpp"
#include "sysfs.hpp"

#ifdef __FreeBSD__
#include <sys/types.h>

#include <sys/bus.h>
#endif

namespace vmbus {

using uio::Os;

namespace {

/* struct u_businfo */
struct BusInfo {
	int32_t version;
	int32_t generation;
};
constexpr int32_t kBusVersion = 2; /* BUS_USER_VERSION */

/* struct u_device */
struct BusDevice {
	uint64_t handle;
	uint64_t parent;
	uint32_t devflags;
	uint16_t flags;
	uint32_t state;
	char fields[3072]; /* name, description, driver, pnpinfo, location: each ends with a 0 */
};
constexpr uint32_t kAttached = 30; /* DS_ATTACHED */

#ifdef __FreeBSD__
static_assert(BUS_USER_VERSION == kBusVersion && DS_ATTACHED == kAttached);
static_assert(sizeof(u_businfo) == sizeof(BusInfo) && sizeof(u_device) == sizeof(BusDevice));
static_assert(offsetof(u_device, dv_state) == offsetof(BusDevice, state));
static_assert(offsetof(u_device, dv_fields) == offsetof(BusDevice, fields));
#endif

/* Devices come and go while they are listed: then the kernel wants one to begin anew. */
constexpr int kAttempts = 10;
constexpr int kMostDevices = 10000;

enum Field { kName, kDescription, kDriver, kPnpInfo, kFields };

/* @return false: the strings do not end within the structure */
bool split(const BusDevice& device, std::string_view (&fields)[kFields])
{
	std::string_view rest(device.fields, sizeof(device.fields));
	for (std::string_view& field : fields) {
		const size_t end = rest.find('\0');
		if (end == std::string_view::npos)
			return false;
		field = rest.substr(0, end);
		rest.remove_prefix(end + 1);
	}
	return true;
}

/* The value of one "key=value" of several, with spaces between. */
bool find_guid(std::string_view pairs, std::string_view key, Guid& out)
{
	while (!pairs.empty()) {
		const size_t end = std::min(pairs.find(' '), pairs.size());
		const std::string_view pair = pairs.substr(0, end);
		pairs.remove_prefix(std::min(end + 1, pairs.size()));
		if (pair.substr(0, key.size()) == key)
			return parse_guid(pair.substr(key.size()), out);
	}
	return false;
}

/* Absent where the host did not say. */
int numa_node(Os& os, int unit)
{
	int32_t domain = -1;
	size_t size = sizeof(domain);
	const std::string name = "dev.hv_uio." + std::to_string(unit) + ".%domain";
	if (os.sysctl(name, {}, &domain, size) != 0 || size != sizeof(domain) || domain > 1023)
		return -1;
	return std::max(domain, -1);
}

Error read_device(Os& os, const BusDevice& device, HvUioInfo& info, bool& ours)
{
	static constexpr std::string_view kPrefix = "hv_uio";
	ours = false;
	std::string_view fields[kFields];
	if (!split(device, fields))
		return {EINVAL, "hw.bus.devices: a device's strings do not end"};
	if (fields[kDriver] != kPrefix || device.state < kAttached)
		return {};
	const std::string name(fields[kName]);
	uint64_t unit = 0;
	if (name.rfind(kPrefix, 0) != 0 ||
	    !parse_number(std::string_view(name).substr(kPrefix.size()), INT32_MAX, unit))
		return {EINVAL, "'" + name + "' is left out: no name of a device of hv_uio"};
	info.unit = static_cast<int>(unit);
	if (!find_guid(fields[kPnpInfo], "classid=", info.class_id) ||
	    !find_guid(fields[kPnpInfo], "deviceid=", info.instance_id))
		return {EINVAL, name + " is left out: '" + std::string(fields[kPnpInfo]) +
					"' does not say which device of the VMBus it is"};
	if (info.class_id != kNetvscClass)
		return {};
	info.numa_node = numa_node(os, info.unit);
	ours = true;
	return {};
}

/* @return EAGAIN: the devices changed meanwhile */
Error list_devices(Os& os, std::vector<HvUioInfo>& devices, std::vector<std::string>& errors)
{
	BusInfo bus{};
	size_t size = sizeof(bus);
	if (os.sysctl("hw.bus.info", {}, &bus, size) != 0)
		return Error::system("sysctl hw.bus.info");
	if (size != sizeof(bus) || bus.version != kBusVersion)
		return {ENOTSUP, "sysctl hw.bus.info: this kernel describes devices in version " +
					 std::to_string(bus.version) + ", not " +
					 std::to_string(kBusVersion)};
	for (int i = 0; i < kMostDevices; i++) {
		BusDevice device{};
		size = sizeof(device);
		if (os.sysctl("hw.bus.devices", {bus.generation, i}, &device, size) != 0) {
			if (errno == ENOENT)
				return {};
			return {errno == EINVAL ? EAGAIN : errno,
				Error::system("sysctl hw.bus.devices").what};
		}
		if (size != sizeof(device))
			return {ENOTSUP, "sysctl hw.bus.devices: " + std::to_string(size) +
						 " bytes for a device, not " +
						 std::to_string(sizeof(device))};
		HvUioInfo info;
		bool ours = false;
		if (Error error = read_device(os, device, info, ours))
			errors.push_back(error.what);
		else if (ours)
			devices.push_back(info);
	}
	return {};
}

} // namespace

std::vector<HvUioInfo> scan_hv_uio(std::vector<std::string>& errors, Os& os)
{
	std::vector<HvUioInfo> devices;
	for (int attempt = 1;; attempt++) {
		devices.clear();
		std::vector<std::string> left_out;
		Error error = list_devices(os, devices, left_out);
		if (error.code == EAGAIN && attempt < kAttempts)
			continue;
		if (error) {
			devices.clear();
			left_out = {error.what};
		}
		errors.insert(errors.end(), left_out.begin(), left_out.end());
		break;
	}
	std::sort(devices.begin(), devices.end(),
		  [](const HvUioInfo& a, const HvUioInfo& b) { return a.unit < b.unit; });
	return devices;
}

/* DRIVER_MODULE() puts the bus before the name. */
bool has_hv_uio(Os& os)
{
	return os.has_module("vmbus/hv_uio");
}

} // namespace vmbus
