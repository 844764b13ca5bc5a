/* SPDX-License-Identifier: BSD-3-Clause */
#include "rss.hpp"

#include <cstring>

#include "inet.hpp"

namespace netvsp {

namespace {

/* The 32 bits of the key that start at this bit; the key continues with zeros. */
uint32_t key_window(const uint8_t* key, uint32_t bit)
{
	uint64_t window = 0;
	for (uint32_t i = 0; i < 5; i++) {
		uint32_t at = bit / 8 + i;
		window = window << 8 | (at < ndis::kRssKeySize ? key[at] : 0);
	}
	return uint32_t(window >> (8 - bit % 8));
}

} // namespace

void Rss::enable(uint32_t hash_types, const uint8_t* key, const std::vector<uint32_t>& table)
{
	types_ = hash_types;
	for (uint32_t i = 0; i < ndis::kRssMaxTable; i++)
		table_[i] = table[i % table.size()];
	lookup_.resize(kMaxInput);
	for (uint32_t byte = 0; byte < kMaxInput; byte++) {
		uint32_t bits[8];
		for (uint32_t i = 0; i < 8; i++)
			bits[i] = key_window(key, byte * 8 + i);
		for (uint32_t value = 0; value < 256; value++) {
			uint32_t sum = 0;
			for (uint32_t i = 0; i < 8; i++)
				if (value & (0x80u >> i))
					sum ^= bits[i];
			lookup_[byte][value] = sum;
		}
	}
	enabled_ = true;
}

uint32_t Rss::hash(const uint8_t* a, uint32_t a_length, const uint8_t* b, uint32_t b_length) const
{
	uint32_t sum = 0;
	for (uint32_t i = 0; i < a_length; i++)
		sum ^= lookup_[i][a[i]];
	for (uint32_t i = 0; i < b_length; i++)
		sum ^= lookup_[a_length + i][b[i]];
	return sum;
}

Rss::Result Rss::classify(const uint8_t* frame, uint32_t length) const
{
	uint32_t at = 14;
	if (length < at)
		return {0, 0, 0};
	uint16_t type = load16(frame + 12);
	if (type == kTypeVlan && length >= 18) {
		type = load16(frame + 16);
		at = 18;
	}
	const uint8_t* ip = frame + at;
	uint32_t left = length - at;
	const uint8_t* addresses;
	uint32_t addresses_length;
	uint32_t header;
	uint8_t protocol;
	bool fragment = false;
	uint32_t tcp_type, udp_type, ip_type;
	if (type == kTypeIp4 && left >= 20 && ip[0] >> 4 == 4) {
		addresses = ip + 12;
		addresses_length = 8;
		header = (ip[0] & 15u) * 4;
		protocol = ip[9];
		fragment = (load16(ip + 6) & 0x3fff) != 0;
		tcp_type = ndis::kHashTcpIpv4;
		udp_type = ndis::kHashUdpIpv4;
		ip_type = ndis::kHashIpv4;
	} else if (type == kTypeIp6 && left >= 40 && ip[0] >> 4 == 6) {
		addresses = ip + 8;
		addresses_length = 32;
		header = 40;
		protocol = ip[6];
		tcp_type = ndis::kHashTcpIpv6;
		udp_type = ndis::kHashUdpIpv6;
		ip_type = ndis::kHashIpv6;
	} else {
		return {0, 0, 0};
	}
	uint32_t chosen = 0;
	uint32_t ports_length = 0;
	if (!fragment && left >= header + 4) {
		if (protocol == kProtocolTcp)
			chosen = types_ & tcp_type;
		else if (protocol == kProtocolUdp)
			chosen = types_ & udp_type;
		if (chosen)
			ports_length = 4;
	}
	if (!chosen)
		chosen = types_ & ip_type;
	if (!chosen)
		return {0, 0, 0};
	uint32_t value = hash(addresses, addresses_length, ip + header, ports_length);
	return {value, table_[value % ndis::kRssMaxTable], chosen};
}

} // namespace netvsp
