/* SPDX-License-Identifier: BSD-3-Clause */
#include "rss.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace netvsc {

const std::array<uint8_t, ndis::kRssKeySize> kRssDefaultKey = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

namespace {

struct HashCapability {
	uint32_t flag;
	uint32_t types;
};
/* Who can hash the ports can hash the addresses. */
constexpr HashCapability kHashCapabilities[] = {
	{ndis::kRssCapTcpIpv4, ndis::kHashIpv4 | ndis::kHashTcpIpv4},
	{ndis::kRssCapTcpIpv6, ndis::kHashIpv6 | ndis::kHashTcpIpv6},
	{ndis::kRssCapTcpIpv6Ex, ndis::kHashIpv6Ex | ndis::kHashTcpIpv6Ex},
	{ndis::kRssCapUdpIpv4, ndis::kHashIpv4 | ndis::kHashUdpIpv4},
	{ndis::kRssCapUdpIpv6, ndis::kHashIpv6 | ndis::kHashUdpIpv6},
	{ndis::kRssCapUdpIpv6Ex, ndis::kHashIpv6Ex | ndis::kHashUdpIpv6Ex},
};

} // namespace

std::vector<uint8_t> rss_capabilities_request()
{
	ndis::RssCapabilities c{};
	c.header = {ndis::kTypeRssCapabilities, ndis::kRssCapabilitiesRev2,
		    ndis::kRssCapabilitiesSizeRev2};
	std::vector<uint8_t> bytes(sizeof(c));
	std::memcpy(bytes.data(), &c, sizeof(c));
	return bytes;
}

RssCapabilities parse_rss_capabilities(const uint8_t* answer, uint32_t length)
{
	if (length < ndis::kRssCapabilitiesSizeRev1)
		return {};
	ndis::RssCapabilities c{};
	std::memcpy(&c, answer, std::min<size_t>(length, sizeof(c)));
	const uint32_t size = std::min<uint32_t>(length, c.header.size);
	if (c.header.type != ndis::kTypeRssCapabilities || size < ndis::kRssCapabilitiesSizeRev1 ||
	    (c.flags & ndis::kRssCapToeplitz) == 0 || c.receive_queues == 0)
		return {};
	RssCapabilities result;
	for (const HashCapability& h : kHashCapabilities)
		if ((c.flags & h.flag) != 0)
			result.hash_types |= h.types;
	if (result.hash_types == 0)
		return {};
	result.queues = c.receive_queues;
	/* Revision 1 does not say: every host of that time had 128. */
	result.table_size = ndis::kRssMaxTable;
	if (c.header.revision >= 2 && size >= ndis::kRssCapabilitiesSizeRev2 &&
	    c.table_entries != 0)
		result.table_size =
			std::bit_floor(std::min<uint32_t>(c.table_entries, ndis::kRssMaxTable));
	return result;
}

std::vector<uint8_t> rss_parameters(const RssConfig& config)
{
	ndis::RssParameters p{};
	p.header = {ndis::kTypeRssParameters, ndis::kRssParametersRev2, sizeof(p)};
	if (config.hash_types == 0) {
		p.flags = ndis::kRssParametersDisable;
		std::vector<uint8_t> bytes(sizeof(p));
		std::memcpy(bytes.data(), &p, sizeof(p));
		return bytes;
	}
	p.hash_information = config.hash_types | ndis::kHashFunctionToeplitz;
	p.table_size = static_cast<uint16_t>(config.table.size() * sizeof(uint32_t));
	p.table_offset = sizeof(p);
	p.key_size = ndis::kRssKeySize;
	p.key_offset = p.table_offset + p.table_size;
	std::vector<uint8_t> bytes(p.key_offset + p.key_size);
	std::memcpy(bytes.data(), &p, sizeof(p));
	for (size_t i = 0; i < config.table.size(); i++) {
		const uint32_t channel = config.table[i];
		std::memcpy(&bytes[p.table_offset + i * sizeof(channel)], &channel,
			    sizeof(channel));
	}
	std::memcpy(&bytes[p.key_offset], config.key.data(), config.key.size());
	return bytes;
}

} // namespace netvsc
