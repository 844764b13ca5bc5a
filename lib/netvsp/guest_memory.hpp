/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The guest-physical memory that a guest shared with the host.
 *
 * A region is a piece of a file, which is mapped here, or memory of this very process. Mapped
 * regions are placed so that what is adjacent for the guest is adjacent here where that is
 * possible: a buffer may then span regions (huge pages are often one file each).
 */
#pragma once

#include <cstdint>
#include <vector>

#include "vmbus/user_proto.hpp"

namespace netvsp {

class GuestMemory {
      public:
	GuestMemory() = default;
	~GuestMemory() { clear(); }
	GuestMemory(const GuestMemory&) = delete;
	GuestMemory& operator=(const GuestMemory&) = delete;

	/** Maps `size` bytes of `fd` from `offset` at `gpa`; the caller keeps the descriptor. */
	vmbus::user::Status add_file(uint64_t gpa, uint64_t size, uint64_t offset, int fd);
	/** Takes `size` bytes at `address` of this process as the memory at `gpa`. */
	vmbus::user::Status add_local(uint64_t gpa, uint64_t size, uint64_t address);
	/** Takes exactly one region away, which must have been added with these values. */
	vmbus::user::Status remove(uint64_t gpa, uint64_t size);
	void clear();

	/** @return where [gpa, gpa + size) is, or null if it is not all there or not contiguous */
	uint8_t* translate(uint64_t gpa, uint64_t size) const
	{
		if (last_ < regions_.size()) {
			const Region& r = regions_[last_];
			if (gpa >= r.gpa && gpa - r.gpa < r.size && size <= r.size - (gpa - r.gpa))
				return r.host + (gpa - r.gpa);
		}
		return translate_slow(gpa, size);
	}

	size_t region_count() const { return regions_.size(); }

      private:
	struct Region {
		uint64_t gpa;
		uint64_t size;
		uint8_t* host;
		bool mapped;
		bool in_window;
	};

	uint8_t* translate_slow(uint64_t gpa, uint64_t size) const;
	vmbus::user::Status check(uint64_t gpa, uint64_t size, size_t& position) const;
	uint8_t* place(uint64_t gpa, uint64_t size, uint64_t offset, int fd, bool& in_window);
	void unmap(const Region& region);

	std::vector<Region> regions_; /* sorted by gpa, never overlapping */
	mutable size_t last_ = 0;
	uint8_t* window_ = nullptr; /* reserved address space */
	uint64_t window_gpa_ = 0;   /* the guest-physical address at its start */
};

} // namespace netvsp
