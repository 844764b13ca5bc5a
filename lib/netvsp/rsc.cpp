/* SPDX-License-Identifier: BSD-3-Clause */
#include "rsc.hpp"

#include <algorithm>
#include <cstring>

#include "inet.hpp"

namespace netvsp {

namespace {

constexpr uint8_t kTcpPush = 0x08;
constexpr uint8_t kTcpAck = 0x10;
constexpr uint32_t kMaxIpLength = 0xffff;
constexpr uint32_t kSequenceAt = 4;
constexpr uint32_t kFlagsAt = 13;
constexpr uint32_t kChecksumAt = 16;
constexpr uint16_t kMoreFragmentsOrOffset = 0x3fff;

/* The headers without what may differ between segments of one packet. */
auto comparable(const RscSegment& segment)
{
	auto bytes = segment.bytes;
	uint8_t* l3 = bytes.data() + kEthernetHeader;
	if (segment.v6) {
		store16(l3 + 4, 0);
	} else {
		store32(l3 + 2, 0); /* length and id */
		store16(l3 + 10, 0);
	}
	uint8_t* tcp = bytes.data() + segment.l4;
	store32(tcp + kSequenceAt, 0);
	tcp[kFlagsAt] &= uint8_t(~kTcpPush);
	store16(tcp + kChecksumAt, 0);
	return bytes;
}

} // namespace

bool read_segment(const uint8_t* frame, uint32_t length, RscSegment& out)
{
	const auto size = uint32_t(std::min<size_t>(length, out.bytes.size()));
	out.bytes.fill(0);
	memcpy(out.bytes.data(), frame, size);
	const uint8_t* l3 = out.bytes.data() + kEthernetHeader;
	uint32_t ip_length;
	switch (load16(out.bytes.data() + 12)) {
	case kTypeIp4:
		if (l3[0] != 0x45 || (load16(l3 + 6) & kMoreFragmentsOrOffset) != 0 ||
		    l3[9] != kProtocolTcp)
			return false;
		out.v6 = false;
		out.l4 = kEthernetHeader + kIp4Header;
		ip_length = load16(l3 + 2);
		break;
	case kTypeIp6:
		if (l3[0] >> 4 != 6 || l3[6] != kProtocolTcp)
			return false;
		out.v6 = true;
		out.l4 = kEthernetHeader + kIp6Header;
		ip_length = kIp6Header + load16(l3 + 4);
		break;
	default:
		return false;
	}
	const uint8_t* tcp = out.bytes.data() + out.l4;
	uint32_t tcp_length = (tcp[12] >> 4) * 4u;
	out.headers = out.l4 + tcp_length;
	/* Padding would come between the payloads. */
	if (tcp_length < kTcpHeader || kEthernetHeader + ip_length != length ||
	    out.headers >= length || (tcp[kFlagsAt] & ~kTcpPush) != kTcpAck)
		return false;
	out.payload = length - out.headers;
	/* what was copied beyond the headers is not compared */
	std::fill(out.bytes.begin() + out.headers, out.bytes.end(), uint8_t(0));
	return true;
}

void RscPacket::start(const RscSegment& first)
{
	first_ = first;
	segments_ = 1;
	payload_ = first.payload;
	pushed_ = first.bytes[first.l4 + kFlagsAt] & kTcpPush;
}

bool RscPacket::takes(const RscSegment& segment) const
{
	if (segments_ == 0 || pushed_ || segment.v6 != first_.v6 ||
	    segment.headers != first_.headers ||
	    first_.headers - kEthernetHeader + payload_ + segment.payload > kMaxIpLength)
		return false;
	uint32_t next = load32(first_.bytes.data() + first_.l4 + kSequenceAt) + payload_;
	return load32(segment.bytes.data() + segment.l4 + kSequenceAt) == next &&
	       comparable(segment) == comparable(first_);
}

void RscPacket::add(const RscSegment& segment)
{
	segments_++;
	payload_ += segment.payload;
	pushed_ = segment.bytes[segment.l4 + kFlagsAt] & kTcpPush;
}

void RscPacket::update_headers(uint8_t* frame) const
{
	uint32_t total = first_.headers + payload_ - kEthernetHeader;
	if (first_.v6)
		store16(frame + kEthernetHeader + 4, total - kIp6Header);
	else
		store16(frame + kEthernetHeader + 2, total);
	uint8_t flags = first_.bytes[first_.l4 + kFlagsAt];
	frame[first_.l4 + kFlagsAt] = pushed_ ? flags | kTcpPush : flags;
}

} // namespace netvsp
