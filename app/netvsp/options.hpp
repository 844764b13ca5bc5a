/* SPDX-License-Identifier: BSD-3-Clause */
/** The command line of the netvsp daemon. */
#pragma once

#include <string>
#include <vector>

#include "netvsp/host.hpp"

namespace netvsp::app {

struct Options {
	std::string socket;
	std::vector<NicConfig> nics;
	std::vector<int> cpus;
	double stats_seconds = 0; /**< 0 = at the end only */
	bool json = false;
	bool once = false;
	bool verbose = false;
};

enum class Parsed {
	kRun,
	kDone,	/**< help or version was asked for and printed */
	kWrong, /**< what is wrong was printed */
};

Parsed parse_options(int argc, char** argv, Options& options);

} // namespace netvsp::app
