/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsc/array.hpp"

#include <gtest/gtest.h>

namespace netvsc::test {
namespace {

/* Counts what is not given back. */
struct Counted final : std::pmr::memory_resource {
	void* do_allocate(size_t bytes, size_t alignment) override
	{
		used += bytes;
		return std::pmr::new_delete_resource()->allocate(bytes, alignment);
	}
	void do_deallocate(void* p, size_t bytes, size_t alignment) override
	{
		used -= bytes;
		std::pmr::new_delete_resource()->deallocate(p, bytes, alignment);
	}
	bool do_is_equal(const memory_resource& other) const noexcept override
	{
		return this == &other;
	}
	size_t used = 0;
};

TEST(Array, HasZerosAndGivesItsMemoryBack)
{
	Counted memory;
	{
		Array<uint64_t> a(100, &memory);
		EXPECT_EQ(memory.used, 800u);
		EXPECT_EQ(a.size(), 100u);
		for (size_t i = 0; i < 100; i++)
			EXPECT_EQ(a[i], 0u);
		a[99] = 5;
		Array<uint64_t> b = std::move(a);
		EXPECT_EQ(a.size(), 0u);
		EXPECT_EQ(b[99], 5u);
		b = Array<uint64_t>(3, &memory);
		EXPECT_EQ(b.size(), 3u);
	}
	EXPECT_EQ(memory.used, 0u);
}

TEST(Array, OfNothingTakesNoMemory)
{
	Array<uint32_t> none(0, nullptr);
	Array<uint32_t> unset;
	EXPECT_EQ(none.data(), nullptr);
	EXPECT_EQ(unset.size(), 0u);
}

} // namespace
} // namespace netvsc::test
