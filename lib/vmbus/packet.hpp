/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Wire format of a VMBus ring and of the packets in it.
 *
 * All integers are little-endian. A channel is two one-way rings; each ring is one control page
 * followed by a data area whose size is a multiple of the page size. Indices are byte offsets into
 * the data area, multiples of 8, always below its size; equal indices mean an empty ring, so the
 * usable space is the size less 8 bytes.
 *
 * Sources: Linux include/linux/hyperv.h (hv_ring_buffer, vmpacket_descriptor),
 * OpenVMM vm/devices/vmbus/vmbus_ring/src/lib.rs; of the monitor page, DPDK
 * drivers/bus/vmbus/rte_vmbus_reg.h.
 *
 * A test compares what is here with headers that others wrote (test/system/test_wire.py). What none
 * of those has is cited beside its definition: file and commit.
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace vmbus {

inline constexpr uint32_t kPageSize = 4096;

/** One of the two pages that govern a channel's rings. */
struct RingControl {
	uint32_t in;		    /**< write index; the sender stores it */
	uint32_t out;		    /**< read index; the receiver stores it */
	uint32_t interrupt_mask;    /**< receiver: non-zero = do not signal me */
	uint32_t pending_send_size; /**< sender: signal me once that many bytes are free; 0 = no */
	uint32_t reserved1[12];
	uint32_t feature_bits; /**< sender: kFeaturePendingSendSize */
	uint32_t reserved2[1007];
};
static_assert(offsetof(RingControl, in) == 0);
static_assert(offsetof(RingControl, out) == 4);
static_assert(offsetof(RingControl, interrupt_mask) == 8);
static_assert(offsetof(RingControl, pending_send_size) == 12);
static_assert(offsetof(RingControl, feature_bits) == 64);
static_assert(sizeof(RingControl) == kPageSize);

inline constexpr uint32_t kFeaturePendingSendSize = 1u << 0;

enum class PacketType : uint16_t {
	kInband = 6,
	kTransferPages = 7,
	kGpaDirect = 9,
	kCompletion = 0xb,
};

inline constexpr uint16_t kFlagCompletionRequested = 1;

/** Starts every packet. Offset and length count units of 8 bytes from the descriptor's start. */
struct PacketDescriptor {
	uint16_t type;
	uint16_t data_offset8;
	uint16_t length8;
	uint16_t flags;
	uint64_t transaction_id;
};
static_assert(sizeof(PacketDescriptor) == 16);
static_assert(offsetof(PacketDescriptor, transaction_id) == 8);

/** Follows every packet: its start index in the upper 32 bits, zero below. (vmbus_ring/src/lib.rs,
 *  OpenVMM 1488a37b7cfe) */
inline constexpr uint32_t kFooterSize = 8;

/** Byte range in the buffer that a transfer-page packet names. */
struct TransferPageRange {
	uint32_t byte_count;
	uint32_t byte_offset;
};
static_assert(sizeof(TransferPageRange) == 8);

/** Follows the descriptor of a kTransferPages packet; then `range_count` TransferPageRanges. */
struct TransferPageHeader {
	uint16_t transfer_page_set_id;
	uint8_t sender_owns_set;
	uint8_t reserved;
	uint32_t range_count;
};
static_assert(sizeof(TransferPageHeader) == 8);

/** Follows the descriptor of a kGpaDirect packet; then `range_count` GpaRanges. */
struct GpaDirectHeader {
	uint32_t reserved;
	uint32_t range_count;
};
static_assert(sizeof(GpaDirectHeader) == 8);

/** Followed by one u64 page frame number for each page that the range touches. */
struct GpaRange {
	uint32_t byte_count;
	uint32_t byte_offset; /**< into the first page */
};
static_assert(sizeof(GpaRange) == 8);

/** Ranges that every known host takes in one GPA-direct packet (Linux MAX_PAGE_BUFFER_COUNT). */
inline constexpr uint32_t kMaxGpaRanges = 32;

/**
 * The monitor page's guest-to-host side: a guest sets its channel's bit instead of signalling, and
 * the hypervisor looks after the channel's latency. Monitor id N is bit N % 32 of group N / 32.
 */
struct MonitorPage {
	uint32_t trigger_state;
	uint32_t reserved1;
	struct {
		uint32_t pending;
		uint32_t armed;
	} trigger_group[4];
	uint8_t reserved2[536];
	uint16_t latency[4][32]; /**< in units of 100 ns */
	uint8_t reserved3[3264];
};
static_assert(offsetof(MonitorPage, trigger_group) == 8);
static_assert(offsetof(MonitorPage, latency) == 0x240);
static_assert(sizeof(MonitorPage) == kPageSize);

inline constexpr uint8_t kMonitorIdMax = 127;
inline constexpr uint8_t kMonitorIdNone = 0xff; /* vmcore/src/monitor.rs, OpenVMM 1488a37b7cfe */

/** Class or instance identifier of a device, in the byte order in which VMBus carries it. */
struct Guid {
	uint8_t bytes[16];
	bool operator==(const Guid&) const = default;
};
static_assert(sizeof(Guid) == 16);

/** f8615163-df3e-46c5-913f-f2d2f965ed0e: a synthetic network adapter. */
inline constexpr Guid kNetvscClass = {{0x63, 0x51, 0x61, 0xf8, 0x3e, 0xdf, 0xc5, 0x46, 0x91, 0x3f,
				       0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e}};

} // namespace vmbus
