/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A bounded first-in first-out queue of frames in one block of bytes, for a single thread.
 *
 * A frame is its length in 8 bytes, then its bytes, padded to 8. It never wraps: where it does not
 * fit before the block's end, a length of kWrap sends the reader to the start.
 */
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>

namespace netvsp {

class FrameRing {
      public:
	/** @param bytes of room, a multiple of 8; frames cost their length and up to 15 bytes */
	explicit FrameRing(size_t bytes)
		: data_(std::make_unique_for_overwrite<uint8_t[]>(bytes)), size_(bytes)
	{
	}

	bool empty() const { return frames_ == 0; }
	size_t frames() const { return frames_; }

	void clear() { head_ = tail_ = frames_ = 0; }

	/** @return false: no room, nothing was kept */
	bool push(const uint8_t* frame, uint32_t length)
	{
		const size_t need = kHeader + ((size_t(length) + 7) & ~size_t(7));

		if (head_ >= tail_ && !(head_ == tail_ && frames_ != 0)) {
			/* Free are the bytes from head to the end, and those before tail. */
			if (size_ - head_ < need) {
				if (tail_ < need)
					return false;
				if (head_ < size_)
					put_length(head_, kWrap);
				head_ = 0;
			}
		} else if (tail_ - head_ < need) {
			return false;
		}
		put_length(head_, length);
		memcpy(&data_[head_ + kHeader], frame, length);
		head_ += need;
		frames_++;
		return true;
	}

	/** The oldest frame, null if there is none; valid until pop(). */
	const uint8_t* front(uint32_t& length)
	{
		if (frames_ == 0)
			return nullptr;
		if (tail_ == size_ || get_length(tail_) == kWrap)
			tail_ = 0;
		length = uint32_t(get_length(tail_));
		return &data_[tail_ + kHeader];
	}

	void pop()
	{
		uint32_t length;

		if (!front(length))
			return;
		tail_ += kHeader + ((size_t(length) + 7) & ~size_t(7));
		/* Start over where it is free: the least memory stays in use (and in the cache). */
		if (--frames_ == 0)
			head_ = tail_ = 0;
	}

      private:
	static constexpr size_t kHeader = 8;
	static constexpr uint64_t kWrap = ~uint64_t(0);

	void put_length(size_t at, uint64_t length) { memcpy(&data_[at], &length, sizeof(length)); }
	uint64_t get_length(size_t at) const
	{
		uint64_t length;

		memcpy(&length, &data_[at], sizeof(length));
		return length;
	}

	std::unique_ptr<uint8_t[]> data_;
	size_t size_;
	size_t head_ = 0; /* where the next frame goes */
	size_t tail_ = 0; /* where the oldest frame is */
	size_t frames_ = 0;
};

} // namespace netvsp
