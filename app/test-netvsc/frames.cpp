/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames and mbufs: made, taken apart, sent around a loop. */
#include <algorithm>
#include <cstring>
#include <thread>

#include "support.hpp"

namespace scenario {

static rte_mempool* make_pool(const char* name, unsigned int count, uint16_t room)
{
	rte_mempool* pool = rte_pktmbuf_pool_create(name, count, 256, 0,
						    RTE_PKTMBUF_HEADROOM + room, SOCKET_ID_ANY);
	if (pool == nullptr)
		rte_exit(EXIT_FAILURE, "no memory for the mbufs of %s\n", name);
	return pool;
}

const Pools& pools()
{
	static const Pools made = {make_pool("normal", 16383, 2048), make_pool("jumbo", 4095, 9728),
				   make_pool("small", 16383, 256)};
	return made;
}

unsigned int mbufs_out()
{
	unsigned int out = 0;
	for (const rte_mempool* pool : {pools().normal, pools().jumbo, pools().small})
		out += rte_mempool_in_use_count(pool);
	return out;
}

Frame make_frame(uint32_t length, uint32_t seed)
{
	Frame frame(length);
	uint32_t state = seed * 2654435761u + length;
	for (uint32_t i = 0; i < length; i++) {
		if (i % 4 == 0)
			state = state * 1664525u + 1013904223u;
		frame[i] = static_cast<uint8_t>(state >> (8 * (i % 4)));
	}
	if (length >= 12) {
		frame[0] = frame[6] = 0x02;
		frame[11] = 0xaa;
	}
	return frame;
}

Frame make_frame_to(const rte_ether_addr& to, uint32_t length, uint32_t seed)
{
	Frame frame = make_frame(length, seed);
	std::memcpy(frame.data(), to.addr_bytes, sizeof(to.addr_bytes));
	return frame;
}

rte_mbuf* to_chain(const Frame& frame, const std::vector<uint32_t>& lengths, rte_mempool* pool)
{
	rte_mbuf* head = nullptr;
	rte_mbuf* last = nullptr;
	size_t at = 0;
	for (const uint32_t length : lengths) {
		rte_mbuf* m = rte_pktmbuf_alloc(pool);
		if (m == nullptr) {
			rte_pktmbuf_free(head);
			return nullptr;
		}
		std::copy_n(frame.data() + at, length, rte_pktmbuf_mtod(m, uint8_t*));
		m->data_len = static_cast<uint16_t>(length);
		at += length;
		if (head == nullptr) {
			head = m;
		} else {
			last->next = m;
			head->nb_segs++;
		}
		head->pkt_len = static_cast<uint32_t>(at);
		last = m;
	}
	EXPECT_EQ(at, frame.size());
	return head;
}

rte_mbuf* to_mbuf(const Frame& frame, rte_mempool* pool)
{
	std::vector<uint32_t> lengths;
	const uint32_t room = rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
	uint32_t left = static_cast<uint32_t>(frame.size());
	do {
		lengths.push_back(std::min(left, room));
		left -= lengths.back();
	} while (left != 0);
	return to_chain(frame, lengths, pool);
}

Frame from_mbuf(const rte_mbuf* m)
{
	Frame frame;
	uint32_t segments = 0;
	const char* wrong = nullptr;
	if (rte_mbuf_check(m, 1, &wrong) != 0)
		ADD_FAILURE() << "bad mbuf: " << wrong;
	for (const rte_mbuf* s = m; s != nullptr; s = s->next, segments++) {
		const auto* data = rte_pktmbuf_mtod(s, const uint8_t*);
		frame.insert(frame.end(), data, data + s->data_len);
		EXPECT_EQ(rte_mbuf_refcnt_read(s), 1);
	}
	EXPECT_EQ(segments, m->nb_segs);
	EXPECT_EQ(frame.size(), m->pkt_len);
	return frame;
}

void loop(Port& port, const std::vector<Frame>& frames, const Maker& make,
	  const std::function<void(rte_mbuf*)>& on_receive)
{
	static constexpr size_t kBurst = 32;
	rte_mbuf* out[kBurst];
	size_t out_begin = 0;
	size_t out_end = 0;
	size_t made = 0;
	size_t received = 0;
	auto deadline = Clock::now() + std::chrono::seconds(5);
	while (received < frames.size() && !testing::Test::HasFatalFailure()) {
		if (out_begin == out_end) {
			out_begin = out_end = 0;
			while (out_end < kBurst && made < frames.size()) {
				rte_mbuf* m =
					make ? make(frames[made], made) : to_mbuf(frames[made]);
				if (m == nullptr)
					break; /* the pool is empty until some come back */
				out[out_end++] = m;
				made++;
			}
		}
		if (out_begin != out_end)
			out_begin += port.tx(out + out_begin,
					     static_cast<uint16_t>(out_end - out_begin));
		rte_mbuf* in[kBurst];
		const uint16_t n = port.rx(in, kBurst);
		for (uint16_t i = 0; i < n; i++) {
			const bool known = received < frames.size();
			if (!known || from_mbuf(in[i]) != frames[received])
				ADD_FAILURE() << "frame " << received << " of " << frames.size()
					      << ": got " << in[i]->pkt_len << " bytes, expected "
					      << (known ? frames[received].size() : 0);
			EXPECT_EQ(in[i]->port, port.id);
			received++;
			if (on_receive)
				on_receive(in[i]);
			else
				rte_pktmbuf_free(in[i]);
		}
		if (n != 0) {
			deadline = Clock::now() + std::chrono::seconds(5);
		} else if (Clock::now() > deadline) {
			ADD_FAILURE() << "only " << received << " of " << frames.size()
				      << " frames came back (" << made << " made)";
			break;
		} else {
			std::this_thread::yield();
		}
		if (testing::Test::HasFailure())
			break; /* one wrong frame says enough */
	}
	rte_pktmbuf_free_bulk(out + out_begin, static_cast<unsigned int>(out_end - out_begin));
}

} // namespace scenario
