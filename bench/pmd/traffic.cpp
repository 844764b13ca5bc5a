/* SPDX-License-Identifier: BSD-3-Clause */
#include "traffic.hpp"

#include <algorithm>
#include <cstring>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

namespace bench {

namespace {

constexpr uint32_t kEthernet = sizeof(rte_ether_hdr);
constexpr uint32_t kL4 = kEthernet + sizeof(rte_ipv4_hdr);
constexpr uint32_t kUdpEnd = kL4 + sizeof(rte_udp_hdr);
constexpr uint32_t kTcpEnd = kL4 + sizeof(rte_tcp_hdr);
constexpr uint16_t kTag = 0x6123; /* priority 3, VLAN 0x123 */
constexpr uint16_t kMss = 1448;
constexpr uint16_t kPort = 1024;

uint32_t size_of(uint32_t size, uint32_t i)
{
	static constexpr uint32_t kMixed[12] = {64,   594, 64,	64, 594, 64,
						1518, 64,  594, 64, 594, 64};
	return size == kImix ? kMixed[i % 12] : size;
}

/* Broadcast, which passes every filter whatever the NIC's address. */
Bytes make(uint32_t number, uint32_t size, uint16_t flow, bool tcp)
{
	Bytes frame(size);
	auto* ethernet = reinterpret_cast<rte_ether_hdr*>(frame.data());
	std::memset(&ethernet->dst_addr, 0xff, 6);
	const uint8_t source[6] = {2, 0, 0, 0, 0, 1};
	std::memcpy(&ethernet->src_addr, source, 6);
	ethernet->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	auto* ip = reinterpret_cast<rte_ipv4_hdr*>(&frame[kEthernet]);
	ip->version_ihl = RTE_IPV4_VHL_DEF;
	ip->total_length = rte_cpu_to_be_16(static_cast<uint16_t>(size - kEthernet));
	ip->time_to_live = 64;
	ip->next_proto_id = tcp ? IPPROTO_TCP : IPPROTO_UDP;
	ip->src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 1, 0, 0) | flow);
	ip->dst_addr = rte_cpu_to_be_32(RTE_IPV4(10, 0, 0, 2));
	const uint32_t payload = tcp ? kTcpEnd : kUdpEnd;
	std::memcpy(&frame[payload], &number, 4);
	for (uint32_t at = payload + 4; at < size; at++)
		frame[at] = static_cast<uint8_t>(at * 7 + number);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	if (tcp) {
		auto* header = reinterpret_cast<rte_tcp_hdr*>(&frame[kL4]);
		header->src_port = rte_cpu_to_be_16(kPort);
		header->dst_port = rte_cpu_to_be_16(9);
		header->data_off = 5 << 4;
		header->tcp_flags = RTE_TCP_ACK_FLAG;
		header->rx_win = 0xffff;
	} else {
		auto* header = reinterpret_cast<rte_udp_hdr*>(&frame[kL4]);
		header->src_port = rte_cpu_to_be_16(kPort);
		header->dst_port = rte_cpu_to_be_16(9);
		header->dgram_len = rte_cpu_to_be_16(static_cast<uint16_t>(size - kL4));
		header->dgram_cksum = rte_ipv4_udptcp_cksum(ip, header);
	}
	return frame;
}

Bytes with_tag(const Bytes& frame)
{
	Bytes tagged(frame.begin(), frame.begin() + 12);
	const uint8_t tag[4] = {0x81, 0x00, kTag >> 8, kTag & 0xff};
	tagged.insert(tagged.end(), tag, tag + 4);
	tagged.insert(tagged.end(), frame.begin() + 12, frame.end());
	return tagged;
}

} // namespace

Traffic::Traffic(const Case& c, const std::vector<uint16_t>& flows)
{
	const bool large = c.offload == Offload::kTso;
	for (uint32_t i = 0; i < flows.size(); i++) {
		guest_.push_back(make(i, size_of(c.size, i), flows[i], large));
		wire_.push_back(c.offload == Offload::kChecksumVlan ? with_tag(guest_.back())
								    : guest_.back());
	}
	headers_ = large ? kTcpEnd : 0;
}

