/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <pthread.h>
#include <sys/cpuset.h>
