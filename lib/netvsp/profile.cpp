/* SPDX-License-Identifier: BSD-3-Clause */
#include "profile.hpp"

#include "netvsc/nvsp.hpp"
#include "netvsc/rndis.hpp"

#include "inet.hpp"

namespace netvsp {

namespace {

constexpr uint64_t kAnySize = UINT64_MAX;
constexpr uint32_t kAnyLength = UINT32_MAX;
constexpr uint32_t kMtuUsual = 1500;
constexpr uint32_t kMtuLeast = 68;
constexpr uint32_t kMtuMost = 9202; /* 9216 with the Ethernet header */

constexpr uint32_t kTcpHashes = ndis::kHashTcpIpv4 | ndis::kHashTcpIpv6;
constexpr uint32_t kTcpChecksums = kChecksumIp4 | kChecksumTcp4 | kChecksumTcp6;
constexpr uint32_t kLsoMax = 62780; /* OpenVMM's rndisprot.rs has it from vmswitch */

/*
 * Hyper-V is not public: its profiles are what its guests' drivers know of it. Where nothing is
 * known of an older host, it is as the newer ones are.
 *
 * - Versions: 2008 R2 speaks NVSP 1, which has neither NDIS configuration nor subchannels (FreeBSD
 *   hn_nvs.c, Linux netvsc.c). Subchannels came with NVSP 5 and the virtual RSS of 2012 R2,
 *   receive coalescing with NVSP 6.1 and 2019 (Linux's document netvsc.rst).
 * - Receive buffer: up to NVSP 2 at most 15 MB (HN_RXBUF_SIZE_COMPAT of FreeBSD's hn_nvs.c,
 *   NETVSC_RECEIVE_BUFFER_SIZE_LEGACY of Linux' hyperv_net.h). Its sub-allocations have 1728 bytes
 *   at the usual MTU.
 * - Checksums: none of UDP in 2008 R2, and none that works in 2012 R2 (Linux netvsc_drv.c of
 *   version 4.4, netvsc.rst).
 * - Hashes: ports of UDP since NDIS 6.80, which 2019 has; of UDP over IPv6 FreeBSD's if_hn.c knows
 *   no host, so that the newest has it to itself.
 *   if_hn.c knows, too, that a hash comes with its type, and that the type is TCP's for ports of
 *   UDP over IPv4.
 * - Azure leaves the checksum of UDP over IPv4 undone in datagrams of more than 1420 bytes without
 *   DF (FreeBSD if_hn.c, hw.hn.udpcs_fixup_mtu).
 * - NDIS_OFFLOAD: revision 3 came with NDIS 6.30, and 2008 R2 is NDIS 6.20 (Microsoft's NDIS
 *   documentation).
 *
 * OpenVMM: vm/devices/net/netvsp, src/lib.rs (versions, MTU, OIDs, subchannels, order of messages,
 * addresses), src/buffers.rs (sub-allocations, per-packet infos), src/rndisprot.rs (offloads).
 */
constexpr Profile kHyperV2022 = {
	.name = "hyperv2022",
	.nvsp = nvsp::kVersion61,
	.max_queues = nvsp::kMaxChannels,
	.clamps_subchannels = true,
	.max_receive_buffer = kAnySize,
	.min_mtu = kMtuLeast,
	.max_mtu = kMtuMost,
	.needs_ndis_version = false,
	.unknown_oid = rndis::kStatusInvalidOid,
	.offload_revision = 3,
	.offload_revision_set = false,
	.ignores_mac = false,
	.rss_types = kTcpHashes | ndis::kHashUdpIpv4 | ndis::kHashUdpIpv6,
	.checksums = kChecksumAll,
	.lso_max = kLsoMax,
	.rsc = true,
	.udp4_checksum_most = kAnyLength,
	.frame_offset = 128,
	.suballocation_more = 200,
	.suballocation_unit = 64,
	.whole_suballocations = false,
	.tells_hash = true,
	.tells_hash_kind = true,
	.calls_udp_hash_tcp = true,
	.tells_checksum_always = false,
};

constexpr Profile azure()
{
	Profile p = kHyperV2022;
	p.name = "azure";
	p.udp4_checksum_most = 1420;
	return p;
}

constexpr Profile hyperv2019()
{
	Profile p = kHyperV2022;
	p.name = "hyperv2019";
	p.rss_types = kTcpHashes | ndis::kHashUdpIpv4;
	return p;
}

constexpr Profile hyperv2012r2()
{
	Profile p = hyperv2019();
	p.name = "hyperv2012r2";
	p.nvsp = nvsp::kVersion5;
	p.rss_types = kTcpHashes;
	p.checksums = kTcpChecksums;
	p.rsc = false;
	return p;
}

constexpr Profile hyperv2008r2()
{
	Profile p = hyperv2012r2();
	p.name = "hyperv2008r2";
	p.nvsp = nvsp::kVersion1;
	p.max_queues = 1;
	p.max_receive_buffer = 15u << 20;
	p.min_mtu = p.max_mtu = kMtuUsual;
	p.offload_revision = 2;
	p.rss_types = 0;
	p.tells_hash = false;
	p.tells_hash_kind = false;
	return p;
}

constexpr Profile openvmm()
{
	Profile p = kHyperV2022;
	p.name = "openvmm";
	p.clamps_subchannels = false;
	p.min_mtu = kMtuUsual;
	p.needs_ndis_version = true;
	p.unknown_oid = rndis::kStatusNotSupported;
	p.offload_revision_set = true;
	p.ignores_mac = true;
	p.rss_types = kTcpHashes;
	p.rsc = false;
	p.frame_offset = 256;
	p.suballocation_more = 256 + 36; /* of which some guests misuse the last */
	p.suballocation_unit = 1;
	p.whole_suballocations = true;
	p.tells_hash = false;
	p.tells_hash_kind = false;
	p.tells_checksum_always = true;
	return p;
}

constexpr Profile kProfiles[] = {hyperv2008r2(), hyperv2012r2(), hyperv2019(),
				 kHyperV2022,	 azure(),	 openvmm()};

/* Before a frame lie the RNDIS header and up to five per-packet infos (checksum, tag, hash and its
 * kind, packet id), and it starts a tag later where that is stripped. */
constexpr bool frames_fit()
{
	constexpr size_t kHeaders =
		sizeof(rndis::PacketMessage) + 5 * (sizeof(rndis::PacketInfo) + sizeof(uint32_t));
	for (const Profile& p : kProfiles)
		if (p.frame_offset < kHeaders || p.suballocation_more < p.frame_offset + kVlanTag)
			return false;
	return true;
}
static_assert(frames_fit());

std::string too_much(const char* key, uint32_t value, const Profile& profile, uint32_t most)
{
	return std::string(key) + "=" + std::to_string(value) + ": a host of profile " +
	       profile.name + " grants at most " + std::to_string(most);
}

} // namespace

const Profile* find_profile(const std::string& name)
{
	for (const Profile& profile : kProfiles)
		if ((name.empty() ? kDefaultProfile : name) == profile.name)
			return &profile;
	return nullptr;
}

std::string profile_names()
{
	std::string names;
	for (const Profile& profile : kProfiles)
		names += (names.empty() ? "" : ", ") + std::string(profile.name);
	return names;
}

std::string settle(const NicConfig& config, NicSettings& out)
{
	const Profile* profile = find_profile(config.profile);
	if (!profile)
		return "profile=" + config.profile + ": must be one of " + profile_names();
	out.profile = profile;
	out.name = config.name;
	out.mac = config.mac;
	out.mtu = config.mtu.value_or(profile->max_mtu);
	out.queues = config.queues;
	out.nvsp = config.nvsp.value_or(profile->nvsp);
	out.section_size = config.section_size;
	out.max_packets = config.max_packets;
	out.alignment_shift = config.alignment_shift;
	out.speed_mbps = config.speed_mbps;
	out.monitor = config.monitor;
	out.link = config.link;
	out.set_mac = config.set_mac.value_or(true);
	out.ignores_mac = !config.set_mac && profile->ignores_mac;
	out.rss_types = config.rss_types.value_or(profile->rss_types);
	out.rss_table = config.rss_table;
	out.tx_csum = config.tx_csum.value_or(profile->checksums);
	out.rx_csum = config.rx_csum.value_or(profile->checksums);
	out.lso_max = config.lso_max.value_or(profile->lso_max);
	out.rsc = config.rsc.value_or(profile->rsc);
	if (out.nvsp > profile->nvsp)
		return std::string("nvsp: a host of profile ") + profile->name +
		       " does not speak so new a version";
	if (out.queues > profile->max_queues)
		return too_much("queues", out.queues, *profile, profile->max_queues);
	if (out.mtu > profile->max_mtu)
		return too_much("mtu", out.mtu, *profile, profile->max_mtu);
	if (config.rsc && out.rsc && profile->nvsp < nvsp::kVersion61)
		return std::string("rsc=1: a host of profile ") + profile->name +
		       " speaks no NVSP 6.1, in which segments are joined";
	if (config.rss_types && out.rss_types != 0 && profile->nvsp < nvsp::kVersion5)
		return std::string("rss: a host of profile ") + profile->name +
		       " speaks no NVSP 5, in which frames are spread over channels";
	return {};
}

} // namespace netvsp
