/* SPDX-License-Identifier: BSD-3-Clause */
#include "support.hpp"

using namespace netvsp;
using namespace netvsp::test;

TEST(NullEndpoint, TakesAllGivesNone)
{
	auto endpoint = make("null");

	EXPECT_TRUE(send(*endpoint, make_frame(60)));
	EXPECT_TRUE(send(*endpoint, make_frame(9216)));
	EXPECT_TRUE(receive(*endpoint).empty());
	EXPECT_EQ(endpoint->stats().sent_frames, 2u);
	EXPECT_EQ(endpoint->stats().sent_bytes, 9276u);
	EXPECT_EQ(endpoint->wait_ns(), -1);
	EXPECT_EQ(endpoint->wait_fd(), -1);
	EXPECT_TRUE(endpoint->connected());
}
