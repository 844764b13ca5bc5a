/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"

using namespace test;

namespace {

class RxTest : public Fixture {
      protected:
	void up(netvsp::NicConfig config = {}, uint32_t filter = 0x20)
	{
		config.mac = {2, 0, 0, 0, 0, 1};
		start(config);
		guest->up(nvsp::kVersion61, 1514, filter);
	}
	static std::string to(std::initializer_list<int> mac, char fill = 'z', size_t size = 60)
	{
		std::string f;
		for (int b : mac)
			f += char(b);
		f.resize(size, fill);
		return f;
	}
	static std::string udp(uint16_t port)
	{
		std::string f = to({2, 0, 0, 0, 0, 1}, 0, 60);
		f[12] = 8;
		f[14] = 0x45;
		f[23] = 17;
		f[30] = 10;
		f[34] = char(port >> 8);
		f[35] = char(port);
		return f;
	}
	void spread_over(uint32_t subchannels)
	{
		guest->open_subchannels(subchannels);
		std::vector<uint32_t> table(128);
		for (uint32_t i = 0; i < 128; i++)
			table[i] = i % (subchannels + 1);
		ASSERT_EQ(0u, guest->set(rndis::kOidReceiveScaleParameters,
					 Guest::rss_parameters(0x4001 | 0x100 | 0x200, table)));
	}
};

TEST_F(RxTest, BacklogIsAnnouncedTogether)
{
	up();
	for (int i = 0; i < 1000; i++)
		endpoint->incoming.push_back(to({2, 0, 0, 0, 0, 1}, char(i), 60 + size_t(i)));
	auto got = guest->frames(guest->ch(), 1000);
	ASSERT_EQ(1000u, got.size());
	for (int i = 0; i < 1000; i++)
		EXPECT_EQ(to({2, 0, 0, 0, 0, 1}, char(i), 60 + size_t(i)), got[size_t(i)]);
	EXPECT_EQ(375u, guest->largest);
	host.poll();
	EXPECT_EQ(0u, stats().suballocations_in_use);
	EXPECT_EQ(1000u, stats().rx_frames);
}

TEST_F(RxTest, NothingIsTakenBeforeTheFilter)
{
	up({}, 0);
	endpoint->incoming.push_back(to({2, 0, 0, 0, 0, 1}));
	EXPECT_TRUE(guest->frames(guest->ch()).empty());
	EXPECT_EQ(1u, endpoint->incoming.size());
	ASSERT_EQ(0u, guest->set_filter(rndis::kFilterDirected));
	EXPECT_EQ(1u, guest->frames(guest->ch(), 1).size());
}

TEST_F(RxTest, Filters)
{
	auto own = to({2, 0, 0, 0, 0, 1}), other = to({2, 0, 0, 0, 0, 2}),
	     multicast = to({1, 0, 0x5e, 0, 0, 1}), broadcast = to({255, 255, 255, 255, 255, 255});
	up({}, 0);
	auto passed = [&](uint32_t filter) {
		EXPECT_EQ(0u, guest->set_filter(filter));
		for (const auto& f : {own, other, multicast, broadcast})
			endpoint->incoming.push_back(f);
		return guest->frames(guest->ch());
	};
	using F = std::vector<std::string>;
	EXPECT_EQ((F{own}), passed(rndis::kFilterDirected));
	EXPECT_EQ(3u, stats().rx_filtered);
	EXPECT_EQ((F{multicast}), passed(rndis::kFilterAllMulticast));
	EXPECT_EQ((F{broadcast}), passed(rndis::kFilterBroadcast));
	EXPECT_EQ((F{own, multicast, broadcast}), passed(0xd));
	EXPECT_EQ((F{own, other, multicast, broadcast}), passed(rndis::kFilterPromiscuous));
}

TEST_F(RxTest, RunsOutOfBufferAndRecovers)
{
	up();
	size_t total = guest->section.suballocation_count + 100;
	for (size_t i = 0; i < total; i++)
		endpoint->incoming.push_back(to({2, 0, 0, 0, 0, 1}, char(i)));
	auto first = guest->frames(guest->ch(), 1, false);
	EXPECT_EQ(guest->section.suballocation_count - 16, first.size());
	EXPECT_EQ(first.size(), stats().suballocations_in_use);
	EXPECT_GT(stats().rx_no_buffer, 0u);
	for (uint64_t id : guest->uncompleted)
		guest->ch().send(0xb, 0, id, {}, bytes_of(nvsp::Message{}));
	auto rest = guest->frames(guest->ch(), total - first.size());
	EXPECT_EQ(total, first.size() + rest.size());
}

TEST_F(RxTest, WrongAndDoubleCompletionsSilence)
{
	up();
	endpoint->incoming.push_back(to({2, 0, 0, 0, 0, 1}));
	ASSERT_EQ(1u, guest->frames(guest->ch(), 1).size());
	EXPECT_EQ(0u, stats().protocol_errors);
	ASSERT_TRUE(guest->ch().send(0xb, 0, 16, {}, bytes_of(nvsp::Message{})));
	host.poll();
	EXPECT_EQ(1u, stats().protocol_errors);
	endpoint->incoming.push_back(to({2, 0, 0, 0, 0, 1}));
	EXPECT_TRUE(guest->frames(guest->ch()).empty());
}

TEST_F(RxTest, RingWithoutRoomHoldsFramesInOrder)
{
	up();
	/* the guest completes nothing and reads nothing: one frame a packet fills the ring */
	size_t total = 0;
	for (; total < 6000; total++) {
		endpoint->incoming.push_back(to({2, 0, 0, 0, 0, 1}, char(total), 60 + total % 50));
		host.poll();
	}
	EXPECT_FALSE(endpoint->incoming.empty());
	auto got = guest->frames(guest->ch(), total);
	ASSERT_EQ(total, got.size());
	for (size_t i = 0; i < total; i++)
		ASSERT_EQ(to({2, 0, 0, 0, 0, 1}, char(i), 60 + i % 50), got[i]) << i;
}

TEST_F(RxTest, SpreadsByHashAndTellsIt)
{
	netvsp::NicConfig config;
	config.queues = 4;
	up(config);
	endpoint->incoming.push_back(udp(1));
	ASSERT_EQ(1u, guest->frames(guest->ch(), 1).size());
	EXPECT_EQ(0u, guest->last_ppi_length);
	spread_over(3);
	for (uint16_t port = 0; port < 400; port++)
		endpoint->incoming.push_back(udp(port));
	size_t total = 0;
	for (auto& [relid, c] : guest->channels) {
		auto got = guest->frames(c, 1);
		EXPECT_GT(got.size(), 40u) << c.index;
		EXPECT_EQ(32u, guest->last_ppi_length); /* the hash, and its kind */
		EXPECT_EQ(c.index, guest->last_hash % 128 % 4);
		total += got.size();
	}
	EXPECT_EQ(400u, total);
	EXPECT_EQ(0u, stats().protocol_errors) << stats().last_error;
}

TEST_F(RxTest, CompletionOnAnotherChannelSilences)
{
	netvsp::NicConfig config;
	config.queues = 2;
	up(config);
	spread_over(1);
	endpoint->incoming.push_back(to({2, 0, 0, 0, 0, 1})); /* not IP: the primary's */
	ASSERT_EQ(1u, guest->frames(guest->ch(), 1, false).size());
	for (auto& [relid, c] : guest->channels)
		if (c.index == 1)
			c.send(0xb, 0, guest->uncompleted[0], {}, bytes_of(nvsp::Message{}));
	host.poll();
	EXPECT_EQ(1u, stats().protocol_errors);
	EXPECT_EQ(1u, stats().suballocations_in_use);
}

TEST_F(RxTest, SilentSubchannelsFramesGoToThePrimary)
{
	netvsp::NicConfig config;
	config.queues = 2;
	up(config);
	spread_over(1);
	for (auto& [relid, c] : guest->channels)
		if (c.index == 1)
			c.tx->in = 3;
	host.poll();
	for (uint16_t port = 0; port < 100; port++)
		endpoint->incoming.push_back(udp(port));
	EXPECT_EQ(100u, guest->frames(guest->ch(), 100).size());
}

/* Whether its ring is not read, or its buffers do not come back. */
TEST_F(RxTest, AChannelThatIsNotServedHoldsUpNoOther)
{
	for (const bool reads : {false, true}) {
		SCOPED_TRACE(reads);
		netvsp::NicConfig config;
		config.queues = 2;
		NicAndGuest one(config);
		Guest& g = one.guest;
		g.up();
		g.open_subchannels(1);
		ASSERT_EQ(0u, g.set(rndis::kOidReceiveScaleParameters,
				    Guest::rss_parameters(0x4001, {0, 1})));
		GuestChannel& stuck = g.subchannel(1);
		constexpr size_t kTotal = 6000;
		for (size_t i = 0; i < kTotal; i++)
			one.endpoint->incoming.push_back(udp(uint16_t(i)));
		size_t served = 0, seen = 0;
		const time_t deadline = time(nullptr) + 20;
		while (!one.endpoint->incoming.empty() && time(nullptr) < deadline) {
			served += g.frames(g.ch()).size();
			if (reads)
				seen += g.frames(stuck, 0, false).size();
		}
		EXPECT_TRUE(one.endpoint->incoming.empty());
		served += g.frames(g.ch()).size();
		EXPECT_GT(served, kTotal / 3);
		EXPECT_GT(one.stats().rx_dropped, 0u);
		EXPECT_GT(one.stats().rx_no_buffer, 0u);
		/* It has its share, and gets what waited when it comes back. */
		EXPECT_EQ(reads, seen != 0);
		for (uint64_t id : g.uncompleted)
			ASSERT_TRUE(stuck.send(0xb, 0, id, {}, bytes_of(nvsp::Message{})));
		seen += g.frames(stuck, 1).size();
		EXPECT_EQ(kTotal, served + seen + one.stats().rx_dropped);
		EXPECT_EQ(0u, one.stats().suballocations_in_use);
		EXPECT_EQ(0u, one.stats().protocol_errors) << one.stats().last_error;
	}
}

TEST_F(RxTest, SignalsOnlyWhenAskedAndEmpty)
{
	up();
	Received p;
	uint64_t count;
	while (read(guest->ch().call, &count, 8) == 8)
		;
	endpoint->incoming.push_back(to({2, 0, 0, 0, 0, 1}));
	host.poll();
	EXPECT_EQ(8, read(guest->ch().call, &count, 8));
	endpoint->incoming.push_back(to({2, 0, 0, 0, 0, 1}));
	host.poll();
	EXPECT_EQ(-1, read(guest->ch().call, &count, 8)); /* was not empty */
	guest->frames(guest->ch());
	guest->ch().rx->interrupt_mask = 1;
	endpoint->incoming.push_back(to({2, 0, 0, 0, 0, 1}));
	host.poll();
	EXPECT_EQ(-1, read(guest->ch().call, &count, 8)); /* masked */
}

TEST_F(RxTest, Faults)
{
	struct Case {
		const char* fault;
		std::function<bool(Guest&)> seen;
	};
	auto first_range = [](Guest& g, uint32_t& length, uint32_t& offset) {
		Received p;
		if (!g.receive(g.ch(), p, 50) || p.head.size() < 16)
			return false;
		memcpy(&length, p.head.data() + 8, 4);
		memcpy(&offset, p.head.data() + 12, 4);
		return true;
	};
	auto first_message = [&](Guest& g) {
		uint32_t length, offset;
		rndis::PacketMessage m{};
		if (first_range(g, length, offset))
			memcpy(&m, g.memory + kReceiveAt + offset, sizeof(m));
		return m;
	};
	for (const Case& c :
	     {Case{"bad-rx-range",
		   [&](Guest& g) {
			   uint32_t length = 0, offset = 0;
			   return first_range(g, length, offset) &&
				  uint64_t(offset) + length > kReceiveBytes;
		   }},
	      Case{"bad-rx-rndis", [&](Guest& g) { return first_message(g).data_offset > 100000; }},
	      Case{"bad-rx-ppi", [&](Guest& g) { return first_message(g).ppi_length == 16; }},
	      Case{"bad-rx-part", [&](Guest& g) { return first_message(g).ppi_length == 16; }},
	      Case{"bad-descriptor",
		   [](Guest& g) {
			   for (int i = 0; i < 50 && g.ch().rx->in == g.ch().rx->out; i++)
				   g.pump();
			   vmbus::PacketDescriptor d;
			   memcpy(&d, GuestChannel::data(g.ch().rx) + g.ch().rx->out, sizeof(d));
			   return d.length8 == 1;
		   }},
	      Case{"bad-ring-index", [](Guest& g) {
			   for (int i = 0; i < 50 && g.ch().rx->in == g.ch().rx->out; i++)
				   g.pump();
			   return g.ch().rx->in > g.ch().data_size;
		   }}}) {
		netvsp::NicConfig config;
		config.faults = {c.fault};
		NicAndGuest one(config);
		Guest& g = one.guest;
		auto* e = one.endpoint;
		g.up();
		for (int i = 0; i < 50; i++)
			one.host.poll();
		e->incoming.push_back(to({2, 0, 0, 0, 0, 1}));
		EXPECT_TRUE(c.seen(g)) << c.fault;
	}
}

} // namespace
