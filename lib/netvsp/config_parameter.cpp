/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_parameter.hpp"

#include <charconv>
#include <cstring>

#include "netvsc/ndis.hpp"
#include "netvsc/rndis.hpp"

namespace netvsp {

namespace {

constexpr uint32_t kMaxBytes = 255; /* of a name, of a value */

std::string ascii(const uint8_t* utf16, uint32_t bytes)
{
	std::string out;
	for (uint32_t i = 0; i + 2 <= bytes; i += 2) {
		uint16_t unit;
		memcpy(&unit, utf16 + i, sizeof(unit));
		out += unit < 0x80 ? char(unit) : '?';
	}
	return out;
}

} // namespace

uint32_t read_config_parameter(const uint8_t* data, uint32_t length, ConfigParameter& out)
{
	ndis::ConfigParameter p;
	if (length < sizeof(p))
		return rndis::kStatusFailure;
	memcpy(&p, data, sizeof(p));
	if (p.name_length > kMaxBytes || p.value_length > kMaxBytes)
		return rndis::kStatusInvalidData;
	if (p.name_offset > length || p.name_length > length - p.name_offset ||
	    p.value_offset > length || p.value_length > length - p.value_offset)
		return rndis::kStatusFailure;
	out = {};
	out.name = ascii(data + p.name_offset, p.name_length);
	out.type = p.type;
	if (p.type == ndis::kParameterString)
		out.text = ascii(data + p.value_offset, p.value_length);
	if (p.type == ndis::kParameterInteger) {
		if (p.value_length < sizeof(out.integer))
			return rndis::kStatusFailure;
		memcpy(&out.integer, data + p.value_offset, sizeof(out.integer));
	}
	return rndis::kStatusSuccess;
}

bool parse_network_address(const std::string& text, std::array<uint8_t, 6>& out)
{
	std::array<uint8_t, 6> mac{};
	if (text.size() != 2 * mac.size())
		return false;
	for (size_t i = 0; i < mac.size(); i++) {
		const char* at = text.data() + 2 * i;
		auto [end, error] = std::from_chars(at, at + 2, mac[i], 16);
		if (error != std::errc() || end != at + 2)
			return false;
	}
	if ((mac[0] & 1) || mac == std::array<uint8_t, 6>{})
		return false;
	out = mac;
	return true;
}

} // namespace netvsp
