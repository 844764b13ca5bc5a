/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsp/ring.hpp"

#include <string>

#include <gtest/gtest.h>

using namespace netvsp;

namespace {

/** Memory of a ring, and what the guest does at its end. */
template <uint32_t kData> struct Memory {
	alignas(4096) uint8_t bytes[4096 + kData] = {};

	vmbus::RingControl& control() { return *reinterpret_cast<vmbus::RingControl*>(bytes); }
	uint8_t* data() { return bytes + 4096; }
	void put(uint32_t at, const void* from, size_t count)
	{
		for (size_t i = 0; i < count; i++)
			data()[(at + i) % kData] = static_cast<const uint8_t*>(from)[i];
	}
	std::string get(uint32_t at, size_t count)
	{
		std::string s;
		for (size_t i = 0; i < count; i++)
			s += char(data()[(at + i) % kData]);
		return s;
	}
	/** A packet whose data follows the descriptor. @return where the next one goes */
	uint32_t packet(uint32_t at, uint64_t id, const std::string& body, uint16_t flags = 0)
	{
		uint16_t length8 = uint16_t(2 + (body.size() + 7) / 8);
		vmbus::PacketDescriptor d{6, 2, length8, flags, id};
		put(at, &d, sizeof(d));
		put(at + 16, body.data(), body.size());
		return (at + length8 * 8 + 8) % kData;
	}
	vmbus::PacketDescriptor descriptor(uint32_t at)
	{
		vmbus::PacketDescriptor d;
		memcpy(&d, get(at, sizeof(d)).data(), sizeof(d));
		return d;
	}
	uint64_t u64(uint32_t at)
	{
		uint64_t value;
		memcpy(&value, get(at, 8).data(), 8);
		return value;
	}
};

constexpr uint32_t kSize = 4096;

std::string text(size_t size, uint32_t seed)
{
	std::string s(size, 0);
	for (size_t i = 0; i < size; i++)
		s[i] = char(i * 7 + seed);
	return s;
}

struct InRingTest : ::testing::Test {
	Memory<kSize> memory;
	InRing ring;
	Packet p;

	/** Attaches to an empty ring whose indices are here. */
	void attach_at(uint32_t index)
	{
		memory.control().in = memory.control().out = index;
		ASSERT_TRUE(ring.attach(memory.bytes, sizeof(memory.bytes)));
	}
	InRing::Peek peek_descriptor(uint16_t data8, uint16_t length8, uint16_t flags, uint32_t in)
	{
		attach_at(0);
		vmbus::PacketDescriptor d{6, data8, length8, flags, 0};
		memory.put(0, &d, sizeof(d));
		memory.control().in = in;
		return ring.peek(p);
	}
};

TEST_F(InRingTest, AttachChecksShapeAndIndex)
{
	EXPECT_TRUE(ring.attach(memory.bytes, 8192));
	EXPECT_FALSE(ring.attach(memory.bytes, 4096));
	EXPECT_FALSE(ring.attach(memory.bytes, 8184));
	EXPECT_FALSE(ring.attach(memory.bytes, 8200));
	EXPECT_FALSE(ring.attach(memory.bytes, 1ull << 31));
	EXPECT_FALSE(ring.attach(memory.bytes, (1ull << 32) + 8192));
	for (uint32_t index : {kSize, 12u, 0xfffffff8u}) {
		memory.control().out = index;
		EXPECT_FALSE(ring.attach(memory.bytes, 8192)) << index;
	}
}

TEST_F(InRingTest, PacketsStayUntilConsumedAndAreGivenBackTogether)
{
	attach_at(0);
	EXPECT_EQ(InRing::Peek::kEmpty, ring.peek(p));
	EXPECT_FALSE(ring.has_data());
	uint32_t at = memory.packet(0, 11, text(24, 1), vmbus::kFlagCompletionRequested);
	at = memory.packet(at, 12, text(8, 2));
	memory.control().in = at;
	EXPECT_TRUE(ring.has_data());
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(InRing::Peek::kPacket, ring.peek(p));
		EXPECT_EQ(11u, p.descriptor.transaction_id);
	}
	EXPECT_TRUE(p.wants_completion());
	EXPECT_EQ(memory.data(), p.base);
	ASSERT_EQ(24u, p.data_length());
	EXPECT_EQ(text(24, 1), std::string(p.data(), p.data() + 24));
	ring.consume(p);
	ASSERT_EQ(InRing::Peek::kPacket, ring.peek(p));
	EXPECT_EQ(12u, p.descriptor.transaction_id);
	EXPECT_FALSE(p.wants_completion());
	ring.consume(p);
	EXPECT_EQ(InRing::Peek::kEmpty, ring.peek(p));
	EXPECT_EQ(0u, memory.control().out);
	ring.publish();
	EXPECT_EQ(at, memory.control().out);
	EXPECT_FALSE(ring.has_data());
}

