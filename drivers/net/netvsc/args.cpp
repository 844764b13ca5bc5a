/* SPDX-License-Identifier: BSD-3-Clause */
#include <charconv>
#include <cstring>

#include "netvsc.hpp"

namespace netvsc {

using vmbus::Error;

const char* const kArgKeys[] = {"rx_copybreak", "tx_copybreak", "rx_extmbuf_enable",
				"latency",	"numa_aware",	"max_nvsp",
				nullptr};

static Error number(const char* key, const char* value, uint32_t low, uint32_t high, uint32_t& out)
{
	uint32_t n = 0;
	const char* end = value + std::strlen(value);
	const auto [at, rc] = std::from_chars(value, end, n);
	if (rc != std::errc() || at != end || n < low || n > high)
		return {EINVAL, std::string(key) + "=" + value + ": must be a number from " +
					std::to_string(low) + " to " + std::to_string(high)};
	out = n;
	return {};
}

static Error version(const char* value, uint32_t& out)
{
	static constexpr struct {
		const char* text;
		uint32_t version;
	} kVersions[] = {{"1", nvsp::kVersion1}, {"2", nvsp::kVersion2}, {"4", nvsp::kVersion4},
			 {"5", nvsp::kVersion5}, {"6", nvsp::kVersion6}, {"6.1", nvsp::kVersion61}};
	for (const auto& v : kVersions)
		if (std::strcmp(v.text, value) == 0) {
			out = v.version;
			return {};
		}
	return {EINVAL, std::string("max_nvsp=") + value + ": must be 1, 2, 4, 5, 6 or 6.1"};
}

Error parse_args(const std::string& text, PortArgs& args)
{
	if (text.empty())
		return {};
	rte_kvargs* list = rte_kvargs_parse(text.c_str(), kArgKeys);
	if (list == nullptr)
		return {EINVAL, "cannot parse '" + text + "'"};
	Error error;
	for (uint32_t i = 0; i < list->count && !error; i++) {
		const char* key = list->pairs[i].key;
		const char* value = list->pairs[i].value;
		uint32_t n = 0;
		if (std::strcmp(key, "rx_copybreak") == 0) {
			error = number(key, value, 0, 65535, args.rx_copybreak);
		} else if (std::strcmp(key, "tx_copybreak") == 0) {
			error = number(key, value, 0, 65535, args.tx_copybreak);
		} else if (std::strcmp(key, "rx_extmbuf_enable") == 0) {
			error = number(key, value, 0, 1, n);
			args.rx_extmbuf_enable = n != 0;
		} else if (std::strcmp(key, "latency") == 0) {
			error = number(key, value, 0, 6553, args.latency);
		} else if (std::strcmp(key, "numa_aware") == 0) {
			error = number(key, value, 0, 1, n);
			args.numa_aware = n != 0;
		} else {
			error = version(value, args.max_nvsp);
		}
	}
	rte_kvargs_free(list);
	return error;
}

} // namespace netvsc
