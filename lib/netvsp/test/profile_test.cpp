/* SPDX-License-Identifier: BSD-3-Clause */
/* What a guest sees of the differences between hosts. */
#include "netvsp/profile.hpp"

#include "offload_guest.hpp"

using namespace test;
using netvsp::NicConfig;
using netvsp::NicSettings;

namespace {

constexpr const char* kNames[] = {"hyperv2008r2", "hyperv2012r2", "hyperv2019",
				  "hyperv2022",	  "azure",	  "openvmm"};

NicConfig of(const std::string& profile, uint32_t queues = 1)
{
	NicConfig config;
	config.profile = profile;
	config.queues = queues;
	return config;
}

/* As a guest of this host does, in the newest version that both speak. */
void negotiate_newest(NicAndGuest& one, const std::string& profile)
{
	Negotiation n;
	n.version = netvsp::find_profile(profile)->nvsp;
	negotiate(one.guest, n);
}

TEST(ProfileTest, AreFoundByName)
{
	for (const char* name : kNames) {
		ASSERT_NE(nullptr, netvsp::find_profile(name)) << name;
		EXPECT_EQ(std::string(name), netvsp::find_profile(name)->name);
		EXPECT_NE(std::string::npos, netvsp::profile_names().find(name));
	}
	EXPECT_EQ(nullptr, netvsp::find_profile("hyperv"));
	EXPECT_EQ(std::string(netvsp::kDefaultProfile), netvsp::find_profile("")->name);
}

TEST(ProfileTest, WhatTheConfigurationSaysCounts)
{
	NicConfig config = of("hyperv2022", 3);
	NicSettings s;
	ASSERT_EQ("", settle(config, s));
	EXPECT_EQ(nvsp::kVersion61, s.nvsp);
	EXPECT_EQ(9202u, s.mtu);
	EXPECT_EQ(uint32_t(netvsp::kChecksumAll), s.rx_csum);
	EXPECT_TRUE(s.rsc && s.set_mac);
	config.nvsp = nvsp::kVersion5;
	config.mtu = 2000;
	config.rx_csum = 0;
	config.rsc = false;
	config.set_mac = false;
	config.lso_max = 1;
	config.rss_types = ndis::kHashTcpIpv6;
	ASSERT_EQ("", settle(config, s));
	EXPECT_EQ(nvsp::kVersion5, s.nvsp);
	EXPECT_EQ(2000u, s.mtu);
	EXPECT_EQ(0u, s.rx_csum);
	EXPECT_EQ(uint32_t(netvsp::kChecksumAll), s.tx_csum);
	EXPECT_FALSE(s.rsc || s.set_mac);
	EXPECT_EQ(1u, s.lso_max);
	EXPECT_EQ(uint32_t(ndis::kHashTcpIpv6), s.rss_types);
	EXPECT_EQ(3u, s.queues);
}

TEST(ProfileTest, WhatNoSuchHostCanBeIsRefused)
{
	NicSettings s;
	auto refused = [&](const NicConfig& config, const char* part) {
		const std::string error = settle(config, s);
		EXPECT_NE(std::string::npos, error.find(part)) << error;
		EXPECT_NE(std::string::npos, error.find(config.profile)) << error;
	};
	NicConfig config = of("hyperv2012r2");
	config.nvsp = nvsp::kVersion6;
	refused(config, "nvsp");
	config.nvsp = nvsp::kVersion4;
	EXPECT_EQ("", settle(config, s));
	config.rsc = true;
	refused(config, "rsc=1");
	refused(of("hyperv2008r2", 2), "queues=2");
	config = of("hyperv2008r2");
	config.mtu = 1501;
	refused(config, "mtu=1501");
	config.mtu = 1500;
	config.rss_types = ndis::kHashTcpIpv4;
	refused(config, "rss");
	config.rss_types = 0;
	EXPECT_EQ("", settle(config, s));
	refused(of("hyperv2003"), "must be one of");

	netvsp::Host host;
	vmbus::Guid id;
	std::string error;
	EXPECT_FALSE(
		host.add_nic(of("hyperv2008r2", 2), std::make_unique<QueueEndpoint>(), id, error));
	EXPECT_NE(std::string::npos, error.find("queues=2")) << error;
}

TEST(ProfileTest, VersionsGranted)
{
	constexpr uint32_t kNewest[] = {nvsp::kVersion1, nvsp::kVersion5, nvsp::kVersion61,
					nvsp::kVersion61, nvsp::kVersion61, nvsp::kVersion61};
	for (size_t i = 0; i < std::size(kNames); i++) {
		SCOPED_TRACE(kNames[i]);
		NicAndGuest one(of(kNames[i]));
		ASSERT_EQ(vu::Status::kOk, one.guest.open(one.guest.offers[0]));
		uint32_t granted = 0;
		for (uint32_t v : {nvsp::kVersion61, nvsp::kVersion6, nvsp::kVersion5,
				   nvsp::kVersion4, nvsp::kVersion2, nvsp::kVersion1})
			if (granted == 0 && one.guest.init(v))
				granted = v;
		EXPECT_EQ(kNewest[i], granted);
	}
}

TEST(ProfileTest, FramesPassInBothDirections)
{
	for (const char* name : kNames) {
		SCOPED_TRACE(name);
		NicAndGuest one(of(name));
		ASSERT_NO_FATAL_FAILURE(negotiate_newest(one, name));
		const std::string longest(1514, 'x');
		EXPECT_EQ(nvsp::kStatusSuccess, one.guest.transmit(Guest::packet_message(longest)));
		EXPECT_EQ(std::vector<std::string>{longest}, one.endpoint->sent);
		one.endpoint->incoming = {longest, "a short one to the guest"};
		EXPECT_EQ((std::vector<std::string>{longest, "a short one to the guest"}),
			  one.guest.frames(one.guest.ch(), 2));
		EXPECT_EQ(0u, one.stats().protocol_errors) << one.stats().last_error;
		EXPECT_EQ(0u, one.stats().suballocations_in_use);
	}
}

TEST(ProfileTest, LayoutOfTheReceiveBuffer)
{
	for (auto [name, size, whole] : {std::tuple{"hyperv2008r2", 1728u, false},
					 {"hyperv2022", 1728u, false},
					 {"openvmm", 1806u, true}}) {
		SCOPED_TRACE(name);
		NicAndGuest one(of(name));
		ASSERT_NO_FATAL_FAILURE(negotiate_newest(one, name));
		EXPECT_EQ(size, one.guest.section.suballocation_size);
		one.endpoint->incoming = {"one frame"};
		Received p;
		while (one.guest.receive(one.guest.ch(), p) &&
		       !p.is(vmbus::PacketType::kTransferPages))
			;
		const auto messages = one.guest.take(one.guest.ch(), p);
		ASSERT_EQ(1u, messages.size());
		rndis::PacketMessage header;
		memcpy(&header, messages[0].data(), sizeof(header));
		EXPECT_EQ(messages[0].size(), header.hdr.length);
		EXPECT_EQ(whole, messages[0].size() == size);
	}
}

TEST(ProfileTest, OldHostsTakeSmallReceiveBuffersOnly)
{
	NicAndGuest one(of("hyperv2008r2"));
	Guest& g = one.guest;
	ASSERT_EQ(vu::Status::kOk, g.open(g.offers[0]));
	ASSERT_TRUE(g.init(nvsp::kVersion1));
	constexpr uint64_t kMost = 15u << 20;
	for (uint64_t size : {kMost + 4096, kMost}) {
		const auto id = uint32_t(size >> 12);
		ASSERT_EQ(vu::Status::kOk, g.gpadl(g.primary, id, {{kGpa + kReceiveAt, size}}));
		nvsp::Message m{}, a{};
		m.type = nvsp::kSendReceiveBuffer;
		m.buffer = {id, nvsp::kReceiveBufferId, 0};
		ASSERT_TRUE(g.transact(m, a));
		EXPECT_EQ(size == kMost ? nvsp::kStatusSuccess : nvsp::kStatusFailure,
			  a.receive_buffer_complete.status);
	}
}

TEST(ProfileTest, MtuBelowTheUsual)
{
	for (auto [name, granted] : {std::pair{"hyperv2022", 1000u}, {"openvmm", 1500u}}) {
		NicAndGuest one(of(name));
		Negotiation n;
		n.mtu = 1014;
		ASSERT_NO_FATAL_FAILURE(negotiate(one.guest, n));
		EXPECT_EQ(granted, one.guest.query_u32(rndis::kOidMaximumFrameSize)) << name;
	}
}

TEST(ProfileTest, MoreSubchannelsThanThereAre)
{
	for (auto [name, status, count] : {std::tuple{"hyperv2022", nvsp::kStatusSuccess, 3u},
					   {"openvmm", nvsp::kStatusFailure, 0u}}) {
		NicAndGuest one(of(name, 4));
		ASSERT_NO_FATAL_FAILURE(negotiate(one.guest));
		nvsp::Message m{}, a{};
		m.type = nvsp::kSubchannel;
		m.subchannel_request = {nvsp::kSubchannelAllocate, 4};
		ASSERT_TRUE(one.guest.transact(m, a));
		EXPECT_EQ(status, a.subchannel_complete.status) << name;
		EXPECT_EQ(count, a.subchannel_complete.count) << name;
	}
	NicAndGuest one(of("openvmm", 4));
	ASSERT_NO_FATAL_FAILURE(negotiate(one.guest));
	ASSERT_NO_FATAL_FAILURE(one.guest.open_subchannels(3));
}

TEST(ProfileTest, OpenVmmWantsTheNdisVersion)
{
	for (const char* name : {"hyperv2022", "openvmm"}) {
		NicAndGuest one(of(name));
		Guest& g = one.guest;
		ASSERT_EQ(vu::Status::kOk, g.open(g.offers[0]));
		ASSERT_TRUE(g.init(nvsp::kVersion61));
		g.ndis_config(1514);
		ASSERT_TRUE(g.buffers());
		const bool hyperv = name == std::string("hyperv2022");
		EXPECT_EQ(hyperv, g.rndis_init()) << name;
		EXPECT_EQ(hyperv ? 0u : 1u, one.stats().protocol_errors) << name;
	}
}

TEST(ProfileTest, UnknownOids)
{
	for (const char* name : kNames) {
		SCOPED_TRACE(name);
		NicAndGuest one(of(name));
		ASSERT_NO_FATAL_FAILURE(negotiate_newest(one, name));
		const uint32_t unknown = name == std::string("openvmm") ? 0xc00000bb : 0xc0010017;
		std::vector<uint8_t> info;
		EXPECT_EQ(unknown, one.guest.query(0x12345678, info));
		EXPECT_EQ(unknown, one.guest.set(0x12345678, {1, 2, 3, 4}));
		/* An old host does not know of RSS. */
		const bool rss = name != std::string("hyperv2008r2");
		EXPECT_EQ(rss ? 0 : unknown,
			  one.guest.query(rndis::kOidReceiveScaleCapabilities, info));
		EXPECT_EQ(rss ? 0 : unknown, one.guest.set(rndis::kOidReceiveScaleParameters,
							   Guest::rss_parameters(0x201, {0})));
	}
}

TEST(ProfileTest, OffloadsThatThereAre)
{
	struct Row {
		const char* name;
		uint8_t revision;
		bool udp, rsc;
	};
	for (const Row& row : {Row{"hyperv2008r2", 2, false, false},
			       {"hyperv2012r2", 3, false, false},
			       {"hyperv2019", 3, true, true},
			       {"hyperv2022", 3, true, true},
			       {"azure", 3, true, true},
			       {"openvmm", 3, true, false}}) {
		SCOPED_TRACE(row.name);
		NicAndGuest one(of(row.name));
		ASSERT_NO_FATAL_FAILURE(negotiate_newest(one, row.name));
		std::vector<uint8_t> info;
		ASSERT_EQ(0u, one.guest.query(rndis::kOidOffloadCapabilities, info));
		ndis::Offload o{};
		ASSERT_LE(info.size(), sizeof(o));
		memcpy(&o, info.data(), info.size());
		EXPECT_EQ(row.revision, o.header.revision);
		EXPECT_EQ(info.size(), o.header.size);
		EXPECT_TRUE(o.checksum.ip4_tx & ndis::kCapTcp);
		EXPECT_TRUE(o.checksum.ip6_rx & ndis::kCapTcp);
		for (uint32_t flags :
		     {o.checksum.ip4_tx, o.checksum.ip4_rx, o.checksum.ip6_tx, o.checksum.ip6_rx})
			EXPECT_EQ(row.udp, (flags & ndis::kCapUdp) != 0);
		EXPECT_EQ(62780u, o.lso_v2.ip4_max_size);
		EXPECT_EQ(row.rsc, o.rsc_ip4 && o.rsc_ip6);
	}
}

/* Hyper-V answers as the guest asks, OpenVMM as it always does. */
TEST(ProfileTest, OffloadRevisionsForOldGuests)
{
	for (auto [name, size] : {std::pair{"hyperv2022", size_t{ndis::kOffloadSizeRev2}},
				  {"openvmm", size_t{ndis::kOffloadSizeRev3}}}) {
		NicAndGuest one(of(name));
		Negotiation n;
		n.ndis_minor = 1;
		ASSERT_NO_FATAL_FAILURE(negotiate(one.guest, n));
		std::vector<uint8_t> info;
		ASSERT_EQ(0u, one.guest.query(rndis::kOidOffloadCapabilities, info));
		EXPECT_EQ(size, info.size()) << name;
	}
}

TEST(ProfileTest, HashesAndChecksumInfos)
{
	const std::string frame = good_frame({});
	for (auto [name, hash, always] : {std::tuple{"hyperv2012r2", true, false},
					  {"hyperv2022", true, false},
					  {"openvmm", false, true}}) {
		SCOPED_TRACE(name);
		NicAndGuest one(of(name));
		ASSERT_NO_FATAL_FAILURE(negotiate_newest(one, name));
		ASSERT_EQ(0u, one.guest.set(rndis::kOidReceiveScaleParameters,
					    Guest::rss_parameters(0x301, {0})));
		one.endpoint->incoming = {frame};
		auto got = info_frames(one.guest, one.guest.ch());
		ASSERT_EQ(1u, got.size());
		EXPECT_EQ(hash, got[0].info.contains(rndis::kPpiHashValue));
		EXPECT_EQ(hash ? 0x201u : 0u, got[0].info[rndis::kPpiHashInfo]);
		EXPECT_EQ(always, got[0].info.contains(rndis::kPpiChecksum));
		EXPECT_EQ(0u, got[0].info[rndis::kPpiChecksum]); /* of nothing that is turned on */
	}
}

/* hn(4) calls it a TCP hash that is UDP's by what is in the frame. */
TEST(ProfileTest, HashOfUdpIsCalledTcp)
{
	for (const bool v6 : {false, true}) {
		FrameSpec spec;
		spec.v6 = v6;
		spec.tcp = false;
		NicAndGuest one(of("hyperv2022"));
		ASSERT_NO_FATAL_FAILURE(negotiate_newest(one, "hyperv2022"));
		ASSERT_EQ(0u, one.guest.set(rndis::kOidReceiveScaleParameters,
					    Guest::rss_parameters(0xd501, {0})));
		one.endpoint->incoming = {good_frame(spec)};
		auto got = info_frames(one.guest, one.guest.ch());
		ASSERT_EQ(1u, got.size());
		EXPECT_EQ(v6 ? 0x8001u : 0x201u, got[0].info[rndis::kPpiHashInfo]);
	}
}

TEST(ProfileTest, AnotherMacAddress)
{
	const std::array<uint8_t, 6> own = {2, 1, 2, 3, 4, 5};
	for (auto [name, option, status, changed] :
	     {std::tuple{"hyperv2022", -1, 0u, true},
	      {"hyperv2022", 0, uint32_t(rndis::kStatusFailure), false},
	      {"openvmm", -1, 0u, false},
	      {"openvmm", 1, 0u, true}}) {
		NicConfig config = of(name);
		config.mac = own;
		if (option >= 0)
			config.set_mac = option == 1;
		NicAndGuest one(config);
		ASSERT_NO_FATAL_FAILURE(negotiate(one.guest));
		EXPECT_EQ(status, one.guest.set(rndis::kOidConfigParameter,
						config_parameter("NetworkAddress", "020000000099")))
			<< name << option;
		EXPECT_EQ(changed, one.stats().mac != own) << name << option;
	}
}

} // namespace
