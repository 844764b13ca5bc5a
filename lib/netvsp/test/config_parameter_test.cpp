/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsp/config_parameter.hpp"

#include "offload_guest.hpp"

using namespace test;

namespace {

uint32_t read(const std::vector<uint8_t>& bytes, netvsp::ConfigParameter& out)
{
	std::vector<uint8_t> copy(bytes);
	copy.shrink_to_fit();
	return netvsp::read_config_parameter(copy.data(), uint32_t(copy.size()), out);
}

TEST(ConfigParameterTest, Reads)
{
	netvsp::ConfigParameter p;
	ASSERT_EQ(0u, read(config_parameter("NetworkAddress", "02AAbb001122"), p));
	EXPECT_EQ("NetworkAddress", p.name);
	EXPECT_EQ("02AAbb001122", p.text);
	auto bytes = config_parameter("Number", "xx");
	bytes[8] = 0; /* an integer */
	ASSERT_EQ(0u, read(bytes, p));
	EXPECT_EQ(0x00780078u, p.integer);
	bytes = config_parameter("Name", "1");
	bytes[21] = 0x20; /* not ASCII */
	ASSERT_EQ(0u, read(bytes, p));
	EXPECT_EQ("?ame", p.name);
}

TEST(ConfigParameterTest, NothingBeyondTheEnd)
{
	netvsp::ConfigParameter p;
	auto good = config_parameter("NetworkAddress", "020000000001");
	for (size_t n = 0; n < good.size(); n++)
		EXPECT_EQ(rndis::kStatusFailure, read({good.begin(), good.begin() + long(n)}, p))
			<< n;
	auto with = [&](size_t at, uint32_t value) {
		auto bytes = good;
		memcpy(bytes.data() + at, &value, 4);
		return read(bytes, p);
	};
	EXPECT_EQ(rndis::kStatusFailure, with(0, 0xfffffff0));
	EXPECT_EQ(rndis::kStatusFailure, with(12, 0xffffffff));
	EXPECT_EQ(rndis::kStatusInvalidData, with(4, 256));
	EXPECT_EQ(rndis::kStatusInvalidData, with(16, 0xffffffff));
	auto integer = config_parameter("Number", "x");
	integer[8] = 0;
	EXPECT_EQ(rndis::kStatusFailure, read(integer, p));
}

TEST(ConfigParameterTest, Addresses)
{
	std::array<uint8_t, 6> mac{};
	EXPECT_TRUE(netvsp::parse_network_address("0215AAbbcc0D", mac));
	EXPECT_EQ((std::array<uint8_t, 6>{0x02, 0x15, 0xaa, 0xbb, 0xcc, 0x0d}), mac);
	for (const char* bad : {"", "0215AABBCC0", "0215AABBCC0DD", "0115AABBCC0D", "000000000000",
				"ffffffffffff", "02:15:aa:bb:", "0215AABBCC0x", "-115AABBCC0D"})
		EXPECT_FALSE(netvsp::parse_network_address(bad, mac)) << bad;
}

class NetworkAddressTest : public Fixture {
      protected:
	std::vector<uint8_t> address(uint32_t oid)
	{
		std::vector<uint8_t> out;
		EXPECT_EQ(0u, guest->query(oid, out));
		return out;
	}
	uint32_t set(const std::string& name, const std::string& value)
	{
		return guest->set(rndis::kOidConfigParameter, config_parameter(name, value));
	}
	using Mac = std::vector<uint8_t>;
};

TEST_F(NetworkAddressTest, ChangesTheCurrentAddressAndTheFilter)
{
	netvsp::NicConfig config;
	config.mac = {2, 0, 0, 0, 0, 1};
	start(config);
	negotiate(*guest);
	ASSERT_EQ(0u, set("NetworkAddress", "020000000099"));
	EXPECT_EQ((Mac{2, 0, 0, 0, 0, 0x99}), address(rndis::kOidCurrentAddress));
	EXPECT_EQ((Mac{2, 0, 0, 0, 0, 1}), address(rndis::kOidPermanentAddress));
	EXPECT_EQ(0x99, stats().mac[5]);
	ASSERT_EQ(0u, guest->set_filter(rndis::kFilterDirected));
	std::string f(60, 0);
	f[0] = 2;
	f[5] = 1;
	endpoint->incoming.push_back(f);
	f[5] = char(0x99);
	endpoint->incoming.push_back(f);
	EXPECT_EQ(std::vector<std::string>{f}, guest->frames(guest->ch(), 1));
	EXPECT_EQ(1u, stats().rx_filtered);

	for (const char* bad : {"010000000099", "000000000000", "02000000009", "hello"})
		EXPECT_EQ(rndis::kStatusInvalidData, set("NetworkAddress", bad)) << bad;
	EXPECT_EQ((Mac{2, 0, 0, 0, 0, 0x99}), address(rndis::kOidCurrentAddress));

	/* it lasts as long as the guest has the NIC open */
	guest->close_channel(guest->primary);
	for (uint32_t gpadl : {50u, 51u, 100u})
		guest->gpadl_teardown(guest->primary, gpadl);
	negotiate(*guest);
	EXPECT_EQ((Mac{2, 0, 0, 0, 0, 1}), address(rndis::kOidCurrentAddress));
}

TEST_F(NetworkAddressTest, MayBeForbidden)
{
	netvsp::NicConfig config;
	config.mac = {2, 0, 0, 0, 0, 1};
	config.set_mac = false;
	start(config);
	negotiate(*guest);
	EXPECT_EQ(rndis::kStatusFailure, set("NetworkAddress", "020000000099"));
	EXPECT_EQ((Mac{2, 0, 0, 0, 0, 1}), address(rndis::kOidCurrentAddress));
}

TEST_F(NetworkAddressTest, OffloadKeywords)
{
	start();
	negotiate(*guest);
	EXPECT_EQ(0u, set("*UDPChecksumOffloadIPv4", "3"));
	EXPECT_EQ(uint32_t(netvsp::kChecksumUdp4), stats().offloads.tx_checksum);
	EXPECT_EQ(0u, set("SomethingElse", "3"));
	EXPECT_EQ(rndis::kStatusInvalidData, set("*UDPChecksumOffloadIPv4", "x"));
	EXPECT_EQ(rndis::kStatusInvalidData, set("*UDPChecksumOffloadIPv4", ""));
	EXPECT_EQ(rndis::kStatusFailure, guest->set(rndis::kOidConfigParameter, {1, 2, 3}));
	EXPECT_EQ(0u, stats().protocol_errors);
}

} // namespace
