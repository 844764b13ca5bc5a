/* SPDX-License-Identifier: BSD-3-Clause */
/** What an mbuf asks of the host, in the host's terms. */
#pragma once

#include <rte_ip.h>

#include "checksum.hpp"
#include "netvsc.hpp"

namespace netvsc {

/** Offloads of transmitted frames for which the host is told nothing. */
inline constexpr uint64_t kPlainTxOffloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;

/** Frames without any of these are sent as they are. */
inline constexpr uint64_t kTxInfoFlags =
	RTE_MBUF_F_TX_VLAN | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_L4_MASK;

/* What the per-packet infos have room for. */
inline constexpr uint32_t kMaxL4Offset = ndis::kTxChecksumL4Offset.max();
static_assert(kMaxL4Offset == ndis::kLsoTcpOffset.max());
inline constexpr uint32_t kMaxMss = ndis::kLsoMss.max();

/** @param seal what the host is not asked for. @return false: nobody could do this */
inline bool add_infos(const TxQueue& q, const rte_mbuf& m, TxInfo& infos, Seal& seal)
{
	const uint64_t flags = m.ol_flags;
	if ((flags & RTE_MBUF_F_TX_VLAN) != 0)
		infos.add_vlan(m.vlan_tci);
	const uint32_t l4 = m.l2_len + m.l3_len;
	const bool ip6 = (flags & RTE_MBUF_F_TX_IPV6) != 0;
	if ((flags & RTE_MBUF_F_TX_TCP_SEG) != 0) {
		if (l4 > kMaxL4Offset || m.tso_segsz == 0 || m.tso_segsz > kMaxMss ||
		    m.pkt_len > q.max_lso + l4 + m.l4_len)
			return false;
		infos.add_lso(m.tso_segsz, l4, ip6);
		return true;
	}
	uint32_t what = 0;
	switch (flags & RTE_MBUF_F_TX_L4_MASK) {
	case RTE_MBUF_F_TX_TCP_CKSUM:
		what = ndis::kTxChecksumTcp;
		break;
	case RTE_MBUF_F_TX_UDP_CKSUM:
		if (!ip6 && is_azures_datagram(m)) [[unlikely]]
			seal = Seal::kUdp;
		else
			what = ndis::kTxChecksumUdp;
		break;
	case RTE_MBUF_F_TX_SCTP_CKSUM:
		seal = Seal::kSctp;
		break;
	default:
		break;
	}
	if (seal != Seal::kNone && (l4 < sizeof(rte_ipv4_hdr) || l4 + kSctpHeader > m.pkt_len))
		return false;
	if ((flags & RTE_MBUF_F_TX_IP_CKSUM) != 0 && !ip6)
		what |= ndis::kTxChecksumIpHeader;
	if (what == 0)
		return true;
	if (l4 > kMaxL4Offset)
		return false;
	infos.add_checksum(what | (ip6 ? ndis::kTxChecksumIp6 : ndis::kTxChecksumIp4), l4);
	return true;
}

} // namespace netvsc
