/* SPDX-License-Identifier: BSD-3-Clause */
/** Where a channel's pipeline hands what is neither a frame nor a frame's completion. */
#pragma once

#include <cstdint>

namespace netvsc {

/**
 * Called by whichever thread reads the ring, with the ring's lock held: copy and return. The bytes
 * may lie in memory that the host can still change: read each once.
 */
class ControlSink {
      public:
	/** A completion of a control packet: its transaction id has kControlTransaction set. */
	virtual void on_completion(uint64_t transaction_id, const uint8_t* payload,
				   uint32_t length) = 0;
	/** An NVSP message that the host sent unasked. */
	virtual void on_message(const uint8_t* payload, uint32_t length) = 0;
	/** An RNDIS message that is not a frame, of at most kMaxControl bytes. */
	virtual void on_rndis(const uint8_t* message, uint32_t length) = 0;

      protected:
	~ControlSink() = default;
};

/** Sets control transactions apart from transmit slots. */
inline constexpr uint64_t kControlTransaction = uint64_t{1} << 63;

/** Longest RNDIS control message that is looked at. */
inline constexpr uint32_t kMaxControl = 4096;

} // namespace netvsc
