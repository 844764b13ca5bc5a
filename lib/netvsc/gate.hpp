/* SPDX-License-Identifier: BSD-3-Clause */
/** Whether a burst may go on. */
#pragma once

#include <cstdint>

namespace netvsc {

/**
 * The gate of callers who know that the pipeline is theirs. Bursts bring another one, with the same
 * members, if a queue may be taken from them at any time: it is asked before the ring's lock is
 * taken and again while it is held. Whoever closes a gate and then had the lock once knows that
 * nobody is in the pipeline any more, in whatever process.
 */
struct OpenGate {
	/** In another process than the session: what is not under the lock may go at any time. */
	static constexpr bool kForeign = false;
	/** Says in the ring's lock who has it. */
	static constexpr uint32_t owner() { return 1; }
	constexpr bool operator()() const { return true; }
};

} // namespace netvsc
