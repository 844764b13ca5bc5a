/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The frames of the generator: how one is made, and how one that came back is read.
 *
 *   Ethernet | IPv4 | UDP or TCP, all checksums valid | payload
 *
 *   payload  0  u32  magic
 *            4  u64  stream << 48 | sequence number within the flow
 *           12  u32  check value over the sequence number, the flow and the payload's length
 *           16  u16  flow
 *           18  ...  one 64-bit word, derived from the same, repeated and cut at the end
 *
 * Addresses, ports and checksums are not looked at on the way back: forwarders rewrite them. The
 * sequence counts within a flow since receive-side scaling may put flows on different queues,
 * which have no order among each other.
 */
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "kinds.hpp"

namespace netvsp::generator {

static_assert(std::endian::native == std::endian::little);

inline constexpr uint32_t kMagic = 0x4e56a7e5;
inline constexpr uint32_t kIpv4Header = 20;
inline constexpr uint32_t kUdpHeader = 8;
inline constexpr uint32_t kTcpHeader = 20;
inline constexpr uint32_t kStamp = 18; /* the payload before the pattern */

constexpr uint32_t payload_offset(bool tcp)
{
	return kEthernetHeader + kIpv4Header + (tcp ? kTcpHeader : kUdpHeader);
}

template <typename T> inline T load(const uint8_t* from)
{
	T value;

	memcpy(&value, from, sizeof(value));
	return value;
}

template <typename T> inline void store(uint8_t* to, T value)
{
	memcpy(to, &value, sizeof(value));
}

inline uint16_t be16(uint16_t value)
{
	return __builtin_bswap16(value);
}

struct Stamp {
	uint64_t sequence; /* with the stream in the upper 16 bits */
	uint32_t check;
	uint16_t flow;

	uint64_t pattern() const { return word(sequence, flow, check); }

	static uint64_t word(uint64_t sequence, uint16_t flow, uint32_t check)
	{
		return (sequence ^ (uint64_t(check) << 32 | flow)) * 0x9e3779b97f4a7c15u;
	}

	static uint32_t make_check(uint64_t sequence, uint16_t flow, uint32_t length)
	{
		uint64_t mix = sequence * 0xff51afd7ed558ccdu;

		mix ^= (uint64_t(length) << 16 | flow) * 0xc4ceb9fe1a85ec53u;
		mix = (mix ^ mix >> 29) * 0x94d049bb133111ebu;
		return uint32_t(mix >> 32);
	}
};

/* Two words, in a register that any 64-bit CPU has. */
typedef uint64_t Words __attribute__((vector_size(16)));

inline void fill(uint8_t* to, uint32_t length, uint64_t word)
{
	const Words words = {word, word};

	for (; length >= 32; to += 32, length -= 32) {
		store(to, words);
		store(to + 16, words);
	}
	for (; length >= 8; to += 8, length -= 8)
		store(to, word);
	if (length & 4) {
		store(to, uint32_t(word));
		to += 4;
		word >>= 32;
	}
	if (length & 2) {
		store(to, uint16_t(word));
		to += 2;
		word >>= 16;
	}
	if (length & 1)
		*to = uint8_t(word);
}

inline bool is_filled(const uint8_t* from, uint32_t length, uint64_t word)
{
	const Words words = {word, word};
	Words first = {}, second = {};

	for (; length >= 32; from += 32, length -= 32) {
		first |= load<Words>(from) ^ words;
		second |= load<Words>(from + 16) ^ words;
	}
	first |= second;
	uint64_t wrong = first[0] | first[1];
	for (; length >= 8; from += 8, length -= 8)
		wrong |= load<uint64_t>(from) ^ word;
	if (length & 4) {
		wrong |= load<uint32_t>(from) ^ uint32_t(word);
		from += 4;
		word >>= 32;
	}
	if (length & 2) {
		wrong |= uint16_t(load<uint16_t>(from) ^ uint16_t(word));
		from += 2;
		word >>= 16;
	}
	if (length & 1)
		wrong |= uint8_t(*from ^ uint8_t(word));
	return wrong == 0;
}

/* The one's complement sum of 16-bit words does not care about their byte order, nor whether they
 * are added in units of 32 bits. */
inline uint64_t sum64(uint64_t value)
{
	return (value & 0xffffffff) + (value >> 32);
}

inline uint16_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return uint16_t(sum);
}

inline uint64_t sum_bytes(const uint8_t* from, uint32_t length)
{
	uint64_t sum = 0;

	for (; length >= 2; from += 2, length -= 2)
		sum += load<uint16_t>(from);
	return length ? sum + *from : sum;
}

