/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Control messages on their way from whoever reads the primary channel's ring, in whatever process,
 * to the session: one producer at a time (who holds the ring's lock), one consumer at a time.
 */
#pragma once

#include <unistd.h>

#include <algorithm>

#include "vmbus/descriptor_table.hpp"

namespace netvsc {

/** Sets control transactions apart from transmit slots. */
inline constexpr uint64_t kControlTransaction = uint64_t{1} << 63;

/** Longest control message that is looked at; of longer ones, the beginning is. */
inline constexpr uint32_t kMaxControl = 4096;

class Inbox {
      public:
	enum class Kind : uint32_t {
		kCompletion, /**< of a control packet: its id has kControlTransaction set */
		kMessage,    /**< an NVSP message that the host sent unasked */
		kRndis,	     /**< an RNDIS message that is not a frame */
	};
	struct Entry {
		Kind kind;
		uint32_t length;
		uint64_t id;
		uint8_t data[kMaxControl];
	};
	static constexpr uint32_t kEntries = 16;

	/** @param slot of an eventfd that is signalled when a message comes; 0 = none */
	void set_wake(uint32_t slot) { vmbus::store_relaxed(&wake_, slot); }
	/** Whether the consumer looks by itself: then it is not woken. It looks once more after. */
	void attend(bool attended)
	{
		__atomic_store_n(&attended_, attended ? 1u : 0u, __ATOMIC_SEQ_CST);
	}

	bool full() const { return head_ - vmbus::load_acquire(&tail_) == kEntries; }

	/**
	 * @param data of the host's memory, which it may change: read once
	 * @return false: full; the message is lost unless the caller keeps it
	 */
	bool push(Kind kind, uint64_t id, const uint8_t* data, uint32_t length)
	{
		if (full())
			return false;
		Entry& e = entries_[head_ % kEntries];
		e.kind = kind;
		e.id = id;
		e.length = std::min(length, kMaxControl);
		std::copy_n(data, e.length, e.data);
		__atomic_store_n(&head_, head_ + 1, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&attended_, __ATOMIC_SEQ_CST) == 0)
			wake();
		return true;
	}

	/** Hands all messages to `take`. */
	template <class Take> void pop_all(Take&& take)
	{
		uint32_t tail = tail_;
		while (tail != __atomic_load_n(&head_, __ATOMIC_SEQ_CST)) {
			take(static_cast<const Entry&>(entries_[tail % kEntries]));
			__atomic_store_n(&tail_, ++tail, __ATOMIC_RELEASE);
		}
	}

      private:
	void wake() const
	{
		const uint64_t one = 1;
		const int fd = vmbus::descriptor_table.at(vmbus::load_once(&wake_));
		[[maybe_unused]] const ssize_t n = fd < 0 ? 0 : ::write(fd, &one, sizeof(one));
	}

	uint32_t wake_ = 0;
	uint32_t attended_ = 0;
	alignas(64) uint32_t head_ = 0;
	alignas(64) uint32_t tail_ = 0;
	Entry entries_[kEntries];
};

} // namespace netvsc
