/* SPDX-License-Identifier: BSD-3-Clause */
/* What only FreeBSD's kernel has. */
#include <sys/param.h>

#include <sys/module.h>
#include <sys/sysctl.h>

#include <algorithm>
#include <array>

#include "uio_os.hpp"

namespace vmbus::uio {

int Os::sysctl(const std::string& name, const std::vector<int>& more, void* data, size_t& size)
{
	std::array<int, CTL_MAXNAME> oid;
	size_t count = oid.size();
	if (::sysctlnametomib(name.c_str(), oid.data(), &count) != 0)
		return -1;
	if (count + more.size() > oid.size()) {
		errno = EINVAL;
		return -1;
	}
	std::copy(more.begin(), more.end(), oid.begin() + static_cast<std::ptrdiff_t>(count));
	return ::sysctl(oid.data(), static_cast<u_int>(count + more.size()), data, &size, nullptr,
			0);
}

bool Os::has_module(const std::string& name)
{
	return ::modfind(name.c_str()) >= 0;
}

} // namespace vmbus::uio
