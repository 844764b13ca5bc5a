/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The guest's two ends of a channel: RingWriter (guest → host) and RingReader (host → guest).
 *
 * Both keep their own index in private memory, look at many packets or write many, and publish the
 * index once. The peer's index is read once per refresh() and checked; a peer that breaks the ring
 * makes it broken() for good: nothing is read from or written to it any more.
 *
 * Neither class locks. Sizes and offsets are in bytes.
 */
#pragma once

#include <cassert>
#include <cstring>

#include "atomic.hpp"
#include "packet.hpp"

namespace vmbus {

inline constexpr uint32_t align8(uint32_t n)
{
	return (n + 7u) & ~7u;
}

/** One received packet; `offset` is where it lies, relative to the reader's position. */
struct PacketView {
	PacketType type;
	uint16_t flags;
	uint32_t offset;
	uint32_t data_offset; /**< of the payload, from the packet's start */
	uint32_t length;      /**< descriptor and payload, without the footer */
	uint64_t transaction_id;

	uint32_t ring_length() const { return length + kFooterSize; }
};

/** For people who look for what is wrong. */
struct RingState {
	const void* data;
	uint32_t size;
	uint32_t in;
	uint32_t out;
	uint32_t interrupt_mask;
	uint32_t pending_send_size;
	bool broken;
};

inline RingState state_of(const RingControl& control, const void* data, uint32_t size, bool broken)
{
	return {data,
		size,
		load_once(&control.in),
		load_once(&control.out),
		load_once(&control.interrupt_mask),
		load_once(&control.pending_send_size),
		broken};
}

class RingReader {
      public:
	RingReader() = default;
	/** @param size of the data area: a multiple of 8, at least 64 */
	RingReader(RingControl* control, uint8_t* data, uint32_t size)
		: control_(control), data_(data), size_(size)
	{
		read_ = published_ = in_ = 0;
	}

	bool broken() const { return broken_; }
	uint32_t size() const { return size_; }

	RingState state() const { return state_of(*control_, data_, size_, broken_); }

	/** Looks at the host's index without the lock: whether a burst may find something. */
	bool maybe_nonempty() const { return load_once(&control_->in) != load_once(&read_); }

	/** How far the ring was read, without the lock. */
	uint32_t position() const { return load_once(&read_); }

	/** Takes a new look at what the host has written. @return bytes that can be read */
	uint32_t refresh()
	{
		const uint32_t in = load_acquire(&control_->in);
		if (in >= size_ || (in & 7u) != 0 || broken_) [[unlikely]] {
			broken_ = true;
			in_ = read_;
			return 0;
		}
		in_ = in;
		return available();
	}

	/** Bytes between the read position and the last refresh(). */
	uint32_t available() const
	{
		const uint32_t read = read_;
		return in_ >= read ? in_ - read : in_ + size_ - read;
	}

	/** The peer's unread data, as a share of the ring; for deciding who is behind. */
	uint32_t free_for_host() const { return size_ - available() - 8; }

	/**
	 * Decodes the packet at `offset` bytes behind the read position.
	 * @return false: none is there, or the descriptor is impossible (then broken())
	 */
	bool peek(uint32_t offset, PacketView& view)
	{
		const uint32_t have = available() - offset;
		if (have < sizeof(PacketDescriptor) + kFooterSize) {
			if (have != 0) [[unlikely]]
				broken_ = true;
			return false;
		}
		const uint32_t at = wrap(read_ + offset);
		/* A descriptor is 16 bytes and the ring wraps at multiples of 8. */
		const uint64_t word = load_once(reinterpret_cast<const uint64_t*>(data_ + at));
		const uint64_t id =
			load_once(reinterpret_cast<const uint64_t*>(data_ + wrap(at + 8)));
		view.type = static_cast<PacketType>(word & 0xffff);
		view.data_offset = static_cast<uint32_t>((word >> 16) & 0xffff) * 8;
		view.length = static_cast<uint32_t>((word >> 32) & 0xffff) * 8;
		view.flags = static_cast<uint16_t>(word >> 48);
		view.transaction_id = id;
		view.offset = offset;
		if (view.data_offset < sizeof(PacketDescriptor) || view.length < view.data_offset ||
		    view.length + kFooterSize > have) [[unlikely]] {
			broken_ = true;
			return false;
		}
		return true;
	}

	/**
	 * The packet's bytes in one piece: in place, or copied to `bounce` where it wraps.
	 * @return null: it wraps and does not fit the bounce buffer
	 */
	const uint8_t* bytes(const PacketView& view, uint8_t* bounce, uint32_t bounce_size) const
	{
		const uint32_t at = wrap(read_ + view.offset);
		if (at + view.length <= size_) [[likely]]
			return data_ + at;
		if (view.length > bounce_size)
			return nullptr;
		const uint32_t first = size_ - at;
		std::memcpy(bounce, data_ + at, first);
		std::memcpy(bounce + first, data_, view.length - first);
		return bounce;
	}

	/** Moves the read position on; the host sees it at publish(). */
	void consume(uint32_t length) { store_relaxed(&read_, wrap(read_ + length)); }

	/** Whether publish() would tell the host nothing. */
	bool is_published() const { return read_ == published_; }

