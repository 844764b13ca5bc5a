/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is computed over bytes: the Toeplitz hash of the emulated host, and CRC32C of SCTP. Each
 * beside a bit-by-bit version (_plain) and a copy of the same bytes (_floor).
 */
#include <benchmark/benchmark.h>
#include <isa-l/crc.h>

#include <cstring>
#include <vector>

#include "netvsp/rss.hpp"

namespace {

constexpr uint32_t kEthernet = 14;

/* By the length of the addresses: IPv4's or IPv6's, with UDP ports. */
std::vector<uint8_t> frame(int64_t version)
{
	std::vector<uint8_t> f(kEthernet + 60);
	f[12] = version == 4 ? 0x08 : 0x86;
	f[13] = version == 4 ? 0x00 : 0xdd;
	f[kEthernet] = version == 4 ? 0x45 : 0x60;
	f[kEthernet + (version == 4 ? 9 : 6)] = 17;
	for (size_t i = kEthernet + 8; i < f.size(); i++)
		if (i != kEthernet + 9)
			f[i] = static_cast<uint8_t>(i * 37);
	return f;
}

netvsp::Rss make_rss()
{
	std::array<uint8_t, ndis::kRssKeySize> key;
	for (size_t i = 0; i < key.size(); i++)
		key[i] = static_cast<uint8_t>(i * 113 + 7);
	netvsp::Rss rss;
	rss.enable(ndis::kHashIpv4 | ndis::kHashUdpIpv4 | ndis::kHashIpv6 | ndis::kHashUdpIpv6,
		   key.data(), {0, 1, 2, 3});
	return rss;
}

void toeplitz(benchmark::State& state)
{
	const netvsp::Rss rss = make_rss();
	const std::vector<uint8_t> f = frame(state.range(0));
	for (auto _ : state) {
		const auto result = rss.classify(f.data(), static_cast<uint32_t>(f.size()));
		benchmark::DoNotOptimize(result);
	}
}
BENCHMARK(toeplitz)->Arg(4)->Arg(6);

void toeplitz_plain(benchmark::State& state)
{
	const uint32_t length = state.range(0) == 4 ? 12 : 36;
	std::vector<uint8_t> input(length, 0x5a);
	std::vector<uint8_t> key(length + 8, 0xa5);
	for (auto _ : state) {
		uint32_t hash = 0;
		uint64_t window = 0;
		for (uint32_t i = 0; i < 8; i++)
			window = window << 8 | key[i];
		for (uint32_t i = 0; i < length; i++) {
			for (uint32_t bit = 0; bit < 8; bit++)
				if (input[i] & 0x80u >> bit)
					hash ^= static_cast<uint32_t>(window << bit >> 32);
			window = window << 8 | key[i + 8];
		}
		benchmark::DoNotOptimize(hash);
		benchmark::ClobberMemory();
	}
}
BENCHMARK(toeplitz_plain)->Arg(4)->Arg(6);

void toeplitz_floor(benchmark::State& state)
{
	const std::vector<uint8_t> f = frame(state.range(0));
	const size_t length = state.range(0) == 4 ? 12 : 36;
	uint8_t to[36];
	for (auto _ : state) {
		std::memcpy(to, &f[kEthernet + 8], length);
		benchmark::ClobberMemory();
	}
}
BENCHMARK(toeplitz_floor)->Arg(4)->Arg(6);

void crc32c(benchmark::State& state)
{
	std::vector<uint8_t> data(static_cast<size_t>(state.range(0)), 0x5a);
	for (auto _ : state)
		benchmark::DoNotOptimize(
			crc32_iscsi(data.data(), static_cast<int>(data.size()), ~0u));
	state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(crc32c)->Arg(64)->Arg(1500);

void crc32c_plain(benchmark::State& state)
{
	std::vector<uint8_t> data(static_cast<size_t>(state.range(0)), 0x5a);
	for (auto _ : state) {
		uint32_t crc = ~0u;
		for (const uint8_t byte : data) {
			crc ^= byte;
			for (int bit = 0; bit < 8; bit++)
				crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
		}
		benchmark::DoNotOptimize(crc);
	}
	state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(crc32c_plain)->Arg(64)->Arg(1500);

void crc32c_floor(benchmark::State& state)
{
	const std::vector<uint8_t> from(static_cast<size_t>(state.range(0)), 0x5a);
	std::vector<uint8_t> to(from.size());
	for (auto _ : state) {
		std::memcpy(to.data(), from.data(), from.size());
		benchmark::ClobberMemory();
	}
	state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(crc32c_floor)->Arg(64)->Arg(1500);

} // namespace
