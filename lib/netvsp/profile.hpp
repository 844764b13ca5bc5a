/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * In what hosts differ: a table of them by name, and a NIC's settings made of its host's profile
 * and of what its configuration says beyond.
 */
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "host.hpp"

namespace netvsp {

struct Profile {
	const char* name;

	/* NVSP */
	uint32_t nvsp;		     /**< newest version */
	uint32_t max_queues;	     /**< channels of a NIC */
	bool clamps_subchannels;     /**< grants fewer than asked for, rather than none */
	uint64_t max_receive_buffer; /**< bytes; more is refused */
	uint32_t min_mtu;	     /**< without the Ethernet header; below it is 1500 */
	uint32_t max_mtu;

	/* RNDIS */
	bool needs_ndis_version;   /**< before the first RNDIS message */
	uint32_t unknown_oid;	   /**< status */
	uint8_t offload_revision;  /**< newest of NDIS_OFFLOAD that it knows */
	bool offload_revision_set; /**< it answers in that one, whatever the guest asks for */
	bool ignores_mac;	   /**< says yes to another MAC address and keeps its own */

	/* offloads */
	uint32_t rss_types; /**< beside addresses */
	uint32_t checksums; /**< Checksum bits, both ways */
	uint32_t lso_max;
	bool rsc;
	/** Datagrams of UDP over IPv4 with more bytes than this, and without DF, keep the checksum
	 *  that the guest gave them, whatever it asked for. */
	uint32_t udp4_checksum_most;

	/* received frames */
	uint32_t frame_offset;	     /**< in a sub-allocation */
	uint32_t suballocation_more; /**< bytes of a sub-allocation beyond the longest frame... */
	uint32_t suballocation_unit; /**< ...rounded up to a multiple of this */
	bool whole_suballocations;   /**< a range is the sub-allocation, however short the frame */
	bool tells_hash;
	bool tells_hash_kind;	    /**< with the function and the type of the hash... */
	bool calls_udp_hash_tcp;    /**< ...which is TCP's for UDP over IPv4, too */
	bool tells_checksum_always; /**< even with nothing in it */

	/** What a sub-allocation must hold at this MTU, which includes the Ethernet header. */
	uint32_t suballocation_size(uint32_t mtu) const
	{
		return (mtu + suballocation_more + suballocation_unit - 1) / suballocation_unit *
		       suballocation_unit;
	}
};

inline constexpr const char* kDefaultProfile = "hyperv2022";

/** @return null if there is no profile of this name; empty = the default one */
const Profile* find_profile(const std::string& name);
/** All of their names, for people: "hyperv2008r2, ..." */
std::string profile_names();

/** A NIC as it is: NicConfig, and the profile's values for what that leaves open. */
struct NicSettings {
	const Profile* profile = nullptr;
	std::string name;
	std::array<uint8_t, 6> mac{};
	uint32_t mtu = 0;
	uint32_t queues = 0;
	uint32_t nvsp = 0;
	uint32_t section_size = 0;
	uint32_t max_packets = 0;
	uint32_t alignment_shift = 0;
	uint64_t speed_mbps = 0;
	bool monitor = false;
	bool link = false;
	bool set_mac = false;
	bool ignores_mac = false;
	uint32_t rss_types = 0;
	uint32_t rss_table = 0;
	uint32_t tx_csum = 0;
	uint32_t rx_csum = 0;
	uint32_t lso_max = 0;
	bool rsc = false;
};

/** @return empty, or what the configuration wants that a host of its profile cannot be */
std::string settle(const NicConfig& config, NicSettings& out);

} // namespace netvsp
