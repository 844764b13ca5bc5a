/* SPDX-License-Identifier: BSD-3-Clause */
#include "user_device.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace vmbus::user {

static constexpr size_t kControlMemorySize = 4 * kPageSize;

UserDevice::UserDevice(std::shared_ptr<Connection> connection, const OfferChannel& offer,
		       const BufferSizes& sizes)
	: connection_(std::move(connection)), offer_(offer), sizes_(sizes), name_(offer.name)
{
}

UserDevice::~UserDevice()
{
	close();
}

bool UserDevice::gone() const
{
	return rescinded_.load(std::memory_order_acquire) || connection_->disconnected();
}

Error UserDevice::make_region(const char* name, size_t size, uint32_t relid, bool gpadl,
			      SharedRegion& out)
{
	SharedRegion r;
	if (Error error = SharedMemory::create(name, size, r.memory, connection_->mirror()))
		return error;
	r.gpa = connection_->allocate_gpa(size);
	r.relid = relid;
	if (Error error = connection_->add_memory(r.gpa, r.memory->data(), size, r.memory->fd(), 0))
		return error;
	if (gpadl) {
		if (Error error = connection_->create_gpadl(relid, r.gpa, size, r.region.gpadl)) {
			if (connection_->remove_memory(r.gpa, size).code == ETIMEDOUT)
				error.what += " (and it keeps the memory)";
			return error;
		}
	}
	r.region.data = r.memory->data();
	r.region.size = size;
	r.region.keep = r.memory;
	out = std::move(r);
	return {};
}

void UserDevice::free_region(SharedRegion& r)
{
	if (r.memory == nullptr)
		return;
	if (r.region.gpadl != 0)
		connection_->teardown_gpadl(r.relid, r.region.gpadl);
	/* A host that holds on to it has its own mapping: nothing of ours depends on the answer. */
	(void)connection_->remove_memory(r.gpa, r.memory->size()).code;
	r = {};
}

Error UserDevice::open(Milliseconds)
{
	if (gone())
		return {ENODEV, "the host removed the device"};
	if (open_)
		return {EBUSY, "the device is open already"};
	Error error = make_region("vmbus-control", kControlMemorySize, 0, false, control_);
	if (!error)
		error = make_region("vmbus-receive", sizes_.receive, offer_.relid, true, receive_);
	if (!error)
		error = make_region("vmbus-send", sizes_.send, offer_.relid, true, send_);
	if (!error)
		error = open_channel(offer_);
	if (error) {
		close();
		return error;
	}
	open_ = true;
	return {};
}

Error UserDevice::open_channel(const OfferChannel& offer)
{
	auto opened = std::make_unique<OpenedChannel>();
	if (Error error = make_region("vmbus-rings", size_t{2} * sizes_.ring, offer.relid, true,
				      opened->rings))
		return error;
	opened->guest_signals = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	opened->host_signals = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	Error error;
	if (opened->guest_signals < 0 || opened->host_signals < 0)
		error = Error::system("eventfd");
	else
		error = opened->slot.take(opened->guest_signals);
	if (Mirror* mirror = connection_->mirror(); mirror != nullptr && !error)
		mirror->add(opened->slot.number(), opened->guest_signals);

	uint8_t* base = opened->rings.region.data;
	const uint32_t data_size = sizes_.ring - kPageSize;
	auto* tx = reinterpret_cast<RingControl*>(base);
	auto* rx = reinterpret_cast<RingControl*>(base + sizes_.ring);
	opened->channel = make_channel(offer.subchannel_index, opened->own);
	Channel& c = *opened->channel;
	c.relid = offer.relid;
	c.subchannel_index = offer.subchannel_index;
	c.tx = RingWriter(tx, base + kPageSize, data_size);
	c.rx = RingReader(rx, base + sizes_.ring + kPageSize, data_size);
	c.rx.mask_interrupts(true); /* polled until somebody asks for interrupts */
	if (offer.monitor_id <= kMonitorIdMax)
		c.doorbell = Doorbell(connection_->monitor_page(), offer.monitor_id);
	else
		c.doorbell = Doorbell(opened->slot.number(), 1, 8);
	c.event_fd = opened->host_signals;

	if (!error)
		error = connection_->open_channel(offer.relid, opened->rings.region.gpadl,
						  sizes_.ring / kPageSize, opened->guest_signals,
						  opened->host_signals);
	channels_.push_back(std::move(opened));
	if (error) {
		close_channel(*channels_.back());
		channels_.pop_back();
	}
	return error;
}

