/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernel_device.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>

#include "guid.hpp"

namespace vmbus::uio {

/* Offsets into rings and buffers are 32 bits wide. */
static constexpr uint64_t kMaxRings = uint64_t{1} << 31;
static constexpr uint64_t kMaxBuffer = uint64_t{1} << 31;

KernelDevice::KernelDevice(const Identity& identity, Region control, uint64_t control_gpa, Os& os)
	: os_(os),
	  identity_(identity),
	  name_(to_string(identity.instance_id)),
	  control_(std::move(control)),
	  control_gpa_(control_gpa)
{
}

KernelDevice::~KernelDevice()
{
	close();
}

Error KernelDevice::open(Milliseconds timeout)
{
	if (gone())
		return {ENODEV, "the host removed the device"};
	if (open_)
		return {EBUSY, "the device is open already"};
	Error error = connect(timeout);
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

Error KernelDevice::adopt_node(int fd)
{
	std::lock_guard lock(mutex_);
	fd_ = Fd(os_, fd);
	return slot_.take(fd);
}

Error KernelDevice::map(const std::string& what, off_t offset, uint64_t size, bool populate,
			std::shared_ptr<Mapping>& out) const
{
	const uint64_t page = os_.page_size();
	return Mapping::create(os_, what, fd_.get(), offset, (size + page - 1) / page * page,
			       populate, out);
}

Error KernelDevice::map_buffer(const std::string& what, off_t offset, uint64_t size, uint64_t gpadl,
			       Buffer& out) const
{
	if (size == 0 || size > kMaxBuffer || size % kPageSize != 0)
		return {EPROTO, what + ": impossible size " + std::to_string(size)};
	if (gpadl == 0 || gpadl > UINT32_MAX)
		return {EPROTO, what + " has no GPADL"};
	/* Buffers are mapped page by page when touched: better now than in the data path. */
	if (Error error = map(what, offset, size, true, out.mapping))
		return error;
	out.region.data = out.mapping->data();
	out.region.size = size;
	out.region.gpadl = static_cast<uint32_t>(gpadl);
	out.region.keep = out.mapping;
	return {};
}

/* Each ring is one page of the kernel's size and then data. */
Error KernelDevice::check_rings(const std::string& what, uint64_t size) const
{
	const uint64_t page = os_.page_size();
	if (size < 4 * page || size > kMaxRings || size % (2 * page) != 0)
		return {EPROTO,
			what + ": two rings cannot have " + std::to_string(size) + " bytes"};
	return {};
}

/*
 * The first open of the node makes the kernel reset both rings; so does the opening of a
 * subchannel. An index of ours that is not 0 then belongs to somebody else's session. Indices of
 * the host's may have moved already.
 */
Error KernelDevice::add_channel(uint32_t relid, uint16_t index, std::shared_ptr<Mapping> rings,
				const Doorbell& doorbell)
{
	const size_t half = rings->size() / 2;
	const size_t page = os_.page_size();
	uint8_t* base = rings->data();
	auto* tx = reinterpret_cast<RingControl*>(base);
	auto* rx = reinterpret_cast<RingControl*>(base + half);
	if (load_acquire(&tx->in) != 0 || load_acquire(&rx->out) != 0)
		return {EAGAIN, "the rings are in use"};
	auto opened = std::make_unique<OpenedChannel>();
	opened->channel = make_channel(index, opened->own);
	Channel& c = *opened->channel;
	c.event_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c.event_fd < 0)
		return Error::system("eventfd");
	const auto data_size = static_cast<uint32_t>(half - page);
	c.relid = relid;
	c.subchannel_index = index;
	c.tx = RingWriter(tx, base + page, data_size);
	c.rx = RingReader(rx, base + half + page, data_size);
	/* Some kernels mask a new channel, others do not. */
	c.rx.mask_interrupts(true);
	c.doorbell = doorbell;
	opened->rings = std::move(rings);
	opened->receive_control = rx;
	std::lock_guard lock(mutex_);
	channels_.push_back(std::move(opened));
	return {};
}

Error KernelDevice::open_subchannel(uint16_t index, Milliseconds timeout, Channel*& channel)
{
	channel = nullptr;
	if (!open_ || index == 0)
		return {EINVAL, "no subchannel to open"};
	for (const auto& c : channels_)
		if (c->channel->subchannel_index == index)
			return {EEXIST, "subchannel " + std::to_string(index) + " is open already"};
	const auto deadline = std::chrono::steady_clock::now() + timeout;
	for (;;) {
		const Error error = try_subchannel(index);
		if (!error) {
			channel = channels_.back()->channel;
			return {};
		}
		if (error.code != ENODEV && error.code != ENOENT && error.code != EAGAIN)
			return error;
		if (gone())
			return {ENODEV, "the host removed the device"};
		if (std::chrono::steady_clock::now() >= deadline)
			return {ETIMEDOUT,
				"subchannel " + std::to_string(index) + " is not there after " +
					std::to_string(timeout.count()) + " ms: " + error.what};
		std::this_thread::sleep_for(std::chrono::milliseconds(1));
	}
}

/* Linux counts mappings as users of the node, and frees rings of subchannels when it is closed:
 * rings are unmapped before. */
void KernelDevice::close()
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
	pages_.clear();
	slot_ = {};
	fd_.reset();
}

