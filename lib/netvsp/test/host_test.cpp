/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"

#include <sys/un.h>

using namespace test;

namespace {

std::string frame(size_t size, char fill = 'x')
{
	std::string f(size, fill);
	f[12] = char(0x88);
	f[13] = char(0xb5);
	return f;
}

class HostTest : public Fixture {};

TEST_F(HostTest, EveryVersionCarriesFramesBothWays)
{
	for (uint32_t version : {nvsp::kVersion1, nvsp::kVersion2, nvsp::kVersion4, nvsp::kVersion5,
				 nvsp::kVersion6, nvsp::kVersion61}) {
		NicAndGuest one;
		Guest& g = one.guest;
		auto* e = one.endpoint;
		g.up(version);
		EXPECT_EQ(nvsp::kStatusSuccess, g.transmit(Guest::packet_message(frame(60))));
		ASSERT_EQ(1u, e->sent.size());
		EXPECT_EQ(frame(60), e->sent[0]);
		e->incoming.push_back(frame(1514, 'y'));
		auto got = g.frames(g.ch(), 1);
		ASSERT_EQ(1u, got.size());
		EXPECT_EQ(frame(1514, 'y'), got[0]);
		netvsp::NicStats s;
		ASSERT_TRUE(one.host.stats(one.nic, s));
		one.host.poll();
		ASSERT_TRUE(one.host.stats(one.nic, s));
		EXPECT_EQ(version, s.nvsp_version);
		EXPECT_EQ(0u, s.suballocations_in_use);
		EXPECT_EQ(0u, s.protocol_errors) << s.last_error;
	}
}

TEST_F(HostTest, GuestAfterGuestFindsTheNicUnused)
{
	start();
	guest->up();
	EXPECT_EQ(1u, stats().channels_open);
	guest->disconnect();
	host.poll();
	EXPECT_FALSE(host.guest_connected());
	EXPECT_EQ(0u, stats().channels_open);
	EXPECT_EQ(0u, stats().packet_filter);
	guest->offers.clear();
	guest->connect(host);
	guest->hello();
	guest->up();
	EXPECT_EQ(nvsp::kStatusSuccess, guest->transmit(Guest::packet_message(frame(60))));
}

TEST_F(HostTest, AddingAndRemovingNicsUnderAGuest)
{
	start();
	vmbus::Guid second;
	std::string error;
	ASSERT_TRUE(host.add_nic({}, std::make_unique<QueueEndpoint>(), second, error));
	vu::OfferChannel o{};
	ASSERT_TRUE(guest->expect(vu::Type::kOfferChannel, o));
	EXPECT_EQ(second, o.instance_id);
	EXPECT_EQ(2u, host.nics().size());
	ASSERT_EQ(vu::Status::kOk, guest->open(o));
	ASSERT_TRUE(host.remove_nic(second));
	vu::ChannelId id{};
	ASSERT_TRUE(guest->expect(vu::Type::kRescind, id));
	EXPECT_EQ(o.relid, id.relid);
	guest->close_channel(id.relid); /* allowed, without effect */
	guest->gpadl_teardown(id.relid, 100);
	guest->request(vu::Type::kRelidReleased, vu::ChannelId{{}, id.relid, 0});
	EXPECT_FALSE(guest->dropped());
	EXPECT_FALSE(host.remove_nic(second));
}

TEST_F(HostTest, ReofferComesAfterTheRelease)
{
	start();
	guest->up();
	uint32_t old = guest->primary;
	ASSERT_TRUE(host.reoffer_nic(nic));
	vu::ChannelId id{};
	ASSERT_TRUE(guest->expect(vu::Type::kRescind, id));
	EXPECT_EQ(old, id.relid);
	size_t offers = guest->offers.size();
	host.poll();
	EXPECT_EQ(offers, guest->offers.size());
	guest->request(vu::Type::kRelidReleased, vu::ChannelId{{}, id.relid, 0});
	vu::OfferChannel o{};
	ASSERT_TRUE(guest->expect(vu::Type::kOfferChannel, o));
	EXPECT_NE(old, o.relid);
	EXPECT_EQ(nic, o.instance_id);
	guest->up();
	EXPECT_EQ(nvsp::kStatusSuccess, guest->transmit(Guest::packet_message(frame(60))));
}

TEST_F(HostTest, SecondGuestIsRefusedUntilTheFirstGoes)
{
	std::string path = "/tmp/netvsp-host-test-" + std::to_string(getpid());
	sockaddr_un a{};
	a.sun_family = AF_UNIX;
	strcpy(a.sun_path, path.c_str());
	auto come = [&] {
		int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		EXPECT_EQ(0, ::connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof(a)));
		host.poll();
		return fd;
	};
	std::string error;
	ASSERT_TRUE(host.listen(path, error)) << error;
	int first = come();
	EXPECT_TRUE(host.guest_connected());
	int second = come();
	char byte;
	EXPECT_EQ(0, recv(second, &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ(-1, recv(first, &byte, 1, MSG_DONTWAIT));
	int pair[2];
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	EXPECT_FALSE(host.adopt(pair[0], error));
	close(first);
	int third = come(); /* before the host saw the first one hang up */
	EXPECT_TRUE(host.guest_connected());
	EXPECT_EQ(-1, recv(third, &byte, 1, MSG_DONTWAIT));
	for (int fd : {second, third, pair[0], pair[1]})
		close(fd);
}

TEST_F(HostTest, ThreadServesAndSleeps)
{
	host.start({});
	host.set_log([](const std::string&) {});
	netvsp::NicConfig config;
	config.endpoint = "loopback";
	std::string error;
	ASSERT_TRUE(host.add_nic(config, nic, error)) << error;
	guest = std::make_unique<Guest>([] { usleep(50); });
	guest->connect(host);
	guest->hello();
	guest->up();
	for (int i = 0; i < 300; i++) {
		if (i % 100 == 0)
			usleep(3000); /* the host falls asleep and must be woken */
		ASSERT_EQ(nvsp::kStatusSuccess,
			  guest->transmit(Guest::packet_message(frame(60 + size_t(i)))));
	}
	std::vector<std::string> got;
	for (auto& p : guest->other)
		if (p.is(vmbus::PacketType::kTransferPages))
			for (auto& m : guest->take(guest->ch(), p)) {
				rndis::PacketMessage h{};
				memcpy(&h, m.data(), std::min(m.size(), sizeof(h)));
				if (h.hdr.type == rndis::kPacket)
					got.emplace_back(m.end() - h.data_length, m.end());
			}
	for (auto& f : guest->frames(guest->ch()))
		got.push_back(f);
	std::erase_if(got, [](auto& f) { return f.size() < 60; });
	EXPECT_EQ(300u, got.size());
	EXPECT_GT(stats().tx_frames, 0u);
	host.stop();
	host.start();
	EXPECT_TRUE(host.guest_connected());
}

TEST_F(HostTest, MonitoredChannelNeedsNoKick)
{
	netvsp::NicConfig config;
	config.monitor = true;
	start(config, true);
	ASSERT_EQ(0, guest->offers[0].monitor_id);
	guest->up();
	host.start();
	usleep(2000); /* asleep, but for the monitor */
	auto message = Guest::packet_message(frame(60));
	memcpy(guest->memory + kSendAt, message.data(), message.size());
	auto* page = reinterpret_cast<vmbus::MonitorPage*>(guest->memory);
	nvsp::Message m{};
	m.type = nvsp::kSendRndisPacket;
	m.rndis = {0, 0, uint32_t(message.size())};
	GuestChannel& c = guest->ch();
	int kick = c.kick;
	c.kick = eventfd(0, EFD_CLOEXEC); /* signals go nowhere */
	ASSERT_TRUE(c.send(6, 1, 77, {}, bytes_of(m)));
	__atomic_fetch_or(&page->trigger_group[0].pending, 1, __ATOMIC_SEQ_CST);
	Received p;
	bool got = false;
	for (int i = 0; i < 500 && !got; i++) {
		usleep(100);
		got = c.receive(p);
	}
	EXPECT_TRUE(got);
	EXPECT_EQ(0u, __atomic_load_n(&page->trigger_group[0].pending, __ATOMIC_SEQ_CST));
	close(c.kick);
	c.kick = kick;
	host.stop();
}

} // namespace