TEST_F(InRingTest, PacketIsWholeWhereverTheRingEnds)
{
	/* 16 + 64 + 8 bytes: the end lies in the descriptor, in the data, in the footer, behind */
	for (uint32_t before = 8; before <= 88; before += 8) {
		attach_at(kSize - before);
		uint32_t next = memory.packet(kSize - before, before, text(64, before));
		memory.control().in = next;
		ASSERT_EQ(InRing::Peek::kPacket, ring.peek(p)) << before;
		EXPECT_EQ(before, p.descriptor.transaction_id);
		ASSERT_EQ(64u, p.data_length());
		EXPECT_EQ(text(64, before), std::string(p.data(), p.data() + 64)) << before;
		ring.consume(p);
		EXPECT_EQ(InRing::Peek::kEmpty, ring.peek(p)) << before;
		ring.publish();
		EXPECT_EQ(next, memory.control().out);
	}
}

TEST_F(InRingTest, MalformedDescriptorsAreBroken)
{
	using Peek = InRing::Peek;
	EXPECT_EQ(Peek::kPacket, peek_descriptor(2, 6, 0, 56));
	EXPECT_EQ(Peek::kPacket, peek_descriptor(6, 6, 1, 56)); /* without data */
	EXPECT_EQ(Peek::kBroken, peek_descriptor(1, 6, 0, 56)); /* data in the descriptor */
	EXPECT_EQ(Peek::kBroken, peek_descriptor(7, 6, 0, 56)); /* data behind the end */
	EXPECT_EQ(Peek::kBroken, peek_descriptor(2, 1, 0, 56)); /* no room for itself */
	EXPECT_EQ(Peek::kBroken, peek_descriptor(0, 0, 0, 56));
	EXPECT_EQ(Peek::kBroken, peek_descriptor(2, 7, 0, 56)); /* footer behind the index */
	EXPECT_EQ(Peek::kBroken, peek_descriptor(2, 0xffff, 0, 56));
	EXPECT_EQ(Peek::kBroken, peek_descriptor(2, 6, 2, 56)); /* unknown flag */
	EXPECT_EQ(Peek::kBroken, peek_descriptor(2, 6, 0x8001, 56));
	EXPECT_EQ(Peek::kPacket, peek_descriptor(2, 2, 0, 24));
	EXPECT_EQ(Peek::kBroken, peek_descriptor(2, 2, 0, 16)); /* no room for a descriptor */
}

TEST(InRing, PacketLongerThanAnyIsBroken)
{
	static Memory<2 * kMaxPacketSize> memory;
	memory.control().in = 2 * kMaxPacketSize - 8;
	for (auto [length, expected] : {std::pair{kMaxPacketSize, InRing::Peek::kPacket},
					{kMaxPacketSize + 8, InRing::Peek::kBroken}}) {
		vmbus::PacketDescriptor d{6, 2, uint16_t(length / 8), 0, 0};
		memory.put(0, &d, sizeof(d));
		InRing ring;
		Packet p;
		ASSERT_TRUE(ring.attach(memory.bytes, sizeof(memory.bytes)));
		EXPECT_EQ(expected, ring.peek(p)) << length;
	}
}

TEST_F(InRingTest, ImpossibleIndicesAreBroken)
{
	attach_at(0);
	uint32_t next = memory.packet(0, 5, text(16, 0));
	for (uint32_t in : {kSize, 12u, kSize + 8, 0xfffffff8u}) {
		memory.control().in = in;
		EXPECT_EQ(InRing::Peek::kBroken, ring.peek(p)) << in;
	}
	memory.control().in = next; /* what was read before is forgotten */
	ASSERT_EQ(InRing::Peek::kPacket, ring.peek(p));
	EXPECT_EQ(5u, p.descriptor.transaction_id);
}

