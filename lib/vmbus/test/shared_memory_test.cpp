/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmbus/shared_memory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "os/test/descriptors.hpp"

namespace vmbus::test {
namespace {

using os::test::open_descriptors;

TEST(SharedMemory, SizeIsRoundedUpToPages)
{
	for (const auto& [asked, got] :
	     {std::pair<size_t, size_t>{1, 4096}, {4096, 4096}, {4097, 8192}, {65536, 65536}}) {
		std::shared_ptr<SharedMemory> memory;
		ASSERT_FALSE(SharedMemory::create("test", asked, memory));
		EXPECT_EQ(memory->size(), got);
		struct stat st;
		ASSERT_EQ(::fstat(memory->fd(), &st), 0);
		EXPECT_EQ(static_cast<size_t>(st.st_size), got);
		memory->data()[0] = 1;
		memory->data()[got - 1] = 2;
	}
}

TEST(SharedMemory, OthersMapTheSameBytes)
{
	std::shared_ptr<SharedMemory> memory;
	ASSERT_FALSE(SharedMemory::create("test", 8192, memory));
	EXPECT_EQ(memory->data()[4096], 0); /* new memory tells nothing of this process */
	auto* other = static_cast<uint8_t*>(
		::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd(), 0));
	ASSERT_NE(other, MAP_FAILED);
	memory->data()[4096] = 0x5a;
	EXPECT_EQ(other[4096], 0x5a);
	other[7] = 0xa5;
	EXPECT_EQ(memory->data()[7], 0xa5);
	memory.reset();
	EXPECT_EQ(other[4096], 0x5a); /* a mapping of one's own outlives the owner's */
	::munmap(other, 8192);
}

TEST(SharedMemory, DescriptorIsClosedWithTheOwnerAndOnExec)
{
	const size_t before = open_descriptors();
	std::shared_ptr<SharedMemory> memory;
	ASSERT_FALSE(SharedMemory::create("test", 4096, memory));
	EXPECT_EQ(open_descriptors(), before + 1);
	EXPECT_NE(::fcntl(memory->fd(), F_GETFD) & FD_CLOEXEC, 0);
	memory.reset();
	EXPECT_EQ(open_descriptors(), before);
}

TEST(SharedMemory, ImpossibleSizesFailWithoutALeak)
{
	const size_t before = open_descriptors();
	std::shared_ptr<SharedMemory> memory;
	EXPECT_NE(SharedMemory::create("test", 0, memory).code, 0);
	EXPECT_NE(SharedMemory::create("test", size_t{1} << 62, memory).code, 0);
	EXPECT_EQ(memory, nullptr);
	EXPECT_EQ(open_descriptors(), before);
}

} // namespace
} // namespace vmbus::test
