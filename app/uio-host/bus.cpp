/* SPDX-License-Identifier: BSD-3-Clause */
#include "bus.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "vmbus/guid.hpp"

namespace uio_host {

using vmbus::user::Event;
using vmbus::user::OfferChannel;

int Machine::lowest_free_number() const
{
	int number = 0;
	while (devices.count(number) != 0)
		number++;
	return number;
}

bool Machine::is_shown(const vmbus::Guid& instance) const
{
	return std::any_of(devices.begin(), devices.end(), [&](const auto& entry) {
		return entry.second->name() == to_string(instance);
	});
}

Bus::Bus(Machine& machine, std::shared_ptr<vmbus::user::Connection> connection)
	: machine_(machine), connection_(std::move(connection)), wake_(eventfd(0, EFD_CLOEXEC))
{
	machine_.pages.add(connection_);
	handle_events();
	connection_->set_notify([this] {
		const uint64_t one = 1;
		[[maybe_unused]] const ssize_t n = write(wake_, &one, sizeof(one));
	});
	thread_ = std::thread([this] { loop(); });
}

Bus::~Bus()
{
	stopping_ = true;
	const uint64_t one = 1;
	[[maybe_unused]] const ssize_t n = write(wake_, &one, sizeof(one));
	thread_.join();
	connection_->set_notify(nullptr);
	remove_all();
	machine_.pages.remove(*connection_);
	close(wake_);
}

std::vector<std::shared_ptr<HvUioDevice>> Bus::devices()
{
	std::vector<std::shared_ptr<HvUioDevice>> out;
	for (const auto& weak : own_)
		if (auto device = weak.lock())
			out.push_back(std::move(device));
	return out;
}

/* Channels open and close meanwhile, on other threads: the list is made anew every time. */
void Bus::loop()
{
	constexpr int kLookMs = 20;
	while (!stopping_) {
		std::vector<std::pair<int, uint32_t>> signals;
		std::vector<std::pair<std::shared_ptr<HvUioDevice>, uint32_t>> who;
		std::vector<pollfd> fds = {{wake_, POLLIN, 0}};
		if (!connection_->disconnected())
			fds.push_back({connection_->fd(), POLLIN, 0});
		const size_t first = fds.size();
		for (auto& device : devices()) {
			signals.clear();
			device->signals(signals);
			for (const auto& [fd, relid] : signals) {
				fds.push_back({fd, POLLIN, 0});
				who.emplace_back(device, relid);
			}
		}
		if (poll(fds.data(), fds.size(), kLookMs) <= 0)
			continue;
		uint64_t count;
		if (fds[0].revents != 0 && read(wake_, &count, sizeof(count)) < 0)
			continue;
		for (size_t i = first; i < fds.size(); i++)
			if (fds[i].revents & POLLIN)
				who[i - first].first->interrupt(who[i - first].second);
		if (!connection_->disconnected())
			connection_->dispatch();
		handle_events();
	}
}

void Bus::handle_events()
{
	for (const Event& event : connection_->take_events()) {
		if (event.kind == Event::kOffer)
			offered(event.offer);
		else if (event.kind == Event::kRescind)
			rescinded(event.relid);
		else
			remove_all();
	}
}

void Bus::offered(const OfferChannel& offer)
{
	if (offer.subchannel_index != 0) {
		for (auto& device : devices())
			if (device->instance() == offer.instance_id)
				device->add_subchannel(offer);
		return;
	}
	std::shared_ptr<HvUioDevice> device;
	{
		std::lock_guard lock(machine_.mutex);
		/* Two hosts may number their NICs alike; one machine has each number once. */
		vmbus::Guid shown = offer.instance_id;
		while (machine_.is_shown(shown))
			shown.bytes[8]++;
		const int number = machine_.lowest_free_number();
		device = std::make_shared<HvUioDevice>(connection_, offer, shown, number,
						       machine_.generation, machine_.tree);
		machine_.devices[number] = device;
	}
	own_.push_back(device);
	if (vmbus::Error error = device->bind())
		std::fprintf(stderr, "uio-host: uio_hv_generic does not bind %s: %s\n",
			     device->name().c_str(), error.what.c_str());
}

void Bus::rescinded(uint32_t relid)
{
	for (auto& device : devices()) {
		if (!device->rescind(relid) || device->relid() != relid)
			continue;
		std::lock_guard lock(machine_.mutex);
		machine_.devices.erase(device->number());
	}
}

/* The host died. */
void Bus::remove_all()
{
	for (auto& device : devices())
		rescinded(device->relid());
	own_.clear();
}

} // namespace uio_host
