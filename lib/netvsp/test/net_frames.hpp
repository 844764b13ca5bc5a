/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Frames for tests of offloads: made field by field with checksums from a sum of their own, so that
 * a mistake in the host's arithmetic cannot hide.
 */
#pragma once

#include <cstdint>
#include <string>

namespace test {

inline void put16(std::string& to, size_t at, uint32_t value)
{
	to[at] = char(value >> 8);
	to[at + 1] = char(value);
}
inline void put32(std::string& to, size_t at, uint32_t value)
{
	put16(to, at, value >> 16);
	put16(to, at + 2, value & 0xffff);
}
inline uint32_t get16(const std::string& from, size_t at)
{
	return uint32_t(uint8_t(from[at])) << 8 | uint8_t(from[at + 1]);
}
inline uint32_t get32(const std::string& from, size_t at)
{
	return get16(from, at) << 16 | get16(from, at + 2);
}

/** The one's complement sum of 16-bit words, the last one padded; not inverted. */
inline uint32_t plain_sum(const std::string& bytes)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < bytes.size(); i++) {
		sum += uint32_t(uint8_t(bytes[i])) << (i % 2 ? 0 : 8);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

struct FrameSpec {
	bool v6 = false;
	bool tcp = true;
	size_t payload = 100;
	size_t ip_options = 0;	/**< bytes, a multiple of 4; IPv6: of a hop-by-hop header, of 8 */
	size_t tcp_options = 0; /**< bytes, a multiple of 4 */
	uint8_t tcp_flags = 0x10;
	uint32_t sequence = 0x1000;
	uint16_t id = 7;
	uint16_t source_port = 1000;

	size_t l3() const { return 14; }
	size_t l4() const { return 14 + (v6 ? 40 : 20) + ip_options; }
	size_t data() const { return l4() + (tcp ? 20 + tcp_options : 8); }
};

inline std::string pseudo_header(const FrameSpec& s, const std::string& frame, size_t l4_length)
{
	std::string out = s.v6 ? frame.substr(22, 32) : frame.substr(26, 8);
	std::string tail(4, 0);
	put16(tail, 0, uint32_t(l4_length));
	tail[3] = s.tcp ? 6 : 17;
	return out + tail;
}

/** A frame whose checksum fields are zero. */
inline std::string bare_frame(const FrameSpec& s)
{
	std::string f(s.data() + s.payload, 0);
	const char mac[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	f.replace(0, 12, mac, 12);
	put16(f, 12, s.v6 ? 0x86dd : 0x0800);
	const uint8_t protocol = s.tcp ? 6 : 17;
	if (s.v6) {
		f[14] = 0x60;
		put16(f, 18, uint32_t(f.size() - 54));
		f[20] = char(s.ip_options ? 0 : protocol);
		f[21] = 64;
		put32(f, 22, 0x20010db8);
		f[37] = 1;
		put32(f, 38, 0x20010db8);
		f[53] = 2;
		if (s.ip_options) {
			f[54] = char(protocol);
			f[55] = char(s.ip_options / 8 - 1);
			f[56] = 1; /* PadN */
			f[57] = char(s.ip_options - 4);
		}
	} else {
		f[14] = char(0x40 | (5 + s.ip_options / 4));
		put16(f, 16, uint32_t(f.size() - 14));
		put16(f, 18, s.id);
		f[22] = 64;
		f[23] = char(protocol);
		put32(f, 26, 0x0a000001);
		put32(f, 30, 0x0a000002);
		for (size_t i = 0; i < s.ip_options; i++)
			f[34 + i] = 1; /* no operation */
	}
	put16(f, s.l4(), s.source_port);
	put16(f, s.l4() + 2, 2000);
	if (s.tcp) {
		put32(f, s.l4() + 4, s.sequence);
		f[s.l4() + 12] = char((5 + s.tcp_options / 4) << 4);
		f[s.l4() + 13] = char(s.tcp_flags);
		for (size_t i = 0; i < s.tcp_options; i++)
			f[s.l4() + 20 + i] = 1;
	} else {
		put16(f, s.l4() + 4, uint32_t(f.size() - s.l4()));
	}
	for (size_t i = 0; i < s.payload; i++)
		f[s.data() + i] = char(i * 31 + i / 256 + 5);
	return f;
}

inline size_t l4_checksum_at(const FrameSpec& s)
{
	return s.l4() + (s.tcp ? 16 : 6);
}

/** What a guest hands to a host that computes: the pseudo header's sum in the layer 4 field. */
inline std::string seeded_frame(const FrameSpec& s, bool large_send = false)
{
	std::string f = bare_frame(s);
	size_t length = large_send ? 0 : f.size() - s.l4();
	put16(f, l4_checksum_at(s), plain_sum(pseudo_header(s, f, length)));
	return f;
}

/** A frame as it is on the wire. */
inline std::string good_frame(const FrameSpec& s)
{
	std::string f = bare_frame(s);
	if (!s.v6)
		put16(f, 24, ~plain_sum(f.substr(14, s.l4() - 14)) & 0xffff);
	std::string l4 = f.substr(s.l4());
	uint32_t sum = ~plain_sum(pseudo_header(s, f, l4.size()) + l4) & 0xffff;
	if (!s.tcp && sum == 0)
		sum = 0xffff;
	put16(f, l4_checksum_at(s), sum);
	return f;
}

} // namespace test
