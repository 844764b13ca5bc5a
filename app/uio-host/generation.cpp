/* SPDX-License-Identifier: BSD-3-Clause */
#include "generation.hpp"

#include <iterator>

namespace uio_host {

namespace {

constexpr uint32_t kMiB = 1u << 20;

/*
 * Each differs from the one before by one change to drivers/uio/uio_hv_generic.c:
 * "increase size of receive and send buffers";
 * "Enable interrupt for low speed VMBus devices" (2024);
 * "Set event for all channels on the device" (March 2025);
 * "Let userspace take care of interrupt mask" (August 2025).
 */
constexpr Generation kGenerations[] = {
	{"small-buffers", 15 * kMiB, 15 * kMiB, false, false, true},
	{"monitor-only", 31 * kMiB, 16 * kMiB, false, false, true},
	{"primary-only", 31 * kMiB, 16 * kMiB, true, false, true},
	{"masks", 31 * kMiB, 16 * kMiB, true, true, true},
	{"current", 31 * kMiB, 16 * kMiB, true, true, false},
};

} // namespace

const Generation* find_generation(const std::string& name)
{
	for (const Generation& g : kGenerations)
		if (name == g.name)
			return &g;
	return nullptr;
}

const Generation& newest_generation()
{
	return kGenerations[std::size(kGenerations) - 1];
}

std::string generation_names()
{
	std::string names;
	for (const Generation& g : kGenerations)
		names += (names.empty() ? "" : ", ") + std::string(g.name);
	return names;
}

} // namespace uio_host
