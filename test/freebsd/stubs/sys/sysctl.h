/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <cstddef>
#include <sys/types.h>
#define CTL_MAXNAME 24
#define CTL_KERN 1
#define KERN_PROC 14
#define KERN_PROC_NFDS 43
int sysctl(const int* name, u_int namelen, void* oldp, size_t* oldlenp, const void* newp, size_t newlen);
int sysctlnametomib(const char* name, int* mibp, size_t* sizep);
