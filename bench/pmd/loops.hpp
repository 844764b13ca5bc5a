/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The loops that are timed, and nothing else is. Under callgrind, theirs are the instructions
 * that are counted.
 */
#pragma once

#include <cstdint>
#include <vector>

#include <rte_mbuf.h>

#include "rig.hpp"

namespace bench {

/** What one queue has to move in a step. */
struct Leg {
	Path path;
	rte_mbuf** received; /**< room for `want` */
	uint32_t want = 0;   /**< frames that the host gave */
	uint32_t got = 0;
	rte_mbuf** to_send;
	uint32_t sending = 0;
	uint32_t sent = 0;
};

struct Timed {
	uint64_t cycles = 0;
	bool complete = false; /**< everything moved, in a reasonable number of calls */
};

/**
 * Makes every burst function slower than it is, by so many dependent instructions for each frame:
 * to see whether who compares drivers notices. 0 at first.
 */
void set_handicap(uint32_t instructions);

Timed receive_all(std::vector<Leg>& legs, uint32_t burst);
Timed send_all(std::vector<Leg>& legs, uint32_t burst);
/** What is received is sent on the same queue. */
Timed forward_all(std::vector<Leg>& legs, uint32_t burst);
/** Receives and sends other frames, in turn. */
Timed exchange_all(std::vector<Leg>& legs, uint32_t burst);

/**
 * What cannot be done without: the same bytes copied from the same places to the same places, and
 * an index written once for each burst.
 */
Timed copy_all(uint8_t* const* to, const uint8_t* const* from, const uint32_t* lengths,
	       uint32_t count, uint32_t burst);

} // namespace bench
