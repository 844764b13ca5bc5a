/* SPDX-License-Identifier: BSD-3-Clause */
/* GCC's stddef.h wants it. */
#pragma once
