/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The same scenarios with devices of the Linux kernel's, as tools/uio-host shows them: where the
 * program runs under it, every vdev that a test asks for becomes one.
 */
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "netvsp/host.hpp"

namespace scenario {

class UioDevices {
      public:
	/** Whether the program runs under tools/uio-host. */
	static bool there();
	/** Whether that wants channels with a monitor id. */
	static bool monitored();
	/**
	 * Plugs in the NICs of a host. @param args as those of a vdev; what is the kernel's or
	 * EAL's to decide is left out: sizes of buffers, and whether there are addresses.
	 * @return 0, or the negative errno
	 */
	int plug(const std::string& args);
	int unplug();
	const std::vector<std::string>& names() const { return names_; }

      private:
	std::unique_ptr<netvsp::Host> own_;
	std::string socket_;
	std::vector<std::string> names_; /* of the devices, which are those of their ports */
};

} // namespace scenario
