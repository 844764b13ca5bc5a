/* SPDX-License-Identifier: BSD-3-Clause */
/* A NIC with as many channels as there can be, and what RSS may do with them. */
#include "offload_guest.hpp"

using namespace test;

namespace {

constexpr uint64_t kSmallRing = 16 * 1024; /* each way */

class QueuesTest : public Fixture {
      protected:
	/** Guest::open() with rings for many, beside the data. */
	void open_small(const vu::OfferChannel& offer)
	{
		GuestChannel c;
		c.relid = offer.relid;
		c.index = offer.subchannel_index;
		uint64_t at = kDataAt + (1u << 20) + c.index * 2 * kSmallRing;
		memset(guest->memory + at, 0, 2 * kSmallRing);
		c.tx = reinterpret_cast<vmbus::RingControl*>(guest->memory + at);
		c.rx = reinterpret_cast<vmbus::RingControl*>(guest->memory + at + kSmallRing);
		c.data_size = kSmallRing - 4096;
		c.tx->feature_bits = vmbus::kFeaturePendingSendSize;
		c.kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		c.call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		guest->channels[c.relid] = c;
		uint32_t id = 100 + c.index;
		ASSERT_EQ(vu::Status::kOk,
			  guest->gpadl(c.relid, id, {{kGpa + at, 2 * kSmallRing}}));
		guest->request(vu::Type::kOpenChannel,
			       vu::OpenChannel{{}, c.relid, 7, id, kSmallRing / 4096, 0, 0},
			       {c.kick, c.call});
		vu::OpenResult r{};
		ASSERT_TRUE(guest->expect(vu::Type::kOpenResult, r));
		ASSERT_EQ(vu::Status::kOk, r.status);
	}
	void open_all(uint32_t queues)
	{
		nvsp::Message m{}, a{};
		m.type = nvsp::kSubchannel;
		m.subchannel_request = {nvsp::kSubchannelAllocate, queues - 1};
		ASSERT_TRUE(guest->transact(m, a));
		ASSERT_EQ(queues - 1, a.subchannel_complete.count);
		for (uint32_t i = 1; i < queues; i++) {
			vu::OfferChannel o{};
			ASSERT_TRUE(guest->expect(vu::Type::kOfferChannel, o));
			ASSERT_EQ(i, o.subchannel_index);
			open_small(o);
		}
	}
	uint32_t set_rss(uint32_t types, uint32_t queues)
	{
		std::vector<uint8_t> b(84 + 128 * 4);
		auto put = [&](size_t at, auto v) { memcpy(b.data() + at, &v, sizeof(v)); };
		put(8, types | 1);
		put(12, uint16_t(512));
		put(16, uint32_t(84));
		put(20, uint16_t(40));
		put(24, uint32_t(44));
		for (int i = 0; i < 40; i++)
			b[44 + size_t(i)] = uint8_t(i * 37 + 11);
		for (uint32_t i = 0; i < 128; i++)
			put(84 + i * 4, i % queues);
		return guest->set(rndis::kOidReceiveScaleParameters, b);
	}
};

TEST_F(QueuesTest, SixtyFourChannels)
{
	netvsp::NicConfig config;
	config.queues = 64;
	start(config);
	negotiate(*guest);
	open_all(64);
	EXPECT_EQ(64u, stats().channels_open);
	ASSERT_EQ(0u, set_rss(ndis::kHashTcpIpv4, 64));
	constexpr uint16_t kFlows = 6400;
	constexpr uint16_t kRounds = 20; /* or a channel's share of the buffer would not do */
	uint32_t total = 0;
	for (uint16_t round = 0; round < kRounds; round++) {
		for (uint16_t i = 0; i < kFlows / kRounds; i++) {
			FrameSpec s;
			s.source_port = uint16_t(round * (kFlows / kRounds) + i);
			s.payload = 0;
			endpoint->incoming.push_back(good_frame(s));
		}
		for (auto& [relid, c] : guest->channels) {
			for (auto& f : info_frames(*guest, c, 0)) {
				ASSERT_EQ(c.index, f.info[rndis::kPpiHashValue] % 64);
				total++;
			}
		}
	}
	EXPECT_EQ(kFlows, total);
	/* and every one of them transmits */
	auto message = message_with(good_frame({}), {});
	memcpy(guest->memory + kSendAt, message.data(), message.size());
	nvsp::Message m{};
	m.type = nvsp::kSendRndisPacket;
	m.rndis = {nvsp::kChannelData, 0, uint32_t(message.size())};
	for (auto& [relid, c] : guest->channels) {
		ASSERT_TRUE(c.send(6, 1, 77, {}, bytes_of(m)));
		EXPECT_EQ(nvsp::kStatusSuccess, guest->await_completion(c, 77)) << c.index;
	}
	EXPECT_EQ(64u, endpoint->sent.size());
	EXPECT_EQ(0u, stats().protocol_errors) << stats().last_error;
	EXPECT_EQ(0u, stats().suballocations_in_use);
	guest->close_channel(guest->primary);
	vu::ChannelId id{};
	for (int i = 1; i < 64; i++)
		ASSERT_TRUE(guest->expect(vu::Type::kRescind, id));
	EXPECT_EQ(0u, stats().channels_open);
}

TEST_F(QueuesTest, OnlyHashTypesThatTheHostAllows)
{
	netvsp::NicConfig config;
	config.rss_types = ndis::kHashTcpIpv6;
	start(config);
	negotiate(*guest);
	std::vector<uint8_t> caps;
	ASSERT_EQ(0u, guest->query(rndis::kOidReceiveScaleCapabilities, caps));
	uint32_t flags;
	memcpy(&flags, caps.data() + 4, 4);
	EXPECT_EQ(0x201u, flags);
	ASSERT_EQ(0u, set_rss(ndis::kHashIpv4 | ndis::kHashTcpIpv4 | ndis::kHashTcpIpv6, 1));
	std::vector<uint32_t> hashes;
	for (bool v6 : {false, true}) {
		for (uint16_t port : {1, 2}) {
			FrameSpec s;
			s.v6 = v6;
			s.source_port = port;
			endpoint->incoming.push_back(good_frame(s));
			auto got = info_frames(*guest, guest->ch());
			ASSERT_EQ(1u, got.size());
			hashes.push_back(got[0].info.at(rndis::kPpiHashValue));
		}
	}
	EXPECT_EQ(hashes[0], hashes[1]); /* by addresses alone */
	EXPECT_NE(hashes[2], hashes[3]);
}

} // namespace
