/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Packets that the host made of several TCP segments (receive segment coalescing, NVSP 6.1).
 *
 * They come as consecutive frames: the first is headers and payload, with what is said of the
 * packet, the others are payload. They become one chain of mbufs, which may take several bursts.
 */
#pragma once

#include <utility>

#include "rx_info.hpp"

namespace netvsc {

/** No host is told a limit: IP has one. */
inline constexpr uint32_t kMaxJoined = UINT16_MAX + kEthernetHeader + kVlanTag;

/** The rest of the packet that is being joined does not come, or nobody wants it. */
inline void drop_parts(RxQueue& q)
{
	if (q.joined == nullptr)
		return;
	q.merged--; /* it was a packet, which is lost */
	q.too_long++;
	rte_pktmbuf_free(std::exchange(q.joined, nullptr));
}

/**
 * Adds a part, copied into the chain `m`, to those before it. Takes `m` over.
 * @return the packet, if this was its last part
 */
inline rte_mbuf* join_part(RxQueue& q, const Frame& frame, rte_mbuf* m)
{
	q.merged++; /* until there is a packet */
	if ((frame.part & ndis::kPacketIdFirst) != 0) {
		drop_parts(q);
		m = apply_info(q, frame, m);
		if (m != nullptr) {
			look_inside(q, m);
			m->tx_offload = 0;
			q.joined = m;
			q.joined_last = rte_pktmbuf_lastseg(m);
		}
	} else if (q.joined != nullptr && q.joined->pkt_len + m->pkt_len <= kMaxJoined) {
		/* What every segment but the last has. */
		if (q.joined->tso_segsz == 0)
			q.joined->tso_segsz = static_cast<uint16_t>(m->pkt_len);
		q.joined->pkt_len += m->pkt_len;
		q.joined->nb_segs = static_cast<uint16_t>(q.joined->nb_segs + m->nb_segs);
		q.joined_last->next = m;
		q.joined_last = rte_pktmbuf_lastseg(m);
	} else { /* its first part did not come, or no packet is that long */
		drop_parts(q);
		rte_pktmbuf_free(m);
		m = nullptr;
	}
	if (m == nullptr) {
		q.merged--;
		q.too_long++;
		return nullptr;
	}
	if ((frame.part & ndis::kPacketIdLast) == 0)
		return nullptr;
	q.merged--;
	q.joined->ol_flags |= RTE_MBUF_F_RX_LRO;
	return std::exchange(q.joined, nullptr);
}

} // namespace netvsc
