/* SPDX-License-Identifier: BSD-3-Clause */
/* A session with a host that can be told no addresses: everything travels in the send buffer. */
#include <gtest/gtest.h>

#include "fake_netvsp.hpp"

namespace netvsc::test {
namespace {

using namespace std::chrono_literals;

constexpr uint32_t kSections = FakeNetvsp::kSendSize / 6144;

SessionConfig copies()
{
	SessionConfig c;
	c.timeout = 5000ms;
	c.copies_only = true;
	return c;
}

struct Copies {
	explicit Copies(uint32_t section_size = 6144)
	{
		host.control_has_address = false;
		host.send_section_size = section_size;
	}
	FakeNetvsp host;
	Session session{host};
};

TEST(SessionCopies, ControlMessagesHaveTheLastSections)
{
	Copies t;
	ASSERT_EQ(t.session.connect(copies()).what, "");
	EXPECT_EQ(t.session.info().section_count, kSections - 2);
	EXPECT_EQ(t.host.rndis.size(), 7u);
	ASSERT_EQ(t.host.sections, std::vector<uint32_t>(7, kSections - 2));
	t.host.send_rndis(FakeNetvsp::words({8, 12, 0xabcd1234}));
	t.session.poll();
	t.host.step();
	ASSERT_EQ(t.host.keepalives.size(), 1u);
	EXPECT_EQ(t.host.sections.back(), kSections - 1) << "a request may be in the other";
	ASSERT_EQ(t.session.set_packet_filter(9).what, "");
	t.session.disconnect();
	EXPECT_EQ(t.host.log.end()[-4], "rndis 3") << "while the host still has the buffer";
	EXPECT_EQ(t.host.log.end()[-2], "nvsp 106");
	EXPECT_EQ(t.host.sections.back(), kSections - 2);
}

TEST(SessionCopies, AddressesAreUsedWhereThereAreSome)
{
	Copies t;
	t.host.control_has_address = true;
	ASSERT_EQ(t.session.connect({}).what, "");
	EXPECT_TRUE(t.host.sections.empty());
	EXPECT_EQ(t.session.info().section_count, kSections);
	EXPECT_EQ(t.session.info().max_mtu, kMaxMtu);
}

TEST(SessionCopies, MtuIsWhatFitsASection)
{
	Copies t;
	ASSERT_EQ(t.session.connect(copies()).what, "");
	const uint32_t most = t.session.info().max_mtu;
	EXPECT_EQ(most, 6144 - Tx::kMaxHeader - 14 - 4);
	t.session.disconnect();
	SessionConfig c = copies();
	c.mtu = t.host.mtu = most;
	ASSERT_EQ(t.session.connect(c).what, "");
	EXPECT_EQ(t.session.info().mtu, most);
	t.session.disconnect();
	c.mtu = t.host.mtu = most + 1;
	EXPECT_EQ(t.session.connect(c).code, ENOTSUP);
	EXPECT_FALSE(t.host.is_open());
}

TEST(SessionCopies, SectionsMayBeTooSmallOrTooFew)
{
	for (const uint32_t size : {64u, 256u, 1024u, 1500u}) {
		Copies t(size);
		EXPECT_NE(t.session.connect(copies()).code, 0) << size;
		EXPECT_FALSE(t.host.is_open());
	}
	Copies few(FakeNetvsp::kSendSize / 2);
	EXPECT_EQ(few.session.connect(copies()).code, ENOTSUP);
	Copies enough(FakeNetvsp::kSendSize / 3);
	EXPECT_EQ(enough.session.connect(copies()).what, "");
	EXPECT_EQ(enough.session.info().section_count, 1u);
}

TEST(SessionCopies, LongRequestsAreRefused)
{
	Copies t(2048);
	ASSERT_EQ(t.session.connect(copies()).what, "");
	const std::vector<uint8_t> data(2048);
	EXPECT_EQ(t.session.set(0x01010201, data.data(), 2048 - 28).code, 0);
	EXPECT_EQ(t.session.set(0x01010201, data.data(), 2048 - 27).code, EMSGSIZE);
	EXPECT_EQ(t.session.set_packet_filter(9).what, "") << "and harm nothing";
}

TEST(SessionCopies, OldHostsToo)
{
	Copies t;
	t.host.versions = {0x00002};
	ASSERT_EQ(t.session.connect(copies()).what, "");
	EXPECT_EQ(t.session.info().max_mtu, 1500u);
}

TEST(SessionCopies, NoLargeSends)
{
	Copies t;
	t.host.control_has_address = true;
	Bytes& b = t.host.offload_capabilities; /* NDIS_OFFLOAD: see offload_test.cpp */
	b = {0xa7, 3, 156, 0};
	b.resize(156);
	put32(b, 80, 2);
	put32(b, 84, 62780);
	put32(b, 92, 2);
	put32(b, 96, 62780);
	ASSERT_EQ(t.session.connect({}).what, "");
	EXPECT_EQ(t.session.info().offload.lso4_max, 62780u);
	EXPECT_EQ(t.session.info().offload.lso6_max, 62780u);
	t.session.disconnect();
	ASSERT_EQ(t.session.connect(copies()).what, "");
	EXPECT_EQ(t.session.info().offload.lso4_max, 0u);
	EXPECT_EQ(t.session.info().offload.lso6_max, 0u);
}

} // namespace
} // namespace netvsc::test
