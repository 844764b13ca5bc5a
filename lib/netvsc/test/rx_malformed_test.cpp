/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames and packets that cannot be: counted, never delivered, and the host gets its buffer back.
 */
#include <gtest/gtest.h>

#include <random>

#include "pipeline.hpp"

namespace netvsc::test {
namespace {

using Ids = std::vector<uint64_t>;

/* Sends the frame between two good ones and expects only those. */
void expect_refused(const Bytes& bad, const char* what)
{
	RxFixture t;
	ASSERT_TRUE(t.host.send_messages(
		5, {rndis_frame(pattern(60, 1)), bad, rndis_frame(pattern(60, 2))}));
	EXPECT_EQ(t.receive(), 2u) << what;
	ASSERT_EQ(t.data.size(), 2u) << what;
	EXPECT_EQ(t.data[0], pattern(60, 1));
	EXPECT_EQ(t.data[1], pattern(60, 2));
	EXPECT_EQ(t.rx.stats().errors, 1u) << what;
	EXPECT_EQ(t.rx.stats().frames, 2u);
	EXPECT_EQ(t.completed(), (Ids{5})) << what;
}

Bytes changed(Bytes b, size_t at, uint32_t value)
{
	put32(b, at, value);
	return b;
}

TEST(RxMalformed, HeaderFields)
{
	const Bytes info = packet_info(6, 7);
	const Bytes good = rndis_frame(pattern(60, 9), info);
	const auto length = static_cast<uint32_t>(good.size()); /* 44 + 16 + 60 */
	for (const uint32_t type : {0u, 2u, 0x80000001u, 0x101u})
		expect_refused(changed(good, 0, type), "type");
	for (const uint32_t n : {0u, 8u, 43u, 44u, length - 1, length + 1, length + 8, 0x7fffffffu,
				 0x80000000u, 0xffffffffu})
		expect_refused(changed(good, 4, n), "message length");
	for (const uint32_t n : {0u, 35u, 53u, length - 8, length, 0x7fffffffu, 0xfffffff8u - 60,
				 0xffffffff - 67u, 0xffffffff - 7u, 0xffffffffu})
		expect_refused(changed(good, 8, n), "data offset");
	for (const uint32_t n : {0u, 61u, 0x7fffffffu, 0xffffffffu, 0xffffffffu - 59, 0u - 60})
		expect_refused(changed(good, 12, n), "data length");
	for (const uint32_t n :
	     {0u, 35u, length - 8 - 15, length, 0xfffffff8u, 0xffffffe8u, 0xffffffffu})
		expect_refused(changed(good, 28, n), "info offset");
	for (const uint32_t n : {1u, 8u, 12u, 15u, 17u, 77u, 0x7fffffffu, 0xffffffffu, 0u - 44})
		expect_refused(changed(good, 32, n), "info length");
	/* Sums that wrap in 32 bits to something that looks possible. */
	expect_refused(changed(changed(good, 8, 0xffffffc4), 12, 60), "data offset wraps");
	expect_refused(changed(changed(good, 12, 0xffffffc4), 4, length), "data length wraps");
	expect_refused(changed(changed(good, 28, 0xfffffff0), 32, 16), "info offset wraps");
}

TEST(RxMalformed, PerPacketInfo)
{
	const Bytes good = rndis_frame(pattern(60, 9), packet_info(6, 7));
	for (const uint32_t size : {0u, 1u, 11u, 17u, 32u, 0x7fffffffu, 0x80000000u, 0xffffffffu})
		expect_refused(changed(good, 44, size), "info size");
	for (const uint32_t offset : {17u, 20u, 0x7fffffffu, 0xfffffffcu, 0xffffffffu})
		expect_refused(changed(good, 52, offset), "info payload offset");
	Bytes two = packet_info(6, 7);
	const Bytes second = packet_info(0, 1);
	two.insert(two.end(), second.begin(), second.end());
	const Bytes good_two = rndis_frame(pattern(60, 9), two);
	for (const uint32_t size : {0u, 12u, 24u, 33u, 0xfffffff0u})
		expect_refused(changed(good_two, 44, size), "first info size");
	expect_refused(changed(good_two, 60, 0), "second info size");
	/* A payload too short for a value, or inside the header, is not read; the frame is good. */
	for (const uint32_t offset : {0u, 8u, 13u, 16u}) {
		RxFixture t;
		t.host.send_messages(1, {changed(good, 52, offset)});
		EXPECT_EQ(t.receive(), 1u) << offset;
		EXPECT_EQ(t.got.at(0).info, 0u) << offset;
		EXPECT_EQ(t.completed(), (Ids{1}));
	}
}

TEST(RxMalformed, EdgesThatAreStillGood)
{
	RxFixture t;
	Bytes padded = rndis_frame(pattern(61, 1)); /* length covers padding */
	padded.resize(112);
	put32(padded, 4, 112);
	Bytes tiny = rndis_frame(Bytes(1, 5));
	t.host.send_messages(1, {padded, tiny});
	EXPECT_EQ(t.receive(), 2u);
	EXPECT_EQ(t.data.at(0), pattern(61, 1));
	EXPECT_EQ(t.data.at(1), Bytes(1, 5));
	const uint32_t at = t.host.size - 104; /* ends with the buffer */
	const Bytes last = rndis_frame(pattern(60, 4));
	std::copy(last.begin(), last.end(), &t.host.buffer[at]);
	t.host.send_ranges(2, {{104, at}});
	EXPECT_EQ(t.receive(), 1u);
	EXPECT_EQ(t.data.at(2), pattern(60, 4));
	EXPECT_EQ(t.rx.stats().errors, 0u);
}

TEST(RxMalformed, RangesOutsideTheBuffer)
{
	static constexpr uint32_t kBegin = 4096, kEnd = 16384;
	for (const auto& [length, offset] :
	     std::initializer_list<std::pair<uint32_t, uint32_t>>{{104, kBegin - 8},
								  {104, 0},
								  {104, kEnd - 96},
								  {104, kEnd},
								  {104, 65536},
								  {104, 0xffffffff},
								  {104, 0xffffff98},
								  {0xffffffff, kBegin},
								  {0xfffff000, kBegin + 4096},
								  {0x80000000, 0x80000000},
								  {0, kBegin},
								  {43, kBegin},
								  {12289, kBegin},
								  {0, 0}}) {
		RxFixture t;
		t.rx.configure({&t.host.buffer[0], kBegin, kEnd, 0, nullptr});
		const Bytes good = rndis_frame(pattern(60, 3));
		std::copy(good.begin(), good.end(), &t.host.buffer[kBegin]);
		t.host.send_ranges(9, {{104, kBegin}, {length, offset}, {104, kBegin}});
		EXPECT_EQ(t.receive(), 2u) << length << " " << offset;
		EXPECT_EQ(t.rx.stats().errors, 1u) << length << " " << offset;
		EXPECT_EQ(t.completed(), (Ids{9}));
	}
}

TEST(RxMalformed, Packets)
{
	const auto bad = [](auto&& send, const char* what) {
		RxFixture t;
		const auto range = t.host.place(rndis_frame(pattern(60, 1)));
		send(t, range);
		t.host.send_frames(8, 1, 3);
		t.rx.scan(false); /* whoever looks first */
		EXPECT_EQ(t.receive(), 1u) << what;
		EXPECT_EQ(t.data.at(0), pattern(60, 3)) << what;
		EXPECT_EQ(t.rx.stats().errors, 1u) << what;
		EXPECT_EQ(t.completed(), (Ids{7, 8})) << what;
	};
	for (const int64_t count :
	     {2ll, 3ll, 0x1fffffffll, 0x20000000ll, 0x20000001ll, 0x80000000ll, 0xffffffffll})
		bad([&](RxFixture& t, auto range) { t.host.send_ranges(7, {range}, count); },
		    "count larger than fits");
	bad([](RxFixture& t, auto range) { t.host.send_ranges(7, {range}, 1, 0, 0xface); },
	    "not the receive buffer");
	bad([](RxFixture& t, auto range) { t.host.send_ranges(7, {range}, 1, 0, 0xcafe, 108); },
	    "not SEND_RNDIS_PACKET");
	bad(
		[](RxFixture& t, auto) {
			t.wire.sender.send(7, 7, {}, nvsp_message({107, 0}));
		},
		"no header");
	bad([](RxFixture& t, auto) { t.wire.sender.send(7, 7, {}, {}); }, "nothing");
	bad(
		[](RxFixture& t, auto) {
			Bytes head;
			put32(head, 0, 0xcafe);
			put32(head, 4, 0);
			t.wire.sender.send(7, 7, head, {});
		},
		"no message");
}

TEST(RxMalformed, PacketOfNoFramesIsGivenBack)
{
	RxFixture t;
	t.host.send_ranges(7, {});
	EXPECT_EQ(t.receive(), 0u);
	EXPECT_EQ(t.completed(), (Ids{7}));
}

TEST(RxMalformed, UnknownPacketTypes)
{
	RxFixture t;
	t.wire.sender.send(9, 1, {}, nvsp_message({107, 0}));
	t.wire.sender.send(0xffff, 1, {}, nvsp_message({107, 0}));
	t.host.send_frames(2, 1);
	EXPECT_EQ(t.receive(), 1u);
	EXPECT_EQ(t.rx.stats().errors, 2u);
	EXPECT_EQ(t.completed(), (Ids{2}));
}

/* Longer than the buffer for packets that wrap. */
TEST(RxMalformed, WrappedPacketThatIsTooLong)
{
	RxFixture t(65536);
	for (int i = 0; i < 100; i++) {
		t.wire.sender.send(6, 0, {}, Bytes(480));
		t.receive();
	}
	while (t.wire.sender.position() < 60000) {
		t.wire.sender.send(6, 0, {}, Bytes(480));
		t.receive();
	}
	Bytes head;
	put32(head, 0, 0xcafe);
	put32(head, 4, 1);
	head.resize(20000);
	ASSERT_TRUE(t.wire.sender.send(7, 3, head, nvsp_message({107, 0})));
	t.wire.sender.send(6, 0, {}, Bytes(480));
	const size_t messages = t.control().size();
	EXPECT_EQ(t.receive(), 0u);
	EXPECT_EQ(t.rx.stats().errors, 1u);
	EXPECT_EQ(t.completed(), (Ids{3}));
	EXPECT_EQ(t.control().size(), messages + 1);
	EXPECT_FALSE(t.rx.broken());
}

TEST(RxMalformed, ControlMessagesOutsideTheBuffer)
{
	RxFixture t;
	const auto good = t.host.place(Bytes(20, 7));
	t.host.send_ranges(4, {{20, 65530}, {7, 0}, {0xffffffff, 8}, good, {0, 0}}, -1, 1);
	t.rx.scan(false);
	EXPECT_EQ(t.control().size(), 1u);
	EXPECT_EQ(t.rx.stats().errors, 4u);
	EXPECT_EQ(t.completed(), (Ids{4}));
	const auto large =
		t.host.place(Bytes(10000, 1)); /* shown only as far as anybody may look */
	t.host.send_ranges(5, {large}, -1, 1);
	t.rx.scan(false);
	EXPECT_LE(std::get<2>(t.control().at(1)).size(), 4096u);
}

TEST(RxMalformed, TransmitCompletions)
{
	RxFixture t;
	t.wire.sender.send(0xb, 3, {}, nvsp_message({108, 1})); /* nobody transmits */
	t.receive();
	EXPECT_EQ(t.rx.stats().errors, 1u);
	std::vector<uint8_t> sections(2 * 1024);
	TxConfig c;
	c.sections = sections.data();
	c.section_size = 1024;
	c.section_count = 2;
	Tx tx(t.wire.channel, t.wire.tx_lock, c);
	t.rx.set_tx(&tx);
	/* Without a message, or another one, it says that the frames are lost. */
	for (const Bytes& payload : {Bytes(), nvsp_message({107, 1}), nvsp_message({108, 2})}) {
		tx.begin();
		ASSERT_NE(tx.copy_frame(60), nullptr);
		tx.end();
		Packet p;
		ASSERT_TRUE(t.wire.receiver.take(p));
		t.wire.sender.send(0xb, p.id, {}, payload);
		t.receive();
		tx.reap([](void*) {});
		EXPECT_EQ(tx.in_flight(), 0u);
	}
	EXPECT_EQ(tx.stats().errors, 3u);
	EXPECT_EQ(tx.stats().frames, 0u);
}

/* Single words of packets, messages and control page flipped at random: nothing out of bounds. */
TEST(RxMalformed, RandomCorruptionIsHarmless)
{
	for (uint32_t seed = 1; seed <= 300; seed++) {
		std::mt19937 random(seed);
		RxFixture t(1024, 1024);
		for (int i = 0; i < 60; i++) {
			const uint32_t n = 1 + random() % 8;
			std::vector<Bytes> messages;
			for (uint32_t k = 0; k < n; k++)
				messages.push_back(rndis_frame(pattern(60, k), packet_info(6, 7)));
			t.host.send_messages(static_cast<uint64_t>(i), messages, random() % 8 == 0);
			uint8_t* victim = random() % 2 != 0
						  ? &t.host.buffer[random() % 1500 * 4]
						  : &t.wire.to_guest.data[random() % 256 * 4];
			const uint32_t value = random() % 2 != 0 ? 1u << random() % 32
								 : static_cast<uint32_t>(random());
			std::memcpy(victim, &value, 4);
			if (random() % 200 == 0)
				t.wire.to_guest.store(random() % 4,
						      static_cast<uint32_t>(random()));
			if (random() % 3 == 0)
				t.rx.scan(random() % 2 != 0);
			t.receive(1 + random() % 20);
			t.data.clear();
			Packet p;
			while (t.wire.receiver.take(p))
				;
			ASSERT_FALSE(t.wire.receiver.bad());
		}
	}
}

} // namespace
} // namespace netvsc::test
