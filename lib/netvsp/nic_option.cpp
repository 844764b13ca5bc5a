/* SPDX-License-Identifier: BSD-3-Clause */
/* NicConfig in its text form, as command lines and device arguments have it. */
#include "host.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "netvsc/nvsp.hpp"

#include "fault.hpp"
#include "profile.hpp"

namespace netvsp {

namespace {

/* Out is a number of any type, or an optional one. */
template <class T>
std::string number(const std::string& key, const std::string& value, uint64_t low, uint64_t high,
		   T& out)
{
	uint64_t n = 0;
	const char* last = value.data() + value.size();
	auto [end, error] = std::from_chars(value.data(), last, n);
	if (error != std::errc() || end != last || n < low || n > high)
		return key + "=" + value + ": must be " + std::to_string(low) + ".." +
		       std::to_string(high);
	if constexpr (requires { out.value(); })
		out = typename T::value_type(n);
	else
		out = T(n);
	return {};
}

template <class T> std::string boolean(const std::string& key, const std::string& value, T& out)
{
	if (value == "1" || value == "on" || value == "up" || value == "yes")
		out = true;
	else if (value == "0" || value == "off" || value == "down" || value == "no")
		out = false;
	else
		return key + "=" + value + ": must be 0 or 1 (off, on, no, yes, down, up)";
	return {};
}

/* What '+' separates. */
std::vector<std::string> split(const std::string& value)
{
	std::vector<std::string> entries;
	for (size_t at = 0; at <= value.size();) {
		size_t end = std::min(value.find('+', at), value.size());
		entries.push_back(value.substr(at, end - at));
		at = end + 1;
	}
	return entries;
}

std::string mac_address(const std::string& value, std::array<uint8_t, 6>& out)
{
	std::array<uint8_t, 6> mac{};
	bool good = value.size() == 17;
	for (size_t i = 0; good && i < mac.size(); i++) {
		const char* at = value.data() + i * 3;
		auto [end, error] = std::from_chars(at, at + 2, mac[i], 16);
		good = error == std::errc() && end == at + 2 && (i == 5 || at[2] == ':');
	}
	if (!good || (mac[0] & 1))
		return "mac=" + value +
		       ": must be six hex bytes like 00:15:5d:00:00:01, not a "
		       "multicast address";
	out = mac;
	return {};
}

std::string nvsp_version(const std::string& value, std::optional<uint32_t>& out)
{
	static constexpr struct {
		const char* name;
		uint32_t version;
	} kKnown[] = {{"1", nvsp::kVersion1}, {"2", nvsp::kVersion2}, {"4", nvsp::kVersion4},
		      {"5", nvsp::kVersion5}, {"6", nvsp::kVersion6}, {"6.1", nvsp::kVersion61}};
	uint32_t hex = 0;
	if (value.size() > 2 && value[0] == '0' && (value[1] == 'x' || value[1] == 'X')) {
		const char* last = value.data() + value.size();
		auto [end, error] = std::from_chars(value.data() + 2, last, hex, 16);
		if (error != std::errc() || end != last)
			hex = 0;
	}
	for (const auto& k : kKnown) {
		if (value == k.name || (hex != 0 && hex == k.version)) {
			out = k.version;
			return {};
		}
	}
	return "nvsp=" + value +
	       ": must be 1, 2, 4, 5, 6 or 6.1 (or 0x2, 0x30002, 0x40000, 0x50000, 0x60000, "
	       "0x60001)";
}

struct NamedBit {
	const char* name;
	uint32_t bit;
};
constexpr NamedBit kChecksums[] = {{"ip4", kChecksumIp4},
				   {"tcp4", kChecksumTcp4},
				   {"udp4", kChecksumUdp4},
				   {"tcp6", kChecksumTcp6},
				   {"udp6", kChecksumUdp6}};
constexpr NamedBit kRssTypes[] = {{"tcp4", ndis::kHashTcpIpv4},
				  {"udp4", ndis::kHashUdpIpv4},
				  {"tcp6", ndis::kHashTcpIpv6},
				  {"udp6", ndis::kHashUdpIpv6}};

/* "all", "none", or some of the names with '+' between them */
template <size_t N>
std::string bits(const std::string& key, const std::string& value, const NamedBit (&known)[N],
		 std::optional<uint32_t>& out)
{
	uint32_t all = 0;
	uint32_t wanted = 0;
	std::string names;
	for (const NamedBit& k : known) {
		all |= k.bit;
		names += (names.empty() ? "" : ", ") + std::string(k.name);
	}
	for (const std::string& name : split(value)) {
		auto k = std::find_if(std::begin(known), std::end(known),
				      [&](const NamedBit& n) { return name == n.name; });
		if (name == "all")
			wanted |= all;
		else if (k != std::end(known))
			wanted |= k->bit;
		else if (name != "none")
			return key + "=" + value + ": must be all, none, or some of " + names +
			       " with '+' between them";
	}
	out = wanted;
	return {};
}

std::string fault_script(const std::string& value, std::vector<std::string>& out)
{
	std::vector<std::string> entries = split(value);
	std::string error = FaultScript().parse(entries);
	if (error.empty())
		out = entries;
	return error;
}

} // namespace

std::string parse_nic_option(const std::string& key, const std::string& value, NicConfig& config)
{
	if (key == "name") {
		if (value.empty() || value.size() > 31)
			return "name=" + value + ": must have 1..31 characters";
		config.name = value;
		return {};
	}
	if (key == "endpoint") {
		if (value.empty())
			return "endpoint=: must not be empty";
		config.endpoint = value;
		return {};
	}
	if (key == "profile") {
		if (value.empty() || !find_profile(value))
			return "profile=" + value + ": must be one of " + profile_names();
		config.profile = value;
		return {};
	}
	if (key == "mac")
		return mac_address(value, config.mac);
	if (key == "mtu")
		return number(key, value, 68, 9202, config.mtu);
	if (key == "queues")
		return number(key, value, 1, nvsp::kMaxChannels, config.queues);
	if (key == "nvsp")
		return nvsp_version(value, config.nvsp);
	if (key == "section_size")
		return number(key, value, 256, 1u << 20, config.section_size);
	if (key == "max_packets")
		return number(key, value, 1, 64, config.max_packets);
	if (key == "alignment")
		return number(key, value, 0, 12, config.alignment_shift);
	if (key == "speed")
		return number(key, value, 1, 400000, config.speed_mbps);
	if (key == "spin")
		return number(key, value, 0, 1'000'000, config.spin_us);
	if (key == "monitor")
		return boolean(key, value, config.monitor);
	if (key == "link")
		return boolean(key, value, config.link);
	if (key == "set_mac")
		return boolean(key, value, config.set_mac);
	if (key == "rss")
		return bits(key, value, kRssTypes, config.rss_types);
	if (key == "rss_table")
		return number(key, value, 1, ndis::kRssMaxTable, config.rss_table);
	if (key == "rsc")
		return boolean(key, value, config.rsc);
	if (key == "csum") {
		std::string error = bits(key, value, kChecksums, config.tx_csum);
		if (error.empty())
			config.rx_csum = config.tx_csum;
		return error;
	}
	if (key == "tx_csum")
		return bits(key, value, kChecksums, config.tx_csum);
	if (key == "rx_csum")
		return bits(key, value, kChecksums, config.rx_csum);
	if (key == "lso_max")
		return number(key, value, 0, 262144, config.lso_max);
	if (key == "vf") {
		if (value.empty())
			return "vf=: must be the name of an interface";
		config.vf = value;
		return {};
	}
	if (key == "fault")
		return fault_script(value, config.faults);
	return "unknown key '" + key +
	       "'; known are name, endpoint, profile, mac, mtu, queues, nvsp, section_size, "
	       "max_packets, "
	       "alignment, speed, spin, monitor, link, set_mac, rss, rss_table, csum, tx_csum, "
	       "rx_csum, "
	       "lso_max, "
	       "rsc, vf, fault";
}

} // namespace netvsp
