/* SPDX-License-Identifier: BSD-3-Clause */
#include "fault.hpp"

#include <charconv>

namespace netvsp {

namespace {

struct Name {
	const char* name;
	uint32_t without_number; /* 0: the number must be there */
};

constexpr uint32_t kAll = 0xffffffff;

/* In the order of enum Fault. */
constexpr Name kNames[size_t(Fault::kCount)] = {
	{"gpadl-fail", kAll},
	{"open-fail", kAll},
	{"refuse-nvsp", kAll},
	{"no-init-reply", kAll},
	{"short-init-reply", kAll},
	{"no-recvbuf-reply", kAll},
	{"recvbuf-fail", kAll},
	{"sendbuf-fail", kAll},
	{"rndis-init-fail", kAll},
	{"no-rndis-reply", kAll},
	{"short-query-reply", kAll},
	{"bad-query-length", kAll},
	{"no-switch-reply", kAll},
	{"unrelated-before-reply", kAll},
	{"bad-completion-id", 1},
	{"double-completion", 1},
	{"bad-rx-range", 1},
	{"bad-rx-rndis", 1},
	{"bad-rx-ppi", 1},
	{"bad-rx-part", 1},
	{"bad-descriptor", 1},
	{"bad-ring-index", 1},
	{"keepalive", 1},
	{"silent-after", 0},
	{"tx-fail", 0},
};

} // namespace

std::string FaultScript::parse(const std::vector<std::string>& entries)
{
	for (const std::string& entry : entries) {
		size_t colon = entry.find(':');
		std::string name = entry.substr(0, colon);
		size_t i = 0;
		while (i < size_t(Fault::kCount) && name != kNames[i].name)
			i++;
		if (i == size_t(Fault::kCount)) {
			std::string known;
			for (const Name& n : kNames)
				known += (known.empty() ? "" : ", ") + std::string(n.name);
			return "unknown fault '" + name + "'; known are " + known;
		}
		uint32_t count = kNames[i].without_number;
		if (colon != std::string::npos) {
			const char* first = entry.data() + colon + 1;
			const char* last = entry.data() + entry.size();
			auto [end, error] = std::from_chars(first, last, count);
			if (error != std::errc() || end != last || count == 0)
				return "fault '" + name + "': the number after ':' must be 1.." +
				       std::to_string(kAll);
		} else if (count == 0) {
			return "fault '" + name + "' needs a number: " + name + ":N";
		}
		left_[i] = count;
		any_ = true;
	}
	return {};
}

} // namespace netvsp
