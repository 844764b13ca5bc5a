/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmbus/atomic.hpp"

#include <gtest/gtest.h>

#include <mutex>
#include <thread>

namespace vmbus::test {
namespace {

TEST(SpinLock, TryLockTellsWhetherItIsHeld)
{
	SpinLock lock;
	EXPECT_TRUE(lock.try_lock());
	EXPECT_FALSE(lock.try_lock());
	lock.unlock();
	EXPECT_TRUE(lock.try_lock());
	lock.unlock();
}

/* A race detector looks at the counter, too. */
TEST(SpinLock, IsTakenFromItsDeadOwnerOnly)
{
	SpinLock lock;
	EXPECT_FALSE(lock.take_from(3));
	EXPECT_TRUE(lock.try_lock(3));
	EXPECT_FALSE(lock.try_lock(2));
	EXPECT_FALSE(lock.take_from(2));
	EXPECT_FALSE(lock.try_lock(2));
	EXPECT_TRUE(lock.take_from(3));
	EXPECT_TRUE(lock.try_lock(2));
	lock.unlock();
	EXPECT_TRUE(lock.try_lock());
}

TEST(SpinLockThreads, GuardsWhatItGuards)
{
	constexpr int kRounds = 20000;
	SpinLock lock;
	int counter = 0, tried = 0;
	std::thread other([&] {
		for (int i = 0; i < kRounds; i++) {
			std::lock_guard guard(lock);
			counter++;
		}
	});
	for (int i = 0; i < kRounds; i++) {
		if (!lock.try_lock())
			continue;
		counter++;
		tried++;
		lock.unlock();
	}
	other.join();
	EXPECT_EQ(counter, kRounds + tried);
}

TEST(AtomicThreads, AcquireSeesWhatWasStoredBefore)
{
	uint32_t index = 0;
	uint64_t data = 0;
	std::thread writer([&] {
		data = 42;
		store_seq_cst(&index, 8u);
	});
	while (load_acquire(&index) == 0)
		std::this_thread::yield();
	EXPECT_EQ(data, 42u);
	writer.join();
}

TEST(Atomic, StoresAndLoadsEverySizeInUse)
{
	uint32_t narrow = 0;
	uint64_t wide = 0;
	store_relaxed(&narrow, 0xfedcba98u);
	store_relaxed(&wide, uint64_t{0xfedcba9876543210});
	EXPECT_EQ(load_once(&narrow), 0xfedcba98u);
	EXPECT_EQ(load_once(&wide), 0xfedcba9876543210u);
	EXPECT_EQ(load_acquire(&wide), 0xfedcba9876543210u);
	store_seq_cst(&narrow, 1u);
	EXPECT_EQ(load_seq_cst(&narrow), 1u);
	cpu_pause();
}

} // namespace
} // namespace vmbus::test
