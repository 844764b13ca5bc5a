/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Access to memory that the host also writes, and the lock of a ring.
 *
 * Every shared word is read exactly once through these functions, so that the value that was
 * checked is the value that is used.
 */
#pragma once

#include <cstdint>
#include <cstring>

namespace vmbus {

template <class T> inline T load_once(const T* p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

template <class T> inline T load_acquire(const T* p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

template <class T> inline void store_relaxed(T* p, T v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

/*
 * Publishing an index and then looking at the peer's mask (or the reverse on the other side) needs
 * a full fence between the two. Both accesses are sequentially consistent instead of having a
 * separate fence: the same instruction on x86, and visible to race detectors.
 */
template <class T> inline T load_seq_cst(const T* p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

template <class T> inline void store_seq_cst(T* p, T v)
{
	__atomic_store_n(p, v, __ATOMIC_SEQ_CST);
}

inline void cpu_pause()
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/** Guards one ring's cursor. Held for a burst at most, hence a spinlock. */
class SpinLock {
      public:
	bool try_lock()
	{
		return load_once(&locked_) == 0 &&
		       __atomic_exchange_n(&locked_, 1u, __ATOMIC_ACQUIRE) == 0;
	}
	void lock()
	{
		while (!try_lock())
			cpu_pause();
	}
	void unlock() { __atomic_store_n(&locked_, 0u, __ATOMIC_RELEASE); }

      private:
	uint32_t locked_ = 0;
};

} // namespace vmbus
