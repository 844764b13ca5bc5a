/* SPDX-License-Identifier: BSD-3-Clause */
/** The information of OID_GEN_RNDIS_CONFIG_PARAMETER: a keyword of the NIC's and its new value. */
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace netvsp {

struct ConfigParameter {
	std::string name; /**< what is not ASCII in it becomes '?': no keyword has that */
	uint32_t type = 0;
	std::string text;     /**< value of a string */
	uint32_t integer = 0; /**< value of an integer */
};

/** @return an RNDIS status */
uint32_t read_config_parameter(const uint8_t* data, uint32_t length, ConfigParameter& out);

/** Twelve hex digits that are an address a station can have. */
bool parse_network_address(const std::string& text, std::array<uint8_t, 6>& out);

} // namespace netvsp
