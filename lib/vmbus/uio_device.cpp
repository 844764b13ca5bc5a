/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Facts of the kernel that this relies on are named after its functions: hv_uio_* are in
 * drivers/uio/uio_hv_generic.c, uio_* in drivers/uio/uio.c, vmbus_* and hv_* in drivers/hv.
 */
#include "uio_device.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>

#include "guid.hpp"

namespace vmbus::uio {

/* Maps of the device node, in the order of enum hv_uio_map. */
enum : uint32_t { kRings, kInterruptPage, kMonitorPage, kReceiveBuffer, kSendBuffer, kMaps };
static_assert(kMaps == kMaxUioMaps);

static constexpr const char* kMapNames[kMaps] = {"txrx_rings", "int_page", "monitor_page",
						 "recv:", "send:"};

/* Offsets into rings and buffers are 32 bits wide. */
static constexpr uint64_t kMaxRings = uint64_t{1} << 31;
static constexpr uint64_t kMaxBuffer = uint64_t{1} << 31;

/* Guest to host is the second half of the interrupt page (vmbus_connection.send_int_page). */
static constexpr uint32_t kSendInterrupts = 2048;

UioDevice::UioDevice(const SysfsDevice& info, Region control, uint64_t control_gpa, Os& os,
		     std::string dev)
	: info_(info),
	  name_(to_string(info.instance_id)),
	  dev_(std::move(dev)),
	  control_(std::move(control)),
	  control_gpa_(control_gpa),
	  os_(os)
{
}

UioDevice::~UioDevice()
{
	close();
}

Error UioDevice::open(Milliseconds)
{
	if (gone())
		return {ENODEV, "the host removed the device"};
	if (open_)
		return {EBUSY, "the device is open already"};
	Error error = open_node();
	if (!error)
		error = map_page(kInterruptPage, interrupt_mapping_, interrupt_page_);
	if (!error)
		error = map_page(kMonitorPage, monitor_mapping_, monitor_page_);
	if (!error)
		error = map_buffer(kReceiveBuffer, receive_);
	if (!error)
		error = map_buffer(kSendBuffer, send_);
	if (!error)
		error = open_primary();
	if (!error && hooks_.opened) {
		error = hooks_.opened(fd_.get());
		hooked_ = !error;
	}
	if (error) {
		close();
		return error;
	}
	open_ = true;
	return {};
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
	std::lock_guard lock(mutex_);
	fd_ = Fd(os_, fd);
	return {};
}

Error UioDevice::map(uint32_t index, std::shared_ptr<Mapping>& out, UioMap& info)
{
	const int number = find_uio(os_, info_.path);
	if (Error error = read_uio_map(os_, info_.path, number, index, info))
		return error;
	const std::string expected = kMapNames[index];
	const bool prefix = expected.back() == ':';
	if (prefix ? info.name.rfind(expected, 0) != 0 : info.name != expected)
		return {EPROTO, "map " + std::to_string(index) + " is '" + info.name + "', not '" +
					expected + "': the kernel's driver is none that is known"};
	if (index == kRings) {
		if (Error error = check_rings(info.name, info.size))
			return error;
	} else if (info.size == 0 || info.size > kMaxBuffer) {
		return {EPROTO, info.name + ": impossible size " + std::to_string(info.size)};
	}
	const uint64_t page = os_.page_size();
	const uint64_t size = (info.size + page - 1) / page * page;
	/* uio_mmap() takes the map's number from the offset. Buffers are vmalloc memory that is
	 * mapped page by page when touched: better now than in the data path. */
	const bool populate = index == kReceiveBuffer || index == kSendBuffer;
	return Mapping::create(os_, info.name, fd_.get(), static_cast<off_t>(index * page), size,
			       populate, out);
}

Error UioDevice::map_buffer(uint32_t index, Buffer& out)
{
	UioMap info;
	if (Error error = map(index, out.mapping, info))
		return error;
	/* hv_uio_probe() puts the GPADL into the name. */
	uint64_t gpadl = 0;
	if (!parse_number(std::string_view(info.name).substr(5), UINT32_MAX, gpadl) || gpadl == 0)
		return {EPROTO, "'" + info.name + "' names no GPADL"};
	if (info.size % kPageSize != 0)
		return {EPROTO, info.name + ": size " + std::to_string(info.size) +
					" is no multiple of the page size"};
	out.region.data = out.mapping->data();
	out.region.size = info.size;
	out.region.gpadl = static_cast<uint32_t>(gpadl);
	out.region.keep = out.mapping;
	return {};
}

/* A page of the hypervisor's size, 4 KiB, in a page of the kernel's. */
Error UioDevice::map_page(uint32_t index, std::shared_ptr<Mapping>& out, uint8_t*& page)
{
	UioMap info;
	if (Error error = map(index, out, info))
		return error;
	/* Before "Allocate interrupt and monitor pages aligned to system page boundary" (2025) the
	 * page may lie anywhere in a 64 KiB page. */
	if (info.size < kPageSize || info.offset % sizeof(uint64_t) != 0 ||
	    info.offset + kPageSize > out->size())
		return {EPROTO, info.name + ": impossible size " + std::to_string(info.size) +
					" or offset " + std::to_string(info.offset)};
	page = out->data() + info.offset;
	return {};
}

/* Each ring is one page of the kernel's size and then data (struct hv_ring_buffer). */
Error UioDevice::check_rings(const std::string& what, uint64_t size) const
{
	const uint64_t page = os_.page_size();
	if (size < 4 * page || size > kMaxRings || size % (2 * page) != 0)
		return {EPROTO,
			what + ": two rings cannot have " + std::to_string(size) + " bytes"};
	return {};
}

Error UioDevice::open_primary()
{
	UioMap map_info;
	std::shared_ptr<Mapping> rings;
	if (Error error = map(kRings, rings, map_info))
		return error;
	SysfsChannel channel;
	channel.relid = info_.relid;
	channel.monitor_id = info_.monitor_id;
	Error error = add_channel(channel, std::move(rings));
	if (error.code == EAGAIN)
		return {EBUSY,
			"another process uses the device, or memory of an earlier use is held"};
	return error;
}

/*
 * The first open of the node makes the kernel reset both rings (vmbus_connect_ring() calls
 * hv_ringbuffer_init()); so does the opening of a subchannel. An index of ours that is not 0 then
 * belongs to somebody else's session. Indices of the host's may have moved already.
 */
Error UioDevice::add_channel(const SysfsChannel& info, std::shared_ptr<Mapping> rings)
{
	const size_t half = rings->size() / 2;
	const size_t page = os_.page_size();
	uint8_t* base = rings->data();
	auto* tx = reinterpret_cast<RingControl*>(base);
	auto* rx = reinterpret_cast<RingControl*>(base + half);
	if (load_acquire(&tx->in) != 0 || load_acquire(&rx->out) != 0)
		return {EAGAIN, "the rings are in use"};
	auto opened = std::make_unique<OpenedChannel>();
	Channel& c = opened->channel;
	c.event_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c.event_fd < 0)
		return Error::system("eventfd");
	const auto data_size = static_cast<uint32_t>(half - page);
	c.relid = info.relid;
	c.subchannel_index = info.subchannel_index;
	c.tx = RingWriter(tx, base + page, data_size);
	c.rx = RingReader(rx, base + half + page, data_size);
	/* Some kernels mask a new channel (before "Let userspace take care of interrupt mask",
	 * 2025), others do not. */
	c.rx.mask_interrupts(true);
	c.doorbell = doorbell(info);
	opened->rings = std::move(rings);
	opened->receive_control = rx;
	std::lock_guard lock(mutex_);
	channels_.push_back(std::move(opened));
	return {};
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
	return Doorbell(fd_.get(), 1, sizeof(int32_t), word, 1u << (info.relid % 32));
}

