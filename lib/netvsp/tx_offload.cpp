/* SPDX-License-Identifier: BSD-3-Clause */
#include "tx_offload.hpp"

#include <algorithm>
#include <cstring>

#include "netvsc/ndis.hpp"

#include "inet.hpp"
#include "offload.hpp"

namespace netvsp {

namespace {

constexpr uint32_t kL4Checksums = kChecksumTcp4 | kChecksumUdp4 | kChecksumTcp6 | kChecksumUdp6;
constexpr uint32_t kUdpChecksums = kChecksumUdp4 | kChecksumUdp6;
constexpr uint32_t kTcpChecksumAt = 16;
constexpr uint32_t kUdpChecksumAt = 6;
constexpr uint32_t kMaxIpLength = 0xffff;
constexpr uint16_t kDontFragment = 0x4000;
constexpr uint8_t kTcpFin = 0x01;
constexpr uint8_t kTcpPush = 0x08;
constexpr uint8_t kTcpCwr = 0x80;

uint16_t inverted(uint32_t sum)
{
	return uint16_t(~sum);
}

void set_ip4_checksum(uint8_t* l3)
{
	store16(l3 + 10, 0);
	store16(l3 + 10, inverted(inet_sum(l3, (l3[0] & 15u) * 4)));
}

bool ip4_header_fits(const uint8_t* frame, uint32_t end)
{
	uint32_t header = (frame[kEthernetHeader] & 15u) * 4;
	return header >= kIp4Header && kEthernetHeader + header <= end;
}

} // namespace

void TxRequest::read_checksum(uint32_t info)
{
	bool v4 = info & ndis::kTxChecksumIp4;
	v6 = !v4 && (info & ndis::kTxChecksumIp6);
	checksums = 0;
	if (v4 && (info & ndis::kTxChecksumIpHeader))
		checksums |= kChecksumIp4;
	if ((v4 || v6) && (info & ndis::kTxChecksumTcp))
		checksums |= v6 ? kChecksumTcp6 : kChecksumTcp4;
	else if ((v4 || v6) && (info & ndis::kTxChecksumUdp))
		checksums |= v6 ? kChecksumUdp6 : kChecksumUdp4;
	l4 = ndis::kTxChecksumL4Offset.get(info);
}

void TxRequest::read_lso(uint32_t info)
{
	large = true;
	v6 = info & ndis::kLsoIp6;
	checksums = v6 ? kChecksumTcp6 : kChecksumTcp4 | kChecksumIp4;
	mss = ndis::kLsoMss.get(info);
	l4 = ndis::kLsoTcpOffset.get(info);
}

void TxRequest::read_vlan(uint32_t info)
{
	tagged = true;
	tag = uint16_t(ndis::kVlanPriority.get(info) << 13 | ndis::kVlanCfi.get(info) << 12 |
		       ndis::kVlanId.get(info));
}

bool TxRequest::complete(uint32_t frame_length)
{
	if (!(checksums & kL4Checksums))
		return true;
	uint32_t least = kEthernetHeader + (v6 ? kIp6Header : kIp4Header);
	if (l4 == 0 && !large) {
		l4 = least;
		return true;
	}
	return l4 >= least && l4 < frame_length;
}

bool is_long_datagram(const uint8_t* frame, uint32_t length, uint32_t most)
{
	const uint8_t* ip = frame + kEthernetHeader;
	return length >= kEthernetHeader + kIp4Header && ip[0] >> 4 == 4 && ip[9] == kProtocolUdp &&
	       load16(ip + 2) > most && (load16(ip + 6) & kDontFragment) == 0;
}

bool compute_checksums(uint8_t* frame, uint32_t length, const TxRequest& request, bool& seeded,
		       FrameOffload* left)
{
	uint32_t least = kEthernetHeader + (request.v6 ? kIp6Header : kIp4Header);
	uint8_t* l3 = frame + kEthernetHeader;
	if (length < least || l3[0] >> 4 != (request.v6 ? 6 : 4))
		return false;
	uint32_t end = request.v6 ? least + load16(l3 + 4) : kEthernetHeader + load16(l3 + 2);
	if (end > length || end < least)
		return false;
	if (!request.v6 && !ip4_header_fits(frame, end))
		return false;
	if (request.checksums & kL4Checksums) {
		bool udp = request.checksums & kUdpChecksums;
		uint32_t header = udp ? kUdpHeader : kTcpHeader;
		if (request.l4 > end || end - request.l4 < header)
			return false;
		uint8_t* l4 = frame + request.l4;
		uint8_t* field = l4 + (udp ? kUdpChecksumAt : kTcpChecksumAt);
		uint32_t pseudo = pseudo_sum(l3, request.v6, udp ? kProtocolUdp : kProtocolTcp,
					     end - request.l4);
		seeded = load16(field) == pseudo;
		/* Who sums up to the frame's end must find nothing behind the packet. */
		if (left && end == length) {
			store16(field, pseudo);
			left->checksum = true;
			left->checksum_start = request.l4;
			left->checksum_offset = udp ? kUdpChecksumAt : kTcpChecksumAt;
		} else {
			store16(field, 0);
			uint16_t sum = inverted(inet_sum(l4, end - request.l4, pseudo));
			/* A UDP checksum of zero says that there is none. */
			store16(field, udp && sum == 0 ? 0xffff : sum);
		}
	}
	if (request.checksums & kChecksumIp4)
		set_ip4_checksum(l3);
	return true;
}

uint8_t* insert_tag(uint8_t* frame, uint16_t tag)
{
	memmove(frame - kVlanTag, frame, 12);
	store16(frame + 12 - kVlanTag, kTypeVlan);
	store16(frame + 14 - kVlanTag, tag);
	return frame - kVlanTag;
}

bool Segmenter::start(const uint8_t* frame, uint32_t length, const TxRequest& request)
{
	const uint8_t* l3 = frame + kEthernetHeader;
	uint32_t least = kEthernetHeader + (request.v6 ? kIp6Header : kIp4Header);
	if (request.mss == 0 || request.l4 < least || length < kTcpHeader ||
	    request.l4 > length - kTcpHeader || l3[0] >> 4 != (request.v6 ? 6 : 4))
		return false;
	if (!request.v6 && !ip4_header_fits(frame, request.l4))
		return false;
	const uint8_t* tcp = frame + request.l4;
	uint32_t tcp_length = (tcp[12] >> 4) * 4u;
	if (tcp_length < kTcpHeader || tcp_length > length - request.l4)
		return false;
	frame_ = frame;
	v6_ = request.v6;
	l4_ = request.l4;
	headers_ = request.l4 + tcp_length;
	payload_ = length - headers_;
	mss_ = request.mss;
	count_ = payload_ == 0 ? 1 : (payload_ - 1) / mss_ + 1;
	/* The length of a segment is not known to who fills the field in. */
	seeded_ = load16(tcp + kTcpChecksumAt) == pseudo_sum(l3, v6_, kProtocolTcp, 0);
	return true;
}

uint32_t Segmenter::frame_length() const
{
	return headers_ + std::min(payload_, mss_);
}

uint32_t Segmenter::build(uint32_t number, uint8_t* to) const
{
	uint32_t offset = number * mss_;
	uint32_t share = std::min(mss_, payload_ - offset);
	memcpy(to, frame_, headers_);
	memcpy(to + headers_, frame_ + headers_ + offset, share);
	uint32_t length = headers_ + share;
	uint8_t* l3 = to + kEthernetHeader;
	if (v6_) {
		store16(l3 + 4, length - kEthernetHeader - kIp6Header);
	} else {
		store16(l3 + 2, length - kEthernetHeader);
		store16(l3 + 4, load16(l3 + 4) + number);
		set_ip4_checksum(l3);
	}
	uint8_t* tcp = to + l4_;
	store32(tcp + 4, load32(tcp + 4) + offset);
	if (number + 1 < count_)
		tcp[13] &= uint8_t(~(kTcpFin | kTcpPush));
	if (number != 0)
		tcp[13] &= uint8_t(~kTcpCwr);
	store16(tcp + kTcpChecksumAt, 0);
	uint32_t pseudo = pseudo_sum(l3, v6_, kProtocolTcp, length - l4_);
	store16(tcp + kTcpChecksumAt, inverted(inet_sum(tcp, length - l4_, pseudo)));
	return length;
}

bool Segmenter::can_be_whole() const
{
	const uint32_t packet = headers_ + payload_ - kEthernetHeader;
	return (v6_ ? packet - kIp6Header : packet) <= kMaxIpLength;
}

void Segmenter::whole(uint8_t* frame, FrameOffload& left) const
{
	const uint32_t length = headers_ + payload_;
	uint8_t* l3 = frame + kEthernetHeader;
	/* Guests may leave the packet's length out. */
	if (v6_) {
		store16(l3 + 4, length - kEthernetHeader - kIp6Header);
	} else {
		store16(l3 + 2, length - kEthernetHeader);
		set_ip4_checksum(l3);
	}
	store16(frame + l4_ + kTcpChecksumAt, pseudo_sum(l3, v6_, kProtocolTcp, length - l4_));
	left.checksum = true;
	left.checksum_start = l4_;
	left.checksum_offset = kTcpChecksumAt;
	left.mss = count_ > 1 ? mss_ : 0;
	left.v6 = v6_;
	left.headers = headers_;
}

} // namespace netvsp
