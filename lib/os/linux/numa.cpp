/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/numa.hpp"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace os {

/* libnuma has a function for it, and is needed for nothing else. */
int numa_node_of(const void* address)
{
	int node = -1;
	const long rc = ::syscall(SYS_get_mempolicy, &node, nullptr, 0UL, address,
				  MPOL_F_NODE | MPOL_F_ADDR);
	return rc == 0 ? node : -1;
}

} // namespace os
