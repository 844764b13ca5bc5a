/* SPDX-License-Identifier: BSD-3-Clause */
/** Where threads run. */
#pragma once

#include <pthread.h>

#include <vector>

namespace os {

/** Has a thread run on these CPUs only. @return whether it may */
bool run_on(pthread_t thread, const std::vector<int>& cpus);

} // namespace os
