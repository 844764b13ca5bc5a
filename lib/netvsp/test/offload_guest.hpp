/* SPDX-License-Identifier: BSD-3-Clause */
/** What a guest does with offloads: negotiates them, and sends and reads per-packet infos. */
#pragma once

#include <map>

#include "netvsc/ndis.hpp"

#include "fixture.hpp"
#include "net_frames.hpp"

namespace test {

/** Everything up to a NIC that passes frames, with what Guest::up() leaves out. */
struct Negotiation {
	uint32_t version = nvsp::kVersion61;
	uint32_t mtu = 1514;
	uint32_t ndis_major = 6;
	uint32_t ndis_minor = 30;
	uint64_t capabilities = nvsp::kCap8021q | nvsp::kCapSriov | nvsp::kCapRsc;
};

inline void negotiate(Guest& guest, const Negotiation& n = {})
{
	ASSERT_FALSE(guest.offers.empty());
	ASSERT_EQ(vu::Status::kOk, guest.open(guest.offers.back()));
	ASSERT_TRUE(guest.init(n.version));
	nvsp::Message m{};
	m.type = nvsp::kSendNdisConfig;
	m.ndis_config.mtu = n.mtu;
	m.ndis_config.capabilities = n.capabilities;
	if (n.version >= nvsp::kVersion2) {
		ASSERT_TRUE(guest.send_nvsp(m, false));
	}
	m = {};
	m.type = nvsp::kSendNdisVersion;
	m.ndis_version = {n.ndis_major, n.ndis_minor};
	ASSERT_TRUE(guest.send_nvsp(m, false));
	ASSERT_TRUE(guest.buffers());
	ASSERT_TRUE(guest.rndis_init());
	ASSERT_EQ(0u, guest.set_filter(0x20));
}

/** Parameters that turn on everything, as Linux sends them. */
inline ndis::OffloadParameters all_offloads()
{
	ndis::OffloadParameters p{};
	p.header = {ndis::kTypeDefault, 3, sizeof(p)};
	p.ip4_checksum = p.tcp4_checksum = p.udp4_checksum = p.tcp6_checksum = p.udp6_checksum =
		ndis::kChecksumTxRx;
	p.lso_v2_ip4 = p.lso_v2_ip6 = ndis::kSwitchOn;
	p.rsc_ip4 = p.rsc_ip6 = ndis::kSwitchOff;
	return p;
}

inline void append_utf16(std::vector<uint8_t>& to, const std::string& text)
{
	for (char c : text) {
		to.push_back(uint8_t(c));
		to.push_back(0);
	}
}

/** The data of OID_GEN_RNDIS_CONFIG_PARAMETER as Linux lays it out: the value follows the name. */
inline std::vector<uint8_t> config_parameter(const std::string& name, const std::string& text)
{
	ndis::ConfigParameter p{};
	p.name_offset = sizeof(p);
	p.name_length = uint32_t(name.size() * 2);
	p.type = ndis::kParameterString;
	p.value_offset = p.name_offset + p.name_length;
	p.value_length = uint32_t(text.size() * 2);
	auto bytes = bytes_of(p);
	append_utf16(bytes, name);
	append_utf16(bytes, text);
	return bytes;
}

using Infos = std::vector<std::pair<uint32_t, uint32_t>>; /* type, value */

/** A data message with per-packet infos. */
inline std::vector<uint8_t> message_with(const std::string& frame, const Infos& infos)
{
	rndis::PacketMessage m{};
	auto ppi = uint32_t(infos.size() * 16);
	m.hdr = {rndis::kPacket, uint32_t(sizeof(m) + ppi + frame.size())};
	m.data_offset = uint32_t(sizeof(m)) - rndis::kOffsetBase + ppi;
	m.data_length = uint32_t(frame.size());
	m.ppi_offset = infos.empty() ? 0 : uint32_t(sizeof(m)) - rndis::kOffsetBase;
	m.ppi_length = ppi;
	std::vector<uint8_t> bytes;
	bytes.reserve(m.hdr.length);
	auto header = bytes_of(m);
	bytes.insert(bytes.end(), header.begin(), header.end());
	for (auto [type, value] : infos) {
		uint32_t info[4] = {16, type, 12, value};
		auto b = bytes_of(info);
		bytes.insert(bytes.end(), b.begin(), b.end());
	}
	bytes.insert(bytes.end(), frame.begin(), frame.end());
	return bytes;
}

/** A data message that does not fit a send section goes by GPA-direct. */
inline uint32_t transmit_gpa(Guest& guest, const std::vector<uint8_t>& message)
{
	uint64_t id = guest.next_id_++;
	memcpy(guest.memory + kDataAt, message.data(), message.size());
	guest.send_gpa(guest.ch(), {{kDataAt, uint32_t(message.size())}}, id);
	return guest.await_completion(guest.ch(), id);
}

struct InfoFrame {
	std::string frame;
	std::map<uint32_t, uint32_t> info; /* by type, the first word */
};

/** The frames that arrive on a channel until it is quiet, with their per-packet infos. */
inline std::vector<InfoFrame> info_frames(Guest& guest, GuestChannel& c, size_t at_least = 1)
{
	std::vector<InfoFrame> out;
	Received p;
	while (guest.receive(c, p, out.size() < at_least ? 200 : 5)) {
		if (!p.is(vmbus::PacketType::kTransferPages)) {
			guest.other.push_back(p);
			continue;
		}
		for (auto& m : guest.take(c, p)) {
			rndis::PacketMessage h{};
			memcpy(&h, m.data(), std::min(m.size(), sizeof(h)));
			if (h.hdr.type != rndis::kPacket) {
				guest.indications.push_back(m);
				continue;
			}
			EXPECT_LE(h.hdr.length, m.size());
			EXPECT_LE(8ull + h.data_offset + h.data_length, h.hdr.length);
			EXPECT_LE(8ull + h.ppi_offset + h.ppi_length, 8ull + h.data_offset);
			InfoFrame f;
			f.frame.assign(reinterpret_cast<char*>(m.data()) + 8 + h.data_offset,
				       h.data_length);
			for (uint32_t at = 8 + h.ppi_offset;
			     at < 8 + h.ppi_offset + h.ppi_length;) {
				rndis::PacketInfo info;
				memcpy(&info, m.data() + at, sizeof(info));
				EXPECT_GE(info.size, 16u);
				memcpy(&f.info[info.type], m.data() + at + info.offset, 4);
				at += std::max(info.size, 4u);
			}
			out.push_back(f);
		}
	}
	return out;
}

/** The status indications that came so far, and what was behind each. */
inline std::vector<std::pair<uint32_t, std::vector<uint8_t>>> indications(Guest& guest)
{
	guest.frames(guest.ch());
	std::vector<std::pair<uint32_t, std::vector<uint8_t>>> out;
	for (const auto& bytes : guest.indications) {
		rndis::IndicateStatus s{};
		memcpy(&s, bytes.data(), std::min(bytes.size(), sizeof(s)));
		if (s.hdr.type != rndis::kIndicateStatus)
			continue;
		EXPECT_EQ(s.hdr.length, sizeof(s) + s.buffer_length);
		EXPECT_EQ(s.buffer_length ? 12u : 0u, s.buffer_offset);
		out.emplace_back(s.status, std::vector<uint8_t>(bytes.begin() + sizeof(s),
								bytes.begin() + s.hdr.length));
	}
	guest.indications.clear();
	return out;
}

} // namespace test
