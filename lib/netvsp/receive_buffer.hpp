/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Book-keeping of a NIC's receive buffer.
 *
 * The buffer is cut into sub-allocations of one size. The first kControlIds of them, and the
 * transaction ids of the same numbers, are for control messages. The rest hold frames: a
 * transaction is a chain of them that one packet announces and one completion frees.
 */
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "netvsc/nvsp.hpp"

namespace netvsp {

inline constexpr uint32_t kControlIds = 16;

class ReceiveBuffer {
      public:
	static constexpr uint32_t kNone = 0xffffffff;

	/** @param size of a sub-allocation */
	bool attach(uint8_t* memory, uint64_t bytes, uint32_t size)
	{
		detach();
		uint64_t count = bytes / size;
		if (bytes > 0xffffffffu || count < 2 * kControlIds)
			return false;
		memory_ = memory;
		size_ = size;
		count_ = uint32_t(count);
		next_.assign(count_, kNone);
		for (uint32_t i = kControlIds; i + 1 < count_; i++)
			next_[i] = i + 1;
		free_ = kControlIds;
		transactions_.assign(count_, {});
		for (uint32_t i = kControlIds; i + 1 < count_; i++)
			transactions_[i].next_free = i + 1;
		free_transaction_ = kControlIds;
		return true;
	}
	void detach() { *this = ReceiveBuffer(); }

	bool attached() const { return memory_ != nullptr; }
	uint32_t suballocation_size() const { return size_; }
	uint32_t count() const { return count_; }
	uint32_t in_use() const { return in_use_; }
	/** Sub-allocations that the guest has to complete on this channel. */
	uint32_t outstanding(uint32_t channel) const { return outstanding_[channel]; }
	uint32_t offset(uint32_t index) const { return index * size_; }
	uint8_t* at(uint32_t index) const { return memory_ + uint64_t(index) * size_; }

	/** Takes a sub-allocation for a frame; kNone if the guest has them all. */
	uint32_t take()
	{
		uint32_t index = free_;
		if (index != kNone) {
			free_ = next_[index];
			in_use_++;
		}
		return index;
	}
	/** Gives one back that was not sent. */
	void give(uint32_t index)
	{
		next_[index] = free_;
		free_ = index;
		in_use_--;
	}

	/** Makes `count` sub-allocations one transaction on `channel`. @return its id, never kNone
	 *  as there is a transaction for each sub-allocation */
	uint32_t begin(const uint32_t* indices, uint32_t count, uint32_t channel)
	{
		uint32_t id = free_transaction_;
		Transaction& t = transactions_[id];
		free_transaction_ = t.next_free;
		for (uint32_t i = 0; i + 1 < count; i++)
			next_[indices[i]] = indices[i + 1];
		t.first = indices[0];
		t.last = indices[count - 1];
		t.count = count;
		t.channel = channel;
		outstanding_[channel] += count;
		return id;
	}
	/** @return false if there is no such transaction on this channel */
	bool complete(uint64_t id, uint32_t channel)
	{
		if (id < kControlIds || id >= count_)
			return false;
		Transaction& t = transactions_[uint32_t(id)];
		if (t.count == 0 || t.channel != channel)
			return false;
		release(uint32_t(id));
		return true;
	}
	/** Takes everything back that this channel has not completed. */
	void abandon(uint32_t channel)
	{
		for (uint32_t id = kControlIds; id < count_; id++)
			if (transactions_[id].count != 0 && transactions_[id].channel == channel)
				release(id);
		for (uint32_t id = 0; channel == 0 && id < kControlIds; id++)
			control_in_use_[id] = false;
	}

	/** A free control id, kNone if the guest has not completed any. */
	uint32_t take_control()
	{
		for (uint32_t id = 0; memory_ && id < kControlIds; id++) {
			if (!control_in_use_[id]) {
				control_in_use_[id] = true;
				return id;
			}
		}
		return kNone;
	}
	uint32_t control_free() const
	{
		uint32_t free = 0;
		for (uint32_t id = 0; memory_ && id < kControlIds; id++)
			free += !control_in_use_[id];
		return free;
	}
	bool complete_control(uint64_t id)
	{
		if (id >= kControlIds || !control_in_use_[id])
			return false;
		control_in_use_[id] = false;
		return true;
	}

      private:
	struct Transaction {
		uint32_t first = 0;
		uint32_t last = 0;
		uint32_t count = 0; /* 0 = free */
		uint32_t channel = 0;
		uint32_t next_free = kNone;
	};
	void release(uint32_t id)
	{
		Transaction& t = transactions_[id];
		next_[t.last] = free_;
		free_ = t.first;
		in_use_ -= t.count;
		outstanding_[t.channel] -= t.count;
		t.count = 0;
		t.next_free = free_transaction_;
		free_transaction_ = id;
	}

	uint8_t* memory_ = nullptr;
	uint32_t size_ = 0;
	uint32_t count_ = 0;
	uint32_t in_use_ = 0;
	uint32_t free_ = kNone;
	uint32_t free_transaction_ = kNone;
	bool control_in_use_[kControlIds] = {};
	std::array<uint32_t, nvsp::kMaxChannels> outstanding_{};
	std::vector<uint32_t> next_;
	std::vector<Transaction> transactions_;
};

} // namespace netvsp
