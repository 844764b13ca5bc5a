/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsc/rx.hpp"

#include <gtest/gtest.h>

#include <random>

#include "pipeline.hpp"

namespace netvsc::test {
namespace {

using Ids = std::vector<uint64_t>;

TEST(Rx, ManyFramesInOnePacketAndOneCompletion)
{
	RxFixture t;
	ASSERT_TRUE(t.host.send_frames(77, 40));
	EXPECT_EQ(t.receive(), 40u);
	for (uint32_t i = 0; i < 40; i++)
		EXPECT_EQ(t.data[i], pattern(60, i));
	EXPECT_EQ(t.completed(), (Ids{77}));
	EXPECT_EQ(t.rx.stats().frames, 40u);
	EXPECT_EQ(t.rx.stats().bytes, 40u * 60);
	EXPECT_EQ(t.rx.stats().packets, 1u);
	EXPECT_EQ(t.rx.stats().errors, 0u);
	EXPECT_EQ(t.receive(), 0u);
	EXPECT_TRUE(t.completed().empty());
}

TEST(Rx, LargestPacketOfTheProtocol)
{
	RxFixture t;
	ASSERT_TRUE(t.host.send_frames(1, 375));
	EXPECT_EQ(t.receive(), 375u);
	EXPECT_EQ(t.data[374], pattern(60, 374));
	EXPECT_EQ(t.completed(), (Ids{1}));
}

TEST(Rx, FrameIsInPlaceInTheBuffer)
{
	RxFixture t;
	ASSERT_TRUE(t.host.send_frames(1, 1));
	t.receive();
	EXPECT_EQ(t.got.at(0).data, &t.host.buffer[44]);
	EXPECT_EQ(t.got.at(0).info, 0u);
}

TEST(Rx, PerPacketInfoIsDecoded)
{
	RxFixture t;
	Bytes info = packet_info(6, 0x1235);
	const auto add = [&](const Bytes& b) { info.insert(info.end(), b.begin(), b.end()); };
	add(packet_info(0x80000001, 99)); /* internal: for others */
	add(packet_info(0, 0x2a));
	add(packet_info(4711, 1));
	add(packet_info(8, 0xdeadbeef));
	add(packet_info(9, 5));
	ASSERT_TRUE(
		t.host.send_messages(1, {rndis_frame(pattern(60, 1), info),
					 rndis_frame(pattern(60, 2), packet_info(6, 7)),
					 rndis_frame(pattern(60, 3), packet_info(0x80000006, 7))}));
	ASSERT_EQ(t.receive(), 3u);
	EXPECT_EQ(t.got[0].info, Frame::kVlan | Frame::kChecksum | Frame::kHash);
	EXPECT_EQ(t.got[0].vlan, 0x1235u);
	EXPECT_EQ(t.got[0].checksum, 0x2au);
	EXPECT_EQ(t.got[0].hash, 0xdeadbeefu);
	EXPECT_EQ(t.data[0], pattern(60, 1));
	EXPECT_EQ(t.got[1].info, uint32_t{Frame::kVlan});
	EXPECT_EQ(t.got[1].vlan, 7u);
	EXPECT_EQ(t.got[2].info, 0u);
	EXPECT_EQ(t.rx.stats().errors, 0u);
}

/* Every way to cut a packet of five into bursts, and a deliver that refuses anywhere. */
TEST(Rx, PartialDeliveryResumesExactly)
{
	for (uint32_t max = 1; max <= 7; max++) {
		RxFixture t;
		ASSERT_TRUE(t.host.send_frames(10, 5, 0));
		ASSERT_TRUE(t.host.send_frames(11, 3, 5));
		uint32_t sum = 0;
		while (sum < 8) {
			const uint32_t n = t.receive(max);
			ASSERT_GT(n, 0u);
			ASSERT_LE(n, max);
			sum += n;
			const Ids ids = t.completed();
			EXPECT_EQ(ids, sum >= 8 && sum - n < 5	 ? (Ids{10, 11})
				       : sum >= 8		 ? (Ids{11})
				       : sum >= 5 && sum - n < 5 ? (Ids{10})
								 : Ids{})
				<< max << " " << sum;
		}
		for (uint32_t i = 0; i < 8; i++)
			EXPECT_EQ(t.data[i], pattern(60, i));
	}
	for (uint32_t first = 0; first <= 8; first++) {
		RxFixture t;
		ASSERT_TRUE(t.host.send_frames(10, 5, 0));
		ASSERT_TRUE(t.host.send_frames(11, 3, 5));
		t.refuse_after = first;
		EXPECT_EQ(t.receive(), first);
		EXPECT_EQ(t.receive(), 0u);
		EXPECT_EQ(t.completed().size(), first == 8 ? 2u : first >= 5 ? 1u : 0u);
		t.refuse_after = ~0u;
		EXPECT_EQ(t.receive(), 8 - first);
		EXPECT_EQ(t.completed().size(), first == 8 ? 0u : first >= 5 ? 1u : 2u);
		EXPECT_EQ(t.rx.stats().frames, 8u);
		for (uint32_t i = 0; i < 8; i++)
			EXPECT_EQ(t.data[i], pattern(60, i));
	}
}

TEST(Rx, PacketThatWrapsInTheRing)
{
	RxFixture t(1024, 65536);
	uint64_t id = 100;
	uint32_t next = 0;
	for (int i = 0; i < 500; i++) {
		const uint32_t count = static_cast<uint32_t>(1 + i % 60);
		ASSERT_TRUE(t.host.send_frames(++id, count, next));
		ASSERT_EQ(t.receive(), count);
		for (uint32_t k = 0; k < count; k++)
			ASSERT_EQ(t.data[t.data.size() - count + k], pattern(60, next + k));
		ASSERT_EQ(t.completed(), (Ids{id}));
		next += count;
	}
	EXPECT_EQ(t.rx.stats().errors, 0u);
}

TEST(Rx, WrappedPacketIsResumedAfterPartialDelivery)
{
	RxFixture t(1024, 65536);
	for (int i = 0; i < 200; i++) {
		ASSERT_TRUE(t.host.send_frames(5, 30, 0));
		t.data.clear();
		for (uint32_t sum = 0; sum < 30;)
			sum += t.receive(7);
		for (uint32_t k = 0; k < 30; k++)
			ASSERT_EQ(t.data[k], pattern(60, k));
		ASSERT_EQ(t.completed(), (Ids{5}));
	}
}

TEST(Rx, RoomIsSignalledOncePerBurst)
{
	RxFixture t(1024, 65536);
	while (t.host.send_frames(1, 10))
		;
	t.wire.to_guest.store(RingMemory::kPending, 512);
	uint32_t bursts = 0;
	while (t.receive(10) != 0)
		bursts++;
	EXPECT_GE(bursts, 5u);
	EXPECT_EQ(t.wire.to_guest.load(RingMemory::kOut), t.wire.sender.position());
	const auto signals = t.rx.stats().signals;
	EXPECT_EQ(signals, 2u); /* of room, and of the first completion in an empty ring */
}

TEST(Rx, CompletionsAndControlMessagesInOrder)
{
	RxFixture t;
	Tx tx(t.wire.channel, t.wire.tx_lock, {});
	t.rx.set_tx(&tx);
	const uint64_t control = uint64_t{1} << 63;
	t.wire.sender.send(0xb, control | 5, {}, nvsp_message({102, 1}));
	t.wire.sender.send(6, 0, {}, nvsp_message({128, 1, 2}));
	t.host.send_messages(3, {Bytes(20, 7), Bytes(12, 9)}, 1);
	t.host.send_frames(4, 1);
	EXPECT_EQ(t.receive(), 1u);
	ASSERT_EQ(t.control().size(), 4u);
	EXPECT_EQ(std::get<0>(t.control()[0]), 'c');
	EXPECT_EQ(std::get<1>(t.control()[0]), control | 5);
	EXPECT_EQ(get32(std::get<2>(t.control()[0]), 0), 102u);
	EXPECT_EQ(std::get<0>(t.control()[1]), 'm');
	EXPECT_EQ(get32(std::get<2>(t.control()[1]), 8), 2u);
	EXPECT_EQ(std::get<2>(t.control()[2]), Bytes(20, 7));
	EXPECT_EQ(std::get<2>(t.control()[3]), Bytes(12, 9));
	EXPECT_EQ(t.completed(), (Ids{3, 4}));
	EXPECT_EQ(t.rx.stats().errors, 0u);
}

TEST(Rx, ScanTakesWhatIsBehindFramesAndReceiveDoesNotAgain)
{
	RxFixture t;
	t.host.send_frames(1, 2, 0);
	t.wire.sender.send(6, 0, {}, nvsp_message({128, 1, 2}));
	t.host.send_messages(2, {Bytes(20, 7)}, 1);
	t.host.send_frames(3, 2, 2);
	t.wire.sender.send(0xb, uint64_t{1} << 63, {}, nvsp_message({102, 1}));
	t.rx.scan(false);
	EXPECT_EQ(t.control().size(), 3u);
	EXPECT_EQ(t.completed(), (Ids{2}));
	t.rx.scan(false);
	EXPECT_EQ(t.control().size(), 3u);
	t.wire.sender.send(6, 0, {}, nvsp_message({128, 0, 2}));
	EXPECT_EQ(t.receive(1), 1u); /* within the first packet */
	t.rx.scan(false);
	EXPECT_EQ(t.control().size(), 4u);
	t.wire.sender.send(6, 0, {}, nvsp_message({128, 1, 3})); /* not seen by a scan */
	EXPECT_EQ(t.receive(), 3u);
	EXPECT_EQ(t.control().size(), 5u);
	EXPECT_EQ(t.completed(), (Ids{1, 3}));
	for (uint32_t i = 0; i < 4; i++)
		EXPECT_EQ(t.data[i], pattern(60, i));
	EXPECT_EQ(t.rx.stats().errors, 0u);
}

TEST(Rx, ScanFreesWhatIsDealtWith)
{
	RxFixture t(1024);
	for (int i = 0; i < 200; i++) { /* nobody ever receives */
		ASSERT_TRUE(t.wire.sender.send(6, 0, {}, nvsp_message({128, 1, 2})));
		t.rx.scan(false);
		ASSERT_EQ(t.control().size(), static_cast<size_t>(i) + 1);
	}
}

/* Frames must not wait for a session that does not look, and a scan loses nothing. */
TEST(Rx, MessagesThatTheInboxHasNoRoomForHoldNoFramesUp)
{
	RxFixture t;
	const auto send = [&](uint32_t count) {
		for (uint32_t i = 0; i < count; i++)
			t.wire.sender.send(6, 0, {}, nvsp_message({128, 1, i}));
	};
	send(Inbox::kEntries + 10);
	t.host.send_messages(2, {Bytes(20, 7)}, 1);
	t.host.send_frames(3, 2);
	t.rx.scan(false);
	EXPECT_EQ(t.control().size(), Inbox::kEntries);
	t.rx.scan(false);
	EXPECT_EQ(t.control().size(), Inbox::kEntries + 11);
	EXPECT_EQ(t.rx.stats().errors, 0u);
	EXPECT_EQ(t.receive(), 2u);

	send(Inbox::kEntries + 10);
	t.host.send_frames(4, 2);
	EXPECT_EQ(t.receive(), 2u);
	EXPECT_EQ(t.rx.stats().errors, 10u);
	EXPECT_EQ(t.control().size(), 2 * Inbox::kEntries + 11);
	EXPECT_EQ(t.completed(), (Ids{2, 3, 4}));
}

/* A gate as a burst of another process brings. */
struct ForeignGate {
	static constexpr bool kForeign = true;
	static uint32_t owner() { return 7; }
	bool operator()() const { return *generation == mine; }
	const uint32_t* generation;
	uint32_t mine;
};

TEST(Rx, ClosedGateLetsNothingThrough)
{
	RxFixture t;
	Tx tx(t.wire.channel, t.wire.tx_lock, {});
	t.host.send_frames(1, 2);
	t.wire.sender.send(6, 0, {}, nvsp_message({128, 1, 2}));
	uint32_t generation = 5;
	uint32_t got = 0;
	const auto receive = [&](uint32_t mine) {
		return t.rx.receive(
			~0u,
			[&](const Frame*, uint32_t n) {
				/* The lock says who is in: nobody else gets it. */
				EXPECT_FALSE(t.wire.rx_lock.try_lock());
				EXPECT_FALSE(t.wire.rx_lock.take_from(6));
				got += n;
				return n;
			},
			[](Hold*) {}, ForeignGate{&generation, mine});
	};
	for (const uint32_t mine : {0u, 4u, 6u}) {
		EXPECT_EQ(receive(mine), 0u);
		t.rx.scan(false, ForeignGate{&generation, mine});
		EXPECT_TRUE(t.control().empty());
		EXPECT_FALSE(tx.begin(ForeignGate{&generation, mine}));
		EXPECT_TRUE(t.wire.tx_lock.try_lock()) << "there is no burst to end";
		t.wire.tx_lock.unlock();
	}
	EXPECT_EQ(got, 0u);
	EXPECT_TRUE(tx.begin(ForeignGate{&generation, 5}));
	EXPECT_TRUE(t.wire.tx_lock.take_from(7));
	EXPECT_EQ(receive(5), 2u);
	EXPECT_EQ(got, 2u);
	EXPECT_EQ(t.control().size(), 1u);
	EXPECT_TRUE(t.wire.rx_lock.try_lock());
}

TEST(Rx, StarvingScanDropsTheOldestWhenTheRingIsFull)
{
	RxFixture t(4096);
	t.host.send_frames(1, 3, 0);
	t.rx.scan(true);
	EXPECT_EQ(t.rx.stats().missed, 0u); /* there is room for completions */
	uint64_t id = 1;
	while (t.host.send_frames(id + 1, 3, static_cast<uint32_t>(id) * 3))
		id++;
	t.rx.scan(false);
	EXPECT_EQ(t.rx.stats().missed, 0u);
	t.rx.scan(true);
	const Ids ids = t.completed();
	ASSERT_GT(ids.size(), 0u);
	EXPECT_LT(ids.size(), id);
	for (size_t i = 0; i < ids.size(); i++)
		EXPECT_EQ(ids[i], i + 1);
	EXPECT_EQ(t.rx.stats().missed, 3 * ids.size());
	EXPECT_GE(t.wire.sender.room(), 1024u);
	const uint32_t n = t.receive();
	EXPECT_EQ(n, 3 * (id - ids.size()));
	EXPECT_EQ(t.data[0], pattern(60, static_cast<uint32_t>(3 * ids.size())));
	EXPECT_EQ(t.rx.stats().frames, n);
}

TEST(Rx, StarvingScanDropsNothingIfItFoundACompletion)
{
	RxFixture t(4096);
	while (t.wire.sender.room() >= 500)
		t.host.send_frames(1, 3);
	t.wire.sender.send(0xb, uint64_t{1} << 63, {}, nvsp_message({108, 1}));
	while (t.host.send_frames(2, 3))
		;
	t.rx.scan(true);
	EXPECT_EQ(t.control().size(), 1u);
	EXPECT_EQ(t.rx.stats().missed, 0u);
}

TEST(Rx, DiscardCountsAsMissed)
{
	RxFixture t;
	t.host.send_frames(1, 3);
	t.receive();
	t.host.send_frames(2, 4);
	t.rx.discard([](Hold*) {});
	EXPECT_EQ(t.rx.stats().frames, 3u);
	EXPECT_EQ(t.rx.stats().bytes, 180u);
	EXPECT_EQ(t.rx.stats().missed, 4u);
	EXPECT_EQ(t.completed(), (Ids{1, 2}));
}

TEST(Rx, CompletionsWaitForTheTransmitLock)
{
	RxFixture t;
	t.wire.tx_lock.lock();
	t.host.send_frames(1, 2);
	EXPECT_EQ(t.receive(), 2u); /* does not wait */
	EXPECT_TRUE(t.completed().empty());
	t.host.send_frames(2, 2);
	EXPECT_EQ(t.receive(), 2u);
	t.wire.tx_lock.unlock();
	EXPECT_EQ(t.receive(), 0u); /* an idle poll sends them */
	EXPECT_EQ(t.completed(), (Ids{1, 2}));
	t.wire.tx_lock.lock();
	t.host.send_frames(3, 2);
	t.receive();
	t.wire.tx_lock.unlock();
	t.rx.flush_completions();
	EXPECT_EQ(t.completed(), (Ids{3}));
}

TEST(Rx, CompletionsWaitForRoomAndAreNeitherLostNorDoubled)
{
	RxFixture t(65536, 256); /* room for seven */
	Ids sent, got;
	for (uint64_t id = 1; id <= 3000; id++) {
		while (!t.host.send_frames(id, 1)) {
			const uint32_t n = t.receive();
			const Ids some = t.completed();
			got.insert(got.end(), some.begin(), some.end());
			ASSERT_TRUE(n != 0 || !some.empty());
		}
		sent.push_back(id);
	}
	for (int i = 0; i < 3000 && got.size() < sent.size(); i++) {
		t.receive();
		const Ids some = t.completed();
		got.insert(got.end(), some.begin(), some.end());
	}
	EXPECT_EQ(got, sent);
	EXPECT_EQ(t.rx.stats().frames, 3000u);
}

TEST(Rx, BrokenRingIsLeftAlone)
{
	RxFixture t;
	t.host.send_frames(1, 2);
	t.wire.to_guest.store(RingMemory::kIn, 12345678);
	EXPECT_EQ(t.receive(), 0u);
	EXPECT_TRUE(t.rx.broken());
	t.wire.sender.publish();
	EXPECT_EQ(t.receive(), 0u);
	t.rx.scan(true);
	t.rx.flush_completions();
	EXPECT_TRUE(t.completed().empty());
}

/* Random bursts, refusals and scans against what was sent. */
TEST(Rx, RandomOperationsKeepEverythingInOrder)
{
	for (uint32_t seed = 1; seed <= 6; seed++) {
		std::mt19937 random(seed);
		RxFixture t(2048, 512);
		uint32_t sent = 0, messages = 0;
		uint64_t id = 0;
		Ids expected, got;
		for (int i = 0; i < 4000; i++) {
			switch (random() % 5) {
			case 0:
				if (const uint32_t n = 1 + random() % 20;
				    t.host.send_frames(id + 1, n, sent)) {
					sent += n;
					expected.push_back(++id);
				}
				break;
			case 1:
				messages += t.wire.sender.send(6, 0, {}, nvsp_message({128, 1, 2}));
				break;
			case 2:
				t.rx.scan(false);
				t.control();
				break;
			case 3: {
				const Ids some = t.completed();
				got.insert(got.end(), some.begin(), some.end());
				break;
			}
			default:
				t.refuse_after = random() % 3 != 0 ? ~0u : random() % 10;
				t.receive(1 + random() % 40);
			}
		}
		t.refuse_after = ~0u;
		for (int i = 0; i < 1000; i++) {
			t.receive();
			const Ids some = t.completed();
			got.insert(got.end(), some.begin(), some.end());
		}
		ASSERT_EQ(t.data.size(), sent);
		for (uint32_t i = 0; i < sent; i++)
			ASSERT_EQ(t.data[i], pattern(60, i));
		EXPECT_EQ(got, expected);
		EXPECT_EQ(t.control().size(), messages);
		EXPECT_EQ(t.rx.stats().errors, 0u);
	}
}

/* Who transmits starves for as long as nobody receives the rest of the oldest packet. */
TEST(Rx, StarvingScanDropsThePacketInProgressToo)
{
	RxFixture t(4096);
	t.host.send_frames(1, 3);
	t.receive(1);
	while (t.host.send_frames(2, 3))
		;
	t.rx.scan(true);
	EXPECT_GE(t.wire.sender.room(), 1024u);
}

/* What was checked once is not read again: the host changes a packet between two bursts. */
TEST(Rx, PacketIsWhatItWasWhenItWasChecked)
{
	for (const uint32_t count : {0u, 1u, 2u, 99u, ~0u}) {
		RxFixture t;
		t.host.send_frames(1, 3, 0);
		EXPECT_EQ(t.receive(2), 2u);
		std::memcpy(&t.wire.to_guest.data[20], &count, 4);
		t.host.send_frames(2, 3, 10);
		EXPECT_EQ(t.rx.waiting(100), 4u);
		EXPECT_EQ(t.receive(), 4u);
		EXPECT_EQ(t.data.at(2), pattern(60, 2));
		EXPECT_EQ(t.data.at(3), pattern(60, 10));
		EXPECT_EQ(t.completed(), (Ids{1, 2}));
		EXPECT_EQ(t.rx.stats().errors, 0u);
	}
}

/* Malformed frames that are looked at again, as the burst was full before them, count once. */
TEST(Rx, MalformedFramesBehindAFullBurstCountOnce)
{
	RxFixture t;
	t.host.send_frames(1, 5, 0);
	const uint32_t nowhere = ~0u;
	std::memcpy(&t.wire.to_guest.data[24 + 3 * 8 + 4], &nowhere, 4);
	t.refuse_after = 1;
	EXPECT_EQ(t.receive(), 1u);
	EXPECT_EQ(t.rx.stats().errors, 0u);
	EXPECT_EQ(t.rx.stats().bytes, 60u);
	t.refuse_after = 100;
	EXPECT_EQ(t.receive(), 3u);
	EXPECT_EQ(t.rx.stats().errors, 1u);
	EXPECT_EQ(t.rx.stats().bytes, 240u);
	EXPECT_EQ(t.data.at(3), pattern(60, 4));
}

} // namespace
} // namespace netvsc::test
