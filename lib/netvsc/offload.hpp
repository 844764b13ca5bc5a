/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Offloads: what a host has, the message that turns them on and off, and what a frame says of
 * itself when it is sent. Wire formats and their sources: ndis.hpp.
 */
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "ndis.hpp"
#include "rndis.hpp"

namespace netvsc {

/** Checksums, as sets. */
enum Checksum : uint32_t {
	kChecksumIp4 = 1, /**< the IPv4 header's */
	kChecksumTcp4 = 2,
	kChecksumUdp4 = 4,
	kChecksumTcp6 = 8,
	kChecksumUdp6 = 16,
};

struct OffloadCapabilities {
	uint32_t tx_checksum = 0;
	uint32_t rx_checksum = 0;
	uint32_t lso4_max = 0; /**< longest TCP payload that the host segments; 0 = it does not */
	uint32_t lso6_max = 0;
	bool rsc4 = false; /**< joins received TCP segments */
	bool rsc6 = false;
	bool operator==(const OffloadCapabilities&) const = default;
};

/** What a host is told to do. All that is not set is turned off. */
struct OffloadConfig {
	uint32_t tx_checksum = 0;
	uint32_t rx_checksum = 0;
	bool lso4 = false;
	bool lso6 = false;
	bool rsc4 = false; /**< hosts want the checksums of what they join verified, too */
	bool rsc6 = false;
};

/** What a query for the capabilities has to carry, as long as the answer may be. */
std::vector<uint8_t> offload_capabilities_request(uint32_t nvsp_version);
/** @return no offloads if the answer makes no sense */
OffloadCapabilities parse_offload_capabilities(const uint8_t* answer, uint32_t length);
/** The data of OID_TCP_OFFLOAD_PARAMETERS. */
std::vector<uint8_t> offload_parameters(const OffloadConfig& config, uint32_t nvsp_version);

/** Per-packet infos of a frame that is sent ([MS-RNDIS] 2.2.18), as they are on the wire. */
class TxInfo {
      public:
	static constexpr uint32_t kMax = 2; /**< a tag, and a checksum or a large send */
	static constexpr uint32_t kBytesEach = sizeof(rndis::PacketInfo) + 4;

	uint32_t bytes() const { return count_ * kBytesEach; }
	const void* data() const { return infos_; }

	/** @param tci as on the wire: priority, CFI, VLAN id */
	void add_vlan(uint16_t tci)
	{
		add(rndis::kPpiVlan, ndis::kVlanPriority.put(tci >> 13) |
					     ndis::kVlanCfi.put(tci >> 12) |
					     ndis::kVlanId.put(tci));
	}
	/** @param what ndis::kTxChecksum*, of a TCP or UDP header at `l4_offset`, below 1024 */
	void add_checksum(uint32_t what, uint32_t l4_offset)
	{
		add(rndis::kPpiChecksum, what | ndis::kTxChecksumL4Offset.put(l4_offset));
	}
	/** @param mss below 1 << 20 @param tcp_offset below 1024 */
	void add_lso(uint32_t mss, uint32_t tcp_offset, bool ip6)
	{
		add(rndis::kPpiLso, ndis::kLsoMss.put(mss) | ndis::kLsoTcpOffset.put(tcp_offset) |
					    ndis::kLsoV2 | (ip6 ? ndis::kLsoIp6 : 0));
	}

      private:
	struct Info {
		rndis::PacketInfo header;
		uint32_t value;
	};
	static_assert(sizeof(Info) == kBytesEach);

	void add(uint32_t type, uint32_t value)
	{
		infos_[count_++] = {{kBytesEach, type, sizeof(rndis::PacketInfo)}, value};
	}

	uint32_t count_ = 0;
	Info infos_[kMax];
};

} // namespace netvsc
