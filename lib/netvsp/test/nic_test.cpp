/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"

#include <algorithm>
#include <chrono>

#include <fcntl.h>

using namespace test;

namespace {

std::string frame(size_t size)
{
	return std::string(size, 'n');
}

class NicTest : public Fixture {
      protected:
	/** A NIC whose primary channel is open, and nothing more. */
	void open()
	{
		start();
		ASSERT_EQ(vu::Status::kOk, guest->open(guest->offers[0]));
	}
	void up(uint32_t queues = 1)
	{
		netvsp::NicConfig config;
		config.queues = queues;
		start(config);
		guest->up();
		if (queues > 1)
			guest->open_subchannels(queues - 1);
	}
	/** A data packet in section 0, without waiting for the completion. */
	bool send_frame(GuestChannel& c, uint64_t id)
	{
		auto message = Guest::packet_message(frame(60));
		memcpy(guest->memory + kSendAt, message.data(), message.size());
		nvsp::Message m{};
		m.type = nvsp::kSendRndisPacket;
		m.rndis = {nvsp::kChannelData, 0, uint32_t(message.size())};
		return c.send(6, 1, id, {}, bytes_of(m));
	}
	bool works(GuestChannel& c)
	{
		EXPECT_TRUE(send_frame(c, 500));
		return guest->await_completion(c, 500) == nvsp::kStatusSuccess;
	}
	static int open_descriptors()
	{
		int n = 0;
		for (int fd = 0; fd < 256; fd++)
			n += fcntl(fd, F_GETFD) >= 0;
		return n;
	}
};

TEST_F(NicTest, BrokenRingsSilence)
{
	open();
	guest->ch().tx->in = 12; /* not a multiple of 8 */
	host.poll();
	EXPECT_EQ(1u, stats().protocol_errors);
	host.poll();
	EXPECT_EQ(1u, stats().protocol_errors);
}

TEST_F(NicTest, IndexBeyondTheRingSilences)
{
	open();
	guest->ch().tx->in = guest->ch().data_size;
	host.poll();
	EXPECT_EQ(1u, stats().protocol_errors);
}

TEST_F(NicTest, OwnTransmitMaskSilences)
{
	open();
	guest->ch().tx->interrupt_mask = 0;
	host.poll();
	EXPECT_EQ(1u, stats().protocol_errors);
}

TEST_F(NicTest, BadDescriptorsSilence)
{
	for (auto [data8, length8, flags] :
	     {std::tuple{1, 6, 0}, {7, 6, 0}, {2, 60000, 0}, {2, 6, 2}, {0, 0, 0}, {2, 0, 0}}) {
		NicAndGuest one;
		Guest& g = one.guest;
		ASSERT_EQ(vu::Status::kOk, g.open(g.offers[0]));
		vmbus::PacketDescriptor d{6, uint16_t(data8), uint16_t(length8), uint16_t(flags),
					  0};
		memcpy(GuestChannel::data(g.ch().tx), &d, sizeof(d));
		__atomic_store_n(&g.ch().tx->in, 64, __ATOMIC_SEQ_CST);
		one.host.poll();
		netvsp::NicStats s;
		ASSERT_TRUE(one.host.stats(one.nic, s));
		EXPECT_EQ(1u, s.protocol_errors) << data8 << " " << length8 << " " << flags;
	}
}

TEST_F(NicTest, LinkChangesAreIndicated)
{
	start();
	guest->up();
	ASSERT_TRUE(host.set_link(nic, false));
	guest->frames(guest->ch());
	ASSERT_EQ(1u, guest->indications.size());
	rndis::IndicateStatus s;
	memcpy(&s, guest->indications[0].data(), sizeof(s));
	EXPECT_EQ(rndis::kStatusMediaDisconnect, s.status);
	EXPECT_EQ(1u, guest->query_u32(rndis::kOidMediaConnectStatus));
	endpoint->incoming.push_back(frame(60));
	EXPECT_TRUE(guest->frames(guest->ch()).empty());
	EXPECT_EQ(nvsp::kStatusSuccess, guest->transmit(Guest::packet_message(frame(60))));
	EXPECT_TRUE(endpoint->sent.empty());
	ASSERT_TRUE(host.set_link(nic, true));
	EXPECT_EQ(1u, guest->frames(guest->ch(), 1).size());
	EXPECT_EQ(2u, guest->indications.size());
}

TEST_F(NicTest, UnknownPacketTypeSilences)
{
	open();
	ASSERT_TRUE(guest->ch().send(7, 0, 1, {}, std::vector<uint8_t>(32)));
	host.poll();
	EXPECT_EQ(1u, stats().protocol_errors);
	EXPECT_NE(std::string::npos, stats().last_error.find("type 7")) << stats().last_error;
}

TEST_F(NicTest, SilentChannelSaysNothingUntilReopened)
{
	up();
	endpoint->incoming.push_back(frame(60));
	ASSERT_EQ(1u, guest->frames(guest->ch(), 1, false).size());
	ASSERT_TRUE(guest->ch().send(7, 0, 1, {}, {}));
	ASSERT_TRUE(send_frame(guest->ch(), 1)); /* behind it: is not looked at */
	host.poll();
	ASSERT_EQ(1u, stats().protocol_errors);
	EXPECT_NE(std::string::npos, log.back().find("packet of type 7")) << log.back();

	uint64_t interrupts = stats().interrupts;
	endpoint->incoming.push_back(frame(60));
	ASSERT_TRUE(host.set_link(nic, false));
	ASSERT_TRUE(host.set_link(nic, true));
	Received p;
	EXPECT_FALSE(guest->receive(guest->ch(), p, 10));
	EXPECT_EQ(interrupts, stats().interrupts);
	EXPECT_EQ(1u, endpoint->incoming.size());
	EXPECT_TRUE(endpoint->sent.empty());
	EXPECT_TRUE(guest->rescinded.empty());
	EXPECT_EQ(1u, stats().channels_open);

	for (uint32_t id : {50u, 51u})
		guest->gpadl_teardown(guest->primary, id);
	guest->close_channel(guest->primary);
	guest->gpadl_teardown(guest->primary, 100);
	guest->up();
	EXPECT_EQ(1u, guest->frames(guest->ch(), 1).size());
	EXPECT_TRUE(works(guest->ch()));
	EXPECT_EQ(1u, stats().protocol_errors);
}

TEST_F(NicTest, CloseForgetsWhatIsOutstandingAndItsDescriptors)
{
	up();
	const int before = open_descriptors();
	for (int i = 0; i < 3; i++) {
		endpoint->incoming = {frame(60), frame(60), frame(60)};
		ASSERT_EQ(3u, guest->frames(guest->ch(), 3, false).size());
		EXPECT_EQ(3u, stats().suballocations_in_use);
		guest->close_channel(guest->primary);
		host.poll();
		EXPECT_EQ(before - 4, open_descriptors()); /* the guest's two and the host's */
		netvsp::NicStats s = stats();
		EXPECT_EQ(0u, s.channels_open);
		EXPECT_EQ(0u, s.suballocations_in_use);
		EXPECT_EQ(0u, s.nvsp_version);
		EXPECT_EQ(0u, s.packet_filter);
		for (uint32_t id : {50u, 51u, 100u})
			guest->gpadl_teardown(guest->primary, id);
		guest->up();
		EXPECT_EQ(before, open_descriptors());
	}
	EXPECT_EQ(0u, stats().protocol_errors) << stats().last_error;
}

TEST_F(NicTest, ClosingASubchannelLeavesTheOthers)
{
	up(3);
	ASSERT_EQ(0u,
		  guest->set(rndis::kOidReceiveScaleParameters, Guest::rss_parameters(0x101, {1})));
	std::string ip = frame(60);
	ip.replace(12, 3, std::string("\x08\x00\x45", 3));
	endpoint->incoming = {ip, frame(60)};
	EXPECT_EQ(1u, guest->frames(guest->subchannel(1), 1, false).size());
	EXPECT_EQ(1u, guest->frames(guest->ch(), 1, false).size());
	EXPECT_EQ(2u, stats().suballocations_in_use);
	guest->close_channel(guest->subchannel(1).relid);
	host.poll();
	EXPECT_EQ(2u, stats().channels_open);
	EXPECT_EQ(1u, stats().suballocations_in_use); /* the primary's */
	EXPECT_TRUE(guest->rescinded.empty());
	EXPECT_TRUE(works(guest->ch()));
	EXPECT_TRUE(works(guest->subchannel(2)));
}

TEST_F(NicTest, ReofferRescindsEveryChannelAndWaitsForAll)
{
	up(2);
	std::vector<uint32_t> before;
	for (auto& [relid, c] : guest->channels)
		before.push_back(relid);
	const size_t offers = guest->offers.size();
	ASSERT_TRUE(host.reoffer_nic(nic));
	vu::ChannelId id{};
	for (size_t i = 0; i < before.size(); i++)
		ASSERT_TRUE(guest->expect(vu::Type::kRescind, id));
	std::sort(guest->rescinded.begin(), guest->rescinded.end());
	EXPECT_EQ(before, guest->rescinded);
	EXPECT_EQ(0u, stats().channels_open);
	vu::OfferChannel o{};
	guest->request(vu::Type::kRelidReleased, vu::ChannelId{{}, before[0], 0});
	host.poll();
	EXPECT_EQ(offers, guest->offers.size());
	guest->request(vu::Type::kRelidReleased, vu::ChannelId{{}, before[1], 0});
	ASSERT_TRUE(guest->expect(vu::Type::kOfferChannel, o));
	EXPECT_EQ(offers + 1, guest->offers.size());
	EXPECT_EQ(0, o.subchannel_index);
}

TEST_F(NicTest, LostReceiveBufferIsNotWrittenAnyMore)
{
	up();
	endpoint->incoming.push_back(frame(60));
	ASSERT_EQ(1u, guest->frames(guest->ch(), 1, false).size());
	guest->gpadl_teardown(guest->primary, 50);
	EXPECT_EQ(1u, stats().protocol_errors);
	EXPECT_EQ(0u, stats().suballocations_in_use);
	memset(guest->memory + kReceiveAt, 0x5a, kReceiveBytes);
	endpoint->incoming = {frame(60), frame(60)};
	for (int i = 0; i < 5; i++)
		host.poll();
	ASSERT_TRUE(host.set_link(nic, false)); /* its indication would go there */
	const uint8_t* from = guest->memory + kReceiveAt;
	EXPECT_EQ(ptrdiff_t(kReceiveBytes), std::find_if(from, from + kReceiveBytes, [](uint8_t b) {
						    return b != 0x5a;
					    }) - from);
	EXPECT_EQ(2u, endpoint->incoming.size());
}

TEST_F(NicTest, LostSendBufferSilencesThePrimary)
{
	up(2);
	guest->gpadl_teardown(guest->primary, 51);
	EXPECT_EQ(1u, stats().protocol_errors);
	EXPECT_TRUE(send_frame(guest->ch(), 1));
	EXPECT_TRUE(send_frame(guest->subchannel(1), 2)); /* has no section either */
	host.poll();
	EXPECT_TRUE(endpoint->sent.empty());
	EXPECT_EQ(2u, stats().protocol_errors);
}

TEST_F(NicTest, LostRingClosesItsChannel)
{
	up(2);
	GuestChannel& c = guest->subchannel(1);
	ASSERT_TRUE(send_frame(c, 1));
	guest->gpadl_teardown(c.relid, 101);
	EXPECT_EQ(1u, stats().protocol_errors);
	EXPECT_EQ(1u, stats().channels_open);
	memset(c.rx, 0, kRingBytes);
	ASSERT_TRUE(send_frame(c, 2));
	host.poll();
	EXPECT_EQ(0u, c.rx->in);
	EXPECT_TRUE(works(guest->ch()));
	guest->gpadl_teardown(guest->primary, 100);
	EXPECT_EQ(0u, stats().channels_open);
	EXPECT_EQ(2u, stats().protocol_errors);
}

TEST_F(NicTest, CompletionsOvertakeAPacketThatWaits)
{
	up();
	endpoint->incoming = {frame(60), frame(61)};
	for (int i = 0; i < 5; i++)
		host.poll();
	ASSERT_EQ(2u, stats().suballocations_in_use);
	endpoint->room = 0;
	ASSERT_TRUE(send_frame(guest->ch(), 70));
	EXPECT_EQ(2u, guest->frames(guest->ch(), 2).size()); /* completed behind the packet */
	for (int i = 0; i < 3; i++)
		host.poll();
	EXPECT_EQ(0u, stats().suballocations_in_use);
	EXPECT_TRUE(endpoint->sent.empty());
	/* those that come while it still waits, too */
	endpoint->incoming.push_back(frame(62));
	EXPECT_EQ(1u, guest->frames(guest->ch(), 1).size());
	host.poll();
	EXPECT_EQ(0u, stats().suballocations_in_use);
	/* and they count once */
	endpoint->room = SIZE_MAX;
	EXPECT_EQ(nvsp::kStatusSuccess, guest->await_completion(guest->ch(), 70));
	EXPECT_EQ(1u, endpoint->sent.size());
	endpoint->incoming.push_back(frame(63));
	EXPECT_EQ(1u, guest->frames(guest->ch(), 1).size());
	host.poll();
	EXPECT_EQ(0u, stats().suballocations_in_use);
	EXPECT_TRUE(works(guest->ch()));
	EXPECT_EQ(0u, stats().protocol_errors) << stats().last_error;
}

TEST_F(NicTest, ChannelsTakeTurns)
{
	up(2);
	for (uint64_t id = 0; id < 600; id++)
		ASSERT_TRUE(send_frame(guest->ch(), id));
	ASSERT_TRUE(send_frame(guest->subchannel(1), 7));
	host.poll();
	EXPECT_EQ(513u, endpoint->sent.size()); /* 512 of the first, and the second's */
	Received p;
	EXPECT_TRUE(guest->subchannel(1).receive(p));
	host.poll();
	EXPECT_EQ(601u, endpoint->sent.size());
}

TEST_F(NicTest, OneSignalForAPassOfPackets)
{
	up();
	Received p;
	while (guest->ch().receive(p))
		;
	uint64_t before = stats().interrupts;
	for (uint64_t id = 0; id < 20; id++)
		ASSERT_TRUE(send_frame(guest->ch(), id));
	host.poll();
	EXPECT_EQ(20u, endpoint->sent.size());
	EXPECT_EQ(before + 1, stats().interrupts);
}

TEST_F(NicTest, WantsNoSignalsWhileAwake)
{
	up();
	EXPECT_EQ(1u, guest->ch().tx->interrupt_mask);
	host.start();
	for (int i = 0; i < 2000; i++) {
		if (__atomic_load_n(&guest->ch().tx->interrupt_mask, __ATOMIC_SEQ_CST) == 0)
			break;
		usleep(1000);
	}
	EXPECT_EQ(0u, __atomic_load_n(&guest->ch().tx->interrupt_mask, __ATOMIC_SEQ_CST));
	host.stop();
	EXPECT_EQ(1u, guest->ch().tx->interrupt_mask);
	EXPECT_EQ(0u, stats().protocol_errors);
}

TEST_F(NicTest, DoesNotSleepOverAPacketWithoutASignal)
{
	up();
	for (int i = 0; i < 5; i++)
		host.poll();
	ASSERT_TRUE(send_frame(guest->ch(), 1));
	uint64_t count;
	ASSERT_EQ(-1, read(guest->ch().kick, &count, sizeof(count))); /* the host was awake */
	auto start = std::chrono::steady_clock::now();
	host.wait(2000);
	EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
	/* one that waits for the network is no reason to stay awake */
	endpoint->room = 0;
	host.poll();
	start = std::chrono::steady_clock::now();
	host.wait(2000);
	auto slept = std::chrono::steady_clock::now() - start;
	EXPECT_GE(slept, std::chrono::microseconds(100)); /* until it is tried again */
	EXPECT_LT(slept, std::chrono::seconds(1));
}

TEST_F(NicTest, LinkMayBeDownAtFirst)
{
	netvsp::NicConfig config;
	config.link = false;
	start(config);
	guest->up();
	EXPECT_EQ(1u, guest->query_u32(rndis::kOidMediaConnectStatus));
	endpoint->incoming.push_back(frame(60));
	EXPECT_TRUE(guest->frames(guest->ch()).empty());
	ASSERT_TRUE(host.set_link(nic, false)); /* is no news */
	EXPECT_TRUE(guest->indications.empty());
	ASSERT_TRUE(host.set_link(nic, true));
	EXPECT_EQ(1u, guest->frames(guest->ch(), 1).size());
	EXPECT_EQ(1u, guest->indications.size());
}

} // namespace
