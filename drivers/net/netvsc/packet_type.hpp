/* SPDX-License-Identifier: BSD-3-Clause */
/** RTE_PTYPE_* of received frames, as rte_net_get_ptype() has them. */
#pragma once

#include <cstring>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_net.h>
#include <rte_tcp.h>
#include <rte_udp.h>

namespace netvsc {

/** Of what rte_net_get_ptype() finds, all that is said of the outermost headers. */
inline constexpr uint32_t kAllPtypes = RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK | RTE_PTYPE_L4_MASK;

/**
 * The same for the commonest frames, at a quarter of the cost: TCP and UDP in IPv4 without options or
 * in IPv6 without extension headers, not fragmented, not tagged.
 * @return 0: some other frame, or too short for its headers
 */
inline uint32_t common_packet_type(const uint8_t* frame, uint32_t length)
{
	static constexpr uint32_t kIp = sizeof(rte_ether_hdr);
	/* Ethernet type, version and length (IPv4) of the header; in the order of bytes. */
	static constexpr uint32_t kIpv4 = 0x450008;
	static constexpr uint32_t kIpv6 = 0x60dd86;
	static constexpr uint32_t kLongest = kIp + sizeof(rte_ipv6_hdr) + sizeof(rte_tcp_hdr);
	static constexpr uint16_t kFragment =
		RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK);
	uint32_t begin;
	if (length < kIp + sizeof(rte_ipv4_hdr) + sizeof(rte_tcp_hdr))
		return 0;
	std::memcpy(&begin, frame + kIp - sizeof(rte_be16_t), sizeof(begin));
	uint32_t type;
	uint8_t next;
	if ((begin & 0xffffff) == kIpv4) {
		uint16_t fragment;
		std::memcpy(&fragment, frame + kIp + offsetof(rte_ipv4_hdr, fragment_offset),
			    sizeof(fragment));
		if ((fragment & kFragment) != 0)
			return 0;
		type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4;
		next = frame[kIp + offsetof(rte_ipv4_hdr, next_proto_id)];
	} else if ((begin & 0xf0ffff) == kIpv6 && length >= kLongest) {
		type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV6;
		next = frame[kIp + offsetof(rte_ipv6_hdr, proto)];
	} else {
		return 0;
	}
	if (next == IPPROTO_UDP)
		return type | RTE_PTYPE_L4_UDP;
	return next == IPPROTO_TCP ? type | RTE_PTYPE_L4_TCP : 0;
}

/** @param wanted some of kAllPtypes */
inline uint32_t packet_type(const rte_mbuf& m, uint32_t wanted)
{
	if (wanted == kAllPtypes) [[likely]]
		if (const uint32_t type =
			    common_packet_type(rte_pktmbuf_mtod(&m, const uint8_t*), m.data_len))
			return type;
	return rte_net_get_ptype(&m, nullptr, wanted);
}

} // namespace netvsc
