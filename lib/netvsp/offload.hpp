/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Which work a NIC takes off its guest: what the host offers, and what the guest turned on.
 *
 * A guest asks for the offer (OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES) and turns parts of it on
 * (OID_TCP_OFFLOAD_PARAMETERS); NDIS_OFFLOAD tells both, the offer and what is in force.
 */
#pragma once

#include <cstdint>
#include <string>

#include "netvsc/ndis.hpp"

namespace netvsp {

/** Checksums, as bits. */
enum Checksum : uint32_t {
	kChecksumIp4 = 1, /**< of the IPv4 header */
	kChecksumTcp4 = 2,
	kChecksumUdp4 = 4,
	kChecksumTcp6 = 8,
	kChecksumUdp6 = 16,
	kChecksumAll = 31,
};

struct Offloads {
	uint32_t tx_checksum = 0; /**< computed for what the guest sends; Checksum bits */
	uint32_t rx_checksum = 0; /**< verified for the guest */
	bool lso4 = false;	  /**< large sends of TCP over IPv4 are cut into segments */
	bool lso6 = false;
	bool rsc4 = false; /**< received segments are joined */
	bool rsc6 = false;

	bool operator==(const Offloads&) const = default;
	/** What both have. */
	Offloads operator&(const Offloads& other) const;
};

/** As NDIS_OFFLOAD of revision 3. @param lso_max TCP payload of one large send */
ndis::Offload ndis_offload(const Offloads& offloads, uint32_t lso_max);

/** The revision that a guest of this NDIS version knows, 1..3. */
uint8_t ndis_offload_revision(uint32_t ndis_version);
/** Bytes of NDIS_OFFLOAD in this revision. */
uint16_t ndis_offload_size(uint8_t revision);

/**
 * Carries out a set of OID_TCP_OFFLOAD_PARAMETERS, `length` bytes of NDIS_OFFLOAD_PARAMETERS.
 *
 * Hosts read what there is of the structure, whatever its revision says, and leave alone what has
 * a value they do not know.
 *
 * @return an RNDIS status
 */
uint32_t set_offload_parameters(const uint8_t* data, uint32_t length, const Offloads& offered,
				Offloads& enabled);

/**
 * Carries out a set of one of the keywords that drivers for Windows have for offloads, like
 * "*TCPChecksumOffloadIPv4": 0 = off, 1 = transmit, 2 = receive, 3 = both.
 *
 * @return false if the name is none of them
 */
bool set_offload_keyword(const std::string& name, uint32_t value, const Offloads& offered,
			 Offloads& enabled);

} // namespace netvsp
