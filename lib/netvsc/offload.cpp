/* SPDX-License-Identifier: BSD-3-Clause */
#include "offload.hpp"

#include <algorithm>

#include "nvsp.hpp"

namespace netvsc {

namespace {

uint32_t checksums(uint32_t ip4, uint32_t ip6)
{
	uint32_t set = 0;
	if ((ip4 & ndis::kCapIp) != 0)
		set |= kChecksumIp4;
	if ((ip4 & ndis::kCapTcp) != 0)
		set |= kChecksumTcp4;
	if ((ip4 & ndis::kCapUdp) != 0)
		set |= kChecksumUdp4;
	if ((ip6 & ndis::kCapTcp) != 0)
		set |= kChecksumTcp6;
	if ((ip6 & ndis::kCapUdp) != 0)
		set |= kChecksumUdp6;
	return set;
}

} // namespace

std::vector<uint8_t> offload_capabilities_request(uint32_t nvsp_version)
{
	ndis::Offload offload{};
	uint8_t revision = 1;
	uint16_t size = ndis::kOffloadSizeRev1;
	if (nvsp_version >= nvsp::kVersion5) {
		revision = 3;
		size = ndis::kOffloadSizeRev3;
	} else if (nvsp_version >= nvsp::kVersion4) {
		revision = 2;
		size = ndis::kOffloadSizeRev2;
	}
	offload.header = {ndis::kTypeOffload, revision, size};
	std::vector<uint8_t> bytes(size);
	std::memcpy(bytes.data(), &offload, size);
	return bytes;
}

OffloadCapabilities parse_offload_capabilities(const uint8_t* answer, uint32_t length)
{
	if (length < ndis::kOffloadSizeRev1)
		return {};
	ndis::Offload o{};
	std::memcpy(&o, answer, std::min<size_t>(length, sizeof(o)));
	if (o.header.type != ndis::kTypeOffload || o.header.size < ndis::kOffloadSizeRev1)
		return {};
	OffloadCapabilities result;
	result.tx_checksum = checksums(o.checksum.ip4_tx, o.checksum.ip6_tx);
	result.rx_checksum = checksums(o.checksum.ip4_rx, o.checksum.ip6_rx);
	if ((o.lso_v2.ip4_encapsulation & ndis::kEncapsulation8023) != 0)
		result.lso4_max = o.lso_v2.ip4_max_size;
	/* Segments carry whatever TCP options and IPv6 extension headers the frame has. */
	if ((o.lso_v2.ip6_encapsulation & ndis::kEncapsulation8023) != 0)
		result.lso6_max = o.lso_v2.ip6_max_size;
	result.rsc4 = o.rsc_ip4 != 0;
	result.rsc6 = o.rsc_ip6 != 0;
	return result;
}

std::vector<uint8_t> offload_parameters(const OffloadConfig& config, uint32_t nvsp_version)
{
	const auto checksum = [&](uint32_t which) -> uint8_t {
		const bool tx = (config.tx_checksum & which) != 0;
		const bool rx = (config.rx_checksum & which) != 0;
		if (tx)
			return rx ? ndis::kChecksumTxRx : ndis::kChecksumTx;
		return rx ? ndis::kChecksumRx : ndis::kChecksumOff;
	};
	const auto on_off = [](bool on) -> uint8_t {
		return on ? ndis::kSwitchOn : ndis::kSwitchOff;
	};
	ndis::OffloadParameters p{};
	/* Hosts of NVSP 4 know nothing from the receive coalescing on. */
	const uint16_t size = nvsp_version >= nvsp::kVersion5
				      ? uint16_t{sizeof(p)}
				      : uint16_t{offsetof(ndis::OffloadParameters, rsc_ip4)};
	p.header = {ndis::kTypeDefault, 3, size};
	p.ip4_checksum = checksum(kChecksumIp4);
	p.tcp4_checksum = checksum(kChecksumTcp4);
	p.udp4_checksum = checksum(kChecksumUdp4);
	p.tcp6_checksum = checksum(kChecksumTcp6);
	p.udp6_checksum = checksum(kChecksumUdp6);
	p.lso_v2_ip4 = on_off(config.lso4);
	p.lso_v2_ip6 = on_off(config.lso6);
	p.rsc_ip4 = on_off(config.rsc4);
	p.rsc_ip6 = on_off(config.rsc6);
	std::vector<uint8_t> bytes(size);
	std::memcpy(bytes.data(), &p, size);
	return bytes;
}

} // namespace netvsc
