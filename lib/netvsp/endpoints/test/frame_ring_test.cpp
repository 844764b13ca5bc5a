/* SPDX-License-Identifier: BSD-3-Clause */
#include <deque>
#include <random>

#include "../frame_ring.hpp"
#include "support.hpp"

using namespace netvsp;
using namespace netvsp::test;

TEST(FrameRing, KeepsOrderAndBytesWhereverItWraps)
{
	/* Random pushes and pops against a queue that cannot be wrong, in a ring that wraps often.
	 */
	std::mt19937 random(1);
	FrameRing ring(4096);
	std::deque<Frame> expected;
	size_t refused = 0;

	for (int i = 0; i < 200000; i++) {
		if (random() % 100 < 55) {
			const Frame frame = make_frame(1 + random() % 900, uint8_t(random()));
			if (ring.push(frame.data(), uint32_t(frame.size())))
				expected.push_back(frame);
			else
				refused++;
		} else {
			uint32_t length = 0;
			const uint8_t* front = ring.front(length);
			ASSERT_EQ(front == nullptr, expected.empty());
			if (front) {
				ASSERT_EQ(Frame(front, front + length), expected.front());
				expected.pop_front();
			}
			ring.pop();
		}
		ASSERT_EQ(ring.frames(), expected.size());
	}
	EXPECT_GT(refused, 1000u);
}

TEST(FrameRing, FillsToTheLastByte)
{
	FrameRing ring(64);
	const Frame frame = make_frame(24);

	EXPECT_TRUE(ring.push(frame.data(), 24));
	EXPECT_TRUE(ring.push(frame.data(), 24));
	EXPECT_FALSE(ring.push(frame.data(), 0));
	ring.pop();
	EXPECT_TRUE(ring.push(frame.data(), 24));
	EXPECT_FALSE(ring.push(frame.data(), 0));
	EXPECT_EQ(ring.frames(), 2u);
}

TEST(FrameRing, RefusesWhatNeverFits)
{
	FrameRing ring(64);
	const Frame frame = make_frame(64);

	EXPECT_FALSE(ring.push(frame.data(), 64));
	EXPECT_TRUE(ring.push(frame.data(), 56));
}
