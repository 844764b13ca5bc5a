/* SPDX-License-Identifier: BSD-3-Clause */
/** The outcome of a control-path call: an errno value and a sentence for people. */
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace vmbus {

struct [[nodiscard]] Error {
	int code = 0;	  /**< positive errno; 0 = success */
	std::string what; /**< what failed and, where known, what to do */

	Error() = default;
	Error(int c, std::string w) : code(c), what(std::move(w)) {}

	/** @return whether there is an error */
	explicit operator bool() const { return code != 0; }

	/** The error of the system call that just failed. */
	static Error system(const std::string& doing)
	{
		const int e = errno;
		return {e, doing + ": " + std::strerror(e)};
	}
};

} // namespace vmbus
