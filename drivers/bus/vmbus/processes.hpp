/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The processes of one application: a primary, which talks to hosts, and secondaries, which have
 * the memory and the descriptors that it shares with them (vmbus/mirror.hpp).
 */
#pragma once

#include "compat.hpp"
#include "vmbus/mirror.hpp"

namespace vmbus::bus {

/** What the primary shares with hosts and with secondaries. Never destroyed. */
Mirror& mirror();

/** Of the primary, before it shares anything. */
Error open_to_processes();
/** Of a secondary: it has what the primary shares from now on. @param id its name in locks */
Error join_primary(uint32_t& id);

/** Of a secondary that ends: nobody looks at what the primary shares from now on. */
void leave_primary();

/**
 * Of the primary: waits until the secondaries have taken over what changed. One that does not
 * within seconds is given up: it was stopped, and joins again when it goes on.
 */
void sync_processes();

} // namespace vmbus::bus