/* Whoever still holds the buffer keeps its bytes, but must not keep the channel open. */
void KernelDevice::unmap_buffer(Buffer& buffer)
{
	buffer.region = {};
	if (buffer.mapping != nullptr && buffer.mapping.use_count() > 1)
		buffer.mapping->make_private(); /* else the next open() says what is wrong */
	buffer.mapping.reset();
}

uint64_t KernelDevice::gpa(const void* address) const
{
	const auto* p = static_cast<const uint8_t*>(address);
	if (control_gpa_ != kGpaUnknown && p >= control_.data && p < control_.data + control_.size)
		return control_gpa_ + static_cast<uint64_t>(p - control_.data);
	return kGpaUnknown;
}

/* Called in loops that wait for the host: the kernel is asked now and then only. */
bool KernelDevice::gone() const
{
	if (gone_.load(std::memory_order_acquire))
		return true;
	const int64_t now = std::chrono::duration_cast<std::chrono::milliseconds>(
				    std::chrono::steady_clock::now().time_since_epoch())
				    .count();
	if (now < next_look_.load(std::memory_order_relaxed))
		return false;
	next_look_.store(now + 20, std::memory_order_relaxed);
	if (!vanished())
		return false;
	gone_.store(true, std::memory_order_release);
	return true;
}

KernelDevice::OpenedChannel::~OpenedChannel()
{
	if (channel != nullptr && channel->event_fd >= 0)
		::close(channel->event_fd);
}

/*
 * Kernels mask the ring of the channel that was signalled, and Linux's doorbell unmasks rings. A
 * reader that arms its channel just now does so before it unmasks: either its mask is the later
 * one, or it is seen here.
 */
void KernelDevice::OpenedChannel::take_event()
{
	store_seq_cst(&receive_control->interrupt_mask, 1u);
	if (!channel->armed.load())
		return;
	store_seq_cst(&receive_control->interrupt_mask, 0u);
	if (load_seq_cst(&receive_control->in) != load_seq_cst(&receive_control->out))
		channel->wake();
}

/*
 * After the host took the device away, read() fails with EIO. Linux unregisters the device then and
 * frees its rings although they are still mapped here (vmbus_free_ring()), or takes them out of the
 * address space (those of subchannels, which are files in sysfs): a thread that polls them must
 * find other memory there. That memory is zero, which a ring reader or writer takes for broken or
 * empty rings; nothing comes of either.
 */
bool KernelDevice::take_event() const
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

bool KernelDevice::repair(const void* address)
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
