/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RNDIS headers, 32 at a time: parsed and built by the pipelines, field by field as a plain reading
 * of [MS-RNDIS] has it (_plain), and only touched (_floor). By the number of per-packet infos.
 */
#include <benchmark/benchmark.h>

#include "pipeline_rig.hpp"

namespace {

constexpr uint32_t kLength = 64;

void count_headers(benchmark::State& state)
{
	state.SetItemsProcessed(state.iterations() * ReceiveRig::kBurst);
}

void parse(benchmark::State& state)
{
	ReceiveRig rig(kLength, static_cast<uint32_t>(state.range(0)));
	uint64_t sum = 0;
	for (auto _ : state) {
		rig.host_sends();
		const uint32_t n = rig.rx.receive(
			ReceiveRig::kBurst,
			[&](const netvsc::Frame* frames, uint32_t count) {
				for (uint32_t i = 0; i < count; i++)
					sum += frames[i].length + frames[i].info;
				return count;
			},
			[](netvsc::Hold*) {});
		if (n != ReceiveRig::kBurst)
			state.SkipWithError("frames are missing");
		rig.c.host_reads();
	}
	benchmark::DoNotOptimize(sum);
	count_headers(state);
}
BENCHMARK(parse)->Arg(0)->Arg(1)->Arg(3);

void parse_plain(benchmark::State& state)
{
	ReceiveRig rig(kLength, static_cast<uint32_t>(state.range(0)));
	uint64_t sum = 0;
	for (auto _ : state) {
		for (uint32_t i = 0; i < ReceiveRig::kBurst; i++) {
			const uint8_t* at = rig.frame_at(i);
			rndis::PacketMessage m;
			std::memcpy(&m, at, sizeof(m));
			if (m.hdr.type != rndis::kPacket)
				state.SkipWithError("no frame");
			uint32_t info_at = rndis::kOffsetBase + m.ppi_offset;
			for (uint32_t left = m.ppi_length; left != 0;) {
				rndis::PacketInfo info;
				std::memcpy(&info, at + info_at, sizeof(info));
				uint32_t value;
				std::memcpy(&value, at + info_at + info.offset, sizeof(value));
				sum += value;
				info_at += info.size;
				left -= info.size;
			}
			sum += m.data_length;
		}
		benchmark::ClobberMemory();
	}
	benchmark::DoNotOptimize(sum);
	count_headers(state);
}
BENCHMARK(parse_plain)->Arg(0)->Arg(1)->Arg(3);

void parse_floor(benchmark::State& state)
{
	ReceiveRig rig(kLength, static_cast<uint32_t>(state.range(0)));
	uint8_t to[256];
	const size_t size = sizeof(rndis::PacketMessage) +
			    static_cast<size_t>(state.range(0)) * ReceiveRig::kInfo;
	for (auto _ : state) {
		for (uint32_t i = 0; i < ReceiveRig::kBurst; i++) {
			std::memcpy(to, rig.frame_at(i), size);
			benchmark::ClobberMemory();
		}
		vmbus::store_seq_cst(&rig.c.rx->out, 0u);
	}
	count_headers(state);
}
BENCHMARK(parse_floor)->Arg(0)->Arg(1)->Arg(3);

/* Of `infos` 0..2: a tag and a checksum. */
netvsc::TxInfo infos(int64_t count)
{
	netvsc::TxInfo info;
	if (count > 0)
		info.add_vlan(0x6123);
	if (count > 1)
		info.add_checksum(ndis::kTxChecksumUdp | ndis::kTxChecksumIp4, 34);
	return info;
}

void build(benchmark::State& state)
{
	TransmitRig rig;
	for (auto _ : state) {
		rig.tx.begin();
		rig.tx.reap([](void*) {});
		for (uint32_t i = 0; i < ReceiveRig::kBurst; i++) {
			const netvsc::TxInfo info = infos(state.range(0));
			benchmark::DoNotOptimize(
				rig.tx.copy_frame(kLength, state.range(0) != 0 ? &info : nullptr));
		}
		rig.tx.end();
		rig.host_completes();
	}
	count_headers(state);
}
BENCHMARK(build)->Arg(0)->Arg(1)->Arg(2);

void build_plain(benchmark::State& state)
{
	TransmitRig rig;
	for (auto _ : state) {
		uint8_t* at = rig.sections.data();
		for (uint32_t i = 0; i < ReceiveRig::kBurst; i++) {
			const netvsc::TxInfo info = infos(state.range(0));
			const uint32_t header = sizeof(rndis::PacketMessage) + info.bytes();
			rndis::PacketMessage m{};
			m.hdr.type = rndis::kPacket;
			m.hdr.length = header + kLength;
			m.data_offset = header - rndis::kOffsetBase;
			m.data_length = kLength;
			if (info.bytes() != 0) {
				m.ppi_offset = sizeof(m) - rndis::kOffsetBase;
				m.ppi_length = info.bytes();
			}
			std::memcpy(at, &m, sizeof(m));
			std::memcpy(at + sizeof(m), info.data(), info.bytes());
			at += (header + kLength + 7) / 8 * 8;
		}
		benchmark::ClobberMemory();
	}
	count_headers(state);
}
BENCHMARK(build_plain)->Arg(0)->Arg(1)->Arg(2);

void build_floor(benchmark::State& state)
{
	TransmitRig rig;
	uint8_t from[128] = {};
	const size_t size = sizeof(rndis::PacketMessage) +
			    static_cast<size_t>(state.range(0)) * netvsc::TxInfo::kBytesEach;
	for (auto _ : state) {
		uint8_t* at = rig.sections.data();
		for (uint32_t i = 0; i < ReceiveRig::kBurst; i++, at += 176) {
			std::memcpy(at, from, size);
			benchmark::ClobberMemory();
		}
		vmbus::store_seq_cst(&rig.c.tx->in, 0u);
	}
	count_headers(state);
}
BENCHMARK(build_floor)->Arg(0)->Arg(1)->Arg(2);

/* Sections taken and given back: one for each frame. */
void sections(benchmark::State& state)
{
	TransmitRig rig(static_cast<uint32_t>(state.range(0)));
	for (auto _ : state) {
		rig.tx.begin();
		rig.tx.reap([](void*) {});
		for (uint32_t i = 0; i < ReceiveRig::kBurst; i++)
			benchmark::DoNotOptimize(rig.tx.copy_frame(kLength));
		rig.tx.end();
		rig.host_completes();
	}
	count_headers(state);
}
BENCHMARK(sections)->Arg(1)->Arg(2)->Arg(8);

} // namespace
