/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <sched.h>
typedef cpu_set_t cpuset_t;
