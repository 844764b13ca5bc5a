/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets that the host joins from TCP segments. */
#include "packets.hpp"

namespace scenario {

class Lro : public Scenario {
      protected:
	void SetUp() override
	{
		Scenario::SetUp();
		NEEDS(announced().rx_offload_capa & RTE_ETH_RX_OFFLOAD_TCP_LRO,
		      "receive coalescing");
	}
};

namespace {

constexpr uint32_t kMss = 1400;

PortOptions with_lro(rte_mempool* pool = nullptr)
{
	PortOptions options;
	options.rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_SCATTER;
	options.pool = pool;
	return options;
}

/* Consecutive segments of a stream, the last of them pushed. */
std::vector<Frame> segments(Kind k, uint32_t count, uint32_t last = kMss)
{
	std::vector<Frame> all;
	for (uint32_t i = 0; i < count; i++) {
		Frame f = packet(k, i + 1 < count ? kMss : last, 100 + i, false);
		std::copy(all.empty() ? f.begin() : all[0].begin(),
			  all.empty() ? f.begin() + 12 : all[0].begin() + 12, f.begin());
		auto* tcp = reinterpret_cast<rte_tcp_hdr*>(&f[14 + l3_length(k)]);
		tcp->sent_seq = rte_cpu_to_be_32(5000 + i * kMss);
		tcp->tcp_flags = RTE_TCP_ACK_FLAG | (i + 1 == count ? RTE_TCP_PSH_FLAG : 0);
		if (!k.v6) {
			auto* ip = reinterpret_cast<rte_ipv4_hdr*>(&f[14]);
			ip->hdr_checksum = rte_ipv4_cksum(ip);
		}
		const uint16_t sum = l4_checksum(f, k);
		std::memcpy(&f[l4_checksum_at(k)], &sum, sizeof(sum));
		all.push_back(std::move(f));
	}
	return all;
}

Frame payload(const std::vector<Frame>& frames, Kind k)
{
	Frame all;
	for (const Frame& f : frames)
		all.insert(all.end(), f.begin() + headers(k), f.end());
	return all;
}

/* A host joins what is there when it looks: everything at once, the NIC being held up first. */
void inject(Bench& s, const std::vector<Frame>& frames)
{
	s.host.host().stop();
	for (const Frame& f : frames)
		s.wire->inject(f);
	s.host.host().start();
}

void expect_joined(const rte_mbuf* m, const std::vector<Frame>& frames, Kind k)
{
	const Frame got = from_mbuf(m);
	const Frame wanted = payload(frames, k);
	ASSERT_EQ(got.size(), headers(k) + wanted.size());
	EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), got.begin() + headers(k)));
	EXPECT_TRUE(std::equal(got.begin(), got.begin() + 14, frames[0].begin()));
	const uint64_t flags = m->ol_flags;
	EXPECT_NE(flags & RTE_MBUF_F_RX_LRO, 0u);
	EXPECT_EQ(m->tso_segsz, std::min<size_t>(kMss, frames[1].size() - headers(k)));
	EXPECT_EQ(flags & RTE_MBUF_F_RX_L4_CKSUM_MASK, RTE_MBUF_F_RX_L4_CKSUM_GOOD);
	EXPECT_EQ(flags & RTE_MBUF_F_RX_IP_CKSUM_MASK, k.v6 ? 0 : RTE_MBUF_F_RX_IP_CKSUM_GOOD);
	const auto* tcp = reinterpret_cast<const rte_tcp_hdr*>(&got[14 + l3_length(k)]);
	EXPECT_EQ(rte_be_to_cpu_32(tcp->sent_seq), 5000u);
	EXPECT_NE(tcp->tcp_flags & RTE_TCP_PSH_FLAG, 0);
	EXPECT_EQ(m->packet_type & RTE_PTYPE_L4_MASK, uint32_t{RTE_PTYPE_L4_TCP});
}

} // namespace

TEST_F(Lro, SegmentsBecomeOnePacket)
{
	for (rte_mempool* pool : {pools().normal, pools().small}) {
		Bench s(with_lro(pool));
		EXPECT_NE(s.port.info().rx_offload_capa & RTE_ETH_RX_OFFLOAD_TCP_LRO, 0u);
		EXPECT_GE(s.port.info().max_lro_pkt_size, 65535u);
		uint64_t joined = 0;
		uint64_t made_of = 0;
		for (const bool v6 : {false, true})
			for (const uint32_t count : {2u, 3u, 20u, 46u}) {
				const Kind k{v6, true};
				const auto frames = segments(k, count, 777);
				inject(s, frames);
				rte_mbuf* m = nullptr;
				ASSERT_TRUE(eventually([&] { return s.port.rx(&m, 1) == 1; }));
				expect_joined(m, frames, k);
				rte_pktmbuf_free(m);
				joined++;
				made_of += count;
			}
		const netvsp::NicStats stats = s.host.stats();
		EXPECT_EQ(stats.rx_rsc, joined);
		EXPECT_EQ(stats.rx_rsc_frames, made_of);
		EXPECT_EQ(s.port.stats().ipackets, joined) << "packets, not segments";
		EXPECT_EQ(s.port.stats().ierrors, 0u);
	}
}

