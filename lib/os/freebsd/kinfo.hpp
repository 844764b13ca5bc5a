/* SPDX-License-Identifier: BSD-3-Clause */
/** What the kernel knows of a descriptor. */
#pragma once

#include <sys/types.h>

#include <sys/fcntl.h>
#include <sys/socket.h>
#include <sys/user.h>

namespace os {

/** @return false: nothing is open under this number */
inline bool kinfo(int fd, struct kinfo_file& info)
{
	info.kf_structsize = KINFO_FILE_SIZE;
	return ::fcntl(fd, F_KINFO, &info) == 0;
}

} // namespace os
