/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"

using namespace test;

namespace {

class RndisTest : public Fixture {
      protected:
	std::vector<uint8_t> rss(uint16_t flags, uint32_t hash, uint32_t entries, uint32_t value,
				 uint16_t key_size = 40)
	{
		std::vector<uint8_t> b(44 + 40 + entries * 4);
		auto put = [&](size_t at, auto v) { memcpy(b.data() + at, &v, sizeof(v)); };
		put(0, uint8_t(0x89));
		put(4, flags);
		put(8, hash);
		put(12, uint16_t(entries * 4));
		put(16, uint32_t(84));
		put(20, key_size);
		put(24, uint32_t(44));
		for (uint32_t i = 0; i < entries; i++)
			put(84 + i * 4, value);
		return b;
	}
};

TEST_F(RndisTest, Queries)
{
	netvsp::NicConfig config;
	config.mac = {2, 1, 2, 3, 4, 5};
	config.speed_mbps = 25000;
	config.queues = 8;
	start(config);
	guest->up();
	EXPECT_EQ(250000000u, guest->query_u32(rndis::kOidLinkSpeed));
	EXPECT_EQ(0u, guest->query_u32(rndis::kOidMediaConnectStatus));
	EXPECT_EQ(0x20u, guest->query_u32(rndis::kOidCurrentPacketFilter));
	std::vector<uint8_t> info;
	for (uint32_t oid : {rndis::kOidPermanentAddress, rndis::kOidCurrentAddress}) {
		ASSERT_EQ(0u, guest->query(oid, info));
		EXPECT_EQ((std::vector<uint8_t>{2, 1, 2, 3, 4, 5}), info);
	}
	ASSERT_EQ(0u, guest->query(rndis::kOidReceiveScaleCapabilities, info));
	ASSERT_EQ(18u, info.size());
	uint32_t queues;
	memcpy(&queues, info.data() + 12, 4);
	EXPECT_EQ(8u, queues);
	ASSERT_EQ(0u, guest->query(rndis::kOidOffloadCapabilities, info));
	ASSERT_EQ(112u, info.size());
	EXPECT_EQ(0xa7, info[0]);
	EXPECT_EQ(112, info[2]);
	EXPECT_EQ(rndis::kStatusInvalidOid, guest->query(0x12345678, info));
	EXPECT_TRUE(info.empty());
}

TEST_F(RndisTest, Sets)
{
	netvsp::NicConfig config;
	config.queues = 2;
	start(config);
	guest->up();
	EXPECT_EQ(rndis::kStatusInvalidLength, guest->set(rndis::kOidCurrentPacketFilter, {1, 2}));
	EXPECT_EQ(rndis::kStatusInvalidOid, guest->set(0x99, {1, 2, 3, 4}));
	EXPECT_EQ(0u, guest->set(rndis::kOidOffloadParameters, std::vector<uint8_t>(32)));
	uint32_t oid = rndis::kOidReceiveScaleParameters;
	EXPECT_EQ(0u, guest->set(oid, rss(0, 0x1701, 128, 1)));
	EXPECT_EQ(rndis::kStatusInvalidData, guest->set(oid, rss(0, 0x1701, 128, 2)));
	EXPECT_EQ(rndis::kStatusInvalidData, guest->set(oid, rss(0, 0x1701, 0, 0)));
	EXPECT_EQ(rndis::kStatusInvalidData, guest->set(oid, rss(0, 0x1701, 16, 0, 39)));
	auto cut = rss(0, 0x1701, 128, 1);
	cut.resize(cut.size() - 1);
	EXPECT_EQ(rndis::kStatusInvalidLength, guest->set(oid, cut));
	cut.resize(27);
	EXPECT_EQ(rndis::kStatusInvalidLength, guest->set(oid, cut));
	EXPECT_EQ(0u, guest->set(oid, rss(0x10, 0, 0, 0)));
	EXPECT_EQ(0u, stats().protocol_errors);
}

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
		netvsp::Host h;
		std::string error;
		vmbus::Guid id;
		ASSERT_TRUE(h.add_nic({}, std::make_unique<QueueEndpoint>(), id, error));
		Guest g([&] { h.poll(); });
		g.connect(h);
		g.hello();
		g.up();
		rndis::HaltRequest r{{type, length}, 0};
		std::vector<uint8_t> a;
		EXPECT_FALSE(g.rndis(bytes_of(r), a));
		netvsp::NicStats s;
		ASSERT_TRUE(h.stats(id, s));
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
