/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/descriptor.hpp"

#include <unistd.h>

#include <string>

namespace os {

bool is_eventfd(int fd)
{
	char target[64];
	const std::string path = "/proc/self/fd/" + std::to_string(fd);
	const ssize_t n = ::readlink(path.c_str(), target, sizeof(target));
	return n > 0 && std::string(target, static_cast<size_t>(n)) == "anon_inode:[eventfd]";
}

} // namespace os
