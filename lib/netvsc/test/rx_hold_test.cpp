/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsc/rx_hold.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "netvsc/completion_queue.hpp"
#include "pipeline.hpp"

namespace netvsc::test {
namespace {

using Ids = std::vector<uint64_t>;

Ids returned(HoldPool& pool)
{
	Ids ids;
	pool.take_returned([&](uint64_t id) { ids.push_back(id); });
	return ids;
}

TEST(HoldPool, GivesAsManyAsItHas)
{
	HoldPool* pool = HoldPool::create(3, nullptr);
	Hold* holds[3];
	std::set<Hold*> distinct;
	for (uint64_t i = 0; i < 3; i++) {
		holds[i] = pool->acquire(100 + i, 1);
		ASSERT_NE(holds[i], nullptr);
		EXPECT_EQ(holds[i]->transaction_id, 100 + i);
		EXPECT_EQ(holds[i]->pool, pool);
		distinct.insert(holds[i]);
	}
	EXPECT_EQ(distinct.size(), 3u);
	EXPECT_EQ(pool->acquire(103, 1), nullptr);
	EXPECT_FALSE(pool->has_returned());
	HoldPool::release(holds[1]);
	EXPECT_TRUE(pool->has_returned());
	EXPECT_EQ(pool->acquire(103, 1), nullptr); /* not before it was taken back */
	EXPECT_EQ(returned(*pool), (Ids{101}));
	EXPECT_FALSE(pool->has_returned());
	EXPECT_EQ(pool->acquire(104, 1), holds[1]);
	for (Hold* h : holds)
		HoldPool::release(h);
	Ids ids = returned(*pool);
	EXPECT_EQ(std::set<uint64_t>(ids.begin(), ids.end()), (std::set<uint64_t>{100, 104, 102}));
	EXPECT_EQ(ids.size(), 3u);
	pool->orphan();
}

TEST(HoldPool, KeepsTheBufferUntilTheLastHoldIsBack)
{
	auto buffer = std::make_shared<int>(1);
	const std::weak_ptr<int> watch = buffer;
	HoldPool* pool = HoldPool::create(2, std::move(buffer));
	Hold* first = pool->acquire(1, 1);
	Hold* second = pool->acquire(2, 1);
	pool->orphan();
	HoldPool::release(second);
	EXPECT_FALSE(watch.expired());
	HoldPool::release(first);
	EXPECT_TRUE(watch.expired());

	buffer = std::make_shared<int>(2);
	const std::weak_ptr<int> unused = buffer;
	HoldPool::create(2, std::move(buffer))->orphan();
	EXPECT_TRUE(unused.expired());
}

/* The receiving thread takes and gets back, two others release what the first hands them. */
TEST(HoldPoolThreads, ReleasedOnOtherThreads)
{
	constexpr uint64_t kHolds = 6000;
	auto buffer = std::make_shared<int>(1);
	const std::weak_ptr<int> watch = buffer;
	HoldPool* pool = HoldPool::create(16, std::move(buffer));
	CompletionQueue queues[2] = {CompletionQueue(32), CompletionQueue(32)};
	std::vector<std::thread> threads;
	for (auto& queue : queues)
		threads.emplace_back([&queue] {
			for (uint64_t n = 0; n < kHolds / 2;) {
				queue.pop_all([&](uint64_t entry) {
					auto* hold = reinterpret_cast<Hold*>(entry);
					hold->client[0]++;
					HoldPool::release(hold);
					n++;
				});
				std::this_thread::yield();
			}
		});
	std::vector<uint8_t> seen(kHolds);
	uint64_t back = 0;
	for (uint64_t n = 0; n < kHolds; n++) {
		Hold* hold;
		while ((hold = pool->acquire(n, 1)) == nullptr) {
			for (const uint64_t id : returned(*pool)) {
				seen.at(id)++;
				back++;
			}
			std::this_thread::yield();
		}
		ASSERT_TRUE(queues[n % 2].push(reinterpret_cast<uint64_t>(hold)));
	}
	/* Some are still out: the pool goes with the last. */
	pool->orphan();
	for (auto& t : threads)
		t.join();
	EXPECT_TRUE(watch.expired());
	EXPECT_GE(back, kHolds - 16);
	for (const uint8_t n : seen)
		ASSERT_LE(n, 1);
}

/* An application that counts its references as a driver does. */
struct Application {
	explicit Application(RxFixture& f) : t(f) { t.hold = true; }
	uint32_t receive(uint32_t max = ~0u)
	{
		const uint32_t n = t.receive(max);
		for (size_t i = t.holds.size() - n; i < t.holds.size(); i++)
			if (t.holds[i] != nullptr)
				references[t.holds[i]]++;
		for (Hold* h : t.dropped)
			if (references[h] == 0)
				HoldPool::release(h);
		t.dropped.clear();
		return n;
	}
	/* Releases the Nth frame of all. */
	void release(size_t frame)
	{
		Hold* h = t.holds.at(frame);
		if (--references[h] == 0)
			HoldPool::release(h);
	}
	RxFixture& t;
	std::map<Hold*, int> references;
};

TEST(RxHold, CompletionComesAfterTheLastRelease)
{
	RxFixture t(65536, 65536, 8);
	Application app(t);
	t.host.send_frames(7, 3);
	t.host.send_frames(8, 2);
	EXPECT_EQ(app.receive(), 5u);
	EXPECT_NE(t.holds[0], nullptr);
	EXPECT_EQ(t.holds[0], t.holds[2]);
	EXPECT_NE(t.holds[0], t.holds[3]);
	EXPECT_TRUE(t.completed().empty());
	app.release(0);
	app.release(2);
	app.receive();
	EXPECT_TRUE(t.completed().empty());
	app.release(3);
	app.release(4);
	app.receive(); /* an idle poll */
	EXPECT_EQ(t.completed(), (Ids{8}));
	app.release(1);
	t.rx.flush_completions();
	EXPECT_EQ(t.completed(), (Ids{7}));
}

TEST(RxHold, PacketInProgressIsHeldByThePipelineToo)
{
	RxFixture t(65536, 65536, 4);
	t.hold = true;
	t.host.send_frames(7, 3);
	EXPECT_EQ(t.receive(1), 1u);
	EXPECT_EQ(t.receive(1), 1u);
	EXPECT_TRUE(t.dropped.empty()); /* its own interest lasts: frames are still to come */
	EXPECT_EQ(t.holds[0], t.holds[1]);
	EXPECT_EQ(t.receive(1), 1u);
	ASSERT_EQ(t.dropped, (std::vector<Hold*>{t.holds[0]}));
	EXPECT_TRUE(t.completed().empty());
	HoldPool::release(t.dropped[0]);
	t.receive();
	EXPECT_EQ(t.completed(), (Ids{7}));
}

TEST(RxHold, WithoutAFreeHoldFramesAreCopied)
{
	RxFixture t(65536, 65536, 2);
	Application app(t);
	t.host.send_frames(1, 2);
	t.host.send_frames(2, 2);
	EXPECT_EQ(app.receive(), 4u);
	EXPECT_NE(t.holds[1], nullptr);
	EXPECT_EQ(t.holds[2], nullptr);
	EXPECT_EQ(t.holds[3], nullptr);
	EXPECT_EQ(t.completed(), (Ids{2}));
	app.release(0);
	app.release(1);
	t.host.send_frames(3, 1);
	EXPECT_EQ(app.receive(), 1u);
	const Ids ids = t.completed();
	EXPECT_EQ(std::set<uint64_t>(ids.begin(), ids.end()), (std::set<uint64_t>{1, 3}));
	t.host.send_frames(4, 1); /* the hold is free again, one poll later */
	EXPECT_EQ(app.receive(), 1u);
	EXPECT_NE(t.holds.back(), nullptr);
	app.release(t.holds.size() - 1);
}

TEST(RxHold, NoneConfiguredMeansCopies)
{
	RxFixture t;
	t.hold = true;
	t.host.send_frames(1, 2);
	EXPECT_EQ(t.receive(), 2u);
	EXPECT_EQ(t.holds[0], nullptr);
	EXPECT_EQ(t.completed(), (Ids{1}));
}

TEST(RxHold, HeldPacketsComeBackThoughCompletionsAreStuck)
{
	RxFixture t(65536, 64, 64); /* room for two completions */
	Application app(t);
	uint64_t id = 0;
	for (; id < 50; id++)
		t.host.send_frames(id, 1);
	EXPECT_EQ(app.receive(), 50u);
	t.hold = false;
	for (; id < 1500; id++) {
		while (!t.host.send_frames(id, 1))
			if (t.receive() == 0)
				break;
	}
	t.receive();
	for (size_t i = 0; i < 50; i++)
		app.release(i);
	std::multiset<uint64_t> got;
	for (int i = 0; i < 3000; i++) {
		t.receive();
		for (const uint64_t c : t.completed())
			got.insert(c);
	}
	for (uint64_t i = 0; i < 50; i++)
		EXPECT_EQ(got.count(i), 1u) << i;
	for (const uint64_t c : got)
		ASSERT_EQ(got.count(c), 1u);
}

TEST(RxHold, HoldsOutliveTheQueueAndKeepTheBuffer)
{
	auto keep = std::make_shared<int>(1);
	const std::weak_ptr<int> watch = keep;
	std::vector<Hold*> holds;
	{
		RxFixture t;
		t.rx.configure({&t.host.buffer[0], 0, t.host.size, 4, std::move(keep)});
		t.hold = true;
		t.host.send_frames(1, 1);
		t.host.send_frames(2, 1);
		EXPECT_EQ(t.receive(), 2u);
		holds = t.dropped;
	}
	ASSERT_EQ(holds.size(), 2u);
	HoldPool::release(holds[0]);
	EXPECT_FALSE(watch.expired());
	std::thread([&] { HoldPool::release(holds[1]); }).join();
	EXPECT_TRUE(watch.expired());
}

/* One thread receives, another frees, a third scans as a transmitting thread does. */
TEST(RxHoldThreads, ReleaseAndScanOnOtherThreads)
{
	constexpr uint64_t kPackets = 4000;
	RxFixture t(8192, 8192, 8);
	t.hold = true;
	CompletionQueue frees(64);
	std::atomic<bool> stop = false;
	std::thread releaser([&] {
		while (!stop)
			frees.pop_all(
				[](uint64_t h) { HoldPool::release(reinterpret_cast<Hold*>(h)); });
		frees.pop_all([](uint64_t h) { HoldPool::release(reinterpret_cast<Hold*>(h)); });
	});
	std::thread scanner([&] {
		while (!stop) {
			t.rx.scan(false);
			std::this_thread::yield();
		}
	});
	std::vector<uint8_t> seen(kPackets);
	uint64_t sent = 0, done = 0;
	while (done < kPackets) {
		while (sent < kPackets && t.host.send_frames(sent, 3))
			sent++;
		t.receive(5);
		for (Hold* h : t.dropped)
			ASSERT_TRUE(frees.push(reinterpret_cast<uint64_t>(h)));
		t.dropped.clear();
		for (const uint64_t id : t.completed()) {
			ASSERT_EQ(seen.at(id)++, 0);
			done++;
		}
	}
	stop = true;
	releaser.join();
	scanner.join();
	EXPECT_EQ(t.data.size(), 3 * kPackets);
}

/* The pipeline's own interest in the packet goes with it, and with that the mapping. */
TEST(RxHold, QueueThatGoesDuringAPacketLeavesNothing)
{
	auto keep = std::make_shared<int>(1);
	const std::weak_ptr<int> watch = keep;
	{
		RxFixture t;
		t.rx.configure({&t.host.buffer[0], 0, t.host.size, 4, std::move(keep)});
		t.hold = true;
		t.host.send_frames(1, 3);
		EXPECT_EQ(t.receive(1), 1u);
		t.rx.abandon([](Hold* h) { HoldPool::release(h); });
	}
	EXPECT_TRUE(watch.expired());
}

/* Dropped by a scan, on a thread that cannot let go of a hold: the next receive() does. */
TEST(RxHold, PacketThatIsDroppedInPartComesBackAfterItsRelease)
{
	RxFixture t(4096, 65536, 8);
	t.hold = true;
	t.host.send_frames(1, 3);
	EXPECT_EQ(t.receive(1), 1u);
	while (t.host.send_frames(2, 3))
		;
	t.rx.scan(true);
	const Ids before = t.completed();
	EXPECT_EQ(std::count(before.begin(), before.end(), 1u), 0);
	t.hold = false;
	t.receive(1);
	ASSERT_EQ(t.dropped, (std::vector<Hold*>{t.holds[0]}));
	HoldPool::release(t.dropped[0]);
	t.receive();
	const Ids after = t.completed();
	EXPECT_EQ(std::count(after.begin(), after.end(), 1u), 1);
}

TEST(RxHold, FramesAreLimitedNotPackets)
{
	RxFixture t(65536, 65536, 10);
	Application app(t);
	t.host.send_frames(1, 6);
	t.host.send_frames(2, 6); /* would be twelve */
	t.host.send_frames(3, 4);
	EXPECT_EQ(app.receive(), 16u);
	EXPECT_NE(t.holds[0], nullptr);
	EXPECT_EQ(t.holds[6], nullptr);
	EXPECT_NE(t.holds[12], nullptr);
	EXPECT_EQ(t.completed(), (Ids{2}));
	for (size_t i = 0; i < 6; i++)
		app.release(i);
	app.receive();
	EXPECT_EQ(t.completed(), (Ids{1}));
	t.host.send_frames(4, 6);
	EXPECT_EQ(app.receive(), 6u);
	EXPECT_NE(t.holds[16], nullptr);
	for (size_t i = 12; i < 22; i++)
		app.release(i);
}

} // namespace
} // namespace netvsc::test
