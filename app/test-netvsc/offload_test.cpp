/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksums, large sends, tags and the MAC address, at the guest's end and at the network's. */
#include "packets.hpp"

namespace scenario {

class Offloads : public Scenario {};

TEST_F(Offloads, ReceivedChecksums)
{
	Bench s({.rx_offloads = rx_checksums()});
	const uint64_t udp = in_hardware({false, false}) ? 0 : RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
	EXPECT_EQ(s.port.info().rx_offload_capa & kRxChecksums, kRxChecksums & ~udp);
	const uint64_t kMask = RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK;
	const auto flags = [&](const Frame& frame) {
		rte_mbuf* m = s.receive(frame);
		if (m == nullptr)
			return ~uint64_t{0};
		EXPECT_EQ(from_mbuf(m), frame);
		const uint64_t f = m->ol_flags & kMask;
		rte_pktmbuf_free(m);
		return f;
	};
	for (const Kind k : kKinds) {
		const uint64_t ip_good = k.v6 ? 0 : RTE_MBUF_F_RX_IP_CKSUM_GOOD;
		const Frame good = packet(k, 100, 1);
		const bool known = in_hardware(k);
		EXPECT_EQ(flags(good), ip_good | (known ? RTE_MBUF_F_RX_L4_CKSUM_GOOD : 0))
			<< k.v6 << k.tcp;
		Frame bad = good;
		bad.back() ^= 1;
		EXPECT_EQ(flags(bad), ip_good | (known ? RTE_MBUF_F_RX_L4_CKSUM_BAD : 0))
			<< k.v6 << k.tcp;
	}
	Frame bad_ip = packet(kKinds[0], 100, 1);
	bad_ip[22] ^= 1; /* the time to live */
	EXPECT_EQ(flags(bad_ip) & RTE_MBUF_F_RX_IP_CKSUM_MASK, RTE_MBUF_F_RX_IP_CKSUM_BAD);
	Frame arp = make_frame(60, 3);
	arp[12] = 8;
	arp[13] = 6;
	EXPECT_EQ(flags(arp), 0u); /* unknown: there is nothing to verify */
}

TEST_F(Offloads, OffIsToldToTheHost)
{
	Bench s({.rx_offloads = rx_checksums(),
		 .tx_offloads = tx_checksums() | RTE_ETH_TX_OFFLOAD_TCP_TSO |
				RTE_ETH_TX_OFFLOAD_MULTI_SEGS});
	netvsp::Offloads on = s.host.stats().offloads;
	EXPECT_NE(on.tx_checksum, 0u);
	EXPECT_NE(on.rx_checksum, 0u);
	EXPECT_TRUE(on.lso4 && on.lso6);
	s.port.stop();
	ASSERT_NO_FATAL_FAILURE(s.port.up());
	netvsp::Offloads off = s.host.stats().offloads;
	EXPECT_EQ(off.tx_checksum, 0u);
	EXPECT_EQ(off.rx_checksum, 0u);
	EXPECT_FALSE(off.lso4 || off.lso6);
	rte_mbuf* m = s.receive(packet(kKinds[0], 10, 1));
	ASSERT_NE(m, nullptr);
	EXPECT_EQ(m->ol_flags, 0u);
	rte_pktmbuf_free(m);
}

TEST_F(Offloads, TransmittedChecksums)
{
	for (const char* how : {"", "tx_copybreak=0"}) {
		Bench s({.tx_offloads = tx_checksums() | RTE_ETH_TX_OFFLOAD_MULTI_SEGS}, how);
		EXPECT_EQ(s.port.info().tx_offload_capa & kTxChecksums, tx_checksums());
		uint64_t asked = 1; /* below, for the IP header's */
		for (const Kind k : kKinds) {
			if (!in_hardware(k))
				continue;
			asked++;
			rte_mbuf* m = to_mbuf(packet(k, 1001, 5, false));
			ask(m, k, k.tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM);
			const auto got = s.send(m);
			ASSERT_EQ(got.size(), 1u);
			EXPECT_EQ(got[0], packet(k, 1001, 5)) << how << k.v6 << k.tcp;
		}
		/* Only the IP header's, and none at all. */
		rte_mbuf* m = to_mbuf(packet(kKinds[1], 50, 6, false));
		ask(m, kKinds[1], 0);
		auto got = s.send(m);
		ASSERT_EQ(got.size(), 1u);
		EXPECT_EQ(rte_raw_cksum(&got[0][14], 20), 0xffff);
		const Frame plain = packet(kKinds[0], 50, 7, false);
		EXPECT_EQ(s.send(to_mbuf(plain)), std::vector<Frame>{plain});
		EXPECT_EQ(s.host.stats().tx_csum, asked);
		EXPECT_EQ(s.host.stats().tx_unseeded, 0u);
		EXPECT_EQ(s.host.stats().tx_not_enabled, 0u);
	}
}

/* Azure leaves them undone where the datagram may be cut into fragments: with and without DF, and
 * around the length from which on it does. */
TEST_F(Offloads, ChecksumsOfLongDatagrams)
{
	const Kind k{false, false};
	NEEDS(in_hardware(k), "UDP checksums");
	const auto mtu = std::min<uint16_t>(announced().max_mtu, 9000);
	for (const char* how : {"", "tx_copybreak=0"}) {
		Bench s({.mtu = mtu, .tx_offloads = tx_checksums() | RTE_ETH_TX_OFFLOAD_MULTI_SEGS},
			how);
		for (const bool whole : {false, true})
			for (const uint32_t length : {1420u, 1421u, 1500u, uint32_t{mtu}}) {
				const auto make = [&](bool checksums) {
					Frame f = packet(k, length - 28, length, checksums);
					auto* ip = reinterpret_cast<rte_ipv4_hdr*>(&f[14]);
					ip->fragment_offset = whole ? RTE_BE16(0x4000) : 0;
					ip->hdr_checksum = 0;
					if (checksums)
						ip->hdr_checksum = rte_ipv4_cksum(ip);
					return f;
				};
				const uint32_t size = 14 + length;
				for (const std::vector<uint32_t>& cut :
				     {std::vector<uint32_t>{size}, {42, 10, size - 52}}) {
					rte_mbuf* m = to_chain(make(false), cut, pools().jumbo);
					ASSERT_NE(m, nullptr);
					ask(m, k, RTE_MBUF_F_TX_UDP_CKSUM);
					const auto got = s.send(m);
					ASSERT_EQ(got.size(), 1u);
					EXPECT_EQ(got[0], make(true)) << how << whole << length;
				}
			}
		EXPECT_EQ(s.host.stats().tx_csum_undone, 0u);
		EXPECT_EQ(s.port.stats().oerrors, 0u);
	}
}

/* Over chains, from both ways of sending, and of sizes around the MSS. */
TEST_F(Offloads, LargeSends)
{
	constexpr uint32_t kMss = 1000;
	Bench s({.tx_offloads = tx_checksums() | RTE_ETH_TX_OFFLOAD_TCP_TSO |
				RTE_ETH_TX_OFFLOAD_MULTI_SEGS});
	EXPECT_NE(s.port.info().tx_offload_capa & RTE_ETH_TX_OFFLOAD_TCP_TSO, 0u);
	uint64_t sends = 0;
	for (const bool v6 : {false, true}) {
		const Kind k{v6, true};
		for (const uint32_t payload : {300u, kMss, kMss + 1, 5 * kMss, 20001u, 60000u}) {
			const Frame whole = packet(k, payload, payload, false);
			rte_mbuf* m = to_mbuf(whole, pools().normal);
			ASSERT_NE(m, nullptr);
			ask(m, k, RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM);
			m->tso_segsz = kMss;
			const uint32_t segments = (payload + kMss - 1) / kMss;
			const auto got = s.send(m, segments);
			sends++;
			ASSERT_EQ(got.size(), segments) << payload;
			uint32_t at = 0;
			for (const Frame& f : got) {
				const uint32_t n = static_cast<uint32_t>(f.size()) - headers(k);
				EXPECT_EQ(n, std::min(kMss, payload - at));
				EXPECT_TRUE(checksums_right(f, k)) << payload << " at " << at;
				EXPECT_TRUE(std::equal(f.begin() + headers(k), f.end(),
						       whole.begin() + headers(k) + at));
				const auto* tcp =
					reinterpret_cast<const rte_tcp_hdr*>(&f[14 + l3_length(k)]);
				EXPECT_EQ(rte_be_to_cpu_32(tcp->sent_seq), 1000 + at);
				EXPECT_EQ((tcp->tcp_flags & RTE_TCP_PSH_FLAG) != 0,
					  at + n == payload);
				at += n;
			}
			EXPECT_EQ(at, payload);
		}
	}
	const netvsp::NicStats stats = s.host.stats();
	EXPECT_EQ(stats.tx_lso, sends);
	EXPECT_EQ(stats.tx_lso_oversize, 0u);
	EXPECT_EQ(stats.tx_unseeded, 0u);
	EXPECT_EQ(stats.tx_not_enabled, 0u);
	EXPECT_TRUE(eventually([&] {
		rte_eth_tx_done_cleanup(s.port.id, 0, 0);
		return mbufs_out() == 0;
	}));
}

/* The catalogue's check value for "123456789", so that the test's own reading of it is right. */
static uint32_t crc32c(const uint8_t* p, size_t n)
{
	uint32_t crc = ~0u;
	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

/* An SCTP packet, and `padding` bytes behind it. Without a checksum: zero. */
static Frame sctp_packet(bool v6, uint32_t payload, uint32_t seed, bool checksum,
			 uint32_t padding = 0)
{
	Frame f = packet({v6, false}, payload + 4, seed); /* 8 bytes of UDP header, 12 of SCTP */
	const uint32_t l4 = 14 + l3_length({v6, false});
	f[v6 ? 20 : 23] = IPPROTO_SCTP;
	if (!v6) {
		auto* ip = reinterpret_cast<rte_ipv4_hdr*>(&f[14]);
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	}
	std::memset(&f[l4 + 4], 0, 8);
	if (checksum) {
		const uint32_t crc = rte_cpu_to_le_32(crc32c(&f[l4], f.size() - l4));
		std::memcpy(&f[l4 + 8], &crc, 4);
	}
	f.insert(f.end(), padding, 0xee);
	return f;
}

TEST_F(Offloads, SctpChecksums)
{
	ASSERT_EQ(crc32c(reinterpret_cast<const uint8_t*>("123456789"), 9), 0xe3069283u);
	const auto mtu = std::min<uint16_t>(announced().max_mtu, 9000);
	Bench s({.mtu = mtu,
		 .rx_offloads = RTE_ETH_RX_OFFLOAD_SCTP_CKSUM | RTE_ETH_RX_OFFLOAD_SCATTER,
		 .tx_offloads = RTE_ETH_TX_OFFLOAD_SCTP_CKSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
		 .pool = pools().small});
	for (const bool v6 : {false, true})
		for (const uint32_t payload :
		     {0u, 1u, 7u, 100u, 1400u, mtu - 100u}) { /* and no section */
			const Frame good =
				sctp_packet(v6, payload, payload, true, payload == 1 ? 9 : 0);
			const Frame bare =
				sctp_packet(v6, payload, payload, false, payload == 1 ? 9 : 0);
			const uint32_t l4 = 14 + l3_length({v6, false});
			/* In one piece, in many, and cut within the checksum. */
			for (const std::vector<uint32_t>& cut :
			     {std::vector<uint32_t>{}, {l4 + 10}, {14, l4 - 14, 9, 2}}) {
				std::vector<uint32_t> lengths = cut;
				uint32_t left = static_cast<uint32_t>(bare.size());
				for (const uint32_t n : cut)
					left -= n;
				lengths.push_back(left);
				rte_mbuf* m = to_chain(bare, lengths, pools().jumbo);
				ASSERT_NE(m, nullptr);
				m->l2_len = 14;
				m->l3_len = l3_length({v6, false});
				m->ol_flags |= RTE_MBUF_F_TX_SCTP_CKSUM |
					       (v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
				rte_pktmbuf_refcnt_update(
					m, 1); /* shared: not the driver's to change */
				EXPECT_EQ(s.send(m).at(0), good) << v6 << " " << payload;
				EXPECT_EQ(from_mbuf(m), bare);
				rte_pktmbuf_free(m);
			}
			for (const bool right : {true, false}) {
				Frame in = good;
				in[l4 + 9] ^= right ? 0 : 0x40;
				rte_mbuf* m = s.receive(in);
				ASSERT_NE(m, nullptr);
				EXPECT_EQ(m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK,
					  right ? RTE_MBUF_F_RX_L4_CKSUM_GOOD
						: RTE_MBUF_F_RX_L4_CKSUM_BAD);
				EXPECT_EQ(m->packet_type & RTE_PTYPE_L4_MASK,
					  uint32_t{RTE_PTYPE_L4_SCTP});
				rte_pktmbuf_free(m);
			}
		}
	/* An IP header that promises more than there is: nobody can say, and nobody is hurt. */
	Frame lies = sctp_packet(false, 100, 1, true);
	lies[16] = 0x20;
	rte_mbuf* m = s.receive(lies);
	ASSERT_NE(m, nullptr);
	EXPECT_EQ(m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK, 0u);
	rte_pktmbuf_free(m);
	EXPECT_EQ(s.port.stats().oerrors, 0u);
	/* Headers longer than the frame are refused. */
	m = to_mbuf(make_frame(60, 1));
	m->l2_len = 14;
	m->l3_len = 40;
	m->ol_flags |= RTE_MBUF_F_TX_SCTP_CKSUM | RTE_MBUF_F_TX_IPV6;
	EXPECT_EQ(rte_eth_tx_prepare(s.port.id, 0, &m, 1), 0);
	EXPECT_TRUE(s.port.send(m));
	EXPECT_EQ(s.port.stats().oerrors, 1u);
}

/* Refused by tx_prepare with a reason, and dropped and counted by a burst. */
TEST_F(Offloads, WhatNoHostCouldDo)
{
	Bench s({.tx_offloads = tx_checksums() | RTE_ETH_TX_OFFLOAD_TCP_TSO |
				RTE_ETH_TX_OFFLOAD_MULTI_SEGS});
	const Kind k{false, true};
	const auto refused = [&](uint64_t flags, uint32_t mss, int error) {
		rte_mbuf* m = to_mbuf(packet(k, 3000, 1, false));
		ask(m, k, flags);
		m->tso_segsz = static_cast<uint16_t>(mss);
		EXPECT_EQ(rte_eth_tx_prepare(s.port.id, 0, &m, 1), 0);
		EXPECT_EQ(rte_errno, error);
		EXPECT_EQ(s.port.tx(&m, 1), 1); /* taken, and dropped */
	};
	refused(RTE_MBUF_F_TX_TCP_SEG, 0, EINVAL);
	refused(RTE_MBUF_F_TX_SCTP_CKSUM, 0, EINVAL);
	EXPECT_EQ(s.port.stats().oerrors, 2u);
	EXPECT_EQ(s.port.stats().opackets, 0u);
	const Frame good = packet(k, 100, 2);
	EXPECT_EQ(s.send(to_mbuf(good)), std::vector<Frame>{good});
}

/* A port that was not configured for them sends no large sends, whatever an mbuf says. */
TEST_F(Offloads, NotConfigured)
{
	Bench s({});
	const Kind k{false, true};
	rte_mbuf* m = to_mbuf(packet(k, 3000, 1, false));
	ask(m, k, RTE_MBUF_F_TX_TCP_SEG);
	m->tso_segsz = 1000;
	EXPECT_EQ(s.port.tx(&m, 1), 1);
	EXPECT_EQ(s.port.stats().oerrors, 1u);
	const Frame good = packet(k, 100, 2);
	EXPECT_EQ(s.send(to_mbuf(good)), std::vector<Frame>{good});
	EXPECT_EQ(s.host.stats().tx_lso, 0u);
}

TEST_F(Offloads, AHostWithoutOffersNone)
{
	netvsp::NicConfig config;
	config.tx_csum = config.rx_csum = 0;
	config.lso_max = 0;
	Bench s({}, "", config);
	const rte_eth_dev_info info = s.port.info();
	EXPECT_EQ(info.rx_offload_capa & kRxChecksums, 0u);
	EXPECT_EQ(info.tx_offload_capa & (kTxChecksums | RTE_ETH_TX_OFFLOAD_TCP_TSO), 0u);
	rte_eth_conf conf{};
	conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_TCP_TSO;
	s.port.stop();
	EXPECT_EQ(rte_eth_dev_configure(s.port.id, 1, 1, &conf), -EINVAL);
}

static Frame tagged(const Frame& frame, uint16_t tci, uint16_t tpid = 0x8100)
{
	Frame f = frame;
	const uint8_t tag[] = {uint8_t(tpid >> 8), uint8_t(tpid), uint8_t(tci >> 8), uint8_t(tci)};
	f.insert(f.begin() + 12, tag, tag + 4);
	return f;
}

/* Priority 5, CFI, id 0x123: no bit may be lost or change its place. */
constexpr uint16_t kTci = 0xb123;

TEST_F(Offloads, TagStripped)
{
	NEEDS(announced().rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP, "tags beside frames");
	for (const char* how : {"", "rx_extmbuf_enable=1,rx_copybreak=0"}) {
		Bench s({.rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP}, how);
		const Frame inner = packet(kKinds[0], 300, 1);
		rte_mbuf* m = s.receive(tagged(inner, kTci));
		ASSERT_NE(m, nullptr);
		EXPECT_EQ(from_mbuf(m), inner);
		EXPECT_EQ(m->ol_flags & (RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED),
			  RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED);
		EXPECT_EQ(m->vlan_tci, kTci);
		rte_pktmbuf_free(m);
		m = s.receive(inner);
		ASSERT_NE(m, nullptr);
		EXPECT_EQ(m->ol_flags & ~RTE_MBUF_F_EXTERNAL, 0u);
		rte_pktmbuf_free(m);
		EXPECT_EQ(s.host.stats().rx_vlan, 1u);
	}
}

TEST_F(Offloads, TagPutBack)
{
	NEEDS(announced().rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP, "tags beside frames");
	for (const char* how : {"", "rx_extmbuf_enable=1,rx_copybreak=0"}) {
		Bench s({}, how);
		for (const uint32_t payload : {10u, 300u, 1400u}) {
			const Frame frame = tagged(packet(kKinds[0], payload, 1), kTci);
			rte_mbuf* m = s.receive(frame);
			ASSERT_NE(m, nullptr);
			EXPECT_EQ(from_mbuf(m), frame);
			EXPECT_EQ(m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED, 0u);
			rte_pktmbuf_free(m);
		}
		EXPECT_EQ(s.host.stats().rx_vlan, 3u);
		/* Switched at run time. */
		EXPECT_EQ(rte_eth_dev_set_vlan_offload(s.port.id, RTE_ETH_VLAN_STRIP_OFFLOAD), 0);
		const Frame inner = packet(kKinds[0], 100, 2);
		rte_mbuf* m = s.receive(tagged(inner, kTci));
		ASSERT_NE(m, nullptr);
		EXPECT_EQ(from_mbuf(m), inner);
		EXPECT_EQ(m->vlan_tci, kTci);
		rte_pktmbuf_free(m);
	}
}

TEST_F(Offloads, TagInserted)
{
	NEEDS(announced().tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT, "tags beside frames");
	for (const char* how : {"", "tx_copybreak=0"}) {
		Bench s({.tx_offloads = tx_checksums() | RTE_ETH_TX_OFFLOAD_VLAN_INSERT |
					RTE_ETH_TX_OFFLOAD_MULTI_SEGS},
			how);
		const Frame inner = packet(kKinds[0], 300, 1);
		rte_mbuf* m = to_mbuf(packet(kKinds[0], 300, 1, false));
		ask(m, kKinds[0], RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_VLAN);
		m->vlan_tci = kTci;
		EXPECT_EQ(s.send(m), std::vector<Frame>{tagged(inner, kTci)});
		/* One that is in the frame already is the frame's. */
		EXPECT_EQ(s.send(to_mbuf(tagged(inner, 7))), std::vector<Frame>{tagged(inner, 7)});
		EXPECT_EQ(s.host.stats().tx_vlan, 1u);
	}
}

TEST_F(Offloads, TwoTagsPassWhole)
{
	NEEDS(announced().rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP, "tags beside frames");
	Bench s({.rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP});
	const Frame frame = tagged(tagged(packet(kKinds[0], 300, 1), 5), 9, 0x88a8);
	rte_mbuf* m = s.receive(frame);
	ASSERT_NE(m, nullptr);
	EXPECT_EQ(from_mbuf(m), frame);
	EXPECT_EQ(m->ol_flags, 0u);
	rte_pktmbuf_free(m);
	EXPECT_EQ(s.send(to_mbuf(frame)), std::vector<Frame>{frame});
}

TEST_F(Offloads, PacketTypes)
{
	Bench s({});
	uint32_t types[16];
	EXPECT_GT(rte_eth_dev_get_supported_ptypes(s.port.id, RTE_PTYPE_ALL_MASK, types, 16), 0);
	const auto type = [&](Kind k) {
		rte_mbuf* m = s.receive(packet(k, 100, 1));
		const uint32_t t = m != nullptr ? m->packet_type : 0;
		rte_pktmbuf_free(m);
		return t;
	};
	EXPECT_EQ(type({false, true}), RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_TCP);
	EXPECT_EQ(type({true, false}), RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV6 | RTE_PTYPE_L4_UDP);
	s.port.stop();
	EXPECT_EQ(rte_eth_dev_set_ptypes(s.port.id, RTE_PTYPE_UNKNOWN, nullptr, 0), 0);
	ASSERT_EQ(s.port.start(), 0);
	EXPECT_EQ(type({false, true}), 0u);
}

static bool same(const rte_ether_addr& a, const rte_ether_addr& b)
{
	return rte_is_same_ether_addr(&a, &b);
}

TEST_F(Offloads, MacAddress)
{
	NEEDS(!profile().ignores_mac, "way to change its MAC address");
	Bench s({});
	rte_ether_addr mac = {{0x02, 0x11, 0x22, 0x33, 0x44, 0x55}};
	ASSERT_EQ(rte_eth_dev_default_mac_addr_set(s.port.id, &mac), 0);
	EXPECT_TRUE(same(s.port.mac(), mac));
	EXPECT_TRUE(same(s.host_mac(), mac));
	/* The host forgets it with the connection, the port does not. */
	s.port.stop();
	if (announced().max_mtu > 1500) {
		EXPECT_EQ(rte_eth_dev_set_mtu(s.port.id, 1400), 0);
	}
	ASSERT_EQ(s.port.start(), 0);
	EXPECT_TRUE(same(s.port.mac(), mac));
	EXPECT_TRUE(same(s.host_mac(), mac));

	netvsp::NicConfig fixed;
	fixed.set_mac = false;
	Bench t({}, "", fixed);
	const rte_ether_addr before = t.port.mac();
	EXPECT_NE(rte_eth_dev_default_mac_addr_set(t.port.id, &mac), 0);
	EXPECT_TRUE(same(t.port.mac(), before));
	EXPECT_TRUE(same(t.host_mac(), before));
}

} // namespace scenario
