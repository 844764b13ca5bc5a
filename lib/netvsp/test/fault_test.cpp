/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsp/fault.hpp"

#include <gtest/gtest.h>

using namespace netvsp;

namespace {

TEST(FaultTest, SetUpFaultsAlwaysHappenDataFaultsOnce)
{
	FaultScript f;
	EXPECT_FALSE(f.any());
	ASSERT_EQ("", f.parse({"no-init-reply", "bad-rx-range", "gpadl-fail:2", "tx-fail:3"}));
	EXPECT_TRUE(f.any());
	for (int i = 0; i < 10; i++)
		EXPECT_TRUE(f.fire(Fault::kNoInitReply));
	EXPECT_TRUE(f.fire(Fault::kBadRxRange));
	EXPECT_FALSE(f.fire(Fault::kBadRxRange));
	EXPECT_TRUE(f.fire(Fault::kGpadlFail));
	EXPECT_TRUE(f.fire(Fault::kGpadlFail));
	EXPECT_FALSE(f.fire(Fault::kGpadlFail));
	EXPECT_EQ(3u, f.parameter(Fault::kTxFail));
	EXPECT_EQ(0u, f.parameter(Fault::kSilentAfter));
}

TEST(FaultTest, ErrorsNameWhatIsKnown)
{
	FaultScript f;
	std::string error = f.parse({"explode"});
	EXPECT_NE(std::string::npos, error.find("explode"));
	EXPECT_NE(std::string::npos, error.find("no-init-reply"));
	EXPECT_NE(std::string::npos, error.find("tx-fail"));
	EXPECT_NE("", f.parse({"tx-fail"}));
	EXPECT_NE("", f.parse({"tx-fail:"}));
	EXPECT_NE("", f.parse({"tx-fail:0"}));
	EXPECT_NE("", f.parse({"tx-fail:1x"}));
	EXPECT_NE("", f.parse({"tx-fail:99999999999"}));
	EXPECT_NE("", f.parse({""}));
}

TEST(FaultTest, EveryDocumentedNameIsKnown)
{
	for (const char* name : {"gpadl-fail",
				 "open-fail",
				 "refuse-nvsp",
				 "no-init-reply",
				 "short-init-reply",
				 "no-recvbuf-reply",
				 "recvbuf-fail",
				 "sendbuf-fail",
				 "rndis-init-fail",
				 "no-rndis-reply",
				 "short-query-reply",
				 "bad-query-length",
				 "no-switch-reply",
				 "unrelated-before-reply",
				 "bad-completion-id",
				 "double-completion",
				 "bad-rx-range",
				 "bad-rx-rndis",
				 "bad-rx-ppi",
				 "bad-rx-part",
				 "bad-descriptor",
				 "bad-ring-index",
				 "keepalive",
				 "silent-after:5",
				 "tx-fail:2"})
		EXPECT_EQ("", FaultScript().parse({name}));
}

} // namespace
