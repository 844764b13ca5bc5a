/* SPDX-License-Identifier: BSD-3-Clause */
/** SCTP's checksum, CRC32C (RFC 9260, appendix A). No host knows it: the driver computes it. */
#pragma once

#include "compat.hpp"

namespace netvsc {

inline constexpr uint32_t kSctpHeader = 12;

/** Writes the checksum of the packet whose SCTP header is at `l4` of a frame. */
void seal_sctp(uint8_t* frame, uint32_t length, uint32_t l3, uint32_t l4);

/**
 * The packet types of a received frame, of which `mask` are wanted, and in its flags whether its
 * SCTP checksum, if it has one, is right.
 */
void verify_sctp(rte_mbuf* m, uint32_t mask);

} // namespace netvsc
