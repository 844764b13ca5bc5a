/* SPDX-License-Identifier: BSD-3-Clause */
/** Text form of GUIDs: the first three fields are little-endian on the wire. */
#pragma once

#include <string>
#include <string_view>

#include "packet.hpp"

namespace vmbus {

/** @return "f8615163-df3e-46c5-913f-f2d2f965ed0e" */
std::string to_string(const Guid& guid);

/** Takes 36 characters of hexadecimal digits and dashes, with or without braces. */
bool parse_guid(std::string_view text, Guid& guid);

} // namespace vmbus
