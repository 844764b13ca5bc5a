/* SPDX-License-Identifier: BSD-3-Clause */
/** What the host has to know of IP, TCP and UDP: where headers are, and how checksums are made. */
#pragma once

#include <cstddef>
#include <cstdint>

namespace netvsp {

inline constexpr uint32_t kEthernetHeader = 14;
inline constexpr uint32_t kVlanTag = 4;
inline constexpr uint32_t kIp4Header = 20;
inline constexpr uint32_t kIp6Header = 40;
inline constexpr uint32_t kTcpHeader = 20;
inline constexpr uint32_t kUdpHeader = 8;
inline constexpr uint8_t kProtocolTcp = 6;
inline constexpr uint8_t kProtocolUdp = 17;
inline constexpr uint16_t kTypeIp4 = 0x0800;
inline constexpr uint16_t kTypeIp6 = 0x86dd;
inline constexpr uint16_t kTypeVlan = 0x8100;

inline uint16_t load16(const uint8_t* at)
{
	return uint16_t(at[0] << 8 | at[1]);
}
inline uint32_t load32(const uint8_t* at)
{
	return uint32_t(load16(at)) << 16 | load16(at + 2);
}
inline void store16(uint8_t* at, uint32_t value)
{
	at[0] = uint8_t(value >> 8);
	at[1] = uint8_t(value);
}
inline void store32(uint8_t* at, uint32_t value)
{
	store16(at, value >> 16);
	store16(at + 2, value & 0xffff);
}

/** The one's complement sum of RFC 1071 over bytes, added to `sum`; 16 bits, not inverted. */
uint32_t inet_sum(const uint8_t* data, size_t length, uint32_t sum = 0);

/** The pseudo header's share of a TCP or UDP checksum. @param l3 the IP header */
uint32_t pseudo_sum(const uint8_t* l3, bool v6, uint8_t protocol, uint32_t l4_length);

/** Where an IP packet's parts are, counted from the frame's start. */
struct IpPacket {
	bool v6;
	bool obscure;	  /**< layer 4 cannot be judged: a fragment, or routed further */
	uint8_t protocol; /**< of layer 4, behind any extension headers */
	uint32_t l3;
	uint32_t l4;
	uint32_t end; /**< padding may follow */
};

/**
 * Looks for an IP packet in an Ethernet frame, which may have an 802.1Q tag.
 * @return false if there is none, or its lengths contradict the frame's
 */
bool find_ip(const uint8_t* frame, uint32_t length, IpPacket& out);

} // namespace netvsp
