/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsp/guest_memory.hpp"

#include <cstring>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

using netvsp::GuestMemory;
using vmbus::user::Status;

namespace {

struct GuestMemoryTest : ::testing::Test {
	int fd = memfd_create("test", MFD_CLOEXEC);
	GuestMemory memory;
	void SetUp() override { ASSERT_EQ(0, ftruncate(fd, 16 << 20)); }
	~GuestMemoryTest() override { close(fd); }
};

TEST_F(GuestMemoryTest, TranslatesWithinBounds)
{
	ASSERT_EQ(Status::kOk, memory.add_file(0x10000, 0x4000, 0x2000, fd));
	uint8_t* at = memory.translate(0x10000, 0x4000);
	ASSERT_NE(nullptr, at);
	at[0] = 42;
	uint8_t byte;
	ASSERT_EQ(1, pread(fd, &byte, 1, 0x2000));
	EXPECT_EQ(42, byte);
	EXPECT_EQ(at + 0x3fff, memory.translate(0x13fff, 1));
	EXPECT_EQ(nullptr, memory.translate(0x13fff, 2));
	EXPECT_EQ(nullptr, memory.translate(0xffff, 1));
	EXPECT_EQ(nullptr, memory.translate(0x14000, 1));
	EXPECT_EQ(nullptr, memory.translate(0x12000, UINT64_MAX));
	EXPECT_EQ(nullptr, memory.translate(UINT64_MAX, 2));
}

TEST_F(GuestMemoryTest, RefusesWhatIsNotThere)
{
	EXPECT_EQ(Status::kBadArgument, memory.add_file(0x1000, 0, 0, fd));
	EXPECT_EQ(Status::kBadArgument, memory.add_file(0x1001, 0x1000, 0, fd));
	EXPECT_EQ(Status::kBadArgument, memory.add_file(0x1000, 0x1001, 0, fd));
	EXPECT_EQ(Status::kBadArgument, memory.add_file(0x1000, 0x1000, 1, fd));
	EXPECT_EQ(Status::kBadArgument, memory.add_file(0x1000, 0x2000, (16 << 20) - 0x1000, fd));
	EXPECT_EQ(Status::kBadArgument, memory.add_file(UINT64_MAX - 0xfff, 0x2000, 0, fd));
	EXPECT_EQ(Status::kBadArgument, memory.add_local(0x1000, 0x1000, 0));
	EXPECT_EQ(Status::kBadArgument, memory.add_local(0x1000, 0x2000, UINT64_MAX - 0xfff));
	EXPECT_EQ(Status::kUnknownId, memory.remove(0x1000, 0x1000));
}

TEST_F(GuestMemoryTest, RefusesOverlap)
{
	ASSERT_EQ(Status::kOk, memory.add_file(0x10000, 0x4000, 0, fd));
	EXPECT_EQ(Status::kBadArgument, memory.add_file(0x10000, 0x4000, 0, fd));
	EXPECT_EQ(Status::kBadArgument, memory.add_file(0x13000, 0x4000, 0, fd));
	EXPECT_EQ(Status::kBadArgument, memory.add_file(0xd000, 0x4000, 0, fd));
	EXPECT_EQ(Status::kBadArgument, memory.add_file(0xd000, 0x40000, 0, fd));
	EXPECT_EQ(Status::kOk, memory.add_file(0xc000, 0x4000, 0, fd));
	EXPECT_EQ(Status::kOk, memory.add_file(0x14000, 0x4000, 0, fd));
}

TEST_F(GuestMemoryTest, AdjacentRegionsAreAdjacentHere)
{
	/* in an order, and from places of the file, that do not suggest it */
	ASSERT_EQ(Status::kOk, memory.add_file(0x40201000, 0x1000, 0x5000, fd));
	ASSERT_EQ(Status::kOk, memory.add_file(0x40202000, 0x1000, 0x1000, fd));
	ASSERT_EQ(Status::kOk, memory.add_file(0x40200000, 0x1000, 0x9000, fd));
	uint8_t* at = memory.translate(0x40200ff0, 0x2000);
	ASSERT_NE(nullptr, at);
	memset(at, 7, 0x2000);
	uint8_t byte;
	ASSERT_EQ(1, pread(fd, &byte, 1, 0x5000));
	EXPECT_EQ(7, byte);
	EXPECT_EQ(nullptr, memory.translate(0x40200000, 0x3001));
	ASSERT_EQ(Status::kOk, memory.remove(0x40201000, 0x1000));
	EXPECT_EQ(nullptr, memory.translate(0x40200ff0, 0x2000));
	EXPECT_NE(nullptr, memory.translate(0x40200ff0, 0x10));
	ASSERT_EQ(Status::kOk, memory.add_file(0x40201000, 0x1000, 0x5000, fd));
	EXPECT_EQ(at, memory.translate(0x40200ff0, 0x2000));
}

TEST_F(GuestMemoryTest, FarAwayRegionsWorkToo)
{
	ASSERT_EQ(Status::kOk, memory.add_file(0x1000, 0x1000, 0, fd));
	ASSERT_EQ(Status::kOk, memory.add_file(0x7f0000000000, 0x1000, 0, fd));
	ASSERT_EQ(Status::kOk, memory.add_file(0xffffffffffff0000, 0x1000, 0, fd));
	memory.translate(0x1000, 1)[0] = 9;
	EXPECT_EQ(9, memory.translate(0x7f0000000000, 1)[0]);
	EXPECT_EQ(9, memory.translate(0xffffffffffff0000, 1)[0]);
	memory.clear();
	EXPECT_EQ(nullptr, memory.translate(0x1000, 1));
}

TEST_F(GuestMemoryTest, ThousandsOfRegions)
{
	for (uint64_t i = 0; i < 4000; i++)
		ASSERT_EQ(Status::kOk, memory.add_file((4000 - i) * 0x2000, 0x1000, 0, fd));
	EXPECT_EQ(4000u, memory.region_count());
	for (uint64_t i = 1; i <= 4000; i += 37)
		EXPECT_NE(nullptr, memory.translate(i * 0x2000 + 5, 100));
	for (uint64_t i = 1; i <= 4000; i++)
		ASSERT_EQ(Status::kOk, memory.remove(i * 0x2000, 0x1000));
}

TEST_F(GuestMemoryTest, LocalMemoryIsUsedInPlace)
{
	alignas(4096) static uint8_t page[8192];
	ASSERT_EQ(Status::kOk, memory.add_local(0x5000, 8192, uint64_t(page)));
	EXPECT_EQ(page + 4097, memory.translate(0x6001, 10));
}

} // namespace
