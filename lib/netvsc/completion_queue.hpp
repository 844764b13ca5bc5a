/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Transmit completions on their way from whoever reads the channel's ring (the receiving lcore,
 * mostly) to the transmitting lcore: one producer at a time, one consumer at a time.
 */
#pragma once

#include "array.hpp"
#include "vmbus/atomic.hpp"

namespace netvsc {

class CompletionQueue {
      public:
	/** @param capacity a power of two, as many as transmit slots can be in flight */
	explicit CompletionQueue(uint32_t capacity, std::pmr::memory_resource* memory =
							    std::pmr::new_delete_resource())
		: mask_(capacity - 1), entries_(capacity, memory)
	{
	}

	/** @return false: full, which takes a host that completes what was never sent */
	bool push(uint64_t entry)
	{
		const uint32_t head = head_;
		if (head - vmbus::load_acquire(&tail_) > mask_) [[unlikely]]
			return false;
		entries_[head & mask_] = entry;
		__atomic_store_n(&head_, head + 1, __ATOMIC_RELEASE);
		return true;
	}

	/** Hands all entries to `take`. */
	template <class Take> void pop_all(Take&& take)
	{
		uint32_t tail = tail_;
		const uint32_t head = vmbus::load_acquire(&head_);
		for (; tail != head; tail++)
			take(entries_[tail & mask_]);
		__atomic_store_n(&tail_, tail, __ATOMIC_RELEASE);
	}

      private:
	const uint32_t mask_;
	Array<uint64_t> entries_;
	alignas(64) uint32_t head_ = 0;
	alignas(64) uint32_t tail_ = 0;
};

} // namespace netvsc
