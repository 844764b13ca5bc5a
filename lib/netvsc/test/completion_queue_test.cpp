/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsc/completion_queue.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace netvsc::test {
namespace {

std::vector<uint64_t> all(CompletionQueue& queue)
{
	std::vector<uint64_t> out;
	queue.pop_all([&](uint64_t entry) { out.push_back(entry); });
	return out;
}

TEST(CompletionQueue, KeepsOrderAndCapacity)
{
	CompletionQueue queue(4);
	EXPECT_TRUE(all(queue).empty());
	uint64_t next = 0;
	for (int round = 0; round < 50; round++) {
		std::vector<uint64_t> expected;
		for (int i = 0; i <= round % 4; i++) {
			expected.push_back(next);
			EXPECT_TRUE(queue.push(next++));
		}
		EXPECT_EQ(all(queue), expected);
	}
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_TRUE(queue.push(i));
	EXPECT_FALSE(queue.push(4)); /* full; nothing is overwritten */
	EXPECT_FALSE(queue.push(5));
	EXPECT_EQ(all(queue), (std::vector<uint64_t>{0, 1, 2, 3}));
	EXPECT_TRUE(queue.push(~uint64_t{0}));
	EXPECT_EQ(all(queue), (std::vector<uint64_t>{~uint64_t{0}}));
}

TEST(CompletionQueueThreads, NothingIsLostOrReordered)
{
	constexpr uint64_t kEntries = 200000;
	CompletionQueue queue(64);
	std::thread producer([&] {
		for (uint64_t n = 0; n < kEntries;) {
			if (queue.push(n * 3 + 1))
				n++;
			else
				std::this_thread::yield();
		}
	});
	uint64_t n = 0;
	bool right = true;
	while (n < kEntries)
		queue.pop_all([&](uint64_t entry) { right = right && entry == n++ * 3 + 1; });
	producer.join();
	EXPECT_TRUE(right);
}

} // namespace
} // namespace netvsc::test
