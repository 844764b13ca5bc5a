/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Facts of the kernel that this relies on are named after its functions: hv_uio_* are in
 * drivers/uio/uio_hv_generic.c, uio_* in drivers/uio/uio.c, vmbus_* and hv_* in drivers/hv.
 */
#include "uio_device.hpp"

#include <fcntl.h>

#include <algorithm>

namespace vmbus::uio {

/* Maps of the device node, in the order of enum hv_uio_map. */
enum : uint32_t { kRings, kInterruptPage, kMonitorPage, kReceiveBuffer, kSendBuffer, kMaps };
static_assert(kMaps == kMaxUioMaps);

static constexpr const char* kMapNames[kMaps] = {"txrx_rings", "int_page", "monitor_page",
						 "recv:", "send:"};

/* The largest page of any kernel. */
static constexpr uint64_t kMaxPage = 64 << 10;

/* Guest to host is the second half of the interrupt page (vmbus_connection.send_int_page). */
static constexpr uint32_t kSendInterrupts = 2048;

UioDevice::UioDevice(const SysfsDevice& info, Region control, uint64_t control_gpa, Os& os,
		     std::string dev)
	: KernelDevice({info.class_id, info.instance_id, info.numa_node}, std::move(control),
		       control_gpa, os),
	  info_(info),
	  dev_(std::move(dev))
{
}

Error UioDevice::connect(Milliseconds)
{
	if (Error error = open_node())
		return error;
	if (Error error = map_page(kInterruptPage, interrupt_page_))
		return error;
	if (Error error = map_page(kMonitorPage, monitor_page_))
		return error;
	if (Error error = map_buffer(kReceiveBuffer, receive_))
		return error;
	if (Error error = map_buffer(kSendBuffer, send_))
		return error;
	return open_primary();
}

Error UioDevice::open_node()
{
	/* The number changes when the device is bound anew. */
	const int number = find_uio(os_, info_.path);
	if (number < 0)
		return {ENODEV, "the device is not bound to uio_hv_generic any more"};
	const std::string path = dev_ + "/uio" + std::to_string(number);
	/* Non-blocking, so that an event that another thread took blocks nobody in read(). */
	const int fd = os_.open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		Error error = Error::system(path);
		if (error.code == EACCES || error.code == EPERM)
			error.what += ": run as root or give the user access to the node";
		return error;
	}
	return adopt_node(fd);
}

Error UioDevice::read_map(uint32_t index, UioMap& info) const
{
	const int number = find_uio(os_, info_.path);
	if (Error error = read_uio_map(os_, info_.path, number, index, info))
		return error;
	const std::string expected = kMapNames[index];
	const bool prefix = expected.back() == ':';
	if (prefix ? info.name.rfind(expected, 0) != 0 : info.name != expected)
		return {EPROTO, "map " + std::to_string(index) + " is '" + info.name + "', not '" +
					expected + "': the kernel's driver is none that is known"};
	return {};
}

/* uio_mmap() takes the map's number from the offset. */
static off_t offset_of(Os& os, uint32_t index)
{
	return static_cast<off_t>(index * os.page_size());
}

Error UioDevice::map_buffer(uint32_t index, Buffer& out) const
{
	UioMap info;
	if (Error error = read_map(index, info))
		return error;
	/* hv_uio_probe() puts the GPADL into the name. */
	uint64_t gpadl = 0;
	if (!parse_number(std::string_view(info.name).substr(5), UINT32_MAX, gpadl))
		return {EPROTO, "'" + info.name + "' names no GPADL"};
	return KernelDevice::map_buffer(info.name, offset_of(os_, index), info.size, gpadl, out);
}