/** Makes the frames of one stream: a header made once, patched for each frame. */
class Maker {
      public:
	/** @param size of a frame without FCS, at least min_size() */
	Maker(uint32_t size, uint16_t stream, const std::array<uint8_t, 6>& destination, bool tcp)
		: size_(size), tcp_(tcp)
	{
		const uint16_t ip_length = uint16_t(size - kEthernetHeader);
		const uint16_t l4_length = uint16_t(ip_length - kIpv4Header);
		uint8_t* ip = header_ + kEthernetHeader;
		uint8_t* l4 = ip + kIpv4Header;

		memcpy(header_, destination.data(), 6);
		header_[6] = 0x02; /* locally administered */
		header_[10] = uint8_t(stream >> 8);
		header_[11] = uint8_t(stream);
		store(header_ + 12, be16(0x0800));
		ip[0] = 0x45;
		store(ip + 2, be16(ip_length));
		store(ip + 6, be16(0x4000)); /* don't fragment */
		ip[8] = 64;
		ip[9] = tcp ? 6 : 17;
		/* 198.18.0.0/15 is the range set aside for benchmarks (RFC 2544). */
		ip[12] = 198;
		ip[13] = 18;
		ip[16] = 198;
		ip[17] = 19;
		ip[19] = 1;
		store(l4 + 2, be16(9)); /* the discard port */
		if (tcp) {
			l4[12] = (kTcpHeader / 4) << 4;
			l4[13] = 0x10; /* ACK */
			store(l4 + 14, uint16_t(0xffff));
		} else {
			store(l4 + 4, be16(l4_length));
		}
		ip_sum_ = sum_bytes(ip, kIpv4Header);
		l4_sum_ = sum_bytes(ip + 12, 8) + be16(ip[9]) + be16(l4_length) +
			  sum_bytes(l4, tcp ? kTcpHeader : kUdpHeader) + (kMagic & 0xffff) +
			  (kMagic >> 16);
	}

	static constexpr uint32_t min_size(bool tcp) { return payload_offset(tcp) + kStamp; }

	/** Writes one frame; `sequence` has the stream in its upper 16 bits. */
	void make(uint8_t* room, uint64_t sequence, uint16_t flow) const
	{
		if (tcp_)
			make_as<true>(room, sequence, flow);
		else
			make_as<false>(room, sequence, flow);
	}

      private:
	template <bool kTcp> void make_as(uint8_t* room, uint64_t sequence, uint16_t flow) const
	{
		constexpr uint32_t kPayload = payload_offset(kTcp);
		constexpr uint32_t kL4 = kEthernetHeader + kIpv4Header;
		const uint32_t check = Stamp::make_check(sequence, flow, size_ - kPayload);
		const uint64_t word = Stamp::word(sequence, flow, check);
		const uint32_t rest = size_ - kPayload - kStamp;
		const uint16_t address = be16(flow);
		const uint16_t port = be16(0xc000 | (flow & 0x3fff));

		memcpy(room, header_, kPayload);
		store(room + kEthernetHeader + 14, address);
		store(room + kEthernetHeader + 10, uint16_t(~fold(ip_sum_ + address)));
		store(room + kL4, port);

		uint8_t* payload = room + kPayload;
		store(payload, kMagic);
		store(payload + 4, sequence);
		store(payload + 12, check);
		store(payload + 16, flow);
		fill(payload + kStamp, rest, word);

		const uint64_t tail = word & ((uint64_t(1) << (rest % 8 * 8)) - 1);
		const uint16_t sum = fold(l4_sum_ + address + port + sum64(sequence) + check +
					  flow + sum64(word) * (rest / 8) + sum64(tail));
		if (kTcp)
			store(room + kL4 + 16, uint16_t(~sum));
		else
			/* A UDP checksum of zero would mean that there is none. */
			store(room + kL4 + 6, uint16_t(sum == 0xffff ? 0xffff : ~sum));
	}

	uint8_t header_[payload_offset(true)] = {};
	uint32_t size_;
	bool tcp_;
	uint64_t ip_sum_;
	uint64_t l4_sum_;
};

/**
 * Where a frame's magic is, 0 if it has none. The header may have got one VLAN tag, and IPv4 and
 * TCP options.
 */
inline uint32_t find_payload(const uint8_t* frame, uint32_t length)
{
	constexpr uint32_t kUsual = payload_offset(false);
	uint32_t at = kEthernetHeader;

	if (length >= kUsual + 4 && load<uint32_t>(frame + kUsual) == kMagic)
		return kUsual;
	if (length < at + kIpv4Header + 4)
		return 0;
	if (load<uint16_t>(frame + 12) == be16(0x8100) ||
	    load<uint16_t>(frame + 12) == be16(0x88a8))
		at += 4;
	if (load<uint16_t>(frame + at - 2) != be16(0x0800) || frame[at] >> 4 != 4)
		return 0;
	const uint32_t l4 = at + (frame[at] & 0xfu) * 4;
	if (length < l4 + kTcpHeader)
		return 0;
	if (frame[at + 9] == 17)
		at = l4 + kUdpHeader;
	else if (frame[at + 9] == 6)
		at = l4 + (frame[l4 + 12] >> 4) * 4u;
	else
		return 0;
	return length >= at + 4 && load<uint32_t>(frame + at) == kMagic ? at : 0;
}

/** Reads the stamp of the frame whose payload starts at `at`. @return false: it is corrupted */
inline bool read_frame(const uint8_t* frame, uint32_t length, uint32_t at, Stamp& stamp)
{
	if (length < at + kStamp)
		return false;
	stamp.sequence = load<uint64_t>(frame + at + 4);
	stamp.check = load<uint32_t>(frame + at + 12);
	stamp.flow = load<uint16_t>(frame + at + 16);

	if (stamp.check != Stamp::make_check(stamp.sequence, stamp.flow, length - at))
		return false;
	return is_filled(frame + at + kStamp, length - at - kStamp, stamp.pattern());
}

} // namespace netvsp::generator
