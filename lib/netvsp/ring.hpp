/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The host's ends of a channel's two rings.
 *
 * Both keep their own index in private memory and never read it back from the ring, which the
 * guest can write at any time. Work is done in batches: many packets, then one publish.
 */
#pragma once

#include <cstring>
#include <vector>

#include "vmbus/packet.hpp"

namespace netvsp {

inline constexpr uint32_t kMaxPacketSize = 32 * 1024;

/** A packet in the ring. The bytes stay where the guest can change them: copy, then check. */
struct Packet {
	vmbus::PacketDescriptor descriptor;
	const uint8_t* base; /**< of the descriptor */
	uint32_t length;     /**< from base to the packet's end, without the footer */
	uint32_t data_offset;
	const uint8_t* data() const { return base + data_offset; }
	uint32_t data_length() const { return length - data_offset; }
	bool wants_completion() const { return descriptor.flags & vmbus::kFlagCompletionRequested; }
};

inline bool ring_shape_ok(uint64_t bytes)
{
	return bytes >= 2 * vmbus::kPageSize && bytes % vmbus::kPageSize == 0 && bytes < (1u << 31);
}

/** Guest to host: the receiving end. */
class InRing {
      public:
	enum class Peek { kEmpty, kPacket, kBroken };

	bool attach(uint8_t* memory, uint64_t bytes)
	{
		if (!ring_shape_ok(bytes))
			return false;
		control_ = reinterpret_cast<vmbus::RingControl*>(memory);
		data_ = memory + vmbus::kPageSize;
		size_ = uint32_t(bytes - vmbus::kPageSize);
		cursor_ = published_ = __atomic_load_n(&control_->out, __ATOMIC_ACQUIRE);
		in_ = cursor_;
		ahead_ = 0;
		scratch_.resize(kMaxPacketSize);
		return valid(cursor_);
	}

	/**
	 * Looks at the packet `offset` bytes behind the next one, which stays in the ring until
	 * consume().
	 */
	Peek peek(Packet& packet, uint32_t offset = 0)
	{
		if (unread() <= offset) {
			in_ = __atomic_load_n(&control_->in, __ATOMIC_ACQUIRE);
			if (!valid(in_)) {
				in_ = cursor_;
				return Peek::kBroken;
			}
			if (unread() <= offset)
				return Peek::kEmpty;
		}
		const uint32_t available = unread() - offset;
		uint32_t from = cursor_ + offset;
		if (from >= size_)
			from -= size_;
		if (available < sizeof(vmbus::PacketDescriptor) + vmbus::kFooterSize)
			return Peek::kBroken;
		copy_out(&packet.descriptor, from, sizeof(packet.descriptor));
		packet.length = packet.descriptor.length8 * 8u;
		packet.data_offset = packet.descriptor.data_offset8 * 8u;
		if (packet.data_offset < sizeof(vmbus::PacketDescriptor) ||
		    packet.length < packet.data_offset || packet.length > kMaxPacketSize ||
		    packet.length + vmbus::kFooterSize > available ||
		    (packet.descriptor.flags & ~vmbus::kFlagCompletionRequested) != 0)
			return Peek::kBroken;
		if (from + packet.length > size_) {
			copy_out(scratch_.data(), from, packet.length);
			packet.base = scratch_.data();
		} else {
			packet.base = data_ + from;
		}
		return Peek::kPacket;
	}

	/** Whether peek() at this offset finds something without a new look at the guest's index,
	 * which is to be looked at, and judged, only where nothing is left to consume. */
	bool known(uint32_t offset) const { return unread() > offset; }

	void consume(const Packet& packet)
	{
		const uint32_t length = packet.length + vmbus::kFooterSize;
		cursor_ += length;
		if (cursor_ >= size_)
			cursor_ -= size_;
		ahead_ = ahead_ > length ? ahead_ - length : 0;
	}

	/** Bytes behind the next packet's start in which completions were taken already. */
	uint32_t ahead() const { return ahead_; }
	void set_ahead(uint32_t bytes) { ahead_ = bytes; }

