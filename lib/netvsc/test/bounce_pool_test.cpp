/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsc/bounce_pool.hpp"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

namespace netvsc {
namespace {

TEST(BouncePool, HasNoneAtFirst)
{
	BouncePool pool;
	EXPECT_EQ(pool.take(), BouncePool::kNone);
	EXPECT_EQ(pool.longest(), 0u);
}

TEST(BouncePool, BuffersDoNotOverlap)
{
	for (const uint32_t longest : {1u, 63u, 9234u}) {
		std::vector<uint8_t> memory(BouncePool::memory_size(longest));
		BouncePool pool;
		pool.reset({memory.data(), 0x10000, memory.size()}, longest);
		std::set<uint32_t> taken;
		for (uint32_t i = 0; i < BouncePool::kBuffers; i++) {
			const uint32_t buffer = pool.take();
			ASSERT_NE(buffer, BouncePool::kNone);
			EXPECT_TRUE(taken.insert(buffer).second);
			uint8_t* begin = pool.frame(buffer) - BouncePool::kHeadroom;
			ASSERT_GE(begin, memory.data());
			ASSERT_LE(pool.frame(buffer) + longest, memory.data() + memory.size());
			for (uint8_t* p = begin; p < pool.frame(buffer) + longest; p++)
				ASSERT_EQ((*p)++, 0) << "another buffer's, too";
			EXPECT_EQ(pool.gpa(begin),
				  0x10000 + static_cast<uint64_t>(begin - memory.data()));
		}
		EXPECT_EQ(pool.take(), BouncePool::kNone);
		pool.give(3);
		EXPECT_EQ(pool.take(), 3u);
		pool.reset({memory.data(), 0x10000, memory.size()}, longest);
		EXPECT_NE(pool.take(), BouncePool::kNone) << "all are free again";
	}
}

TEST(BouncePool, NoBufferIsTakenTwice)
{
	BouncePool pool;
	uint8_t memory[1] = {};
	pool.reset({memory, 0, sizeof(memory)}, 1);
	std::atomic<uint32_t> users[BouncePool::kBuffers] = {};
	std::atomic<uint32_t> clashes{0};
	std::vector<std::thread> threads;
	for (int t = 0; t < 3; t++)
		threads.emplace_back([&] {
			for (int i = 0; i < 50000; i++) {
				const uint32_t buffer = pool.take();
				if (buffer == BouncePool::kNone)
					continue;
				clashes += users[buffer].fetch_add(1) != 0;
				users[buffer].fetch_sub(1);
				pool.give(buffer);
			}
		});
	for (std::thread& thread : threads)
		thread.join();
	EXPECT_EQ(clashes, 0u);
}

} // namespace
} // namespace netvsc
