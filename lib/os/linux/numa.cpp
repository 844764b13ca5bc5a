/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/numa.hpp"

#include <numaif.h>

namespace os {

int numa_node_of(const void* address)
{
	int node = -1;
	const long rc = ::get_mempolicy(&node, nullptr, 0, const_cast<void*>(address),
					MPOL_F_NODE | MPOL_F_ADDR);
	return rc == 0 ? node : -1;
}

} // namespace os
