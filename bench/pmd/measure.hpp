/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * One case: the host gives frames, the driver moves them, the host takes them; only the driver's
 * part is timed. What moved is counted in every step, and compared byte by byte in some.
 */
#pragma once

#include <string>
#include <vector>

#include "rig.hpp"

namespace bench {

struct MeasureOptions {
	uint32_t samples = 30;
	uint32_t steps = 64;   /**< of a sample */
	uint32_t frames = 256; /**< of a step, at least */
	bool paced = false;    /**< each sample waits for a line on standard input */
};

struct Result {
	std::string unsupported;    /**< why the driver cannot; nothing else is set then */
	std::string error;	    /**< frames lost or damaged, or what the host complained of */
	std::vector<double> cycles; /**< per frame, of each sample */
	std::vector<double> floor;  /**< of the copy alone; empty where there is none to compare */
	uint64_t frames = 0;
	uint64_t queue_bytes = 0;     /**< of DPDK's heap, for each of several queues */
	double frames_per_packet = 0; /**< by the host's counts: received, or else sent */
};

Result measure(Rig& rig, const Case& c, const MeasureOptions& options);

} // namespace bench
