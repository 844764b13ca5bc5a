/* SPDX-License-Identifier: BSD-3-Clause */
#include "support.hpp"

using namespace netvsp;
using namespace netvsp::test;

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
