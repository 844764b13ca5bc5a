/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsc/copy.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace netvsc {
namespace {

/* Every length around which something changes, at every alignment to a vector. */
TEST(Copy, EveryByteAndNoOther)
{
	std::vector<uint8_t> from(2048 + 64);
	for (size_t i = 0; i < from.size(); i++)
		from[i] = static_cast<uint8_t>(1 + i % 251);
	for (uint32_t length = 0; length <= 2048; length += length < 600 ? 1 : 61) {
		for (const uint32_t shift : {0u, 1u, 12u, 31u}) {
			std::vector<uint8_t> to(length + 128);
			copy_frame_bytes(&to[64 - shift], &from[shift], length);
			for (uint32_t i = 0; i < to.size(); i++) {
				const bool inside = i >= 64 - shift && i < 64 - shift + length;
				ASSERT_EQ(to[i], inside ? from[i - 64 + 2 * shift] : 0)
					<< length << " " << shift << " " << i;
			}
		}
	}
}

/* What is read must be the frame's, too: it may end where memory ends (seen by a sanitizer). */
TEST(Copy, ReadsNothingElse)
{
	for (uint32_t length = 1; length <= 300; length++) {
		const std::vector<uint8_t> from(length, 7);
		std::vector<uint8_t> to(length);
		copy_frame_bytes(to.data(), from.data(), length);
		ASSERT_EQ(to, from);
	}
}

} // namespace
} // namespace netvsc
