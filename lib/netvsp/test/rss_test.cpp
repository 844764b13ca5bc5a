/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsp/rss.hpp"

#include <cstring>
#include <string>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

using namespace netvsp;

namespace {

/* Key and vectors: Microsoft, "Verifying the RSS Hash Calculation". */
constexpr uint8_t kKey[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
			      0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
			      0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
			      0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

std::string packet(int family, const char* source, const char* destination, uint16_t sport,
		   uint16_t dport, uint8_t protocol)
{
	std::string f(14, 0);
	size_t size = family == AF_INET ? 4 : 16;
	uint8_t a[16], b[16];
	inet_pton(family, source, a);
	inet_pton(family, destination, b);
	f[12] = char(family == AF_INET ? 0x08 : 0x86);
	f[13] = char(family == AF_INET ? 0x00 : 0xdd);
	std::string ip(family == AF_INET ? 12 : 8, 0);
	ip[0] = char(family == AF_INET ? 0x45 : 0x60);
	ip[family == AF_INET ? 9 : 6] = char(protocol);
	f += ip;
	f.append(reinterpret_cast<char*>(a), size);
	f.append(reinterpret_cast<char*>(b), size);
	for (uint16_t port : {sport, dport}) {
		f += char(port >> 8);
		f += char(port);
	}
	return f + std::string(20, 0);
}

Rss::Result classify(const Rss& rss, const std::string& f)
{
	return rss.classify(reinterpret_cast<const uint8_t*>(f.data()), uint32_t(f.size()));
}

constexpr uint32_t kAll = ndis::kHashIpv4 | ndis::kHashTcpIpv4 | ndis::kHashIpv6 |
			  ndis::kHashTcpIpv6 | ndis::kHashUdpIpv4 | ndis::kHashUdpIpv6;

TEST(RssTest, PublishedVectors)
{
	Rss rss;
	rss.enable(kAll, kKey, {0, 1, 2, 3});
	auto tcp4 = packet(AF_INET, "66.9.149.187", "161.142.100.80", 2794, 1766, 6);
	auto r = classify(rss, tcp4);
	EXPECT_EQ(0x51ccc178u, r.hash);
	EXPECT_EQ(ndis::kHashTcpIpv4, r.type);
	EXPECT_EQ(0x51ccc178u % 4, r.channel);
	auto other = packet(AF_INET, "66.9.149.187", "161.142.100.80", 2794, 1766, 47);
	EXPECT_EQ(0x323e8fc2u, classify(rss, other).hash);
	auto tcp6 = packet(AF_INET6, "3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 2794, 1766, 6);
	EXPECT_EQ(0x40207d3du, classify(rss, tcp6).hash);
	auto ip6 = packet(AF_INET6, "3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 0, 0, 58);
	EXPECT_EQ(0x2cc18cd5u, classify(rss, ip6).hash);
	auto udp4 = packet(AF_INET, "66.9.149.187", "161.142.100.80", 2794, 1766, 17);
	EXPECT_EQ(0x51ccc178u, classify(rss, udp4).hash);
	std::string tagged = tcp4;
	tagged.insert(12, std::string("\x81\x00\x00\x05", 4));
	EXPECT_EQ(0x51ccc178u, classify(rss, tagged).hash);
}

TEST(RssTest, FallsBackWithoutPorts)
{
	Rss rss;
	rss.enable(ndis::kHashIpv4 | ndis::kHashTcpIpv4, kKey, {1});
	auto udp = packet(AF_INET, "66.9.149.187", "161.142.100.80", 2794, 1766, 17);
	EXPECT_EQ(0x323e8fc2u, classify(rss, udp).hash);
	EXPECT_EQ(ndis::kHashIpv4, classify(rss, udp).type);
	auto fragment = packet(AF_INET, "66.9.149.187", "161.142.100.80", 2794, 1766, 6);
	fragment[14 + 6] = 0x20;
	EXPECT_EQ(0x323e8fc2u, classify(rss, fragment).hash);
	auto ip6 = packet(AF_INET6, "::1", "::2", 1, 2, 6);
	EXPECT_EQ(0u, classify(rss, ip6).type);
	EXPECT_EQ(0u, classify(rss, ip6).channel);
}

TEST(RssTest, ShortFramesHaveNoHash)
{
	Rss rss;
	rss.enable(kAll, kKey, {1});
	for (auto full : {packet(AF_INET, "1.2.3.4", "5.6.7.8", 1, 2, 6),
			  packet(AF_INET6, "::1", "::2", 1, 2, 6)}) {
		full.resize(full.size() - 20);
		for (size_t n = 0; n <= full.size(); n++) {
			/* an exact copy, so that a sanitizer sees reads beyond it */
			std::vector<uint8_t> exact(full.begin(), full.begin() + ptrdiff_t(n));
			rss.classify(exact.data(), uint32_t(n));
		}
	}
	EXPECT_EQ(0u, rss.classify(nullptr, 0).type);
}

} // namespace
