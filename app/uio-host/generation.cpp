/* SPDX-License-Identifier: BSD-3-Clause */
#include "generation.hpp"

#include <iterator>

namespace uio_host {

namespace {

constexpr uint32_t kMiB = 1u << 20;

/*
 * Of drivers/uio/uio_hv_generic.c, by the release in which a change appeared:
 * 4.18 is the first with driver_override, hence the first that people bind one NIC with;
 * 5.0  "increase size of receive and send buffers";
 * 6.10 "Enable interrupt for low speed VMBus devices";
 * 6.15 "Set event for all channels on the device";
 * 6.18 "Let userspace take care of interrupt mask".
 */
constexpr Generation kGenerations[] = {
	{"4.18", 15 * kMiB, 15 * kMiB, false, false, true},
	{"5.0", 31 * kMiB, 16 * kMiB, false, false, true},
	{"6.10", 31 * kMiB, 16 * kMiB, true, false, true},
	{"6.15", 31 * kMiB, 16 * kMiB, true, true, true},
	{"6.18", 31 * kMiB, 16 * kMiB, true, true, false},
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
