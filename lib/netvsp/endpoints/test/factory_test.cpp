/* SPDX-License-Identifier: BSD-3-Clause */
#include "support.hpp"

using namespace netvsp;
using namespace netvsp::test;

TEST(Factory, MakesEachKind)
{
	for (const char* spec :
	     {"null", "loopback", "switch", "generator", "generator:", "generator:size=60"})
		EXPECT_TRUE(make(spec)) << spec;
}

TEST(Factory, ErrorsNameWhatIsWrongAndWhatIsAccepted)
{
	for (const char* spec : {"", "nul", "Null", "null:", "loopback:x", "switch:1", "tap",
				 "tap:", "pcap", "pcap:", "pcap::", "generator:size"}) {
		EXPECT_NE(refuse(spec).find("accepted: null | generator"), std::string::npos)
			<< spec;
	}
	EXPECT_NE(refuse("nul").find("\"nul\" is unknown"), std::string::npos);
}

TEST(Factory, SwitchNeedsOne)
{
	std::string error;

	EXPECT_FALSE(make_endpoint("switch", nullptr, error));
	EXPECT_NE(error.find("no switch"), std::string::npos);
}
