/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A channel in plain memory, with the host's ends of its rings, and the bytes that NVSP and RNDIS
 * hosts write: what the tests of both pipelines share. Numbers are those of the protocols, not the
 * library's names.
 */
#pragma once

#include <gtest/gtest.h>

#include "netvsc/rx.hpp"
#include "vmbus/test/fake_host.hpp"

namespace netvsc::test {

using vmbus::test::Bytes;
using vmbus::test::get32;
using vmbus::test::get64;
using vmbus::test::HostReceiver;
using vmbus::test::HostSender;
using vmbus::test::Packet;
using vmbus::test::pattern;
using vmbus::test::put32;
using vmbus::test::put64;
using vmbus::test::RingMemory;

struct FakeChannel {
	explicit FakeChannel(uint32_t to_guest_size = 65536, uint32_t to_host_size = 65536)
		: to_guest(to_guest_size),
		  to_host(to_host_size),
		  sender(to_guest),
		  receiver(to_host)
	{
		channel.tx = vmbus::RingWriter(to_host.control(), &to_host.data[0], to_host_size);
		channel.rx =
			vmbus::RingReader(to_guest.control(), &to_guest.data[0], to_guest_size);
	}
	RingMemory to_guest, to_host;
	HostSender sender;
	HostReceiver receiver;
	vmbus::Channel channel;
	vmbus::SpinLock rx_lock;
	vmbus::SpinLock tx_lock;
};

/** NVSP message of u32 fields, 28 bytes long as up to protocol 6.0. */
inline Bytes nvsp_message(std::initializer_list<uint32_t> fields)
{
	Bytes b;
	for (const uint32_t f : fields)
		put32(b, b.size(), f);
	b.resize(28);
	return b;
}

/** RNDIS packet message (type 1): header of 44 bytes, per-packet info, data. */
inline Bytes rndis_frame(const Bytes& data, const Bytes& info = {})
{
	Bytes b(44);
	put32(b, 0, 1);
	put32(b, 4, static_cast<uint32_t>(44 + info.size() + data.size()));
	put32(b, 8, static_cast<uint32_t>(36 + info.size()));
	put32(b, 12, static_cast<uint32_t>(data.size()));
	if (!info.empty()) {
		put32(b, 28, 36);
		put32(b, 32, static_cast<uint32_t>(info.size()));
	}
	b.insert(b.end(), info.begin(), info.end());
	b.insert(b.end(), data.begin(), data.end());
	return b;
}

/** One per-packet info with a u32. */
inline Bytes packet_info(uint32_t type, uint32_t value)
{
	Bytes b;
	put32(b, 0, 16);
	put32(b, 4, type);
	put32(b, 8, 12);
	put32(b, 12, value);
	return b;
}

/** Places messages in a receive buffer and sends transfer-page packets that name them. */
class RxHost {
      public:
	/* The buffer is one allocation of exactly this size, so that its end is guarded. */
	RxHost(HostSender& sender, uint32_t buffer_size)
		: sender_(sender), buffer(new uint8_t[buffer_size]()), size(buffer_size)
	{
	}
	/** Writes a message into the buffer. @return its range: length and offset */
	std::pair<uint32_t, uint32_t> place(const Bytes& message)
	{
		if (at_ + message.size() > size)
			at_ = 0;
		std::copy(message.begin(), message.end(), &buffer[at_]);
		const std::pair<uint32_t, uint32_t> range{static_cast<uint32_t>(message.size()),
							  at_};
		at_ += static_cast<uint32_t>(message.size() + 7) / 8 * 8;
		return range;
	}
	/** @param count what the header says; @param channel_type 0 data, 1 control */
	bool send_ranges(uint64_t id, const std::vector<std::pair<uint32_t, uint32_t>>& ranges,
			 int64_t count = -1, uint32_t channel_type = 0, uint32_t set = 0xcafe,
			 uint32_t message_type = 107)
	{
		Bytes head;
		put32(head, 0, set);
		put32(head, 4,
		      static_cast<uint32_t>(count < 0 ? static_cast<int64_t>(ranges.size())
						      : count));
		for (const auto& [length, offset] : ranges) {
			put32(head, head.size(), length);
			put32(head, head.size(), offset);
		}
		return sender_.send(7, id, head,
				    nvsp_message({message_type, channel_type, 0xffffffff, 0}), 1);
	}
	bool send_messages(uint64_t id, const std::vector<Bytes>& messages,
			   uint32_t channel_type = 0)
	{
		std::vector<std::pair<uint32_t, uint32_t>> ranges;
		for (const Bytes& m : messages)
			ranges.push_back(place(m));
		return send_ranges(id, ranges, -1, channel_type);
	}
	/** A packet with frames of 60 bytes, pattern(60, seed), seed + 1… */
	bool send_frames(uint64_t id, uint32_t count, uint32_t seed = 0)
	{
		std::vector<Bytes> messages;
		for (uint32_t i = 0; i < count; i++)
			messages.push_back(rndis_frame(pattern(60, seed + i)));
		return send_messages(id, messages);
	}

