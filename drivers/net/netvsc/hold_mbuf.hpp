/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Received frames as external mbufs: the mbuf points into the receive buffer.
 *
 * All mbufs of one transfer-page packet share the reference count in its Hold; the pipeline has
 * one reference itself until it is through with the packet.
 */
#pragma once

#include <new>

#include "compat.hpp"
#include "netvsc/rx.hpp"

namespace netvsc {

static_assert(sizeof(rte_mbuf_ext_shared_info) <= sizeof(Hold::client));

inline rte_mbuf_ext_shared_info* shared_info(Hold* hold)
{
	return reinterpret_cast<rte_mbuf_ext_shared_info*>(hold->client);
}

inline void drop_hold(Hold* hold)
{
	if (rte_mbuf_ext_refcnt_update(shared_info(hold), -1) == 0)
		HoldPool::release(hold);
}

/** @param m with the frame's length. @return false: no more packets may be held */
inline bool attach_frame(Rx& rx, const uint8_t* buffer, rte_iova_t buffer_iova, const Frame& frame,
			 rte_mbuf& m)
{
	bool fresh;
	Hold* hold = rx.hold(fresh);
	if (hold == nullptr)
		return false;
	rte_mbuf_ext_shared_info* info = shared_info(hold);
	if (fresh) {
		info->free_cb = [](void*, void* h) { HoldPool::release(static_cast<Hold*>(h)); };
		info->fcb_opaque = hold;
		rte_mbuf_ext_refcnt_set(info, 1);
	}
	rte_mbuf_ext_refcnt_update(info, 1);
	const rte_iova_t iova = buffer_iova == RTE_BAD_IOVA
					? RTE_BAD_IOVA
					: buffer_iova + static_cast<uint64_t>(frame.data - buffer);
	rte_pktmbuf_attach_extbuf(&m, const_cast<uint8_t*>(frame.data), iova,
				  static_cast<uint16_t>(frame.length), info);
	m.data_off = 0;
	m.data_len = static_cast<uint16_t>(frame.length); /* which attaching has cleared */
	return true;
}

} // namespace netvsc
