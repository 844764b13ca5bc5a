/* SPDX-License-Identifier: BSD-3-Clause */
#include "rx_hold.hpp"

#include <new>

namespace netvsc {

HoldPool* HoldPool::create(uint32_t frames, std::shared_ptr<void> buffer,
			   std::pmr::memory_resource* memory)
{
	void* place = memory->allocate(sizeof(HoldPool), alignof(HoldPool));
	try {
		return new (place) HoldPool(frames, std::move(buffer), memory);
	} catch (...) {
		memory->deallocate(place, sizeof(HoldPool), alignof(HoldPool));
		throw;
	}
}

HoldPool::HoldPool(uint32_t frames, std::shared_ptr<void> buffer, std::pmr::memory_resource* memory)
	: memory_(memory), holds_(frames, memory), buffer_(std::move(buffer)), left_(frames)
{
	for (uint32_t i = 0; i < frames; i++) {
		Hold& hold = holds_[i];
		hold.pool = this;
		hold.next = free_;
		free_ = &hold;
	}
}

void HoldPool::destroy()
{
	std::pmr::memory_resource* memory = memory_;
	this->~HoldPool();
	memory->deallocate(this, sizeof(HoldPool), alignof(HoldPool));
}

} // namespace netvsc
