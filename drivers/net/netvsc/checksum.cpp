/* SPDX-License-Identifier: BSD-3-Clause */
#include "checksum.hpp"

#include <algorithm>
#include <cstring>

#include <isa-l/crc.h>
#include <rte_ip.h>
#include <rte_net.h>
#include <rte_udp.h>

namespace netvsc {

static constexpr uint32_t kChecksumAt = 8;

/* `length` bytes of a chain from `offset` on, those of the checksum taken for zero. */
static uint32_t crc_of(const rte_mbuf* m, uint32_t offset, uint32_t length)
{
	static uint8_t zeros[4];
	uint32_t crc = ~0u;
	/* ISA-L takes bytes as not const, and does not write them. */
	const auto add = [&crc](const uint8_t* p, uint32_t n) {
		crc = crc32_iscsi(const_cast<uint8_t*>(p), static_cast<int>(n), crc);
	};
	uint32_t position = 0; /* in the SCTP packet */
	for (; m != nullptr && position < length; m = m->next) {
		if (offset >= m->data_len) {
			offset -= m->data_len;
			continue;
		}
		const auto* p = rte_pktmbuf_mtod_offset(m, const uint8_t*, offset);
		uint32_t n = std::min<uint32_t>(m->data_len - offset, length - position);
		offset = 0;
		while (n != 0) {
			const uint32_t behind = kChecksumAt + 4;
			uint32_t part = n;
			if (position < kChecksumAt) {
				part = std::min(n, kChecksumAt - position);
				add(p, part);
			} else if (position < behind) {
				part = std::min(n, behind - position);
				add(zeros, part);
			} else {
				add(p, part);
			}
			p += part;
			n -= part;
			position += part;
		}
	}
	return ~crc;
}

/* Bytes of the frame from a layer 4 header of this size to the end of the IP packet; 0 = nonsense
 */
static uint32_t length_by_ip(const uint8_t* ip, uint32_t l3, uint32_t l4, uint32_t header,
			     uint32_t frame)
{
	uint16_t length;
	const bool v6 = ip[0] >> 4 == 6;
	std::memcpy(&length,
		    ip + (v6 ? offsetof(rte_ipv6_hdr, payload_len)
			     : offsetof(rte_ipv4_hdr, total_length)),
		    sizeof(length));
	const uint32_t end = l3 + (v6 ? sizeof(rte_ipv6_hdr) : 0) + rte_be_to_cpu_16(length);
	return end <= frame && end >= l4 + header ? end - l4 : 0;
}

static void seal_sctp(uint8_t* frame, uint32_t l4, uint32_t n)
{
	std::memset(frame + l4 + kChecksumAt, 0, 4);
	const uint32_t crc = rte_cpu_to_le_32(~crc32_iscsi(frame + l4, static_cast<int>(n), ~0u));
	std::memcpy(frame + l4 + kChecksumAt, &crc, sizeof(crc));
}

/* A checksum of zero says that there is none (RFC 768). */
static void seal_udp(uint8_t* frame, uint32_t l3, uint32_t l4, uint32_t n)
{
	rte_ipv4_hdr ip;
	std::memcpy(&ip, frame + l3, sizeof(ip));
	ip.total_length = rte_cpu_to_be_16(static_cast<uint16_t>(n + sizeof(ip)));
	ip.version_ihl = RTE_IPV4_VHL_DEF; /* so that the pseudo header has n bytes */
	uint8_t* field = frame + l4 + offsetof(rte_udp_hdr, dgram_cksum);
	const uint16_t pseudo = rte_ipv4_phdr_cksum(&ip, 0);
	std::memset(field, 0, sizeof(pseudo));
	const uint32_t sum = uint32_t{rte_raw_cksum(frame + l4, n)} + pseudo;
	uint16_t checksum = static_cast<uint16_t>(~((sum >> 16) + (sum & 0xffff)));
	checksum = checksum == 0 ? 0xffff : checksum;
	std::memcpy(field, &checksum, sizeof(checksum));
}

void seal(Seal what, uint8_t* frame, uint32_t length, uint32_t l3, uint32_t l4)
{
	const uint32_t header = what == Seal::kSctp ? kSctpHeader : sizeof(rte_udp_hdr);
	const uint32_t n = length_by_ip(frame + l3, l3, l4, header, length);
	if (n == 0)
		return;
	if (what == Seal::kSctp)
		seal_sctp(frame, l4, n);
	else
		seal_udp(frame, l3, l4, n);
}

bool is_azures_datagram(const rte_mbuf& m)
{
	static constexpr uint32_t kMost = 1420;
	rte_be16_t fragment = 0;
	if (m.pkt_len <= kMost + m.l2_len)
		return false;
	const void* at = rte_pktmbuf_read(&m, m.l2_len + offsetof(rte_ipv4_hdr, fragment_offset),
					  sizeof(fragment), &fragment);
	if (at == nullptr)
		return false;
	std::memcpy(&fragment, at, sizeof(fragment));
	return (fragment & RTE_BE16(RTE_IPV4_HDR_DF_FLAG)) == 0;
}

void verify_sctp(rte_mbuf* m, uint32_t mask)
{
	rte_net_hdr_lens lens;
	const uint32_t type = rte_net_get_ptype(m, &lens, RTE_PTYPE_ALL_MASK);
	m->packet_type = type & mask;
	if ((type & RTE_PTYPE_L4_MASK) != RTE_PTYPE_L4_SCTP)
		return;
	const uint32_t l3 = lens.l2_len;
	const uint32_t l4 = l3 + lens.l3_len;
	if (l4 + kSctpHeader > m->data_len)
		return; /* headers in pieces: unknown */
	const auto* frame = rte_pktmbuf_mtod(m, const uint8_t*);
	const uint32_t n = length_by_ip(frame + l3, l3, l4, kSctpHeader, m->pkt_len);
	if (n == 0)
		return;
	uint32_t has;
	std::memcpy(&has, frame + l4 + kChecksumAt, sizeof(has));
	m->ol_flags &= ~RTE_MBUF_F_RX_L4_CKSUM_MASK;
	m->ol_flags |= rte_le_to_cpu_32(has) == crc_of(m, l4, n) ? RTE_MBUF_F_RX_L4_CKSUM_GOOD
								 : RTE_MBUF_F_RX_L4_CKSUM_BAD;
}

} // namespace netvsc
