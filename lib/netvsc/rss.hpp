/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Receive side scaling: what a host can do, and the message that tells it what to do.
 *
 * Sources: NDIS_RECEIVE_SCALE_CAPABILITIES and NDIS_RECEIVE_SCALE_PARAMETERS of the Windows driver
 * documentation (ntddndis.h), Linux drivers/net/hyperv/hyperv_net.h, FreeBSD
 * sys/dev/hyperv/netvsc/ndis.h.
 */
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace netvsc {

inline constexpr uint32_t kRssKeySize = 40;
/** Entries of the longest indirection table that a host takes. */
inline constexpr uint32_t kRssMaxTable = 128;

/** Which headers are hashed (NDIS_HASH_*). */
enum RssHashType : uint32_t {
	kHashIpv4 = 0x100,
	kHashTcpIpv4 = 0x200,
	kHashIpv6 = 0x400,
	kHashIpv6Ex = 0x800,
	kHashTcpIpv6 = 0x1000,
	kHashTcpIpv6Ex = 0x2000,
	kHashUdpIpv4 = 0x4000,
	kHashUdpIpv6 = 0x8000,
	kHashUdpIpv6Ex = 0x10000,
};

/** The hash key that Microsoft publishes for verifying RSS, and most drivers' default. */
extern const std::array<uint8_t, kRssKeySize> kRssDefaultKey;

struct RssCapabilities {
	uint32_t queues = 1;	 /**< channels that frames can be spread over */
	uint32_t table_size = 0; /**< entries, a power of two; 0: the host has no RSS */
	uint32_t hash_types = 0; /**< RssHashType */
	bool operator==(const RssCapabilities&) const = default;
};

struct RssConfig {
	uint32_t hash_types = 0; /**< RssHashType; 0: no RSS, all frames to the primary channel */
	std::array<uint8_t, kRssKeySize> key = kRssDefaultKey;
	std::vector<uint16_t> table; /**< channel indices, as many as the host's table has */
};

/** What a query for the capabilities has to carry. */
std::vector<uint8_t> rss_capabilities_request();
/** @return no RSS if the answer makes no sense */
RssCapabilities parse_rss_capabilities(const uint8_t* answer, uint32_t length);
/** The data of OID_GEN_RECEIVE_SCALE_PARAMETERS. */
std::vector<uint8_t> rss_parameters(const RssConfig& config);

} // namespace netvsc
