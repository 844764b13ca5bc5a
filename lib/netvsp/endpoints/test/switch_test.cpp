/* SPDX-License-Identifier: BSD-3-Clause */
#include "support.hpp"

using namespace netvsp;
using namespace netvsp::test;

namespace {

uint64_t fake_time;

class SwitchTest : public ::testing::Test {
      protected:
	SwitchTest() { fake_time = 1'000'000'000'000; }

	void make_ports(size_t count, uint32_t queue_bytes = 1u << 16, uint32_t entries = 8)
	{
		Switch::Config config;

		config.queue_bytes = queue_bytes;
		config.table_entries = entries;
		config.clock = [] { return fake_time; };
		vswitch = std::make_shared<Switch>(config);
		for (size_t i = 0; i < count; i++)
			ports.push_back(make_switch_port(vswitch));
	}

	static Frame from_to(uint8_t source, uint8_t destination, size_t length = 60)
	{
		Frame frame = make_frame(length);

		const uint8_t header[12] = {2, 0, 0, 0, 0, destination, 2, 0, 0, 0, 0, source};
		std::copy_n(header, std::min(length, sizeof(header)), frame.begin());
		return frame;
	}

	std::shared_ptr<Switch> vswitch;
	std::vector<std::unique_ptr<Endpoint>> ports;
};

} // namespace

TEST_F(SwitchTest, FloodsTheUnknownThenLearns)
{
	make_ports(3);
	const Frame first = from_to(1, 2);
	send(*ports[0], first);
	EXPECT_TRUE(receive(*ports[0]).empty());
	EXPECT_EQ(receive(*ports[1]), first);
	EXPECT_EQ(receive(*ports[2]), first);

	const Frame answer = from_to(2, 1);
	send(*ports[1], answer);
	EXPECT_EQ(receive(*ports[0]), answer);
	EXPECT_TRUE(receive(*ports[2]).empty());

	send(*ports[0], first);
	EXPECT_EQ(receive(*ports[1]), first);
	EXPECT_TRUE(receive(*ports[2]).empty());
	EXPECT_EQ(vswitch->learned(), 2u);
}

TEST_F(SwitchTest, FloodsGroupAddresses)
{
	make_ports(3);
	Frame frame = from_to(1, 2);
	std::fill_n(frame.begin(), 6, 0xff);
	send(*ports[0], frame);
	EXPECT_EQ(receive(*ports[1]), frame);
	EXPECT_EQ(receive(*ports[2]), frame);
	frame[0] = 0x33;
	send(*ports[2], frame);
	EXPECT_EQ(receive(*ports[0]), frame);
	EXPECT_EQ(receive(*ports[1]), frame);
}

TEST_F(SwitchTest, DoesNotLearnAGroupAddress)
{
	make_ports(2);
	Frame frame = from_to(1, 2);
	frame[6] |= 1;
	send(*ports[0], frame);
	EXPECT_EQ(vswitch->learned(), 0u);
}

TEST_F(SwitchTest, FollowsAnAddressThatMoves)
{
	make_ports(3);
	send(*ports[0], from_to(1, 9));
	send(*ports[1], from_to(1, 9));
	for (auto& port : ports)
		while (!receive(*port).empty())
			;
	send(*ports[2], from_to(3, 1));
	EXPECT_TRUE(receive(*ports[0]).empty());
	EXPECT_EQ(receive(*ports[1]), from_to(3, 1));
}

TEST_F(SwitchTest, DoesNotReflect)
{
	make_ports(2);
	send(*ports[0], from_to(1, 9));
	receive(*ports[1]);
	send(*ports[0], from_to(4, 1)); /* both behind port 0 */
	EXPECT_TRUE(receive(*ports[0]).empty());
	EXPECT_TRUE(receive(*ports[1]).empty());
	EXPECT_EQ(ports[0]->stats().dropped, 0u);
}

TEST_F(SwitchTest, Ages)
{
	make_ports(3);
	send(*ports[0], from_to(1, 9));
	receive(*ports[1]);
	receive(*ports[2]);
	fake_time += 299'000'000'000;
	send(*ports[1], from_to(2, 1));
	EXPECT_TRUE(receive(*ports[2]).empty());
	fake_time += 2'000'000'000;
	send(*ports[1], from_to(2, 1));
	EXPECT_FALSE(receive(*ports[2]).empty());
}

TEST_F(SwitchTest, BoundsTheTable)
{
	make_ports(2);
	for (uint8_t i = 0; i < 20; i++) {
		send(*ports[0], from_to(i, 99));
		receive(*ports[1]);
	}
	EXPECT_EQ(vswitch->learned(), 8u);
	/* What has aged makes room. */
	fake_time += 400'000'000'000;
	send(*ports[0], from_to(50, 99));
	EXPECT_EQ(vswitch->learned(), 1u);
}

TEST_F(SwitchTest, DropsAtTheSenderWhenAQueueIsFull)
{
	make_ports(3, 1024);
	for (int i = 0; i < 20; i++)
		EXPECT_TRUE(send(*ports[0], from_to(1, 2)));
	/* 72 bytes a frame: 14 fit in each of the two other ports. */
	EXPECT_EQ(ports[0]->stats().dropped, 12u);
	EXPECT_EQ(ports[1]->stats().dropped, 0u);
	size_t received = 0;
	while (!receive(*ports[1]).empty())
		received++;
	EXPECT_EQ(received, 14u);
	EXPECT_EQ(ports[1]->wait_ns(), -1);
	EXPECT_EQ(ports[2]->wait_ns(), 0);
}

TEST_F(SwitchTest, PortsComeAndGo)
{
	make_ports(3);
	send(*ports[1], from_to(2, 9));
	send(*ports[0], from_to(1, 2));
	ports[1].reset();
	EXPECT_EQ(vswitch->ports(), 2u);
	EXPECT_EQ(vswitch->learned(), 1u);
	while (!receive(*ports[2]).empty())
		;
	send(*ports[0], from_to(1, 2)); /* unknown again */
	EXPECT_EQ(receive(*ports[2]), from_to(1, 2));
	ports.push_back(make_switch_port(vswitch));
	send(*ports[0], from_to(1, 2));
	EXPECT_EQ(receive(*ports[3]), from_to(1, 2));
	/* The ports keep the switch. */
	vswitch.reset();
	EXPECT_TRUE(send(*ports[0], from_to(1, 2)));
	ports.clear();
}

TEST_F(SwitchTest, RefusesWhatIsNoFrame)
{
	make_ports(2);
	for (size_t length : {0, 1, 6, 13})
		EXPECT_TRUE(send(*ports[0], make_frame(length)));
	EXPECT_EQ(ports[0]->stats().errors, 4u);
	EXPECT_TRUE(receive(*ports[1]).empty());
	EXPECT_TRUE(send(*ports[0], from_to(1, 2, 14)));
	EXPECT_EQ(receive(*ports[1]).size(), 14u);
}

TEST_F(SwitchTest, DropsWhatTheGuestHasNoRoomFor)
{
	make_ports(2);
	send(*ports[0], from_to(1, 2, 1514));
	send(*ports[0], from_to(1, 2, 60));
	EXPECT_EQ(receive(*ports[1], 100).size(), 60u);
	EXPECT_EQ(ports[1]->stats().dropped, 1u);
}
