/* SPDX-License-Identifier: BSD-3-Clause */
/** A guest's end of one channel's rings, with plain copies byte by byte. */
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "netvsc/nvsp.hpp"
#include "vmbus/packet.hpp"

namespace test {

struct Received {
	vmbus::PacketDescriptor d{};
	std::vector<uint8_t> head; /* between descriptor and data */
	std::vector<uint8_t> data;
	bool is(vmbus::PacketType type) const { return d.type == uint16_t(type); }
	nvsp::Message message() const
	{
		nvsp::Message m{};
		if (!data.empty())
			memcpy(&m, data.data(), std::min(sizeof(m), data.size()));
		return m;
	}
};

struct GuestChannel {
	uint32_t relid = 0;
	uint32_t index = 0;
	uint8_t monitor_id = vmbus::kMonitorIdNone;
	int kick = -1; /* to the host */
	int call = -1; /* from the host */
	vmbus::RingControl* tx = nullptr;
	vmbus::RingControl* rx = nullptr;
	uint32_t data_size = 0;

	static uint8_t* data(vmbus::RingControl* c) { return reinterpret_cast<uint8_t*>(c + 1); }

	bool send(uint16_t type, uint16_t flags, uint64_t id, const std::vector<uint8_t>& head,
		  const std::vector<uint8_t>& body)
	{
		std::vector<uint8_t> bytes(16);
		bytes.insert(bytes.end(), head.begin(), head.end());
		size_t offset = bytes.size();
		bytes.insert(bytes.end(), body.begin(), body.end());
		bytes.resize((bytes.size() + 7) / 8 * 8);
		vmbus::PacketDescriptor d{type, uint16_t(offset / 8), uint16_t(bytes.size() / 8),
					  flags, id};
		memcpy(bytes.data(), &d, sizeof(d));
		bytes.resize(bytes.size() + 8);
		uint32_t in = tx->in, out = __atomic_load_n(&tx->out, __ATOMIC_ACQUIRE);
		uint32_t used = (in + data_size - out) % data_size;
		if (bytes.size() > data_size - used - 8)
			return false;
		for (uint8_t b : bytes) {
			data(tx)[in] = b;
			in = (in + 1) % data_size;
		}
		uint32_t old = tx->in;
		__atomic_store_n(&tx->in, in, __ATOMIC_SEQ_CST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (__atomic_load_n(&tx->interrupt_mask, __ATOMIC_SEQ_CST) == 0 &&
		    __atomic_load_n(&tx->out, __ATOMIC_SEQ_CST) == old)
			signal();
		return true;
	}
	void signal()
	{
		uint64_t one = 1;
		ASSERT_EQ(ssize_t(8), write(kick, &one, 8));
	}
	bool receive(Received& p)
	{
		uint32_t in = __atomic_load_n(&rx->in, __ATOMIC_ACQUIRE);
		uint32_t out = rx->out;
		if (in == out)
			return false;
		auto get = [&](uint32_t at, void* to, size_t n) {
			for (size_t i = 0; i < n; i++)
				static_cast<uint8_t*>(to)[i] = data(rx)[(out + at + i) % data_size];
		};
		get(0, &p.d, sizeof(p.d));
		uint32_t used = (in + data_size - out) % data_size;
		if (p.d.length8 * 8u + 8 > used || p.d.data_offset8 > p.d.length8 ||
		    p.d.data_offset8 < 2) {
			ADD_FAILURE() << "malformed packet from the host";
			return false;
		}
		p.head.resize(p.d.data_offset8 * 8 - 16);
		get(16, p.head.data(), p.head.size());
		p.data.resize((p.d.length8 - p.d.data_offset8) * 8);
		get(p.d.data_offset8 * 8u, p.data.data(), p.data.size());
		uint64_t footer;
		get(p.d.length8 * 8u, &footer, 8);
		EXPECT_EQ(uint64_t(out) << 32, footer);
		out = (out + p.d.length8 * 8 + 8) % data_size;
		uint32_t pending = rx->pending_send_size & ~7u;
		uint32_t free_before = data_size - used;
		__atomic_store_n(&rx->out, out, __ATOMIC_SEQ_CST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		uint32_t free_after =
			data_size -
			(__atomic_load_n(&rx->in, __ATOMIC_SEQ_CST) + data_size - out) % data_size;
		pending = __atomic_load_n(&rx->pending_send_size, __ATOMIC_SEQ_CST) & ~7u;
		if (pending != 0 && free_before < pending && free_after >= pending)
			signal();
		return true;
	}
};

template <class T> std::vector<uint8_t> bytes_of(const T& value)
{
	auto* p = reinterpret_cast<const uint8_t*>(&value);
	return {p, p + sizeof(T)};
}

} // namespace test
