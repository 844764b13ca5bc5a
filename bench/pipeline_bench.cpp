/* SPDX-License-Identifier: BSD-3-Clause */
/* The two pipelines by frame size, in bursts of 32, each beside the memcpy of the same bytes. */
#include <algorithm>

#include <benchmark/benchmark.h>

#include "netvsc/copy.hpp"
#include "pipeline_rig.hpp"

namespace {

constexpr uint32_t kBurst = ReceiveRig::kBurst;
constexpr uint32_t kRoom = ReceiveRig::kRoom;

void sizes(benchmark::internal::Benchmark* b)
{
	for (const int64_t size : {64, 128, 256, 512, 1024, 1518})
		b->Arg(size);
}

void count_frames(benchmark::State& state)
{
	state.SetItemsProcessed(state.iterations() * kBurst);
}

void transmit(benchmark::State& state)
{
	TransmitRig rig;
	Memory frames(size_t{kBurst} * kRoom);
	const auto length = static_cast<uint32_t>(state.range(0));
	for (auto _ : state) {
		rig.tx.begin();
		rig.tx.reap([](void*) {});
		for (uint32_t i = 0; i < kBurst; i++) {
			uint8_t* to = rig.tx.copy_frame(length);
			if (to == nullptr) {
				state.SkipWithError("no room");
				break;
			}
			netvsc::copy_frame_bytes(to, frames.data() + i * kRoom, length);
		}
		rig.tx.end();
		rig.host_completes();
	}
	count_frames(state);
}
BENCHMARK(transmit)->Apply(sizes);

/*
 * The floor: every byte that the protocol has written, from where it lies ready to where it
 * belongs, and the ring's index. No work on any of it.
 */
void transmit_floor(benchmark::State& state)
{
	constexpr uint32_t kHeader = sizeof(rndis::PacketMessage);
	constexpr uint32_t kPacket = 16 + 40 + vmbus::kFooterSize; /* with an NVSP message */
	const auto length = static_cast<uint32_t>(state.range(0));
	const uint32_t need = (kHeader + length + 7) / 8 * 8;
	const uint32_t in_section = std::min(8u, TransmitRig::kSection / need);
	MemoryChannel c;
	uint8_t* const ring = c.memory.data() + vmbus::kPageSize;
	Memory frames(size_t{kBurst} * kRoom);
	Memory sections(size_t{kBurst} * TransmitRig::kSection);
	Memory ready(kHeader + kPacket);
	uint32_t at = 0;
	for (auto _ : state) {
		uint8_t* section = sections.data();
		for (uint32_t i = 0; i < kBurst; section += TransmitRig::kSection) {
			const uint32_t end = std::min(i + in_section, kBurst);
			for (uint8_t* to = section; i < end; i++, to += need) {
				std::memcpy(to, ready.data(), kHeader);
				std::memcpy(to + kHeader, frames.data() + i * kRoom, length);
			}
			if (at + kPacket > MemoryChannel::kData)
				at = 0;
			std::memcpy(ring + at, ready.data() + kHeader, kPacket);
			at += kPacket;
		}
		__atomic_store_n(&c.tx->in, at, __ATOMIC_SEQ_CST);
	}
	count_frames(state);
}
BENCHMARK(transmit_floor)->Apply(sizes);

void receive(benchmark::State& state)
{
	const auto length = static_cast<uint32_t>(state.range(0));
	ReceiveRig rig(length);
	Memory frames(size_t{kBurst} * kRoom);
	for (auto _ : state) {
		rig.host_sends();
		uint8_t* to = frames.data();
		const uint32_t n = rig.rx.receive(
			kBurst,
			[&](const netvsc::Frame* batch, uint32_t count) {
				for (uint32_t i = 0; i < count; i++, to += kRoom)
					netvsc::copy_frame_bytes(to, batch[i].data,
								 batch[i].length);
				return count;
			},
			[](netvsc::Hold*) {});
		if (n != kBurst)
			state.SkipWithError("frames are missing");
		rig.c.host_reads();
	}
	count_frames(state);
}
BENCHMARK(receive)->Apply(sizes);

/* The floor: every byte that is to be read, the completion, and both rings' indices. */
void receive_floor(benchmark::State& state)
{
	constexpr uint32_t kHeader = sizeof(rndis::PacketMessage);
	constexpr uint32_t kPacket = 16 + 8 + 8 * kBurst + 40 + vmbus::kFooterSize;
	constexpr uint32_t kCompletion = 16 + 8 + vmbus::kFooterSize;
	const auto length = static_cast<uint32_t>(state.range(0));
	MemoryChannel c;
	uint8_t* const tx_ring = c.memory.data() + vmbus::kPageSize;
	Memory buffer(size_t{kBurst} * kRoom);
	Memory frames(size_t{kBurst} * kRoom);
	uint8_t packet[kPacket];
	uint8_t header[kHeader];
	uint32_t rx = 0;
	uint32_t tx = 0;
	for (auto _ : state) {
		std::memcpy(packet, c.rx_data + rx, kPacket);
		rx = rx + 2 * kPacket > MemoryChannel::kData ? 0 : rx + kPacket;
		benchmark::DoNotOptimize(packet);
		for (uint32_t i = 0; i < kBurst; i++) {
			const uint8_t* from = buffer.data() + i * kRoom;
			std::memcpy(header, from, kHeader);
			benchmark::DoNotOptimize(header);
			std::memcpy(frames.data() + i * kRoom, from + kHeader, length);
		}
		std::memcpy(tx_ring + tx, packet, kCompletion);
		tx = tx + 2 * kCompletion > MemoryChannel::kData ? 0 : tx + kCompletion;
		__atomic_store_n(&c.rx->out, rx, __ATOMIC_SEQ_CST);
		__atomic_store_n(&c.tx->in, tx, __ATOMIC_SEQ_CST);
	}
	count_frames(state);
}
BENCHMARK(receive_floor)->Apply(sizes);

/* Of copy_frame_bytes(), and of any copy. */
template <class Copy> void copy(benchmark::State& state, Copy copy_one)
{
	Memory from(size_t{kBurst} * kRoom);
	Memory to(size_t{kBurst} * kRoom);
	const auto length = static_cast<uint32_t>(state.range(0));
	for (auto _ : state) {
		for (uint32_t i = 0; i < kBurst; i++)
			copy_one(to.data() + i * kRoom, from.data() + i * kRoom, length);
		benchmark::ClobberMemory();
	}
	count_frames(state);
}
void copy_floor(benchmark::State& state)
{
	copy(state, [](uint8_t* to, const uint8_t* from, uint32_t n) { std::memcpy(to, from, n); });
}
BENCHMARK(copy_floor)->Apply(sizes);

void copy_frame(benchmark::State& state)
{
	copy(state, netvsc::copy_frame_bytes);
}
BENCHMARK(copy_frame)->Apply(sizes);

} // namespace
