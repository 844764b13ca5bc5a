/* SPDX-License-Identifier: BSD-3-Clause */
#include "descriptor_table.hpp"

#include <mutex>
#include <utility>

namespace vmbus {

constinit DescriptorTable descriptor_table;

static std::mutex mutex; /* one taker at a time */

Error DescriptorSlot::take(int fd)
{
	std::lock_guard lock(mutex);
	for (uint32_t slot = 1; slot < kDescriptorSlots; slot++)
		if (descriptor_table.at(slot) < 0) {
			descriptor_table.set(slot, fd);
			number_ = slot;
			return {};
		}
	return {EMFILE, "more channels than there are slots for their descriptors"};
}

DescriptorSlot::~DescriptorSlot()
{
	if (number_ != 0)
		descriptor_table.set(number_, -1);
}

DescriptorSlot::DescriptorSlot(DescriptorSlot&& other) noexcept
	: number_(std::exchange(other.number_, 0))
{
}

DescriptorSlot& DescriptorSlot::operator=(DescriptorSlot&& other) noexcept
{
	std::swap(number_, other.number_);
	return *this;
}

} // namespace vmbus
