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

TEST(LoopbackEndpoint, GivesBackWhatItGot)
{
	auto endpoint = make("loopback");

	EXPECT_EQ(endpoint->wait_ns(), -1);
	for (size_t length : {14, 59, 60, 1514, 9216})
		EXPECT_TRUE(send(*endpoint, make_frame(length)));
	EXPECT_EQ(endpoint->wait_ns(), 0);
	for (size_t length : {14, 59, 60, 1514, 9216})
		EXPECT_EQ(receive(*endpoint), make_frame(length));
	EXPECT_TRUE(receive(*endpoint).empty());
	EXPECT_EQ(endpoint->wait_ns(), -1);
	EXPECT_EQ(endpoint->stats().sent_frames, 5u);
	EXPECT_EQ(endpoint->stats().received_frames, 5u);
	EXPECT_EQ(endpoint->stats().received_bytes, endpoint->stats().sent_bytes);
}

TEST(LoopbackEndpoint, PushesBackWhenFull)
{
	auto endpoint = make("loopback");
	const Frame frame = make_frame(9216);
	size_t taken = 0;

	while (send(*endpoint, frame))
		ASSERT_LT(++taken, 10000u);
	EXPECT_GT(taken, 800u);
	EXPECT_EQ(endpoint->stats().sent_frames, taken);
	EXPECT_EQ(receive(*endpoint), frame);
	EXPECT_TRUE(send(*endpoint, frame));
	EXPECT_EQ(endpoint->stats().dropped, 0u);
}

TEST(LoopbackEndpoint, DropsWhatTheGuestHasNoRoomFor)
{
	auto endpoint = make("loopback");

	send(*endpoint, make_frame(1514));
	send(*endpoint, make_frame(60));
	EXPECT_EQ(receive(*endpoint, 1000), make_frame(60));
	EXPECT_EQ(endpoint->stats().dropped, 1u);
}

TEST(LoopbackEndpoint, DropsTheEmptyFrame)
{
	auto endpoint = make("loopback");

	EXPECT_TRUE(send(*endpoint, Frame()));
	EXPECT_EQ(endpoint->stats().dropped, 1u);
	EXPECT_EQ(endpoint->wait_ns(), -1);
}
