/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/thread.hpp"

#include <pthread_np.h>
#include <sys/cpuset.h>
#include <sys/param.h>

namespace os {

bool run_on(pthread_t thread, const std::vector<int>& cpus)
{
	cpuset_t set;
	CPU_ZERO(&set);
	for (const int cpu : cpus)
		if (cpu >= 0 && cpu < CPU_SETSIZE)
			CPU_SET(cpu, &set);
	return ::pthread_setaffinity_np(thread, sizeof(set), &set) == 0;
}

} // namespace os
