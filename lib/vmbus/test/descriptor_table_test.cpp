/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmbus/descriptor_table.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace vmbus::test {
namespace {

TEST(DescriptorTable, SlotIsTakenWhileItsObjectLives)
{
	uint32_t number = 0;
	{
		DescriptorSlot slot;
		EXPECT_EQ(slot.number(), 0u);
		ASSERT_FALSE(slot.take(7));
		number = slot.number();
		EXPECT_NE(number, 0u);
		EXPECT_EQ(descriptor_table.at(number), 7);
		DescriptorSlot other;
		ASSERT_FALSE(other.take(8));
		EXPECT_NE(other.number(), number);
		EXPECT_EQ(descriptor_table.at(other.number()), 8);
		DescriptorSlot moved = std::move(slot);
		EXPECT_EQ(moved.number(), number);
		EXPECT_EQ(slot.number(), 0u);
		EXPECT_EQ(descriptor_table.at(number), 7);
	}
	EXPECT_EQ(descriptor_table.at(number), -1);
}

TEST(DescriptorTable, SlotZeroIsNobodys)
{
	EXPECT_EQ(descriptor_table.at(0), -1);
	DescriptorSlot slot;
	EXPECT_FALSE(slot.take(3));
	EXPECT_NE(slot.number(), 0u);
	EXPECT_EQ(descriptor_table.at(0), -1);
}

TEST(DescriptorTable, EndsInAnErrorAndNotInAnotherSlot)
{
	std::vector<DescriptorSlot> all(kDescriptorSlots - 1);
	for (DescriptorSlot& slot : all)
		ASSERT_FALSE(slot.take(5));
	DescriptorSlot one_more;
	EXPECT_EQ(one_more.take(6).code, EMFILE);
	EXPECT_EQ(one_more.number(), 0u);
	all.pop_back();
	EXPECT_FALSE(one_more.take(6));
}

} // namespace
} // namespace vmbus::test
