/* SPDX-License-Identifier: BSD-3-Clause */
#include "../histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace netvsp {
namespace {

TEST(Histogram, NothingIsZero)
{
	EXPECT_EQ(Histogram().count(), 0u);
	EXPECT_EQ(Histogram().percentile(0.5), 0u);
}

TEST(Histogram, SmallValuesAreExact)
{
	Histogram h;
	for (uint64_t i = 1; i <= 60; i++)
		h.add(i);
	EXPECT_EQ(h.count(), 60u);
	EXPECT_EQ(h.percentile(0.5), 30u);
	EXPECT_EQ(h.percentile(1), 60u);
	EXPECT_EQ(h.percentile(0), 1u);
}

TEST(Histogram, OthersToWithinThreePercent)
{
	std::mt19937_64 random(1);
	std::vector<uint64_t> values;
	Histogram h;
	for (int i = 0; i < 10000; i++) {
		values.push_back(random() >> random() % 60);
		h.add(values.back());
	}
	std::sort(values.begin(), values.end());
	for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
		const auto exact =
			static_cast<double>(values[static_cast<size_t>(share * 10000) - 1]);
		EXPECT_GE(static_cast<double>(h.percentile(share)), exact);
		EXPECT_LE(static_cast<double>(h.percentile(share)), exact * 1.032) << share;
	}
}

TEST(Histogram, TheLargestValueFits)
{
	Histogram h;
	h.add(~0ull);
	EXPECT_EQ(h.percentile(0.5), ~0ull);
}

} // namespace
} // namespace netvsp
