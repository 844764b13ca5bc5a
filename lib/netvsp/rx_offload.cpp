/* SPDX-License-Identifier: BSD-3-Clause */
#include "rx_offload.hpp"

#include <cstring>

#include "netvsc/ndis.hpp"

#include "inet.hpp"
#include "offload.hpp"

namespace netvsp {

namespace {

constexpr uint32_t kSumOfGood = 0xffff;

uint32_t verify_tcp(const uint8_t* frame, const IpPacket& ip)
{
	uint32_t size = ip.end - ip.l4;
	bool good = size >= kTcpHeader &&
		    inet_sum(frame + ip.l4, size,
			     pseudo_sum(frame + ip.l3, ip.v6, kProtocolTcp, size)) == kSumOfGood;
	return good ? ndis::kRxChecksumTcpOk : ndis::kRxChecksumTcpFailed;
}

uint32_t verify_udp(const uint8_t* frame, const IpPacket& ip)
{
	uint32_t room = ip.end - ip.l4;
	if (room < kUdpHeader)
		return ndis::kRxChecksumUdpFailed;
	const uint8_t* udp = frame + ip.l4;
	uint32_t size = load16(udp + 4);
	if (size < kUdpHeader || size > room)
		return ndis::kRxChecksumUdpFailed;
	if (load16(udp + 6) == 0) /* none was computed, which IPv6 does not allow */
		return ip.v6 ? ndis::kRxChecksumUdpFailed : 0;
	uint32_t sum = inet_sum(udp, size, pseudo_sum(frame + ip.l3, ip.v6, kProtocolUdp, size));
	return sum == kSumOfGood ? ndis::kRxChecksumUdpOk : ndis::kRxChecksumUdpFailed;
}

} // namespace

uint32_t verify_checksums(const uint8_t* frame, uint32_t length, uint32_t wanted)
{
	IpPacket ip;
	if (wanted == 0 || !find_ip(frame, length, ip))
		return 0;
	uint32_t info = 0;
	if (!ip.v6 && (wanted & kChecksumIp4))
		info |= inet_sum(frame + ip.l3, ip.l4 - ip.l3) == kSumOfGood
				? ndis::kRxChecksumIpOk
				: ndis::kRxChecksumIpFailed;
	if (ip.obscure)
		return info;
	if (ip.protocol == kProtocolTcp && (wanted & (ip.v6 ? kChecksumTcp6 : kChecksumTcp4)))
		info |= verify_tcp(frame, ip);
	if (ip.protocol == kProtocolUdp && (wanted & (ip.v6 ? kChecksumUdp6 : kChecksumUdp4)))
		info |= verify_udp(frame, ip);
	return info;
}

bool checksum_failed(uint32_t info)
{
	return info & (ndis::kRxChecksumTcpFailed | ndis::kRxChecksumUdpFailed |
		       ndis::kRxChecksumIpFailed);
}

uint32_t vlan_info(uint16_t tag)
{
	return ndis::kVlanPriority.put(tag >> 13) | ndis::kVlanCfi.put(tag >> 12) |
	       ndis::kVlanId.put(tag);
}

uint16_t strip_tag(uint8_t* frame)
{
	const uint16_t tag = load16(frame + 14);
	memmove(frame + kVlanTag, frame, 12);
	return tag;
}

} // namespace netvsp
