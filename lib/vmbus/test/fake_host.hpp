/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The host's ends of a channel's two rings, for tests of the guest's ends.
 *
 * Written from the specification of the rings alone, with numbers instead of the library's names,
 * so that a mistake there is not repeated here. The data areas are allocations of exactly their
 * size: an address sanitizer sees every step across their ends.
 */
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "vmbus/packet.hpp"

namespace vmbus::test {

using Bytes = std::vector<uint8_t>;

inline Bytes pattern(size_t length, uint32_t seed)
{
	Bytes out(length);
	for (size_t i = 0; i < length; i++)
		out[i] = static_cast<uint8_t>(seed * 31 + i * 7 + i / 251);
	return out;
}

inline uint32_t get32(const Bytes& b, size_t at)
{
	uint32_t v = 0;
	if (at + 4 <= b.size())
		std::memcpy(&v, &b[at], 4);
	return v;
}

inline uint64_t get64(const Bytes& b, size_t at)
{
	return get32(b, at) | uint64_t{get32(b, at + 4)} << 32;
}

inline void put32(Bytes& b, size_t at, uint32_t v)
{
	if (b.size() < at + 4)
		b.resize(at + 4);
	std::memcpy(&b[at], &v, 4);
}

inline void put64(Bytes& b, size_t at, uint64_t v)
{
	put32(b, at, static_cast<uint32_t>(v));
	put32(b, at + 4, static_cast<uint32_t>(v >> 32));
}

/** One ring: its control page as plain words, and its data area. */
struct RingMemory {
	explicit RingMemory(uint32_t n)
		: page(new uint32_t[1024]()), data(new uint8_t[n]()), size(n)
	{
	}
	uint32_t load(int word) const { return __atomic_load_n(&page[word], __ATOMIC_SEQ_CST); }
	void store(int word, uint32_t v) { __atomic_store_n(&page[word], v, __ATOMIC_SEQ_CST); }
	RingControl* control() { return reinterpret_cast<RingControl*>(page.get()); }

	/* Word numbers in the control page. */
	static constexpr int kIn = 0;
	static constexpr int kOut = 1;
	static constexpr int kMask = 2;
	static constexpr int kPending = 3;
	static constexpr int kFeatures = 16;

	std::unique_ptr<uint32_t[]> page;
	std::unique_ptr<uint8_t[]> data;
	const uint32_t size;
};

/** A packet as it lies in a ring, taken apart. */
struct Packet {
	uint16_t type = 0;
	uint16_t flags = 0;
	uint64_t id = 0;
	uint32_t at = 0; /**< index at which it started */
	Bytes head;	 /**< between descriptor and payload */
	Bytes payload;
	uint64_t footer = 0;
};

/** Reads what the guest sends. */
class HostReceiver {
      public:
	explicit HostReceiver(RingMemory& ring) : ring_(ring) {}

	uint32_t used() const
	{
		const uint32_t in = ring_.load(RingMemory::kIn);
		return in >= out_ ? in - out_ : ring_.size - out_ + in;
	}
	/** @return false: empty, or not a packet (then bad() is set) */
	bool take(Packet& p)
	{
		const uint32_t have = used();
		if (have == 0)
			return false;
		const Bytes d = copy(0, 16);
		const uint32_t offset = (get32(d, 0) >> 16) * 8;
		const uint32_t length = (get32(d, 4) & 0xffff) * 8;
		if (offset < 16 || length < offset || length + 8 > have) {
			bad_ = true;
			return false;
		}
		p.type = static_cast<uint16_t>(get32(d, 0));
		p.flags = static_cast<uint16_t>(get32(d, 4) >> 16);
		p.id = get64(d, 8);
		p.at = out_;
		p.head = copy(16, offset - 16);
		p.payload = copy(offset, length - offset);
		p.footer = get64(copy(length, 8), 0);
		out_ = (out_ + length + 8) % ring_.size;
		ring_.store(RingMemory::kOut, out_);
		return true;
	}
	bool bad() const { return bad_; }
	uint32_t position() const { return out_; }

      private:
	Bytes copy(uint32_t from, uint32_t n) const
	{
		Bytes b(n);
		for (uint32_t i = 0; i < n; i++)
			b[i] = ring_.data[(out_ + from + i) % ring_.size];
		return b;
	}

	RingMemory& ring_;
	uint32_t out_ = 0;
	bool bad_ = false;
};

/** Writes what the guest receives. */
class HostSender {
      public:
	explicit HostSender(RingMemory& ring) : ring_(ring) {}

	uint32_t room() const
	{
		const uint32_t out = ring_.load(RingMemory::kOut);
		const uint32_t used = write_ >= out ? write_ - out : ring_.size - out + write_;
		return ring_.size - used - 8;
	}
	/** Bytes into the ring as they are, without a footer. */
	void write(const Bytes& b)
	{
		for (const uint8_t byte : b) {
			ring_.data[write_] = byte;
			write_ = (write_ + 1) % ring_.size;
		}
	}
	void publish() { ring_.store(RingMemory::kIn, write_); }

	/** A whole packet; both parts are padded to 8 bytes. @return false: no room */
	bool put(uint16_t type, uint64_t id, Bytes head, Bytes payload, uint16_t flags = 0)
	{
		head.resize((head.size() + 7) / 8 * 8);
		payload.resize((payload.size() + 7) / 8 * 8);
		const size_t length = 16 + head.size() + payload.size();
		if (length + 8 > room())
			return false;
		Bytes b;
		put32(b, 0, type | static_cast<uint32_t>((16 + head.size()) / 8) << 16);
		put32(b, 4, static_cast<uint32_t>(length / 8) | uint32_t{flags} << 16);
		put64(b, 8, id);
		b.insert(b.end(), head.begin(), head.end());
		b.insert(b.end(), payload.begin(), payload.end());
		put64(b, length, uint64_t{write_} << 32);
		write(b);
		return true;
	}
	bool send(uint16_t type, uint64_t id, const Bytes& head, const Bytes& payload,
		  uint16_t flags = 0)
	{
		const bool done = put(type, id, head, payload, flags);
		publish();
		return done;
	}
	uint32_t position() const { return write_; }

      private:
	RingMemory& ring_;
	uint32_t write_ = 0;
};

} // namespace vmbus::test
