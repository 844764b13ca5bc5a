/* SPDX-License-Identifier: BSD-3-Clause */
/** TCP and UDP packets, and a NIC between a test and a network that the test plays. */
#pragma once

#include <cstring>

#include <rte_ip.h>
#include <rte_net.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "support.hpp"

namespace scenario {

inline constexpr uint64_t kRxChecksums = RTE_ETH_RX_OFFLOAD_CHECKSUM;
inline constexpr uint64_t kTxChecksums =
	RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;

struct Kind {
	bool v6;
	bool tcp;
};
inline constexpr Kind kKinds[] = {{false, true}, {false, false}, {true, true}, {true, false}};

/** Whether hosts compute and verify this one's checksums: old ones know nothing of UDP. */
inline bool in_hardware(Kind k)
{
	return k.tcp || (announced().tx_offload_capa & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0;
}

inline uint64_t rx_checksums()
{
	return kRxChecksums & announced().rx_offload_capa;
}

inline uint64_t tx_checksums()
{
	return kTxChecksums & announced().tx_offload_capa;
}

inline uint32_t l3_length(Kind k)
{
	return k.v6 ? sizeof(rte_ipv6_hdr) : sizeof(rte_ipv4_hdr);
}

inline uint32_t headers(Kind k)
{
	return 14 + l3_length(k) + (k.tcp ? sizeof(rte_tcp_hdr) : sizeof(rte_udp_hdr));
}

inline uint16_t l4_checksum(const Frame& frame, Kind k)
{
	const uint8_t* l3 = &frame[14];
	const uint8_t* l4 = l3 + l3_length(k);
	return k.v6 ? rte_ipv6_udptcp_cksum(reinterpret_cast<const rte_ipv6_hdr*>(l3), l4)
		    : rte_ipv4_udptcp_cksum(reinterpret_cast<const rte_ipv4_hdr*>(l3), l4);
}

inline size_t l4_checksum_at(Kind k)
{
	return 14 + l3_length(k) +
	       (k.tcp ? offsetof(rte_tcp_hdr, cksum) : offsetof(rte_udp_hdr, dgram_cksum));
}

/* With right checksums, or with none of them. */
inline Frame packet(Kind k, uint32_t payload, uint32_t seed, bool checksums = true)
{
	Frame frame = make_frame(headers(k) + payload, seed);
	std::fill(&frame[12], &frame[0] + headers(k), 0);
	frame[12] = k.v6 ? 0x86 : 0x08;
	frame[13] = k.v6 ? 0xdd : 0x00;
	const auto l3_payload = static_cast<uint16_t>(frame.size() - 14 - l3_length(k));
	uint8_t* l3 = &frame[14];
	if (k.v6) {
		auto* ip = reinterpret_cast<rte_ipv6_hdr*>(l3);
		ip->vtc_flow = rte_cpu_to_be_32(6u << 28);
		ip->payload_len = rte_cpu_to_be_16(l3_payload);
		ip->proto = k.tcp ? IPPROTO_TCP : IPPROTO_UDP;
		ip->hop_limits = 64;
		l3[8] = l3[24] = 0xfd;
		l3[23] = 1;
		l3[39] = 2;
	} else {
		auto* ip = reinterpret_cast<rte_ipv4_hdr*>(l3);
		ip->version_ihl = 0x45;
		ip->total_length = rte_cpu_to_be_16(static_cast<uint16_t>(l3_payload + 20));
		ip->packet_id = rte_cpu_to_be_16(77);
		ip->time_to_live = 64;
		ip->next_proto_id = k.tcp ? IPPROTO_TCP : IPPROTO_UDP;
		ip->src_addr = rte_cpu_to_be_32(0x0a000001);
		ip->dst_addr = rte_cpu_to_be_32(0x0a000002);
		if (checksums)
			ip->hdr_checksum = rte_ipv4_cksum(ip);
	}
	uint8_t* l4 = l3 + l3_length(k);
	l4[1] = 10;
	l4[3] = 20;
	if (k.tcp) {
		auto* tcp = reinterpret_cast<rte_tcp_hdr*>(l4);
		tcp->sent_seq = rte_cpu_to_be_32(1000);
		tcp->data_off = 5 << 4;
		tcp->tcp_flags = RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG;
		tcp->rx_win = 0xffff;
	} else {
		reinterpret_cast<rte_udp_hdr*>(l4)->dgram_len = rte_cpu_to_be_16(l3_payload);
	}
	if (checksums) {
		const uint16_t sum = l4_checksum(frame, k);
		std::memcpy(&frame[l4_checksum_at(k)], &sum, sizeof(sum));
	}
	return frame;
}

/* What rte_net says of a frame that arrived. */
inline bool checksums_right(Frame frame, Kind k)
{
	uint16_t sum;
	std::memcpy(&sum, &frame[l4_checksum_at(k)], sizeof(sum));
	std::fill_n(&frame[l4_checksum_at(k)], 2, 0);
	if (l4_checksum(frame, k) != sum)
		return false;
	return k.v6 || rte_raw_cksum(&frame[14], sizeof(rte_ipv4_hdr)) == 0xffff;
}

struct Bench {
	explicit Bench(const PortOptions& options, const std::string& more = "",
		       netvsp::NicConfig config = {})
		: wire(std::make_shared<Wire>()), host(config, wire), port(host.args(more))
	{
		port.up(options);
	}
	rte_mbuf* receive(const Frame& frame)
	{
		wire->inject(frame);
		rte_mbuf* m = nullptr;
		eventually([&] { return port.rx(&m, 1) == 1; });
		return m;
	}
	std::vector<Frame> send(rte_mbuf* m, size_t frames = 1)
	{
		EXPECT_EQ(rte_eth_tx_prepare(port.id, 0, &m, 1), 1) << rte_strerror(rte_errno);
		EXPECT_TRUE(port.send(m));
		EXPECT_TRUE(eventually([&] { return wire->taken_count() >= seen + frames; }));
		std::vector<Frame> all = wire->taken();
		all.erase(all.begin(), all.begin() + static_cast<long>(seen));
		seen += all.size();
		return all;
	}
	/* The address that the host has for the NIC. */
	rte_ether_addr host_mac()
	{
		rte_ether_addr mac;
		const netvsp::NicStats stats = host.stats();
		std::copy(stats.mac.begin(), stats.mac.end(), mac.addr_bytes);
		return mac;
	}
	std::shared_ptr<Wire> wire;
	TestHost host;
	Port port;
	size_t seen = 0; /* frames that send() has returned */
};

inline void ask(rte_mbuf* m, Kind k, uint64_t flags)
{
	m->l2_len = 14;
	m->l3_len = l3_length(k);
	m->l4_len = k.tcp ? sizeof(rte_tcp_hdr) : sizeof(rte_udp_hdr);
	m->ol_flags |=
		flags | (k.v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM);
}

} // namespace scenario
