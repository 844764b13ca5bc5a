/* SPDX-License-Identifier: BSD-3-Clause */
/** What differs between kernels in how uio_hv_generic behaves; docs/linux.md names the changes. */
#pragma once

#include <cstdint>
#include <string>

namespace uio_host {

struct Generation {
	const char* name; /**< after what the next one does otherwise */
	uint32_t receive_buffer;
	uint32_t send_buffer;
	bool binds_without_monitor; /**< channels that need a hypercall are taken */
	bool controls_all_channels; /**< a write to the node is for the subchannels, too */
	bool masks;		    /**< the receive ring, at open and at each interrupt */
};

/** @return null if there is none of this name */
const Generation* find_generation(const std::string& name);
/** The newest. */
const Generation& newest_generation();
/** For people: the names. */
std::string generation_names();

} // namespace uio_host