	/** Gives the consumed space back. @return whether the guest waits for it: signal it */
	bool publish()
	{
		if (cursor_ == published_)
			return false;
		uint32_t freed =
			cursor_ > published_ ? cursor_ - published_ : size_ - published_ + cursor_;
		published_ = cursor_;
		__atomic_store_n(&control_->out, cursor_, __ATOMIC_RELEASE);
		/* Pairs with the guest's fence between pending_send_size and its last look. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		uint32_t pending =
			__atomic_load_n(&control_->pending_send_size, __ATOMIC_RELAXED) & ~7u;
		if (pending == 0)
			return false;
		uint32_t in = __atomic_load_n(&control_->in, __ATOMIC_ACQUIRE);
		if (!valid(in))
			return false; /* peek() reports it */
		int64_t used = in >= cursor_ ? in - cursor_ : int64_t(size_) - cursor_ + in;
		/* What the guest can write, which is never the last 8 bytes. */
		int64_t after = int64_t(size_) - used - 8;
		/* The guest may have written meanwhile: this can be below zero, hence signed. */
		int64_t before = after - freed;
		return before < pending && after >= pending;
	}

	bool has_data() const
	{
		return __atomic_load_n(&control_->in, __ATOMIC_ACQUIRE) != cursor_;
	}

	void set_mask(uint32_t mask)
	{
		mask_ = mask;
		__atomic_store_n(&control_->interrupt_mask, mask, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}
	/** The mask is the receiver's: a guest that writes it breaks the protocol. */
	bool mask_intact() const
	{
		return __atomic_load_n(&control_->interrupt_mask, __ATOMIC_RELAXED) == mask_;
	}

      private:
	bool valid(uint32_t index) const { return index < size_ && index % 8 == 0; }
	uint32_t unread() const { return in_ >= cursor_ ? in_ - cursor_ : size_ - cursor_ + in_; }
	void copy_out(void* to, uint32_t from, uint32_t count) const
	{
		uint32_t first = size_ - from < count ? size_ - from : count;
		memcpy(to, data_ + from, first);
		if (first < count)
			memcpy(static_cast<uint8_t*>(to) + first, data_, count - first);
	}

	vmbus::RingControl* control_ = nullptr;
	uint8_t* data_ = nullptr;
	uint32_t size_ = 0;
	uint32_t cursor_ = 0;
	uint32_t published_ = 0;
	uint32_t in_ = 0;
	uint32_t ahead_ = 0;
	uint32_t mask_ = 0;
	std::vector<uint8_t> scratch_; /* for packets that wrap around */
};

/** Host to guest: the sending end. */
class OutRing {
      public:
	bool attach(uint8_t* memory, uint64_t bytes)
	{
		if (!ring_shape_ok(bytes))
			return false;
		control_ = reinterpret_cast<vmbus::RingControl*>(memory);
		data_ = memory + vmbus::kPageSize;
		size_ = uint32_t(bytes - vmbus::kPageSize);
		cursor_ = published_ = __atomic_load_n(&control_->in, __ATOMIC_ACQUIRE);
		out_ = __atomic_load_n(&control_->out, __ATOMIC_ACQUIRE);
		broken_ = false;
		blocked_ = false;
		if (!valid(cursor_) || !valid(out_))
			return false;
		__atomic_store_n(&control_->pending_send_size, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&control_->feature_bits, vmbus::kFeaturePendingSendSize,
				 __ATOMIC_RELEASE);
		return true;
	}

	uint32_t size() const { return size_; }
	/** The guest stored a read index that cannot be. */
	bool broken() const { return broken_; }
	/** No room; the guest was asked to signal when there is some. */
	bool blocked() const { return blocked_; }

	/** Ring space that a packet of `bytes` behind the descriptor takes. */
	static constexpr uint32_t space(uint32_t bytes)
	{
		return uint32_t(sizeof(vmbus::PacketDescriptor)) + (bytes + 7) / 8 * 8 +
		       vmbus::kFooterSize;
	}

	/** Whether `need` bytes fit now, without further consequences. */
	bool fits(uint32_t need)
	{
		if (need <= room())
			return true;
		out_ = load_out();
		return need <= room();
	}

