/* SPDX-License-Identifier: BSD-3-Clause */
#include "guid.hpp"

namespace vmbus {

/* Where the byte that is printed Nth lies in the wire form. */
static constexpr int kOrder[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

static bool dash_before(int printed)
{
	return printed == 4 || printed == 6 || printed == 8 || printed == 10;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

std::string to_string(const Guid& guid)
{
	static constexpr char kHex[] = "0123456789abcdef";
	std::string out;
	for (int i = 0; i < 16; i++) {
		if (dash_before(i))
			out += '-';
		const uint8_t byte = guid.bytes[kOrder[i]];
		out += kHex[byte >> 4];
		out += kHex[byte & 15];
	}
	return out;
}

bool parse_guid(std::string_view text, Guid& guid)
{
	if (text.size() == 38 && text.front() == '{' && text.back() == '}')
		text = text.substr(1, 36);
	if (text.size() != 36)
		return false;
	Guid out;
	size_t at = 0;
	for (int i = 0; i < 16; i++) {
		if (dash_before(i) && text[at++] != '-')
			return false;
		const int high = digit(text[at]);
		const int low = digit(text[at + 1]);
		if (high < 0 || low < 0)
			return false;
		at += 2;
		out.bytes[kOrder[i]] = static_cast<uint8_t>(high << 4 | low);
	}
	guid = out;
	return true;
}

} // namespace vmbus
