/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"

#include <algorithm>

using namespace test;

namespace {

using Bytes = std::vector<uint8_t>;

class OidTest : public Fixture {
      protected:
	void up(netvsp::NicConfig config = {})
	{
		start(config);
		guest->up();
	}
	Bytes query(uint32_t oid)
	{
		Bytes info;
		EXPECT_EQ(0u, guest->query(oid, info)) << std::hex << oid;
		return info;
	}
	template <class T> static T at(const Bytes& info, size_t offset)
	{
		T value{};
		EXPECT_LE(offset + sizeof(T), info.size());
		if (offset + sizeof(T) <= info.size())
			memcpy(&value, info.data() + offset, sizeof(T));
		return value;
	}
	uint32_t set_rss(const Bytes& parameters)
	{
		return guest->set(rndis::kOidReceiveScaleParameters, parameters);
	}
	/** RSS parameters that are good but for a field. */
	template <class T> static Bytes rss_with(size_t offset, T value)
	{
		Bytes b = Guest::rss_parameters(kHash, std::vector<uint32_t>(16));
		memcpy(b.data() + offset, &value, sizeof(value));
		return b;
	}
	/** Whether received frames carry a hash now. */
	bool hashed()
	{
		std::string f(60, 0);
		f[12] = 8;
		f[14] = 0x45;
		endpoint->incoming.push_back(f);
		EXPECT_EQ(1u, guest->frames(guest->ch(), 1).size());
		return guest->last_ppi_length != 0;
	}

