/* SPDX-License-Identifier: BSD-3-Clause */
/** Tells a vmbus-user host of DPDK's memory, as it is and as it changes. */
#pragma once

#include "vmbus/user_connection.hpp"

namespace vmbus::bus {

/** Whether DPDK's memory is in files, as it is on Linux: other processes may be given them. */
bool memory_has_files();

/**
 * Guest-physical addresses are IOVAs: what a descriptor of a device would hold.
 * @return an error if the host does not take a region, or memory cannot be shared
 */
Error share_memory(user::Connection& connection);

/** Follows memory that EAL maps and unmaps from now on, for this connection. */
void follow_memory(user::Connection& connection);
void unfollow_memory(user::Connection& connection);

} // namespace vmbus::bus