TEST_F(InRingTest, PeeksBehindTheNextPacket)
{
	const uint32_t length = 16 + 32; /* and the footer */
	for (uint32_t before : {8u, 24u, length + 8, length + 32}) {
		attach_at(kSize - before);
		uint32_t at = memory.packet(kSize - before, 1, text(32, 1));
		at = memory.packet(at, 2, text(32, 2));
		memory.control().in = at;
		ASSERT_EQ(InRing::Peek::kPacket, ring.peek(p, length + 8)) << before;
		EXPECT_EQ(2u, p.descriptor.transaction_id);
		EXPECT_EQ(text(32, 2), std::string(p.data(), p.data() + 32)) << before;
		EXPECT_EQ(InRing::Peek::kEmpty, ring.peek(p, 2 * (length + 8)));
		ASSERT_EQ(InRing::Peek::kPacket, ring.peek(p));
		EXPECT_EQ(1u, p.descriptor.transaction_id);
	}
	/* How far it was looked ahead shrinks with what is consumed. */
	EXPECT_EQ(0u, ring.ahead());
	ring.set_ahead(length + 8 + 40);
	ring.consume(p);
	EXPECT_EQ(40u, ring.ahead());
	ASSERT_EQ(InRing::Peek::kPacket, ring.peek(p));
	ring.consume(p);
	EXPECT_EQ(0u, ring.ahead());
}

/* Who looks ahead for a hint must not see, and lose, an impossible index that comes meanwhile. */
TEST_F(InRingTest, KnownIsWhatWasSeen)
{
	attach_at(0);
	const uint32_t second = memory.packet(0, 1, text(16, 1));
	const uint32_t end = memory.packet(second, 2, text(16, 2));
	memory.control().in = end;
	ASSERT_EQ(InRing::Peek::kPacket, ring.peek(p));
	EXPECT_TRUE(ring.known(second));
	EXPECT_FALSE(ring.known(end));
	memory.control().in = kSize + 8;
	EXPECT_FALSE(ring.known(end));
	ring.consume(p);
	ASSERT_EQ(InRing::Peek::kPacket, ring.peek(p));
	EXPECT_EQ(2u, p.descriptor.transaction_id);
	EXPECT_FALSE(ring.known(end - second));
	ring.consume(p);
	EXPECT_EQ(InRing::Peek::kBroken, ring.peek(p));
}

TEST_F(InRingTest, SignalsWhenTheRoomThatTheGuestWaitsForComes)
{
	attach_at(kSize - 1024);
	/* 31 packets of 128 bytes: 128 of 4096 are free, and 8 of them stay so */
	uint32_t at = kSize - 1024;
	for (uint32_t i = 0; i < 31; i++)
		at = memory.packet(at, i, text(104, i));
	memory.control().in = at;
	auto take = [&](int count) {
		while (count-- > 0) {
			ASSERT_EQ(InRing::Peek::kPacket, ring.peek(p));
			ring.consume(p);
		}
	};
	memory.control().pending_send_size = 512;
	EXPECT_FALSE(ring.publish()); /* nothing was consumed */
	take(2);
	EXPECT_FALSE(ring.publish()); /* 376 */
	take(1);
	EXPECT_FALSE(ring.publish()); /* 504: not yet */
	take(1);
	EXPECT_TRUE(ring.publish()); /* 632: enough */
	take(1);
	EXPECT_FALSE(ring.publish());		/* was enough before */
	memory.control().pending_send_size = 7; /* the lowest bits are no size */
	take(1);
	EXPECT_FALSE(ring.publish());
	memory.control().pending_send_size = 0;
	take(1);
	EXPECT_FALSE(ring.publish());
	/* The guest fills what it got before it says that it waits: more than was free before. */
	memory.control().pending_send_size = 256;
	take(8); /* 896 are free, and 1024 more */
	memory.control().in = (memory.control().in + 1664) % kSize;
	EXPECT_TRUE(ring.publish()); /* 376 */
	memory.control().in = 12;
	take(1);
	EXPECT_FALSE(ring.publish()); /* an impossible index is for peek() to tell */
}

