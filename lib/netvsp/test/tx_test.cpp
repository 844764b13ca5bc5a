/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"

using namespace test;

namespace {

std::string frame(size_t size, char fill)
{
	return std::string(size, fill);
}

class TxTest : public Fixture {
      protected:
	void up(netvsp::NicConfig config = {})
	{
		start(config);
		guest->up();
	}
	std::vector<uint8_t> several(int count, uint32_t pad_to = 8)
	{
		std::vector<uint8_t> all;
		for (int i = 0; i < count; i++) {
			auto m =
				Guest::packet_message(frame(60 + size_t(i), char('a' + i)), pad_to);
			all.insert(all.end(), m.begin(), m.end());
		}
		return all;
	}
};

TEST_F(TxTest, SeveralMessagesInASection)
{
	up();
	EXPECT_EQ(nvsp::kStatusSuccess, guest->transmit(several(8)));
	ASSERT_EQ(8u, endpoint->sent.size());
	for (size_t i = 0; i < 8; i++)
		EXPECT_EQ(frame(60 + i, char('a' + i)), endpoint->sent[i]);
	EXPECT_EQ(1u, stats().tx_packets);
	EXPECT_EQ(8u, stats().tx_frames);
	EXPECT_EQ(nvsp::kStatusFailure, guest->transmit(several(9)));
	EXPECT_EQ(1u, stats().tx_errors);
}

TEST_F(TxTest, SectionSizeMustBeTheSum)
{
	up();
	auto m = Guest::packet_message(frame(60, 'a'), 8);
	auto size = uint32_t(m.size());
	m.resize(m.size() + 64);
	EXPECT_EQ(nvsp::kStatusFailure, guest->transmit(m, size - 1));
	EXPECT_EQ(nvsp::kStatusFailure, guest->transmit(m, size + 8));
	EXPECT_EQ(nvsp::kStatusFailure, guest->transmit(m, 6145));
	EXPECT_EQ(nvsp::kStatusFailure, guest->transmit(m, 0xffffffff));
	endpoint->sent.clear();
	EXPECT_EQ(nvsp::kStatusSuccess, guest->transmit(m, size));
	EXPECT_EQ(1u, endpoint->sent.size());
	EXPECT_EQ(0u, stats().protocol_errors);
}

TEST_F(TxTest, BadMessagesAreRefusedAndTheChannelLives)
{
	up();
	auto with = [&](auto change) {
		auto bytes = Guest::packet_message(frame(100, 'a'));
		rndis::PacketMessage m;
		memcpy(&m, bytes.data(), sizeof(m));
		change(m);
		memcpy(bytes.data(), &m, sizeof(m));
		return guest->transmit(bytes);
	};
	using M = rndis::PacketMessage;
	EXPECT_EQ(nvsp::kStatusFailure, with([](M& m) { m.hdr.type = 2; }));
	EXPECT_EQ(nvsp::kStatusFailure, with([](M& m) { m.hdr.length = 43; }));
	EXPECT_EQ(nvsp::kStatusFailure, with([](M& m) { m.hdr.length = 0; }));
	EXPECT_EQ(nvsp::kStatusFailure, with([](M& m) { m.hdr.length++; }));
	EXPECT_EQ(nvsp::kStatusFailure, with([](M& m) { m.data_offset = 0; }));
	EXPECT_EQ(nvsp::kStatusFailure, with([](M& m) { m.data_offset = 0xffffffff; }));
	EXPECT_EQ(nvsp::kStatusFailure, with([](M& m) { m.data_length = 0; }));
	EXPECT_EQ(nvsp::kStatusFailure, with([](M& m) { m.data_length = 101; }));
	EXPECT_EQ(nvsp::kStatusFailure, with([](M& m) { m.data_length = 0xffffffff; }));
	EXPECT_EQ(nvsp::kStatusFailure, with([](M& m) { m.oob_count = 1; }));
	EXPECT_EQ(nvsp::kStatusFailure, with([](M& m) { m.vc_handle = 1; }));
	EXPECT_EQ(nvsp::kStatusFailure, with([](M& m) { m.ppi_length = 16; }));
	EXPECT_EQ(nvsp::kStatusFailure, with([](M& m) {
			  m.ppi_offset = 36;
			  m.ppi_length = 0xfffffff0;
		  }));
	EXPECT_EQ(nvsp::kStatusFailure, with([](M& m) {
			  m.ppi_offset = 36; /* the frame: a size of 'aaaa' */
			  m.ppi_length = 16;
		  }));
	EXPECT_TRUE(endpoint->sent.empty());
	EXPECT_EQ(nvsp::kStatusSuccess, with([](M&) {}));
	EXPECT_EQ(14u, stats().tx_errors);
	EXPECT_EQ(0u, stats().protocol_errors);
}

TEST_F(TxTest, FramesUpToTheMtuWithATag)
{
	up();
	EXPECT_EQ(nvsp::kStatusSuccess, guest->transmit(Guest::packet_message(frame(1518, 'a'))));
	EXPECT_EQ(nvsp::kStatusFailure, guest->transmit(Guest::packet_message(frame(1519, 'a'))));
}

TEST_F(TxTest, VlanInfoBecomesATag)
{
	up();
	std::string f = frame(60, 'f');
	rndis::PacketMessage m{};
	m.hdr = {rndis::kPacket, uint32_t(sizeof(m) + 16 + f.size())};
	m.data_offset = sizeof(m) - 8 + 16;
	m.data_length = uint32_t(f.size());
	m.ppi_offset = sizeof(m) - 8;
	m.ppi_length = 16;
	uint32_t ppi[4] = {16, rndis::kPpiVlan, 12, 5 | 0x123 << 4};
	auto bytes = bytes_of(m);
	auto info = bytes_of(ppi);
	bytes.insert(bytes.end(), info.begin(), info.end());
	bytes.insert(bytes.end(), f.begin(), f.end());
	ASSERT_EQ(nvsp::kStatusSuccess, guest->transmit(bytes));
	ASSERT_EQ(1u, endpoint->sent.size());
	std::string expected = f;
	expected.insert(12, std::string("\x81\x00\xa1\x23", 4));
	EXPECT_EQ(expected, endpoint->sent[0]);
}

TEST_F(TxTest, GpaDirectInPieces)
{
	up();
	std::string f = frame(1400, 'g');
	for (size_t i = 0; i < f.size(); i++)
		f[i] = char(i * 7);
	auto m = Guest::packet_message(f);
	/* header in one place, the frame in three others, one over a page boundary */
	uint8_t* base = guest->memory;
	memcpy(base + kDataAt + 100, m.data(), 44);
	memcpy(base + kDataAt + 8192 - 300, m.data() + 44, 600);
	memcpy(base + kDataAt + 0x20001, m.data() + 644, 1);
	memcpy(base + kDataAt + 0x30000, m.data() + 645, m.size() - 645);
	guest->send_gpa(guest->ch(),
			{{kDataAt + 100, 44},
			 {kDataAt + 8192 - 300, 600},
			 {kDataAt + 0x20001, 1},
			 {kDataAt + 0x30000, uint32_t(m.size() - 645)}},
			5);
	EXPECT_EQ(nvsp::kStatusSuccess, guest->await_completion(guest->ch(), 5));
	ASSERT_EQ(1u, endpoint->sent.size());
	EXPECT_EQ(f, endpoint->sent[0]);
	/* a header in two ranges is refused */
	memcpy(base + kDataAt + 0x40000, m.data(), m.size());
	guest->send_gpa(
		guest->ch(),
		{{kDataAt + 0x40000, 43}, {kDataAt + 0x40000 + 43, uint32_t(m.size() - 43)}}, 6);
	EXPECT_EQ(nvsp::kStatusFailure, guest->await_completion(guest->ch(), 6));
	EXPECT_EQ(0u, stats().protocol_errors);
}

TEST_F(TxTest, GpaDirectViolationsSilence)
{
	using R = std::vector<std::pair<uint64_t, uint32_t>>;
	R many(33, {kDataAt, 60});
	int i = 0;
	for (const auto& [ranges, count] : {std::pair{R{{kDataAt, 0}}, 0u},
					    {R{{kMemory - 100, 200}}, 0u},
					    {many, 0u},
					    {R{{kDataAt, 100}}, 2u},
					    {R{{kDataAt, 100}}, 0x10000000u}}) {
		NicAndGuest one;
		Guest& g = one.guest;
		g.up();
		g.send_gpa(g.ch(), ranges, 5, count);
		EXPECT_EQ(0u, g.await_completion(g.ch(), 5));
		netvsp::NicStats s;
		ASSERT_TRUE(one.host.stats(one.nic, s));
		EXPECT_EQ(1u, s.protocol_errors) << i;
		i++;
	}
}

TEST_F(TxTest, BadSectionIndexSilences)
{
	up();
	nvsp::Message m{};
	m.type = nvsp::kSendRndisPacket;
	m.rndis = {nvsp::kChannelData, uint32_t(kSendBytes / 6144), 100};
	guest->send_nvsp(m, true, 3);
	EXPECT_EQ(0u, guest->await_completion(guest->ch(), 3));
	EXPECT_EQ(1u, stats().protocol_errors);
}

TEST_F(TxTest, FullEndpointResumesAtTheSameMessage)
{
	up();
	endpoint->room = 3;
	auto messages = several(6);
	guest->send_section(messages, nvsp::kChannelData, 42);
	EXPECT_EQ(0u, guest->await_completion(guest->ch(), 42));
	EXPECT_EQ(3u, endpoint->sent.size());
	endpoint->room = 5;
	EXPECT_EQ(0u, guest->await_completion(guest->ch(), 42));
	endpoint->room = 100;
	EXPECT_EQ(nvsp::kStatusSuccess, guest->await_completion(guest->ch(), 42));
	ASSERT_EQ(6u, endpoint->sent.size());
	for (size_t i = 0; i < 6; i++)
		EXPECT_EQ(frame(60 + i, char('a' + i)), endpoint->sent[i]);
	EXPECT_EQ(1u, stats().tx_packets);
	EXPECT_EQ(6u, stats().tx_frames);
}

TEST_F(TxTest, CompletionsWithoutRoomHoldTheRingBack)
{
	up();
	auto m = Guest::packet_message(frame(60, 'r'));
	memcpy(guest->memory + kSendAt, m.data(), m.size());
	nvsp::Message n{};
	n.type = nvsp::kSendRndisPacket;
	n.rndis = {nvsp::kChannelData, 0, uint32_t(m.size())};
	/* completions need as much room as the packets: they cannot overtake a full ring */
	uint64_t sent = 0, completed = 0;
	for (int round = 0; round < 3; round++) {
		for (;;) {
			while (guest->send_nvsp(n, true, sent))
				sent++;
			uint64_t before = endpoint->sent.size();
			for (int i = 0; i < 10; i++)
				host.poll();
			if (endpoint->sent.size() == before)
				break;
		}
		EXPECT_LT(endpoint->sent.size(), sent);
		EXPECT_NE(0u, guest->ch().rx->pending_send_size);
		Received p;
		while (guest->receive(guest->ch(), p, 5)) {
			ASSERT_EQ(completed, p.d.transaction_id);
			completed++;
		}
	}
	EXPECT_EQ(sent, completed);
	EXPECT_EQ(sent, endpoint->sent.size());
	EXPECT_EQ(0u, stats().protocol_errors) << stats().last_error;
}

TEST_F(TxTest, GuestWaitingForRoomIsSignalled)
{
	up();
	auto m = Guest::packet_message(frame(60, 'r'));
	memcpy(guest->memory + kSendAt, m.data(), m.size());
	nvsp::Message n{};
	n.type = nvsp::kSendRndisPacket;
	n.rndis = {nvsp::kChannelData, 0, uint32_t(m.size())};
	while (guest->send_nvsp(n, false))
		;
	uint64_t count;
	while (read(guest->ch().call, &count, 8) == 8)
		;
	guest->ch().rx->interrupt_mask = 1; /* does not matter for this signal */
	guest->ch().tx->pending_send_size = 60000;
	for (int i = 0; i < 20; i++)
		host.poll();
	EXPECT_EQ(8, read(guest->ch().call, &count, 8));
	EXPECT_EQ(1u, count);
}

TEST_F(TxTest, Faults)
{
	netvsp::NicConfig config;
	config.faults = {"tx-fail:3", "bad-completion-id", "double-completion"};
	up(config);
	guest->other.clear(); /* completions of the control messages */
	auto m = Guest::packet_message(frame(60, 'r'));
	EXPECT_EQ(nvsp::kStatusSuccess, guest->transmit(m));
	EXPECT_EQ(nvsp::kStatusSuccess, guest->transmit(m));
	EXPECT_EQ(nvsp::kStatusFailure, guest->transmit(m));
	EXPECT_EQ(nvsp::kStatusSuccess, guest->transmit(m));
	EXPECT_EQ(2u, guest->other.size()); /* a wrong one, and the first once more */
}

} // namespace
