/* SPDX-License-Identifier: BSD-3-Clause */
/* A peer that breaks the rules, and peers on other threads. */
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>

#include "fake_host.hpp"
#include "vmbus/ring.hpp"

namespace vmbus::test {
namespace {

using namespace std::chrono_literals;

constexpr uint32_t kSize = 256;

struct Reading {
	RingMemory ring{kSize};
	RingReader reader{ring.control(), &ring.data[0], kSize};
	HostSender host{ring};
};

TEST(RingReader, ImpossibleIndexBreaksItForGood)
{
	for (const uint32_t in :
	     {256u, 264u, 4u, 1u, 255u, 0x80000000u, 0xffffffffu, 0xfffffff8u}) {
		Reading t;
		ASSERT_TRUE(t.host.send(6, 1, {}, Bytes(24)));
		t.ring.store(RingMemory::kIn, in);
		PacketView view;
		EXPECT_EQ(t.reader.refresh(), 0u) << in;
		EXPECT_TRUE(t.reader.broken());
		EXPECT_FALSE(t.reader.peek(0, view));
		EXPECT_EQ(t.reader.available(), 0u);
		t.host.publish(); /* too late */
		EXPECT_EQ(t.reader.refresh(), 0u) << in;
		EXPECT_FALSE(t.reader.peek(0, view));
		EXPECT_TRUE(t.reader.broken());
		EXPECT_FALSE(t.reader.publish());
		EXPECT_EQ(t.ring.load(RingMemory::kOut), 0u);
	}
}

TEST(RingReader, ImpossibleDescriptorBreaksItForGood)
{
	struct Case {
		uint32_t offset8, length8, have;
	};
	static constexpr Case kCases[] = {
		{0, 4, 48}, {1, 4, 48},	     {3, 2, 48},	   {2, 0, 48},	     {2, 1, 48},
		{2, 6, 48}, {2, 0xffff, 48}, {0xffff, 0xffff, 48}, {0xffff, 4, 48},  {2, 2, 16},
		{2, 2, 8},  {2, 31, 248},    {2, 32, 248},	   {2, 0x2001, 248},
	};
	for (const Case& c : kCases) {
		Reading t;
		Bytes b;
		put32(b, 0, 6 | c.offset8 << 16);
		put32(b, 4, c.length8);
		t.host.write(b);
		t.ring.store(RingMemory::kIn, c.have);
		PacketView view;
		t.reader.refresh();
		EXPECT_FALSE(t.reader.peek(0, view)) << c.offset8 << " " << c.length8;
		EXPECT_TRUE(t.reader.broken()) << c.offset8 << " " << c.length8;
		put32(b, 0, 6 | 2u << 16);
		put32(b, 4, 2);
		std::memcpy(&t.ring.data[0], b.data(), b.size()); /* too late */
		t.ring.store(RingMemory::kIn, 24);
		t.reader.refresh();
		EXPECT_FALSE(t.reader.peek(0, view));
	}
	Reading t; /* the largest that fits is none of those */
	ASSERT_TRUE(t.host.send(6, 1, {}, Bytes(240 - 16)));
	PacketView view;
	t.reader.refresh();
	EXPECT_TRUE(t.reader.peek(0, view));
}

TEST(RingReader, HostThatMovesBackwardsIsHarmless)
{
	Reading t;
	PacketView view;
	ASSERT_TRUE(t.host.send(6, 1, {}, Bytes(40)));
	ASSERT_TRUE(t.host.send(6, 2, {}, Bytes(40)));
	t.reader.refresh();
	ASSERT_TRUE(t.reader.peek(0, view));
	t.reader.consume(view.ring_length());
	t.ring.store(RingMemory::kIn, 8); /* "216 bytes": old ones and zeros */
	EXPECT_EQ(t.reader.refresh(), 200u);
	for (uint32_t offset = 0; t.reader.peek(offset, view); offset += view.ring_length()) {
		uint8_t bounce[kSize];
		ASSERT_NE(t.reader.bytes(view, bounce, sizeof(bounce)), nullptr);
		ASSERT_LT(offset, kSize);
	}
	EXPECT_TRUE(t.reader.broken());
}

TEST(RingReader, PublishSurvivesAnIndexThatWentWrongSince)
{
	Reading t;
	PacketView view;
	ASSERT_TRUE(t.host.send(6, 1, {}, Bytes(40)));
	t.reader.refresh();
	ASSERT_TRUE(t.reader.peek(0, view));
	t.reader.consume(view.ring_length());
	t.ring.store(RingMemory::kPending, 0xffffffff);
	t.ring.store(RingMemory::kIn, 0xfffffff8);
	t.reader.publish(); /* a signal more or less does no harm */
	t.reader.refresh();
	EXPECT_TRUE(t.reader.broken());
}

TEST(RingWriter, ImpossibleIndexBreaksItForGood)
{
	for (const uint32_t out :
	     {256u, 264u, 4u, 1u, 255u, 0x80000000u, 0xffffffffu, 0xfffffff8u}) {
		RingMemory ring(kSize);
		RingWriter writer(ring.control(), &ring.data[0], kSize);
		ring.store(RingMemory::kOut, out);
		EXPECT_FALSE(writer.fits(24)) << out;
		EXPECT_TRUE(writer.broken());
		EXPECT_FALSE(writer.publish());
		ring.store(RingMemory::kOut, 0); /* too late */
		EXPECT_FALSE(writer.fits(24)) << out;
		EXPECT_TRUE(writer.broken());
		EXPECT_EQ(ring.load(RingMemory::kIn), 0u);
	}
}

/* A host's `out` that runs ahead of `in` only lets us overwrite what it has not read. */
TEST(RingWriter, HostThatReadsAheadIsHarmless)
{
	RingMemory ring(kSize);
	RingWriter writer(ring.control(), &ring.data[0], kSize);
	for (int i = 0; i < 1000; i++) {
		ring.store(RingMemory::kOut, static_cast<uint32_t>(i * 40 % 256 / 8 * 8));
		const uint32_t length = static_cast<uint32_t>(16 + i % 20 * 8);
		if (!writer.fits(length + 8))
			continue;
		std::memset(writer.begin(length), i, length);
		writer.end();
		writer.publish();
		ASSERT_LT(ring.load(RingMemory::kIn), kSize);
		ASSERT_EQ(ring.load(RingMemory::kIn) % 8, 0u);
	}
	EXPECT_FALSE(writer.broken());
}

class Signal {
      public:
	Signal() : fd_(::eventfd(0, EFD_NONBLOCK)) {}
	~Signal() { ::close(fd_); }
	void ring()
	{
		const uint64_t one = 1;
		EXPECT_EQ(::write(fd_, &one, 8), 8);
	}
	/** @return false: nothing for so long that a signal was lost */
	bool wait()
	{
		pollfd p{fd_, POLLIN, 0};
		if (::poll(&p, 1, 10000) != 1)
			return false;
		uint64_t n;
		return ::read(fd_, &n, 8) == 8;
	}

