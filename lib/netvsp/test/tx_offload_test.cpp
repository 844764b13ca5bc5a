/* SPDX-License-Identifier: BSD-3-Clause */
#include <random>

#include "offload_guest.hpp"

using namespace test;

namespace {

class TxOffloadTest : public Fixture {
      protected:
	void up(netvsp::NicConfig config = {}, bool enable = true)
	{
		start(config);
		negotiate(*guest);
		if (enable) {
			ASSERT_EQ(0u, guest->set(rndis::kOidOffloadParameters,
						 bytes_of(all_offloads())));
		}
	}
	static uint32_t checksum_info(const FrameSpec& s, bool ip = true, bool offset = true)
	{
		uint32_t info = s.v6 ? ndis::kTxChecksumIp6 : ndis::kTxChecksumIp4;
		info |= s.tcp ? ndis::kTxChecksumTcp : ndis::kTxChecksumUdp;
		if (ip && !s.v6)
			info |= ndis::kTxChecksumIpHeader;
		if (offset)
			info |= uint32_t(s.l4()) << 16;
		return info;
	}
	static uint32_t lso_info(const FrameSpec& s, uint32_t mss)
	{
		return mss | uint32_t(s.l4()) << 20 | ndis::kLsoV2 | (s.v6 ? ndis::kLsoIp6 : 0);
	}
	uint32_t send(const std::string& frame, const Infos& infos)
	{
		auto message = message_with(frame, infos);
		return message.size() > 6144 ? transmit_gpa(*guest, message)
					     : guest->transmit(message);
	}
	/** What a large send must become, made without the host's code. */
	static std::vector<std::string> segments(FrameSpec s, uint32_t mss)
	{
		std::string whole = bare_frame(s);
		std::vector<std::string> out;
		size_t total = s.payload;
		for (size_t at = 0; at < total || at == 0; at += mss) {
			FrameSpec one = s;
			one.payload = std::min<size_t>(mss, total - at);
			one.sequence = s.sequence + uint32_t(at);
			one.id = uint16_t(s.id + at / mss);
			bool last = at + one.payload == total;
			if (!last)
				one.tcp_flags &= uint8_t(~0x09);
			if (at != 0)
				one.tcp_flags &= uint8_t(~0x80);
			std::string f = bare_frame(one);
			f.replace(one.data(), one.payload, whole, s.data() + at, one.payload);
			if (!s.v6)
				put16(f, 24, ~plain_sum(f.substr(14, s.l4() - 14)) & 0xffff);
			std::string l4 = f.substr(s.l4());
			put16(f, s.l4() + 16,
			      ~plain_sum(pseudo_header(s, f, l4.size()) + l4) & 0xffff);
			out.push_back(f);
		}
		return out;
	}
};

TEST_F(TxOffloadTest, ChecksumsOfEveryKind)
{
	up();
	uint64_t count = 0;
	for (bool v6 : {false, true}) {
		for (bool tcp : {false, true}) {
			for (size_t payload : {0, 1, 100, 1301}) {
				for (size_t options : {0, 8}) {
					FrameSpec s;
					s.v6 = v6;
					s.tcp = tcp;
					s.payload = payload;
					s.ip_options = options;
					endpoint->sent.clear();
					EXPECT_EQ(nvsp::kStatusSuccess,
						  send(seeded_frame(s),
						       {{rndis::kPpiChecksum, checksum_info(s)}}));
					ASSERT_EQ(1u, endpoint->sent.size());
					EXPECT_EQ(good_frame(s), endpoint->sent[0])
						<< v6 << tcp << " " << payload << " " << options;
					count++;
				}
			}
		}
	}
	EXPECT_EQ(count, stats().tx_csum);
	EXPECT_EQ(count, stats().tx_frames);
	EXPECT_EQ(0u, stats().tx_unseeded + stats().tx_not_enabled + stats().tx_csum_undone);
}

TEST_F(TxOffloadTest, UdpChecksumIsNeverZero)
{
	up();
	FrameSpec s;
	s.tcp = false;
	s.payload = 2;
	auto f = bare_frame(s);
	put16(f, s.data(), 0);
	/* a payload that makes the sum 0xffff */
	uint32_t sum = plain_sum(pseudo_header(s, f, 10) + f.substr(s.l4()));
	put16(f, s.data(), 0xffff - sum);
	put16(f, l4_checksum_at(s), plain_sum(pseudo_header(s, f, 10)));
	ASSERT_EQ(nvsp::kStatusSuccess, send(f, {{rndis::kPpiChecksum, checksum_info(s)}}));
	EXPECT_EQ(0xffffu, get16(endpoint->sent[0], l4_checksum_at(s)));
}

TEST_F(TxOffloadTest, OffsetLeftOutAndIpHeaderAlone)
{
	up();
	FrameSpec s;
	EXPECT_EQ(nvsp::kStatusSuccess,
		  send(seeded_frame(s), {{rndis::kPpiChecksum, checksum_info(s, true, false)}}));
	EXPECT_EQ(good_frame(s), endpoint->sent.at(0));
	auto f = bare_frame(s);
	EXPECT_EQ(
		nvsp::kStatusSuccess,
		send(f, {{rndis::kPpiChecksum, ndis::kTxChecksumIp4 | ndis::kTxChecksumIpHeader}}));
	put16(f, 24, get16(good_frame(s), 24));
	EXPECT_EQ(f, endpoint->sent.at(1));
	EXPECT_EQ(0u, stats().tx_unseeded);
}

TEST_F(TxOffloadTest, PaddingIsNotSummed)
{
	up();
	FrameSpec s;
	s.tcp = false;
	s.payload = 3;
	EXPECT_EQ(nvsp::kStatusSuccess, send(seeded_frame(s) + std::string(15, 'p'),
					     {{rndis::kPpiChecksum, checksum_info(s)}}));
	EXPECT_EQ(good_frame(s) + std::string(15, 'p'), endpoint->sent.at(0));
}

TEST_F(TxOffloadTest, SeedsAreWatched)
{
	up();
	FrameSpec s;
	auto f = bare_frame(s);
	put16(f, l4_checksum_at(s), 0x1234);
	EXPECT_EQ(nvsp::kStatusSuccess, send(f, {{rndis::kPpiChecksum, checksum_info(s)}}));
	EXPECT_EQ(good_frame(s), endpoint->sent.at(0));
	EXPECT_EQ(1u, stats().tx_unseeded);
	s.payload = 2000;
	EXPECT_EQ(nvsp::kStatusSuccess,
		  send(seeded_frame(s), {{rndis::kPpiLso, lso_info(s, 999)}}));
	EXPECT_EQ(2u, stats().tx_unseeded); /* a large send's seed has no length */
}

TEST_F(TxOffloadTest, WhatIsNotTurnedOnIsCounted)
{
	up({}, false);
	FrameSpec s;
	EXPECT_EQ(nvsp::kStatusSuccess,
		  send(seeded_frame(s), {{rndis::kPpiChecksum, checksum_info(s)}}));
	EXPECT_EQ(good_frame(s), endpoint->sent.at(0));
	EXPECT_EQ(1u, stats().tx_not_enabled);
	s.payload = 2000;
	EXPECT_EQ(nvsp::kStatusSuccess,
		  send(seeded_frame(s, true), {{rndis::kPpiLso, lso_info(s, 1000)}}));
	EXPECT_EQ(3u, endpoint->sent.size());
	EXPECT_EQ(2u, stats().tx_not_enabled);
}

TEST_F(TxOffloadTest, HostThatDoesNotComputePassesFramesAsTheyAre)
{
	netvsp::NicConfig config;
	config.tx_csum = netvsp::kChecksumIp4;
	config.lso_max = 0;
	up(config);
	FrameSpec s;
	EXPECT_EQ(nvsp::kStatusSuccess,
		  send(seeded_frame(s), {{rndis::kPpiChecksum, checksum_info(s, false)}}));
	EXPECT_EQ(seeded_frame(s), endpoint->sent.at(0));
	EXPECT_EQ(1u, stats().tx_csum_undone);
	s.payload = 2000;
	EXPECT_EQ(nvsp::kStatusFailure,
		  send(seeded_frame(s, true), {{rndis::kPpiLso, lso_info(s, 1000)}}));
	EXPECT_EQ(1u, endpoint->sent.size());
}

TEST_F(TxOffloadTest, AzureLeavesChecksumsOfLongDatagrams)
{
	netvsp::NicConfig config;
	config.profile = "azure";
	up(config);
	size_t sent = 0;
	for (const bool tcp : {false, true})
		for (const bool v6 : {false, true})
			for (const size_t length : {1420, 1421})
				for (const bool whole : {false, true}) {
					SCOPED_TRACE(length);
					FrameSpec s;
					s.tcp = tcp;
					s.v6 = v6;
					s.payload = length - (s.data() - s.l3());
					std::string frame = seeded_frame(s);
					if (!v6)
						put16(frame, 20, whole ? 0x4000 : 0);
					ASSERT_EQ(nvsp::kStatusSuccess,
						  send(frame, {{rndis::kPpiChecksum,
								checksum_info(s, false)}}));
					EXPECT_EQ(!tcp && !v6 && length > 1420 && !whole,
						  endpoint->sent.at(sent++) == frame);
				}
}

TEST_F(TxOffloadTest, FramesThatAreNotWhatTheInfoSaysPassUntouched)
{
	up();
	FrameSpec s;
	auto check = [&](std::string f, uint32_t info) {
		endpoint->sent.clear();
		EXPECT_EQ(nvsp::kStatusSuccess, send(f, {{rndis::kPpiChecksum, info}}));
		ASSERT_EQ(1u, endpoint->sent.size());
		EXPECT_EQ(f, endpoint->sent[0]);
	};
	auto f = seeded_frame(s);
	check(f, ndis::kTxChecksumIp6 | ndis::kTxChecksumTcp | 54 << 16);
	check(f.substr(0, 60), checksum_info(s)); /* shorter than it says */
	auto tagged = f;
	tagged.insert(12, std::string("\x81\x00\x00\x05", 4));
	check(tagged, checksum_info(s)); /* the Ethernet header has 14 bytes */
	auto bad = f;
	bad[14] = 0x44;
	check(bad, checksum_info(s));
	bad[14] = 0x4f;
	put16(bad, 16, 40);
	check(bad, checksum_info(s));
	EXPECT_EQ(5u, stats().tx_csum_undone);
	check(f, ndis::kTxChecksumTcp | 34 << 16); /* of neither version: nothing is asked for */
	EXPECT_EQ(5u, stats().tx_csum_undone);
}

TEST_F(TxOffloadTest, ImpossibleOffsetsAreRefused)
{
	up();
	FrameSpec s;
	auto f = seeded_frame(s);
	auto at = [&](uint32_t offset, uint32_t bits) {
		return send(f, {{rndis::kPpiChecksum, bits | offset << 16}});
	};
	const uint32_t tcp4 = ndis::kTxChecksumIp4 | ndis::kTxChecksumTcp;
	EXPECT_EQ(nvsp::kStatusFailure, at(13, tcp4));
	EXPECT_EQ(nvsp::kStatusFailure, at(33, tcp4));
	EXPECT_EQ(nvsp::kStatusFailure, at(53, ndis::kTxChecksumIp6 | ndis::kTxChecksumUdp));
	EXPECT_EQ(nvsp::kStatusFailure, at(uint32_t(f.size()), tcp4));
	EXPECT_EQ(nvsp::kStatusFailure, at(1023, tcp4));
	/* an info without its value */
	auto message = message_with(f, {{rndis::kPpiChecksum, checksum_info(s)}});
	uint32_t offset = 14;
	memcpy(message.data() + 44 + 8, &offset, 4);
	EXPECT_EQ(nvsp::kStatusFailure, guest->transmit(message));
	EXPECT_TRUE(endpoint->sent.empty());
	EXPECT_EQ(6u, stats().tx_errors);
	EXPECT_EQ(nvsp::kStatusSuccess, at(34, tcp4));
	EXPECT_EQ(0u, stats().protocol_errors);
}

TEST_F(TxOffloadTest, LargeSendsAreCut)
{
	up();
	uint64_t sends = 0, made = 0;
	for (bool v6 : {false, true}) {
		for (auto [payload, mss] : {std::pair{5000u, 1400u},
					    {2800u, 1400u},
					    {1u, 1400u},
					    {0u, 536u},
					    {60000u, 1421u},
					    {300u, 1u}}) {
			for (size_t options : {0, 8}) {
				FrameSpec s;
				s.v6 = v6;
				s.payload = payload;
				s.tcp_options = 12;
				s.ip_options = options;
				s.tcp_flags = 0x99; /* CWR, ACK, PSH, FIN */
				s.sequence = 0xfffffff0;
				s.id = 0xfffe;
				endpoint->sent.clear();
				auto expected = segments(s, mss);
				uint32_t least = uint32_t(s.data() + std::min(payload, mss));
				auto status = send(seeded_frame(s, true),
						   {{rndis::kPpiLso, lso_info(s, mss)}});
				if (least > 1514) {
					EXPECT_EQ(nvsp::kStatusFailure, status);
					continue;
				}
				ASSERT_EQ(nvsp::kStatusSuccess, status);
				EXPECT_EQ(expected, endpoint->sent)
					<< v6 << " " << payload << " " << mss;
				sends++;
				made += expected.size();
			}
		}
	}
	EXPECT_EQ(sends, stats().tx_lso);
	EXPECT_EQ(sends, stats().tx_frames);
	EXPECT_EQ(made, stats().tx_segments);
	EXPECT_EQ(0u, stats().tx_unseeded + stats().tx_lso_oversize + stats().tx_not_enabled);
}

TEST_F(TxOffloadTest, ChecksumsAreLeftToWhoTakesThem)
{
	up();
	endpoint->offloads = true;
	for (bool v6 : {false, true}) {
		for (bool tcp : {false, true}) {
			for (bool tagged : {false, true}) {
				FrameSpec s;
				s.v6 = v6;
				s.tcp = tcp;
				auto expected = seeded_frame(s);
				if (!v6) /* nobody else does this one */
					put16(expected, 24,
					      ~plain_sum(expected.substr(14, 20)) & 0xffff);
				auto f = seeded_frame(s);
				put16(f, l4_checksum_at(s), 0x1234); /* whatever the guest left */
				Infos infos = {{rndis::kPpiChecksum, checksum_info(s)}};
				if (tagged) {
					infos.emplace_back(rndis::kPpiVlan, 7u << 4);
					expected.insert(12, std::string("\x81\0\0\7", 4));
				}
				endpoint->sent.clear();
				ASSERT_EQ(nvsp::kStatusSuccess, send(f, infos));
				EXPECT_EQ(std::vector<std::string>{expected}, endpoint->sent);
				const netvsp::FrameOffload& left = endpoint->left.back();
				EXPECT_TRUE(left.checksum);
				EXPECT_EQ(s.l4() + (tagged ? 4 : 0), left.checksum_start);
				EXPECT_EQ(l4_checksum_at(s) - s.l4(), left.checksum_offset);
				EXPECT_EQ(0u, left.mss);
			}
		}
	}
	EXPECT_EQ(8u, endpoint->left.size());
	EXPECT_EQ(8u, stats().tx_csum);
	EXPECT_EQ(8u, stats().tx_unseeded);
}

/* Whose sum goes to the frame's end would sum up the padding. */
TEST_F(TxOffloadTest, ChecksumsOfPaddedFramesAreComputed)
{
	up();
	endpoint->offloads = true;
	FrameSpec s;
	s.payload = 1;
	const std::string padding(5, 'p');
	ASSERT_EQ(nvsp::kStatusSuccess,
		  send(seeded_frame(s) + padding, {{rndis::kPpiChecksum, checksum_info(s)}}));
	EXPECT_EQ(std::vector<std::string>{good_frame(s) + padding}, endpoint->sent);
	EXPECT_TRUE(endpoint->left.empty());
}

TEST_F(TxOffloadTest, LargeSendsPassWholeToWhoTakesThem)
{
	up();
	endpoint->offloads = true;
	for (bool v6 : {false, true}) {
		for (auto [payload, mss] :
		     {std::pair{60000u, 1400u}, {1401u, 1400u}, {100u, 1400u}}) {
			FrameSpec s;
			s.v6 = v6;
			s.payload = payload;
			s.tcp_options = 12;
			auto expected = seeded_frame(s);
			if (!v6)
				put16(expected, 24, ~plain_sum(expected.substr(14, 20)) & 0xffff);
			auto f = seeded_frame(s, true);
			put16(f, v6 ? 18 : 16, 0); /* as Linux sends it */
			endpoint->sent.clear();
			ASSERT_EQ(nvsp::kStatusSuccess,
				  send(f, {{rndis::kPpiLso, lso_info(s, mss)}}));
			EXPECT_EQ(std::vector<std::string>{expected}, endpoint->sent);
			const netvsp::FrameOffload& left = endpoint->left.back();
			EXPECT_TRUE(left.checksum);
			EXPECT_EQ(s.l4(), left.checksum_start);
			EXPECT_EQ(16u, left.checksum_offset);
			EXPECT_EQ(payload > mss ? mss : 0, left.mss);
			EXPECT_EQ(v6, left.v6);
			EXPECT_EQ(s.data(), left.headers);
		}
	}
	EXPECT_EQ(6u, stats().tx_lso);
	EXPECT_EQ(6u, stats().tx_frames);
	EXPECT_EQ(0u, stats().tx_segments);
	/* What no IP packet can be is cut all the same. */
	FrameSpec s;
	s.payload = 65500;
	s.tcp_options = 12;
	auto f = seeded_frame(s, true);
	ASSERT_EQ(nvsp::kStatusSuccess, send(f, {{rndis::kPpiLso, lso_info(s, 1400)}}));
	EXPECT_EQ(6u, endpoint->left.size());
	EXPECT_EQ(47u, stats().tx_segments);
}

TEST_F(TxOffloadTest, LargeSendWithoutLengthsInItsHeader)
{
	up();
	FrameSpec s;
	s.payload = 3000;
	auto f = seeded_frame(s, true);
	put16(f, 16, 0); /* as Linux sends it */
	ASSERT_EQ(nvsp::kStatusSuccess, send(f, {{rndis::kPpiLso, lso_info(s, 1000)}}));
	EXPECT_EQ(segments(s, 1000), endpoint->sent);
}

TEST_F(TxOffloadTest, LargeSendsBeyondTheLimitAreCounted)
{
	netvsp::NicConfig config;
	config.lso_max = 4000;
	up(config);
	FrameSpec s;
	s.payload = 4001;
	ASSERT_EQ(nvsp::kStatusSuccess,
		  send(seeded_frame(s, true), {{rndis::kPpiLso, lso_info(s, 1000)}}));
	EXPECT_EQ(5u, endpoint->sent.size());
	EXPECT_EQ(1u, stats().tx_lso_oversize);
}

TEST_F(TxOffloadTest, LargeSendsThatCannotBeAreRefused)
{
	up();
	FrameSpec s;
	s.payload = 3000;
	auto f = seeded_frame(s, true);
	auto refused = [&](std::string frame, uint32_t info) {
		EXPECT_EQ(nvsp::kStatusFailure, send(frame, {{rndis::kPpiLso, info}}))
			<< std::hex << info;
	};
	refused(f, lso_info(s, 0));
	refused(f, lso_info(s, 1461)); /* makes frames beyond the MTU */
	refused(f, 1000);	       /* no offset */
	refused(f, 1000 | 33 << 20);
	refused(f, 1000 | 34 << 20 | ndis::kLsoIp6);
	refused(f, lso_info(s, 1000) | ndis::kLsoIp6);
	refused(f.substr(0, 53), lso_info(s, 1000));
	refused(f.substr(0, 34), lso_info(s, 1000));
	auto bad = f;
	bad[s.l4() + 12] = 0x40;
	refused(bad, lso_info(s, 1000));
	bad = f.substr(0, 60);
	bad[s.l4() + 12] = char(0xf0);
	refused(bad, lso_info(s, 1000));
	bad = f;
	bad[14] = 0x46;
	refused(bad, lso_info(s, 1000));
	EXPECT_TRUE(endpoint->sent.empty());
	EXPECT_EQ(11u, stats().tx_errors);
	EXPECT_EQ(0u, stats().protocol_errors);
	EXPECT_EQ(nvsp::kStatusSuccess, send(f, {{rndis::kPpiLso, lso_info(s, 1460)}}));
}

TEST_F(TxOffloadTest, FullEndpointResumesAtTheSameSegment)
{
	up();
	FrameSpec s;
	s.payload = 10000;
	auto small = Guest::packet_message(std::string(60, 'a'), 8);
	auto large = message_with(seeded_frame(s, true), {{rndis::kPpiLso, lso_info(s, 1000)}});
	auto both = small;
	both.insert(both.end(), large.begin(), large.end());
	endpoint->room = 4;
	memcpy(guest->memory + kDataAt, both.data(), both.size());
	guest->send_gpa(guest->ch(), {{kDataAt, uint32_t(both.size())}}, 42);
	EXPECT_EQ(0u, guest->await_completion(guest->ch(), 42));
	EXPECT_EQ(4u, endpoint->sent.size());
	endpoint->room = 9;
	EXPECT_EQ(0u, guest->await_completion(guest->ch(), 42));
	endpoint->room = 100;
	EXPECT_EQ(nvsp::kStatusSuccess, guest->await_completion(guest->ch(), 42));
	ASSERT_EQ(11u, endpoint->sent.size());
	endpoint->sent.erase(endpoint->sent.begin());
	EXPECT_EQ(segments(s, 1000), endpoint->sent);
	EXPECT_EQ(2u, stats().tx_frames);
	EXPECT_EQ(1u, stats().tx_lso);
	/* the next one starts at its first segment */
	endpoint->sent.clear();
	EXPECT_EQ(nvsp::kStatusSuccess, transmit_gpa(*guest, large));
	EXPECT_EQ(10u, endpoint->sent.size());
}

TEST_F(TxOffloadTest, TagsOnEveryFrameMade)
{
	up();
	FrameSpec s;
	s.payload = 3000;
	const uint32_t vlan = 5 | 8 | 0x123 << 4;
	ASSERT_EQ(nvsp::kStatusSuccess,
		  send(seeded_frame(s, true),
		       {{rndis::kPpiVlan, vlan}, {rndis::kPpiLso, lso_info(s, 1460)}}));
	auto expected = segments(s, 1460);
	for (auto& f : expected)
		f.insert(12, std::string("\x81\x00\xb1\x23", 4));
	EXPECT_EQ(expected, endpoint->sent);
	s.payload = 100;
	ASSERT_EQ(nvsp::kStatusSuccess,
		  send(seeded_frame(s),
		       {{rndis::kPpiChecksum, checksum_info(s)}, {rndis::kPpiVlan, vlan}}));
	expected = {good_frame(s)};
	expected[0].insert(12, std::string("\x81\x00\xb1\x23", 4));
	EXPECT_EQ(expected[0], endpoint->sent.back());
	EXPECT_EQ(2u, stats().tx_vlan);
	EXPECT_EQ(nvsp::kStatusFailure, send(std::string(13, 'x'), {{rndis::kPpiVlan, vlan}}));
}

TEST_F(TxOffloadTest, AnythingIsAnswered)
{
	up();
	std::minstd_rand random(1);
	auto chance = [&](uint32_t n) { return random() % n == 0; };
	for (int i = 0; i < 4000; i++) {
		FrameSpec s;
		s.v6 = chance(2);
		s.tcp = !chance(3);
		s.payload = chance(2) ? random() % 60 : random() % 4000;
		s.ip_options = chance(3) ? 8 : 0;
		s.tcp_options = s.tcp ? random() % 4 * 4 : 0;
		auto f = seeded_frame(s, chance(2));
		for (uint32_t n = random() % 4; n != 0; n--)
			f[random() % std::min<size_t>(f.size(), 80)] = char(random());
		if (chance(4))
			f.resize(1 + random() % f.size());
		Infos infos;
		if (chance(2))
			infos.push_back({rndis::kPpiChecksum, checksum_info(s)});
		if (chance(2))
			infos.push_back({rndis::kPpiLso, lso_info(s, 1 + random() % 1500)});
		if (chance(3))
			infos.push_back({rndis::kPpiVlan, uint32_t(random())});
		for (auto& [type, value] : infos)
			if (chance(4))
				value ^= 1u << random() % 32;
		auto status = send(f, infos);
		ASSERT_TRUE(status == nvsp::kStatusSuccess || status == nvsp::kStatusFailure) << i;
		for (const auto& sent : endpoint->sent)
			ASSERT_LE(sent.size(), 1522u);
		endpoint->sent.clear();
	}
	EXPECT_EQ(0u, stats().protocol_errors) << stats().last_error;
	EXPECT_GT(stats().tx_csum, 100u);
	EXPECT_GT(stats().tx_lso, 100u);
	EXPECT_GT(stats().tx_errors, 100u);
}

TEST_F(TxOffloadTest, NothingIsSentWithoutALink)
{
	up();
	ASSERT_TRUE(host.set_link(nic, false));
	FrameSpec s;
	s.payload = 3000;
	EXPECT_EQ(nvsp::kStatusSuccess,
		  send(seeded_frame(s, true), {{rndis::kPpiLso, lso_info(s, 1460)}}));
	EXPECT_TRUE(endpoint->sent.empty());
	EXPECT_EQ(0u, stats().tx_segments);
}

} // namespace
