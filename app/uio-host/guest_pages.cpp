/* SPDX-License-Identifier: BSD-3-Clause */
#include "guest_pages.hpp"

#include <cinttypes>
#include <cstdio>

namespace uio_host {

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kBlock = 2u << 20;
constexpr uint64_t kFirst = uint64_t{4} << 30;
/* Consecutive blocks of a process are not consecutive for the host. */
constexpr uint64_t kShuffle = 0x2d;
constexpr uint64_t kPresent = uint64_t{1} << 63;

/* @return the bounds of the mapping with this address, false if there is none */
bool find_mapping(uint64_t address, uint64_t& begin, uint64_t& end)
{
	FILE* maps = std::fopen("/proc/self/maps", "re");
	if (maps == nullptr)
		return false;
	char line[512];
	bool found = false;
	while (!found && std::fgets(line, sizeof(line), maps) != nullptr)
		found = std::sscanf(line, "%" SCNx64 "-%" SCNx64, &begin, &end) == 2 &&
			address >= begin && address < end;
	std::fclose(maps);
	return found;
}

void share(vmbus::user::Connection& connection, uint64_t address, uint64_t physical, uint64_t size)
{
	if (connection.disconnected())
		return;
	if (vmbus::Error error =
		    connection.add_memory(physical, reinterpret_cast<void*>(address), size, -1, 0))
		std::fprintf(stderr, "uio-host: memory at 0x%" PRIx64 ": %s\n", address,
			     error.what.c_str());
}

} // namespace

uint64_t GuestPages::physical_locked(uint64_t address)
{
	const uint64_t block = address / kBlock * kBlock;
	const auto [it, fresh] = blocks_.try_emplace(block, 0);
	if (fresh)
		it->second = kFirst + ((blocks_.size() - 1) ^ kShuffle) * kBlock;
	return it->second + (address - block);
}

void GuestPages::add(std::shared_ptr<vmbus::user::Connection> connection)
{
	std::map<uint64_t, Shared> known;
	{
		std::lock_guard lock(mutex_);
		connections_.push_back(connection);
		known = shared_;
	}
	for (const auto& [address, s] : known)
		share(*connection, address, s.physical, s.size);
}

void GuestPages::remove(const vmbus::user::Connection& connection)
{
	std::lock_guard lock(mutex_);
	std::erase_if(connections_, [&](const auto& c) { return c.get() == &connection; });
}

uint64_t GuestPages::pagemap_entry(uint64_t address)
{
	const uint64_t page = address / kPage * kPage;
	/* The whole block, if it is mapped and none of it is known. */
	uint64_t start = page / kBlock * kBlock;
	uint64_t size = kBlock;
	uint64_t entry = 0;
	uint64_t physical = 0;
	std::vector<std::shared_ptr<vmbus::user::Connection>> connections;
	{
		std::lock_guard lock(mutex_);
		uint64_t begin = 0;
		uint64_t end = 0;
		auto known = shared_.upper_bound(page);
		const bool there = known != shared_.begin() &&
				   page - std::prev(known)->first < std::prev(known)->second.size;
		if (!there && !find_mapping(page, begin, end))
			return 0;
		entry = kPresent | physical_locked(page) / kPage;
		if (there)
			return entry;
		known = shared_.lower_bound(start);
		if (start < begin || start + size > end ||
		    (known != shared_.end() && known->first < start + size)) {
			start = page;
			size = kPage;
		}
		physical = physical_locked(start);
		shared_[start] = {size, physical};
		connections = connections_;
	}
	/* Without the lock: a host in this process may come by here before it answers. */
	for (const auto& connection : connections)
		share(*connection, start, physical, size);
	return entry;
}

void GuestPages::unmapped(uint64_t address, uint64_t size)
{
	std::vector<Shared> gone;
	std::vector<std::shared_ptr<vmbus::user::Connection>> connections;
	{
		std::lock_guard lock(mutex_);
		auto it = shared_.upper_bound(address);
		if (it != shared_.begin() &&
		    std::prev(it)->first + std::prev(it)->second.size > address)
			--it;
		while (it != shared_.end() && it->first < address + size) {
			gone.push_back(it->second);
			it = shared_.erase(it);
		}
		if (gone.empty())
			return;
		connections = connections_;
	}
	for (const auto& connection : connections)
		for (const Shared& s : gone)
			(void)connection->remove_memory(s.physical, s.size).code;
}

} // namespace uio_host