/* A page of the hypervisor's size, 4 KiB, in a page of the kernel's. */
Error UioDevice::map_page(uint32_t index, uint8_t*& page)
{
	UioMap info;
	if (Error error = read_map(index, info))
		return error;
	/* Before "Allocate interrupt and monitor pages aligned to system page boundary" (2025) the
	 * page may lie anywhere in a 64 KiB page. */
	const uint64_t most = std::max<uint64_t>(info.size, os_.page_size());
	if (info.size < kPageSize || info.size > kMaxPage || info.offset % sizeof(uint64_t) != 0 ||
	    info.offset + kPageSize > most)
		return {EPROTO, info.name + ": impossible size " + std::to_string(info.size) +
					" or offset " + std::to_string(info.offset)};
	std::shared_ptr<Mapping> mapping;
	if (Error error = map(info.name, offset_of(os_, index), info.size, false, mapping))
		return error;
	page = mapping->data() + info.offset;
	keep_mapped(std::move(mapping));
	return {};
}

Error UioDevice::open_primary()
{
	UioMap map_info;
	std::shared_ptr<Mapping> rings;
	if (Error error = read_map(kRings, map_info))
		return error;
	if (Error error = check_rings(map_info.name, map_info.size))
		return error;
	if (Error error = map(map_info.name, offset_of(os_, kRings), map_info.size, false, rings))
		return error;
	SysfsChannel channel;
	channel.relid = info_.relid;
	channel.monitor_id = info_.monitor_id;
	Error error = add_channel(info_.relid, 0, std::move(rings), doorbell(channel));
	if (error.code == EAGAIN)
		return {EBUSY,
			"another process uses the device, or memory of an earlier use is held"};
	return error;
}

/*
 * Without a monitor id the kernel makes the host call: hv_uio_irqcontrol() does when 1 is written,
 * for the primary channel, and for all of them since "Set event for all channels on the device"
 * (2025). The bit in the interrupt page tells a host without per-channel interrupts which channel
 * it was. As a side effect the kernel unmasks receive rings; take_event() masks them again.
 */
Doorbell UioDevice::doorbell(const SysfsChannel& info) const
{
	if (info.monitor_id <= kMonitorIdMax)
		return Doorbell(reinterpret_cast<MonitorPage*>(monitor_page_), info.monitor_id);
	uint32_t* word = nullptr;
	if (info.relid / 8 < kPageSize - kSendInterrupts)
		word = reinterpret_cast<uint32_t*>(interrupt_page_ + kSendInterrupts) +
		       info.relid / 32;
	return Doorbell(node_slot(), 1, sizeof(int32_t), word, 1u << (info.relid % 32));
}

Error UioDevice::try_subchannel(uint16_t index)
{
	Error last = {ENOENT, "the host did not offer it"};
	for (const SysfsChannel& info : list_channels(os_, info_.path)) {
		if (info.subchannel_index != index)
			continue;
		Error error = open_subchannel_now(info);
		/* hv_uio_ring_mmap() refuses (ENODEV) until the channel is open; and the files of
		 * an earlier subchannel may still be there. */
		if (error.code != ENODEV && error.code != ENOENT && error.code != EAGAIN)
			return error;
		last = std::move(error);
	}
	return last;
}

Error UioDevice::open_subchannel_now(const SysfsChannel& info)
{
	const std::string path = info.path + "/ring";
	const Fd fd(os_, os_.open(path, O_RDWR | O_CLOEXEC));
	if (fd.get() < 0)
		return Error::system(path);
	const off_t size = os_.file_size(fd.get());
	if (size < 0)
		return Error::system(path);
	/* Since 2025 the file is as large as the rings, hence empty before there are any. */
	if (size == 0)
		return {EAGAIN, path + " is still empty"};
	if (Error error = check_rings(path, static_cast<uint64_t>(size)))
		return error;
	std::shared_ptr<Mapping> rings;
	if (Error error = Mapping::create(os_, path, fd.get(), 0, static_cast<size_t>(size), false,
					  rings))
		return error;
	return add_channel(info.relid, info.subchannel_index, std::move(rings), doorbell(info));
}

bool UioDevice::vanished() const
{
	return !os_.exists(info_.path);
}

} // namespace vmbus::uio
