/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Receive side scaling: what a host can do, and the message that tells it what to do.
 */
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "ndis.hpp"

namespace netvsc {

/** The hash key that Microsoft publishes for verifying RSS, and most drivers' default. */
extern const std::array<uint8_t, ndis::kRssKeySize> kRssDefaultKey;

struct RssCapabilities {
	uint32_t queues = 1;	 /**< channels that frames can be spread over */
	uint32_t table_size = 0; /**< entries, a power of two; 0: the host has no RSS */
	uint32_t hash_types = 0; /**< ndis::HashType */
	bool operator==(const RssCapabilities&) const = default;
};

struct RssConfig {
	uint32_t hash_types = 0; /**< ndis::HashType; 0: all frames to the primary channel */
	std::array<uint8_t, ndis::kRssKeySize> key = kRssDefaultKey;
	std::vector<uint16_t> table; /**< channel indices, as many as the host's table has */
};

/** What a query for the capabilities has to carry. */
std::vector<uint8_t> rss_capabilities_request();
/** @return no RSS if the answer makes no sense */
RssCapabilities parse_rss_capabilities(const uint8_t* answer, uint32_t length);
/** The data of OID_GEN_RECEIVE_SCALE_PARAMETERS. */
std::vector<uint8_t> rss_parameters(const RssConfig& config);

} // namespace netvsc
