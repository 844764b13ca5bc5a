/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/descriptor.hpp"

#include "kinfo.hpp"

namespace os {

bool is_eventfd(int fd)
{
	struct kinfo_file info;
	return kinfo(fd, info) && info.kf_type == KF_TYPE_EVENTFD;
}

} // namespace os
