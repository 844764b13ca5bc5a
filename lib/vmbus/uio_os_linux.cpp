/* SPDX-License-Identifier: BSD-3-Clause */
/* What only FreeBSD's kernel has. */
#include <cerrno>

#include "uio_os.hpp"

namespace vmbus::uio {

int Os::sysctl(const std::string&, const std::vector<int>&, void*, size_t&)
{
	errno = ENOENT;
	return -1;
}

bool Os::has_module(const std::string&)
{
	return false;
}

} // namespace vmbus::uio
