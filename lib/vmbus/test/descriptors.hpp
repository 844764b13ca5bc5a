/* SPDX-License-Identifier: BSD-3-Clause */
/** How many file descriptors this process has: for tests that nothing leaks. */
#pragma once

#include <filesystem>
#include <iterator>

namespace vmbus::test {

inline size_t open_descriptors()
{
	return static_cast<size_t>(
		std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
			      std::filesystem::directory_iterator()));
}

} // namespace vmbus::test
