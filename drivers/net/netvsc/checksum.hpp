/* SPDX-License-Identifier: BSD-3-Clause */
/** Checksums that the driver computes itself, since no host does, or not every host. */
#pragma once

#include "compat.hpp"

namespace netvsc {

inline constexpr uint32_t kSctpHeader = 12;

/** What is left to the driver of what an mbuf asks for. */
enum class Seal {
	kNone,
	kSctp, /**< CRC32C (RFC 9260, appendix A), which no host knows */
	kUdp,  /**< of a long datagram, which Azure leaves undone */
};

/**
 * Writes the checksum of the packet whose layer 3 and 4 headers are at `l3` and `l4` of a frame.
 * The frame may lie where the host writes, too: what is read of it is checked. Where the IP header
 * is wrong, so that nobody could say what the checksum is of, none is written.
 */
void seal(Seal what, uint8_t* frame, uint32_t length, uint32_t l3, uint32_t l4);

/**
 * Whether Azure's hosts would leave the checksum of this frame undone, which asks for that of UDP
 * over IPv4: more than 1420 bytes of IP, without DF (FreeBSD if_hn.c, hw.hn.udpcs_fixup_mtu).
 */
bool is_azures_datagram(const rte_mbuf& m);

/**
 * The packet types of a received frame, of which `mask` are wanted, and in its flags whether its
 * SCTP checksum, if it has one, is right.
 */
void verify_sctp(rte_mbuf* m, uint32_t mask);

} // namespace netvsc
