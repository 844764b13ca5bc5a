/* SPDX-License-Identifier: BSD-3-Clause */
#include "sysfs.hpp"

#include <fcntl.h>

#include <algorithm>
#include <charconv>

#include "guid.hpp"

namespace vmbus {

using uio::Os;

bool parse_number(std::string_view text, uint64_t max, uint64_t& out)
{
	int base = 10;
	if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		text.remove_prefix(2);
		base = 16;
	}
	uint64_t n = 0;
	const char* end = text.data() + text.size();
	const auto [stop, rc] = std::from_chars(text.data(), end, n, base);
	if (rc != std::errc() || stop != end || n > max)
		return false;
	out = n;
	return true;
}

/* The first line of a file: sysfs has one value in each. */
static Error read_line(Os& os, const std::string& path, std::string& out)
{
	const uio::Fd fd(os, os.open(path, O_RDONLY | O_CLOEXEC));
	if (fd.get() < 0)
		return Error::system(path);
	char text[256];
	const ssize_t n = os.read(fd.get(), text, sizeof(text));
	if (n < 0)
		return Error::system(path);
	out.assign(text, static_cast<size_t>(n));
	if (const size_t end = out.find('\n'); end != std::string::npos)
		out.resize(end);
	return {};
}

static Error read_number(Os& os, const std::string& path, uint64_t max, uint64_t& out)
{
	std::string text;
	if (Error error = read_line(os, path, text))
		return error;
	if (!parse_number(text, max, out))
		return {EINVAL,
			path + ": '" + text + "' is no number up to " + std::to_string(max)};
	return {};
}

static Error read_guid(Os& os, const std::string& path, Guid& out)
{
	std::string text;
	if (Error error = read_line(os, path, text))
		return error;
	if (!parse_guid(text, out))
		return {EINVAL, path + ": '" + text + "' is no GUID"};
	return {};
}

/*
 * Kernels with vmbus_chan_attr_is_visible() hide the file of a channel without a monitor; earlier
 * ones print whatever the offer contained. Only 0 to 127 have a bit in the monitor page.
 */
static Error read_monitor_id(Os& os, const std::string& path, uint8_t& out)
{
	out = kMonitorIdNone;
	if (!os.exists(path))
		return {};
	uint64_t n = 0;
	if (Error error = read_number(os, path, UINT32_MAX, n))
		return error;
	if (n <= kMonitorIdMax)
		out = static_cast<uint8_t>(n);
	return {};
}

static std::string driver_of(Os& os, const std::string& path)
{
	char target[512];
	const ssize_t n = os.readlink(path + "/driver", target, sizeof(target));
	if (n <= 0 || static_cast<size_t>(n) == sizeof(target))
		return "";
	const std::string name(target, static_cast<size_t>(n));
	return name.substr(name.rfind('/') + 1);
}

int find_uio(Os& os, const std::string& device_path)
{
	std::vector<std::string> names;
	if (os.list(device_path + "/uio", names) != 0)
		return -1;
	for (const std::string& name : names) {
		uint64_t n = 0;
		/* "uio0x1" is none of the kernel's names. */
		if (name.rfind("uio", 0) == 0 && name.find('x') == std::string::npos &&
		    parse_number(std::string_view(name).substr(3), INT32_MAX, n))
			return static_cast<int>(n);
	}
	return -1;
}

Error read_uio_map(Os& os, const std::string& device_path, int uio, uint32_t index, UioMap& map)
{
	const std::string path = device_path + "/uio/uio" + std::to_string(uio) + "/maps/map" +
				 std::to_string(index);
	if (Error error = read_line(os, path + "/name", map.name))
		return error;
	if (Error error = read_number(os, path + "/size", SIZE_MAX / 2, map.size))
		return error;
	map.offset = 0;
	if (os.exists(path + "/offset"))
		return read_number(os, path + "/offset", UINT32_MAX, map.offset);
	return {};
}

static Error read_device(Os& os, const std::string& path, SysfsDevice& device, bool& ours)
{
	ours = false;
	device.path = path;
	if (Error error = read_guid(os, path + "/class_id", device.class_id))
		return error;
	if (device.class_id != kNetvscClass || driver_of(os, path) != "uio_hv_generic")
		return {};
	if (Error error = read_guid(os, path + "/device_id", device.instance_id))
		return error;
	uint64_t n = 0;
	if (Error error = read_number(os, path + "/id", UINT32_MAX, n))
		return error;
	device.relid = static_cast<uint32_t>(n);
	if (Error error = read_monitor_id(os, path + "/monitor_id", device.monitor_id))
		return error;
	/* -1 where the host did not say, and no file in kernels without NUMA. */
	std::string node;
	const bool has_node = read_line(os, path + "/numa_node", node).code == 0;
	if (has_node && parse_number(node, 1023, n))
		device.numa_node = static_cast<int>(n);
	device.uio = find_uio(os, path);
	if (device.uio < 0)
		return {ENODEV, path + ": bound to uio_hv_generic, but without a uio directory"};
	ours = true;
	return {};
}

std::vector<SysfsDevice> scan_vmbus(const std::string& root, std::vector<std::string>& errors,
				    Os& os)
{
	const std::string directory = root + "/bus/vmbus/devices";
	std::vector<std::string> names;
	std::vector<SysfsDevice> devices;
	if (os.list(directory, names) != 0) {
		if (errno != ENOENT) /* else this machine has no VMBus */
			errors.push_back(Error::system(directory).what);
		return devices;
	}
	for (const std::string& name : names) {
		SysfsDevice device;
		bool ours = false;
		if (Error error = read_device(os, directory + "/" + name, device, ours)) {
			errors.push_back(name + " is left out: " + error.what);
			continue;
		}
		const bool twice =
			std::any_of(devices.begin(), devices.end(), [&](const SysfsDevice& d) {
				return d.instance_id == device.instance_id;
			});
		if (ours && twice)
			errors.push_back(name +
					 " is left out: another device has its instance GUID");
		else if (ours)
			devices.push_back(std::move(device));
	}
	return devices;
}

std::vector<SysfsChannel> list_channels(Os& os, const std::string& device_path)
{
	std::vector<SysfsChannel> channels;
	std::vector<std::string> names;
	const std::string directory = device_path + "/channels";
	if (os.list(directory, names) != 0)
		return channels;
	for (const std::string& name : names) {
		SysfsChannel c;
		uint64_t relid = 0;
		uint64_t index = 0;
		c.path = directory + "/" + name;
		/* Files appear after their directory, and vanish before it. */
		if (!parse_number(name, UINT32_MAX, relid) ||
		    read_number(os, c.path + "/subchannel_id", UINT16_MAX, index).code != 0 ||
		    read_monitor_id(os, c.path + "/monitor_id", c.monitor_id).code != 0)
			continue;
		c.relid = static_cast<uint32_t>(relid);
		c.subchannel_index = static_cast<uint16_t>(index);
		channels.push_back(std::move(c));
	}
	return channels;
}

} // namespace vmbus