void UserDevice::close_channel(OpenedChannel& opened)
{
	connection_->close_channel(opened.channel->relid);
	free_region(opened.rings);
	if (Mirror* mirror = connection_->mirror(); mirror != nullptr && opened.slot.number() != 0)
		mirror->remove(opened.slot.number());
	opened.slot = {};
	if (opened.guest_signals >= 0)
		::close(opened.guest_signals);
	if (opened.host_signals >= 0)
		::close(opened.host_signals);
}

void UserDevice::close()
{
	/* Subchannels before the primary, as VMBus wants it. */
	while (!channels_.empty()) {
		close_channel(*channels_.back());
		channels_.pop_back();
	}
	free_region(send_);
	free_region(receive_);
	free_region(control_);
	open_ = false;
	/* VMBus wants channels closed before they are released. */
	std::lock_guard lock(offers_mutex_);
	std::erase_if(subchannels_, [this](Subchannel& s) {
		s.opened = false;
		if (s.rescinded)
			connection_->release_relid(s.offer.relid);
		return s.rescinded;
	});
}

Error UserDevice::limit_receive_buffer(size_t size)
{
	Region& region = receive_.region;
	if (size >= region.size)
		return {};
	connection_->teardown_gpadl(receive_.relid, region.gpadl);
	region.gpadl = 0;
	region.size = size;
	return connection_->create_gpadl(receive_.relid, receive_.gpa, size, region.gpadl);
}

Error UserDevice::open_subchannel(uint16_t index, Milliseconds timeout, Channel*& channel)
{
	channel = nullptr;
	const Deadline deadline = std::chrono::steady_clock::now() + timeout;
	for (;;) {
		OfferChannel offer{};
		{
			std::lock_guard lock(offers_mutex_);
			for (Subchannel& s : subchannels_)
				if (s.offer.subchannel_index == index && !s.rescinded) {
					offer = s.offer;
					s.opened = true;
				}
		}
		if (offer.relid != 0) {
			if (Error error = open_channel(offer))
				return error;
			channel = channels_.back()->channel;
			return {};
		}
		if (gone())
			return {ENODEV, "the host removed the device"};
		if (std::chrono::steady_clock::now() >= deadline)
			return {ETIMEDOUT, "the host did not offer subchannel " +
						   std::to_string(index) + " within " +
						   std::to_string(timeout.count()) + " ms"};
		connection_->dispatch();
		std::this_thread::sleep_for(std::chrono::microseconds(200));
	}
}

uint64_t UserDevice::gpa(const void* address) const
{
	const auto* p = static_cast<const uint8_t*>(address);
	for (const SharedRegion* r : {&receive_, &send_, &control_})
		if (r->memory != nullptr && p >= r->region.data &&
		    p < r->region.data + r->region.size)
			return r->gpa + static_cast<uint64_t>(p - r->region.data);
	return kGpaUnknown;
}

void UserDevice::release()
{
	{
		std::lock_guard lock(offers_mutex_);
		for (const Subchannel& s : subchannels_)
			connection_->release_relid(s.offer.relid);
		subchannels_.clear();
	}
	connection_->release_relid(offer_.relid);
}

void UserDevice::add_subchannel(const OfferChannel& offer)
{
	std::lock_guard lock(offers_mutex_);
	subchannels_.push_back({offer});
}

bool UserDevice::drop_subchannel(uint32_t relid)
{
	std::lock_guard lock(offers_mutex_);
	for (Subchannel& s : subchannels_)
		if (s.offer.relid == relid && s.opened)
			return s.rescinded = true;
	std::erase_if(subchannels_,
		      [relid](const Subchannel& s) { return s.offer.relid == relid; });
	return false;
}

} // namespace vmbus::user
