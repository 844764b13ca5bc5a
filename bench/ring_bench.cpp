/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings by batch size, each beside its floor: a memcpy of the same bytes and one index update. */
#include <benchmark/benchmark.h>

#include "memory_channel.hpp"

namespace {

constexpr uint32_t kPacket = 48; /* descriptor and an NVSP message up to 6.0 */
constexpr uint32_t kInRing = kPacket + vmbus::kFooterSize;

void count_packets(benchmark::State& state)
{
	state.SetItemsProcessed(state.iterations() * state.range(0));
}

void write_ring(benchmark::State& state)
{
	MemoryChannel c;
	vmbus::RingWriter& ring = c.channel.tx;
	const uint64_t packet[kPacket / 8] = {};
	for (auto _ : state) {
		for (int64_t i = 0; i < state.range(0); i++) {
			if (!ring.fits(kInRing))
				c.host_reads();
			std::memcpy(ring.begin(kPacket), packet, sizeof(packet));
			ring.end();
		}
		benchmark::DoNotOptimize(ring.publish());
	}
	count_packets(state);
}
BENCHMARK(write_ring)->RangeMultiplier(4)->Range(1, 64);

void write_floor(benchmark::State& state)
{
	MemoryChannel c;
	const uint64_t packet[kInRing / 8] = {};
	uint32_t at = 0;
	for (auto _ : state) {
		for (int64_t i = 0; i < state.range(0); i++) {
			std::memcpy(c.memory.data() + vmbus::kPageSize + at, packet,
				    sizeof(packet));
			at += kInRing;
			if (at + kInRing > MemoryChannel::kData)
				at = 0;
			benchmark::ClobberMemory();
		}
		vmbus::store_seq_cst(&c.tx->in, at);
	}
	count_packets(state);
}
BENCHMARK(write_floor)->RangeMultiplier(4)->Range(1, 64);

void read_ring(benchmark::State& state)
{
	MemoryChannel c;
	/* The same packets lie in the ring for ever; the host's index goes round. */
	const uint32_t count = MemoryChannel::kData / kInRing;
	for (uint32_t i = 0; i < count; i++) {
		const vmbus::PacketDescriptor d = {
			static_cast<uint16_t>(vmbus::PacketType::kInband), 2, kPacket / 8, 0, i};
		std::memcpy(c.rx_data + i * kInRing, &d, sizeof(d));
	}
	vmbus::RingReader reader(c.rx, c.rx_data, count * kInRing);
	uint32_t in = 0;
	uint64_t sum = 0;
	for (auto _ : state) {
		in = (in + static_cast<uint32_t>(state.range(0)) * kInRing) % (count * kInRing);
		c.rx->in = in;
		reader.refresh();
		vmbus::PacketView view;
		while (reader.peek(0, view)) {
			sum += view.transaction_id;
			reader.consume(view.ring_length());
		}
		benchmark::DoNotOptimize(reader.publish());
	}
	benchmark::DoNotOptimize(sum);
	count_packets(state);
}
BENCHMARK(read_ring)->RangeMultiplier(4)->Range(1, 64);

} // namespace
