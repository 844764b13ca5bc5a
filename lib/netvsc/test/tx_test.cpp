/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsc/tx.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "pipeline.hpp"

namespace netvsc::test {
namespace {

constexpr uint64_t kMemoryGpa = 0x123456000;
constexpr uint32_t kFirstSection = 3;
constexpr uint32_t kLongest = 9234;

/* A Tx and a host that takes its packets apart as the specification says. */
struct TxFixture {
	explicit TxFixture(TxConfig c = {}, uint32_t ring = 65536) : wire(65536, ring)
	{
		if (c.section_size == 0)
			c.section_size = 6144;
		c.first_section = kFirstSection;
		section_size = c.section_size;
		alignment = c.alignment;
		sections.reset(new uint8_t[(kFirstSection + c.section_count) * section_size]());
		c.sections = &sections[0];
		const size_t headers = Tx::memory_size(c.direct_slots);
		if (headers != 0) {
			memory.resize(headers + BouncePool::memory_size(kLongest));
			c.memory = {memory.data(), kMemoryGpa, headers};
			bounce.reset({memory.data() + headers, kMemoryGpa + headers,
				      memory.size() - headers},
				     kLongest);
			c.bounce = &bounce;
		}
		message = c.nvsp_version >= 0x60001 ? 40 : 32;
		tx = std::make_unique<Tx>(wire.channel, wire.tx_lock, c);
	}
	bool copy(const Bytes& frame)
	{
		uint8_t* at = tx->copy_frame(static_cast<uint32_t>(frame.size()));
		if (at == nullptr)
			return false;
		std::copy(frame.begin(), frame.end(), at);
		return true;
	}
	/* Memory of the guest elsewhere, which the host finds by its address. */
	void add_page(uint64_t gpa, const Bytes& bytes) { pages[gpa] = bytes; }

