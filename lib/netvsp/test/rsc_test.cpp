/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsp/rsc.hpp"

#include <random>

#include "offload_guest.hpp"

using namespace test;
using netvsp::RscPacket;
using netvsp::RscSegment;

namespace {

bool read(const std::string& frame, RscSegment& out)
{
	std::string copy(frame.data(), frame.size());
	copy.shrink_to_fit();
	return netvsp::read_segment(reinterpret_cast<const uint8_t*>(copy.data()),
				    uint32_t(copy.size()), out);
}

bool follows(const std::string& first, const std::string& second)
{
	RscSegment a, b;
	EXPECT_TRUE(read(first, a));
	EXPECT_TRUE(read(second, b));
	RscPacket packet;
	packet.start(a);
	return packet.takes(b);
}

TEST(RscTest, OnlyPlainDataSegments)
{
	RscSegment s;
	for (bool v6 : {false, true}) {
		FrameSpec spec;
		spec.v6 = v6;
		spec.tcp_options = 12;
		auto f = good_frame(spec);
		ASSERT_TRUE(read(f, s));
		EXPECT_EQ(v6, s.v6);
		EXPECT_EQ(spec.l4(), s.l4);
		EXPECT_EQ(spec.data(), s.headers);
		EXPECT_EQ(100u, s.payload);
		EXPECT_FALSE(read(f + "p", s)); /* padding */
		for (size_t n = 0; n < f.size(); n++)
			EXPECT_FALSE(read(f.substr(0, n), s)) << n;
		for (uint8_t flags : {0x00, 0x11, 0x12, 0x14, 0x30, 0x50, 0x90}) {
			spec.tcp_flags = flags;
			EXPECT_FALSE(read(good_frame(spec), s)) << int(flags);
		}
		spec.tcp_flags = 0x18;
		EXPECT_TRUE(read(good_frame(spec), s));
		spec.payload = 0;
		EXPECT_FALSE(read(good_frame(spec), s));
		spec.payload = 1;
		spec.ip_options = 8;
		EXPECT_FALSE(read(good_frame(spec), s));
		spec.ip_options = 0;
		spec.tcp = false;
		EXPECT_FALSE(read(good_frame(spec), s));
	}
	auto f = good_frame({});
	put16(f, 20, 0x4000);
	EXPECT_TRUE(read(f, s));
	put16(f, 20, 0x2000);
	EXPECT_FALSE(read(f, s));
	EXPECT_FALSE(read(std::string(60, 'x'), s));
}

TEST(RscTest, TakesTheNextSegmentOfTheFlow)
{
	for (bool v6 : {false, true}) {
		FrameSpec a;
		a.v6 = v6;
		a.tcp_options = 4;
		FrameSpec b = a;
		b.sequence += 100;
		b.id++;
		b.payload = 50;
		b.tcp_flags = 0x18;
		EXPECT_TRUE(follows(good_frame(a), good_frame(b)));
		EXPECT_FALSE(follows(good_frame(b), good_frame(a)));
		EXPECT_FALSE(follows(good_frame(a), good_frame(a)));
		auto other = [&](size_t at) {
			auto f = good_frame(b);
			f[at] ^= 1;
			return follows(good_frame(a), f);
		};
		EXPECT_FALSE(other(0));		   /* MAC */
		EXPECT_FALSE(other(v6 ? 53 : 33)); /* address */
		EXPECT_FALSE(other(v6 ? 21 : 22)); /* time to live */
		EXPECT_FALSE(other(15));	   /* type of service */
		EXPECT_FALSE(other(a.l4() + 1));   /* port */
		EXPECT_FALSE(other(a.l4() + 8));   /* acknowledged */
		EXPECT_FALSE(other(a.l4() + 14));  /* window */
		EXPECT_FALSE(other(a.l4() + 20));  /* option */
		EXPECT_TRUE(other(a.data()));
		b.tcp_options = 8;
		EXPECT_FALSE(follows(good_frame(a), good_frame(b)));
	}
}

TEST(RscTest, EndsAtAPushAndAtTheLongestPacket)
{
	FrameSpec s;
	s.payload = 1460;
	s.sequence = 0xfffffff0; /* wraps */
	RscSegment segment;
	ASSERT_TRUE(read(good_frame(s), segment));
	RscPacket packet;
	EXPECT_FALSE(packet.takes(segment));
	packet.start(segment);
	for (uint32_t n = 1; n < 44; n++) {
		s.sequence += 1460;
		ASSERT_TRUE(read(good_frame(s), segment));
		ASSERT_TRUE(packet.takes(segment)) << n;
		packet.add(segment);
	}
	EXPECT_EQ(44u, packet.segments());
	s.sequence += 1460; /* 40 + 45 * 1460 > 65535 */
	ASSERT_TRUE(read(good_frame(s), segment));
	EXPECT_FALSE(packet.takes(segment));
	s.payload = 65535 - 40 - 44 * 1460;
	s.tcp_flags = 0x18;
	ASSERT_TRUE(read(good_frame(s), segment));
	ASSERT_TRUE(packet.takes(segment));
	packet.add(segment);
	auto f = good_frame(s);
	packet.update_headers(reinterpret_cast<uint8_t*>(f.data()));
	EXPECT_EQ(65535u, get16(f, 16));
	EXPECT_EQ(0x18, f[s.l4() + 13]);
	s.sequence += uint32_t(s.payload);
	s.payload = 1;
	ASSERT_TRUE(read(good_frame(s), segment));
	EXPECT_FALSE(packet.takes(segment));
}

class RscRxTest : public Fixture {
      protected:
	void up(const Negotiation& n = {}, bool checksum = true)
	{
		start();
		negotiate(*guest, n);
		auto p = all_offloads();
		p.rsc_ip4 = p.rsc_ip6 = ndis::kSwitchOn;
		if (!checksum)
			p.tcp4_checksum = p.tcp6_checksum = ndis::kChecksumTx;
		ASSERT_EQ(0u, guest->set(rndis::kOidOffloadParameters, bytes_of(p)));
		guest->frames(guest->ch());
	}
	/** Segments of one flow, one after another. */
	void flow(FrameSpec s, std::vector<size_t> payloads, bool tagged = false)
	{
		for (size_t i = 0; i < payloads.size(); i++) {
			s.payload = payloads[i];
			auto f = good_frame(s);
			if (tagged)
				f.insert(12, std::string("\x81\x00\x00\x07", 4));
			endpoint->incoming.push_back(f);
			s.sequence += uint32_t(s.payload);
			s.id++;
		}
	}
	std::vector<InfoFrame> got() { return info_frames(*guest, guest->ch()); }
	static uint32_t flags(InfoFrame& f) { return f.info.at(rndis::kPpiPacketId) >> 8 & 0xff; }
};

TEST_F(RscRxTest, SegmentsBecomePartsOfOnePacket)
{
	up();
	for (bool v6 : {false, true}) {
		FrameSpec s;
		s.v6 = v6;
		flow(s, {1000, 1000, 500, 1});
		auto parts = got();
		ASSERT_EQ(4u, parts.size());
		const uint32_t ok = ndis::kRxChecksumTcpOk | ndis::kRxChecksumTcpValueInvalid;
		const uint32_t ip =
			v6 ? 0 : ndis::kRxChecksumIpOk | ndis::kRxChecksumIpValueInvalid;
		EXPECT_EQ(ok | ip, parts[0].info.at(rndis::kPpiChecksum));
		const uint32_t expected[] = {3, 1, 1, 5};
		for (size_t i = 0; i < 4; i++) {
			EXPECT_EQ(expected[i], flags(parts[i])) << i;
			EXPECT_EQ(i == 0 ? 2u : 1u, parts[i].info.size());
			EXPECT_EQ(parts[0].info[rndis::kPpiPacketId] & 0xffff00ff,
				  parts[i].info[rndis::kPpiPacketId] & 0xffff00ff);
		}
		EXPECT_EQ(1u, parts[0].info[rndis::kPpiPacketId] & 0xff);
		std::string whole;
		for (auto& p : parts)
			whole += p.frame;
		s.payload = 2501;
		auto bare = bare_frame(s);
		EXPECT_EQ(bare.size(), whole.size());
		EXPECT_EQ(get16(bare, v6 ? 18 : 16), get16(whole, v6 ? 18 : 16));
		s.payload = 1000;
		EXPECT_EQ(good_frame(s).substr(s.data()), parts[0].frame.substr(s.data()));
		EXPECT_EQ(good_frame(s).substr(s.data()), parts[1].frame);
	}
	EXPECT_EQ(2u, stats().rx_rsc);
	EXPECT_EQ(8u, stats().rx_rsc_frames);
	EXPECT_EQ(8u, stats().rx_frames);
}

TEST_F(RscRxTest, OthersPassBetween)
{
	up();
	FrameSpec a, b;
	b.source_port = 3000;
	flow(a, {100, 100});
	flow(b, {100});
	a.sequence += 200;
	flow(a, {100});
	auto bad = good_frame(a);
	a.sequence += 100;
	bad = good_frame(a);
	bad.back() ^= 1;
	endpoint->incoming.push_back(bad);
	a.sequence += 100;
	flow(a, {100});
	auto frames = got();
	ASSERT_EQ(6u, frames.size());
	EXPECT_EQ(3u, flags(frames[0]));
	EXPECT_EQ(5u, flags(frames[1]));
	for (size_t i = 2; i < 6; i++)
		EXPECT_EQ(0u, frames[i].info.count(rndis::kPpiPacketId)) << i;
	EXPECT_EQ(bad, frames[4].frame);
	/* an id of its own for each packet */
	auto id = frames[0].info[rndis::kPpiPacketId] >> 16;
	flow(a, {10, 10});
	frames = got();
	ASSERT_EQ(2u, frames.size());
	EXPECT_NE(id, frames[0].info[rndis::kPpiPacketId] >> 16);
}

TEST_F(RscRxTest, TagAndPushCarryOver)
{
	up();
	FrameSpec s;
	flow(s, {100, 100}, true);
	s.sequence += 200;
	s.tcp_flags = 0x18;
	flow(s, {100}, true);
	s.sequence += 100;
	flow(s, {100}, true); /* begins anew after the push */
	auto frames = got();
	ASSERT_EQ(4u, frames.size());
	EXPECT_EQ(7u << 4, frames[0].info.at(rndis::kPpiVlan));
	EXPECT_EQ(0x18, frames[0].frame[s.l4() + 13]);
	EXPECT_EQ(0u, frames[1].info.count(rndis::kPpiVlan));
	EXPECT_EQ(5u, flags(frames[2]));
	EXPECT_EQ(0u, frames[3].info.count(rndis::kPpiPacketId));
	/* a tag that differs is another flow */
	FrameSpec t;
	flow(t, {100}, true);
	t.sequence += 100;
	flow(t, {100}, false);
	for (auto& f : got())
		EXPECT_EQ(0u, f.info.count(rndis::kPpiPacketId));
}

TEST_F(RscRxTest, PartsStayInOneVmbusPacket)
{
	up();
	FrameSpec s;
	flow(s, std::vector<size_t>(1000, 100));
	Received p;
	size_t total = 0;
	while (guest->receive(guest->ch(), p, total < 1000 ? 200 : 5)) {
		auto messages = guest->take(guest->ch(), p);
		ASSERT_FALSE(messages.empty());
		auto id_of = [](const std::vector<uint8_t>& m) {
			rndis::PacketMessage h;
			memcpy(&h, m.data(), sizeof(h));
			uint32_t id = 0;
			for (uint32_t at = 8 + h.ppi_offset; at < 8 + h.ppi_offset + h.ppi_length;
			     at += 16) {
				uint32_t info[4];
				memcpy(info, m.data() + at, sizeof(info));
				if (info[1] == rndis::kPpiPacketId)
					id = info[3];
			}
			return id >> 8 & 0xff;
		};
		EXPECT_EQ(3u, id_of(messages.front()));
		EXPECT_EQ(5u, id_of(messages.back()));
		total += messages.size();
	}
	EXPECT_EQ(1000u, total);
	EXPECT_EQ(0u, stats().suballocations_in_use);
}

TEST_F(RscRxTest, AnythingArrivesWhole)
{
	up();
	std::minstd_rand random(2);
	for (int round = 0; round < 200; round++) {
		FrameSpec s;
		std::string sent;
		for (int i = 0; i < 20; i++) {
			s.v6 = round % 2;
			s.tcp = random() % 8 != 0;
			s.payload = random() % 200;
			s.ip_options = random() % 6 == 0 ? 8 : 0;
			auto f = good_frame(s);
			s.sequence += uint32_t(s.payload);
			if (random() % 3 == 0)
				f[random() % f.size()] ^= char(1 << random() % 8);
			if (random() % 8 == 0)
				f.resize(1 + random() % f.size());
			endpoint->incoming.push_back(f);
			sent += f;
		}
		size_t bytes = 0;
		auto frames = info_frames(*guest, guest->ch(), 20);
		ASSERT_EQ(20u, frames.size());
		for (auto& f : frames) {
			bytes += f.frame.size() + (f.info.count(rndis::kPpiVlan) ? 4 : 0);
			if (f.info.count(rndis::kPpiPacketId) && !(flags(f) & 2))
				bytes += s.v6 ? 74 : 54; /* headers left out */
		}
		ASSERT_EQ(sent.size(), bytes);
	}
	EXPECT_GT(stats().rx_rsc, 100u);
	EXPECT_GT(stats().rx_csum_bad, 100u);
	EXPECT_EQ(0u, stats().protocol_errors);
}

TEST_F(RscRxTest, OnlyForGuestsThatAskedAndCan)
{
	auto joined = [&] {
		flow({}, {100, 100});
		auto frames = got();
		EXPECT_EQ(2u, frames.size());
		return frames.size() == 2 && frames[0].info.count(rndis::kPpiPacketId) != 0;
	};
	auto anew = [&](const Negotiation& n, bool checksum = true) {
		guest.reset();
		host.poll();
		if (endpoint) {
			ASSERT_TRUE(host.remove_nic(nic));
		}
		up(n, checksum);
	};
	Negotiation n;
	anew(n);
	EXPECT_TRUE(stats().offloads.rsc4 && stats().offloads.rsc6);
	EXPECT_TRUE(joined());
	anew(n, false); /* without verified checksums nobody could tell a bad packet */
	EXPECT_FALSE(joined());
	n.capabilities = nvsp::kCap8021q;
	anew(n);
	EXPECT_FALSE(stats().offloads.rsc4);
	EXPECT_FALSE(joined());
	n = {};
	n.version = nvsp::kVersion6;
	anew(n);
	EXPECT_FALSE(stats().offloads.rsc4);
	EXPECT_FALSE(joined());
}

} // namespace
