/* SPDX-License-Identifier: BSD-3-Clause */
/** A Tx over a channel in plain memory, with a host for it. */
#pragma once

#include "netvsc/tx.hpp"

#include <gtest/gtest.h>

#include <map>

#include "pipeline.hpp"

namespace netvsc::test {

inline constexpr uint64_t kMemoryGpa = 0x123456000;
inline constexpr uint32_t kFirstSection = 3;
inline constexpr uint32_t kLongest = 9234;

/* A Tx and a host that takes its packets apart as the specification says. */
struct TxFixture {
	explicit TxFixture(TxConfig c = {}, uint32_t ring = 65536) : wire(65536, ring)
	{
		if (c.section_size == 0)
			c.section_size = 6144;
		c.first_section = kFirstSection;
		section_size = c.section_size;
		alignment = c.alignment;
		sections.reset(new uint8_t[(kFirstSection + c.section_count) * section_size]());
		c.sections = &sections[0];
		const size_t headers = Tx::memory_size(c.direct_slots);
		if (headers != 0) {
			memory.resize(headers + BouncePool::memory_size(kLongest));
			c.memory = {memory.data(), kMemoryGpa, headers};
			bounce.reset({memory.data() + headers, kMemoryGpa + headers,
				      memory.size() - headers},
				     kLongest);
			c.bounce = &bounce;
		}
		message = c.nvsp_version >= 0x60001 ? 40 : 32;
		tx = std::make_unique<Tx>(wire.channel, wire.tx_lock, c);
	}
	bool copy(const Bytes& frame)
	{
		uint8_t* at = tx->copy_frame(static_cast<uint32_t>(frame.size()));
		if (at == nullptr)
			return false;
		std::copy(frame.begin(), frame.end(), at);
		return true;
	}
	/* Memory of the guest elsewhere, which the host finds by its address. */
	void add_page(uint64_t gpa, const Bytes& bytes) { pages[gpa] = bytes; }

