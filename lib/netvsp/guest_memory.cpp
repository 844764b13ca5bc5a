/* SPDX-License-Identifier: BSD-3-Clause */
#include "guest_memory.hpp"

#include <algorithm>
#include <limits>

#include <sys/mman.h>
#include <sys/stat.h>

#include "os/memory.hpp"

namespace netvsp {

using vmbus::user::Status;

namespace {

/* Regions that lie within this distance of the first one keep their relative place. It costs
 * address space only. */
constexpr uint64_t kWindow = 256ull << 30;
/* The largest huge page: within a window, addresses agree modulo this. */
constexpr uint64_t kAlign = 1ull << 30;
constexpr size_t kMaxRegions = 65536;

} // namespace

Status GuestMemory::check(uint64_t gpa, uint64_t size, size_t& position) const
{
	if (size == 0 || (gpa | size) % vmbus::kPageSize != 0 ||
	    size > std::numeric_limits<uint64_t>::max() - gpa)
		return Status::kBadArgument;
	if (regions_.size() >= kMaxRegions)
		return Status::kNoResource;
	auto next = std::lower_bound(regions_.begin(), regions_.end(), gpa,
				     [](const Region& r, uint64_t at) { return r.gpa < at; });
	if (next != regions_.end() && next->gpa < gpa + size)
		return Status::kBadArgument;
	if (next != regions_.begin() && std::prev(next)->gpa + std::prev(next)->size > gpa)
		return Status::kBadArgument;
	position = size_t(next - regions_.begin());
	return Status::kOk;
}

uint8_t* GuestMemory::place(uint64_t gpa, uint64_t size, uint64_t offset, int fd, bool& in_window)
{
	constexpr int kProt = PROT_READ | PROT_WRITE;
	if (!window_) {
		if (void* at = os::reserve_addresses(kWindow + kAlign)) {
			auto start = reinterpret_cast<uintptr_t>(at);
			uintptr_t aligned = (start + kAlign - 1) / kAlign * kAlign;
			if (aligned > start)
				munmap(at, aligned - start);
			munmap(reinterpret_cast<void*>(aligned + kWindow),
			       start + kAlign - aligned);
			window_ = reinterpret_cast<uint8_t*>(aligned);
			/* The first region goes to the middle: others may lie below it. */
			uint64_t base = gpa / kAlign * kAlign;
			window_gpa_ = base > kWindow / 2 ? base - kWindow / 2 : 0;
		}
	}
	if (window_ && gpa >= window_gpa_ && size <= kWindow &&
	    gpa - window_gpa_ <= kWindow - size) {
		void* at = mmap(window_ + (gpa - window_gpa_), size, kProt, MAP_SHARED | MAP_FIXED,
				fd, off_t(offset));
		if (at != MAP_FAILED) {
			in_window = true;
			return static_cast<uint8_t*>(at);
		}
		/* A failed MAP_FIXED may have removed what was there: reserve it again. */
		os::reserve_again(window_ + (gpa - window_gpa_), size);
	}
	in_window = false;
	void* at = mmap(nullptr, size, kProt, MAP_SHARED, fd, off_t(offset));
	return at == MAP_FAILED ? nullptr : static_cast<uint8_t*>(at);
}

Status GuestMemory::add_file(uint64_t gpa, uint64_t size, uint64_t offset, int fd)
{
	size_t position;
	if (Status s = check(gpa, size, position); s != Status::kOk)
		return s;
	struct stat st;
	if (fstat(fd, &st) != 0 || offset % vmbus::kPageSize != 0 || st.st_size < 0 ||
	    offset > uint64_t(st.st_size) || size > uint64_t(st.st_size) - offset)
		return Status::kBadArgument;
	bool in_window;
	uint8_t* host = place(gpa, size, offset, fd, in_window);
	if (!host)
		return Status::kNoResource;
	regions_.insert(regions_.begin() + ptrdiff_t(position), {gpa, size, host, true, in_window});
	return Status::kOk;
}

Status GuestMemory::add_local(uint64_t gpa, uint64_t size, uint64_t address)
{
	size_t position;
	if (Status s = check(gpa, size, position); s != Status::kOk)
		return s;
	if (address == 0 || address % vmbus::kPageSize != 0 ||
	    size > std::numeric_limits<uint64_t>::max() - address)
		return Status::kBadArgument;
	regions_.insert(regions_.begin() + ptrdiff_t(position),
			{gpa, size, reinterpret_cast<uint8_t*>(address), false, false});
	return Status::kOk;
}

Status GuestMemory::remove(uint64_t gpa, uint64_t size)
{
	auto it = std::lower_bound(regions_.begin(), regions_.end(), gpa,
				   [](const Region& r, uint64_t at) { return r.gpa < at; });
	if (it == regions_.end() || it->gpa != gpa || it->size != size)
		return Status::kUnknownId;
	unmap(*it);
	regions_.erase(it);
	last_ = 0;
	return Status::kOk;
}

void GuestMemory::unmap(const Region& region)
{
	if (!region.mapped)
		return;
	if (region.in_window) /* give the memory back, keep the address reserved */
		os::reserve_again(region.host, region.size);
	else
		munmap(region.host, region.size);
}

void GuestMemory::clear()
{
	for (const Region& region : regions_)
		unmap(region);
	regions_.clear();
	last_ = 0;
	if (window_)
		munmap(window_, kWindow);
	window_ = nullptr;
}

uint8_t* GuestMemory::translate_slow(uint64_t gpa, uint64_t size) const
{
	auto it = std::upper_bound(regions_.begin(), regions_.end(), gpa,
				   [](uint64_t at, const Region& r) { return at < r.gpa; });
	if (it == regions_.begin() || size > std::numeric_limits<uint64_t>::max() - gpa)
		return nullptr;
	--it;
	if (gpa - it->gpa >= it->size)
		return nullptr;
	last_ = size_t(it - regions_.begin());
	uint8_t* start = it->host + (gpa - it->gpa);
	/* The range may go on in regions that follow directly, for the guest and here. */
	while (gpa + size > it->gpa + it->size) {
		auto next = std::next(it);
		if (next == regions_.end() || next->gpa != it->gpa + it->size ||
		    next->host != it->host + it->size)
			return nullptr;
		it = next;
	}
	return start;
}

} // namespace netvsp
