/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
int modfind(const char* modname);
