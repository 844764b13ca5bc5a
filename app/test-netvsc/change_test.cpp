/* SPDX-License-Identifier: BSD-3-Clause */
/* What a host changes while a port is there, and what the application hears of it. */
#include "events.hpp"
#include "support.hpp"

namespace scenario {

using Change = Scenario;

static constexpr int kSoon = 5000;

/* Nobody receives: the driver looks after the channel itself. */
TEST_F(Change, TheLinkIsTalkedAboutWithoutPolling)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up({.lsc = true}));
	Events events(port);
	ASSERT_TRUE(host.host().set_link(host.nic, false));
	EXPECT_TRUE(eventually([&] { return events.link_downs == 1; }, kSoon));
	ASSERT_TRUE(host.host().set_link(host.nic, true));
	EXPECT_TRUE(eventually([&] { return events.link_changes == 2; }, kSoon));
	EXPECT_EQ(port.link().link_status, RTE_ETH_LINK_UP);
	EXPECT_EQ(events.link_downs, 1u);
	/* Not even a stopped port is deaf, and frames that came meanwhile are there. */
	ASSERT_TRUE(port.send(make_frame(60, 1)));
	EXPECT_TRUE(eventually([&] { return host.stats().tx_frames == 1; }));
	EXPECT_EQ(port.receive(1).size(), 1u);
}

TEST_F(Change, Speed)
{
	netvsp::NicConfig config = nic_with("loopback");
	config.speed_mbps = 10000;
	TestHost host(config);
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up({.lsc = true}));
	Events events(port);
	EXPECT_EQ(port.link().link_speed, 10000u);
	ASSERT_TRUE(host.host().set_speed(host.nic, 40000));
	EXPECT_TRUE(eventually([&] { return events.link_changes == 1; }, kSoon));
	EXPECT_EQ(port.link().link_speed, 40000u);
	EXPECT_EQ(events.link_downs, 0u);
}

/* As guests of every kind do: the link goes down and comes up, so that addresses are asked for. */
TEST_F(Change, Network)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up({.lsc = true}));
	Events events(port);
	ASSERT_TRUE(host.host().change_network(host.nic));
	EXPECT_TRUE(eventually([&] { return events.link_changes == 2; }, kSoon));
	EXPECT_EQ(events.link_downs, 1u);
	EXPECT_EQ(port.link().link_status, RTE_ETH_LINK_UP);
	loop(port, {make_frame(60, 1)});
}

/* The port goes on, as best it can; the application is asked to reset it, and finds what is left.
 */
TEST_F(Change, OffloadsThatGo)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args());
	PortOptions options;
	options.tx_offloads |= RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	ASSERT_NO_FATAL_FAILURE(port.up(options));
	Events events(port);
	netvsp::Offloads left = host.stats().offloads;
	ASSERT_NE(left.tx_checksum, 0u);
	left.rx_checksum = 0;
	ASSERT_TRUE(host.host().set_offloads(host.nic, left));
	loop(port, {make_frame(60, 1)});
	EXPECT_EQ(events.resets, 0u) << "that one was not used";
	left.tx_checksum = 0;
	ASSERT_TRUE(host.host().set_offloads(host.nic, left));
	EXPECT_TRUE(eventually([&] { return events.resets == 1; }, kSoon));
	ASSERT_EQ(port.stop(), 0);
	ASSERT_EQ(rte_eth_dev_reset(port.id), 0);
	EXPECT_EQ(port.info().tx_offload_capa &
			  (RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO),
		  0u);
	EXPECT_LT(port.configure(options), 0);
	ASSERT_NO_FATAL_FAILURE(port.up());
	loop(port, {make_frame(60, 2)});
	EXPECT_EQ(events.resets, 1u);
}

TEST_F(Change, NicsAreAdded)
{
	NEEDS_VDEV("way to plug itself in");
	TestHost host(nic_with("loopback"));
	NewPorts fresh;
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up());
	EXPECT_EQ(fresh.count, 1u);
	netvsp::NicConfig config = nic_with("loopback");
	config.mtu = 4000;
	const vmbus::Guid second = host.add(config);
	ASSERT_TRUE(eventually([&] { return fresh.count == 2; }, kSoon));
	uint16_t id = RTE_MAX_ETHPORTS;
	/* ethdev has it among its ports after the callbacks. */
	ASSERT_TRUE(eventually([&] {
		return rte_eth_dev_get_port_by_name((port.name + "_1").c_str(), &id) == 0;
	}));
	EXPECT_EQ(id, fresh.last);
	{
		Port added(id);
		ASSERT_NO_FATAL_FAILURE(added.up());
		loop(added, {make_frame(60, 1), make_frame(1500, 2)});
		EXPECT_EQ(host.stats(second).tx_frames, 2u);
		/* The host takes it away again; the first one does not notice. */
		Events events(added);
		ASSERT_TRUE(host.host().remove_nic(second));
		EXPECT_TRUE(eventually([&] { return events.removals == 1; }, kSoon));
		events.off();
	}
	EXPECT_LT(rte_eth_dev_get_port_by_name((port.name + "_1").c_str(), &id), 0);
	loop(port, {make_frame(60, 3)});
}

/* A host that restarts its NICs takes them away, and offers them again once they were let go of. */
TEST_F(Change, NicsAreOfferedAgain)
{
	NEEDS_VDEV("way to plug itself in");
	netvsp::NicConfig config = nic_with("loopback");
	config.queues = 4;
	TestHost host(config);
	NewPorts fresh;
	Port port(host.args());
	for (uint32_t round = 1; round <= 3; round++) {
		PortOptions options;
		options.rx_queues = options.tx_queues =
			std::min<uint16_t>(announced().max_rx_queues, 4);
		ASSERT_NO_FATAL_FAILURE(port.up(options));
		loop(port, {make_frame(60, round)});
		Events events(port);
		ASSERT_TRUE(host.host().reoffer_nic(host.nic));
		ASSERT_TRUE(eventually([&] { return events.removals == 1; }, kSoon));
		events.off();
		EXPECT_EQ(fresh.count, round) << "the old one is still in use";
		EXPECT_EQ(port.stop(), 0);
		EXPECT_EQ(port.close(), 0);
		ASSERT_TRUE(eventually([&] { return fresh.count == round + 1; }, kSoon));
		/* ethdev has it among its ports after the callbacks. */
		ASSERT_TRUE(eventually([&] {
			return rte_eth_dev_get_port_by_name(port.name.c_str(), &port.id) == 0;
		}));
	}
	ASSERT_NO_FATAL_FAILURE(port.up());
	loop(port, {make_frame(60, 9)});
	EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
}

} // namespace scenario
