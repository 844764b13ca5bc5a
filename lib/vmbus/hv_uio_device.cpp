/* SPDX-License-Identifier: BSD-3-Clause */
#include "hv_uio_device.hpp"

#include <fcntl.h>

#include <thread>

#include "guid.hpp"
#include "hv_uio.h"

namespace vmbus::uio {

static_assert(HV_UIO_PAGE_SIZE == kPageSize);

HvUioDevice::HvUioDevice(const HvUioInfo& info, Region control, uint64_t control_gpa, Os& os,
			 const std::string& dev)
	: KernelDevice({info.class_id, info.instance_id, info.numa_node}, std::move(control),
		       control_gpa, os),
	  node_(dev + "/hv_uio" + std::to_string(info.unit))
{
}

/* What the kernel refused, and what to do. */
static Error refused(const std::string& what)
{
	Error error = Error::system(what);
	switch (error.code) {
	case ENOENT:
		error.what += ": load the module (kldload hv_uio) and bind the device to it";
		break;
	case EACCES:
	case EPERM:
		error.what += ": run as root, in no jail, and at a securelevel of 0 or less";
		break;
	case EBUSY:
		error.what += ": another process uses the device, or the host has not taken back "
			      "the subchannels of an earlier one";
		break;
	case EIO:
	case ENXIO:
	case ENODEV:
		error = {ENODEV, what + ": the host removed the device"};
		break;
	default:
		break;
	}
	return error;
}

/*
 * Non-blocking, so that an event that another thread took blocks nobody in read(). The host takes
 * subchannels back some time after they were closed; before, the module opens no primary channel.
 */
Error HvUioDevice::open_node(Milliseconds timeout)
{
	const auto deadline = std::chrono::steady_clock::now() + timeout;
	for (;;) {
		const int fd = os_.open(node_, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0)
			return adopt_node(fd);
		if (errno != EBUSY || !had_subchannels_ ||
		    std::chrono::steady_clock::now() >= deadline)
			return refused(node_);
		std::this_thread::sleep_for(std::chrono::milliseconds(50));
	}
}

/* The module answers EINVAL to another version, and the hv_uio that others published to a request
 * that it does not know: which of them it is cannot be told. */
static Error read_info(Os& os, int fd, const std::string& node, hv_uio_info& info)
{
	info = {};
	info.version = HV_UIO_VERSION;
	const int rc = os.ioctl(fd, HV_UIO_INFO, &info);
	if (rc == 0 && info.version == HV_UIO_VERSION)
		return {};
	if (rc == 0 || errno == EINVAL || errno == ENOTTY)
		return {EPROTONOSUPPORT,
			node + ": this hv_uio is not the one that came with this driver, or of "
			       "another version: see docs/freebsd.md"};
	return refused(node);
}

static Guid to_guid(const uint8_t (&bytes)[16])
{
	Guid guid;
	std::memcpy(guid.bytes, bytes, sizeof(bytes));
	return guid;
}

Error HvUioDevice::connect(Milliseconds timeout)
{
	monitor_page_ = nullptr;
	if (Error error = open_node(timeout))
		return error;
	hv_uio_info info;
	if (Error error = read_info(os_, event_fd(), node_, info))
		return error;
	/* Units are given anew when devices are bound. */
	if (to_guid(info.class_id) != class_id() || to_guid(info.instance_id) != instance_id())
		return {ENODEV, node_ + " is another device by now: " +
					to_string(to_guid(info.instance_id))};
	if (info.relid == 0)
		return {EPROTO, node_ + ": the primary channel has no number"};
	if ((info.flags & HV_UIO_INFO_PAGES) != 0 && info.monitor_id <= kMonitorIdMax) {
		const uint64_t size = info.region[HV_UIO_MAP_MONITOR].size;
		if (size != kPageSize)
			return {EPROTO, "monitor page: impossible size " + std::to_string(size)};
		std::shared_ptr<Mapping> page;
		if (Error error = map("monitor page", HV_UIO_OFFSET(0, HV_UIO_MAP_MONITOR), size,
				      false, page))
			return error;
		monitor_page_ = page->data();
		keep_mapped(std::move(page));
	}
	const hv_uio_region& receive = info.region[HV_UIO_MAP_RECEIVE];
	if (Error error = map_buffer("receive buffer", HV_UIO_OFFSET(0, HV_UIO_MAP_RECEIVE),
				     receive.size, receive.gpadl, receive_))
		return error;
	const hv_uio_region& send = info.region[HV_UIO_MAP_SEND];
	if (Error error = map_buffer("send buffer", HV_UIO_OFFSET(0, HV_UIO_MAP_SEND), send.size,
				     send.gpadl, send_))
		return error;
	std::shared_ptr<Mapping> rings;
	if (Error error = map_rings(0, info.region[HV_UIO_MAP_RINGS].size, rings))
		return error;
	Error error =
		add_channel(info.relid, 0, std::move(rings), doorbell(info.relid, info.monitor_id));
	if (error.code == EAGAIN)
		return {EPROTO, node_ + ": the rings of a channel that was just opened are in use"};
	return error;
}

Error HvUioDevice::map_rings(uint32_t relid, uint64_t size, std::shared_ptr<Mapping>& out) const
{
	const std::string what = relid == 0 ? "rings" : "rings of channel " + std::to_string(relid);
	if (Error error = check_rings(what, size))
		return error;
	return map(what, HV_UIO_OFFSET(relid, HV_UIO_MAP_RINGS), size, false, out);
}

/*
 * The module signals in whatever way the channel has. The monitor page belongs to the whole bus: it
 * is mapped only where an administrator allowed that, to save a system call.
 */
Doorbell HvUioDevice::doorbell(uint32_t relid, uint32_t monitor_id) const
{
	if (monitor_page_ != nullptr && monitor_id <= kMonitorIdMax)
		return Doorbell(reinterpret_cast<MonitorPage*>(monitor_page_),
				static_cast<uint8_t>(monitor_id));
	return Doorbell(node_slot(), Doorbell::Request{HV_UIO_SIGNAL, relid});
}

Error HvUioDevice::try_subchannel(uint16_t index)
{
	const std::string what = "subchannel " + std::to_string(index);
	if (index > HV_UIO_SUBCHANNELS)
		return {EINVAL,
			what + ": a device has no more than " + std::to_string(HV_UIO_SUBCHANNELS)};
	hv_uio_subchan subchan{};
	subchan.version = HV_UIO_VERSION;
	subchan.index = index;
	subchan.cpu = HV_UIO_ANY_CPU;
	if (os_.ioctl(event_fd(), HV_UIO_SUBCHAN_OPEN, &subchan) != 0) {
		if (errno == EAGAIN)
			return {EAGAIN, "the host did not offer it"};
		return refused(what);
	}
	had_subchannels_ = true;
	if (subchan.relid == 0)
		return {EPROTO, what + " has no number"};
	std::shared_ptr<Mapping> rings;
	if (Error error = map_rings(subchan.relid, subchan.size, rings))
		return error;
	Error error = add_channel(subchan.relid, index, std::move(rings),
				  doorbell(subchan.relid, subchan.monitor_id));
	if (error.code == EAGAIN)
		return {EPROTO, what + ": its rings are in use"};
	return error;
}

/* Only a read of the node tells; when it is not open, whether there is one. */
bool HvUioDevice::vanished() const
{
	return event_fd() < 0 ? !os_.exists(node_) : take_event();
}

} // namespace vmbus::uio
