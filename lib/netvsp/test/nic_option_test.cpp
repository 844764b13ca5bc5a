/* SPDX-License-Identifier: BSD-3-Clause */
#include <gtest/gtest.h>

#include "netvsp/host.hpp"

using netvsp::NicConfig;
using netvsp::parse_nic_option;

namespace {

TEST(NicOptionTest, Accepts)
{
	NicConfig c;
	EXPECT_EQ("", parse_nic_option("name", "left", c));
	EXPECT_EQ("left", c.name);
	EXPECT_EQ("", parse_nic_option("endpoint", "pcap:a:b", c));
	EXPECT_EQ("pcap:a:b", c.endpoint);
	EXPECT_EQ("", parse_nic_option("profile", "openvmm", c));
	EXPECT_EQ("openvmm", c.profile);
	EXPECT_EQ("", parse_nic_option("mac", "02:15:5D:aa:bb:0c", c));
	EXPECT_EQ((std::array<uint8_t, 6>{0x02, 0x15, 0x5d, 0xaa, 0xbb, 0x0c}), c.mac);
	EXPECT_EQ("", parse_nic_option("mtu", "9202", c));
	EXPECT_EQ(9202u, c.mtu);
	EXPECT_EQ("", parse_nic_option("queues", "64", c));
	EXPECT_EQ(64u, c.queues);
	EXPECT_EQ("", parse_nic_option("nvsp", "6.1", c));
	EXPECT_EQ(0x60001u, c.nvsp);
	EXPECT_EQ("", parse_nic_option("nvsp", "0x30002", c));
	EXPECT_EQ(0x30002u, c.nvsp);
	EXPECT_EQ("", parse_nic_option("nvsp", "1", c));
	EXPECT_EQ(2u, c.nvsp);
	EXPECT_EQ("", parse_nic_option("section_size", "2048", c));
	EXPECT_EQ("", parse_nic_option("max_packets", "1", c));
	EXPECT_EQ("", parse_nic_option("alignment", "0", c));
	EXPECT_EQ(0u, c.alignment_shift);
	EXPECT_EQ("", parse_nic_option("speed", "100000", c));
	EXPECT_EQ("", parse_nic_option("monitor", "1", c));
	EXPECT_TRUE(c.monitor);
	EXPECT_EQ("", parse_nic_option("link", "down", c));
	EXPECT_FALSE(c.link);
	EXPECT_EQ("", parse_nic_option("rss", "tcp4+tcp6", c));
	EXPECT_EQ(uint32_t(ndis::kHashTcpIpv4 | ndis::kHashTcpIpv6), c.rss_types);
	EXPECT_EQ("", parse_nic_option("spin", "0", c));
	EXPECT_EQ(0u, c.spin_us);
	EXPECT_EQ("", parse_nic_option("rss_table", "64", c));
	EXPECT_EQ(64u, c.rss_table);
	EXPECT_EQ("", parse_nic_option("rss", "all", c));
	EXPECT_EQ("", parse_nic_option("set_mac", "no", c));
	EXPECT_EQ(false, c.set_mac);
	EXPECT_EQ("", parse_nic_option("rsc", "off", c));
	EXPECT_EQ(false, c.rsc);
	EXPECT_EQ("", parse_nic_option("csum", "none", c));
	EXPECT_EQ(0u, c.tx_csum);
	EXPECT_EQ(0u, c.rx_csum);
	EXPECT_EQ("", parse_nic_option("tx_csum", "ip4+udp6", c));
	EXPECT_EQ(uint32_t(netvsp::kChecksumIp4 | netvsp::kChecksumUdp6), c.tx_csum);
	EXPECT_EQ("", parse_nic_option("rx_csum", "all", c));
	EXPECT_EQ(uint32_t(netvsp::kChecksumAll), c.rx_csum);
	EXPECT_EQ("", parse_nic_option("lso_max", "0", c));
	EXPECT_EQ(0u, c.lso_max);
	EXPECT_EQ("", parse_nic_option("vf", "vf0", c));
	EXPECT_EQ("vf0", c.vf);
	EXPECT_EQ("", parse_nic_option("fault", "tx-fail:3+keepalive", c));
	EXPECT_EQ((std::vector<std::string>{"tx-fail:3", "keepalive"}), c.faults);
}

TEST(NicOptionTest, RefusesAndNamesTheRange)
{
	NicConfig c;
	auto refused = [&](const char* key, const char* value, const char* part) {
		std::string error = parse_nic_option(key, value, c);
		EXPECT_NE(std::string::npos, error.find(part))
			<< key << "=" << value << ": " << error;
	};
	refused("mtu", "67", "68..9202");
	refused("mtu", "9203", "68..9202");
	refused("mtu", "", "68..9202");
	refused("mtu", "1500x", "68..9202");
	refused("mtu", "-1", "68..9202");
	refused("queues", "0", "1..64");
	refused("queues", "65", "1..64");
	refused("nvsp", "3", "6.1");
	refused("nvsp", "0x50001", "6.1");
	refused("section_size", "0", "256..");
	refused("max_packets", "0", "1..64");
	refused("alignment", "13", "0..12");
	refused("speed", "0", "1..");
	refused("monitor", "maybe", "0 or 1");
	refused("spin", "1000001", "1000000");
	refused("rss_table", "0", "1..128");
	refused("rss_table", "129", "1..128");
	refused("rss", "ip4", "udp6");
	refused("csum", "", "all, none");
	refused("tx_csum", "ip4+sctp", "udp4");
	refused("lso_max", "262145", "0..262144");
	refused("mac", "01:00:00:00:00:00", "multicast");
	refused("mac", "00:15:5d:00:00", "six hex bytes");
	refused("mac", "00-15-5d-00-00-01", "six hex bytes");
	refused("fault", "nothing", "known are");
	refused("fault", "", "known are");
	refused("colour", "red", "known are");
	refused("name", "", "1..31");
	refused("endpoint", "", "empty");
	refused("profile", "hyperv2003", "hyperv2008r2, hyperv2012r2");
	refused("profile", "", "openvmm");
	EXPECT_FALSE(c.mtu.has_value());
}

} // namespace
