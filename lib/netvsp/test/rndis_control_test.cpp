/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"

using namespace test;

namespace {

class RndisTest : public Fixture {};

TEST_F(RndisTest, SetLongerThanItsMessageIsRefused)
{
	start();
	guest->up();
	rndis::OidRequest r{};
	r.hdr = {rndis::kSet, sizeof(r)};
	r.oid = rndis::kOidCurrentPacketFilter;
	r.info_length = 4;
	std::vector<uint8_t> a;
	ASSERT_TRUE(guest->rndis(bytes_of(r), a));
	rndis::StatusComplete c;
	memcpy(&c, a.data(), sizeof(c));
	EXPECT_EQ(rndis::kStatusInvalidLength, c.status);
	EXPECT_EQ(0x20u, stats().packet_filter);
}

TEST_F(RndisTest, GuestKeepaliveIsAnswered)
{
	start();
	guest->up();
	rndis::KeepaliveRequest r{{rndis::kKeepalive, sizeof(r)}, 0x55};
	std::vector<uint8_t> a;
	ASSERT_TRUE(guest->rndis(bytes_of(r), a));
	rndis::StatusComplete c;
	memcpy(&c, a.data(), sizeof(c));
	EXPECT_EQ(0x55u, c.request_id);
	EXPECT_EQ(0u, c.status);
}

TEST_F(RndisTest, SecondInitializeSilences)
{
	start();
	guest->up();
	EXPECT_FALSE(guest->rndis_init());
	EXPECT_EQ(1u, stats().protocol_errors);
}

TEST_F(RndisTest, HaltGetsNoAnswer)
{
	start();
	guest->up();
	rndis::HaltRequest r{{rndis::kHalt, sizeof(r)}, 9};
	std::vector<uint8_t> a;
	EXPECT_FALSE(guest->rndis(bytes_of(r), a));
	EXPECT_EQ(0u, stats().protocol_errors);
	endpoint->incoming.push_back(std::string(60, 'a'));
	EXPECT_TRUE(guest->frames(guest->ch()).empty());
}

TEST_F(RndisTest, MalformedControlSilences)
{
	for (auto [type, length] : {std::pair{uint32_t(rndis::kQuery), 12u},
				    {0x77u, 12u},
				    {uint32_t(rndis::kQuery), 4u},
				    {uint32_t(rndis::kSet), 0xffffffffu},
				    {uint32_t(rndis::kReset), 12u}}) {
		NicAndGuest one;
		Guest& g = one.guest;
		g.up();
		rndis::HaltRequest r{{type, length}, 0};
		std::vector<uint8_t> a;
		EXPECT_FALSE(g.rndis(bytes_of(r), a));
		netvsp::NicStats s;
		ASSERT_TRUE(one.host.stats(one.nic, s));
		EXPECT_EQ(1u, s.protocol_errors) << type << " " << length;
	}
}

TEST_F(RndisTest, KeepaliveFaultAsksTheGuest)
{
	netvsp::NicConfig config;
	config.faults = {"keepalive"};
	start(config);
	guest->up();
	guest->frames(guest->ch());
	ASSERT_EQ(1u, guest->indications.size());
	uint32_t type;
	memcpy(&type, guest->indications[0].data(), 4);
	EXPECT_EQ(rndis::kKeepalive, type);
}

} // namespace
