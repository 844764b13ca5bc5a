/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * NDIS structures that travel inside RNDIS: what offloads and what receive side scaling a host has,
 * what of it the guest wants, and the values of a data frame's per-packet infos.
 *
 * Sources: Microsoft's NDIS documentation (NDIS_OFFLOAD, NDIS_OFFLOAD_PARAMETERS,
 * NDIS_RECEIVE_SCALE_CAPABILITIES, NDIS_RECEIVE_SCALE_PARAMETERS,
 * NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO, NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO,
 * NDIS_NET_BUFFER_LIST_8021Q_INFO), Linux drivers/net/hyperv/hyperv_net.h, FreeBSD
 * sys/net/rndis.h and sys/dev/hyperv/netvsc/ndis.h, OpenVMM vm/devices/net/netvsp/src/rndisprot.rs.
 *
 * A test compares what is here with headers that others wrote (test/system/test_wire.py). What none
 * of those has is cited beside its definition: file and commit of these sources.
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace ndis {

/** NDIS_OBJECT_HEADER */
struct ObjectHeader {
	uint8_t type;
	uint8_t revision;
	uint16_t size; /* of the structure that it begins, in this revision */
};
static_assert(sizeof(ObjectHeader) == 4);

enum ObjectType : uint8_t {
	kTypeDefault = 0x80, /* NDIS_OFFLOAD_PARAMETERS has this one */
	kTypeRssCapabilities = 0x88,
	kTypeRssParameters = 0x89,
	kTypeOffload = 0xa7,
};

/** NDIS versions as SEND_NDIS_VERSION tells them, major and minor in one. */
constexpr uint32_t version(uint32_t major, uint32_t minor)
{
	return major << 16 | (minor & 0xffff);
}
constexpr uint32_t version_major(uint32_t version)
{
	return version >> 16;
}
constexpr uint32_t version_minor(uint32_t version)
{
	return version & 0xffff;
}
inline constexpr uint32_t kVersion61 = version(6, 1);
inline constexpr uint32_t kVersion630 = version(6, 30);

inline constexpr uint32_t kEncapsulation8023 = 2; /* plain Ethernet */

/* Flags of ChecksumOffload. Each is the low one of two bits, which hold NDIS_OFFLOAD_SUPPORTED. */
inline constexpr uint32_t kCapIpOptions = 1u << 0; /* IPv6: extension headers */
inline constexpr uint32_t kCapTcpOptions = 1u << 2;
inline constexpr uint32_t kCapTcp = 1u << 4;
inline constexpr uint32_t kCapUdp = 1u << 6;
inline constexpr uint32_t kCapIp = 1u << 8; /* IPv4 only */

/** NDIS_TCP_IP_CHECKSUM_OFFLOAD; transmit is the guest's view */
struct ChecksumOffload {
	uint32_t ip4_tx_encapsulation;
	uint32_t ip4_tx;
	uint32_t ip4_rx_encapsulation;
	uint32_t ip4_rx;
	uint32_t ip6_tx_encapsulation;
	uint32_t ip6_tx;
	uint32_t ip6_rx_encapsulation;
	uint32_t ip6_rx;
};
static_assert(sizeof(ChecksumOffload) == 32);

/** NDIS_TCP_LARGE_SEND_OFFLOAD_V2 */
struct LsoV2Offload {
	uint32_t ip4_encapsulation;
	uint32_t ip4_max_size; /* TCP payload of one send */
	uint32_t ip4_min_segments;
	uint32_t ip6_encapsulation;
	uint32_t ip6_max_size;
	uint32_t ip6_min_segments;
	uint32_t ip6_options; /* kCapIpOptions, kCapTcpOptions */
};
static_assert(sizeof(LsoV2Offload) == 28);

/** NDIS_OFFLOAD, revision 3 */
struct Offload {
	ObjectHeader header;
	ChecksumOffload checksum;
	uint32_t lso_v1[4];
	uint32_t ipsec_v1[7];
	LsoV2Offload lso_v2;
	uint32_t flags;
	/* revision 2, NDIS 6.1 */
	uint32_t ipsec_v2[8];
	/* revision 3, NDIS 6.30 */
	uint8_t rsc_ip4;
	uint8_t rsc_ip6;
	uint8_t reserved[2];
	uint32_t encapsulated_gre[2];
};
static_assert(sizeof(Offload) == 156);
inline constexpr uint16_t kOffloadSizeRev1 = 112;
inline constexpr uint16_t kOffloadSizeRev2 = 144;
inline constexpr uint16_t kOffloadSizeRev3 = 156;
static_assert(offsetof(Offload, lso_v2) == 80);
static_assert(offsetof(Offload, ipsec_v2) == kOffloadSizeRev1);
static_assert(offsetof(Offload, rsc_ip4) == kOffloadSizeRev2);

/* Receive side scaling */

/** Which headers are hashed (NDIS_HASH_*), and by which function. */
enum HashType : uint32_t {
	kHashIpv4 = 0x100,
	kHashTcpIpv4 = 0x200,
	kHashIpv6 = 0x400,
	kHashIpv6Ex = 0x800,
	kHashTcpIpv6 = 0x1000,
	kHashTcpIpv6Ex = 0x2000,
	kHashUdpIpv4 = 0x4000,	  /* rndisprot.rs, OpenVMM 1488a37b7cfe */
	kHashUdpIpv6 = 0x8000,	  /* rndisprot.rs, OpenVMM 1488a37b7cfe */
	kHashUdpIpv6Ex = 0x10000, /* rndisprot.rs, OpenVMM 1488a37b7cfe */
};
inline constexpr uint32_t kHashFunctionToeplitz = 0x1;
inline constexpr uint32_t kHashFunctionMask = 0xff;

inline constexpr uint32_t kRssKeySize = 40;
/** Entries of the longest indirection table that a host takes. */
inline constexpr uint32_t kRssMaxTable = 128;

/** Flags of RssCapabilities. Who hashes ports hashes addresses, too. */
enum RssCapability : uint32_t {
	kRssCapToeplitz = 0x1,
	kRssCapTcpIpv4 = 0x100,
	kRssCapTcpIpv6 = 0x200,
	kRssCapTcpIpv6Ex = 0x400,
	kRssCapUdpIpv4 = 0x800,	   /* rndisprot.rs, OpenVMM 1488a37b7cfe */
	kRssCapUdpIpv6 = 0x1000,   /* rndisprot.rs, OpenVMM 1488a37b7cfe */
	kRssCapUdpIpv6Ex = 0x2000, /* rndisprot.rs, OpenVMM 1488a37b7cfe */
};

/** NDIS_RECEIVE_SCALE_CAPABILITIES, revision 2 */
struct RssCapabilities {
	ObjectHeader header;
	uint32_t flags;
	uint32_t interrupt_messages;
	uint32_t receive_queues;
	/* revision 2, NDIS 6.30 */
	uint16_t table_entries;
	uint16_t padding;
};
static_assert(sizeof(RssCapabilities) == 20);
inline constexpr uint8_t kRssCapabilitiesRev2 = 2;
inline constexpr uint16_t kRssCapabilitiesSizeRev1 = 16;
inline constexpr uint16_t kRssCapabilitiesSizeRev2 = 18; /* without the padding */
static_assert(offsetof(RssCapabilities, table_entries) == kRssCapabilitiesSizeRev1);
static_assert(offsetof(RssCapabilities, padding) == kRssCapabilitiesSizeRev2);

/** NDIS_RECEIVE_SCALE_PARAMETERS, revision 2; offsets of table and key count from its start. */
struct RssParameters {
	ObjectHeader header;
	uint16_t flags;
	uint16_t base_cpu;
	uint32_t hash_information; /* types and function */
	uint16_t table_size;	   /* in bytes; an entry has four */
	uint16_t padding0;
	uint32_t table_offset;
	uint16_t key_size;
	uint16_t padding1;
	uint32_t key_offset;
	/* revision 2, NDIS 6.20: masks of processors, which no guest but Windows has */
	uint32_t masks_offset;
	uint32_t mask_count;
	uint32_t mask_size;
};
static_assert(sizeof(RssParameters) == 40);
inline constexpr uint8_t kRssParametersRev2 = 2;
inline constexpr uint16_t kRssParametersSizeRev1 = 28;
static_assert(offsetof(RssParameters, masks_offset) == kRssParametersSizeRev1);
inline constexpr uint16_t kRssParametersDisable = 0x10; /* a flag */

/** Values of the checksum fields of OffloadParameters. Both directions are 4, not 2 | 3. */
enum ParameterChecksum : uint8_t {
	kChecksumNoChange = 0,
	kChecksumOff = 1,
	kChecksumTx = 2,
	kChecksumRx = 3,
	kChecksumTxRx = 4,
};

/** Values of the LSO and RSC fields of OffloadParameters. */
enum ParameterSwitch : uint8_t {
	kSwitchNoChange = 0,
	kSwitchOff = 1,
	kSwitchOn = 2,
};

/** NDIS_OFFLOAD_PARAMETERS, revision 3. Guests cut it short: Linux to 22 bytes for NVSP 4. */
struct OffloadParameters {
	ObjectHeader header;
	uint8_t ip4_checksum;
	uint8_t tcp4_checksum;
	uint8_t udp4_checksum;
	uint8_t tcp6_checksum;
	uint8_t udp6_checksum;
	uint8_t lso_v1;
	uint8_t ipsec_v1;
	uint8_t lso_v2_ip4;
	uint8_t lso_v2_ip6;
	uint8_t tcp_connection_ip4;
	uint8_t tcp_connection_ip6;
	uint8_t reserved;
	uint32_t flags;
	/* revision 2 */
	uint8_t ipsec_v2;
	uint8_t ipsec_v2_ip4;
	/* revision 3 */
	uint8_t rsc_ip4;
	uint8_t rsc_ip6;
	uint8_t encapsulated_offload;
	uint8_t encapsulation_types;
	uint8_t padding[2];
};
static_assert(sizeof(OffloadParameters) == 28);
static_assert(offsetof(OffloadParameters, flags) == 16);
static_assert(offsetof(OffloadParameters, rsc_ip4) == 22);
inline constexpr uint16_t kOffloadParametersSizeRev1 = 20;

/** Some bits of a per-packet info's value. */
struct Bits {
	uint32_t first;
	uint32_t count;

	constexpr uint32_t max() const { return (1u << count) - 1; }
	constexpr uint32_t mask() const { return max() << first; }
	constexpr uint32_t get(uint32_t value) const { return value >> first & max(); }
	constexpr uint32_t put(uint32_t field) const { return (field & max()) << first; }
};

/* Per-packet info rndis::kPpiChecksum of a frame that the guest sends */
inline constexpr uint32_t kTxChecksumIp4 = 1u << 0; /* the frame is IPv4 */
inline constexpr uint32_t kTxChecksumIp6 = 1u << 1;
inline constexpr uint32_t kTxChecksumTcp = 1u << 2;
inline constexpr uint32_t kTxChecksumUdp = 1u << 3;
inline constexpr uint32_t kTxChecksumIpHeader = 1u << 4;
inline constexpr Bits kTxChecksumL4Offset = {16, 10}; /* of the TCP or UDP header */

/* Per-packet info rndis::kPpiChecksum of a frame that the guest receives */
inline constexpr uint32_t kRxChecksumTcpFailed = 1u << 0;
inline constexpr uint32_t kRxChecksumUdpFailed = 1u << 1;
inline constexpr uint32_t kRxChecksumIpFailed = 1u << 2;
inline constexpr uint32_t kRxChecksumTcpOk = 1u << 3;
inline constexpr uint32_t kRxChecksumUdpOk = 1u << 4;
inline constexpr uint32_t kRxChecksumIpOk = 1u << 5;
/* Verified, but what the header has is not the packet's: it was made of several segments. */
inline constexpr uint32_t kRxChecksumTcpValueInvalid = 1u << 7;
inline constexpr uint32_t kRxChecksumIpValueInvalid = 1u << 8;

/* Per-packet info rndis::kPpiLso */
inline constexpr Bits kLsoMss = {0, 20};
inline constexpr Bits kLsoTcpOffset = {20, 10}; /* of the TCP header */
inline constexpr uint32_t kLsoV2 = 1u << 30;
inline constexpr uint32_t kLsoIp6 = 1u << 31;

/* Per-packet info rndis::kPpiVlan. A tag in a frame has these the other way round. */
inline constexpr Bits kVlanPriority = {0, 3};
inline constexpr Bits kVlanCfi = {3, 1};
inline constexpr Bits kVlanId = {4, 12};

/** Per-packet info rndis::kPpiPacketId: parts of one packet follow each other in the ranges of one
 *  transfer-page packet. The first has the headers and all other infos, the rest is payload.
 *  (hyperv_net.h, Linux c8e4eff4675f) */
struct PacketId {
	uint8_t version;
	uint8_t flags;
	uint16_t id;
};
static_assert(sizeof(PacketId) == 4);
inline constexpr uint8_t kPacketIdVersion1 = 1;
inline constexpr uint8_t kPacketIdPart = 1u << 0;
inline constexpr uint8_t kPacketIdFirst = 1u << 1;
inline constexpr uint8_t kPacketIdLast = 1u << 2;

/** RNDIS's information of OID_GEN_RNDIS_CONFIG_PARAMETER; offsets count from its start, name and
 *  value are UTF-16 without a terminating zero. */
struct ConfigParameter {
	uint32_t name_offset;
	uint32_t name_length; /* in bytes */
	uint32_t type;
	uint32_t value_offset;
	uint32_t value_length; /* in bytes */
};
static_assert(sizeof(ConfigParameter) == 20);
enum ConfigParameterType : uint32_t {
	kParameterInteger = 0,
	kParameterString = 2,
};

} // namespace ndis
