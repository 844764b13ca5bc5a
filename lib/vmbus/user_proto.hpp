/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Wire format of vmbus-user: VMBus control messages over a UNIX SOCK_SEQPACKET socket.
 *
 * docs/vmbus-user.md is the specification; this file must say the same. One message is one
 * datagram. All integers are little-endian (the two ends share a machine). Message numbers are
 * VMBus's own (CHANNELMSG_*) where it has the message, 0x1000 and up where it has not.
 */
#pragma once

#include "packet.hpp"

namespace vmbus::user {

inline constexpr uint32_t kMagic = 0x55424d56; /* "VMBU" */
inline constexpr uint32_t kVersion = 1;
inline constexpr uint32_t kMaxMessage = 64 * 1024;

enum class Type : uint32_t {
	kOfferChannel = 1,	 /* host → guest */
	kRescind = 2,		 /* host → guest */
	kRequestOffers = 3,	 /* guest → host */
	kAllOffersDelivered = 4, /* host → guest */
	kOpenChannel = 5,	 /* guest → host, with two eventfds */
	kOpenResult = 6,	 /* host → guest */
	kCloseChannel = 7,	 /* guest → host, no answer */
	kGpadlHeader = 8,	 /* guest → host */
	kGpadlCreated = 10,	 /* host → guest */
	kGpadlTeardown = 11,	 /* guest → host */
	kGpadlTorndown = 12,	 /* host → guest */
	kRelidReleased = 13,	 /* guest → host, no answer */
	kInitiateContact = 14,	 /* guest → host, the first message */
	kVersionResponse = 15,	 /* host → guest */
	kUnload = 16,		 /* guest → host */
	kUnloadResponse = 17,	 /* host → guest */
	kMemAdd = 0x1001,	 /* guest → host, with one fd or none */
	kMemRemove = 0x1002,	 /* guest → host */
	kMemResult = 0x1003,	 /* host → guest, answers both */
};

enum class Status : uint32_t {
	kOk = 0,
	kBadArgument = 1, /* a field is out of range */
	kUnknownId = 2,	  /* no such relid, GPADL or memory region */
	kBadState = 3,	  /* not now: already open, in use, not negotiated */
	kNoResource = 4,  /* the host could not map or allocate */
	kRefused = 5,	  /* the host does not want to */
};

struct Header {
	Type type;
	uint32_t size; /**< of the whole message, this header included */
};

struct InitiateContact {
	Header hdr;
	uint32_t magic;
	uint32_t version;
};

struct VersionResponse {
	Header hdr;
	uint32_t accepted; /**< 1 or 0 */
	uint32_t version;  /**< the host's newest, if refused */
};

inline constexpr uint32_t kMemSameAddressSpace = 1u << 0;

/**
 * One region of guest-physical memory. `offset` is into the passed file; with
 * kMemSameAddressSpace no file is passed and `offset` is the region's address in this process.
 */
struct MemAdd {
	Header hdr;
	uint64_t gpa;
	uint64_t size;
	uint64_t offset;
	uint32_t flags;
	uint32_t reserved;
};

struct MemRemove {
	Header hdr;
	uint64_t gpa;
	uint64_t size;
};

struct MemResult {
	Header hdr;
	uint64_t gpa;
	Status status;
	uint32_t reserved;
};

struct RequestOffers {
	Header hdr;
	uint64_t monitor_gpa; /**< of the guest's MonitorPage; 0 = it has none */
};

struct OfferChannel {
	Header hdr;
	Guid class_id;
	Guid instance_id;
	uint32_t relid;		   /**< names the channel in every later message; never 0 */
	uint16_t subchannel_index; /**< 0 = the device's primary channel */
	uint8_t monitor_id;	   /**< kMonitorIdNone = signal by eventfd */
	uint8_t reserved;
	char name[32]; /**< for people, NUL-terminated */
};

/** kRescind, kCloseChannel, kRelidReleased */
struct ChannelId {
	Header hdr;
	uint32_t relid;
	uint32_t reserved;
};

struct GpaRun {
	uint64_t gpa;  /**< page-aligned */
	uint64_t size; /**< in bytes, a multiple of the page size */
};

/** Followed by `run_count` GpaRuns, which in this order make up the buffer. */
struct GpadlHeader {
	Header hdr;
	uint32_t relid;
	uint32_t gpadl; /**< chosen by the guest, never 0, unique on the connection */
	uint32_t run_count;
	uint32_t reserved;
};

struct GpadlCreated {
	Header hdr;
	uint32_t relid;
	uint32_t gpadl;
	Status status;
	uint32_t reserved;
};

/** kGpadlTeardown and kGpadlTorndown */
struct GpadlId {
	Header hdr;
	uint32_t relid;
	uint32_t gpadl;
};

/** Comes with two eventfds: the one the guest signals, then the one the host signals. */
struct OpenChannel {
	Header hdr;
	uint32_t relid;
	uint32_t open_id; /**< echoed in the answer */
	uint32_t ring_gpadl;
	uint32_t ring_offset_pages; /**< the host-to-guest ring's first page in the GPADL */
	uint32_t target_vp;
	uint32_t reserved;
};

struct OpenResult {
	Header hdr;
	uint32_t relid;
	uint32_t open_id;
	Status status;
	uint32_t reserved;
};

/** kAllOffersDelivered, kUnload, kUnloadResponse */
struct Bare {
	Header hdr;
};

static_assert(sizeof(Header) == 8);
static_assert(sizeof(InitiateContact) == 16);
static_assert(sizeof(VersionResponse) == 16);
static_assert(sizeof(MemAdd) == 40);
static_assert(sizeof(MemRemove) == 24);
static_assert(sizeof(MemResult) == 24);
static_assert(sizeof(RequestOffers) == 16);
static_assert(sizeof(OfferChannel) == 80);
static_assert(offsetof(OfferChannel, relid) == 40);
static_assert(offsetof(OfferChannel, name) == 48);
static_assert(sizeof(ChannelId) == 16);
static_assert(sizeof(GpaRun) == 16);
static_assert(sizeof(GpadlHeader) == 24);
static_assert(sizeof(GpadlCreated) == 24);
static_assert(sizeof(GpadlId) == 16);
static_assert(sizeof(OpenChannel) == 32);
static_assert(sizeof(OpenResult) == 24);
static_assert(sizeof(Bare) == 8);

} // namespace vmbus::user
