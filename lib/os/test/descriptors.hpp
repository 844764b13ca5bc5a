/* SPDX-License-Identifier: BSD-3-Clause */
/** The descriptors that a process has: for tests that nothing leaks. */
#pragma once

#include <string>
#include <vector>

namespace os::test {

/** What each of them is, in the system's words. */
std::vector<std::string> descriptors();

inline size_t open_descriptors()
{
	return descriptors().size();
}

} // namespace os::test
