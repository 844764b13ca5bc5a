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

/**
 * Guards one ring's cursor. Held for a burst at most, hence a spinlock. It knows which process has
 * it, so that it can be taken from one that died.
 */
class SpinLock {
      public:
	/** @param owner the process, not 0 */
	bool try_lock(uint32_t owner = 1)
	{
		uint32_t free = 0;
		return load_once(&owner_) == 0 &&
		       __atomic_compare_exchange_n(&owner_, &free, owner, false, __ATOMIC_ACQUIRE,
						   __ATOMIC_RELAXED);
	}
	void lock(uint32_t owner = 1)
	{
		while (!try_lock(owner))
			cpu_pause();
	}
	void unlock() { __atomic_store_n(&owner_, 0u, __ATOMIC_RELEASE); }

	bool held_by(uint32_t owner) const { return load_once(&owner_) == owner; }
	/** The process `owner` is dead. @return whether it had the lock, which is free now */
	bool take_from(uint32_t owner)
	{
		return __atomic_compare_exchange_n(&owner_, &owner, 0u, false, __ATOMIC_ACQ_REL,
						   __ATOMIC_RELAXED);
	}

      private:
	uint32_t owner_ = 0;
};

} // namespace vmbus
