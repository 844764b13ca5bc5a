/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The VMBus driver of the emulated kernel: devices come and go as a host offers and rescinds them,
 * and what a host signals reaches its device. A thread of its own does it.
 */
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "device.hpp"
#include "guest_pages.hpp"

namespace uio_host {

/** What the devices of all buses share. */
struct Machine {
	explicit Machine(const Generation& g, const std::string& root) : generation(g), tree(root)
	{
	}
	const Generation& generation;
	SysfsTree tree;
	GuestPages pages;

	std::mutex mutex;				     /* guards what follows */
	std::map<int, std::shared_ptr<HvUioDevice>> devices; /* by the number of their node */

	int lowest_free_number() const;
	bool is_shown(const vmbus::Guid& instance) const;
};

class Bus {
      public:
	/** The first offers of the host are devices when it returns. */
	Bus(Machine& machine, std::shared_ptr<vmbus::user::Connection> connection);
	~Bus();
	Bus(const Bus&) = delete;
	Bus& operator=(const Bus&) = delete;

      private:
	void loop();
	void handle_events();
	void offered(const vmbus::user::OfferChannel& offer);
	void rescinded(uint32_t relid);
	void remove_all();
	std::vector<std::shared_ptr<HvUioDevice>> devices();

	Machine& machine_;
	const std::shared_ptr<vmbus::user::Connection> connection_;
	const int wake_;
	std::atomic<bool> stopping_{false};
	std::vector<std::weak_ptr<HvUioDevice>> own_; /* of the thread, after the constructor */
	std::thread thread_;
};

} // namespace uio_host
