/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <cstdint>
#define KINFO_FILE_SIZE 1392
#define KF_TYPE_SOCKET 2
#define KF_TYPE_EVENTFD 13
struct kinfo_file {
	int kf_structsize;
	int kf_type;
	union {
		struct {
			uint64_t kf_sock_pcb;
			uint64_t kf_sock_unpconn;
		} kf_sock;
	} kf_un;
	char kf_path[1024];
};
