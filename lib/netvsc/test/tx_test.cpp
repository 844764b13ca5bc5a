/* SPDX-License-Identifier: BSD-3-Clause */
#include <random>

#include "tx_fixture.hpp"

namespace netvsc::test {
namespace {

TEST(Tx, AggregatesUpToMaxFrames)
{
	for (const uint32_t version : {0x00002u, 0x60000u, 0x60001u}) {
		TxConfig c = config(4);
		c.nvsp_version = version;
		TxFixture t(c);
		std::vector<Bytes> sent;
		t.tx->begin();
		for (uint32_t i = 0; i < 20; i++) {
			sent.push_back(pattern(60 + i, i));
			ASSERT_TRUE(t.copy(sent.back()));
		}
		EXPECT_EQ(t.wire.to_host.load(RingMemory::kIn),
			  0u); /* published once, at the end */
		t.tx->end();
		EXPECT_EQ(t.take_all(), sent);
		EXPECT_EQ(t.ids.size(), 3u); /* 8 + 8 + 4 */
		EXPECT_EQ(t.tx->stats().packets, 3u);
		EXPECT_EQ(t.tx->stats().frames, 20u);
		EXPECT_EQ(t.tx->stats().copied, 20u);
		EXPECT_EQ(t.tx->in_flight(), 3u);
		t.complete_all();
		t.reap();
		EXPECT_EQ(t.tx->in_flight(), 0u);
		EXPECT_EQ(t.tx->stats().errors + t.tx->stats().bad_completions, 0u);
	}
}

TEST(Tx, AggregatesUpToTheSectionSize)
{
	for (const uint32_t alignment : {4u, 8u, 64u, 4096u}) {
		TxConfig c = config(16, 0, 100);
		c.section_size = 1024;
		c.alignment = alignment;
		TxFixture t(c);
		std::vector<Bytes> sent;
		std::mt19937 random(alignment);
		t.tx->begin();
		for (uint32_t i = 0; i < 16; i++) {
			sent.push_back(pattern(1 + random() % 980, i));
			ASSERT_TRUE(t.tx->can_copy(static_cast<uint32_t>(sent.back().size())));
			ASSERT_TRUE(t.copy(sent.back()));
		}
		t.tx->end();
		EXPECT_EQ(t.take_all(), sent);
	}
	TxConfig c = config(2, 0, 100);
	c.section_size = 1024;
	TxFixture t(c);
	/* Without another way no frame is longer than what fits with all that may go along. */
	EXPECT_EQ(t.tx->max_frame(), 1024 - Tx::kMaxHeader);
	EXPECT_EQ(Tx::longest_copy(1024, 64), 1024 - Tx::kMaxHeader);
	EXPECT_EQ(Tx::longest_copy(1000, 64), 960 - Tx::kMaxHeader);
	EXPECT_EQ(Tx::longest_copy(1024, 4096), 1024 - Tx::kMaxHeader);
	EXPECT_EQ(Tx::longest_copy(64, 4), 0u);
	EXPECT_TRUE(t.tx->can_copy(980));
	EXPECT_FALSE(t.tx->can_copy(981));
	t.tx->begin();
	ASSERT_TRUE(t.copy(pattern(980, 1))); /* fills a section to its last byte */
	ASSERT_TRUE(t.copy(pattern(1, 2)));
	t.tx->end();
	EXPECT_EQ(t.take_all().size(), 2u);
	EXPECT_EQ(t.ids.size(), 2u);
}

TEST(Tx, SectionsRunOutAndComeBack)
{
	TxFixture t(config(3, 0, 1));
	t.tx->begin();
	for (uint32_t i = 0; i < 3; i++)
		EXPECT_TRUE(t.copy(pattern(60, i)));
	EXPECT_EQ(t.tx->free_sections(), 0u);
	EXPECT_FALSE(t.copy(pattern(60, 3)));
	t.tx->end();
	EXPECT_EQ(t.take_all().size(), 3u);
	t.tx->begin();
	EXPECT_FALSE(t.copy(pattern(60, 3)));
	t.tx->end();
	EXPECT_TRUE(t.tx->complete(t.ids[1], true));
	t.tx->begin();
	t.reap();
	EXPECT_TRUE(t.copy(pattern(60, 4)));
	EXPECT_FALSE(t.copy(pattern(60, 5)));
	t.tx->end();
	EXPECT_EQ(t.take_all(), (std::vector<Bytes>{pattern(60, 4)}));
	EXPECT_EQ(t.tx->stats().frames, 4u);
}

TEST(Tx, OrderIsThatOfTheCalls)
{
	std::mt19937 random(5);
	TxFixture t(config(64, 64));
	std::vector<Bytes> sent;
	for (int burst = 0; burst < 200; burst++) {
		sent.clear();
		t.pages.clear();
		t.tx->begin();
		t.reap();
		for (uint32_t i = 0; i < 1 + random() % 30; i++) {
			sent.push_back(pattern(60 + random() % 1400, i));
			const auto length = static_cast<uint32_t>(sent.back().size());
			if (const auto kind = random() % 4; kind == 0) {
				const uint64_t gpa = (uint64_t{i} + 1) << 20 | random() % 4096;
				t.pages[gpa] = sent.back();
				const GpaPiece piece = {gpa, length};
				ASSERT_TRUE(t.tx->direct_frame(&piece, 1, length, cookie(1)));
			} else if (uint8_t* p = kind == 1 ? t.tx->bounce_begin(length) : nullptr) {
				std::copy(sent.back().begin(), sent.back().end(), p);
				t.tx->bounce_end(length);
			} else {
				ASSERT_TRUE(t.copy(sent.back()));
			}
		}
		t.tx->end();
		ASSERT_EQ(t.take_all(), sent);
		t.complete_all();
	}
}

TEST(Tx, FullRingRefusesAndResumes)
{
	TxFixture t(config(1000, 1000, 1), 16384);
	t.add_page(0x1000, pattern(60, 1));
	const GpaPiece piece = {0x1000, 60};
	for (int round = 0; round < 20; round++) {
		uint32_t accepted = 0;
		t.tx->begin();
		while (accepted % 2 != 0 ? t.copy(pattern(60, 1))
					 : t.tx->direct_frame(&piece, 1, 60, cookie(1)))
			accepted++;
		EXPECT_EQ(t.tx->bounce_begin(60), nullptr);
		EXPECT_FALSE(t.copy(pattern(60, 1)) && t.copy(pattern(60, 1)));
		t.tx->end();
		EXPECT_GT(accepted, 50u);
		/* Room for the completions of received packets is left. */
		EXPECT_LE(t.wire.receiver.used() + Tx::kHeadroom, 16384u - 8);
		EXPECT_GE(t.wire.receiver.used() + Tx::kHeadroom + 200, 16384u - 8);
		const auto frames = t.take_all();
		EXPECT_GE(frames.size(), accepted);
		EXPECT_LE(frames.size(), accepted + 1);
		t.complete_all();
		t.reap();
		EXPECT_EQ(t.tx->in_flight(), 0u);
	}
}

TEST(Tx, CompletionsOfWhatIsNotInFlightAreRefused)
{
	TxFixture t(config(2, 2, 1));
	t.add_page(0x1000, pattern(60, 1));
	const GpaPiece piece = {0x1000, 60};
	t.tx->begin();
	ASSERT_TRUE(t.copy(pattern(60, 1)));
	ASSERT_TRUE(t.tx->direct_frame(&piece, 1, 60, cookie(1)));
	t.tx->end();
	t.take_all();
	const std::vector<uint64_t> ids = t.ids;
	uint64_t bad = 0;
	const auto refuse = [&](uint64_t id) {
		(void)t.tx->complete(id, true);
		EXPECT_TRUE(t.reap().empty()) << id;
		EXPECT_EQ(t.tx->stats().bad_completions, ++bad) << id;
		EXPECT_EQ(t.tx->in_flight(), 4 - t.tx->free_sections() - t.tx->free_direct());
	};
	for (const uint64_t id : ids) {
		for (const int bit : {1, 2, 3, 10, 19, 20, 21, 40, 51, 52, 60, 62})
			if (const uint64_t other = id ^ uint64_t{1} << bit;
			    std::count(ids.begin(), ids.end(), other) == 0)
				refuse(other);
	}
	EXPECT_EQ(t.tx->in_flight(), 2u);
	t.complete_all();
	EXPECT_EQ(t.reap(), (std::vector<void*>{cookie(1)}));
	for (const uint64_t id : ids) /* twice */
		refuse(id);
	t.tx->begin(); /* the same slots, later */
	ASSERT_TRUE(t.copy(pattern(60, 1)));
	ASSERT_TRUE(t.tx->direct_frame(&piece, 1, 60, cookie(2)));
	t.tx->end();
	for (const uint64_t id : ids)
		refuse(id);
	EXPECT_EQ(t.tx->in_flight(), 2u);
	EXPECT_EQ(t.tx->stats().frames, 4u);
}

TEST(Tx, FramesThatTheHostRefusedAreErrors)
{
	TxFixture t(config(2, 2));
	t.add_page(0x1000, pattern(60, 1));
	const GpaPiece piece = {0x1000, 60};
	t.tx->begin();
	for (uint32_t i = 0; i < 3; i++)
		ASSERT_TRUE(t.copy(pattern(100, 1)));
	ASSERT_TRUE(t.tx->direct_frame(&piece, 1, 60, cookie(1)));
	t.tx->end();
	EXPECT_EQ(t.tx->stats().frames, 4u);
	EXPECT_EQ(t.tx->stats().bytes, 360u);
	t.take_all();
	t.complete_all(false);
	EXPECT_EQ(t.reap(),
		  (std::vector<void*>{cookie(1)})); /* the caller gets it back all the same */
	EXPECT_EQ(t.tx->stats().errors, 4u);
	EXPECT_EQ(t.tx->stats().frames, 0u);
	EXPECT_EQ(t.tx->stats().bytes, 0u);
	EXPECT_EQ(t.tx->in_flight(), 0u);
}

TEST(Tx, AbandonGivesAllCookiesBackOnce)
{
	TxFixture t(config(2, 8));
	t.add_page(0x1000, pattern(60, 1));
	const GpaPiece piece = {0x1000, 60};
	t.tx->begin();
	ASSERT_TRUE(t.copy(pattern(60, 1)));
	for (uintptr_t i = 1; i <= 5; i++)
		ASSERT_TRUE(t.tx->direct_frame(&piece, 1, 60, cookie(i)));
	t.tx->end();
	t.take_all();
	EXPECT_TRUE(t.tx->complete(t.ids[2], true));
	EXPECT_EQ(t.reap(), (std::vector<void*>{cookie(2)}));
	std::vector<void*> back;
	const auto release = [&](void* c) { back.push_back(c); };
	t.tx->abandon(release);
	std::sort(back.begin(), back.end());
	EXPECT_EQ(back, (std::vector<void*>{cookie(1), cookie(3), cookie(4), cookie(5)}));
	t.tx->abandon(release);
	EXPECT_EQ(back.size(), 4u);
}

TEST(Tx, WithoutMemoryOrSectionsItSaysSo)
{
	TxFixture none(config(0, 0));
	EXPECT_FALSE(none.tx->can_copy(1));
	EXPECT_FALSE(none.tx->can_direct());
	EXPECT_EQ(none.tx->slots(), 0u);
	EXPECT_EQ(Tx::memory_size(0), 0u);
	none.tx->begin();
	EXPECT_EQ(none.tx->copy_frame(60), nullptr);
	EXPECT_EQ(none.tx->bounce_begin(60), nullptr);
	none.tx->end();
	EXPECT_FALSE(none.tx->complete(0, true) && !none.reap().empty());

	FakeChannel wire;
	TxConfig c = config(4, 4); /* neither mapping is there */
	c.section_size = 6144;
	Tx tx(wire.channel, wire.tx_lock, c);
	EXPECT_FALSE(tx.can_copy(1));
	EXPECT_FALSE(tx.can_direct());
}

TEST(Tx, SignalsOncePerBurstAndOnlyAnIdleHost)
{
	TxFixture t(config(8, 0, 1));
	const auto burst = [&] {
		t.tx->begin();
		EXPECT_TRUE(t.copy(pattern(60, 1)));
		EXPECT_TRUE(t.copy(pattern(60, 2)));
		t.tx->end();
		return t.tx->stats().signals;
	};
	EXPECT_EQ(burst(), 1u);
	EXPECT_EQ(burst(), 1u); /* it has not read yet */
	t.take_all();
	t.wire.to_host.store(RingMemory::kMask, 1);
	EXPECT_EQ(burst(), 1u);
	t.tx->begin();
	t.tx->end(); /* nothing sent */
	EXPECT_EQ(t.tx->stats().signals, 1u);
}

TEST(Tx, BrokenRingTakesNothing)
{
	TxFixture t(config(8, 8));
	t.wire.to_host.store(RingMemory::kOut, 77);
	t.add_page(0x1000, pattern(60, 1));
	const GpaPiece piece = {0x1000, 60};
	t.tx->begin();
	EXPECT_FALSE(t.copy(pattern(60, 1)));
	EXPECT_FALSE(t.tx->direct_frame(&piece, 1, 60, cookie(1)));
	EXPECT_EQ(t.tx->bounce_begin(60), nullptr);
	t.tx->end();
	EXPECT_EQ(t.wire.to_host.load(RingMemory::kIn), 0u);
	EXPECT_EQ(t.tx->in_flight(), 0u);
}

} // namespace
} // namespace netvsc::test
