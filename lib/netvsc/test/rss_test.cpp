/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsc/rss.hpp"

#include <gtest/gtest.h>

#include "fake_netvsp.hpp"

namespace netvsc::test {
namespace {

using namespace std::chrono_literals;

RssCapabilities parse(const Bytes& b)
{
	return parse_rss_capabilities(b.data(), static_cast<uint32_t>(b.size()));
}

TEST(Rss, CapabilitiesOfKnownHosts)
{
	/* Revision 2: flags, messages, queues, entries; UDP is known since Windows 10. */
	EXPECT_EQ(parse({0x88, 2, 18, 0, 1, 0x0b, 0, 0, 1, 0, 0, 0, 16, 0, 0, 0, 128, 0}),
		  (RssCapabilities{16, 128,
				   ndis::kHashIpv4 | ndis::kHashTcpIpv4 | ndis::kHashIpv6 |
					   ndis::kHashTcpIpv6 | ndis::kHashUdpIpv4}));
	EXPECT_EQ(parse({0x88, 2, 18, 0, 1, 0x34, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 128, 0}).hash_types,
		  uint32_t{ndis::kHashIpv6Ex | ndis::kHashTcpIpv6Ex | ndis::kHashUdpIpv6Ex |
			   ndis::kHashIpv6 | ndis::kHashUdpIpv6});
	/* Tables of other sizes: whole powers of two. */
	EXPECT_EQ(parse({0x88, 2, 18, 0, 1, 1, 0, 0, 1, 0, 0, 0, 16, 0, 0, 0, 100, 0}).table_size,
		  64u);
	EXPECT_EQ(parse({0x88, 2, 18, 0, 1, 1, 0, 0, 1, 0, 0, 0, 16, 0, 0, 0, 0, 4}).table_size,
		  128u);
	/* Revision 1 ends before the number of entries. */
	EXPECT_EQ(parse({0x88, 1, 16, 0, 1, 1, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0}).table_size, 128u);
}

TEST(Rss, CapabilitiesThatMakeNoSenseAreNone)
{
	const Bytes good = {0x88, 2, 18, 0, 1, 1, 0, 0, 1, 0, 0, 0, 16, 0, 0, 0, 128, 0};
	EXPECT_NE(parse(good), RssCapabilities{});
	for (size_t length = 0; length < 16; length++)
		EXPECT_EQ(parse(Bytes(good.begin(), good.begin() + long(length))),
			  RssCapabilities{});
	const auto with = [&](size_t at, uint8_t value) {
		Bytes b = good;
		b[at] = value;
		return parse(b);
	};
	EXPECT_EQ(with(0, 0x89), RssCapabilities{}); /* another object */
	EXPECT_EQ(with(2, 4), RssCapabilities{});    /* says that it is shorter */
	EXPECT_EQ(with(4, 0), RssCapabilities{});    /* no Toeplitz */
	EXPECT_EQ(with(5, 0), RssCapabilities{});    /* nothing to hash */
	EXPECT_EQ(with(12, 0), RssCapabilities{});   /* no queue */
}

TEST(Rss, ParametersHaveTheirPlaces)
{
	RssConfig c;
	c.hash_types = ndis::kHashTcpIpv4 | ndis::kHashIpv4;
	for (uint32_t i = 0; i < 40; i++)
		c.key[i] = static_cast<uint8_t>(i);
	c.table = {3, 2, 1, 0};
	const Bytes b = rss_parameters(c);
	ASSERT_EQ(b.size(), 40u + 16 + 40);
	EXPECT_EQ(b[0], 0x89);
	EXPECT_EQ(b[1], 2);
	EXPECT_EQ(b[2], 40);
	EXPECT_EQ(get32(b, 4), 0u);	/* flags, base CPU */
	EXPECT_EQ(get32(b, 8), 0x301u); /* Toeplitz, the types */
	EXPECT_EQ(get32(b, 12), 16u);	/* bytes of the table */
	EXPECT_EQ(get32(b, 16), 40u);
	EXPECT_EQ(get32(b, 20), 40u); /* bytes of the key */
	EXPECT_EQ(get32(b, 24), 56u);
	for (uint32_t i = 0; i < 4; i++)
		EXPECT_EQ(get32(b, 40 + 4 * i), 3 - i);
	for (uint32_t i = 0; i < 40; i++)
		EXPECT_EQ(b[56 + i], i);
	const Bytes off = rss_parameters({});
	ASSERT_EQ(off.size(), 40u);
	EXPECT_EQ(get32(off, 4), 0x10u);
	EXPECT_EQ(get32(off, 8), 0u);
}

/* The session's part: asked for at connect, off before each change. */
struct Connected {
	Connected()
	{
		SessionConfig c;
		c.timeout = 2000ms;
		EXPECT_FALSE(session.connect(c));
		EXPECT_FALSE(session.open_queues(4));
		host.rndis.clear();
	}
	RssConfig config() const
	{
		RssConfig c;
		c.hash_types = ndis::kHashTcpIpv4;
		for (uint32_t i = 0; i < 128; i++)
			c.table.push_back(static_cast<uint16_t>(i % 4));
		return c;
	}
	FakeNetvsp host;
	Session session{host};
};

TEST(SessionRss, OffBeforeEachChange)
{
	Connected t;
	EXPECT_EQ(t.session.info().rss.table_size, 128u);
	EXPECT_EQ(t.session.info().rss.queues, 64u);
	EXPECT_FALSE(t.session.set_rss({}));
	EXPECT_TRUE(t.host.rndis.empty()); /* it is off */
	EXPECT_FALSE(t.session.set_rss(t.config()));
	EXPECT_FALSE(t.session.set_rss(t.config()));
	EXPECT_FALSE(t.session.set_rss({}));
	std::vector<uint32_t> flags;
	for (const Bytes& r : t.host.rndis) {
		EXPECT_EQ(get32(r, 0), 5u);
		EXPECT_EQ(get32(r, 12), 0x10204u);
		flags.push_back(get32(r, 28 + 4));
	}
	EXPECT_EQ(flags, (std::vector<uint32_t>{0, 0x10, 0, 0x10}));
	t.session.disconnect();
	EXPECT_FALSE(t.session.connect({}));
	t.host.rndis.clear();
	EXPECT_FALSE(t.session.set_rss({}));
	EXPECT_TRUE(t.host.rndis.empty()); /* it was forgotten with the connection */
}

TEST(SessionRss, RefusesWhatTheHostCouldNotMeet)
{
	Connected t;
	RssConfig c = t.config();
	c.table[5] = 4; /* channels 0 to 3 are open */
	EXPECT_EQ(t.session.set_rss(c).code, EINVAL);
	c = t.config();
	c.table.pop_back();
	EXPECT_EQ(t.session.set_rss(c).code, EINVAL);
	c = t.config();
	c.hash_types |= ndis::kHashUdpIpv4;
	EXPECT_EQ(t.session.set_rss(c).code, EINVAL);
	EXPECT_TRUE(t.host.rndis.empty());
}

TEST(SessionRss, HostsWithout)
{
	FakeNetvsp host;
	host.on_rndis = [](FakeNetvsp& h, const Bytes& r) {
		if (get32(r, 0) != 4 || get32(r, 12) != 0x10203)
			return false;
		h.send_rndis(FakeNetvsp::query_complete(r, {}, 0xc0010017));
		return true;
	};
	Session session(host);
	ASSERT_FALSE(session.connect({}));
	EXPECT_EQ(session.info().rss, RssCapabilities{});
	RssConfig c;
	c.hash_types = ndis::kHashIpv4;
	EXPECT_EQ(session.set_rss(c).code, ENOTSUP);

	FakeNetvsp old;
	old.versions = {0x40000};
	Session before(old);
	ASSERT_FALSE(before.connect({}));
	EXPECT_EQ(before.info().rss.queues, 1u);
	for (const Bytes& r : old.rndis)
		EXPECT_NE(get32(r, 12), 0x10203u);
}

} // namespace
} // namespace netvsc::test
