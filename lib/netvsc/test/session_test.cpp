/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsc/session.hpp"

#include <gtest/gtest.h>

#include "fake_netvsp.hpp"

namespace netvsc::test {
namespace {

using namespace std::chrono_literals;
using Log = std::vector<std::string>;

SessionConfig config(Milliseconds timeout = 5000ms, uint32_t mtu = 1500)
{
	SessionConfig c;
	c.timeout = timeout;
	c.mtu = mtu;
	return c;
}

struct Fixture {
	Error connect(const SessionConfig& c = config()) { return session.connect(c); }
	void expect_undone()
	{
		EXPECT_FALSE(session.connected());
		EXPECT_FALSE(host.is_open());
		EXPECT_EQ(session.queue_count(), 0u);
	}
	FakeNetvsp host;
	Session session{host};
};

TEST(Session, ConnectsInTheOrderOfTheProtocol)
{
	Fixture t;
	const Error error = t.connect();
	ASSERT_FALSE(error) << error.what;
	EXPECT_EQ(t.host.log,
		  (Log{"nvsp 1", "nvsp 125", "nvsp 100", "nvsp 101", "nvsp 104", "rndis 2",
		       "rndis 4", "rndis 4", "rndis 4", "rndis 4", "rndis 4", "rndis 4"}));
	const auto& m = t.host.nvsp;
	EXPECT_EQ(get32(m[0], 4), 0x60001u);
	EXPECT_EQ(get32(m[0], 8), 0x60001u);
	EXPECT_EQ(get32(m[1], 4), 1514u);
	EXPECT_EQ(get32(m[2], 4), 6u);
	EXPECT_EQ(get32(m[2], 8), 30u);
	EXPECT_EQ(get32(m[3], 4), 71u);
	EXPECT_EQ(get32(m[3], 8), 0xcafeu);
	EXPECT_EQ(get32(m[4], 4), 72u);
	EXPECT_EQ(get32(m[4], 8), 0xfaceu);
	EXPECT_TRUE(t.session.connected());
	EXPECT_EQ(t.session.queue_count(), 1u);
	const HostInfo& info = t.session.info();
	EXPECT_EQ(info.nvsp_version, 0x60001u);
	EXPECT_EQ(info.mac, (std::array<uint8_t, 6>{2, 0, 0, 0, 0, 2}));
	EXPECT_EQ(info.mtu, 1500u);
	EXPECT_EQ(info.receive_begin, 0u);
	EXPECT_EQ(info.receive_end, 1728u * 400);
	EXPECT_EQ(info.section_size, 6144u);
	EXPECT_EQ(info.section_count, FakeNetvsp::kSendSize / 6144);
	EXPECT_EQ(info.max_frames_per_packet, 8u);
	EXPECT_EQ(info.max_transfer, 0xefffffffu);
	EXPECT_EQ(info.alignment, 8u);
	EXPECT_TRUE(t.session.link_up());
	EXPECT_EQ(t.session.speed_bps(), 40000000000u);
}

/* They take 15 MB; a device that cannot have it smaller tries its luck. */
TEST(Session, OldHostsGetASmallReceiveBuffer)
{
	for (const uint32_t version : {0x60001u, 0x40000u, 0x30002u, 0x00002u}) {
		for (const int code : {0, ENOTSUP, EIO}) {
			Fixture t;
			t.host.versions = {version};
			t.host.limit_error = {code, "said the device"};
			const bool old = version <= 0x30002;
			EXPECT_EQ(t.connect().code, old && code == EIO ? EIO : 0) << version;
			EXPECT_EQ(t.host.receive_limit, old ? size_t{15} << 20 : 0) << version;
		}
	}
}

TEST(Session, FallsBackThroughAllVersions)
{
	static constexpr uint32_t kAll[] = {0x60001, 0x60000, 0x50000, 0x40000, 0x30002, 0x00002};
	for (size_t i = 0; i < 6; i++) {
		Fixture t;
		t.host.versions = {kAll[i]};
		const Error error = t.connect();
		ASSERT_FALSE(error) << error.what;
		EXPECT_EQ(t.session.info().nvsp_version, kAll[i]);
		for (size_t k = 0; k <= i; k++)
			EXPECT_EQ(get32(t.host.nvsp[k], 4), kAll[k]);
		const bool has_config = kAll[i] >= 0x30002;
		EXPECT_EQ(get32(t.host.nvsp[i + 1], 0), has_config ? 125u : 100u);
		EXPECT_EQ(get32(t.host.nvsp[i + (has_config ? 2 : 1)], 8),
			  kAll[i] <= 0x40000 ? 1u : 30u);
	}
	Fixture none;
	none.host.versions = {};
	EXPECT_EQ(none.connect().code, EPROTONOSUPPORT);
	none.expect_undone();
	Fixture limited;
	SessionConfig c = config();
	c.max_nvsp = 0x50000;
	ASSERT_FALSE(limited.connect(c));
	EXPECT_EQ(limited.session.info().nvsp_version, 0x50000u);
	EXPECT_EQ(limited.host.log[0], "nvsp 1");
	EXPECT_EQ(limited.host.log[1], "nvsp 125");
}

TEST(Session, EveryCommandTimesOutAndUndoesAll)
{
	for (const uint32_t silent : {1u, 101u, 104u, 1002u, 1004u}) {
		Fixture t;
		t.host.on_nvsp = [silent](FakeNetvsp&, const Bytes& m, uint64_t) {
			return get32(m, 0) == silent;
		};
		t.host.on_rndis = [silent](FakeNetvsp&, const Bytes& m) {
			return get32(m, 0) + 1000 == silent;
		};
		const auto began = std::chrono::steady_clock::now();
		const Error error = t.connect(config(300ms));
		const auto took = std::chrono::steady_clock::now() - began;
		EXPECT_EQ(error.code, ETIMEDOUT) << silent;
		EXPECT_GE(took, 300ms);
		EXPECT_LT(took, 10s);
		t.expect_undone();
		t.host.on_nvsp = nullptr;
		t.host.on_rndis = nullptr;
		EXPECT_FALSE(t.connect()); /* and the next attempt is not disturbed */
	}
}

TEST(Session, CommandsAfterConnectTimeOut)
{
	Fixture t;
	ASSERT_FALSE(t.connect(config(300ms)));
	t.host.on_nvsp = [](FakeNetvsp&, const Bytes&, uint64_t) { return true; };
	t.host.on_rndis = [](FakeNetvsp&, const Bytes&) { return true; };
	uint32_t value = 0, length = 4;
	EXPECT_EQ(t.session.query(0x10106, &value, length, 4).code, ETIMEDOUT);
	EXPECT_EQ(t.session.set(0x1010e, &value, 4).code, ETIMEDOUT);
	EXPECT_EQ(t.session.query_link().code, ETIMEDOUT);
	EXPECT_EQ(t.session.open_queues(4).code, ETIMEDOUT);
	EXPECT_TRUE(t.session.connected());
	t.host.on_nvsp = nullptr;
	t.host.on_rndis = nullptr;
	EXPECT_FALSE(t.session.query_link());
}

/* The session may read both at once: the answer, which says how it was, then the change. */
TEST(Session, AChangeOfTheLinkBehindTheAnswerCounts)
{
	Fixture t;
	ASSERT_FALSE(t.connect());
	for (const bool up : {false, true}) {
		t.host.on_rndis = [up](FakeNetvsp& host, const Bytes& m) {
			if (get32(m, 0) != 4 || get32(m, 12) != 0x10114)
				return false;
			host.media = up ? 1 : 0;
			host.answer_rndis(m);
			host.media = up ? 0 : 1;
			host.send_rndis(
				FakeNetvsp::words({7, 20, up ? 0x4001000bu : 0x4001000cu, 0, 0}));
			return true;
		};
		EXPECT_FALSE(t.session.query_link());
		EXPECT_EQ(t.session.link_up(), up);
	}
	t.host.on_rndis = nullptr;
	t.host.media = 1; /* what was indicated before the answer does not count */
	EXPECT_FALSE(t.session.query_link());
	EXPECT_FALSE(t.session.link_up());
}

/* All that a host may say unasked comes between each request and its answer. */
TEST(Session, UnrelatedMessagesBetweenRequestAndAnswer)
{
	Fixture t;
	const auto noise = [](FakeNetvsp& h) {
		h.send_nvsp(nvsp_message({128, 1, 5}));
		h.send_nvsp(nvsp_message({134, 16, 12}));
		h.send_nvsp(nvsp_message({9999}));
		h.send_nvsp(Bytes());
		h.complete(uint64_t{1} << 63 | 0x7777, nvsp_message({2, 0, 0, 1}));
		h.complete(uint64_t{1} << 63, nvsp_message({2, 0, 0, 1}));
		h.complete(12345, nvsp_message({108, 1}));
		h.send_rndis(FakeNetvsp::words({7, 20, 0x40020006, 0, 0}));
		h.send_rndis(FakeNetvsp::words({0x80000004, 28, 999999, 0, 4, 16, 0xbad}));
		h.send_rndis(FakeNetvsp::words({0x80000002, 16, 0, 0}));
		h.send_rndis(FakeNetvsp::words({8, 12, 4242}));
		h.send_rndis(Bytes(8));
	};
	t.host.on_nvsp = [&](FakeNetvsp& h, const Bytes& m, uint64_t) {
		if (get32(m, 0) != 1) /* before there is a buffer nothing can come through it */
			h.send_nvsp(nvsp_message({128, 1, 5}));
		if (get32(m, 0) == 133)
			noise(h);
		return false;
	};
	t.host.on_rndis = [&](FakeNetvsp& h, const Bytes& r) {
		if (get32(r, 0) < 6)
			noise(h);
		return false;
	};
	const Error error = t.connect();
	ASSERT_FALSE(error) << error.what;
	EXPECT_EQ(t.session.info().mtu, 1500u);
	EXPECT_FALSE(t.session.open_queues(3));
	EXPECT_FALSE(t.session.set_packet_filter(13));
	EXPECT_FALSE(t.host.keepalives.empty());
}

TEST(Session, LateAnswersAreNotTakenForTheNext)
{
	Fixture t;
	ASSERT_FALSE(t.connect(config(300ms)));
	Bytes first;
	t.host.on_rndis = [&](FakeNetvsp& h, const Bytes& r) {
		if (first.empty()) {
			first = r;
			return true;
		}
		h.send_rndis(FakeNetvsp::query_complete(first, FakeNetvsp::words({1})));
		h.send_rndis(
			FakeNetvsp::words({0x80000005, 16, get32(r, 8), 0})); /* another type */
		h.send_rndis(FakeNetvsp::query_complete(r, FakeNetvsp::words({2})));
		h.send_rndis(FakeNetvsp::query_complete(r, FakeNetvsp::words({3}))); /* once more */
		return true;
	};
	uint32_t value = 0, length = 4;
	EXPECT_EQ(t.session.query(0x10106, &value, length, 4).code, ETIMEDOUT);
	ASSERT_FALSE(t.session.query(0x10106, &value, length, 4));
	EXPECT_EQ(value, 2u);
}

TEST(Session, ShortAndWrongAnswersAreErrors)
{
	struct Case {
		uint32_t to;
		Bytes answer;
	};
	const Bytes no_section = nvsp_message({102, 1, 1, 0, 1728, 400, 0});
	const Case cases[] = {
		{1, {}},
		{1, nvsp_message({102, 0x60001, 0, 1})},
		{1, Bytes(8)},
		{101, {}},
		{101, Bytes(no_section.begin(), no_section.begin() + 24)},
		{101, nvsp_message({102, 2, 1, 0, 1728, 400, 0})},
		{101, nvsp_message({105, 1, 1, 0, 1728, 400, 0})},
		{104, {}},
		{104, Bytes(8)},
		{104, nvsp_message({105, 2, 6144})},
		{104, nvsp_message({102, 1, 6144})},
	};
	int i = 0;
	for (const Case& c : cases) {
		Fixture t;
		t.host.on_nvsp = [&](FakeNetvsp& h, const Bytes& m, uint64_t id) {
			if (get32(m, 0) != c.to)
				return false;
			h.complete(id, c.answer);
			return true;
		};
		const Error error = t.connect();
		EXPECT_EQ(error.code, EPROTO) << i << " " << error.what;
		EXPECT_FALSE(error.what.empty());
		t.expect_undone();
		i++;
	}
}

TEST(Session, ReceiveLayoutThatDoesNotFitIsRefused)
{
	struct Case {
		uint32_t sections, offset, size, count;
	};
	for (const Case& c : {Case{0, 0, 1728, 400},
			      {1, 0, 1728, 607},
			      {1, 0xfffff000, 1728, 400},
			      {1, 0, 0x10000, 0x10000},
			      {1, 0, 0x80000000, 2},
			      {1, 0, 0, 400},
			      {1, 0, 1728, 0},
			      {1, 1 << 20, 1, 1},
			      {1, 8, 1 << 20, 1}}) {
		Fixture t;
		t.host.on_nvsp = [&](FakeNetvsp& h, const Bytes& m, uint64_t id) {
			if (get32(m, 0) != 101)
				return false;
			h.complete(id, nvsp_message(
					       {102, 1, c.sections, c.offset, c.size, c.count, 0}));
			return true;
		};
		EXPECT_EQ(t.connect().code, EPROTO) << c.offset << " " << c.size << " " << c.count;
		t.expect_undone();
	}
	Fixture t; /* the whole buffer is fine, and so is a part of it */
	t.host.section_offset = 4096;
	t.host.section_size = 4096;
	t.host.section_count = 255;
	ASSERT_FALSE(t.connect());
	EXPECT_EQ(t.session.info().receive_begin, 4096u);
	EXPECT_EQ(t.session.info().receive_end, FakeNetvsp::kReceiveSize);
}

TEST(Session, ImpossibleSectionSizesAreRefused)
{
	for (const uint32_t size : {0u, 1u, 44u, FakeNetvsp::kSendSize + 1, 0xffffffffu}) {
		Fixture t;
		t.host.on_nvsp = [&](FakeNetvsp& h, const Bytes& m, uint64_t id) {
			if (get32(m, 0) != 104)
				return false;
			h.complete(id, nvsp_message({105, 1, size}));
			return true;
		};
		EXPECT_EQ(t.connect().code, EPROTO) << size;
		t.expect_undone();
	}
}

TEST(Session, RndisInitializeAnswersAreChecked)
{
	const auto with = [](std::initializer_list<uint32_t> rest, uint32_t length) {
		return [=, rest = std::vector<uint32_t>(rest)](FakeNetvsp& h, const Bytes& r) {
			if (get32(r, 0) != 2)
				return false;
			Bytes b = FakeNetvsp::words({0x80000002, length, get32(r, 8)});
			for (const uint32_t w : rest)
				put32(b, b.size(), w);
			h.send_rndis(b);
			return true;
		};
	};
	/* status, major, minor, flags, medium, frames, transfer, alignment, … */
	for (const auto& script : {with({1, 1, 0, 1, 0, 8, 4096, 3, 0, 0}, 52),
				   with({0, 1, 0, 1, 0, 8, 4096, 32, 0, 0}, 52),
				   with({0, 1, 0, 1, 0, 8, 4096, 0xffffffff, 0, 0}, 52),
				   with({0, 1, 0, 1, 0, 8, 4096, 3, 0, 0}, 16), with({0}, 16)}) {
		Fixture t;
		t.host.on_rndis = script;
		EXPECT_EQ(t.connect().code, EPROTO);
		t.expect_undone();
	}
	Fixture t;
	t.host.on_rndis = with({0, 1, 0, 1, 0, 0, 4096, 0, 0, 0}, 52);
	ASSERT_FALSE(t.connect());
	EXPECT_EQ(t.session.info().max_frames_per_packet, 1u);
	EXPECT_GE(t.session.info().alignment, 1u);
}

TEST(Session, MtuIsWhatTheHostGrants)
{
	struct Case {
		uint32_t asked, host, granted;
	};
	for (const Case& c : {Case{9000, 9000, 9000},
			      {9000, 1500, 1500},
			      {1500, 9000, 1500},
			      {1400, 1500, 1400},
			      {68, 1500, 68}}) {
		Fixture t;
		t.host.mtu = c.host;
		ASSERT_FALSE(t.connect(config(5000ms, c.asked)));
		EXPECT_EQ(get32(t.host.nvsp[1], 4), c.asked + 14);
		EXPECT_EQ(t.session.info().mtu, c.granted);
	}
	Fixture tiny;
	tiny.host.mtu = 67;
	EXPECT_EQ(tiny.connect().code, EPROTO);
	tiny.expect_undone();
	Fixture old; /* NVSP 1 has no way to ask */
	old.host.versions = {2};
	old.host.mtu = 9000;
	ASSERT_FALSE(old.connect(config(5000ms, 9000)));
	EXPECT_EQ(old.session.info().mtu, 1500u);
}

TEST(Session, PermanentAddressIfThereIsNoCurrentOne)
{
	Fixture t;
	t.host.on_rndis = [](FakeNetvsp& h, const Bytes& r) {
		if (get32(r, 0) != 4 || get32(r, 12) != 0x01010102)
			return false;
		h.send_rndis(FakeNetvsp::query_complete(r, {}, 0xc00000bb));
		return true;
	};
	ASSERT_FALSE(t.connect());
	EXPECT_EQ(t.session.info().mac[5], 1);
}

} // namespace
} // namespace netvsc::test
