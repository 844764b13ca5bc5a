/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/thread.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

namespace os::test {
namespace {

TEST(Thread, RunsWhereItShould)
{
	const int cpu = ::sched_getcpu();
	std::thread thread([cpu] {
		EXPECT_TRUE(run_on(::pthread_self(), {cpu}));
		for (int i = 0; i < 100; i++) {
			std::this_thread::yield();
			EXPECT_EQ(::sched_getcpu(), cpu);
		}
	});
	thread.join();
}

TEST(Thread, CpusThatAreNotThere)
{
	EXPECT_FALSE(run_on(::pthread_self(), {}));
	EXPECT_FALSE(run_on(::pthread_self(), {-1, 100000}));
}

} // namespace
} // namespace os::test
