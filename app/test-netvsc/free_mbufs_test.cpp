/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/netvsc/free_mbufs.hpp"

#include "support.hpp"

namespace scenario {
namespace {

/* Whole ones of two pools, chains, clones, shared ones and external buffers, in any order. */
TEST(FreeMbufs, AllComeBack)
{
	rte_mempool* pool[2] = {pools().small, pools().jumbo};
	const uint32_t before[2] = {rte_mempool_avail_count(pool[0]),
				    rte_mempool_avail_count(pool[1])};
	static uint8_t outside[64];
	static int released;
	rte_mbuf_ext_shared_info shared{};
	shared.free_cb = [](void*, void*) { released++; };
	rte_mbuf_ext_refcnt_set(&shared, 1);
	std::vector<rte_mbuf*> mbufs;
	std::vector<rte_mbuf*> kept;
	released = 0;
	for (uint32_t i = 0; i < 300; i++) {
		rte_mbuf* m = rte_pktmbuf_alloc(pool[i / 3 % 2]);
		ASSERT_NE(m, nullptr);
		mbufs.push_back(m);
		if (i % 7 == 1) {
			ASSERT_EQ(rte_pktmbuf_chain(m, rte_pktmbuf_alloc(pool[0])), 0);
		} else if (i % 7 == 3) {
			mbufs.push_back(rte_pktmbuf_clone(m, pool[1]));
		} else if (i % 7 == 5) {
			rte_mbuf_refcnt_update(m, 1);
			kept.push_back(m);
		} else if (i == 100) {
			rte_pktmbuf_attach_extbuf(m, outside, RTE_BAD_IOVA, sizeof(outside),
						  &shared);
		}
	}
	for (size_t at = 0; at < mbufs.size();) {
		const size_t n = std::min<size_t>(at % 130 + 1, mbufs.size() - at);
		netvsc::free_mbufs(&mbufs[at], static_cast<uint32_t>(n));
		at += n;
	}
	EXPECT_EQ(released, 1);
	for (rte_mbuf* m : kept) {
		EXPECT_EQ(rte_mbuf_refcnt_read(m), 1);
		rte_pktmbuf_free(m);
	}
	EXPECT_EQ(rte_mempool_avail_count(pool[0]), before[0]);
	EXPECT_EQ(rte_mempool_avail_count(pool[1]), before[1]);
}

} // namespace
} // namespace scenario