Error UioDevice::open_subchannel(uint16_t index, Milliseconds timeout, Channel*& channel)
{
	channel = nullptr;
	if (!open_ || index == 0)
		return {EINVAL, "no subchannel to open"};
	for (const auto& c : channels_)
		if (c->channel.subchannel_index == index)
			return {EEXIST, "subchannel " + std::to_string(index) + " is open already"};
	const auto deadline = std::chrono::steady_clock::now() + timeout;
	std::string last = "the host did not offer it";
	for (;;) {
		for (const SysfsChannel& info : list_channels(os_, info_.path)) {
			if (info.subchannel_index != index)
				continue;
			Error error = open_subchannel_now(info);
			if (!error) {
				channel = &channels_.back()->channel;
				return {};
			}
			/* hv_uio_ring_mmap() refuses (ENODEV) until the channel is open; and the
			 * files of an earlier subchannel may still be there. */
			if (error.code != ENODEV && error.code != ENOENT && error.code != EAGAIN)
				return error;
			last = std::move(error.what);
		}
		if (gone())
			return {ENODEV, "the host removed the device"};
		if (std::chrono::steady_clock::now() >= deadline)
			return {ETIMEDOUT,
				"subchannel " + std::to_string(index) + " is not there after " +
					std::to_string(timeout.count()) + " ms: " + last};
		std::this_thread::sleep_for(std::chrono::milliseconds(1));
	}
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
	return add_channel(info, std::move(rings));
}