TEST_F(InRingTest, MaskIsTheReceivers)
{
	attach_at(0);
	for (uint32_t mask : {1u, 0u}) {
		ring.set_mask(mask);
		EXPECT_EQ(mask, memory.control().interrupt_mask);
		EXPECT_TRUE(ring.mask_intact());
		memory.control().interrupt_mask = 1 - mask;
		EXPECT_FALSE(ring.mask_intact());
	}
}

struct OutRingTest : ::testing::Test {
	Memory<kSize> memory;
	OutRing ring;

	void attach_at(uint32_t index)
	{
		memory.control().in = memory.control().out = index;
		ASSERT_TRUE(ring.attach(memory.bytes, sizeof(memory.bytes)));
	}
	void write(uint64_t id, const std::string& body)
	{
		ring.write(vmbus::PacketType::kInband, 0, id, nullptr, 0, body.data(),
			   uint32_t(body.size()));
	}
	/** Fills the ring so that this much is free, and shows it. */
	void fill_but(uint32_t bytes)
	{
		write(0, text(kSize - bytes - OutRing::space(0), 0));
		ring.commit();
	}
	vmbus::RingControl& control() { return memory.control(); }
};

TEST_F(OutRingTest, AttachChecksAndAdvertises)
{
	control().pending_send_size = 64;
	attach_at(512);
	EXPECT_EQ(kSize, ring.size());
	EXPECT_EQ(vmbus::kFeaturePendingSendSize, control().feature_bits);
	EXPECT_EQ(0u, control().pending_send_size);
	EXPECT_FALSE(ring.attach(memory.bytes, 4096));
	EXPECT_FALSE(ring.attach(memory.bytes, 8200));
	EXPECT_FALSE(ring.attach(memory.bytes, 1ull << 31));
	for (uint32_t bad : {kSize, 12u, 0xfffffff8u}) {
		control().in = bad;
		EXPECT_FALSE(ring.attach(memory.bytes, 8192)) << bad;
		control().in = 0;
		control().out = bad;
		EXPECT_FALSE(ring.attach(memory.bytes, 8192)) << bad;
		control().out = 0;
	}
}

TEST_F(OutRingTest, PacketHasHeadPaddingAndFooterAndIsSeenAtCommit)
{
	attach_at(64);
	memset(memory.data(), 0xee, kSize);
	const uint64_t head = 0x1122334455667788;
	ring.write(vmbus::PacketType::kTransferPages, 1, 99, &head, sizeof(head), "abcde", 5);
	EXPECT_EQ(64u, control().in);
	EXPECT_TRUE(ring.commit());
	EXPECT_EQ(64u + OutRing::space(13), control().in);
	auto d = memory.descriptor(64);
	EXPECT_EQ(uint16_t(vmbus::PacketType::kTransferPages), d.type);
	EXPECT_EQ(3, d.data_offset8);
	EXPECT_EQ(4, d.length8);
	EXPECT_EQ(1, d.flags);
	EXPECT_EQ(99u, d.transaction_id);
	EXPECT_EQ(head, memory.u64(80));
	EXPECT_EQ(std::string("abcde\0\0\0", 8), memory.get(88, 8));
	EXPECT_EQ(64ull << 32, memory.u64(96));
	EXPECT_EQ(0xee, memory.data()[104]);
}

TEST_F(OutRingTest, PacketsAreWholeWhereverTheRingEnds)
{
	attach_at(0);
	uint32_t at = 0;
	for (uint32_t i = 0; i < 1000; i++) {
		std::string body = text(i % 97, i);
		uint32_t space = OutRing::space(uint32_t(body.size()));
		ASSERT_TRUE(ring.reserve(space));
		write(i, body);
		ring.commit();
		ASSERT_EQ((at + space) % kSize, control().in);
		auto d = memory.descriptor(at);
		ASSERT_EQ(i, d.transaction_id);
		ASSERT_EQ(space - 8, d.length8 * 8u);
		ASSERT_EQ(body, memory.get(at + 16, body.size())) << i;
		ASSERT_EQ(uint64_t(at) << 32, memory.u64(at + space - 8));
		at = control().in;
		control().out = at;
	}
}