int64_t Traffic::find(const std::vector<Bytes>& among, const uint8_t* data, uint32_t length) const
{
	uint32_t number;
	const uint32_t tag =
		&among == &wire_ ? static_cast<uint32_t>(wire_[0].size() - guest_[0].size()) : 0;
	const uint32_t at = tag + (headers_ != 0 ? headers_ : kUdpEnd);
	if (length < at + 4)
		return -1;
	std::memcpy(&number, data + at, 4);
	if (number >= among.size() || among[number].size() != length ||
	    std::memcmp(among[number].data() + headers_, data + headers_, length - headers_) != 0)
		return -1;
	return number;
}

int64_t Traffic::find_guest(const rte_mbuf& m) const
{
	if (m.nb_segs == 1)
		return find(guest_, rte_pktmbuf_mtod(&m, const uint8_t*), m.pkt_len);
	Bytes whole(m.pkt_len);
	const void* data = rte_pktmbuf_read(&m, 0, m.pkt_len, whole.data());
	return data == nullptr ? -1 : find(guest_, static_cast<const uint8_t*>(data), m.pkt_len);
}

/* What the application leaves to the host is as it must be then: the pseudo header's sum. */
static void ask_for_offloads(rte_mbuf* m, const Case& c)
{
	m->l2_len = kEthernet;
	m->l3_len = sizeof(rte_ipv4_hdr);
	m->ol_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	auto* ip = rte_pktmbuf_mtod_offset(m, rte_ipv4_hdr*, kEthernet);
	ip->hdr_checksum = 0;
	if (c.offload == Offload::kTso) {
		m->l4_len = sizeof(rte_tcp_hdr);
		m->tso_segsz = kMss;
		m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM;
		auto* tcp = rte_pktmbuf_mtod_offset(m, rte_tcp_hdr*, kL4);
		tcp->cksum = rte_ipv4_phdr_cksum(ip, m->ol_flags);
	} else {
		m->vlan_tci = kTag;
		m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_VLAN;
		auto* udp = rte_pktmbuf_mtod_offset(m, rte_udp_hdr*, kL4);
		udp->dgram_cksum = rte_ipv4_phdr_cksum(ip, m->ol_flags);
	}
}

bool Traffic::fill(rte_mbuf* m, uint32_t i, const Case& c) const
{
	const Bytes& frame = guest_[i];
	const auto size = static_cast<uint32_t>(frame.size());
	const uint32_t pieces = std::min(c.segments, size / 16);
	const uint32_t each = (size + pieces - 1) / pieces;
	rte_mbuf* last = m;
	for (uint32_t at = 0; at < size; at += each) {
		if (at != 0) {
			last->next = rte_pktmbuf_alloc(m->pool);
			if (last->next == nullptr)
				return false;
			last = last->next;
			m->nb_segs++;
		}
		const uint32_t n = std::min(each, size - at);
		std::memcpy(rte_pktmbuf_mtod(last, void*), &frame[at], n);
		last->data_len = static_cast<uint16_t>(n);
	}
	m->pkt_len = size;
	if (c.offload != Offload::kNone)
		ask_for_offloads(m, c);
	return true;
}

void Feed::use(const Traffic* traffic, uint32_t first, uint32_t count, bool large_sends)
{
	traffic_ = traffic;
	first_ = first;
	count_ = count;
	next_ = 0;
	budget_ = taken_ = damaged_ = 0;
	large_sends_ = large_sends;
	check(false);
}

bool Feed::send(const uint8_t* frame, uint32_t length)
{
	taken_++;
	if (checking_) {
		damaged_ += traffic_ == nullptr || traffic_->find_wire(frame, length) < 0;
		taken_at_.push_back(const_cast<uint8_t*>(frame));
	}
	return true;
}

bool Feed::send_offload(const uint8_t* frame, uint32_t length, const netvsp::FrameOffload&)
{
	return send(frame, length);
}

uint32_t Feed::receive(uint8_t* room, uint32_t capacity)
{
	if (budget_ == 0)
		return 0;
	const Bytes& frame = traffic_->wire(first_ + next_);
	if (frame.size() > capacity)
		return 0;
	budget_--;
	next_ = next_ + 1 == count_ ? 0 : next_ + 1;
	std::memcpy(room, frame.data(), frame.size());
	if (checking_)
		given_at_.push_back(room);
	return static_cast<uint32_t>(frame.size());
}

} // namespace bench
