/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/memory.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

namespace os::test {
namespace {

constexpr size_t kSize = size_t{64} << 30; /* more than there is memory */
constexpr size_t kPiece = 1 << 20;

void* map_over(void* at)
{
	return ::mmap(at, kPiece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		      -1, 0);
}

TEST(Memory, ReservedAddressesAreNobodyElses)
{
	void* at = reserve_addresses(kSize);
	ASSERT_NE(at, nullptr);
	EXPECT_FALSE(reserve_addresses_at(at, kPiece));
	EXPECT_FALSE(reserve_addresses_at(static_cast<char*>(at) + kSize - kPiece, 2 * kPiece));
	::munmap(at, kSize);
	EXPECT_TRUE(reserve_addresses_at(at, kSize));
	::munmap(at, kSize);
}

TEST(Memory, TakesWhatIsMappedThereAndIsReservedAgain)
{
	void* at = reserve_addresses(kSize);
	ASSERT_NE(at, nullptr);
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(map_over(at), at);
		EXPECT_EQ(*static_cast<char*>(at), 0);
		*static_cast<char*>(at) = 1;
		reserve_again(at, kPiece);
		EXPECT_FALSE(reserve_addresses_at(at, kPiece));
	}
	::munmap(at, kSize);
}

} // namespace
} // namespace os::test
