/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A connection to a vmbus-user host within EAL: its events come through EAL's interrupt thread, and
 * its devices are handed to their drivers.
 */
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "bus.hpp"
#include "vmbus/user_device.hpp"

namespace vmbus::bus {

class Link {
      public:
	/**
	 * @param connection past its handshake
	 * @param share_memory whether the host may reach the application's memory
	 */
	static Error create(std::shared_ptr<user::Connection> connection, bool share_memory,
			    std::unique_ptr<Link>& out);
	~Link(); /**< removes what is left of its devices */
	Link(const Link&) = delete;
	Link& operator=(const Link&) = delete;

	/** Devices that the host offers and nobody took yet. */
	std::vector<user::OfferChannel> offers();
	/** Waits for the offer of a device. */
	Error wait_for_offer(const Guid& instance, user::OfferChannel& offer);

	/** From now on `adopt` gets what the host offers, on EAL's interrupt thread. */
	void follow_offers(std::function<void(const user::OfferChannel&)> adopt);

	/** Hands an offered device to its driver. `device` (but its member) is filled in. */
	Error attach(const user::OfferChannel& offer, const user::BufferSizes& sizes,
		     std::unique_ptr<BusDevice> device);
	/** Takes the devices from their drivers that belong to this parent. */
	void detach(const rte_device* parent);
	bool has_devices();

	user::Connection& connection() { return *connection_; }

      private:
	Link(std::shared_ptr<user::Connection> connection, bool share_memory);
	void take_events();
	template <class Mark> void rescinded(uint32_t relid, Mark&& mark);
	void schedule(uint64_t us = 1);
	void settle_alarm();
	void tell_gone();
	bool reap();
	void adopt_offers();
	static void on_readable(void* arg);
	static void on_alarm(void* arg);
	void remove(std::unique_ptr<BusDevice> device);
	static user::UserDevice& user_device(BusDevice& d)
	{
		return static_cast<user::UserDevice&>(*d.device);
	}

	const std::shared_ptr<user::Connection> connection_;
	const bool shares_memory_;
	rte_intr_handle* interrupt_ = nullptr;
	bool interrupt_on_ = false;

	std::mutex mutex_; /* guards the lists; never held while a driver or the host is called */
	std::vector<user::OfferChannel> offers_;
	std::vector<std::unique_ptr<BusDevice>> devices_;
	std::vector<BusDevice*> gone_; /* the application is yet to be told */
	std::function<void(const user::OfferChannel&)> adopt_;
};

} // namespace vmbus::bus
