/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Receive segment coalescing: which TCP segments make one packet for the guest.
 *
 * Joined are segments that follow each other, in the stream and in the order of arrival, and differ
 * in nothing but what tells the payloads apart; as Windows' switch does, which leaves alone
 * whatever has flags beyond ACK and PSH, or IP options.
 */
#pragma once

#include <array>
#include <cstdint>

namespace netvsp {

struct RscSegment {
	bool v6 = false;
	uint32_t l4 = 0;      /**< offset of the TCP header */
	uint32_t headers = 0; /**< bytes up to the payload */
	uint32_t payload = 0;
	std::array<uint8_t, 14 + 40 + 60> bytes{}; /**< the headers */
};

/**
 * Reads a frame that may lie in the guest's memory, its headers once.
 * @return false if the frame must not be joined with another
 */
bool read_segment(const uint8_t* frame, uint32_t length, RscSegment& out);

/** A packet that may grow by another segment. */
class RscPacket {
      public:
	void start(const RscSegment& first);
	void end() { segments_ = 0; }
	/** Whether this segment is the packet's next. */
	bool takes(const RscSegment& segment) const;
	void add(const RscSegment& segment);
	uint32_t segments() const { return segments_; }
	/** Writes into the first segment's frame what has changed by those that were added; not the
	 *  checksums, which nobody is told to be right. */
	void update_headers(uint8_t* frame) const;

      private:
	uint32_t segments_ = 0; /* 0: takes none */
	uint32_t payload_ = 0;
	bool pushed_ = false;
	RscSegment first_;
};

} // namespace netvsp