	Bytes read_gpa(uint64_t gpa, uint32_t n)
	{
		if (gpa >= kMemoryGpa && gpa + n <= kMemoryGpa + memory.size()) {
			const uint8_t* p = &memory[gpa - kMemoryGpa];
			return {p, p + n};
		}
		for (const auto& [start, bytes] : pages)
			if (gpa >= start && gpa + n <= start + bytes.size())
				return {bytes.begin() + static_cast<ptrdiff_t>(gpa - start),
					bytes.begin() + static_cast<ptrdiff_t>(gpa - start + n)};
		ADD_FAILURE() << "no memory at " << std::hex << gpa << "+" << n;
		return Bytes(n);
	}
	void take_message(const Bytes& m, std::vector<Bytes>& frames)
	{
		ASSERT_GE(m.size(), 44u);
		EXPECT_EQ(get32(m, 0), 1u);
		EXPECT_EQ(get32(m, 4), m.size());
		const uint32_t offset = get32(m, 8) + 8, length = get32(m, 12);
		ASSERT_LE(uint64_t{offset} + length, m.size());
		for (const size_t zero : {16u, 20u, 24u, 36u, 40u})
			EXPECT_EQ(get32(m, zero), 0u);
		EXPECT_LT(m.size() - offset - length, alignment);
		const uint32_t info = get32(m, 32);
		ASSERT_EQ(get32(m, 28), info != 0 ? 36u : 0u);
		ASSERT_EQ(offset, 44 + info); /* the frame follows what is said of it */
		infos.emplace_back(m.begin() + 44, m.begin() + 44 + info);
		frames.emplace_back(m.begin() + offset, m.begin() + offset + length);
	}
	/* The next packet's frames; ids, section counts and ranges go to the members. */
	bool take(std::vector<Bytes>& frames)
	{
		Packet p;
		if (!wire.receiver.take(p))
			return false;
		ids.push_back(p.id);
		EXPECT_EQ(p.flags, 1);
		EXPECT_EQ(p.payload.size(), message);
		EXPECT_EQ(get32(p.payload, 0), 107u);
		EXPECT_EQ(get32(p.payload, 4), 0u);
		for (size_t i = 16; i < p.payload.size(); i += 4)
			EXPECT_EQ(get32(p.payload, i), 0u);
		const uint32_t section = get32(p.payload, 8), size = get32(p.payload, 12);
		if (p.type == 6) {
			EXPECT_TRUE(p.head.empty());
			EXPECT_GE(section, kFirstSection);
			EXPECT_LE(size, section_size);
			const uint8_t* s = &sections[size_t{section} * section_size];
			uint32_t at = 0;
			while (at < size) { /* lengths must add up to the size exactly */
				EXPECT_EQ(at % alignment, 0u);
				uint32_t n;
				std::memcpy(&n, s + at + 4, 4);
				if (n < 44 || n > size - at) {
					ADD_FAILURE() << "message of " << n << " at " << at;
					return true;
				}
				take_message(Bytes(s + at, s + at + n), frames);
				at += n;
			}
			last_section = section;
			return true;
		}
		EXPECT_EQ(p.type, 9);
		EXPECT_EQ(section, 0xffffffffu);
		EXPECT_EQ(size, 0u);
		const uint32_t count = get32(p.head, 4);
		EXPECT_EQ(get32(p.head, 0), 0u);
		EXPECT_GE(count, 1u);
		EXPECT_LE(count, 32u);
		Bytes all;
		size_t at = 8;
		range_pages.clear();
		for (uint32_t i = 0; i < count; i++) {
			const uint32_t n = get32(p.head, at);
			uint32_t offset = get32(p.head, at + 4);
			EXPECT_LT(offset, 4096u);
			EXPECT_NE(n, 0u);
			at += 8;
			uint32_t left = n, number = 0;
			for (; left != 0; number++, at += 8) {
				const uint32_t part = std::min(left, 4096 - offset);
				const Bytes b = read_gpa(get64(p.head, at) * 4096 + offset, part);
				all.insert(all.end(), b.begin(), b.end());
				left -= part;
				offset = 0;
			}
			range_pages.push_back(number);
			if (i == 0) { /* OpenVMM wants the header whole in the first */
				EXPECT_GE(n, 44u);
			}
		}
		EXPECT_EQ(at, p.head.size()); /* one page number for each page, and none more */
		take_message(all, frames);
		return true;
	}
	std::vector<Bytes> take_all()
	{
		std::vector<Bytes> frames;
		while (take(frames))
			;
		EXPECT_FALSE(wire.receiver.bad());
		return frames;
	}
	std::vector<void*> reap()
	{
		std::vector<void*> cookies;
		tx->reap([&](void* c) { cookies.push_back(c); });
		return cookies;
	}
	void complete_all(bool success = true)
	{
		for (const uint64_t id : ids)
			EXPECT_TRUE(tx->complete(id, success));
		ids.clear();
	}
	FakeChannel wire;
	std::unique_ptr<uint8_t[]> sections;
	std::vector<uint8_t> memory;
	std::map<uint64_t, Bytes> pages;
	uint32_t section_size = 0, alignment = 0, message = 0;
	std::vector<uint64_t> ids;
	std::vector<uint32_t> range_pages;
	uint32_t last_section = 0;
	BouncePool bounce;
	std::unique_ptr<Tx> tx;
	std::vector<Bytes> infos; /* of each frame */
};

inline TxConfig config(uint32_t sections, uint32_t direct = 0, uint32_t frames = 8)
{
	TxConfig c;
	c.section_count = sections;
	c.direct_slots = direct;
	c.max_frames = frames;
	c.max_frame = kLongest;
	return c;
}

inline void* cookie(uintptr_t n)
{
	return reinterpret_cast<void*>(n);
}

} // namespace netvsc::test