	static constexpr uint32_t kHash = 0x101; /* Toeplitz over IPv4 */
};

TEST_F(OidTest, Numbers)
{
	netvsp::NicConfig config;
	config.speed_mbps = 25000;
	up(config);
	EXPECT_EQ(250000000u, guest->query_u32(rndis::kOidLinkSpeed));
	EXPECT_EQ(1500u, guest->query_u32(rndis::kOidMaximumFrameSize));
	EXPECT_EQ(1514u, guest->query_u32(rndis::kOidMaximumTotalSize));
	EXPECT_EQ(0u, guest->query_u32(rndis::kOidMediaConnectStatus));
	EXPECT_EQ(0x20u, guest->query_u32(rndis::kOidCurrentPacketFilter));
	EXPECT_EQ(0u, guest->query_u32(0x00010102));	      /* hardware: ready */
	EXPECT_EQ(0u, guest->query_u32(0x00010103));	      /* medium: Ethernet */
	EXPECT_EQ(0u, guest->query_u32(0x00010104));	      /* in use: the same */
	EXPECT_EQ(0xffffffu, guest->query_u32(0x0001010c));   /* vendor without a code */
	EXPECT_EQ(0xffffffffu, guest->query_u32(0x00010115)); /* packets per send */
	EXPECT_EQ(0x10000u, guest->query_u32(0x00010116));    /* driver version */
	EXPECT_EQ(0u, guest->query_u32(0x01010104));	      /* multicast addresses */
	EXPECT_EQ(4u, query(rndis::kOidLinkSpeed).size());
}

TEST_F(OidTest, FastestLinkFitsTheField)
{
	netvsp::NicConfig config;
	config.speed_mbps = 400000;
	up(config);
	EXPECT_EQ(4000000000u, guest->query_u32(rndis::kOidLinkSpeed));
}

TEST_F(OidTest, Addresses)
{
	netvsp::NicConfig config;
	config.mac = {2, 1, 2, 3, 4, 5};
	up(config);
	for (uint32_t oid : {rndis::kOidPermanentAddress, rndis::kOidCurrentAddress})
		EXPECT_EQ((Bytes{2, 1, 2, 3, 4, 5}), query(oid));
}

TEST_F(OidTest, VendorDescriptionIsText)
{
	up();
	Bytes info = query(rndis::kOidVendorDescription);
	ASSERT_GT(info.size(), 1u);
	EXPECT_EQ(info.end() - 1, std::find(info.begin(), info.end(), 0));
}

TEST_F(OidTest, ReceiveScaleCapabilities)
{
	netvsp::NicConfig config;
	config.queues = 8;
	up(config);
	Bytes info = query(rndis::kOidReceiveScaleCapabilities);
	ASSERT_EQ(18u, info.size());
	EXPECT_EQ(0x88, info[0]);
	EXPECT_EQ(2, info[1]);
	EXPECT_EQ(18, at<uint16_t>(info, 2));
	EXPECT_EQ(0x1b01u, at<uint32_t>(info, 4)); /* Toeplitz; TCP and UDP over both */
	EXPECT_EQ(8u, at<uint32_t>(info, 12));
	EXPECT_EQ(128, at<uint16_t>(info, 16));
}

TEST_F(OidTest, UnknownOnesAreRefused)
{
	up();
	Bytes info;
	for (uint32_t oid : {0x12345678u, 0u, uint32_t(rndis::kOidReceiveScaleParameters)}) {
		EXPECT_EQ(rndis::kStatusInvalidOid, guest->query(oid, info)) << oid;
		EXPECT_TRUE(info.empty());
	}
	for (uint32_t oid : {0x99u, uint32_t(rndis::kOidLinkSpeed), /* is for reading only */
			     uint32_t(rndis::kOidPermanentAddress)})
		EXPECT_EQ(rndis::kStatusInvalidOid, guest->set(oid, {1, 2, 3, 4})) << oid;
	EXPECT_EQ(0u, stats().protocol_errors);
}

TEST_F(OidTest, FilterIsAWord)
{
	up();
	for (size_t size = 0; size < 4; size++)
		EXPECT_EQ(rndis::kStatusInvalidLength,
			  guest->set(rndis::kOidCurrentPacketFilter, Bytes(size, 1)));
	EXPECT_EQ(0x20u, stats().packet_filter);
	EXPECT_EQ(0u, guest->set(rndis::kOidCurrentPacketFilter, {9, 0, 0, 0, 0xff}));
	EXPECT_EQ(9u, stats().packet_filter);
	EXPECT_EQ(9u, guest->query_u32(rndis::kOidCurrentPacketFilter));
}

TEST_F(OidTest, OpeningTheFilterDiscardsWhatCameBefore)
{
	up();
	EXPECT_EQ(1u, endpoint->discards);
	EXPECT_EQ(0u, guest->set_filter(rndis::kFilterDirected)); /* was open already */
	EXPECT_EQ(0u, guest->set_filter(0));
	EXPECT_EQ(1u, endpoint->discards);
	EXPECT_EQ(0u, guest->set_filter(rndis::kFilterDirected));
	EXPECT_EQ(2u, endpoint->discards);
}

TEST_F(OidTest, ReceiveScalingTurnsOnAndOff)
{
	up();
	EXPECT_FALSE(hashed());
	for (auto off : {rss_with(4, uint16_t(0x10)), rss_with(8, uint32_t(0x100))}) {
		EXPECT_EQ(0u, set_rss(Guest::rss_parameters(kHash, std::vector<uint32_t>(128))));
		EXPECT_TRUE(hashed());
		EXPECT_EQ(0u, set_rss(off)); /* the flag, no hash function */
		EXPECT_FALSE(hashed());
	}
}

TEST_F(OidTest, ReceiveScalingRefusesWhatItCannotDo)
{
	netvsp::NicConfig config;
	config.queues = 2;
	up(config);
	std::vector<uint32_t> table(128, 1);
	ASSERT_EQ(0u, set_rss(Guest::rss_parameters(kHash, table)));
	table[127] = 2; /* there are channels 0 and 1 */
	EXPECT_EQ(rndis::kStatusInvalidData, set_rss(Guest::rss_parameters(kHash, table)));
	EXPECT_EQ(rndis::kStatusInvalidData, set_rss(Guest::rss_parameters(kHash, {})));
	EXPECT_EQ(rndis::kStatusInvalidData, set_rss(rss_with(8, uint32_t(0x102))));
	EXPECT_EQ(rndis::kStatusInvalidData, set_rss(rss_with(12, uint16_t(6))));
	EXPECT_EQ(rndis::kStatusInvalidData, set_rss(rss_with(20, uint16_t(39))));
	EXPECT_EQ(rndis::kStatusInvalidData, set_rss(rss_with(20, uint16_t(41))));
	EXPECT_TRUE(hashed()); /* what was set before holds */
	EXPECT_EQ(0u, stats().protocol_errors);
}

TEST_F(OidTest, ReceiveScalingRefusesWhatLiesOutside)
{
	up();
	const Bytes whole = Guest::rss_parameters(kHash, std::vector<uint32_t>(128));
	for (size_t size : {size_t(0), size_t(27), size_t(28), whole.size() - 1})
		EXPECT_EQ(rndis::kStatusInvalidLength,
			  set_rss(Bytes(whole.begin(), whole.begin() + ptrdiff_t(size))))
			<< size;
	const uint32_t size = 84 + 16 * 4;
	for (uint32_t offset : {size - 63, size, size + 1, 0xffffffe0u, 0xffffffffu})
		EXPECT_EQ(rndis::kStatusInvalidLength, set_rss(rss_with(16, offset))) << offset;
	for (uint32_t offset : {size - 39, size, size + 1, 0xffffffe0u, 0xffffffffu})
		EXPECT_EQ(rndis::kStatusInvalidLength, set_rss(rss_with(24, offset))) << offset;
	EXPECT_EQ(rndis::kStatusInvalidLength, set_rss(rss_with(12, uint16_t(0xfffc))));
	EXPECT_FALSE(hashed());
	EXPECT_EQ(0u, set_rss(rss_with(24, size - 40))); /* key at the very end */
	EXPECT_TRUE(hashed());
}

TEST_F(OidTest, TableIsRepeatedOrCut)
{
	netvsp::NicConfig config;
	config.queues = 2;
	up(config);
	guest->open_subchannels(1);
	/* One entry counts for all of the hash values; of more than 128 the rest is not read. */
	std::vector<uint32_t> longer(129, 1);
	longer[128] = 99;
	for (const auto& table : {std::vector<uint32_t>{1}, longer}) {
		ASSERT_EQ(0u, set_rss(Guest::rss_parameters(kHash, table)));
		for (char last = 0; last < 16; last++) {
			std::string f(60, 0);
			f[12] = 8;
			f[14] = 0x45;
			f[33] = last;
			endpoint->incoming.push_back(f);
		}
		EXPECT_EQ(16u, guest->frames(guest->subchannel(1), 16).size());
	}
}

} // namespace
