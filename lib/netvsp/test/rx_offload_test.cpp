/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsp/rx_offload.hpp"

#include "offload_guest.hpp"

using namespace test;
using namespace netvsp;

namespace {

constexpr uint32_t kIpOk = ndis::kRxChecksumIpOk;
constexpr uint32_t kTcpOk = ndis::kRxChecksumTcpOk;
constexpr uint32_t kUdpOk = ndis::kRxChecksumUdpOk;
constexpr uint32_t kIpFailed = ndis::kRxChecksumIpFailed;
constexpr uint32_t kTcpFailed = ndis::kRxChecksumTcpFailed;
constexpr uint32_t kUdpFailed = ndis::kRxChecksumUdpFailed;

uint32_t verify(const std::string& frame, uint32_t wanted = kChecksumAll)
{
	return verify_checksums(reinterpret_cast<const uint8_t*>(frame.data()),
				uint32_t(frame.size()), wanted);
}

TEST(VerifyTest, GoodAndBadOfEveryKind)
{
	for (bool v6 : {false, true}) {
		for (bool tcp : {false, true}) {
			for (size_t payload : {0, 1, 999}) {
				FrameSpec s;
				s.v6 = v6;
				s.tcp = tcp;
				s.payload = payload;
				s.ip_options = 8;
				const uint32_t ip = v6 ? 0 : kIpOk;
				auto f = good_frame(s);
				EXPECT_EQ(ip | (tcp ? kTcpOk : kUdpOk), verify(f));
				EXPECT_EQ(ip | (tcp ? kTcpOk : kUdpOk), verify(f + "padding"));
				auto bad = f;
				bad[s.l4()] ^= 1;
				EXPECT_EQ(ip | (tcp ? kTcpFailed : kUdpFailed), verify(bad));
				bad = f;
				bad.back() ^= 1;
				EXPECT_EQ(ip | (tcp ? kTcpFailed : kUdpFailed), verify(bad));
				if (!v6) {
					bad = f;
					bad[22] ^= 1; /* time to live */
					EXPECT_EQ(kIpFailed | (tcp ? kTcpOk : kUdpOk), verify(bad));
				}
			}
		}
	}
}

TEST(VerifyTest, OnlyWhatIsWanted)
{
	FrameSpec s;
	auto f = good_frame(s);
	EXPECT_EQ(0u, verify(f, 0));
	EXPECT_EQ(kIpOk, verify(f, kChecksumIp4 | kChecksumTcp6 | kChecksumUdp4));
	EXPECT_EQ(kTcpOk, verify(f, kChecksumTcp4));
	s.v6 = true;
	EXPECT_EQ(0u, verify(good_frame(s), kChecksumIp4 | kChecksumTcp4));
}

TEST(VerifyTest, UdpWithoutChecksum)
{
	FrameSpec s;
	s.tcp = false;
	auto f = good_frame(s);
	put16(f, l4_checksum_at(s), 0);
	EXPECT_EQ(kIpOk, verify(f));
	s.v6 = true;
	f = good_frame(s);
	put16(f, l4_checksum_at(s), 0);
	EXPECT_EQ(kUdpFailed, verify(f));
}

TEST(VerifyTest, WhatCannotBeJudged)
{
	EXPECT_EQ(0u, verify(std::string(60, 'x')));
	EXPECT_EQ(0u, verify(""));
	FrameSpec s;
	auto f = bare_frame(s);
	put16(f, 20, 0x2000); /* the first of fragments */
	put16(f, 24, ~plain_sum(f.substr(14, 20)) & 0xffff);
	EXPECT_EQ(kIpOk, verify(f));
	EXPECT_EQ(0u, verify(good_frame(s).substr(0, 100))); /* cut */
}

TEST(VerifyTest, ImpossibleLengthsOfLayer4)
{
	FrameSpec s;
	s.tcp = false;
	for (uint32_t length : {7u, 109u, 0u, 0xffffu}) {
		auto f = good_frame(s);
		put16(f, s.l4() + 4, length);
		EXPECT_EQ(kIpOk | kUdpFailed, verify(f)) << length;
	}
	for (bool tcp : {false, true}) {
		auto f = good_frame({});
		f.resize(14 + 20 + (tcp ? 19 : 7));
		put16(f, 16, uint32_t(f.size() - 14));
		f[23] = tcp ? 6 : 17;
		put16(f, 24, 0);
		put16(f, 24, ~plain_sum(f.substr(14, 20)) & 0xffff);
		EXPECT_EQ(kIpOk | (tcp ? kTcpFailed : kUdpFailed), verify(f));
	}
}

class RxOffloadTest : public Fixture {
      protected:
	void up(const Negotiation& n = {}, const ndis::OffloadParameters& p = all_offloads())
	{
		start();
		negotiate(*guest, n);
		ASSERT_EQ(0u, guest->set(rndis::kOidOffloadParameters, bytes_of(p)));
	}
	InfoFrame pass(const std::string& frame)
	{
		endpoint->incoming.push_back(frame);
		auto got = info_frames(*guest, guest->ch());
		EXPECT_EQ(1u, got.size());
		return got.empty() ? InfoFrame() : got[0];
	}
	static std::string tagged(std::string f, const char* tag)
	{
		return f.insert(12, std::string(tag, 4));
	}
};

TEST_F(RxOffloadTest, ChecksumsAreToldAndBadFramesPassed)
{
	up();
	auto f = good_frame({});
	auto got = pass(f);
	EXPECT_EQ(f, got.frame);
	EXPECT_EQ((std::map<uint32_t, uint32_t>{{rndis::kPpiChecksum, kIpOk | kTcpOk}}), got.info);
	f.back() ^= 1;
	got = pass(f);
	EXPECT_EQ(f, got.frame);
	EXPECT_EQ(kIpOk | kTcpFailed, got.info[rndis::kPpiChecksum]);
	EXPECT_EQ(1u, stats().rx_csum_bad);
	/* of other protocols nothing is known, and that is told */
	got = pass(std::string(60, 'x'));
	EXPECT_EQ((std::map<uint32_t, uint32_t>{{rndis::kPpiChecksum, 0}}), got.info);
}

TEST_F(RxOffloadTest, NothingIsToldThatWasNotTurnedOn)
{
	auto p = all_offloads();
	p.ip4_checksum = p.udp4_checksum = ndis::kChecksumTx;
	p.tcp6_checksum = p.udp6_checksum = ndis::kChecksumOff;
	up({}, p);
	EXPECT_EQ(kTcpOk, pass(good_frame({})).info[rndis::kPpiChecksum]);
	p.tcp4_checksum = ndis::kChecksumOff;
	ASSERT_EQ(0u, guest->set(rndis::kOidOffloadParameters, bytes_of(p)));
	EXPECT_TRUE(pass(good_frame({})).info.empty());
}

TEST_F(RxOffloadTest, OuterTagBecomesInfo)
{
	up();
	auto f = good_frame({});
	auto got = pass(tagged(f, "\x81\x00\xb1\x23"));
	EXPECT_EQ(f, got.frame);
	EXPECT_EQ(5u | 8 | 0x123 << 4, got.info[rndis::kPpiVlan]);
	EXPECT_EQ(kIpOk | kTcpOk, got.info[rndis::kPpiChecksum]);
	EXPECT_EQ(1u, stats().rx_vlan);
	/* of two tags the outer one goes */
	auto inner = tagged(f, "\x81\x00\x00\x07");
	got = pass(tagged(inner, "\x81\x00\x00\x08"));
	EXPECT_EQ(inner, got.frame);
	EXPECT_EQ(8u << 4, got.info[rndis::kPpiVlan]);
	EXPECT_EQ(kIpOk | kTcpOk, got.info[rndis::kPpiChecksum]);
	/* QinQ passes whole */
	auto qinq = tagged(inner, "\x88\xa8\x00\x08");
	got = pass(qinq);
	EXPECT_EQ(qinq, got.frame);
	EXPECT_EQ(0u, got.info.count(rndis::kPpiVlan));
	/* a frame that ends in its tag */
	auto cut = tagged(f, "\x81\x00\x00\x07").substr(0, 17);
	EXPECT_EQ(cut, pass(cut).frame);
	EXPECT_EQ(2u, stats().rx_vlan);
}

TEST_F(RxOffloadTest, TagStaysWithoutTheCapability)
{
	Negotiation n;
	n.capabilities = 0;
	up(n);
	auto f = tagged(good_frame({}), "\x81\x00\xb1\x23");
	auto got = pass(f);
	EXPECT_EQ(f, got.frame);
	EXPECT_EQ((std::map<uint32_t, uint32_t>{{rndis::kPpiChecksum, kIpOk | kTcpOk}}), got.info);
}

TEST_F(RxOffloadTest, LongestFrameWithATag)
{
	up();
	FrameSpec s;
	s.payload = 1460;
	auto f = good_frame(s);
	ASSERT_EQ(1514u, f.size());
	auto got = pass(tagged(f, "\x81\x00\x00\x07"));
	EXPECT_EQ(f, got.frame);
	EXPECT_EQ(7u << 4, got.info[rndis::kPpiVlan]);
}

TEST_F(RxOffloadTest, HeldFramesKeepTheirInfo)
{
	up();
	/* the guest reads nothing until the ring is full and a frame is held */
	size_t total = 0;
	for (; total < 6000; total++) {
		FrameSpec s;
		s.id = uint16_t(total);
		endpoint->incoming.push_back(tagged(good_frame(s), "\x81\x00\x00\x07"));
		host.poll();
	}
	auto got = info_frames(*guest, guest->ch(), total);
	ASSERT_EQ(total, got.size());
	for (size_t i = 0; i < total; i++) {
		ASSERT_EQ(i, get16(got[i].frame, 18));
		ASSERT_EQ(7u << 4, got[i].info[rndis::kPpiVlan]);
		ASSERT_EQ(kIpOk | kTcpOk, got[i].info[rndis::kPpiChecksum]);
	}
	EXPECT_EQ(total, stats().rx_vlan);
}

} // namespace
