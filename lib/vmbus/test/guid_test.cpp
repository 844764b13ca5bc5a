/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmbus/guid.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace vmbus::test {
namespace {

constexpr const char* kText = "f8615163-df3e-46c5-913f-f2d2f965ed0e";

TEST(Guid, NetworkAdapterInBothForms)
{
	/* The bytes as docs/vmbus-user.md gives them. */
	const uint8_t wire[16] = {0x63, 0x51, 0x61, 0xf8, 0x3e, 0xdf, 0xc5, 0x46,
				  0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e};
	EXPECT_EQ(std::memcmp(kNetvscClass.bytes, wire, 16), 0);
	EXPECT_EQ(to_string(kNetvscClass), kText);
	Guid guid{};
	ASSERT_TRUE(parse_guid(kText, guid));
	EXPECT_EQ(guid, kNetvscClass);
}

TEST(Guid, EveryBytePlaceRoundTrips)
{
	for (int i = 0; i < 16; i++) {
		Guid guid{};
		guid.bytes[i] = 0xa5;
		Guid back{};
		ASSERT_TRUE(parse_guid(to_string(guid), back));
		EXPECT_EQ(back, guid) << i;
	}
}

TEST(Guid, BracesAndCapitalsAreTaken)
{
	Guid guid{};
	EXPECT_TRUE(parse_guid("{f8615163-df3e-46c5-913f-f2d2f965ed0e}", guid));
	EXPECT_EQ(guid, kNetvscClass);
	guid = {};
	EXPECT_TRUE(parse_guid("F8615163-DF3E-46C5-913F-F2D2F965ED0E", guid));
	EXPECT_EQ(guid, kNetvscClass);
}

TEST(Guid, MalformedIsRefusedAndChangesNothing)
{
	const std::string text = kText;
	std::vector<std::string> bad = {
		"",
		"{}",
		"{" + text,
		text + "}",
		"(" + text + ")",
		text + "0",
		text.substr(1),
		"{" + text + "0",
		"0" + text + "}",
		"f8615163-df3e-46c5-913ff2d2f965ed0e-",
		"f8615163df3e46c5913ff2d2f965ed0e",
		"f8615163-df3e-46c5-913f-f2d2f965ed 0",
		"+8615163-df3e-46c5-913f-f2d2f965ed0e",
	};
	for (size_t i = 0; i < text.size(); i++) {
		bad.push_back(text);
		bad.back()[i] = text[i] == '-' ? '0' : 'g';
		bad.push_back(text);
		bad.back()[i] = '\0';
	}
	for (const std::string& b : bad) {
		Guid guid = {{1, 2, 3}};
		EXPECT_FALSE(parse_guid(b, guid)) << b;
		EXPECT_EQ(guid, (Guid{{1, 2, 3}})) << b;
	}
}

} // namespace
} // namespace vmbus::test