/* Bursts end in the middle of packets; what is no TCP stream passes between them. */
TEST_F(Lro, PacketsGoOnOverBursts)
{
	Bench s(with_lro());
	const Kind k{false, true};
	const auto frames = segments(k, 30);
	std::vector<Frame> all = {make_frame(60, 1)};
	all.insert(all.end(), frames.begin(), frames.end());
	all.push_back(make_frame(61, 2));
	all.insert(all.end(), frames.begin(), frames.end());
	all.push_back(make_frame(62, 3));
	inject(s, all);
	std::vector<rte_mbuf*> got;
	ASSERT_TRUE(eventually([&] {
		rte_mbuf* mbufs[4];
		const uint16_t n = s.port.rx(mbufs, 4); /* 4 parts at most */
		got.insert(got.end(), mbufs, mbufs + n);
		return got.size() == 5;
	}));
	EXPECT_EQ(from_mbuf(got[0]), all[0]);
	expect_joined(got[1], frames, k);
	EXPECT_EQ(from_mbuf(got[2]), make_frame(61, 2));
	expect_joined(got[3], frames, k);
	EXPECT_EQ(from_mbuf(got[4]), make_frame(62, 3));
	for (rte_mbuf* m : got)
		rte_pktmbuf_free(m);
	EXPECT_EQ(s.port.stats().ipackets, 5u);
}

/* Parts that came already go with the port, and the next start begins anew. */
TEST_F(Lro, StoppedInTheMiddle)
{
	Bench s(with_lro());
	const Kind k{true, true};
	for (int round = 0; round < 3; round++) {
		inject(s, segments(k, 40));
		rte_mbuf* m = nullptr;
		ASSERT_TRUE(eventually([&] { return rte_eth_rx_queue_count(s.port.id, 0) == 40; }));
		for (int i = 0; i < 7; i++)
			ASSERT_EQ(s.port.rx(&m, 1), 0);
		EXPECT_GT(mbufs_out(), 0u);
		ASSERT_EQ(s.port.stop(), 0);
		EXPECT_EQ(s.port.stats().ipackets, static_cast<uint64_t>(round));
		ASSERT_EQ(s.port.start(), 0);
		const auto frames = segments(k, 5);
		inject(s, frames);
		ASSERT_TRUE(eventually([&] { return s.port.rx(&m, 1) == 1; }));
		expect_joined(m, frames, k);
		rte_pktmbuf_free(m);
	}
}

/* With external buffers on, what is joined is copied and the rest is not. */
TEST_F(Lro, ExternalBuffersBeside)
{
	Bench s(with_lro(), "rx_extmbuf_enable=1,rx_copybreak=0");
	const Kind k{false, true};
	const auto frames = segments(k, 10);
	std::vector<Frame> all = frames;
	all.push_back(make_frame(900, 2));
	inject(s, all);
	rte_mbuf* m[2] = {};
	uint16_t n = 0;
	ASSERT_TRUE(eventually([&] {
		n = static_cast<uint16_t>(n + s.port.rx(m + n, static_cast<uint16_t>(2 - n)));
		return n == 2;
	}));
	expect_joined(m[0], frames, k);
	EXPECT_EQ(from_mbuf(m[1]), make_frame(900, 2));
	EXPECT_TRUE(RTE_MBUF_HAS_EXTBUF(m[1]));
	rte_pktmbuf_free(m[0]);
	rte_pktmbuf_free(m[1]);
}

/* The host claims it of frames that are nothing of the kind: those are lost, and nothing else. */
TEST_F(Lro, PartsOfNoPacket)
{
	netvsp::NicConfig config;
	config.faults = {"bad-rx-part:3"};
	Bench s(with_lro(), "", config);
	for (uint32_t i = 0; i < 3; i++) {
		s.wire->inject(make_frame(100, i));
		ASSERT_TRUE(eventually([&] {
			rte_mbuf* m;
			EXPECT_EQ(s.port.rx(&m, 1), 0);
			return s.port.stats().ierrors == i + 1;
		}));
	}
	s.wire->inject(make_frame(100, 9));
	EXPECT_EQ(s.port.receive(1), std::vector<Frame>{make_frame(100, 9)});
	EXPECT_EQ(s.port.stats().ipackets, 1u);
}

/* Off is off: the host is told, and every segment comes as it was. */
TEST_F(Lro, NotAskedFor)
{
	Bench s({});
	const Kind k{false, true};
	const auto frames = segments(k, 10);
	inject(s, frames);
	EXPECT_EQ(s.port.receive(10), frames);
	EXPECT_EQ(s.host.stats().rx_rsc, 0u);
	netvsp::NicConfig none;
	none.rsc = false;
	Bench without({}, "", none);
	EXPECT_EQ(without.port.info().rx_offload_capa & RTE_ETH_RX_OFFLOAD_TCP_LRO, 0u);
	Bench old({}, "max_nvsp=6");
	EXPECT_EQ(old.port.info().rx_offload_capa & RTE_ETH_RX_OFFLOAD_TCP_LRO, 0u);
}

} // namespace scenario
