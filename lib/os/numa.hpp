/* SPDX-License-Identifier: BSD-3-Clause */
/** Where memory is. */
#pragma once

namespace os {

/** @return the NUMA node of the page at this address; -1: the system does not tell */
int numa_node_of(const void* address);

} // namespace os