TEST_F(OutRingTest, SignalsTheFirstPacketOfAnEmptyRingUnlessMasked)
{
	attach_at(0);
	EXPECT_FALSE(ring.commit()); /* nothing was written */
	write(1, text(8, 0));
	write(2, text(8, 0));
	EXPECT_TRUE(ring.commit());
	EXPECT_FALSE(ring.commit());
	write(3, text(8, 0));
	EXPECT_FALSE(ring.commit()); /* the guest has not read the first two yet */
	control().out = control().in;
	control().interrupt_mask = 1;
	write(4, text(8, 0));
	EXPECT_FALSE(ring.commit());
	control().out = control().in;
	control().interrupt_mask = 0;
	write(5, text(8, 0));
	EXPECT_TRUE(ring.commit());
}

TEST_F(OutRingTest, HoldsEightBytesBack)
{
	for (uint32_t index : {0u, 8u, kSize - 8}) {
		attach_at(index);
		EXPECT_TRUE(ring.fits(kSize - 8)) << index;
		EXPECT_FALSE(ring.fits(kSize)) << index;
		fill_but(72);
		EXPECT_TRUE(ring.fits(64)) << index;
		EXPECT_FALSE(ring.fits(72)) << index;
		control().out = (control().out + 8) % kSize;
		EXPECT_TRUE(ring.fits(72)) << index;
		EXPECT_EQ(0u, control().pending_send_size);
		EXPECT_FALSE(ring.blocked());
	}
}

TEST_F(OutRingTest, BlocksUntilTheRoomAskedForIsThere)
{
	attach_at(0);
	fill_but(72);
	EXPECT_TRUE(ring.reserve(64));
	EXPECT_FALSE(ring.reserve(72));
	EXPECT_TRUE(ring.blocked());
	EXPECT_EQ(kSize / 8, control().pending_send_size); /* more than a little */
	EXPECT_FALSE(ring.reserve(8));			   /* shut, whatever would fit */
	control().out = 512 - 64 - 8;
	ring.unblock();
	EXPECT_TRUE(ring.blocked()); /* 8 bytes are missing */
	control().out += 8;
	EXPECT_FALSE(ring.reserve(8)); /* not before the guest signalled */
	ring.unblock();
	EXPECT_FALSE(ring.blocked());
	EXPECT_EQ(0u, control().pending_send_size);
	EXPECT_TRUE(ring.reserve(512));

	EXPECT_FALSE(ring.reserve(1000)); /* more than an eighth: that much is asked for */
	EXPECT_EQ(1000u, control().pending_send_size);
	control().out = 1000;
	ring.unblock();
	EXPECT_TRUE(ring.reserve(1000));
}

TEST_F(OutRingTest, ShowsWhatWasWrittenBeforeItWaits)
{
	attach_at(0);
	write(1, text(8, 0));
	EXPECT_FALSE(ring.reserve(kSize - 32));
	EXPECT_EQ(OutRing::space(8), control().in);
	EXPECT_TRUE(ring.commit()); /* the guest is still to be told of it */
	EXPECT_FALSE(ring.commit());
}

TEST_F(OutRingTest, ImpossibleReadIndicesAreNotUsed)
{
	for (uint32_t bad : {kSize, 12u, 0xfffffff8u}) {
		attach_at(0);
		fill_but(72);
		control().out = bad;
		EXPECT_FALSE(ring.broken());
		EXPECT_FALSE(ring.fits(72)) << bad;
		EXPECT_TRUE(ring.broken()) << bad;
		EXPECT_TRUE(ring.fits(64)) << bad; /* by the last one that could be */
	}
	attach_at(0);
	EXPECT_FALSE(ring.broken());
}

TEST_F(OutRingTest, OwnIndexIsNeverReadBack)
{
	attach_at(0);
	write(1, text(8, 1));
	ring.commit();
	control().in = 2048;
	write(2, text(8, 2));
	ring.commit();
	EXPECT_EQ(2 * OutRing::space(8), control().in);
	EXPECT_EQ(2u, memory.descriptor(OutRing::space(8)).transaction_id);
}

} // namespace
