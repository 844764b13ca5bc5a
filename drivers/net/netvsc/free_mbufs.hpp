/* SPDX-License-Identifier: BSD-3-Clause */
/** Mbufs on their way back to their pools. */
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

namespace netvsc {

/** Whether the segment is nobody else's, and its data its own: it can go back to its pool. */
inline bool is_sole(const rte_mbuf& m)
{
	return rte_mbuf_refcnt_read(&m) == 1 &&
	       (m.ol_flags & (RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL)) == 0;
}

/** Most that go back to a pool at once. */
inline constexpr uint32_t kFreeAtOnce = 64;

/** A chain, whose segments are mostly of one pool. */
[[gnu::noinline]] inline void free_chain(rte_mbuf* m)
{
	void* sole[kFreeAtOnce];
	uint32_t n = 0;
	rte_mempool* pool = m->pool;
	while (m != nullptr) {
		rte_mbuf* next = m->next;
		if (m->pool != pool || n == kFreeAtOnce || !is_sole(*m)) [[unlikely]] {
			rte_pktmbuf_free_seg(m);
		} else {
			m->next = nullptr; /* as it was when it was allocated */
			m->nb_segs = 1;
			sole[n++] = m;
		}
		m = next;
	}
	if (n != 0)
		rte_mempool_put_bulk(pool, sole, n);
}

/**
 * rte_pktmbuf_free_bulk() for what was transmitted: mbufs go back to their pool many at a time,
 * those of one segment without a look at their second cache line.
 */
inline void free_mbufs(rte_mbuf** mbufs, uint32_t count)
{
	void* sole[kFreeAtOnce];
	uint32_t n = 0;
	rte_mempool* pool = nullptr;
	for (uint32_t i = 0; i < count; i++) {
		rte_mbuf* m = mbufs[i];
		if (m->nb_segs != 1 || !is_sole(*m)) [[unlikely]] {
			free_chain(m);
			continue;
		}
		if (m->pool != pool || n == kFreeAtOnce) [[unlikely]] {
			if (n != 0)
				rte_mempool_put_bulk(pool, sole, n);
			pool = m->pool;
			n = 0;
		}
		sole[n++] = m;
	}
	if (n != 0)
		rte_mempool_put_bulk(pool, sole, n);
}

} // namespace netvsc
