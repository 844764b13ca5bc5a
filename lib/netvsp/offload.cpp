/* SPDX-License-Identifier: BSD-3-Clause */
#include "offload.hpp"

#include <algorithm>
#include <cstring>

#include "netvsc/rndis.hpp"

namespace netvsp {

namespace {

constexpr uint32_t kLsoMinSegments = 2; /* vmswitch's */

uint32_t ip4_flags(uint32_t checksums)
{
	uint32_t flags = 0;
	if (checksums & (kChecksumIp4 | kChecksumTcp4 | kChecksumUdp4))
		flags |= ndis::kCapIpOptions;
	if (checksums & kChecksumIp4)
		flags |= ndis::kCapIp;
	if (checksums & kChecksumTcp4)
		flags |= ndis::kCapTcp | ndis::kCapTcpOptions;
	if (checksums & kChecksumUdp4)
		flags |= ndis::kCapUdp;
	return flags;
}

uint32_t ip6_flags(uint32_t checksums)
{
	uint32_t flags = 0;
	if (checksums & (kChecksumTcp6 | kChecksumUdp6))
		flags |= ndis::kCapIpOptions;
	if (checksums & kChecksumTcp6)
		flags |= ndis::kCapTcp | ndis::kCapTcpOptions;
	if (checksums & kChecksumUdp6)
		flags |= ndis::kCapUdp;
	return flags;
}

void put(uint32_t& set, uint32_t bit, bool on)
{
	set = on ? set | bit : set & ~bit;
}

void put_checksum(Offloads& to, uint32_t bit, uint8_t value)
{
	if (value < ndis::kChecksumOff || value > ndis::kChecksumTxRx)
		return;
	put(to.tx_checksum, bit, value == ndis::kChecksumTx || value == ndis::kChecksumTxRx);
	put(to.rx_checksum, bit, value == ndis::kChecksumRx || value == ndis::kChecksumTxRx);
}

void put_switch(bool& to, uint8_t value)
{
	if (value == ndis::kSwitchOff || value == ndis::kSwitchOn)
		to = value == ndis::kSwitchOn;
}

} // namespace

Offloads Offloads::operator&(const Offloads& other) const
{
	return {tx_checksum & other.tx_checksum,
		rx_checksum & other.rx_checksum,
		lso4 && other.lso4,
		lso6 && other.lso6,
		rsc4 && other.rsc4,
		rsc6 && other.rsc6};
}

ndis::Offload ndis_offload(const Offloads& offloads, uint32_t lso_max)
{
	ndis::Offload out{};
	out.header = {ndis::kTypeOffload, 3, ndis::kOffloadSizeRev3};
	auto& checksum = out.checksum;
	checksum.ip4_tx_encapsulation = checksum.ip4_rx_encapsulation = ndis::kEncapsulation8023;
	checksum.ip6_tx_encapsulation = checksum.ip6_rx_encapsulation = ndis::kEncapsulation8023;
	checksum.ip4_tx = ip4_flags(offloads.tx_checksum);
	checksum.ip4_rx = ip4_flags(offloads.rx_checksum);
	checksum.ip6_tx = ip6_flags(offloads.tx_checksum);
	checksum.ip6_rx = ip6_flags(offloads.rx_checksum);
	if (offloads.lso4) {
		out.lso_v2.ip4_encapsulation = ndis::kEncapsulation8023;
		out.lso_v2.ip4_max_size = lso_max;
		out.lso_v2.ip4_min_segments = kLsoMinSegments;
	}
	if (offloads.lso6) {
		out.lso_v2.ip6_encapsulation = ndis::kEncapsulation8023;
		out.lso_v2.ip6_max_size = lso_max;
		out.lso_v2.ip6_min_segments = kLsoMinSegments;
		out.lso_v2.ip6_options = ndis::kCapIpOptions | ndis::kCapTcpOptions;
	}
	out.rsc_ip4 = offloads.rsc4;
	out.rsc_ip6 = offloads.rsc6;
	return out;
}

uint8_t ndis_offload_revision(uint32_t ndis_version)
{
	if (ndis_version >= ndis::kVersion630)
		return 3;
	return ndis_version >= ndis::kVersion61 ? 2 : 1;
}

uint16_t ndis_offload_size(uint8_t revision)
{
	if (revision >= 3)
		return ndis::kOffloadSizeRev3;
	return revision == 2 ? ndis::kOffloadSizeRev2 : ndis::kOffloadSizeRev1;
}

uint32_t set_offload_parameters(const uint8_t* data, uint32_t length, const Offloads& offered,
				Offloads& enabled)
{
	ndis::OffloadParameters p{};
	memcpy(&p, data, std::min<size_t>(length, sizeof(p)));
	if (p.header.type != ndis::kTypeDefault || p.header.revision < 1 ||
	    p.header.size > length || p.header.size < ndis::kOffloadParametersSizeRev1)
		return rndis::kStatusInvalidData;
	if (p.lso_v1 == ndis::kSwitchOn)
		return rndis::kStatusNotSupported;
	put_checksum(enabled, kChecksumIp4, p.ip4_checksum);
	put_checksum(enabled, kChecksumTcp4, p.tcp4_checksum);
	put_checksum(enabled, kChecksumUdp4, p.udp4_checksum);
	put_checksum(enabled, kChecksumTcp6, p.tcp6_checksum);
	put_checksum(enabled, kChecksumUdp6, p.udp6_checksum);
	put_switch(enabled.lso4, p.lso_v2_ip4);
	put_switch(enabled.lso6, p.lso_v2_ip6);
	if (p.header.size > offsetof(ndis::OffloadParameters, rsc_ip6)) {
		put_switch(enabled.rsc4, p.rsc_ip4);
		put_switch(enabled.rsc6, p.rsc_ip6);
	}
	enabled = enabled & offered;
	return rndis::kStatusSuccess;
}

bool set_offload_keyword(const std::string& name, uint32_t value, const Offloads& offered,
			 Offloads& enabled)
{
	static constexpr struct {
		const char* name;
		uint32_t checksum;
	} kChecksums[] = {{"*IPChecksumOffloadIPv4", kChecksumIp4},
			  {"*TCPChecksumOffloadIPv4", kChecksumTcp4},
			  {"*UDPChecksumOffloadIPv4", kChecksumUdp4},
			  {"*TCPChecksumOffloadIPv6", kChecksumTcp6},
			  {"*UDPChecksumOffloadIPv6", kChecksumUdp6}};
	Offloads wanted = enabled;
	bool known = true;
	if (name == "*LsoV2IPv4") {
		wanted.lso4 = value != 0;
	} else if (name == "*LsoV2IPv6") {
		wanted.lso6 = value != 0;
	} else {
		known = false;
		for (const auto& k : kChecksums) {
			if (name != k.name)
				continue;
			put(wanted.tx_checksum, k.checksum, value & 1);
			put(wanted.rx_checksum, k.checksum, value & 2);
			known = true;
		}
	}
	if (known)
		enabled = wanted & offered;
	return known;
}

} // namespace netvsp
