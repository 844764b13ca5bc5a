/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What a check is: a function that talks with the host, and throws where the host does otherwise
 * than docs/vmbus-user.md says.
 */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace check {

/** Thrown: the host deviates. `text` names message, field, value seen and value expected. */
struct Deviation {
	std::string text;
	const char* section = nullptr; /**< of docs/vmbus-user.md; null = the check's own */
};

/** Thrown: this host has nothing that could be checked, and need not have. */
struct NotApplicable {
	std::string why;
};

__attribute__((format(printf, 1, 2))) std::string format(const char* text, ...);

/** What a check gets to know, and what it has to say if all is well. */
struct Run {
	std::string path;
	int timeout_ms; /**< for each answer */
	std::string said;
};

struct Check {
	const char* name;
	const char* section;
	const char* needs; /**< checks without which this one means nothing, by spaces; or null */
	const char* what;  /**< for --list */
	void (*run)(Run&);
};

/** Each file's checks, in the order in which they run. */
extern const std::vector<Check> kControlChecks;
extern const std::vector<Check> kMemoryChecks;
extern const std::vector<Check> kChannelChecks;
extern const std::vector<Check> kNvspChecks;
extern const std::vector<Check> kRndisChecks;
extern const std::vector<Check> kSubchannelChecks;
extern const std::vector<Check> kRingChecks;

inline void require(bool good, const std::string& text, const char* section = nullptr)
{
	if (!good)
		throw Deviation{text, section};
}

} // namespace check
