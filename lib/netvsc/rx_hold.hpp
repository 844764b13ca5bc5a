/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Received packets whose frames an application still looks at in the receive buffer.
 *
 * A transfer-page packet may carry many frames, and the host takes its buffers back with the one
 * completion of the packet. Until the last frame was released, on whatever thread, a hold stands
 * for the packet. Holds outlive the queue, and the mapping of the receive buffer, where the
 * application frees its buffers after it closed the port.
 */
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "array.hpp"

namespace netvsc {

class HoldPool;

struct Hold {
	uint64_t transaction_id;
	uint32_t frames; /**< of the packet: all of them stay with the application */
	HoldPool* pool;
	Hold* next;
	/** The client's reference count and what goes with it. */
	alignas(8) uint8_t client[32];
};

class HoldPool {
      public:
	/**
	 * @param frames how many frames of a queue may be held at a time, those counted that only
	 *        share a packet with one that is
	 * @param buffer the receive buffer's mapping, kept until the last hold is back
	 * @param memory for the pool; may be needed for as long
	 */
	static HoldPool*
	create(uint32_t frames, std::shared_ptr<void> buffer,
	       std::pmr::memory_resource* memory = std::pmr::new_delete_resource());

	/** The queue lets go of the pool; it is freed with the last hold. */
	void orphan() { unreference(); }

	/**
	 * @param frames of the packet
	 * @return null: too many are held. Called by the receiving thread only.
	 */
	Hold* acquire(uint64_t transaction_id, uint32_t frames)
	{
		Hold* hold = free_;
		if (hold == nullptr || frames > left_)
			return nullptr;
		left_ -= frames;
		free_ = hold->next;
		hold->transaction_id = transaction_id;
		hold->frames = frames;
		references_.fetch_add(1, std::memory_order_relaxed);
		return hold;
	}

	/** The last frame of the packet was released. Any thread, without locks. */
	static void release(Hold* hold)
	{
		HoldPool* pool = hold->pool;
		hold->next = pool->returned_.load(std::memory_order_relaxed);
		while (!pool->returned_.compare_exchange_weak(
			hold->next, hold, std::memory_order_release, std::memory_order_relaxed))
			;
		pool->unreference();
	}

	/** Whether take_returned() has something. */
	bool has_returned() const { return returned_.load(std::memory_order_relaxed) != nullptr; }

	/** Hands the transaction ids of released packets to `take`; receiving thread only. */
	template <class Take> void take_returned(Take&& take)
	{
		/* All are taken at once, so a hold cannot come back while it is looked at. */
		Hold* hold = returned_.exchange(nullptr, std::memory_order_acquire);
		while (hold != nullptr) {
			Hold* next = hold->next;
			take(hold->transaction_id);
			left_ += hold->frames;
			hold->next = free_;
			free_ = hold;
			hold = next;
		}
	}

      private:
	HoldPool(uint32_t frames, std::shared_ptr<void> buffer, std::pmr::memory_resource* memory);
	void unreference()
	{
		if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
			destroy();
	}
	void destroy();

	std::pmr::memory_resource* memory_;
	Array<Hold> holds_; /* a packet has at least one frame */
	std::shared_ptr<void> buffer_;
	Hold* free_ = nullptr;
	uint32_t left_ = 0; /* frames that may still be held */
	alignas(64) std::atomic<Hold*> returned_{nullptr};
	std::atomic<uint32_t> references_{1}; /* the queue's, and one of each hold in use */
};

} // namespace netvsc
