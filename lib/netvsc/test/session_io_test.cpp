/* SPDX-License-Identifier: BSD-3-Clause */
/* A connected session: queries, indications, subchannels, its end. */
#include <gtest/gtest.h>

#include "fake_netvsp.hpp"

namespace netvsc::test {
namespace {

using namespace std::chrono_literals;
using Log = std::vector<std::string>;

struct Connected {
	explicit Connected(Milliseconds timeout = 5000ms)
	{
		SessionConfig c;
		c.timeout = timeout;
		const Error error = session.connect(c);
		EXPECT_FALSE(error) << error.what;
		host.log.clear();
		host.nvsp.clear();
		host.rndis.clear();
	}
	FakeNetvsp host;
	Session session{host};
};

TEST(SessionQuery, AnswersWithBadPlacesAreErrors)
{
	struct Case {
		uint32_t info_length, info_offset, message_length;
	};
	for (const Case& c : {Case{4, 17, 28},
			      {4, 20, 28},
			      {4, 0xfffffff8, 28},
			      {4, 0xffffffff, 28},
			      {4, 0, 28},
			      {4, 15, 28},
			      {3, 16, 28},
			      {0, 16, 28},
			      {5, 16, 28},
			      {0xffffffff, 16, 28},
			      {0xfffffff0, 16, 28},
			      {4, 16, 24},
			      {4, 16, 27},
			      {4, 16, 0},
			      {4, 16, 8}}) {
		Connected t(300ms);
		t.host.on_rndis = [&](FakeNetvsp& h, const Bytes& r) {
			h.send_rndis(FakeNetvsp::words({0x80000004, c.message_length, get32(r, 8),
							0, c.info_length, c.info_offset, 0xbad}));
			return true;
		};
		uint32_t value = 77, length = 4;
		EXPECT_NE(t.session.query(0x10106, &value, length, 4).code, 0)
			<< c.info_length << " " << c.info_offset << " " << c.message_length;
		EXPECT_EQ(value, 77u);
		EXPECT_TRUE(t.session.connected());
	}
}

TEST(SessionQuery, TakesDataWhereverTheHostPutIt)
{
	Connected t;
	t.host.on_rndis = [](FakeNetvsp& h, const Bytes& r) {
		h.send_rndis(FakeNetvsp::words(
			{0x80000004, 36, get32(r, 8), 0, 8, 20, 0xbad, 0x11111111, 0x22222222}));
		return true;
	};
	uint32_t value[3] = {0, 77, 78}, length = 4;
	ASSERT_FALSE(t.session.query(0x10106, value, length, 4));
	EXPECT_EQ(value[0], 0x11111111u);
	EXPECT_EQ(value[1], 77u); /* no more than there is room for */
	EXPECT_EQ(length, 4u);
	length = 12;
	ASSERT_FALSE(t.session.query(0x10106, value, length, 8));
	EXPECT_EQ(length, 8u);
	EXPECT_EQ(value[1], 0x22222222u);
	EXPECT_EQ(value[2], 78u);
	length = 100000;
	EXPECT_EQ(t.session.query(0x10106, value, length, 4).code, EINVAL);
}

TEST(SessionQuery, RequestLeaksNothing)
{
	Connected t;
	uint32_t value[16], length = sizeof(value);
	std::memset(value, 0x5a, sizeof(value));
	ASSERT_FALSE(t.session.query(0x10106, value, length, 4));
	const Bytes& r = t.host.rndis.at(0);
	EXPECT_EQ(get32(r, 12), 0x10106u);
	for (size_t i = 28; i < r.size(); i++)
		EXPECT_EQ(r[i], 0);
}

TEST(SessionQuery, StatusOfTheHostIsAnError)
{
	Connected t;
	t.host.on_rndis = [](FakeNetvsp& h, const Bytes& r) {
		if (get32(r, 0) == 4)
			h.send_rndis(
				FakeNetvsp::query_complete(r, FakeNetvsp::words({1}), 0xc00000bb));
		else
			h.send_rndis(FakeNetvsp::words({0x80000005, 16, get32(r, 8), 0xc0010015}));
		return true;
	};
	uint32_t value = 0, length = 4;
	EXPECT_NE(t.session.query(0x10106, &value, length, 4).code, 0);
	EXPECT_NE(t.session.set(0x1010e, &value, 4).code, 0);
}

TEST(SessionSet, DataFollowsTheRequestDirectly)
{
	Connected t;
	ASSERT_FALSE(t.session.set_packet_filter(0x2d));
	const Bytes& r = t.host.rndis.at(0);
	ASSERT_EQ(r.size(), 32u);
	EXPECT_EQ(get32(r, 0), 5u);
	EXPECT_EQ(get32(r, 12), 0x1010eu);
	EXPECT_EQ(get32(r, 16), 4u);
	EXPECT_EQ(get32(r, 20), 20u);
	EXPECT_EQ(get32(r, 24), 0u);
	EXPECT_EQ(get32(r, 28), 0x2du);
	const Bytes large = pattern(6000, 3); /* of several pages */
	ASSERT_FALSE(t.session.set(0x10204, large.data(), 6000));
	EXPECT_EQ(Bytes(t.host.rndis.at(1).begin() + 28, t.host.rndis.at(1).end()), large);
	const Bytes too_large(20000);
	EXPECT_EQ(t.session.set(0x10204, too_large.data(), 20000).code, EINVAL);
}

TEST(SessionEvents, LinkIndications)
{
	Connected t;
	std::vector<Session::Event> events;
	t.session.set_on_event([&](Session::Event e) { events.push_back(e); });
	t.host.send_rndis(FakeNetvsp::words({7, 20, 0x4001000c, 0, 0}));
	EXPECT_TRUE(t.session.link_up());
	t.session.poll();
	EXPECT_FALSE(t.session.link_up());
	t.host.send_rndis(FakeNetvsp::words({7, 20, 0x4001000b, 0, 0}));
	t.session.poll();
	EXPECT_TRUE(t.session.link_up());
	EXPECT_EQ(events,
		  (std::vector<Session::Event>{Session::Event::kLink, Session::Event::kLink}));
	/* Too short to say anything, whatever lies behind them in the buffer. */
	for (const uint32_t length : {0u, 8u, 11u, 13u})
		t.host.send_rndis(FakeNetvsp::words({7, std::min(length, 11u), 0x4001000c, 0, 0}));
	t.session.poll();
	EXPECT_TRUE(t.session.link_up());
	EXPECT_EQ(events.size(), 2u);
	t.host.media = 1;
	ASSERT_FALSE(t.session.query_link());
	EXPECT_FALSE(t.session.link_up());
}

TEST(SessionEvents, SpeedAndNetworkIndications)
{
	Connected t;
	std::vector<Session::Event> events;
	t.session.set_on_event([&](Session::Event e) { events.push_back(e); });
	const uint64_t before = t.session.speed_bps();
	/* The speed is in units of 100 bit/s, 12 bytes behind the first header. */
	t.host.send_rndis(FakeNetvsp::words({7, 24, 0x40010013, 4, 12, 250000000}));
	t.session.poll();
	EXPECT_EQ(t.session.speed_bps(), 25000000000u);
	EXPECT_NE(t.session.speed_bps(), before);
	EXPECT_EQ(events, std::vector<Session::Event>{Session::Event::kLink});
	/* No speed, or one that lies outside of the message, or nowhere. */
	t.host.send_rndis(FakeNetvsp::words({7, 20, 0x40010013, 0, 0}));
	t.host.send_rndis(FakeNetvsp::words({7, 24, 0x40010013, 4, 13, 1}));
	t.host.send_rndis(FakeNetvsp::words({7, 24, 0x40010013, 0xffffffff, 12, 1}));
	t.host.send_rndis(FakeNetvsp::words({7, 24, 0x40010013, 4, 0xffffffff, 1}));
	t.session.poll();
	EXPECT_EQ(t.session.speed_bps(), 25000000000u);
	EXPECT_EQ(events.size(), 1u);
	t.host.send_rndis(FakeNetvsp::words({7, 20, 0x40010018, 0, 0}));
	t.session.poll();
	EXPECT_EQ(events,
		  (std::vector<Session::Event>{Session::Event::kLink, Session::Event::kNetwork}));
}

/* The timer leaves a ring alone that somebody reads, and reads one that nobody does. */
TEST(SessionEvents, TheTimerNoticesWhatNobodyReads)
{
	Connected t;
	t.session.tend();
	t.host.send_rndis(FakeNetvsp::words({7, 20, 0x4001000c, 0, 0}));
	t.session.tend();
	t.session.tend();
	EXPECT_FALSE(t.session.link_up());
	t.host.send_rndis(FakeNetvsp::words({7, 20, 0x4001000b, 0, 0}));
	t.session.poll(); /* somebody reads: the position moves */
	EXPECT_TRUE(t.session.link_up());
	t.host.send_rndis(FakeNetvsp::words({7, 20, 0x4001000c, 0, 0}));
	t.session.tend();
	EXPECT_TRUE(t.session.link_up()) << "whoever read just now will read this";
	t.session.tend();
	EXPECT_FALSE(t.session.link_up());
}

TEST(SessionEvents, VirtualFunctionMessages)
{
	Connected t;
	int events = 0;
	t.session.set_on_event([&](Session::Event e) { events += e == Session::Event::kVf; });
	t.host.send_nvsp(nvsp_message({128, 1, 5}));
	t.host.send_nvsp(Bytes(8, 128)); /* short */
	t.host.send_nvsp(Bytes());
	t.session.poll();
	EXPECT_EQ(events, 1);
}

TEST(SessionEvents, KeepaliveIsAnsweredUnasked)
{
	Connected t;
	t.host.send_rndis(FakeNetvsp::words({8, 12, 0xabcd1234}));
	t.session.poll();
	t.host.step();
	ASSERT_EQ(t.host.keepalives.size(), 1u);
	EXPECT_EQ(t.host.keepalives[0], FakeNetvsp::words({0x80000008, 16, 0xabcd1234, 0}));
}

TEST(SessionQueues, AsManyAsTheHostGrants)
{
	Connected t;
	t.host.grant = 3;
	ASSERT_FALSE(t.session.open_queues(8));
	EXPECT_EQ(t.session.queue_count(), 4u);
	EXPECT_EQ(get32(t.host.nvsp.at(0), 4), 1u);
	EXPECT_EQ(get32(t.host.nvsp.at(0), 8), 7u);
	EXPECT_EQ(&t.session.queue(3).channel, &t.host.subchannels[2]->channel);
	ASSERT_FALSE(t.session.open_queues(2)); /* never fewer */
	EXPECT_EQ(t.session.queue_count(), 4u);
	EXPECT_EQ(t.session.open_queues(65).code, EINVAL);
}

TEST(SessionQueues, MoreThanAskedForAreNotTaken)
{
	Connected t;
	t.host.on_nvsp = [](FakeNetvsp& h, const Bytes& m, uint64_t id) {
		if (get32(m, 0) != 133)
			return false;
		h.offered = 63;
		h.complete(id, FakeNetvsp::words({133, 1, 0xffffffff}));
		return true;
	};
	ASSERT_FALSE(t.session.open_queues(3));
	EXPECT_EQ(t.session.queue_count(), 3u);
}

TEST(SessionQueues, RefusalsAreErrorsAndTheSessionLives)
{
	Connected t;
	t.host.on_nvsp = [](FakeNetvsp& h, const Bytes& m, uint64_t id) {
		if (get32(m, 0) == 133)
			h.complete(id, FakeNetvsp::words({133, 2, 0}));
		return get32(m, 0) == 133;
	};
	EXPECT_NE(t.session.open_queues(3).code, 0);
	t.host.on_nvsp = [](FakeNetvsp& h, const Bytes& m, uint64_t id) {
		if (get32(m, 0) == 133)
			h.complete(id, FakeNetvsp::words({133, 1, 2})); /* and offers none */
		return get32(m, 0) == 133;
	};
	EXPECT_EQ(t.session.open_queues(3).code, ETIMEDOUT);
	EXPECT_EQ(t.session.queue_count(), 1u);
	EXPECT_FALSE(t.session.query_link());

	FakeNetvsp old;
	old.versions = {0x40000};
	Session session(old);
	ASSERT_FALSE(session.connect({}));
	EXPECT_EQ(session.open_queues(2).code, ENOTSUP);
	EXPECT_FALSE(session.open_queues(1));
}

TEST(SessionEnd, DisconnectSaysGoodbye)
{
	Connected t;
	t.session.disconnect();
	EXPECT_EQ(t.host.log, (Log{"rndis 3", "nvsp 103", "nvsp 106", "close"}));
	EXPECT_EQ(get32(t.host.nvsp[0], 4), 0xcafeu);
	EXPECT_EQ(get32(t.host.nvsp[1], 4), 0xfaceu);
	EXPECT_FALSE(t.session.connected());
	EXPECT_FALSE(t.host.is_open());
	t.session.disconnect(); /* harmless */
	EXPECT_EQ(t.host.log.size(), 4u);
	uint32_t value = 0, length = 4;
	EXPECT_EQ(t.session.query(0x10106, &value, length, 4).code, ENOTCONN);
	EXPECT_EQ(t.session.set(0x10106, &value, 4).code, ENOTCONN);
	EXPECT_EQ(t.session.query_link().code, ENOTCONN);
	EXPECT_EQ(t.session.open_queues(2).code, ENOTCONN);
	t.session.poll();
	ASSERT_FALSE(t.session.connect({})); /* anew, on a channel that was opened anew */
	EXPECT_EQ(t.host.opened, 2);
}

TEST(SessionEnd, DestructionDisconnects)
{
	FakeNetvsp host;
	{
		Session session(host);
		ASSERT_FALSE(session.connect({}));
	}
	EXPECT_EQ(host.log.back(), "close");
	EXPECT_FALSE(host.is_open());
}

TEST(SessionEnd, DeviceThatIsGoneIsNotTalkedTo)
{
	Connected t;
	t.host.on_rndis = [](FakeNetvsp& h, const Bytes&) {
		h.take_away();
		return true;
	};
	uint32_t value = 0, length = 4;
	EXPECT_EQ(t.session.query(0x10106, &value, length, 4).code, ENODEV);
	t.host.log.clear();
	t.session.disconnect();
	EXPECT_EQ(t.host.log, (Log{"close"}));
}

TEST(SessionEnd, BrokenRingIsNoticed)
{
	Connected t;
	t.host.on_rndis = [](FakeNetvsp& h, const Bytes&) {
		h.wire->to_guest.store(RingMemory::kIn, 5);
		return true;
	};
	uint32_t value = 0, length = 4;
	EXPECT_EQ(t.session.query(0x10106, &value, length, 4).code, EPROTO);
}

TEST(SessionEnd, FailedOpenIsReportedAsItIs)
{
	FakeNetvsp host;
	host.open_error = {EACCES, "no"};
	Session session(host);
	const Error error = session.connect({});
	EXPECT_EQ(error.code, EACCES);
	EXPECT_EQ(error.what, "no");
	EXPECT_FALSE(session.connected());
	host.open_error = {};
	host.control_has_address = false; /* GPA-direct is the only way for control messages */
	EXPECT_EQ(session.connect({}).code, EFAULT);
	EXPECT_FALSE(host.is_open());
}

TEST(SessionEnd, HostThatDoesNotReadCannotHoldUpTheGoodbye)
{
	Connected t(300ms);
	while (t.host.wire->channel.tx.fits(48 + 8)) { /* frames fill the ring */
		std::memset(t.host.wire->channel.tx.begin(48), 0, 48);
		t.host.wire->channel.tx.end();
	}
	t.host.reads = false;
	const auto began = std::chrono::steady_clock::now();
	t.session.disconnect();
	EXPECT_LT(std::chrono::steady_clock::now() - began, 10s);
	EXPECT_FALSE(t.session.connected());
}

/* Wire formats are checked when they are compiled; what depends on the version is here. */
TEST(Nvsp, MessageSizeDependsOnTheVersion)
{
	for (const uint32_t version : {0x00002u, 0x30002u, 0x40000u, 0x50000u, 0x60000u})
		EXPECT_EQ(nvsp::message_size(version), 28u);
	EXPECT_EQ(nvsp::message_size(0x60001), 40u);
	EXPECT_EQ(offsetof(nvsp::Message, ndis_config.capabilities), 12u);
	EXPECT_EQ(offsetof(nvsp::Message, receive_buffer_complete.section.suballocation_count),
		  20u);
	EXPECT_EQ(offsetof(rndis::PacketMessage, ppi_offset), 28u);
	EXPECT_EQ(offsetof(rndis::InitializeComplete, packet_alignment_factor), 40u);
}

} // namespace
} // namespace netvsc::test
