/* SPDX-License-Identifier: BSD-3-Clause */
#include "guest_pages.hpp"

#include <cinttypes>
#include <cstdio>

namespace uio_host {

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kBlock = 2u << 20;
/* Above what addresses of a process can be, and below what the kernel's own memory has. */
constexpr uint64_t kFirst = uint64_t{1} << 48;
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

void share(vmbus::user::Connection& connection, uint64_t address, uint64_t size)
{
	if (vmbus::Error error = connection.add_memory(
		    GuestPages::physical(address), reinterpret_cast<void*>(address), size, -1, 0))
		std::fprintf(stderr, "uio-host: memory at 0x%" PRIx64 ": %s\n", address,
			     error.what.c_str());
}

} // namespace

uint64_t GuestPages::physical(uint64_t address)
{
	return kFirst + (((address / kBlock) ^ kShuffle) * kBlock) + address % kBlock;
}

void GuestPages::add(std::shared_ptr<vmbus::user::Connection> connection)
{
	std::map<uint64_t, uint64_t> blocks;
	{
		std::lock_guard lock(mutex_);
		connections_.push_back(connection);
		blocks = blocks_;
	}
	for (const auto& [address, size] : blocks)
		share(*connection, address, size);
}

void GuestPages::remove(const vmbus::user::Connection& connection)
{
	std::lock_guard lock(mutex_);
	std::erase_if(connections_, [&](const auto& c) { return c.get() == &connection; });
}

uint64_t GuestPages::pagemap_entry(uint64_t address)
{
	const uint64_t page = address / kPage * kPage;
	const uint64_t entry = kPresent | physical(page) / kPage;
	/* The whole block, if it is mapped and none of it is known. */
	uint64_t start = page / kBlock * kBlock;
	uint64_t size = kBlock;
	std::vector<std::shared_ptr<vmbus::user::Connection>> connections;
	{
		std::lock_guard lock(mutex_);
		auto known = blocks_.upper_bound(page);
		if (known != blocks_.begin() &&
		    page - std::prev(known)->first < std::prev(known)->second)
			return entry;
		uint64_t begin = 0;
		uint64_t end = 0;
		if (!find_mapping(page, begin, end))
			return 0;
		known = blocks_.lower_bound(start);
		if (start < begin || start + size > end ||
		    (known != blocks_.end() && known->first < start + size)) {
			start = page;
			size = kPage;
		}
		blocks_[start] = size;
		connections = connections_;
	}
	/* Without the lock: a host in this process may come by here before it answers. */
	for (const auto& connection : connections)
		share(*connection, start, size);
	return entry;
}

void GuestPages::unmapped(uint64_t address, uint64_t size)
{
	std::vector<std::pair<uint64_t, uint64_t>> gone;
	std::vector<std::shared_ptr<vmbus::user::Connection>> connections;
	{
		std::lock_guard lock(mutex_);
		auto it = blocks_.upper_bound(address);
		if (it != blocks_.begin() && std::prev(it)->first + std::prev(it)->second > address)
			--it;
		while (it != blocks_.end() && it->first < address + size) {
			gone.push_back(*it);
			it = blocks_.erase(it);
		}
		if (gone.empty())
			return;
		connections = connections_;
	}
	for (const auto& connection : connections)
		for (const auto& [start, length] : gone)
			(void)connection->remove_memory(physical(start), length).code;
}

} // namespace uio_host