	/**
	 * Makes sure of `need` bytes. Where they are not there, asks for a signal and stays shut
	 * until unblock(), as hosts do that sleep until they hear from the guest.
	 */
	bool reserve(uint32_t need)
	{
		if (blocked_)
			return false;
		if (fits(need))
			return true;
		commit_quiet();
		wanted_ = size_ / 8 > need ? size_ / 8 / 8 * 8 : need;
		__atomic_store_n(&control_->pending_send_size, wanted_, __ATOMIC_RELAXED);
		/* Pairs with the guest's fence between its read index and this field. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		out_ = load_out();
		if (room() >= wanted_) {
			__atomic_store_n(&control_->pending_send_size, 0, __ATOMIC_RELAXED);
			return need <= room();
		}
		blocked_ = true;
		return false;
	}

	/** The guest signalled: goes on if there is the room that was asked for. */
	void unblock()
	{
		if (!blocked_)
			return;
		out_ = load_out();
		if (room() < wanted_)
			return;
		__atomic_store_n(&control_->pending_send_size, 0, __ATOMIC_RELAXED);
		blocked_ = false;
	}

	/** Writes one packet, for which there must be room; the guest sees it after commit(). */
	void write(vmbus::PacketType type, uint16_t flags, uint64_t transaction, const void* head,
		   uint32_t head_length, const void* body, uint32_t body_length)
	{
		uint32_t length = uint32_t(sizeof(vmbus::PacketDescriptor)) + head_length +
				  (body_length + 7) / 8 * 8;
		vmbus::PacketDescriptor d;
		d.type = uint16_t(type);
		d.data_offset8 = uint16_t((sizeof(d) + head_length) / 8);
		d.length8 = uint16_t(length / 8);
		d.flags = flags;
		d.transaction_id = transaction;
		uint64_t footer = uint64_t(cursor_) << 32;
		put(&d, sizeof(d));
		put(head, head_length);
		put(body, body_length);
		static constexpr uint8_t kZero[8] = {};
		put(kZero, (8 - body_length % 8) % 8);
		put(&footer, sizeof(footer));
	}

	/** Shows the guest what was written. @return whether it must be signalled */
	bool commit()
	{
		bool was_empty = shown_while_empty_;
		shown_while_empty_ = false;
		if (cursor_ != published_)
			was_empty |= show();
		return was_empty &&
		       __atomic_load_n(&control_->interrupt_mask, __ATOMIC_RELAXED) == 0;
	}

	/* For fault injection. */
	void corrupt_descriptor()
	{
		uint16_t nonsense = 1;
		memcpy(data_ + published_ + 4, &nonsense, sizeof(nonsense));
	}
	void corrupt_index() { __atomic_store_n(&control_->in, size_ + 3, __ATOMIC_SEQ_CST); }

      private:
	bool valid(uint32_t index) const { return index < size_ && index % 8 == 0; }
	uint32_t room() const
	{
		return (cursor_ >= out_ ? size_ - cursor_ + out_ : out_ - cursor_) - 8;
	}
	uint32_t load_out()
	{
		uint32_t out = __atomic_load_n(&control_->out, __ATOMIC_ACQUIRE);
		if (valid(out))
			return out;
		broken_ = true;
		return out_;
	}
	bool show()
	{
		uint32_t old = published_;
		published_ = cursor_;
		__atomic_store_n(&control_->in, cursor_, __ATOMIC_RELEASE);
		/* Pairs with the guest's fence between unmasking and its last look. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		return __atomic_load_n(&control_->out, __ATOMIC_RELAXED) == old;
	}
	/* Before waiting for room everything written must be visible: the guest has to read it. */
	void commit_quiet()
	{
		if (cursor_ != published_)
			shown_while_empty_ |= show();
	}
	void put(const void* from, uint32_t count)
	{
		if (count == 0)
			return;
		uint32_t first = size_ - cursor_ < count ? size_ - cursor_ : count;
		memcpy(data_ + cursor_, from, first);
		cursor_ += first;
		if (cursor_ == size_)
			cursor_ = 0;
		if (first < count) {
			memcpy(data_, static_cast<const uint8_t*>(from) + first, count - first);
			cursor_ = count - first;
		}
	}

	vmbus::RingControl* control_ = nullptr;
	uint8_t* data_ = nullptr;
	uint32_t size_ = 0;
	uint32_t cursor_ = 0;
	uint32_t published_ = 0;
	uint32_t out_ = 0;
	uint32_t wanted_ = 0;
	bool broken_ = false;
	bool blocked_ = false;
	bool shown_while_empty_ = false;
};

} // namespace netvsp