      private:
	HostSender& sender_;
	uint32_t at_ = 0;

      public:
	std::unique_ptr<uint8_t[]> buffer;
	const uint32_t size;
};

/** An Rx with its host; keeps what it delivers. */
struct RxFixture {
	explicit RxFixture(uint32_t to_guest = 65536, uint32_t to_host = 65536, uint32_t holds = 0)
		: wire(to_guest, to_host),
		  host(wire.sender, 65536),
		  rx(wire.channel, wire.rx_lock, wire.tx_lock, &inbox)
	{
		configure(holds);
	}
	void configure(uint32_t holds)
	{
		rx.configure({&host.buffer[0], 0, host.size, holds, nullptr});
	}
	/** Takes messages out of the inbox before, as a session does in time. */
	uint32_t receive(uint32_t max = ~0u)
	{
		control();
		return rx.receive(
			max,
			[&](const Frame* frames, uint32_t n) {
				uint32_t taken = 0;
				for (; taken < n && refuse_after != 0; taken++, refuse_after--) {
					const Frame& f = frames[taken];
					got.push_back(f);
					data.emplace_back(f.data, f.data + f.length);
					bool fresh = false;
					holds.push_back(hold ? rx.hold(fresh) : nullptr);
				}
				return taken;
			},
			[&](Hold* h) { dropped.push_back(h); });
	}
	/** Ids of transfer-page packets that were given back since the last call, in order. */
	std::vector<uint64_t> completed()
	{
		std::vector<uint64_t> ids;
		Packet p;
		while (wire.receiver.take(p)) {
			EXPECT_EQ(p.type, 0xb);
			EXPECT_EQ(p.flags, 0);
			EXPECT_GE(p.payload.size(), 8u);
			EXPECT_EQ(get32(p.payload, 0), 108u);
			EXPECT_EQ(get32(p.payload, 4), 1u);
			ids.push_back(p.id);
		}
		EXPECT_FALSE(wire.receiver.bad());
		return ids;
	}

	/** Control messages since the beginning: 'c'ompletion, NVSP 'm'essage or 'r'NDIS. */
	const std::vector<std::tuple<char, uint64_t, Bytes>>& control()
	{
		inbox.pop_all([this](const Inbox::Entry& e) {
			control_.emplace_back("cmr"[static_cast<uint32_t>(e.kind)], e.id,
					      Bytes(e.data, e.data + e.length));
		});
		return control_;
	}

	FakeChannel wire;
	RxHost host;
	uint32_t refuse_after = ~0u; /**< deliver takes that many more */
	bool hold = false;	     /**< hold every frame's packet */
	std::vector<Frame> got;
	std::vector<Bytes> data;
	std::vector<Hold*> holds, dropped;
	Inbox inbox;
	Rx rx;

      private:
	std::vector<std::tuple<char, uint64_t, Bytes>> control_;
};

} // namespace netvsc::test
