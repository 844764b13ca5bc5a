/* SPDX-License-Identifier: BSD-3-Clause */
/* The two pipelines by frame size, in bursts of 32, each beside the memcpy of the same frames. */
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

/* Of both, and of copy_frame_bytes() alone. */
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
