/* SPDX-License-Identifier: BSD-3-Clause */
#include "../vf_interface.hpp"
#include "support.hpp"

using namespace netvsp;
using namespace netvsp::test;

TEST(TapNone, SaysWhatItNeeds)
{
	EXPECT_NE(refuse("tap:tap0").find("endpoint tap: needs Linux"), std::string::npos);
	std::string error;
	EXPECT_EQ(VfInterface::create("tap0", {}, error), nullptr);
	EXPECT_NE(error.find("needs Linux"), std::string::npos);
}
