/* SPDX-License-Identifier: BSD-3-Clause */
/** Counters of what travels by a virtual function: in shared memory, as all counters are. */
#pragma once

#include <atomic>
#include <cstdint>

namespace netvsc {

/** Of one queue, for as long as the port lives. */
struct VfFrames {
	std::atomic<uint64_t> frames{0};
	std::atomic<uint64_t> bytes{0};
	std::atomic<uint64_t> dropped{0}; /**< of the backlog, when the port stopped */
	std::atomic<uint64_t> dropped_bytes{0};
};

/** What VFs did for the port, and which frames they lost by their drivers' statistics. */
struct VfCounts {
	uint64_t rx_frames = 0;
	uint64_t rx_bytes = 0;
	uint64_t tx_frames = 0;
	uint64_t tx_bytes = 0;
	uint64_t switches = 0; /**< times that the data path went to a VF */
	uint64_t missed = 0;
	uint64_t rx_errors = 0;
	uint64_t no_mbuf = 0;
	uint64_t tx_errors = 0;
};

} // namespace netvsc
