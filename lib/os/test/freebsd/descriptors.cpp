/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/test/descriptors.hpp"

#include <unistd.h>

#include "os/freebsd/kinfo.hpp"

namespace os::test {

std::vector<std::string> descriptors()
{
	std::vector<std::string> all;
	struct kinfo_file info;
	for (int fd = 0, most = ::getdtablesize(); fd < most && fd < 4096; fd++)
		if (kinfo(fd, info))
			all.push_back(std::to_string(fd) + ":type" + std::to_string(info.kf_type) +
				      info.kf_path);
	return all;
}

} // namespace os::test
