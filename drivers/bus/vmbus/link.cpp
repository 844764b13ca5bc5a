/* SPDX-License-Identifier: BSD-3-Clause */
#include "link.hpp"

#include <algorithm>
#include <thread>

#include "log.hpp"
#include "memory_table.hpp"
#include "vmbus/guid.hpp"

namespace vmbus::bus {

/* How often ports of devices that are gone are looked at for having been closed. */
static constexpr uint64_t kReapUs = 20000;

Link::Link(std::shared_ptr<user::Connection> connection, bool share_memory)
	: connection_(std::move(connection)), shares_memory_(share_memory)
{
}

Error Link::create(std::shared_ptr<user::Connection> connection, bool share_memory,
		   std::unique_ptr<Link>& out)
{
	std::unique_ptr<Link> link(new Link(std::move(connection), share_memory));
	user::Connection& c = *link->connection_;
	if (share_memory) {
		/* Runs in a probe, on the main lcore, before the application maps more memory. */
		if (Error error = bus::share_memory(c))
			return error;
		follow_memory(c);
	}
	link->interrupt_ = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (link->interrupt_ == nullptr)
		return {ENOMEM, "no memory for an interrupt handle"};
	rte_intr_fd_set(link->interrupt_, c.fd());
	rte_intr_type_set(link->interrupt_, RTE_INTR_HANDLE_EXT);
	c.set_notify([l = link.get()] { l->take_events(); });
	if (int rc = rte_intr_callback_register(link->interrupt_, on_readable, link.get()); rc < 0)
		return {-rc, "EAL takes no interrupt callback"};
	link->interrupt_on_ = true;
	out = std::move(link);
	return {};
}

Link::~Link()
{
	if (interrupt_on_)
		rte_intr_callback_unregister_sync(interrupt_, on_readable, this);
	connection_->set_notify(nullptr);
	rte_eal_alarm_cancel(on_alarm, this);
	for (;;) {
		std::unique_ptr<BusDevice> device;
		{
			std::lock_guard lock(mutex_);
			if (devices_.empty())
				break;
			device = std::move(devices_.back());
			devices_.pop_back();
		}
		remove(std::move(device));
	}
	if (shares_memory_)
		unfollow_memory(*connection_);
	rte_intr_instance_free(interrupt_);
}

void Link::on_readable(void* arg)
{
	auto* link = static_cast<Link*>(arg);
	link->connection_->dispatch();
	/* A closed socket stays readable: EAL would call for ever. */
	if (link->connection_->disconnected())
		rte_intr_callback_unregister_pending(
			link->interrupt_, on_readable, link, [](rte_intr_handle*, void* l) {
				static_cast<Link*>(l)->interrupt_on_ = false;
			});
}

void Link::take_events()
{
	bool news = false;
	for (const user::Event& event : connection_->take_events()) {
		std::lock_guard lock(mutex_);
		const auto mark = [&](BusDevice& device) {
			user_device(device).mark_rescinded();
			gone_.push_back(&device);
			news = true;
		};
		switch (event.kind) {
		case user::Event::kOffer:
			if (event.offer.subchannel_index == 0) {
				offers_.push_back(event.offer);
				news |= adopt_ != nullptr;
				break;
			}
			for (auto& device : devices_)
				if (device->device->instance_id() == event.offer.instance_id)
					user_device(*device).add_subchannel(event.offer);
			break;
		case user::Event::kRescind:
			rescinded(event.relid, mark);
			break;
		case user::Event::kDisconnected:
			VMBUS_LOG(NOTICE, "the host closed the connection");
			offers_.clear();
			for (auto& device : devices_)
				mark(*device);
			break;
		}
	}
	if (news)
		schedule();
}

template <class Mark> void Link::rescinded(uint32_t relid, Mark&& mark)
{
	for (auto& device : devices_)
		if (user_device(*device).relid() == relid) {
			mark(*device); /* its channels are released when the driver let go */
			return;
		}
	for (auto& device : devices_)
		if (user_device(*device).drop_subchannel(relid))
			return;
	std::erase_if(offers_, [&](const auto& o) { return o.relid == relid; });
	connection_->release_relid(relid);
}

/* Applications are told on the interrupt thread, where no lock of anybody's is held. */
void Link::schedule(uint64_t us)
{
	if (rte_eal_alarm_set(us, on_alarm, this) != 0)
		VMBUS_LOG(ERR, "cannot tell the application what the host did");
}

void Link::on_alarm(void* arg)
{
	auto* link = static_cast<Link*>(arg);
	link->tell_gone();
	if (link->reap())
		link->schedule(kReapUs);
	link->adopt_offers();
}

void Link::tell_gone()
{
	for (;;) {
		BusDevice* device;
		{
			std::lock_guard lock(mutex_);
			if (gone_.empty())
				return;
			device = gone_.back();
			gone_.pop_back();
		}
		VMBUS_LOG(NOTICE, "%s: the device is gone", device->name.c_str());
		device->driver->gone(*device);
	}
}

/*
 * A device that is gone goes when the application closed its port: only then may the host offer it
 * again. @return whether there are such ports still
 */
bool Link::reap()
{
	for (;;) {
		std::unique_ptr<BusDevice> device;
		{
			std::lock_guard lock(mutex_);
			const auto is_gone = [](const auto& d) {
				return d->attached && d->device->gone();
			};
			const auto it =
				std::find_if(devices_.begin(), devices_.end(), [&](const auto& d) {
					return is_gone(d) && d->driver_data == nullptr;
				});
			if (it == devices_.end())
				return std::any_of(devices_.begin(), devices_.end(), is_gone);
			device = std::move(*it);
			devices_.erase(it);
			std::erase(gone_, device.get());
		}
		remove(std::move(device));
	}
}

void Link::follow_offers(std::function<void(const user::OfferChannel&)> adopt)
{
	std::lock_guard lock(mutex_);
	adopt_ = std::move(adopt);
	if (!offers_.empty())
		schedule();
}

void Link::adopt_offers()
{
	std::vector<user::OfferChannel> fresh;
	{
		std::lock_guard lock(mutex_);
		if (adopt_ == nullptr)
			return;
		fresh = offers_;
	}
	for (const user::OfferChannel& offer : fresh)
		adopt_(offer);
}

std::vector<user::OfferChannel> Link::offers()
{
	connection_->dispatch();
	std::lock_guard lock(mutex_);
	return offers_;
}

Error Link::wait_for_offer(const Guid& instance, user::OfferChannel& offer)
{
	const auto deadline = std::chrono::steady_clock::now() + connection_->timeout();
	for (;;) {
		for (const user::OfferChannel& o : offers())
			if (o.instance_id == instance) {
				offer = o;
				return {};
			}
		if (connection_->disconnected())
			return {ENOTCONN, "the host closed the connection"};
		if (std::chrono::steady_clock::now() >= deadline)
			return {ETIMEDOUT, "the host did not offer its new NIC"};
		std::this_thread::sleep_for(std::chrono::microseconds(200));
	}
}

Error Link::attach(const user::OfferChannel& offer, const user::BufferSizes& sizes,
		   std::unique_ptr<BusDevice> device)
{
	const Driver* driver = find_driver(offer.class_id);
	if (driver == nullptr)
		return {ENODEV, "no driver for devices of class " + to_string(offer.class_id)};
	device->device = std::make_unique<user::UserDevice>(connection_, offer, sizes);
	device->driver = driver;
	BusDevice* d = device.get();
	{
		std::lock_guard lock(mutex_);
		std::erase_if(offers_, [&](const auto& o) { return o.relid == offer.relid; });
		devices_.push_back(std::move(device));
	}
	const int rc = driver->probe(*d);
	std::lock_guard lock(mutex_);
	if (rc == 0) {
		d->attached = true;
		return {};
	}
	std::erase(gone_, d);
	std::erase_if(devices_, [d](const auto& other) { return other.get() == d; });
	offers_.push_back(offer);
	return {-rc, std::string(driver->name) + " did not take the device"};
}

void Link::remove(std::unique_ptr<BusDevice> device)
{
	device->driver->remove(*device);
	device->device->close();
	if (device->device->gone())
		user_device(*device).release();
}

void Link::detach(const rte_device* parent)
{
	for (;;) {
		std::unique_ptr<BusDevice> device;
		{
			std::lock_guard lock(mutex_);
			const auto it =
				std::find_if(devices_.begin(), devices_.end(),
					     [&](const auto& d) { return d->parent == parent; });
			if (it == devices_.end())
				return;
			device = std::move(*it);
			devices_.erase(it);
			std::erase(gone_, device.get());
		}
		settle_alarm();
		remove(std::move(device));
	}
}

/* Returns when no other thread is telling the application about a device any more. */
void Link::settle_alarm()
{
	rte_eal_alarm_cancel(on_alarm, this); /* waits, unless this is called by the alarm */
	std::lock_guard lock(mutex_);
	if (!gone_.empty() || (adopt_ != nullptr && !offers_.empty()))
		schedule();
}

bool Link::has_devices()
{
	std::lock_guard lock(mutex_);
	return !devices_.empty();
}

} // namespace vmbus::bus
