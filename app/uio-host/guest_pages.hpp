/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The process's memory as the host sees it. Physical addresses are made up: they are what
 * /proc/self/pagemap tells, and what a guest was not told the host does not reach.
 *
 * They begin at 4 GiB. Addresses within a block of 2 MiB are consecutive, blocks are not, as with
 * hugepages.
 */
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "vmbus/user_connection.hpp"

namespace uio_host {

class GuestPages {
      public:
	/** The host behind a connection sees the memory, too. */
	void add(std::shared_ptr<vmbus::user::Connection> connection);
	void remove(const vmbus::user::Connection& connection);

	/** The entry of /proc/self/pagemap for a page; 0: there is no memory. */
	uint64_t pagemap_entry(uint64_t address);
	/** The process unmaps this, or maps something else there. */
	void unmapped(uint64_t address, uint64_t size);

      private:
	/** What hosts know: a block, or a page of one. */
	struct Shared {
		uint64_t size;
		uint64_t physical;
	};
	uint64_t physical_locked(uint64_t address);

	std::mutex mutex_;
	std::map<uint64_t, Shared> shared_; /* by address */
	std::map<uint64_t, uint64_t>
		blocks_; /* physical address of each block that was asked for */
	std::vector<std::shared_ptr<vmbus::user::Connection>> connections_;
};

} // namespace uio_host
