/* SPDX-License-Identifier: BSD-3-Clause */
/** What the host finds out about a frame for its guest, and tells it in per-packet infos. */
#pragma once

#include <cstdint>

#include "inet.hpp"

namespace netvsp {

/**
 * Verifies checksums of a frame.
 *
 * The frame may lie in the guest's memory: what it says is read once and never trusted again.
 *
 * @param wanted Checksum bits
 * @return the value of rndis::kPpiChecksum; a checksum that is not there, or cannot be judged as in
 *         a fragment, is neither good nor bad
 */
uint32_t verify_checksums(const uint8_t* frame, uint32_t length, uint32_t wanted);

/** Whether the value tells of a bad checksum. */
bool checksum_failed(uint32_t info);

/** Whether there is an 802.1Q tag. Of others, as QinQ's outer one (0x88a8), hosts know nothing. */
inline bool is_tagged(const uint8_t* frame, uint32_t length)
{
	return length >= kEthernetHeader + kVlanTag && frame[12] == kTypeVlan >> 8 &&
	       frame[13] == (kTypeVlan & 0xff);
}
/**
 * Takes the tag out by moving the addresses over it; the frame then starts 4 bytes later.
 * @return the tag
 */
uint16_t strip_tag(uint8_t* frame);

/** A tag as rndis::kPpiVlan has it. */
uint32_t vlan_info(uint16_t tag);

} // namespace netvsp
