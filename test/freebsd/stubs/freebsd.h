/* SPDX-License-Identifier: BSD-3-Clause */
/* Included before everything: what FreeBSD's headers of the same names as Linux' have besides. */
#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>

#define MAP_GUARD 0x00002000
#define MAP_EXCL 0x00004000
#define F_KINFO 22
#define SOL_LOCAL 0
#define LOCAL_PEERCRED 1
