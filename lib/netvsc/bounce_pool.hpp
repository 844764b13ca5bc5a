/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Buffers for frames that the host cannot read where they lie: of too many pieces, or in memory
 * that has no guest-physical address. Rare, so that all queues of a port share a few.
 */
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace netvsc {

/** Memory of the guest that the host can reach by guest-physical address. */
struct DmaMemory {
	uint8_t* data = nullptr;
	uint64_t gpa = 0; /**< of the first byte; the rest follows without a gap */
	size_t size = 0;
};

/** May lie in memory that several processes share. */
class BouncePool {
      public:
	static constexpr uint32_t kBuffers = 8;
	static constexpr uint32_t kNone = ~0u;
	/** Bytes before a frame, for its RNDIS header. */
	static constexpr uint32_t kHeadroom = 128;

	/** Bytes of DmaMemory for frames up to this length. */
	static size_t memory_size(uint32_t longest) { return size_t{kBuffers} * stride(longest); }

	/** Has no buffers. */
	BouncePool() = default;
	BouncePool(const BouncePool&) = delete;
	BouncePool& operator=(const BouncePool&) = delete;

	/** From now on the buffers are in this memory of memory_size(), all of them free. No queue
	 *  uses the pool. */
	void reset(const DmaMemory& memory, uint32_t longest)
	{
		memory_ = memory;
		longest_ = longest;
		free_.store((1u << kBuffers) - 1);
	}

	/** Longest frame that a buffer takes; 0 = there are no buffers */
	uint32_t longest() const { return longest_; }

	/** @return a buffer, or kNone. Any thread of any process, without locks */
	uint32_t take()
	{
		uint32_t free = free_.load(std::memory_order_relaxed);
		while (free != 0)
			if (free_.compare_exchange_weak(free, free & (free - 1),
							std::memory_order_acquire,
							std::memory_order_relaxed))
				return static_cast<uint32_t>(std::countr_zero(free));
		return kNone;
	}
	void give(uint32_t buffer) { free_.fetch_or(1u << buffer, std::memory_order_release); }

	/** Where the frame goes, behind the headroom. */
	uint8_t* frame(uint32_t buffer) const
	{
		return memory_.data + size_t{buffer} * stride(longest_) + kHeadroom;
	}
	uint64_t gpa(const uint8_t* in_buffer) const
	{
		return memory_.gpa + static_cast<uint64_t>(in_buffer - memory_.data);
	}

      private:
	static uint32_t stride(uint32_t longest) { return (kHeadroom + longest + 63) / 64 * 64; }

	DmaMemory memory_;
	uint32_t longest_ = 0;
	std::atomic<uint32_t> free_{0}; /* a bit for each */
};

} // namespace netvsc
