/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmbus/ring.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "fake_host.hpp"

namespace vmbus::test {
namespace {

/* Writes an in-band packet of `length` bytes, footer not counted, whose payload tells its number.
 */
void write_packet(RingWriter& writer, uint32_t length, uint32_t number)
{
	Bytes b = pattern(length, number);
	put32(b, 0, 6 | 2u << 16);
	put32(b, 4, length / 8);
	put64(b, 8, number);
	std::memcpy(writer.begin(length), b.data(), length);
	writer.end();
}

Bytes payload_of(uint32_t length, uint32_t number)
{
	const Bytes b = pattern(length, number);
	return {b.begin() + 16, b.end()};
}

struct Writing {
	explicit Writing(uint32_t size)
		: ring(size), writer(ring.control(), &ring.data[0], size), host(ring)
	{
	}
	RingMemory ring;
	RingWriter writer;
	HostReceiver host;
};

struct Reading {
	explicit Reading(uint32_t size)
		: ring(size), reader(ring.control(), &ring.data[0], size), host(ring)
	{
	}
	void send(uint32_t length, uint32_t number)
	{
		const Bytes b = payload_of(length, number);
		ASSERT_TRUE(host.send(6, number, {}, b));
	}
	/* Consumes the packet at the read position without telling the host. */
	void consume_one()
	{
		PacketView view;
		reader.refresh();
		ASSERT_TRUE(reader.peek(0, view));
		reader.consume(view.ring_length());
	}
	RingMemory ring;
	RingReader reader;
	HostSender host;
};

TEST(RingWriter, EverySizeWrapsAtEveryOffset)
{
	constexpr uint32_t kSize = 256;
	for (uint32_t start = 0; start < kSize; start += 8) {
		for (uint32_t length = 16; length + 8 <= kSize - 8; length += 8) {
			Writing t(kSize);
			Packet p;
			/* Packets of 24 bytes in the ring reach every multiple of 8 in time. */
			while (t.host.position() != start) {
				ASSERT_TRUE(t.writer.fits(24));
				write_packet(t.writer, 16, 0);
				t.writer.publish();
				ASSERT_TRUE(t.host.take(p));
			}
			ASSERT_TRUE(t.writer.fits(length + 8));
			write_packet(t.writer, length, 5);
			t.writer.publish();
			ASSERT_TRUE(t.host.take(p)) << start << " " << length;
			EXPECT_EQ(p.id, 5u);
			EXPECT_EQ(p.payload, payload_of(length, 5)) << start << " " << length;
			EXPECT_EQ(p.footer, uint64_t{start} << 32);
			EXPECT_EQ(t.ring.load(RingMemory::kIn), (start + length + 8) % kSize);
			EXPECT_EQ(t.host.used(), 0u);
		}
	}
}

TEST(RingReader, EverySizeWrapsAtEveryOffset)
{
	constexpr uint32_t kSize = 256;
	for (uint32_t start = 0; start < kSize; start += 8) {
		for (uint32_t length = 16; length + 8 <= kSize - 8; length += 8) {
			Reading t(kSize);
			while (t.host.position() != start) {
				t.send(16, 0);
				t.consume_one();
				t.reader.publish();
			}
			t.send(length, 9);
			PacketView view;
			ASSERT_EQ(t.reader.refresh(), length + 8);
			ASSERT_TRUE(t.reader.peek(0, view));
			EXPECT_EQ(view.type, PacketType::kInband);
			EXPECT_EQ(view.transaction_id, 9u);
			EXPECT_EQ(view.data_offset, 16u);
			EXPECT_EQ(view.length, length);
			EXPECT_EQ(view.ring_length(), length + 8);
			/* Exactly as large as needed, so that one byte too many is seen. */
			std::unique_ptr<uint8_t[]> bounce(new uint8_t[length]);
			const uint8_t* b = t.reader.bytes(view, bounce.get(), length);
			ASSERT_NE(b, nullptr);
			EXPECT_EQ(Bytes(b + 16, b + length), payload_of(length, 9));
			EXPECT_EQ(b == bounce.get(), start + length > kSize);
			t.reader.consume(view.ring_length());
			t.reader.publish();
			EXPECT_EQ(t.ring.load(RingMemory::kOut), (start + length + 8) % kSize);
			EXPECT_FALSE(t.reader.broken());
		}
	}
}

TEST(RingReader, WrappedPacketLongerThanTheBounceIsNull)
{
	Reading t(256);
	for (int i = 0; i < 9; i++) {
		t.send(16, 0);
		t.consume_one();
		t.reader.publish();
	}
	t.send(56, 1); /* 216..272: wraps */
	t.send(56, 2); /* does not */
	uint8_t bounce[56];
	PacketView first, second;
	t.reader.refresh();
	ASSERT_TRUE(t.reader.peek(0, first));
	ASSERT_TRUE(t.reader.peek(first.ring_length(), second));
	EXPECT_EQ(t.reader.bytes(first, bounce, 48), nullptr);
	EXPECT_EQ(t.reader.bytes(first, bounce, 56), bounce);
	EXPECT_NE(t.reader.bytes(second, bounce, 0), nullptr); /* needs none */
}

TEST(RingWriter, UsableSizeIsEightLess)
{
	Writing t(256);
	EXPECT_FALSE(t.writer.fits(256));
	EXPECT_TRUE(t.writer.fits(248));
	write_packet(t.writer, 240, 1);
	EXPECT_FALSE(t.writer.fits(8));
	t.writer.publish();
	EXPECT_EQ(t.host.used(), 248u); /* in == out would mean empty */
	EXPECT_FALSE(t.writer.drained());
	Packet p;
	ASSERT_TRUE(t.host.take(p));
	EXPECT_TRUE(t.writer.drained());
	EXPECT_TRUE(t.writer.fits(248));
}

TEST(RingWriter, SpareStaysFree)
{
	Writing t(256);
	EXPECT_TRUE(t.writer.fits(120, 128));
	EXPECT_FALSE(t.writer.fits(128, 128));
	write_packet(t.writer, 112, 1);
	EXPECT_FALSE(t.writer.fits(8, 128));
	EXPECT_TRUE(t.writer.fits(128));
}

TEST(RingWriter, OnlyPublishShowsPackets)
{
	Writing t(512);
	t.writer.fits(300);
	for (uint32_t i = 0; i < 3; i++) {
		write_packet(t.writer, 40, i);
		EXPECT_EQ(t.ring.load(RingMemory::kIn), 0u);
	}
	EXPECT_TRUE(t.writer.publish());
	EXPECT_EQ(t.ring.load(RingMemory::kIn), 3 * 48u);
	EXPECT_FALSE(t.writer.publish()); /* nothing new, no signal */
	Packet p;
	for (uint32_t i = 0; i < 3; i++) {
		ASSERT_TRUE(t.host.take(p));
		EXPECT_EQ(p.id, i);
	}
	EXPECT_FALSE(t.writer.publish());
}

TEST(RingWriter, SignalsOnlyFromEmptyAndUnmasked)
{
	Writing t(512);
	const auto send = [&] {
		EXPECT_TRUE(t.writer.fits(48));
		write_packet(t.writer, 40, 1);
	};
	Packet p;
	send();
	EXPECT_TRUE(t.writer.publish());
	send();
	EXPECT_FALSE(t.writer.publish()); /* the host has not read yet: it is awake */
	ASSERT_TRUE(t.host.take(p));
	send();
	EXPECT_FALSE(t.writer.publish()); /* one is still unread */
	ASSERT_TRUE(t.host.take(p));
	send();
	ASSERT_TRUE(t.host.take(p)); /* between write and publish */
	EXPECT_TRUE(t.writer.publish());
	ASSERT_TRUE(t.host.take(p));
	t.ring.store(RingMemory::kMask, 1);
	send();
	EXPECT_FALSE(t.writer.publish());
	ASSERT_TRUE(t.host.take(p));
	t.ring.store(RingMemory::kMask, 0x80000000); /* any value but 0 */
	send();
	EXPECT_FALSE(t.writer.publish());
	ASSERT_TRUE(t.host.take(p));
	t.ring.store(RingMemory::kMask, 0);
	send();
	EXPECT_TRUE(t.writer.publish());
}

TEST(Ring, NobodyWritesTheOthersFields)
{
	Writing w(256);
	EXPECT_EQ(w.ring.load(RingMemory::kFeatures), 1u);
	w.ring.store(RingMemory::kMask, 7);
	w.writer.fits(48);
	write_packet(w.writer, 40, 1);
	w.writer.publish();
	w.ring.store(RingMemory::kIn, 0); /* a private index is never read back */
	write_packet(w.writer, 40, 2);
	w.writer.publish();
	EXPECT_EQ(w.ring.load(RingMemory::kIn), 96u);
	EXPECT_EQ(w.ring.load(RingMemory::kOut), 0u);
	EXPECT_EQ(w.ring.load(RingMemory::kMask), 7u);
	EXPECT_EQ(w.ring.load(RingMemory::kPending), 0u);

	Reading r(256);
	r.ring.store(RingMemory::kPending, 3);
	r.send(40, 1);
	r.send(40, 2);
	r.consume_one();
	r.reader.publish();
	r.ring.store(RingMemory::kOut, 0);
	r.consume_one();
	r.reader.publish();
	EXPECT_EQ(r.ring.load(RingMemory::kOut), 96u);
	EXPECT_EQ(r.ring.load(RingMemory::kIn), 96u);
	EXPECT_EQ(r.ring.load(RingMemory::kPending), 3u);
	EXPECT_EQ(r.ring.load(RingMemory::kFeatures), 0u);
	r.reader.mask_interrupts(true);
	EXPECT_EQ(r.ring.load(RingMemory::kMask), 1u);
	r.reader.mask_interrupts(false);
	EXPECT_EQ(r.ring.load(RingMemory::kMask), 0u);
}

TEST(RingReader, EqualIndicesAreEmpty)
{
	Reading t(256);
	PacketView view;
	EXPECT_FALSE(t.reader.maybe_nonempty());
	EXPECT_EQ(t.reader.refresh(), 0u);
	EXPECT_FALSE(t.reader.peek(0, view));
	EXPECT_FALSE(t.reader.broken());
	EXPECT_EQ(t.reader.free_for_host(), 248u);
	t.send(240, 1);
	EXPECT_TRUE(t.reader.maybe_nonempty());
	EXPECT_EQ(t.reader.refresh(), 248u);
	EXPECT_EQ(t.reader.free_for_host(), 0u);
	t.consume_one();
	EXPECT_FALSE(t.reader.maybe_nonempty());
	EXPECT_EQ(t.ring.load(RingMemory::kOut), 0u); /* until published */
	t.reader.publish();
	EXPECT_EQ(t.ring.load(RingMemory::kOut), 248u);
}

TEST(RingReader, SeesNothingNewUntilRefreshed)
{
	Reading t(256);
	PacketView view;
	t.send(40, 1);
	EXPECT_FALSE(t.reader.peek(0, view));
	t.reader.refresh();
	t.send(40, 2);
	ASSERT_TRUE(t.reader.peek(0, view));
	EXPECT_FALSE(t.reader.peek(view.ring_length(), view));
	EXPECT_FALSE(t.reader.broken());
}

/* The decision as the specification has it; negative "before" counts as below. */
bool room_signal(int64_t room_now, int64_t bytes_read, uint32_t pending)
{
	const int64_t wanted = pending & ~7u;
	return wanted != 0 && room_now >= wanted && room_now - bytes_read < wanted;
}

TEST(RingReader, SignalsWhenRoomCrossesPendingSendSize)
{
	Reading t(256);
	while (t.host.room() >= 24)
		t.send(16, 1); /* ten of 24 bytes: 16 bytes are free, 8 of them for ever */
	t.ring.store(RingMemory::kPending, 64 | 5); /* low bits are junk */
	t.consume_one();
	EXPECT_FALSE(t.reader.publish()); /* room for 32 */
	t.consume_one();
	EXPECT_FALSE(t.reader.publish()); /* 56, though 64 are free: no false hope */
	t.ring.store(RingMemory::kPending, 80);
	t.consume_one();
	EXPECT_TRUE(t.reader.publish());  /* exactly 80 */
	EXPECT_FALSE(t.reader.publish()); /* nothing was read since */
	t.consume_one();
	EXPECT_FALSE(t.reader.publish()); /* had room before */
	t.ring.store(RingMemory::kPending, 7);
	t.consume_one();
	EXPECT_FALSE(t.reader.publish()); /* no wish but junk */
	t.ring.store(RingMemory::kPending, 0);
	t.consume_one();
	EXPECT_FALSE(t.reader.publish());
}

/*
 * The host writes during the burst, so that more was read than is free now: "free before" would be
 * negative, and an unsigned difference would lose the wake-up.
 */
TEST(RingReader, HostWritesWhileTheBurstIsRead)
{
	Reading t(1024);
	for (int i = 0; i < 10; i++)
		t.send(88, 1); /* 960 of 1024 */
	t.reader.refresh();
	PacketView view;
	for (int i = 0; i < 9; i++) {
		ASSERT_TRUE(t.reader.peek(0, view));
		t.reader.consume(view.ring_length());
	}
	t.send(48, 2); /* 8 bytes left to write, if it saw `out` */
	t.ring.store(RingMemory::kPending, 864);
	EXPECT_TRUE(t.reader.publish()); /* 1024 - 96 - 56 = 872 are free, 864 were read */

	/* All the room that was made is taken again before publish() looks. */
	Reading u(1024);
	u.send(504, 1);
	u.consume_one();
	u.ring.store(RingMemory::kOut, 512); /* what a host would see a moment later */
	while (u.host.room() >= 104)
		u.send(96, 2);
	u.ring.store(RingMemory::kPending, 48);
	EXPECT_TRUE(u.reader.publish()); /* 88 + 8 are free, 512 were read */
}

TEST(RingReader, RoomDecisionMatchesTheSpecificationAtRandom)
{
	for (uint32_t seed = 1; seed <= 4; seed++) {
		std::mt19937 random(seed);
		Reading t(512);
		uint32_t unpublished = 0;
		for (int i = 0; i < 20000; i++) {
			const uint32_t length = 16 + random() % 12 * 8;
			if (random() % 2 != 0 && t.host.room() >= length + 8)
				t.send(length, 1);
			PacketView view;
			t.reader.refresh();
			if (random() % 2 != 0 && t.reader.peek(0, view)) {
				t.reader.consume(view.ring_length());
				unpublished += view.ring_length();
			}
			if (random() % 3 != 0)
				continue;
			const uint32_t pending = random() % 3 != 0 ? random() % 512 : 0;
			t.ring.store(RingMemory::kPending, pending);
			const uint32_t before = t.ring.load(RingMemory::kOut);
			const bool signal = t.reader.publish();
			const uint32_t out = t.ring.load(RingMemory::kOut);
			EXPECT_EQ(out, (before + unpublished) % 512);
			if (unpublished != 0)
				ASSERT_EQ(signal, room_signal(t.host.room(), unpublished, pending));
			else
				ASSERT_FALSE(signal);
			unpublished = 0;
		}
	}
}

TEST(RingWriter, MatchesAQueueAtRandom)
{
	for (uint32_t seed = 1; seed <= 8; seed++) {
		std::mt19937 random(seed);
		const uint32_t size = 64 + seed * 104;
		Writing t(size);
		std::deque<std::pair<uint32_t, uint32_t>> model; /* number, length */
		size_t published = 0;
		uint32_t used = 0, number = 0, position = 0;
		for (int i = 0; i < 20000; i++) {
			const uint32_t length = 16 + random() % (size / 12) * 8;
			switch (random() % 3) {
			case 0: {
				const uint32_t spare = random() % 4 * 8;
				const bool fits = used + length + 8 + spare + 8 <= size;
				ASSERT_EQ(t.writer.fits(length + 8, spare), fits);
				if (!fits)
					break;
				write_packet(t.writer, length, ++number);
				model.emplace_back(number, length);
				used += length + 8;
				break;
			}
			case 1: {
				const bool masked = random() % 4 == 0;
				t.ring.store(RingMemory::kMask, masked);
				const bool expected = published == 0 && !model.empty() && !masked;
				ASSERT_EQ(t.writer.publish(), expected);
				published = model.size();
				break;
			}
			default: {
				Packet p;
				ASSERT_EQ(t.host.take(p), published != 0);
				ASSERT_FALSE(t.host.bad());
				if (published == 0)
					break;
				ASSERT_EQ(p.id, model.front().first);
				ASSERT_EQ(p.payload,
					  payload_of(model.front().second, model.front().first));
				ASSERT_EQ(p.footer, uint64_t{position} << 32);
				position = (position + model.front().second + 8) % size;
				used -= model.front().second + 8;
				model.pop_front();
				published--;
			}
			}
			ASSERT_EQ(t.writer.drained(), published == 0);
		}
		EXPECT_FALSE(t.writer.broken());
	}
}

TEST(RingReader, MatchesAQueueAtRandom)
{
	for (uint32_t seed = 1; seed <= 8; seed++) {
		std::mt19937 random(seed);
		const uint32_t size = 64 + seed * 104;
		Reading t(size);
		std::unique_ptr<uint8_t[]> bounce(new uint8_t[size]);
		std::deque<std::pair<uint32_t, uint32_t>> model;
		size_t seen = 0; /* of the model, at the last refresh() */
		uint32_t number = 0;
		for (int i = 0; i < 20000; i++) {
			const uint32_t length = 16 + random() % (size / 12) * 8;
			switch (random() % 4) {
			case 0:
				number++;
				if (t.host.send(6, number, {}, payload_of(length, number)))
					model.emplace_back(number, length);
				break;
			case 1:
				t.reader.refresh();
				seen = model.size();
				break;
			case 2: { /* looks at all that there is, takes some */
				uint32_t offset = 0;
				PacketView view;
				for (size_t k = 0; k < seen; k++) {
					ASSERT_TRUE(t.reader.peek(offset, view));
					const auto [id, n] = model[k];
					ASSERT_EQ(view.transaction_id, id);
					ASSERT_EQ(view.length, n);
					const uint8_t* b = t.reader.bytes(view, bounce.get(), size);
					ASSERT_NE(b, nullptr);
					ASSERT_EQ(Bytes(b + 16, b + n), payload_of(n, id));
					offset += view.ring_length();
				}
				ASSERT_EQ(t.reader.available(), offset);
				ASSERT_FALSE(t.reader.peek(offset, view));
				for (size_t k = seen == 0 ? 0 : random() % (seen + 1); k != 0;
				     k--) {
					t.reader.consume(model.front().second + 8);
					model.pop_front();
					seen--;
				}
				break;
			}
			default:
				t.reader.publish();
			}
			ASSERT_FALSE(t.reader.broken());
		}
	}
}

} // namespace
} // namespace vmbus::test
