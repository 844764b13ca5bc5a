/* SPDX-License-Identifier: BSD-3-Clause */
#include "inet.hpp"

#include <bit>
#include <cstring>

namespace netvsp {

namespace {

constexpr uint8_t kHopByHop = 0;
constexpr uint8_t kRouting = 43;
constexpr uint8_t kFragment = 44;
constexpr uint8_t kDestinationOptions = 60;

bool find_ip6_l4(const uint8_t* frame, IpPacket& out)
{
	out.protocol = frame[out.l3 + 6];
	out.l4 = out.l3 + kIp6Header;
	bool fragment;
	for (;;) {
		switch (out.protocol) {
		case kHopByHop:
		case kRouting:
		case kDestinationOptions: {
			if (out.end - out.l4 < 8)
				return false;
			uint32_t size = (frame[out.l4 + 1] + 1u) * 8;
			if (size > out.end - out.l4)
				return false;
			/* the pseudo header has the last address of a routing header */
			if (out.protocol == kRouting && frame[out.l4 + 3] != 0)
				out.obscure = true;
			out.protocol = frame[out.l4];
			out.l4 += size;
			break;
		}
		case kFragment:
			if (out.end - out.l4 < 8)
				return false;
			/* offset and "more" bit; both zero are an atomic fragment, RFC 6946 */
			fragment = (load16(frame + out.l4 + 2) & 0xfff9) != 0;
			out.obscure |= fragment;
			out.protocol = frame[out.l4];
			out.l4 += 8;
			if (fragment)
				return true;
			break;
		default:
			return true;
		}
	}
}

} // namespace

uint32_t inet_sum(const uint8_t* data, size_t length, uint32_t sum)
{
	/* The sum does not care for byte order, if only its result is swapped. */
	uint64_t total = 0;
	for (; length >= 8; data += 8, length -= 8) {
		uint32_t words[2];
		memcpy(words, data, sizeof(words));
		total += words[0];
		total += words[1];
	}
	for (; length >= 2; data += 2, length -= 2) {
		uint16_t word;
		memcpy(&word, data, sizeof(word));
		total += word;
	}
	if (length != 0) {
		uint8_t last[2] = {*data, 0};
		uint16_t word;
		memcpy(&word, last, sizeof(word));
		total += word;
	}
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	auto word = uint32_t(total);
	if constexpr (std::endian::native == std::endian::little)
		word = (word >> 8 | word << 8) & 0xffff;
	sum += word;
	return (sum & 0xffff) + (sum >> 16);
}

uint32_t pseudo_sum(const uint8_t* l3, bool v6, uint8_t protocol, uint32_t l4_length)
{
	uint32_t sum = v6 ? inet_sum(l3 + 8, 32) : inet_sum(l3 + 12, 8);
	sum += protocol + (l4_length >> 16) + (l4_length & 0xffff);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

bool find_ip(const uint8_t* frame, uint32_t length, IpPacket& out)
{
	out = {};
	out.l3 = kEthernetHeader;
	if (length < out.l3)
		return false;
	uint16_t type = load16(frame + 12);
	if (type == kTypeVlan && length >= kEthernetHeader + kVlanTag) {
		type = load16(frame + 16);
		out.l3 += kVlanTag;
	}
	const uint8_t* ip = frame + out.l3;
	uint32_t left = length - out.l3;
	if (type == kTypeIp4) {
		if (left < kIp4Header || ip[0] >> 4 != 4)
			return false;
		uint32_t header = (ip[0] & 15u) * 4;
		uint32_t total = load16(ip + 2);
		if (header < kIp4Header || header > total || total > left)
			return false;
		out.obscure = (load16(ip + 6) & 0x3fff) != 0;
		out.protocol = ip[9];
		out.l4 = out.l3 + header;
		out.end = out.l3 + total;
		return true;
	}
	if (type != kTypeIp6 || left < kIp6Header || ip[0] >> 4 != 6)
		return false;
	uint32_t payload = load16(ip + 4);
	if (payload > left - kIp6Header)
		return false;
	out.v6 = true;
	out.end = out.l3 + kIp6Header + payload;
	return find_ip6_l4(frame, out);
}

} // namespace netvsp
