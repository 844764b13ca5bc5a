/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/numa.hpp"

#include <gtest/gtest.h>

namespace os::test {
namespace {

TEST(Numa, NodeIsTheKernelsOrUnknown)
{
	static int here = 1;
	EXPECT_GE(numa_node_of(&here), -1);
	EXPECT_LT(numa_node_of(&here), 1024);
	EXPECT_EQ(numa_node_of(nullptr), -1);
}

} // namespace
} // namespace os::test
