/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsp/offload.hpp"

#include <cstring>

#include <gtest/gtest.h>

#include "netvsc/rndis.hpp"

using netvsp::Offloads;

namespace {

const Offloads kEverything{netvsp::kChecksumAll, netvsp::kChecksumAll, true, true, true, true};

uint32_t set(ndis::OffloadParameters p, Offloads& enabled, uint32_t length = sizeof(p),
	     const Offloads& offered = kEverything)
{
	uint8_t bytes[sizeof(p)];
	memcpy(bytes, &p, sizeof(p));
	return netvsp::set_offload_parameters(bytes, length, offered, enabled);
}

ndis::OffloadParameters parameters()
{
	ndis::OffloadParameters p{};
	p.header = {ndis::kTypeDefault, 3, sizeof(p)};
	return p;
}

TEST(OffloadTest, CapabilitiesInFlagsOfTheField)
{
	ndis::Offload o = netvsp::ndis_offload(kEverything, 62780);
	EXPECT_EQ(0xa7, o.header.type);
	EXPECT_EQ(3, o.header.revision);
	EXPECT_EQ(156, o.header.size);
	EXPECT_EQ(2u, o.checksum.ip4_tx_encapsulation);
	EXPECT_EQ(0x155u, o.checksum.ip4_tx);
	EXPECT_EQ(0x155u, o.checksum.ip4_rx);
	EXPECT_EQ(0x055u, o.checksum.ip6_tx);
	EXPECT_EQ(0x055u, o.checksum.ip6_rx);
	EXPECT_EQ(62780u, o.lso_v2.ip4_max_size);
	EXPECT_EQ(2u, o.lso_v2.ip4_min_segments);
	EXPECT_EQ(2u, o.lso_v2.ip6_encapsulation);
	EXPECT_EQ(5u, o.lso_v2.ip6_options);
	EXPECT_EQ(1, o.rsc_ip4);
	o = netvsp::ndis_offload({netvsp::kChecksumUdp4, netvsp::kChecksumTcp6, false, true}, 9000);
	EXPECT_EQ(0x041u, o.checksum.ip4_tx);
	EXPECT_EQ(0u, o.checksum.ip4_rx);
	EXPECT_EQ(0u, o.checksum.ip6_tx);
	EXPECT_EQ(0x015u, o.checksum.ip6_rx);
	EXPECT_EQ(0u, o.lso_v2.ip4_encapsulation);
	EXPECT_EQ(0u, o.lso_v2.ip4_max_size);
	EXPECT_EQ(9000u, o.lso_v2.ip6_max_size);
	EXPECT_EQ(0, o.rsc_ip4);
}

TEST(OffloadTest, RevisionsByNdisVersion)
{
	EXPECT_EQ(1, netvsp::ndis_offload_revision(0));
	EXPECT_EQ(1, netvsp::ndis_offload_revision(ndis::version(6, 0)));
	EXPECT_EQ(2, netvsp::ndis_offload_revision(ndis::version(6, 1)));
	EXPECT_EQ(2, netvsp::ndis_offload_revision(ndis::version(6, 20)));
	EXPECT_EQ(3, netvsp::ndis_offload_revision(ndis::version(6, 30)));
	EXPECT_EQ(112, netvsp::ndis_offload_size(1));
	EXPECT_EQ(144, netvsp::ndis_offload_size(2));
	EXPECT_EQ(156, netvsp::ndis_offload_size(3));
}

TEST(OffloadTest, ValuesMeanDirections)
{
	Offloads e;
	auto p = parameters();
	p.ip4_checksum = ndis::kChecksumTx;
	p.tcp4_checksum = ndis::kChecksumRx;
	p.udp4_checksum = ndis::kChecksumTxRx;
	p.lso_v2_ip6 = ndis::kSwitchOn;
	p.rsc_ip4 = ndis::kSwitchOn;
	EXPECT_EQ(0u, set(p, e));
	EXPECT_EQ(uint32_t(netvsp::kChecksumIp4 | netvsp::kChecksumUdp4), e.tx_checksum);
	EXPECT_EQ(uint32_t(netvsp::kChecksumTcp4 | netvsp::kChecksumUdp4), e.rx_checksum);
	EXPECT_FALSE(e.lso4);
	EXPECT_TRUE(e.lso6);
	EXPECT_TRUE(e.rsc4);
	/* zeros change nothing, and neither does what no host knows */
	Offloads before = e;
	EXPECT_EQ(0u, set(parameters(), e));
	EXPECT_EQ(before, e);
	p = parameters();
	p.ip4_checksum = 5;
	p.lso_v2_ip6 = 3;
	EXPECT_EQ(0u, set(p, e));
	EXPECT_EQ(before, e);
	p = parameters();
	p.udp4_checksum = ndis::kChecksumOff;
	p.lso_v2_ip6 = ndis::kSwitchOff;
	EXPECT_EQ(0u, set(p, e));
	EXPECT_EQ(uint32_t(netvsp::kChecksumIp4), e.tx_checksum);
	EXPECT_EQ(uint32_t(netvsp::kChecksumTcp4), e.rx_checksum);
	EXPECT_FALSE(e.lso6);
}

TEST(OffloadTest, OnlyWhatIsOffered)
{
	Offloads e;
	auto p = parameters();
	p.ip4_checksum = p.tcp4_checksum = p.udp6_checksum = ndis::kChecksumTxRx;
	p.lso_v2_ip4 = p.lso_v2_ip6 = ndis::kSwitchOn;
	const Offloads offered{netvsp::kChecksumTcp4, netvsp::kChecksumUdp6, true};
	EXPECT_EQ(0u, set(p, e, sizeof(p), offered));
	EXPECT_EQ(offered, e);
}

TEST(OffloadTest, ShortStructuresOfOldGuests)
{
	Offloads e;
	auto p = parameters();
	p.tcp4_checksum = ndis::kChecksumTxRx;
	p.rsc_ip4 = p.rsc_ip6 = ndis::kSwitchOn;
	for (uint16_t size : {20, 22}) {
		p.header.size = size;
		EXPECT_EQ(0u, set(p, e, size));
		EXPECT_EQ(uint32_t(netvsp::kChecksumTcp4), e.tx_checksum);
		EXPECT_FALSE(e.rsc4);
	}
	p.header.revision = 1;
	EXPECT_EQ(0u, set(p, e, 28)); /* the header's size counts */
	EXPECT_FALSE(e.rsc4);
}

TEST(OffloadTest, MalformedIsRefused)
{
	Offloads e;
	auto p = parameters();
	p.tcp4_checksum = ndis::kChecksumTxRx;
	p.header.type = ndis::kTypeOffload;
	EXPECT_EQ(rndis::kStatusInvalidData, set(p, e));
	p.header = {ndis::kTypeDefault, 0, sizeof(p)};
	EXPECT_EQ(rndis::kStatusInvalidData, set(p, e));
	p.header = {ndis::kTypeDefault, 1, 19};
	EXPECT_EQ(rndis::kStatusInvalidData, set(p, e));
	p.header = {ndis::kTypeDefault, 3, sizeof(p)};
	EXPECT_EQ(rndis::kStatusInvalidData, set(p, e, 27));
	EXPECT_EQ(rndis::kStatusInvalidData, set(p, e, 3));
	EXPECT_EQ(rndis::kStatusInvalidData, set(p, e, 0));
	p.lso_v1 = ndis::kSwitchOn;
	EXPECT_EQ(rndis::kStatusNotSupported, set(p, e));
	EXPECT_EQ(Offloads{}, e);
}

TEST(OffloadTest, Keywords)
{
	Offloads e;
	auto keyword = [&](const char* name, uint32_t value) {
		return netvsp::set_offload_keyword(name, value, kEverything, e);
	};
	EXPECT_TRUE(keyword("*TCPChecksumOffloadIPv6", 3));
	EXPECT_TRUE(keyword("*IPChecksumOffloadIPv4", 2));
	EXPECT_TRUE(keyword("*LsoV2IPv4", 1));
	EXPECT_EQ(uint32_t(netvsp::kChecksumTcp6), e.tx_checksum);
	EXPECT_EQ(uint32_t(netvsp::kChecksumTcp6 | netvsp::kChecksumIp4), e.rx_checksum);
	EXPECT_TRUE(e.lso4);
	EXPECT_TRUE(keyword("*TCPChecksumOffloadIPv6", 0));
	EXPECT_EQ(0u, e.tx_checksum);
	EXPECT_FALSE(keyword("*RSS", 1));
}

} // namespace
