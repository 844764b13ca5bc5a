/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/memory.hpp"

#include <sys/mman.h>

namespace os {

static constexpr int kReserved = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

void* reserve_addresses(size_t size)
{
	void* got = ::mmap(nullptr, size, PROT_NONE, kReserved, -1, 0);
	return got == MAP_FAILED ? nullptr : got;
}

bool reserve_addresses_at(void* at, size_t size)
{
	void* got = ::mmap(at, size, PROT_NONE, kReserved | MAP_FIXED_NOREPLACE, -1, 0);
	if (got == MAP_FAILED)
		return false;
	if (got == at)
		return true;
	::munmap(got, size); /* a kernel that takes the address for a hint only */
	return false;
}

void reserve_again(void* at, size_t size)
{
	::mmap(at, size, PROT_NONE, kReserved | MAP_FIXED, -1, 0);
}

} // namespace os
