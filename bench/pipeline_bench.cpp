/* SPDX-License-Identifier: BSD-3-Clause */
/* The two pipelines by frame size, in bursts of 32, each beside the memcpy of the same frames. */
#include <benchmark/benchmark.h>

#include "memory_channel.hpp"
#include "netvsc/copy.hpp"
#include "netvsc/rx.hpp"

namespace {

constexpr uint32_t kBurst = 32;
constexpr uint32_t kSection = 6144;
constexpr uint32_t kSections = 256;
constexpr uint32_t kRoom = 2048; /* of a frame in the receive buffer and in the application */

void count_frames(benchmark::State& state)
{
	state.SetItemsProcessed(state.iterations() * kBurst);
}

void transmit(benchmark::State& state)
{
	MemoryChannel c;
	Memory sections(size_t{kSections} * kSection);
	Memory frames(size_t{kBurst} * kRoom);
	netvsc::TxConfig config;
	config.sections = sections.data();
	config.section_size = kSection;
	config.section_count = kSections;
	config.max_frames = 8;
	config.nvsp_version = nvsp::kVersion61;
	vmbus::SpinLock lock;
	netvsc::Tx tx(c.channel, lock, config);
	const auto length = static_cast<uint32_t>(state.range(0));
	for (auto _ : state) {
		tx.begin();
		tx.reap([](void*) {});
		for (uint32_t i = 0; i < kBurst; i++) {
			uint8_t* to = tx.copy_frame(length);
			if (to == nullptr) {
				state.SkipWithError("no room");
				break;
			}
			std::memcpy(to, frames.data() + i * kRoom, length);
		}
		tx.end();
		c.host_completes([&](uint64_t id) { tx.complete(id, true); });
	}
	count_frames(state);
}
BENCHMARK(transmit)->Arg(64)->Arg(256)->Arg(512)->Arg(1518);

void copy_floor(benchmark::State& state)
{
	Memory from(size_t{kBurst} * kRoom);
	Memory to(size_t{kBurst} * kRoom);
	const auto length = static_cast<size_t>(state.range(0));
	for (auto _ : state) {
		for (uint32_t i = 0; i < kBurst; i++)
			std::memcpy(to.data() + i * kRoom, from.data() + i * kRoom, length);
		benchmark::ClobberMemory();
	}
	count_frames(state);
}
BENCHMARK(copy_floor)->Arg(64)->Arg(256)->Arg(512)->Arg(1518);

void receive(benchmark::State& state)
{
	MemoryChannel c;
	Memory buffer(size_t{kBurst} * kRoom);
	Memory frames(size_t{kBurst} * kRoom);
	const auto length = static_cast<uint32_t>(state.range(0));
	/* One packet of 32 frames, again and again. */
	struct {
		vmbus::PacketDescriptor descriptor;
		vmbus::TransferPageHeader header;
		vmbus::TransferPageRange ranges[kBurst];
		uint32_t message[10];
		uint64_t footer;
	} packet{};
	constexpr uint32_t kLength = sizeof(packet) - sizeof(packet.footer);
	packet.descriptor = {static_cast<uint16_t>(vmbus::PacketType::kTransferPages),
			     offsetof(decltype(packet), message) / 8, kLength / 8, 1, 16};
	packet.header = {nvsp::kReceiveBufferId, 0, 0, kBurst};
	packet.message[0] = nvsp::kSendRndisPacket;
	for (uint32_t i = 0; i < kBurst; i++) {
		rndis::PacketMessage m{};
		m.hdr = {rndis::kPacket, static_cast<uint32_t>(sizeof(m)) + length};
		m.data_offset = sizeof(m) - rndis::kOffsetBase;
		m.data_length = length;
		std::memcpy(buffer.data() + i * kRoom, &m, sizeof(m));
		packet.ranges[i] = {m.hdr.length, i * kRoom};
	}
	constexpr uint32_t kRing = MemoryChannel::kData / sizeof(packet) * sizeof(packet);
	for (uint32_t at = 0; at < kRing; at += sizeof(packet))
		std::memcpy(c.rx_data + at, &packet, sizeof(packet));
	c.channel.rx = vmbus::RingReader(c.rx, c.rx_data, kRing);

	vmbus::SpinLock rx_lock;
	vmbus::SpinLock tx_lock;
	netvsc::Rx rx(c.channel, rx_lock, tx_lock, nullptr);
	rx.configure({buffer.data(), 0, kBurst * kRoom, 0, nullptr});
	uint32_t in = 0;
	for (auto _ : state) {
		in = (in + sizeof(packet)) % kRing;
		c.rx->in = in;
		uint8_t* to = frames.data();
		const uint32_t n = rx.receive(
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
		c.host_reads();
	}
	count_frames(state);
}
BENCHMARK(receive)->Arg(64)->Arg(256)->Arg(512)->Arg(1518);

} // namespace
