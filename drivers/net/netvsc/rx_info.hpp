/* SPDX-License-Identifier: BSD-3-Clause */
/** What the host says of a received frame, in an mbuf's terms. */
#pragma once

#include <array>

#include <rte_ether.h>

#include "checksum.hpp"
#include "netvsc.hpp"
#include "packet_type.hpp"

namespace netvsc {

namespace rx_checksum {
inline constexpr uint32_t kAll = 63; /* of ndis::kRxChecksum*Ok and *Failed */

constexpr uint64_t flags_of(uint32_t info)
{
	uint64_t flags = 0;
	if ((info & ndis::kRxChecksumIpFailed) != 0)
		flags |= RTE_MBUF_F_RX_IP_CKSUM_BAD;
	else if ((info & ndis::kRxChecksumIpOk) != 0)
		flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	if ((info & (ndis::kRxChecksumTcpFailed | ndis::kRxChecksumUdpFailed)) != 0)
		flags |= RTE_MBUF_F_RX_L4_CKSUM_BAD;
	else if ((info & (ndis::kRxChecksumTcpOk | ndis::kRxChecksumUdpOk)) != 0)
		flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	return flags;
}

/* By all values that the host can send: a table costs less than the tests. */
inline constexpr auto kFlags = [] {
	std::array<uint64_t, kAll + 1> table{};
	for (uint32_t i = 0; i <= kAll; i++)
		table[i] = flags_of(i);
	return table;
}();
} // namespace rx_checksum

/* The host's order of a tag's fields is not that of a frame. */
inline uint16_t tci_of(uint32_t vlan)
{
	return static_cast<uint16_t>(ndis::kVlanPriority.get(vlan) << 13 |
				     ndis::kVlanCfi.get(vlan) << 12 | ndis::kVlanId.get(vlan));
}

/**
 * The host has taken the tag out of the frame, and the application wants it where it was.
 * @return the mbuf, or null where there is no room for the tag: it is freed then
 */
inline rte_mbuf* put_tag_back(rte_mbuf* m, uint32_t vlan)
{
	m->vlan_tci = tci_of(vlan);
	if (rte_vlan_insert(&m) == 0)
		return m;
	rte_pktmbuf_free(m);
	return nullptr;
}

/** What the host says of the frame. @return as put_tag_back() */
inline rte_mbuf* apply_info(const RxQueue& q, const Frame& frame, rte_mbuf* m)
{
	const uint32_t info = frame.info & q.wanted;
	if ((info & Frame::kChecksum) != 0)
		m->ol_flags |= rx_checksum::kFlags[frame.checksum & rx_checksum::kAll];
	if ((info & Frame::kHash) != 0) {
		m->hash.rss = frame.hash;
		m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
	}
	if ((frame.info & Frame::kVlan) != 0) {
		if ((info & Frame::kVlan) != 0) {
			m->vlan_tci = tci_of(frame.vlan);
			m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
		} else {
			m = put_tag_back(m, frame.vlan);
		}
	}
	return m;
}

/** What the host does not say. */
inline void look_inside(const RxQueue& q, rte_mbuf* m)
{
	if (q.verify_sctp) [[unlikely]]
		verify_sctp(m, q.ptype_mask);
	else if (q.ptype_mask != 0)
		m->packet_type = packet_type(*m, q.ptype_mask);
}

} // namespace netvsc
