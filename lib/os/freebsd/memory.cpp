/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/memory.hpp"

#include <sys/mman.h>

namespace os {

void* reserve_addresses(size_t size)
{
	void* got = ::mmap(nullptr, size, PROT_NONE, MAP_GUARD, -1, 0);
	return got == MAP_FAILED ? nullptr : got;
}

bool reserve_addresses_at(void* at, size_t size)
{
	return ::mmap(at, size, PROT_NONE, MAP_GUARD | MAP_FIXED | MAP_EXCL, -1, 0) == at;
}

void reserve_again(void* at, size_t size)
{
	::mmap(at, size, PROT_NONE, MAP_GUARD | MAP_FIXED, -1, 0);
}

} // namespace os
