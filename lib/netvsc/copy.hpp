/* SPDX-License-Identifier: BSD-3-Clause */
/** Copies of frames. */
#pragma once

#include <cstdint>
#include <cstring>

namespace netvsc {

/**
 * memcpy() for frames: those of a few cache lines cost no call and hardly a branch, for longer ones
 * the C library knows the CPU better. Touches exactly `length` bytes at both ends.
 */
inline void copy_frame_bytes(uint8_t* to, const uint8_t* from, uint32_t length)
{
	static constexpr uint32_t kBlock = 64;
	static constexpr uint32_t kLong = 192;
	if (length - kBlock > kLong - kBlock) { /* shorter, too */
		std::memcpy(to, from, length);
		return;
	}
	std::memcpy(to, from, kBlock);
	if (length == kBlock)
		return;
	const uint32_t last = length - kBlock; /* overlaps the block before it */
	for (uint32_t at = kBlock; at < last; at += kBlock)
		std::memcpy(to + at, from + at, kBlock);
	std::memcpy(to + last, from + last, kBlock);
}

} // namespace netvsc
