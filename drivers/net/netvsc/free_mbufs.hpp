/* SPDX-License-Identifier: BSD-3-Clause */
/** Mbufs on their way back to their pools. */
#pragma once

#include <cstdint>
#include <cstring>

#include <rte_mbuf.h>

namespace netvsc {

/** Whether freeing it is giving it back to its pool: it is whole, not shared, and of its own. */
inline bool is_plain(const rte_mbuf& m)
{
	/* One reference and one segment, in one look: they are neighbours. */
	static_assert(offsetof(rte_mbuf, nb_segs) == offsetof(rte_mbuf, refcnt) + 2);
	static constexpr uint32_t kOneOfEach = 1 | 1 << 16;
	uint32_t counts;
	std::memcpy(&counts, &m.refcnt, sizeof(counts));
	return counts == kOneOfEach &&
	       (m.ol_flags & (RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL)) == 0;
}

/**
 * rte_pktmbuf_free_bulk() for what a transmit burst has copied: plain mbufs go back many at a time
 * and without a look at their second cache line.
 */
inline void free_mbufs(rte_mbuf** mbufs, uint32_t count)
{
	static constexpr uint32_t kMost = 64;
	void* plain[kMost];
	uint32_t n = 0;
	rte_mempool* pool = nullptr;
	for (uint32_t i = 0; i < count; i++) {
		rte_mbuf* m = mbufs[i];
		if (!is_plain(*m)) [[unlikely]] {
			rte_pktmbuf_free(m);
			continue;
		}
		if (m->pool != pool || n == kMost) [[unlikely]] {
			if (n != 0)
				rte_mempool_put_bulk(pool, plain, n);
			pool = m->pool;
			n = 0;
		}
		plain[n++] = m;
	}
	if (n != 0)
		rte_mempool_put_bulk(pool, plain, n);
}

} // namespace netvsc