	/**
	 * Tells the host what was consumed.
	 * @return whether the host waits for room (pending_send_size) and must be signalled
	 */
	bool publish()
	{
		if (is_published())
			return false;
		const uint32_t bytes_read =
			read_ > published_ ? read_ - published_ : read_ + size_ - published_;
		published_ = read_;
		store_seq_cst(&control_->out, published_);
		/* Some hosts leave junk in the low bits: OpenVMM masks them too. */
		const uint32_t pending = load_seq_cst(&control_->pending_send_size) & ~7u;
		if (pending == 0) [[likely]]
			return false;
		const uint32_t in = load_acquire(&control_->in);
		if (in >= size_)
			return true;
		const uint32_t used = in >= published_ ? in - published_ : in + size_ - published_;
		/* What the host can write, which is never the last 8 bytes: signalled before there
		 * is enough, it would go on waiting, and not be signalled again (Linux
		 * hv_pkt_iter_close(), OpenVMM ring_free()). */
		const int64_t room = int64_t{size_} - used - 8;
		/* It may have written since: then "before" is below zero, and it is signalled. */
		return room >= pending && room - bytes_read < pending;
	}

	/** Asks the host not to signal this ring (true), or to. */
	void mask_interrupts(bool masked)
	{
		store_seq_cst(&control_->interrupt_mask, masked ? 1u : 0u);
	}
	/** Whether something is unread, to be asked after unmasking: no signal comes for that. */
	bool nonempty_after_unmask() const { return load_seq_cst(&control_->in) != read_; }

      private:
	uint32_t wrap(uint32_t at) const { return at >= size_ ? at - size_ : at; }

	RingControl* control_ = nullptr;
	uint8_t* data_ = nullptr;
	uint32_t size_ = 0;
	uint32_t read_ = 0;	 /* never re-read from the control page */
	uint32_t published_ = 0; /* what the control page says */
	uint32_t in_ = 0;
	bool broken_ = false;
};

class RingWriter {
      public:
	/** Longest packet, footer included, that begin() takes. */
	static constexpr uint32_t kMaxPacket = 2048;

	RingWriter() = default;
	RingWriter(RingControl* control, uint8_t* data, uint32_t size)
		: control_(control), data_(data), size_(size)
	{
		store_relaxed(&control_->feature_bits, kFeaturePendingSendSize);
	}

	bool broken() const { return broken_; }
	uint32_t size() const { return size_; }

	RingState state() const { return state_of(*control_, data_, size_, broken_); }

	/** Whether `length` more bytes fit, leaving `spare` free; looks at the host's index if not.
	 */
	bool fits(uint32_t length, uint32_t spare = 0)
	{
		if (free_ >= length + spare) [[likely]]
			return true;
		const uint32_t out = load_acquire(&control_->out);
		if (out >= size_ || (out & 7u) != 0 || broken_) [[unlikely]] {
			broken_ = true;
			free_ = 0;
			return false;
		}
		/* in == out is "empty", so 8 bytes stay unused. */
		free_ = (out > write_ ? out - write_ : out + size_ - write_) - 8;
		return free_ >= length + spare;
	}

	/**
	 * Where to write the next packet of `length` bytes (descriptor, payload, no footer; a
	 * multiple of 8). The caller made sure that length + kFooterSize fits().
	 */
	uint8_t* begin(uint32_t length)
	{
		assert(length + kFooterSize <= kMaxPacket && length % 8 == 0);
		length_ = length;
		if (write_ + length + kFooterSize <= size_) [[likely]]
			return data_ + write_;
		return bounce_;
	}

	/** Ends the packet that begin() started. */
	void end()
	{
		const uint64_t footer = static_cast<uint64_t>(write_) << 32;
		const uint32_t total = length_ + kFooterSize;
		if (write_ + total <= size_) [[likely]] {
			std::memcpy(data_ + write_ + length_, &footer, sizeof(footer));
			write_ += total;
			if (write_ == size_)
				write_ = 0;
		} else {
			std::memcpy(bounce_ + length_, &footer, sizeof(footer));
			const uint32_t first = size_ - write_;
			std::memcpy(data_ + write_, bounce_, first);
			std::memcpy(data_, bounce_ + first, total - first);
			write_ = total - first;
		}
		free_ -= total;
	}

	/**
	 * Shows the host all packets since the last call.
	 * @return whether the host must be signalled: it wants to be, and had found the ring empty
	 */
	bool publish()
	{
		if (write_ == published_)
			return false;
		const uint32_t before = published_;
		published_ = write_;
		store_seq_cst(&control_->in, published_);
		if (load_seq_cst(&control_->interrupt_mask) != 0)
			return false;
		return load_acquire(&control_->out) == before;
	}

	/** Whether the host has read everything that was published. */
	bool drained() const { return load_acquire(&control_->out) == published_; }

      private:
	RingControl* control_ = nullptr;
	uint8_t* data_ = nullptr;
	uint32_t size_ = 0;
	uint32_t write_ = 0; /* never re-read from the control page */
	uint32_t published_ = 0;
	uint32_t free_ = 0; /* lower bound; fits() refreshes it */
	uint32_t length_ = 0;
	bool broken_ = false;
	alignas(8) uint8_t bounce_[kMaxPacket];
};

} // namespace vmbus
