/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Wire format of NVSP, the protocol between netvsc (guest) and netvsp (host) on a VMBus channel.
 *
 * Sources: Linux drivers/net/hyperv/hyperv_net.h (struct nvsp_message and around),
 * OpenVMM vm/devices/net/netvsp/src/protocol.rs.
 *
 * A test compares what is here with headers that others wrote (test/system/test_wire.py). What none
 * of those has is cited beside its definition: file and commit of these sources.
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace nvsp {

enum Version : uint32_t {
	kVersion1 = 0x00002,
	kVersion2 = 0x30002,
	kVersion4 = 0x40000,
	kVersion5 = 0x50000,
	kVersion6 = 0x60000,
	kVersion61 = 0x60001,
};
/* INIT_COMPLETE of a host that refuses (hyperv_net.h, Linux c8e4eff4675f) */
inline constexpr uint32_t kVersionNone = 0xffffffff;

enum MessageType : uint32_t {
	kInit = 1,
	kInitComplete = 2,
	kSendNdisVersion = 100,
	kSendReceiveBuffer = 101,
	kSendReceiveBufferComplete = 102,
	kRevokeReceiveBuffer = 103,
	kSendSendBuffer = 104,
	kSendSendBufferComplete = 105,
	kRevokeSendBuffer = 106,
	kSendRndisPacket = 107,
	kSendRndisPacketComplete = 108,
	kSendNdisConfig = 125,
	kSendVfAssociation = 128,
	kSwitchDataPath = 129,
	kOidQueryEx = 131,	   /* hyperv_net.h, Linux c8e4eff4675f */
	kOidQueryExComplete = 132, /* hyperv_net.h, Linux c8e4eff4675f */
	kSubchannel = 133,	   /* request and answer */
	kSendIndirectionTable = 134,
};

enum Status : uint32_t {
	kStatusNone = 0, /* hyperv_net.h, Linux c8e4eff4675f */
	kStatusSuccess = 1,
	kStatusFailure = 2,
	kStatusInvalidRndisPacket = 5, /* hyperv_net.h, Linux c8e4eff4675f */
	kStatusBusy = 6,	       /* hyperv_net.h, Linux c8e4eff4675f */
};

enum ChannelType : uint32_t { kChannelData = 0, kChannelControl = 1 };

inline constexpr uint16_t kReceiveBufferId = 0xcafe;
inline constexpr uint16_t kSendBufferId = 0xface;
inline constexpr uint32_t kNoSection = 0xffffffff;
inline constexpr uint32_t kMaxFramesPerReceive = 375; /* protocol.rs, OpenVMM 1488a37b7cfe */
inline constexpr uint32_t kMaxChannels = 64;	      /* hyperv_net.h, Linux c8e4eff4675f */
inline constexpr uint32_t kSendTableEntries = 16;     /* hyperv_net.h, Linux c8e4eff4675f */

/* SEND_NDIS_CONFIG capabilities; only SR-IOV and 802.1Q are compared: hyperv_net.h, Linux
 * c8e4eff4675f */
inline constexpr uint64_t kCapVmq = 1u << 0;
inline constexpr uint64_t kCapChimney = 1u << 1;
inline constexpr uint64_t kCapSriov = 1u << 2;
inline constexpr uint64_t kCap8021q = 1u << 3;
inline constexpr uint64_t kCapCorrelationId = 1u << 4;
inline constexpr uint64_t kCapTeaming = 1u << 5;
inline constexpr uint64_t kCapVirtualSubnetId = 1u << 6;
inline constexpr uint64_t kCapRsc = 1u << 7;

enum DataPath : uint32_t { kDataPathSynthetic = 0, kDataPathVf = 1 };
inline constexpr uint32_t kSubchannelAllocate = 1;

struct Init {
	uint32_t min_version;
	uint32_t max_version;
};

struct InitComplete {
	uint32_t version; /* negotiated (older hosts), else informative */
	uint32_t max_mdl_chain_length;
	uint32_t status;
};

struct SendNdisVersion {
	uint32_t major;
	uint32_t minor;
};

struct SendBuffer { /* SEND_RECEIVE_BUFFER and SEND_SEND_BUFFER */
	uint32_t gpadl;
	uint16_t id;
	uint16_t reserved;
};

struct ReceiveSection {
	uint32_t offset;
	uint32_t suballocation_size;
	uint32_t suballocation_count;
	uint32_t end_offset;
};

struct ReceiveBufferComplete {
	uint32_t status;
	uint32_t section_count;
	ReceiveSection section; /* no known host sends more than one */
};

struct SendBufferComplete {
	uint32_t status;
	uint32_t section_size;
};

struct RevokeBuffer {
	uint16_t id;
	uint16_t reserved;
};

struct SendRndisPacket {
	uint32_t channel_type;
	uint32_t section_index; /* kNoSection: the data is in the packet's GPA ranges */
	uint32_t section_size;	/* sum of the RNDIS messages' lengths in the section */
};

struct SendRndisPacketComplete {
	uint32_t status;
};

struct SendNdisConfig {
	uint32_t mtu; /* with the 14-byte Ethernet header */
	uint32_t reserved;
	uint64_t capabilities;
} __attribute__((packed, aligned(4)));

struct SendVfAssociation {
	uint32_t allocated;
	uint32_t serial;
};

struct SwitchDataPath {
	uint32_t active;
};

struct SubchannelRequest {
	uint32_t operation;
	uint32_t count;
};

struct SubchannelComplete {
	uint32_t status;
	uint32_t count;
};

/* hyperv_net.h, Linux c8e4eff4675f */
struct SendIndirectionTable {
	uint32_t count;
	uint32_t offset; /* of the entries, from the message's start; read it, hosts differ */
};

/** One message, in the size of protocol 6.1. Up to 6.0 the first kSizeLegacy bytes travel. */
struct Message {
	uint32_t type;
	union {
		Init init;
		InitComplete init_complete;
		SendNdisVersion ndis_version;
		SendBuffer buffer;
		ReceiveBufferComplete receive_buffer_complete;
		SendBufferComplete send_buffer_complete;
		RevokeBuffer revoke;
		SendRndisPacket rndis;
		SendRndisPacketComplete rndis_complete;
		SendNdisConfig ndis_config;
		SendVfAssociation vf_association;
		SwitchDataPath data_path;
		SubchannelRequest subchannel_request;
		SubchannelComplete subchannel_complete;
		SendIndirectionTable indirection_table; /* hyperv_net.h, Linux c8e4eff4675f */
		uint8_t raw[36];
	};
};
inline constexpr uint32_t kSizeLegacy = 28;
inline constexpr uint32_t kSize61 = 40;

static_assert(sizeof(Message) == kSize61);
static_assert(offsetof(Message, rndis) == 4);
static_assert(sizeof(ReceiveBufferComplete) == 24);
static_assert(4 + sizeof(ReceiveBufferComplete) == kSizeLegacy);
static_assert(sizeof(SendNdisConfig) == 16);
static_assert(sizeof(SendBuffer) == 8);
static_assert(sizeof(SendRndisPacket) == 12);

/** Bytes that a message occupies on a channel that negotiated `version`. */
constexpr uint32_t message_size(uint32_t version)
{
	return version >= kVersion61 ? kSize61 : kSizeLegacy;
}

} // namespace nvsp
