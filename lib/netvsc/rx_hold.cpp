/* SPDX-License-Identifier: BSD-3-Clause */
#include "rx_hold.hpp"

namespace netvsc {

HoldPool* HoldPool::create(uint32_t frames, std::shared_ptr<void> buffer)
{
	auto* pool = new HoldPool;
	pool->buffer_ = std::move(buffer);
	pool->left_ = frames;
	pool->holds_.reset(new Hold[frames]{}); /* a packet has at least one */
	for (uint32_t i = 0; i < frames; i++) {
		Hold& hold = pool->holds_[i];
		hold.pool = pool;
		hold.next = pool->free_;
		pool->free_ = &hold;
	}
	return pool;
}

} // namespace netvsc
