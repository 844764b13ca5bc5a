/* SPDX-License-Identifier: BSD-3-Clause */
/** Addresses that are taken, without memory. What is mapped over them with MAP_FIXED replaces them.
 */
#pragma once

#include <cstddef>

namespace os {

/** @return null: there are none */
void* reserve_addresses(size_t size);
/** @return false: something else is there, or there is no such address */
bool reserve_addresses_at(void* at, size_t size);
/** Takes what is mapped there away, and keeps the addresses. */
void reserve_again(void* at, size_t size);

} // namespace os
