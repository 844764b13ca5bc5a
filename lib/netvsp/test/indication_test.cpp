/* SPDX-License-Identifier: BSD-3-Clause */
#include "offload_guest.hpp"

using namespace test;

namespace {

using Bytes = std::vector<uint8_t>;

class IndicationTest : public Fixture {};

TEST_F(IndicationTest, SpeedIsToldAndReadBack)
{
	netvsp::NicConfig config;
	config.speed_mbps = 10000;
	start(config);
	negotiate(*guest);
	ASSERT_TRUE(host.set_speed(nic, 25000));
	auto told = indications(*guest);
	ASSERT_EQ(1u, told.size());
	EXPECT_EQ(rndis::kStatusLinkSpeedChange, told[0].first);
	EXPECT_EQ(bytes_of(uint32_t(250000000)), told[0].second);
	EXPECT_EQ(250000000u, guest->query_u32(rndis::kOidLinkSpeed));
	ASSERT_TRUE(host.set_speed(nic, 25000)); /* no news */
	EXPECT_TRUE(indications(*guest).empty());
	EXPECT_FALSE(host.set_speed(nic, 0));
	EXPECT_FALSE(host.set_speed(nic, 400001));
	EXPECT_FALSE(host.set_speed({}, 1000));
	/* what does not fit in 32 bits is the most that does */
	ASSERT_TRUE(host.set_speed(nic, 400000));
	EXPECT_EQ(4000000000u, guest->query_u32(rndis::kOidLinkSpeed));
}

TEST_F(IndicationTest, NetworkChangeAndAnythingElse)
{
	start();
	negotiate(*guest);
	ASSERT_TRUE(host.change_network(nic));
	ASSERT_TRUE(host.indicate(nic, 0x40010099, Bytes(256, 7)));
	EXPECT_FALSE(host.indicate(nic, 0x40010099, Bytes(257, 7)));
	auto told = indications(*guest);
	ASSERT_EQ(2u, told.size());
	EXPECT_EQ(rndis::kStatusNetworkChange, told[0].first);
	EXPECT_TRUE(told[0].second.empty());
	EXPECT_EQ(0x40010099u, told[1].first);
	EXPECT_EQ(Bytes(256, 7), told[1].second);
}

TEST_F(IndicationTest, OffloadsThatTheHostWithdraws)
{
	start();
	negotiate(*guest);
	netvsp::Offloads less{netvsp::kChecksumTcp4, 0, true, false};
	ASSERT_TRUE(host.set_offloads(nic, less)); /* nothing was turned on */
	EXPECT_TRUE(indications(*guest).empty());
	ASSERT_EQ(0u, guest->set(rndis::kOidOffloadParameters, bytes_of(all_offloads())));
	EXPECT_EQ(less, stats().offloads);
	EXPECT_EQ(1u, indications(*guest).size());
	ASSERT_TRUE(host.set_offloads(nic, {}));
	EXPECT_EQ(netvsp::Offloads{}, stats().offloads);
	auto told = indications(*guest);
	ASSERT_EQ(1u, told.size());
	EXPECT_EQ(rndis::kStatusOffloadConfig, told[0].first);
	ndis::Offload o{};
	ASSERT_EQ(sizeof(o), told[0].second.size());
	memcpy(&o, told[0].second.data(), sizeof(o));
	EXPECT_EQ(0u, o.checksum.ip4_tx | o.lso_v2.ip4_max_size);
}

TEST_F(IndicationTest, NobodyIsToldBeforeInitialize)
{
	start();
	ASSERT_TRUE(host.set_speed(nic, 1000));
	ASSERT_EQ(vu::Status::kOk, guest->open(guest->offers[0]));
	ASSERT_TRUE(host.change_network(nic));
	Received p;
	EXPECT_FALSE(guest->receive(guest->ch(), p, 20));
}

TEST_F(IndicationTest, WaitForTheGuestAndLeaveRoomForAnswers)
{
	start();
	negotiate(*guest);
	guest->frames(guest->ch());
	for (uint32_t i = 0; i < 40; i++)
		ASSERT_TRUE(host.indicate(nic, 0x40020000 + i));
	/* the guest reads them, but completes none */
	std::vector<uint64_t> ids;
	Received p;
	while (guest->receive(guest->ch(), p, 20))
		ids.push_back(p.d.transaction_id);
	EXPECT_EQ(12u, ids.size());
	EXPECT_EQ(0x20u, guest->query_u32(rndis::kOidCurrentPacketFilter));
	EXPECT_EQ(0u, stats().protocol_errors);
	for (uint64_t id : ids)
		ASSERT_TRUE(guest->ch().send(0xb, 0, id, {}, bytes_of(nvsp::Message{})));
	auto rest = indications(*guest);
	ASSERT_EQ(28u, rest.size());
	for (uint32_t i = 0; i < 28; i++)
		EXPECT_EQ(0x40020000 + 12 + i, rest[i].first);
}

TEST_F(IndicationTest, FromAnyThreadOfARunningHost)
{
	start();
	negotiate(*guest);
	host.start({});
	ASSERT_TRUE(host.set_speed(nic, 1000));
	ASSERT_TRUE(host.set_vf(nic, true, 3));
	host.stop();
	EXPECT_EQ(1u, indications(*guest).size());
	EXPECT_TRUE(stats().vf_told);
}

} // namespace