      private:
	int fd_;
};

constexpr uint32_t kPackets = 50000;

/* The host sleeps whenever the ring is empty; the guest's signals must be enough to wake it. */
TEST(RingWriterThreads, NoWakeUpIsLost)
{
	RingMemory ring(512);
	Signal data;
	std::thread host([&] {
		HostReceiver receiver(ring);
		Packet p;
		for (uint32_t n = 0; n < kPackets;) {
			ring.store(RingMemory::kMask, 0);
			if (receiver.used() == 0 && !data.wait()) {
				ADD_FAILURE() << "no signal for packet " << n;
				return;
			}
			ring.store(RingMemory::kMask, 1);
			for (; receiver.take(p); n++)
				ASSERT_EQ(p.id, n);
			ASSERT_FALSE(receiver.bad());
		}
	});
	RingWriter writer(ring.control(), &ring.data[0], 512);
	for (uint32_t n = 0; n < kPackets;) {
		const uint32_t batch = 1 + n % 7;
		uint32_t i = 0;
		for (; i < batch && n < kPackets; i++, n++) {
			const uint32_t length = 16 + n % 9 * 8;
			if (!writer.fits(length + 8))
				break;
			uint8_t* p = writer.begin(length);
			const uint64_t descriptor[2] = {6 | 2u << 16 | uint64_t{length / 8} << 32,
							n};
			std::memcpy(p, descriptor, 16);
			std::memset(p + 16, static_cast<int>(n), length - 16);
			writer.end();
		}
		if (writer.publish())
			data.ring();
		if (i == 0)
			std::this_thread::yield();
	}
	host.join();
}

/* Both sides sleep: the guest when the ring is empty, the host when it is full. */
TEST(RingReaderThreads, NoWakeUpIsLost)
{
	RingMemory ring(512);
	Signal data, room;
	std::thread host([&] {
		HostSender sender(ring);
		for (uint32_t n = 0; n < kPackets;) {
			const uint32_t before = sender.position();
			uint32_t i = 0;
			bool full = false;
			for (; i < 1 + n % 7 && n < kPackets; i++, n++)
				if (!sender.put(6, n, {}, Bytes(n % 9 * 8))) {
					full = true;
					break;
				}
			sender.publish();
			if (i != 0 && ring.load(RingMemory::kMask) == 0 &&
			    ring.load(RingMemory::kOut) == before)
				data.ring();
			if (!full)
				continue;
			const uint32_t need = 24 + n % 9 * 8;
			ring.store(RingMemory::kPending, need + 8);
			if (sender.room() < need && !room.wait()) {
				ADD_FAILURE() << "no signal of room for packet " << n;
				return;
			}
			ring.store(RingMemory::kPending, 0);
		}
	});
	RingReader reader(ring.control(), &ring.data[0], 512);
	uint8_t bounce[512];
	PacketView view;
	for (uint32_t n = 0; n < kPackets && !HasFailure();) {
		reader.mask_interrupts(false);
		if (!reader.maybe_nonempty() && !data.wait()) {
			ADD_FAILURE() << "no signal for packet " << n;
			break;
		}
		reader.mask_interrupts(true);
		reader.refresh();
		for (uint32_t burst = 0; burst < 5 && reader.peek(0, view); burst++, n++) {
			EXPECT_EQ(view.transaction_id, n);
			EXPECT_NE(reader.bytes(view, bounce, sizeof(bounce)), nullptr);
			reader.consume(view.ring_length());
		}
		EXPECT_FALSE(reader.broken());
		if (reader.publish())
			room.ring();
	}
	host.join();
}

} // namespace
} // namespace vmbus::test
