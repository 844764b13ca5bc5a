/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <sys/types.h>
struct xucred {
	u_int cr_version;
	uid_t cr_uid;
	short cr_ngroups;
	gid_t cr_groups[16];
	union {
		void* _cr_unused1;
		pid_t cr_pid;
	};
};
