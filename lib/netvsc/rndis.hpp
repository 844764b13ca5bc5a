/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Wire format of RNDIS as netvsc uses it: data frames with per-packet info, and control messages.
 *
 * Offsets inside a message count from kOffsetBase (the byte after type and length).
 * Sources: [MS-RNDIS], Linux drivers/net/hyperv/hyperv_net.h,
 * OpenVMM vm/devices/net/netvsp/src/rndisprot.rs.
 *
 * A test compares what is here with headers that others wrote (test/system/test_wire.py). What none
 * of those has is cited beside its definition: file and commit of these sources.
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace rndis {

enum MessageType : uint32_t {
	kPacket = 1,
	kInitialize = 2,
	kHalt = 3, /* gets no answer */
	kQuery = 4,
	kSet = 5,
	kReset = 6,
	kIndicateStatus = 7,
	kKeepalive = 8,
	kComplete = 0x80000000, /* added to a request's type in its answer */
};

enum Status : uint32_t {
	kStatusSuccess = 0,
	kStatusMediaConnect = 0x4001000b,
	kStatusMediaDisconnect = 0x4001000c,
	kStatusLinkSpeedChange = 0x40010013,
	kStatusNetworkChange = 0x40010018,
	kStatusOffloadConfig = 0x40020006,
	kStatusFailure = 0xc0000001,
	kStatusNotSupported = 0xc00000bb,
	kStatusInvalidLength = 0xc0010014,
	kStatusInvalidData = 0xc0010015,
	kStatusInvalidOid = 0xc0010017,
};

enum Oid : uint32_t {
	kOidHardwareStatus = 0x00010102,   /* u32, 0 = ready */
	kOidMediaSupported = 0x00010103,   /* list of u32, kMedium* */
	kOidMediaInUse = 0x00010104,	   /* the same */
	kOidMaximumFrameSize = 0x00010106, /* u32, without the Ethernet header */
	kOidLinkSpeed = 0x00010107,	   /* u32, in 100 bit/s */
	kOidVendorId = 0x0001010c,	   /* u32, IEEE code of three bytes and one more */
	kOidVendorDescription = 0x0001010d,
	kOidCurrentPacketFilter = 0x0001010e,	/* u32 */
	kOidMaximumTotalSize = 0x00010111,	/* u32, with the Ethernet header */
	kOidMediaConnectStatus = 0x00010114,	/* u32, kMedia* */
	kOidMaximumSendPackets = 0x00010115,	/* u32 */
	kOidVendorDriverVersion = 0x00010116,	/* u32 */
	kOidNetworkLayerAddresses = 0x00010118, /* set only */
	kOidReceiveScaleCapabilities = 0x00010203,
	kOidReceiveScaleParameters = 0x00010204,
	kOidConfigParameter = 0x0001021b,      /* set only */
	kOidPermanentAddress = 0x01010101,     /* 6 bytes */
	kOidCurrentAddress = 0x01010102,       /* 6 bytes */
	kOidMaximumListSize = 0x01010104,      /* u32, multicast addresses */
	kOidOffloadCurrentConfig = 0xfc01020b, /* hyperv_net.h, Linux c8e4eff4675f */
	kOidOffloadParameters = 0xfc01020c,
	kOidOffloadCapabilities = 0xfc01020d,
};

enum PacketFilter : uint32_t {
	kFilterDirected = 0x01,
	kFilterMulticast = 0x02,
	kFilterAllMulticast = 0x04,
	kFilterBroadcast = 0x08,
	kFilterPromiscuous = 0x20,
};

/** What kOidMediaConnectStatus tells. */
inline constexpr uint32_t kMediaConnected = 0;
inline constexpr uint32_t kMediaDisconnected = 1;

/* Values in InitializeRequest and InitializeComplete */
inline constexpr uint32_t kVersionMajor = 1;
inline constexpr uint32_t kVersionMinor = 0;
inline constexpr uint32_t kDeviceConnectionless = 1; /* a flag */
inline constexpr uint32_t kMedium8023 = 0;	     /* Ethernet */

inline constexpr uint32_t kOffsetBase = 8;

struct Header {
	uint32_t type;
	uint32_t length; /* of the whole message, this header and padding included */
};

/** kPacket */
struct PacketMessage {
	Header hdr;
	uint32_t data_offset; /* from kOffsetBase */
	uint32_t data_length;
	uint32_t oob_offset;
	uint32_t oob_length;
	uint32_t oob_count;
	uint32_t ppi_offset; /* from kOffsetBase; 0 if there is none */
	uint32_t ppi_length; /* of all per-packet infos */
	uint32_t vc_handle;
	uint32_t reserved;
};
static_assert(sizeof(PacketMessage) == 44);

enum PpiType : uint32_t {
	kPpiChecksum = 0,
	kPpiLso = 2,
	kPpiVlan = 6,
	kPpiHashValue = 8,
	kPpiHashInfo = 9,
	/* hyperv_net.h, Linux c8e4eff4675f: */
	kPpiInternal = 0x80000000, /* flag: the type is internal */
	kPpiPacketId = 0x80000001, /* for RSC, NVSP 6.1 */
};

struct PacketInfo {
	uint32_t size; /* with this header */
	uint32_t type;
	uint32_t offset; /* of the payload, from this header */
};
static_assert(sizeof(PacketInfo) == 12);

struct InitializeRequest {
	Header hdr;
	uint32_t request_id;
	uint32_t major;
	uint32_t minor;
	uint32_t max_transfer_size;
};
static_assert(sizeof(InitializeRequest) == 24);

struct InitializeComplete {
	Header hdr;
	uint32_t request_id;
	uint32_t status;
	uint32_t major;
	uint32_t minor;
	uint32_t device_flags;
	uint32_t medium;
	uint32_t max_packets_per_message;
	uint32_t max_transfer_size;
	uint32_t packet_alignment_factor; /* messages start at multiples of 1 << this */
	uint32_t af_list_offset;
	uint32_t af_list_size;
};
static_assert(sizeof(InitializeComplete) == 52);

struct HaltRequest {
	Header hdr;
	uint32_t request_id;
};
static_assert(sizeof(HaltRequest) == 12);

/** kQuery and kSet; data follows directly (OpenVMM ignores the offset of a set). */
struct OidRequest {
	Header hdr;
	uint32_t request_id;
	uint32_t oid;
	uint32_t info_length;
	uint32_t info_offset; /* from kOffsetBase */
	uint32_t vc_handle;
};
static_assert(sizeof(OidRequest) == 28);

struct QueryComplete {
	Header hdr;
	uint32_t request_id;
	uint32_t status;
	uint32_t info_length;
	uint32_t info_offset; /* from kOffsetBase */
};
static_assert(sizeof(QueryComplete) == 24);

/** Answers kSet and kKeepalive */
struct StatusComplete {
	Header hdr;
	uint32_t request_id;
	uint32_t status;
};
static_assert(sizeof(StatusComplete) == 16);

struct IndicateStatus {
	Header hdr;
	uint32_t status;
	uint32_t buffer_length;
	uint32_t buffer_offset;
};
static_assert(sizeof(IndicateStatus) == 20);

struct KeepaliveRequest {
	Header hdr;
	uint32_t request_id;
};
static_assert(sizeof(KeepaliveRequest) == 12);

} // namespace rndis
