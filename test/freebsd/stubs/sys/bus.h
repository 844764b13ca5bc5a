/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <cstdint>
#define BUS_USER_VERSION 2
typedef enum device_state { DS_NOTPRESENT = 10, DS_ALIVE = 20, DS_ATTACHING = 25, DS_ATTACHED = 30 } device_state_t;
struct u_businfo {
	int ub_version;
	int ub_generation;
};
struct u_device {
	uintptr_t dv_handle;
	uintptr_t dv_parent;
	uint32_t dv_devflags;
	uint16_t dv_flags;
	device_state_t dv_state;
	char dv_fields[3072];
};