/*
 * Mappings count as users of the node: hv_uio_release() runs when the last is gone. Rings are
 * unmapped before the node is closed because vmbus_disconnect_ring() frees those of subchannels.
 */
void UioDevice::close()
{
	if (hooked_ && hooks_.closing)
		hooks_.closing();
	hooked_ = false;
	open_ = false;
	std::lock_guard lock(mutex_);
	while (!channels_.empty())
		channels_.pop_back();
	unmap_buffer(send_);
	unmap_buffer(receive_);
	monitor_mapping_.reset();
	interrupt_mapping_.reset();
	monitor_page_ = interrupt_page_ = nullptr;
	fd_.reset();
}

/* Whoever still holds the buffer keeps its bytes, but must not keep the channel open. */
void UioDevice::unmap_buffer(Buffer& buffer)
{
	buffer.region = {};
	if (buffer.mapping != nullptr && buffer.mapping.use_count() > 1)
		buffer.mapping->make_private(); /* else the next open() says what is wrong */
	buffer.mapping.reset();
}

uint64_t UioDevice::gpa(const void* address) const
{
	const auto* p = static_cast<const uint8_t*>(address);
	if (control_gpa_ != kGpaUnknown && p >= control_.data && p < control_.data + control_.size)
		return control_gpa_ + static_cast<uint64_t>(p - control_.data);
	return kGpaUnknown;
}

/* Called in loops that wait for the host: the file system is looked at now and then only. */
bool UioDevice::gone() const
{
	if (gone_.load(std::memory_order_acquire))
		return true;
	const int64_t now = std::chrono::duration_cast<std::chrono::milliseconds>(
				    std::chrono::steady_clock::now().time_since_epoch())
				    .count();
	if (now < next_look_.load(std::memory_order_relaxed))
		return false;
	next_look_.store(now + 20, std::memory_order_relaxed);
	if (os_.exists(info_.path))
		return false;
	gone_.store(true, std::memory_order_release);
	return true;
}

UioDevice::OpenedChannel::~OpenedChannel()
{
	if (channel.event_fd >= 0)
		::close(channel.event_fd);
}

/*
 * The kernel masks the ring of the channel that was signalled (hv_uio_channel_cb()), and doorbells
 * unmask rings. A reader that arms its channel just now does so before it unmasks: either its mask
 * is the later one, or it is seen here.
 */
void UioDevice::OpenedChannel::take_event()
{
	store_seq_cst(&receive_control->interrupt_mask, 1u);
	if (!channel.armed.load())
		return;
	store_seq_cst(&receive_control->interrupt_mask, 0u);
	if (load_seq_cst(&receive_control->in) != load_seq_cst(&receive_control->out))
		channel.wake();
}

/*
 * After hv_uio_rescind() read() fails with EIO. The kernel unregisters the device then and frees
 * its rings although they are still mapped here (vmbus_free_ring()), or takes them out of the
 * address space (those of subchannels, which are files in sysfs): a thread that polls them must
 * find other memory there. That memory is zero, which a ring reader or writer takes for broken or
 * empty rings; nothing comes of either.
 */
bool UioDevice::take_event()
{
	std::lock_guard lock(mutex_);
	if (fd_.get() < 0)
		return gone_.load(std::memory_order_acquire);
	int32_t count = 0;
	const ssize_t n = os_.read(fd_.get(), &count, sizeof(count));
	if (n == sizeof(count)) {
		for (auto& c : channels_)
			c->take_event();
		return false;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	gone_.store(true, std::memory_order_release);
	for (auto& c : channels_)
		c->rings->isolate();
	return true;
}

bool UioDevice::repair(const void* address)
{
	/* Never waits: the holder may be the very thread that was interrupted. */
	std::unique_lock lock(mutex_, std::try_to_lock);
	if (!lock.owns_lock())
		return false;
	for (auto& c : channels_) {
		if (!c->rings->contains(address))
			continue;
		gone_.store(true, std::memory_order_release);
		return c->rings->isolate();
	}
	return false;
}

} // namespace vmbus::uio
