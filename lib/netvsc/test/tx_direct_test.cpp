/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames that the host reads by address: where they are, or in a bounce buffer; and their infos. */
#include "tx_fixture.hpp"

namespace netvsc::test {
namespace {

TEST(TxDirect, DirectRangesNameThePages)
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

TEST(TxDirect, DirectFrameOfManyPieces)
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

TEST(TxDirect, DirectSlotsRunOutAndComeBackWithTheirCookies)
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

TEST(TxDirect, BounceBuffersForFramesNobodyElseTakes)
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

/* By section, by range and by bounce buffer, between frames without. */
TEST(TxDirect, PerPacketInfos)
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
