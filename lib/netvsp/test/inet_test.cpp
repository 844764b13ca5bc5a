/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsp/inet.hpp"

#include <gtest/gtest.h>

#include "net_frames.hpp"

using namespace test;
using netvsp::IpPacket;

namespace {

const uint8_t* bytes(const std::string& s)
{
	return reinterpret_cast<const uint8_t*>(s.data());
}

bool find(const std::string& frame, IpPacket& out)
{
	/* in memory of just that size, for a checker to see what is read behind it */
	std::string copy(frame.data(), frame.size());
	copy.shrink_to_fit();
	return netvsp::find_ip(bytes(copy), uint32_t(copy.size()), out);
}

TEST(InetTest, SumsOfEveryLength)
{
	std::string s;
	for (size_t n = 0; n < 70; n++) {
		EXPECT_EQ(plain_sum(s), netvsp::inet_sum(bytes(s), s.size())) << n;
		s += char(n * 97 + 200);
	}
	/* the example of RFC 1071 */
	std::string rfc("\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 8);
	EXPECT_EQ(0xddf2u, netvsp::inet_sum(bytes(rfc), rfc.size()));
	std::string ones(64 * 1024, char(0xff));
	EXPECT_EQ(0xffffu, netvsp::inet_sum(bytes(ones), ones.size()));
	EXPECT_EQ(0xddf3u, netvsp::inet_sum(bytes(rfc), rfc.size(), 1));
}

TEST(InetTest, PseudoHeaders)
{
	for (bool v6 : {false, true}) {
		FrameSpec s;
		s.v6 = v6;
		auto f = bare_frame(s);
		EXPECT_EQ(plain_sum(pseudo_header(s, f, 120)),
			  netvsp::pseudo_sum(bytes(f) + 14, v6, 6, 120));
	}
}

TEST(InetTest, FindsPackets)
{
	IpPacket p;
	for (bool v6 : {false, true}) {
		for (size_t options : {0, 8, 16}) {
			FrameSpec s;
			s.v6 = v6;
			s.ip_options = options;
			auto f = bare_frame(s);
			f.append(10, 'p'); /* padding */
			ASSERT_TRUE(find(f, p));
			EXPECT_EQ(v6, p.v6);
			EXPECT_FALSE(p.obscure);
			EXPECT_EQ(6, p.protocol);
			EXPECT_EQ(14u, p.l3);
			EXPECT_EQ(s.l4(), p.l4);
			EXPECT_EQ(f.size() - 10, p.end);
			f.insert(12, std::string("\x81\x00\x00\x05", 4));
			ASSERT_TRUE(find(f, p));
			EXPECT_EQ(18u, p.l3);
			EXPECT_EQ(s.l4() + 4, p.l4);
		}
	}
}

TEST(InetTest, FragmentsAreTold)
{
	IpPacket p;
	auto f = bare_frame({});
	put16(f, 20, 0x4000); /* don't fragment */
	EXPECT_TRUE(find(f, p) && !p.obscure);
	put16(f, 20, 0x2000);
	EXPECT_TRUE(find(f, p) && p.obscure);
	put16(f, 20, 0x0001);
	EXPECT_TRUE(find(f, p) && p.obscure);
	FrameSpec s;
	s.v6 = true;
	s.ip_options = 8;
	f = bare_frame(s);
	f[20] = 44;
	put32(f, 54, 0x06000000); /* atomic */
	EXPECT_TRUE(find(f, p) && !p.obscure);
	EXPECT_EQ(62u, p.l4);
	put32(f, 54, 0x06000001);
	EXPECT_TRUE(find(f, p) && p.obscure);
	f[20] = 43; /* a routing header, at its last address or not */
	put32(f, 54, 0x06000000);
	EXPECT_TRUE(find(f, p) && !p.obscure);
	put32(f, 54, 0x06000001);
	EXPECT_TRUE(find(f, p) && p.obscure);
	EXPECT_EQ(6, p.protocol);
}

TEST(InetTest, ContradictionsAreNotFollowed)
{
	IpPacket p;
	auto f = bare_frame({});
	for (size_t n = 0; n < f.size(); n++)
		EXPECT_FALSE(find(f.substr(0, n), p)) << n;
	for (auto [at, value] : {std::pair{14, 0x44}, {14, 0x65}, {17, 0xff}, {16, 0}}) {
		auto bad = f;
		bad[size_t(at)] = char(value);
		if (at == 16)
			bad[17] = 19;
		EXPECT_FALSE(find(bad, p)) << at;
	}
	FrameSpec s;
	s.v6 = true;
	s.ip_options = 16;
	f = bare_frame(s);
	for (size_t n = 0; n < f.size(); n++)
		EXPECT_FALSE(find(f.substr(0, n), p)) << n;
	auto bad = f;
	bad[55] = char(0xff); /* an extension header beyond the end */
	EXPECT_FALSE(find(bad, p));
	bad = f;
	put16(bad, 18, 4);
	EXPECT_FALSE(find(bad, p));
}

} // namespace