	Bytes read_gpa(uint64_t gpa, uint32_t n)
	{
		if (gpa >= kMemoryGpa && gpa + n <= kMemoryGpa + memory.size()) {
			const uint8_t* p = &memory[gpa - kMemoryGpa];
			return {p, p + n};
		}
		for (const auto& [start, bytes] : pages)
			if (gpa >= start && gpa + n <= start + bytes.size())
				return {bytes.begin() + static_cast<ptrdiff_t>(gpa - start),
					bytes.begin() + static_cast<ptrdiff_t>(gpa - start + n)};
		ADD_FAILURE() << "no memory at " << std::hex << gpa << "+" << n;
		return Bytes(n);
	}
	void take_message(const Bytes& m, std::vector<Bytes>& frames)
	{
		ASSERT_GE(m.size(), 44u);
		EXPECT_EQ(get32(m, 0), 1u);
		EXPECT_EQ(get32(m, 4), m.size());
		const uint32_t offset = get32(m, 8) + 8, length = get32(m, 12);
		ASSERT_LE(uint64_t{offset} + length, m.size());
		for (const size_t zero : {16u, 20u, 24u, 36u, 40u})
			EXPECT_EQ(get32(m, zero), 0u);
		EXPECT_LT(m.size() - offset - length, alignment);
		const uint32_t info = get32(m, 32);
		ASSERT_EQ(get32(m, 28), info != 0 ? 36u : 0u);
		ASSERT_EQ(offset, 44 + info); /* the frame follows what is said of it */
		infos.emplace_back(m.begin() + 44, m.begin() + 44 + info);
		frames.emplace_back(m.begin() + offset, m.begin() + offset + length);
	}
	/* The next packet's frames; ids, section counts and ranges go to the members. */
	bool take(std::vector<Bytes>& frames)
	{
		Packet p;
		if (!wire.receiver.take(p))
			return false;
		ids.push_back(p.id);
		EXPECT_EQ(p.flags, 1);
		EXPECT_EQ(p.payload.size(), message);
		EXPECT_EQ(get32(p.payload, 0), 107u);
		EXPECT_EQ(get32(p.payload, 4), 0u);
		for (size_t i = 16; i < p.payload.size(); i += 4)
			EXPECT_EQ(get32(p.payload, i), 0u);
		const uint32_t section = get32(p.payload, 8), size = get32(p.payload, 12);
		if (p.type == 6) {
			EXPECT_TRUE(p.head.empty());
			EXPECT_GE(section, kFirstSection);
			EXPECT_LE(size, section_size);
			const uint8_t* s = &sections[size_t{section} * section_size];
			uint32_t at = 0;
			while (at < size) { /* lengths must add up to the size exactly */
				EXPECT_EQ(at % alignment, 0u);
				uint32_t n;
				std::memcpy(&n, s + at + 4, 4);
				if (n < 44 || n > size - at) {
					ADD_FAILURE() << "message of " << n << " at " << at;
					return true;
				}
				take_message(Bytes(s + at, s + at + n), frames);
				at += n;
			}
			last_section = section;
			return true;
		}
		EXPECT_EQ(p.type, 9);
		EXPECT_EQ(section, 0xffffffffu);
		EXPECT_EQ(size, 0u);
		const uint32_t count = get32(p.head, 4);
		EXPECT_EQ(get32(p.head, 0), 0u);
		EXPECT_GE(count, 1u);
		EXPECT_LE(count, 32u);
		Bytes all;
		size_t at = 8;
		range_pages.clear();
		for (uint32_t i = 0; i < count; i++) {
			const uint32_t n = get32(p.head, at);
			uint32_t offset = get32(p.head, at + 4);
			EXPECT_LT(offset, 4096u);
			EXPECT_NE(n, 0u);
			at += 8;
			uint32_t left = n, number = 0;
			for (; left != 0; number++, at += 8) {
				const uint32_t part = std::min(left, 4096 - offset);
				const Bytes b = read_gpa(get64(p.head, at) * 4096 + offset, part);
				all.insert(all.end(), b.begin(), b.end());
				left -= part;
				offset = 0;
			}
			range_pages.push_back(number);
			if (i == 0) { /* OpenVMM wants the header whole in the first */
				EXPECT_GE(n, 44u);
			}
		}
		EXPECT_EQ(at, p.head.size()); /* one page number for each page, and none more */
		take_message(all, frames);
		return true;
	}
	std::vector<Bytes> take_all()
	{
		std::vector<Bytes> frames;
		while (take(frames))
			;
		EXPECT_FALSE(wire.receiver.bad());
		return frames;
	}
	std::vector<void*> reap()
	{
		std::vector<void*> cookies;
		tx->reap([&](void* c) { cookies.push_back(c); });
		return cookies;
	}
	void complete_all(bool success = true)
	{
		for (const uint64_t id : ids)
			EXPECT_TRUE(tx->complete(id, success));
		ids.clear();
	}
	FakeChannel wire;
	std::unique_ptr<uint8_t[]> sections;
	std::vector<uint8_t> memory;
	std::map<uint64_t, Bytes> pages;
	uint32_t section_size = 0, alignment = 0, message = 0;
	std::vector<uint64_t> ids;
	std::vector<uint32_t> range_pages;
	uint32_t last_section = 0;
	BouncePool bounce;
	std::unique_ptr<Tx> tx;
	std::vector<Bytes> infos; /* of each frame */
};

TxConfig config(uint32_t sections, uint32_t direct = 0, uint32_t frames = 8)
{
	TxConfig c;
	c.section_count = sections;
	c.direct_slots = direct;
	c.max_frames = frames;
	c.max_frame = kLongest;
	return c;
}

void* cookie(uintptr_t n)
{
	return reinterpret_cast<void*>(n);
}

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

TEST(Tx, DirectRangesNameThePages)
{
	TxFixture t(config(0, 8));
	struct Case {
		uint64_t offset;
		uint32_t length, pages;
	};
	for (const Case& c : {Case{0, 1, 1},
			      {4095, 1, 1},
			      {4095, 2, 2},
			      {0, 4096, 1},
			      {1, 4096, 2},
			      {100, 9000, 3},
			      {4000, 9000, 4},
			      {0, 8192, 2}}) {
		const uint64_t gpa = 0xfedcba9876000 + c.offset; /* page numbers of over 32 bits */
		t.add_page(gpa, pattern(c.length, c.length));
		const GpaPiece piece = {gpa, c.length};
		t.tx->begin();
		ASSERT_TRUE(t.tx->direct_frame(&piece, 1, c.length, cookie(7)));
		t.tx->end();
		EXPECT_EQ(t.take_all(), (std::vector<Bytes>{pattern(c.length, c.length)}));
		EXPECT_EQ(t.range_pages, (std::vector<uint32_t>{1, c.pages}));
		t.complete_all();
		EXPECT_EQ(t.reap(), (std::vector<void*>{cookie(7)}));
		t.pages.clear();
	}
}

TEST(Tx, DirectFrameOfManyPieces)
{
	for (const uint32_t version : {0x00002u, 0x60001u}) {
		TxConfig c = config(0, 8);
		c.nvsp_version = version;
		TxFixture t(c);
		for (uint32_t count = 1; count <= Tx::kMaxPieces; count++) {
			std::vector<GpaPiece> pieces;
			Bytes frame;
			for (uint32_t i = 0; i < count; i++) {
				const Bytes b = pattern(290, i); /* most of them cross a page */
				const uint64_t gpa = (uint64_t{i} + 1) * 0x100000 + 3900;
				t.pages[gpa] = b;
				pieces.push_back({gpa, 290});
				frame.insert(frame.end(), b.begin(), b.end());
			}
			t.tx->begin();
			ASSERT_TRUE(
				t.tx->direct_frame(pieces.data(), count, count * 290, cookie(1)));
			t.tx->end();
			EXPECT_EQ(t.take_all(), (std::vector<Bytes>{frame}));
			EXPECT_EQ(t.range_pages.size(), count + 1);
			t.complete_all();
			t.reap();
		}
		EXPECT_EQ(Tx::kMaxPieces, 31u); /* with the header no more than 32 ranges */
	}
}

TEST(Tx, DirectSlotsRunOutAndComeBackWithTheirCookies)
{
	TxFixture t(config(0, 2));
	t.add_page(0x1000, pattern(60, 1));
	const GpaPiece piece = {0x1000, 60};
	t.tx->begin();
	EXPECT_TRUE(t.tx->direct_frame(&piece, 1, 60, cookie(1)));
	EXPECT_TRUE(t.tx->direct_frame(&piece, 1, 60, cookie(2)));
	EXPECT_FALSE(t.tx->direct_frame(&piece, 1, 60, cookie(3)));
	t.tx->end();
	EXPECT_EQ(t.take_all().size(), 2u);
	EXPECT_TRUE(t.reap().empty());
	EXPECT_TRUE(t.tx->complete(t.ids[1], true));
	EXPECT_EQ(t.reap(), (std::vector<void*>{cookie(2)}));
	t.tx->begin();
	EXPECT_TRUE(t.tx->direct_frame(&piece, 1, 60, cookie(4)));
	t.tx->end();
	EXPECT_EQ(t.tx->stats().frames, 3u);
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

TEST(Tx, BounceBuffersForFramesNobodyElseTakes)
{
	TxFixture t(config(0, 32));
	std::vector<Bytes> sent;
	t.tx->begin();
	for (uint32_t i = 0; i < BouncePool::kBuffers; i++) {
		sent.push_back(pattern(i % 2 != 0 ? 9234 : 1, i));
		uint8_t* p = t.tx->bounce_begin(static_cast<uint32_t>(sent.back().size()));
		ASSERT_NE(p, nullptr);
		std::copy(sent.back().begin(), sent.back().end(), p);
		t.tx->bounce_end(static_cast<uint32_t>(sent.back().size()));
	}
	EXPECT_EQ(t.tx->bounce_begin(60), nullptr);
	t.tx->end();
	EXPECT_EQ(t.take_all(), sent);
	EXPECT_EQ(t.tx->stats().bounced, uint64_t{BouncePool::kBuffers});
	t.complete_all();
	EXPECT_TRUE(t.reap().empty()); /* no cookies: the frames were copied */
	EXPECT_EQ(t.tx->in_flight(), 0u);
	/* Those of frames in flight come back when the channel is closed. */
	t.tx->begin();
	for (uint32_t i = 0; i < BouncePool::kBuffers; i++) {
		ASSERT_NE(t.tx->bounce_begin(60), nullptr);
		t.tx->bounce_end(60);
	}
	t.tx->end();
	EXPECT_EQ(t.bounce.take(), BouncePool::kNone);
	t.tx->abandon([](void*) {});
	EXPECT_NE(t.bounce.take(), BouncePool::kNone);
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

/* By section, by range and by bounce buffer, between frames without. */
TEST(Tx, PerPacketInfos)
{
	TxFixture t(config(4, 4));
	TxInfo tag, both;
	tag.add_vlan(0xb123); /* priority 5, CFI, id 0x123 */
	both.add_vlan(0x0fff);
	both.add_lso(1460, 34, true);
	const Bytes tag_info = packet_info(6, 0x123d);
	Bytes both_info = packet_info(6, 0xfff0);
	const Bytes lso = packet_info(2, 1460 | 34u << 20 | 1u << 30 | 1u << 31);
	both_info.insert(both_info.end(), lso.begin(), lso.end());
	std::vector<Bytes> frames, expected;
	const auto next = [&](const Bytes& info) {
		frames.push_back(pattern(300 + frames.size(), uint32_t(frames.size())));
		expected.push_back(info);
		return uint32_t(frames.back().size());
	};
	t.tx->begin();
	const TxInfo *const none = nullptr, *const tags = &tag, *const large = &both;
	for (const TxInfo* info : {tags, none, large}) {
		const uint32_t length = next(info == nullptr ? Bytes{}
					     : info == &tag  ? tag_info
							     : both_info);
		uint8_t* at = t.tx->copy_frame(length, info);
		ASSERT_NE(at, nullptr);
		std::copy(frames.back().begin(), frames.back().end(), at);
	}
	uint32_t length = next(both_info);
	t.add_page(0x5000, frames.back());
	const GpaPiece piece{0x5000, length};
	ASSERT_TRUE(t.tx->direct_frame(&piece, 1, length, cookie(1), &both));
	for (const TxInfo* info : {tags, none}) {
		length = next(info != nullptr ? tag_info : Bytes{});
		uint8_t* at = t.tx->bounce_begin(length);
		ASSERT_NE(at, nullptr);
		std::copy(frames.back().begin(), frames.back().end(), at);
		t.tx->bounce_end(length, info);
	}
	t.tx->end();
	EXPECT_EQ(t.take_all(), frames);
	EXPECT_EQ(t.infos, expected);
	t.complete_all();
}

} // namespace
} // namespace netvsc::test
