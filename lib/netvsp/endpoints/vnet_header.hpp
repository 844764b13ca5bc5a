/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The header that the kernel has before a frame where it says what is left to do with it (virtio
 * specification, 5.1.6; the kernel's own linux/virtio_net.h is no C++). In the machine's byte
 * order.
 */
#pragma once

#include <cstdint>

namespace netvsp {

struct VnetHeader {
	uint8_t flags = 0;
	uint8_t gso_type = 0;
	uint16_t hdr_len = 0;	  /* bytes before the payload */
	uint16_t gso_size = 0;	  /* payload of a segment */
	uint16_t csum_start = 0;  /* where the sum begins */
	uint16_t csum_offset = 0; /* from there to its field */
};
static_assert(sizeof(VnetHeader) == 10);

inline constexpr uint8_t kVnetNeedsChecksum = 1; /* flags */
inline constexpr uint8_t kVnetNoGso = 0;	 /* gso_type */
inline constexpr uint8_t kVnetGsoTcp4 = 1;
inline constexpr uint8_t kVnetGsoTcp6 = 4;
inline constexpr uint8_t kVnetGsoEcn = 0x80; /* with a type: CWR belongs to the first segment */

} // namespace netvsp
