/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <cstdint>
#include <ctime>
#define EVFILT_WRITE (-2)
#define EV_ADD 0x0001
#define EV_ONESHOT 0x0010
#define EV_ERROR 0x4000
#define NOTE_LOWAT 0x0001
struct kevent {
	uintptr_t ident;
	short filter;
	unsigned short flags;
	unsigned int fflags;
	int64_t data;
	void* udata;
	uint64_t ext[4];
};
#define EV_SET(kevp, a, b, c, d, e, f) \
	(*(kevp) = {(uintptr_t)(a), (short)(b), (unsigned short)(c), (unsigned int)(d), (int64_t)(e), (f), {}})
int kqueue();
int kevent(int kq, const struct kevent* changes, int nchanges, struct kevent* events, int nevents,
	   const struct timespec* timeout);
