/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Descriptors by slot. Channels lie in memory that several processes may share, where the number of
 * a descriptor would mean something else to each: they say a slot, and every process has its own
 * descriptor in it.
 */
#pragma once

#include <array>

#include "atomic.hpp"
#include "error.hpp"

namespace vmbus {

/** Two for each of 64 channels of 32 devices. */
inline constexpr uint32_t kDescriptorSlots = 4096;

/** Slot 0 stays empty: it is the one of whoever has no descriptor. */
class DescriptorTable {
      public:
	int at(uint32_t slot) const { return load_once(&descriptors_[slot]) - 1; }
	void set(uint32_t slot, int fd) { store_relaxed(&descriptors_[slot], fd + 1); }

      private:
	std::array<int, kDescriptorSlots> descriptors_{}; /* plus one: 0 = none */
};

/** This process's. */
extern DescriptorTable descriptor_table;

/** A slot for as long as this object lives. Taken by the process that shares its channels. */
class DescriptorSlot {
      public:
	DescriptorSlot() = default;
	~DescriptorSlot();
	DescriptorSlot(DescriptorSlot&& other) noexcept;
	DescriptorSlot& operator=(DescriptorSlot&& other) noexcept;

	/** @param fd stays the caller's, and open for as long as the slot is taken */
	Error take(int fd);
	uint32_t number() const { return number_; }

      private:
	uint32_t number_ = 0;
};

} // namespace vmbus
