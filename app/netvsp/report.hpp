/* SPDX-License-Identifier: BSD-3-Clause */
/** Prints the counters of the NICs. */
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "netvsp/host.hpp"

namespace netvsp::app {

class Report {
      public:
	/** @param out where to; not closed */
	Report(Host& host, bool json, FILE* out = stdout);

	void add(const std::string& name, const vmbus::Guid& instance);

	/** One line per NIC with rates since the last one (text), or one object for all (JSON). */
	void interval();
	/** All counters since the start. */
	void totals(bool final);

      private:
	struct Nic {
		std::string name;
		vmbus::Guid instance;
		NicStats stats;
		NicStats last;
	};

	double collect();
	void print_json(const char* event, double seconds) const;

	Host& host_;
	bool json_;
	FILE* out_;
	std::vector<Nic> nics_;
	double start_;
	double last_;
};

} // namespace netvsp::app
