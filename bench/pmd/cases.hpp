/* SPDX-License-Identifier: BSD-3-Clause */
/** What is measured: each case is one way of using a port, with one thing changed at a time. */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

enum class Direction { kRx, kTx, kIo, kBoth };
enum class Offload { kNone, kChecksumVlan, kTso };

constexpr uint32_t kImix = 0; /* 7 frames of 64 bytes, 4 of 594, 1 of 1518 */

struct Case {
	std::string name;
	Direction direction;
	uint32_t size;	     /* of a frame without FCS, or kImix */
	uint32_t burst = 32; /* mbufs per call */
	uint32_t queues = 1;
	bool rss = false; /* what many queues come with */
	uint32_t ports = 1;
	bool external = false; /* frames stay where they are: no copy either way */
	Offload offload = Offload::kNone;
	uint32_t segments = 1; /* mbufs of a transmitted frame, at least */
	bool chained = false;  /* the MTU is more than an mbuf takes */
	uint32_t lcores = 1;   /* 2 = the other one transmits */
	uint32_t each = 0;     /* frames of a queue in a step; 0 = as the command says */
};

/** All cases, in groups: those of a group share a process, as what differs is set at its start. */
struct Group {
	std::string name;
	std::string driver_args; /* "" or "key=value,..." of the device */
	uint32_t ports;
	std::vector<Case> cases;
};

const std::vector<Group>& groups();

} // namespace bench
