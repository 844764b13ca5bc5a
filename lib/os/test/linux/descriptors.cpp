/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/test/descriptors.hpp"

#include <filesystem>

namespace os::test {

std::vector<std::string> descriptors()
{
	std::vector<std::string> all;
	for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
		std::error_code gone; /* closed meanwhile, by another thread */
		const auto target = std::filesystem::read_symlink(entry.path(), gone);
		if (!gone)
			all.push_back(target);
	}
	return all;
}

} // namespace os::test
