/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"

using namespace test;

namespace {

class NvspTest : public Fixture {
      protected:
	void open(netvsp::NicConfig config = {})
	{
		start(config);
		ASSERT_EQ(vu::Status::kOk, guest->open(guest->offers[0]));
	}
	bool silent_after(const nvsp::Message& m)
	{
		guest->send_nvsp(m, true, 99);
		Received p;
		return !guest->receive(guest->ch(), p, 10) && stats().protocol_errors == 1;
	}
};

TEST_F(NvspTest, TakesVersionsUpToTheConfigured)
{
	netvsp::NicConfig config;
	config.nvsp = nvsp::kVersion5;
	open(config);
	EXPECT_FALSE(guest->init(nvsp::kVersion61));
	EXPECT_FALSE(guest->init(nvsp::kVersion6));
	EXPECT_FALSE(guest->init(0x50001));
	EXPECT_TRUE(guest->init(nvsp::kVersion5));
	EXPECT_EQ(nvsp::kVersion5, stats().nvsp_version);
}

TEST_F(NvspTest, RefusalNamesNoVersion)
{
	open();
	nvsp::Message m{}, a{};
	m.type = nvsp::kInit;
	m.init = {0x70000, 0x70000};
	ASSERT_TRUE(guest->transact(m, a));
	EXPECT_EQ(nvsp::kStatusNone, a.init_complete.status);
	EXPECT_EQ(nvsp::kVersionNone, a.init_complete.version);
}

TEST_F(NvspTest, RangeOfVersionsGetsTheHighest)
{
	open();
	nvsp::Message m{}, a{};
	m.type = nvsp::kInit;
	m.init = {nvsp::kVersion1, nvsp::kVersion6};
	ASSERT_TRUE(guest->transact(m, a));
	EXPECT_EQ(nvsp::kVersion6, stats().nvsp_version);
}

TEST_F(NvspTest, SecondInitSilences)
{
	open();
	ASSERT_TRUE(guest->init(nvsp::kVersion61));
	nvsp::Message m{};
	m.type = nvsp::kInit;
	m.init = {nvsp::kVersion61, nvsp::kVersion61};
	EXPECT_TRUE(silent_after(m));
}

TEST_F(NvspTest, UnknownMessageSilencesUntilReopened)
{
	open();
	ASSERT_TRUE(guest->init(nvsp::kVersion61));
	nvsp::Message m{};
	m.type = 4711;
	EXPECT_TRUE(silent_after(m));
	EXPECT_NE(std::string::npos, stats().last_error.find("4711"));
	EXPECT_TRUE(guest->rescinded.empty());
	guest->close_channel(guest->primary);
	guest->gpadl_teardown(guest->primary, 100);
	guest->up();
	EXPECT_EQ(1u, stats().protocol_errors);
}

TEST_F(NvspTest, MessagesBeforeInitSilence)
{
	open();
	nvsp::Message m{};
	m.type = nvsp::kSendReceiveBuffer;
	EXPECT_TRUE(silent_after(m));
}

TEST_F(NvspTest, ReceiveBufferNeedsTheMtuFirst)
{
	open();
	ASSERT_TRUE(guest->init(nvsp::kVersion2));
	ASSERT_EQ(vu::Status::kOk,
		  guest->gpadl(guest->primary, 50, {{kGpa + kReceiveAt, kReceiveBytes}}));
	nvsp::Message m{};
	m.type = nvsp::kSendReceiveBuffer;
	m.buffer = {50, nvsp::kReceiveBufferId, 0};
	EXPECT_TRUE(silent_after(m));
}

TEST_F(NvspTest, BuffersOfUnknownGpadlsFail)
{
	open();
	ASSERT_TRUE(guest->init(nvsp::kVersion6));
	guest->ndis_config(1514);
	nvsp::Message m{}, a{};
	m.type = nvsp::kSendReceiveBuffer;
	m.buffer = {77, nvsp::kReceiveBufferId, 0};
	ASSERT_TRUE(guest->transact(m, a));
	EXPECT_EQ(nvsp::kStatusFailure, a.receive_buffer_complete.status);
	m.type = nvsp::kSendSendBuffer;
	ASSERT_TRUE(guest->transact(m, a));
	EXPECT_EQ(nvsp::kStatusFailure, a.send_buffer_complete.status);
	EXPECT_TRUE(guest->buffers());
	EXPECT_EQ(6144u, guest->section_size);
	EXPECT_EQ(0u, guest->section.offset);
	EXPECT_EQ(guest->section.suballocation_size * guest->section.suballocation_count,
		  guest->section.end_offset);
	EXPECT_LE(guest->section.end_offset, kReceiveBytes);
}

TEST_F(NvspTest, MtuIsGrantedOrTheUsual)
{
	for (auto [asked, granted] : {std::pair{1514u, 1500u},
				      {9216u, 9202u},
				      {9217u, 1500u},
				      {82u, 68u},
				      {81u, 1500u},
				      {0xffffffffu, 1500u}}) {
		NicAndGuest one;
		Guest& g = one.guest;
		g.up(nvsp::kVersion61, asked);
		EXPECT_EQ(granted, g.query_u32(rndis::kOidMaximumFrameSize)) << asked;
		EXPECT_EQ(granted + 14, g.query_u32(rndis::kOidMaximumTotalSize));
		EXPECT_GE(g.section.suballocation_size, granted + 14 + 200);
	}
}

TEST_F(NvspTest, RevokeAndCloseStartOver)
{
	open();
	guest->close_channel(guest->primary);
	guest->gpadl_teardown(guest->primary, 100);
	for (int i = 0; i < 3; i++) {
		guest->up();
		nvsp::Message m{};
		m.type = nvsp::kRevokeReceiveBuffer;
		m.revoke.id = nvsp::kReceiveBufferId;
		guest->send_nvsp(m, false);
		m.type = nvsp::kRevokeSendBuffer;
		m.revoke.id = nvsp::kSendBufferId;
		guest->send_nvsp(m, false);
		host.poll();
		Received p;
		EXPECT_FALSE(guest->receive(guest->ch(), p, 5));
		guest->gpadl_teardown(guest->primary, 50);
		guest->gpadl_teardown(guest->primary, 51);
		guest->close_channel(guest->primary);
		guest->gpadl_teardown(guest->primary, 100);
	}
	EXPECT_EQ(0u, stats().protocol_errors) << stats().last_error;
}

TEST_F(NvspTest, SubchannelsAreOfferedOpenedAndTakenBack)
{
	netvsp::NicConfig config;
	config.queues = 4;
	start(config);
	guest->up();
	nvsp::Message m{}, a{};
	m.type = nvsp::kSubchannel;
	m.subchannel_request = {nvsp::kSubchannelAllocate, 9};
	ASSERT_TRUE(guest->transact(m, a));
	EXPECT_EQ(nvsp::kStatusSuccess, a.subchannel_complete.status);
	EXPECT_EQ(3u, a.subchannel_complete.count);
	vu::OfferChannel o{};
	for (uint16_t i = 1; i <= 3; i++) {
		ASSERT_TRUE(guest->expect(vu::Type::kOfferChannel, o));
		EXPECT_EQ(i, o.subchannel_index);
		EXPECT_EQ(nic, o.instance_id);
		ASSERT_EQ(vu::Status::kOk, guest->open(o));
	}
	EXPECT_EQ(4u, stats().channels_open);
	Received p;
	ASSERT_TRUE(guest->receive(guest->ch(), p));
	EXPECT_EQ(nvsp::kSendIndirectionTable, p.message().type);
	auto table = p.message().indirection_table;
	ASSERT_EQ(nvsp::kSendTableEntries, table.count);
	for (uint32_t i = 0; i < table.count; i++) {
		uint32_t entry;
		memcpy(&entry, p.data.data() + table.offset + i * 4, 4);
		EXPECT_EQ(i % 4, entry);
	}
	/* data goes over a subchannel, control does not */
	auto message = Guest::packet_message(std::string(60, 'q'));
	memcpy(guest->memory + kSendAt, message.data(), message.size());
	m = {};
	m.type = nvsp::kSendRndisPacket;
	m.rndis = {nvsp::kChannelData, 0, uint32_t(message.size())};
	GuestChannel& sub = guest->channels.at(o.relid);
	ASSERT_TRUE(sub.send(6, 1, 31, {}, bytes_of(m)));
	EXPECT_EQ(nvsp::kStatusSuccess, guest->await_completion(sub, 31));
	m.type = nvsp::kSubchannel;
	ASSERT_TRUE(sub.send(6, 1, 32, {}, bytes_of(m)));
	EXPECT_FALSE(guest->receive(sub, p, 10));
	EXPECT_EQ(1u, stats().protocol_errors);
	EXPECT_EQ(nvsp::kStatusSuccess, guest->transmit(message)); /* the primary lives */

	uint32_t primary = guest->primary;
	guest->close_channel(primary);
	vu::ChannelId id{};
	for (int i = 0; i < 3; i++)
		ASSERT_TRUE(guest->expect(vu::Type::kRescind, id));
	EXPECT_EQ(0u, stats().channels_open);
	for (uint32_t relid : std::vector<uint32_t>(guest->rescinded))
		guest->request(vu::Type::kRelidReleased, vu::ChannelId{{}, relid, 0});
	EXPECT_FALSE(guest->dropped());
}

TEST_F(NvspTest, DataPathSwitchIsCompleted)
{
	start();
	guest->up();
	nvsp::Message m{}, a{};
	m.type = nvsp::kSwitchDataPath;
	EXPECT_TRUE(guest->transact(m, a));
	m.type = nvsp::kOidQueryEx;
	EXPECT_TRUE(guest->transact(m, a));
	EXPECT_EQ(nvsp::kOidQueryExComplete, a.type);
}

TEST_F(NvspTest, SetUpFaults)
{
	auto outcome = [](const char* fault) {
		netvsp::NicConfig config;
		config.faults = {fault};
		NicAndGuest one(config);
		Guest& g = one.guest;
		if (g.open(g.offers[0]) != vu::Status::kOk)
			return 1;
		if (!g.init(nvsp::kVersion61))
			return 2;
		g.ndis_config(1514);
		if (!g.buffers())
			return 3;
		if (!g.rndis_init())
			return 4;
		std::vector<uint8_t> info;
		if (g.query(rndis::kOidPermanentAddress, info) != 0)
			return 5;
		if (g.set_filter(0x20) != 0)
			return 6;
		for (const auto& p : g.other)
			if (p.message().type == nvsp::kSendVfAssociation)
				return 7;
		return 0;
	};
	EXPECT_EQ(0, outcome("bad-rx-range"));
	EXPECT_EQ(1, outcome("gpadl-fail"));
	EXPECT_EQ(1, outcome("open-fail"));
	EXPECT_EQ(2, outcome("refuse-nvsp"));
	EXPECT_EQ(2, outcome("no-init-reply"));
	EXPECT_EQ(2, outcome("short-init-reply"));
	EXPECT_EQ(3, outcome("no-recvbuf-reply"));
	EXPECT_EQ(3, outcome("recvbuf-fail"));
	EXPECT_EQ(3, outcome("sendbuf-fail"));
	EXPECT_EQ(4, outcome("rndis-init-fail"));
	EXPECT_EQ(4, outcome("no-rndis-reply"));
	EXPECT_EQ(5, outcome("short-query-reply"));
	EXPECT_EQ(5, outcome("bad-query-length"));
	EXPECT_EQ(7, outcome("unrelated-before-reply"));
	EXPECT_EQ(4, outcome("silent-after:4"));
	EXPECT_EQ(5, outcome("silent-after:5"));
}

} // namespace
