/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsp/receive_buffer.hpp"

#include <set>

#include <gtest/gtest.h>

using netvsp::kControlIds;
using netvsp::ReceiveBuffer;

namespace {

constexpr uint32_t kSize = 1728;

TEST(ReceiveBufferTest, NeedsRoomBeyondTheControlMessages)
{
	ReceiveBuffer b;
	std::vector<uint8_t> memory(1 << 20);
	EXPECT_FALSE(b.attach(memory.data(), 16 * kSize, kSize));
	EXPECT_FALSE(b.attached());
	EXPECT_TRUE(b.attach(memory.data(), memory.size(), kSize));
	EXPECT_EQ(kSize, b.suballocation_size());
	EXPECT_LE(uint64_t(b.count()) * b.suballocation_size(), memory.size());
}

TEST(ReceiveBufferTest, EverySuballocationOnceAndBack)
{
	ReceiveBuffer b;
	std::vector<uint8_t> memory(256 * 1024);
	ASSERT_TRUE(b.attach(memory.data(), memory.size(), kSize));
	for (int round = 0; round < 3; round++) {
		std::set<uint32_t> seen;
		std::vector<uint32_t> chain, ids;
		for (uint32_t i; (i = b.take()) != ReceiveBuffer::kNone;) {
			EXPECT_GE(i, kControlIds);
			EXPECT_LT(i, b.count());
			EXPECT_TRUE(seen.insert(i).second);
			chain.push_back(i);
			if (chain.size() == 7) {
				ids.push_back(b.begin(chain.data(), 7, 3));
				EXPECT_EQ(ids.size() * 7, b.outstanding(3));
				chain.clear();
			}
		}
		EXPECT_EQ(b.count() - kControlIds, seen.size());
		EXPECT_EQ(seen.size(), b.in_use());
		for (uint32_t i : chain)
			b.give(i);
		for (uint32_t id : ids) {
			EXPECT_FALSE(b.complete(id, 2)); /* another channel's */
			EXPECT_TRUE(b.complete(id, 3));
			EXPECT_FALSE(b.complete(id, 3)); /* twice */
		}
		EXPECT_EQ(0u, b.in_use());
		EXPECT_EQ(0u, b.outstanding(3));
	}
	EXPECT_FALSE(b.complete(0, 0));
	EXPECT_FALSE(b.complete(b.count(), 0));
	EXPECT_FALSE(b.complete(UINT64_MAX, 0));
	EXPECT_FALSE(b.complete((1ull << 32) + 20, 0));
}

TEST(ReceiveBufferTest, AbandonTakesBackOneChannels)
{
	ReceiveBuffer b;
	std::vector<uint8_t> memory(256 * 1024);
	ASSERT_TRUE(b.attach(memory.data(), memory.size(), kSize));
	uint32_t x = b.take(), y = b.take();
	b.begin(&x, 1, 1);
	uint32_t id = b.begin(&y, 1, 2);
	b.abandon(1);
	EXPECT_EQ(1u, b.in_use());
	EXPECT_TRUE(b.complete(id, 2));
}

TEST(ReceiveBufferTest, ControlIdsRunOut)
{
	ReceiveBuffer b;
	EXPECT_EQ(ReceiveBuffer::kNone, b.take_control());
	std::vector<uint8_t> memory(256 * 1024);
	ASSERT_TRUE(b.attach(memory.data(), memory.size(), kSize));
	for (uint32_t i = 0; i < kControlIds; i++)
		EXPECT_LT(b.take_control(), kControlIds);
	EXPECT_EQ(ReceiveBuffer::kNone, b.take_control());
	EXPECT_TRUE(b.complete_control(3));
	EXPECT_FALSE(b.complete_control(3));
	EXPECT_FALSE(b.complete_control(kControlIds));
	EXPECT_EQ(3u, b.take_control());
}

} // namespace
