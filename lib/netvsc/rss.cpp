/* SPDX-License-Identifier: BSD-3-Clause */
#include "rss.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "ndis.hpp"

namespace netvsc {

const std::array<uint8_t, kRssKeySize> kRssDefaultKey = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

namespace {

struct Capabilities {
	ndis::ObjectHeader header;
	uint32_t flags;
	uint32_t interrupt_messages;
	uint32_t receive_queues;
	uint16_t table_entries; /* since revision 2 */
	uint16_t padding;
};
static_assert(sizeof(Capabilities) == 20);
constexpr uint32_t kSizeRevision1 = offsetof(Capabilities, table_entries);
constexpr uint32_t kSizeRevision2 = offsetof(Capabilities, padding);

/* NDIS_RSS_CAPS_* */
constexpr uint32_t kToeplitz = 0x1;
struct HashCapability {
	uint32_t flag;
	uint32_t types;
};
/* Who can hash the ports can hash the addresses. */
constexpr HashCapability kHashCapabilities[] = {
	{0x100, kHashIpv4 | kHashTcpIpv4},     {0x200, kHashIpv6 | kHashTcpIpv6},
	{0x400, kHashIpv6Ex | kHashTcpIpv6Ex}, {0x800, kHashIpv4 | kHashUdpIpv4},
	{0x1000, kHashIpv6 | kHashUdpIpv6},    {0x2000, kHashIpv6Ex | kHashUdpIpv6Ex},
};

struct Parameters {
	ndis::ObjectHeader header;
	uint16_t flags;
	uint16_t base_cpu;
	uint32_t hash_information; /* types and function */
	uint16_t table_size;	   /* in bytes */
	uint16_t padding0;
	uint32_t table_offset;
	uint16_t key_size;
	uint16_t padding1;
	uint32_t key_offset;
	uint32_t masks_offset; /* of processors, which no guest but Windows has */
	uint32_t mask_count;
	uint32_t mask_size;
};
static_assert(sizeof(Parameters) == 40);
constexpr uint8_t kRevision = 2;
constexpr uint16_t kDisable = 0x10;
constexpr uint32_t kFunctionToeplitz = 1;

} // namespace

std::vector<uint8_t> rss_capabilities_request()
{
	Capabilities c{};
	c.header = {ndis::kTypeRssCapabilities, kRevision, kSizeRevision2};
	std::vector<uint8_t> bytes(sizeof(c));
	std::memcpy(bytes.data(), &c, sizeof(c));
	return bytes;
}

RssCapabilities parse_rss_capabilities(const uint8_t* answer, uint32_t length)
{
	if (length < kSizeRevision1)
		return {};
	Capabilities c{};
	std::memcpy(&c, answer, std::min<size_t>(length, sizeof(c)));
	const uint32_t size = std::min<uint32_t>(length, c.header.size);
	if (c.header.type != ndis::kTypeRssCapabilities || size < kSizeRevision1 ||
	    (c.flags & kToeplitz) == 0 || c.receive_queues == 0)
		return {};
	RssCapabilities result;
	for (const HashCapability& h : kHashCapabilities)
		if ((c.flags & h.flag) != 0)
			result.hash_types |= h.types;
	if (result.hash_types == 0)
		return {};
	result.queues = c.receive_queues;
	/* Revision 1 does not say: every host of that time had 128. */
	result.table_size = kRssMaxTable;
	if (c.header.revision >= 2 && size >= kSizeRevision2 && c.table_entries != 0)
		result.table_size =
			std::bit_floor(std::min<uint32_t>(c.table_entries, kRssMaxTable));
	return result;
}

std::vector<uint8_t> rss_parameters(const RssConfig& config)
{
	Parameters p{};
	p.header = {ndis::kTypeRssParameters, kRevision, sizeof(p)};
	if (config.hash_types == 0) {
		p.flags = kDisable;
		std::vector<uint8_t> bytes(sizeof(p));
		std::memcpy(bytes.data(), &p, sizeof(p));
		return bytes;
	}
	p.hash_information = config.hash_types | kFunctionToeplitz;
	p.table_size = static_cast<uint16_t>(config.table.size() * sizeof(uint32_t));
	p.table_offset = sizeof(p);
	p.key_size = kRssKeySize;
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
