/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsc/offload.hpp"

#include <gtest/gtest.h>

#include "fake_netvsp.hpp"

namespace netvsc::test {
namespace {

/* NDIS_OFFLOAD as bytes: where its fields are by Microsoft's documentation. */
Bytes capabilities(uint32_t ip4_tx, uint32_t ip4_rx, uint32_t ip6_tx, uint32_t ip6_rx,
		   uint32_t lso4, uint32_t lso6, size_t size = 156)
{
	Bytes b(size);
	b[0] = 0xa7;
	b[1] = 3;
	b[2] = static_cast<uint8_t>(size);
	put32(b, 8, ip4_tx);
	put32(b, 16, ip4_rx);
	put32(b, 24, ip6_tx);
	put32(b, 32, ip6_rx);
	put32(b, 80, lso4 != 0 ? 2 : 0);
	put32(b, 84, lso4);
	put32(b, 92, lso6 != 0 ? 2 : 0);
	put32(b, 96, lso6);
	return b;
}

OffloadCapabilities parse(const Bytes& b)
{
	return parse_offload_capabilities(b.data(), static_cast<uint32_t>(b.size()));
}

TEST(Offload, CapabilitiesByField)
{
	/* All, as Hyper-V says it: each flag in both of its bits. */
	const OffloadCapabilities all = parse(capabilities(0x3ff, 0x3ff, 0xff, 0xff, 62780, 60000));
	EXPECT_EQ(all.tx_checksum, 31u);
	EXPECT_EQ(all.rx_checksum, 31u);
	EXPECT_EQ(all.lso4_max, 62780u);
	EXPECT_EQ(all.lso6_max, 60000u);
	EXPECT_EQ(parse(capabilities(0x100, 0, 0, 0, 0, 0)).tx_checksum, uint32_t{kChecksumIp4});
	EXPECT_EQ(parse(capabilities(0x10, 0, 0, 0, 0, 0)).tx_checksum, uint32_t{kChecksumTcp4});
	EXPECT_EQ(parse(capabilities(0x40, 0, 0, 0, 0, 0)).tx_checksum, uint32_t{kChecksumUdp4});
	EXPECT_EQ(parse(capabilities(0, 0x10, 0, 0x40, 0, 0)).rx_checksum,
		  uint32_t{kChecksumTcp4 | kChecksumUdp6});
	EXPECT_EQ(parse(capabilities(0, 0, 0x10, 0, 0, 0)).tx_checksum, uint32_t{kChecksumTcp6});
	/* Of older revisions. */
	EXPECT_EQ(parse(capabilities(0x10, 0, 0, 0, 0, 0, 112)).tx_checksum,
		  uint32_t{kChecksumTcp4});
}

TEST(Offload, CapabilitiesThatMakeNoSenseAreNone)
{
	Bytes b = capabilities(0x3ff, 0x3ff, 0xff, 0xff, 62780, 62780);
	for (size_t length = 0; length < 112; length++)
		EXPECT_EQ(parse(Bytes(b.begin(), b.begin() + long(length))), OffloadCapabilities{});
	b[2] = 111;
	EXPECT_EQ(parse(b), OffloadCapabilities{});
	b[2] = 156;
	b[0] = 0x80;
	EXPECT_EQ(parse(b), OffloadCapabilities{});
	/* A size without the encapsulation it is for is none. */
	b = capabilities(0, 0, 0, 0, 62780, 62780);
	put32(b, 80, 0);
	put32(b, 92, 1);
	EXPECT_EQ(parse(b), OffloadCapabilities{});
}

TEST(Offload, RequestIsOfTheRevisionThatTheVersionHas)
{
	const std::tuple<uint32_t, int, size_t> kForms[] = {
		{0x2, 1, 112},	   {0x30002, 1, 112}, {0x40000, 2, 144},
		{0x50000, 3, 156}, {0x60001, 3, 156},
	};
	for (const auto& [version, revision, size] : kForms) {
		const Bytes b = offload_capabilities_request(version);
		ASSERT_EQ(b.size(), size);
		EXPECT_EQ(b[0], 0xa7);
		EXPECT_EQ(b[1], revision);
		EXPECT_EQ(b[2] | b[3] << 8, static_cast<int>(size));
	}
}

TEST(Offload, Parameters)
{
	OffloadConfig c;
	c.tx_checksum = kChecksumIp4 | kChecksumTcp4 | kChecksumUdp6;
	c.rx_checksum = kChecksumTcp4 | kChecksumUdp4;
	c.lso6 = true;
	const Bytes b = offload_parameters(c, 0x60001);
	/* 1 off, 2 transmit, 3 receive, 4 both; large sends 1 off, 2 on. */
	EXPECT_EQ(b, (Bytes{0x80, 3, 28, 0, 2, 4, 3, 1, 2, 0, 0, 1, 2, 0,
			    0,	  0, 0,	 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0}));
	const Bytes off = offload_parameters({}, 0x40000);
	EXPECT_EQ(off,
		  (Bytes{0x80, 3, 22, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(Offload, TransmitInfosHaveTheHostsOrderOfBits)
{
	TxInfo info;
	EXPECT_EQ(info.bytes(), 0u);
	info.add_vlan(0xb123); /* priority 5, CFI 1, id 0x123 */
	info.add_checksum(ndis::kTxChecksumIp4 | ndis::kTxChecksumTcp, 34);
	ASSERT_EQ(info.bytes(), 32u);
	const auto* p = static_cast<const uint8_t*>(info.data());
	Bytes expected = packet_info(6, 5u | 1u << 3 | 0x123u << 4);
	const Bytes second = packet_info(0, 1u | 4u | 34u << 16);
	expected.insert(expected.end(), second.begin(), second.end());
	EXPECT_EQ(Bytes(p, p + 32), expected);
}

TEST(SessionOffload, ToldOnlyToHostsThatHaveAny)
{
	FakeNetvsp host;
	host.offload_capabilities = capabilities(0x3ff, 0x3ff, 0xff, 0xff, 62780, 62780);
	Session session(host);
	ASSERT_FALSE(session.connect({}));
	EXPECT_EQ(session.info().offload.lso4_max, 62780u);
	host.rndis.clear();
	OffloadConfig c;
	c.lso4 = true;
	EXPECT_FALSE(session.set_offload(c));
	ASSERT_EQ(host.rndis.size(), 1u);
	EXPECT_EQ(get32(host.rndis[0], 12), 0xfc01020cu);
	EXPECT_EQ(Bytes(host.rndis[0].begin() + 28, host.rndis[0].end()),
		  offload_parameters(c, 0x60001));

	FakeNetvsp without;
	Session plain(without);
	ASSERT_FALSE(plain.connect({}));
	EXPECT_EQ(plain.info().offload, OffloadCapabilities{});
	without.rndis.clear();
	EXPECT_FALSE(plain.set_offload({}));
	EXPECT_TRUE(without.rndis.empty());
}

TEST(SessionMac, AskedForAndReadBack)
{
	FakeNetvsp host;
	Session session(host);
	ASSERT_FALSE(session.connect({}));
	host.rndis.clear();
	const std::array<uint8_t, 6> mac = {0x02, 0xab, 0x00, 0x09, 0xf0, 0x1f};
	/* This host says yes and does nothing. */
	EXPECT_EQ(session.set_mac(mac).code, EPERM);
	EXPECT_EQ(session.info().mac, (std::array<uint8_t, 6>{2, 0, 0, 0, 0, 2}));
	ASSERT_GE(host.rndis.size(), 1u);
	const Bytes& r = host.rndis[0];
	EXPECT_EQ(get32(r, 12), 0x0001021bu);
	const auto text = [&](uint32_t offset, uint32_t length) {
		std::string s;
		for (uint32_t i = 0; i < length; i += 2) {
			s += static_cast<char>(r.at(28 + offset + i));
			EXPECT_EQ(r.at(28 + offset + i + 1), 0);
		}
		return s;
	};
	EXPECT_EQ(text(get32(r, 28), get32(r, 32)), "NetworkAddress");
	EXPECT_EQ(get32(r, 36), 2u); /* a string */
	EXPECT_EQ(text(get32(r, 40), get32(r, 44)), "02AB0009F01F");
}

} // namespace
} // namespace netvsc::test
