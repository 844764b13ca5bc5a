/* SPDX-License-Identifier: BSD-3-Clause */
/* MTU, filters, addresses: what an application asks of the host, and what comes of it. */
#include "support.hpp"

namespace scenario {

class Mode : public Scenario {};

TEST_F(Mode, MtuChangesWhenStopped)
{
	NEEDS(announced().max_mtu >= 9000, "jumbo frames");
	netvsp::NicConfig config = nic_with("loopback");
	config.mtu = 9202;
	TestHost host(config);
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up({.mtu = 9000}));
	EXPECT_EQ(rte_eth_dev_set_mtu(port.id, 2000), -EBUSY);
	loop(port, {make_frame(9014, 1)});
	for (const uint16_t mtu : {1500, 9202, 68, 576, 9000}) {
		SCOPED_TRACE(mtu);
		/* What is too small for it the host takes for the usual, and nobody minds. */
		const uint32_t granted = mtu < profile().min_mtu ? 1500 : mtu;
		EXPECT_EQ(port.stop(), 0);
		ASSERT_EQ(rte_eth_dev_set_mtu(port.id, mtu), 0);
		uint16_t now = 0;
		EXPECT_EQ(rte_eth_dev_get_mtu(port.id, &now), 0);
		EXPECT_EQ(now, mtu);
		EXPECT_EQ(host.stats().mtu, granted);
		ASSERT_EQ(port.start(), 0);
		loop(port, {make_frame(60, 1), make_frame(mtu + 14u, 2), make_frame(mtu + 18u, 3)});
		const uint64_t errors = port.stats().oerrors;
		EXPECT_TRUE(port.send(make_frame(mtu + 19u, 4)));
		EXPECT_EQ(port.stats().oerrors, errors + 1);
	}
	EXPECT_EQ(port.stop(), 0);
	EXPECT_LT(rte_eth_dev_set_mtu(port.id, 9203), 0);
	EXPECT_LT(rte_eth_dev_set_mtu(port.id, 67), 0);
	ASSERT_EQ(port.start(), 0);
	loop(port, {make_frame(9014, 5)});
	EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
}

TEST_F(Mode, MtuThatTheHostRefuses)
{
	NEEDS(announced().max_mtu >= 9000, "jumbo frames");
	netvsp::NicConfig config = nic_with("loopback");
	config.mtu = 4000;
	TestHost host(config);
	Port port(host.args());
	ASSERT_EQ(port.plug_result(), 0);
	EXPECT_LT(port.configure({.mtu = 9000}), 0);
	ASSERT_NO_FATAL_FAILURE(port.up());
	loop(port, {make_frame(1514, 1)});
	EXPECT_EQ(port.stop(), 0);
	EXPECT_LT(rte_eth_dev_set_mtu(port.id, 9000), 0);
	uint16_t mtu = 0;
	EXPECT_EQ(rte_eth_dev_get_mtu(port.id, &mtu), 0);
	EXPECT_EQ(mtu, 1500);
	ASSERT_EQ(port.start(), 0);
	EXPECT_EQ(host.stats().mtu, 1500u);
	loop(port, {make_frame(60, 1), make_frame(1514, 2)});
	EXPECT_EQ(port.stop(), 0);
	EXPECT_EQ(rte_eth_dev_set_mtu(port.id, 4000), 0);
	ASSERT_NO_FATAL_FAILURE(port.up({.mtu = 4000}));
	loop(port, {make_frame(4014, 3)});
}

TEST_F(Mode, HostWithLessThanTheUsualMtu)
{
	NEEDS(announced().max_mtu > 1500, "other MTU than the usual");
	netvsp::NicConfig config = nic_with("loopback");
	config.mtu = 1400;
	TestHost host(config);
	Port port(host.args());
	ASSERT_EQ(port.plug_result(), 0);
	uint16_t mtu = 0;
	EXPECT_EQ(rte_eth_dev_get_mtu(port.id, &mtu), 0);
	EXPECT_EQ(mtu, 1400);
	ASSERT_NO_FATAL_FAILURE(port.up({.mtu = 1400}));
	loop(port, {make_frame(1414, 1)});
}

/* Mbufs that fit before must fit after an MTU change, or frames be scattered on request only. */
TEST_F(Mode, MtuThatTheMbufsDoNotFit)
{
	NEEDS(announced().max_mtu >= 9000, "jumbo frames");
	TestHost host(nic_with("loopback"));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up({.pool = pools().normal}));
	EXPECT_EQ(port.stop(), 0);
	if (rte_eth_dev_set_mtu(port.id, 9000) == 0 && port.start() == 0) {
		ADD_FAILURE() << "frames of 9014 bytes without scatter in mbufs of 2048";
		EXPECT_EQ(port.stop(), 0);
	}
	EXPECT_EQ(rte_eth_dev_set_mtu(port.id, 1500), 0);
	ASSERT_EQ(port.start(), 0);
	loop(port, {make_frame(1514, 1)});
}

TEST_F(Mode, FiltersActAtTheHost)
{
	auto wire = std::make_shared<Wire>();
	netvsp::NicConfig config;
	config.mac = {0x00, 0x15, 0x5d, 0x0a, 0x0b, 0x0c};
	TestHost host(config, wire);
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up({.promiscuous = false}));
	const Frame own = make_frame_to(port.mac(), 100, 1);
	const Frame other = make_frame_to({{0x00, 0x15, 0x5d, 0, 0, 1}}, 100, 2);
	const Frame broadcast = make_frame_to({{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, 100, 3);
	const Frame multicast = make_frame_to({{0x01, 0x00, 0x5e, 1, 2, 3}}, 100, 4);
	const auto passed = [&] {
		for (const Frame& frame : {own, other, broadcast, multicast})
			wire->inject(frame);
		EXPECT_TRUE(eventually([&] { return wire->injected_left() == 0; }));
		return port.receive(4, 100);
	};
	EXPECT_EQ(passed(), (std::vector<Frame>{own, broadcast, multicast}));
	EXPECT_EQ(host.stats().rx_filtered, 1u);

	EXPECT_EQ(rte_eth_promiscuous_enable(port.id), 0);
	EXPECT_EQ(rte_eth_promiscuous_get(port.id), 1);
	EXPECT_EQ(passed(), (std::vector<Frame>{own, other, broadcast, multicast}));
	EXPECT_EQ(host.stats().rx_filtered, 1u);

	/* All-multicast on and off must not change promiscuous mode. */
	EXPECT_EQ(rte_eth_allmulticast_enable(port.id), 0);
	EXPECT_EQ(passed().size(), 4u);
	EXPECT_EQ(rte_eth_allmulticast_disable(port.id), 0);
	EXPECT_EQ(passed().size(), 4u);

	EXPECT_EQ(rte_eth_promiscuous_disable(port.id), 0);
	EXPECT_EQ(rte_eth_allmulticast_enable(port.id), 0);
	EXPECT_EQ(rte_eth_allmulticast_get(port.id), 1);
	EXPECT_EQ(passed(), (std::vector<Frame>{own, broadcast, multicast}));
	EXPECT_EQ(host.stats().rx_filtered, 2u);

	/* A stopped port receives nothing; its modes are there again after the start. */
	EXPECT_EQ(rte_eth_promiscuous_enable(port.id), 0);
	EXPECT_EQ(port.stop(), 0);
	EXPECT_EQ(host.stats().packet_filter, 0u);
	ASSERT_EQ(port.start(), 0);
	EXPECT_EQ(passed().size(), 4u);
	EXPECT_EQ(port.stop(), 0);
	EXPECT_EQ(rte_eth_promiscuous_disable(port.id), 0);
	ASSERT_EQ(port.start(), 0);
	EXPECT_EQ(passed().size(), 3u);
}

/* Where the host takes another address its frames come; where not, all stays as it was. */
TEST_F(Mode, MacAddressSet)
{
	auto wire = std::make_shared<Wire>();
	netvsp::NicConfig config;
	config.mac = {0x00, 0x15, 0x5d, 0x0a, 0x0b, 0x0c};
	TestHost host(config, wire);
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up({.promiscuous = false}));
	rte_ether_addr before = port.mac();
	rte_ether_addr wanted = {{0x02, 1, 2, 3, 4, 5}};
	const int rc = rte_eth_dev_default_mac_addr_set(port.id, &wanted);
	const rte_ether_addr after = port.mac();
	EXPECT_TRUE(rte_is_same_ether_addr(&after, rc == 0 ? &wanted : &before));
	wire->inject(make_frame_to(before, 60, 1));
	wire->inject(make_frame_to(wanted, 60, 2));
	EXPECT_EQ(port.receive(1), std::vector<Frame>{make_frame_to(after, 60, rc == 0 ? 2 : 1)});
	EXPECT_TRUE(eventually([&] { return host.stats().rx_filtered == 1; }));
	rte_ether_addr multicast = {{0x01, 1, 2, 3, 4, 5}};
	EXPECT_LT(rte_eth_dev_default_mac_addr_set(port.id, &multicast), 0);
}

/* Frames wait on both sides: they go with the conversation, and nothing else does. */
TEST_F(Mode, MtuChangesWhileTrafficWaits)
{
	NEEDS(announced().max_mtu >= 9000, "jumbo frames");
	auto wire = std::make_shared<Wire>();
	netvsp::NicConfig config;
	config.mtu = 9000;
	TestHost host(config, wire);
	/* A host that is stuck with frames answers nothing: that is waited for. */
	Port port("socket=" + host.path + ",timeout=1000");
	ASSERT_NO_FATAL_FAILURE(port.up({.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER}));
	for (const uint16_t mtu : {1400, 9000, 68, 1500}) {
		SCOPED_TRACE(mtu);
		for (uint32_t i = 0; i < 300; i++)
			wire->inject(make_frame(60 + i % 22, i)); /* fits every MTU */
		ASSERT_TRUE(eventually([&] { return rte_eth_rx_queue_count(port.id, 0) >= 300; }));
		wire->open(false);
		for (uint32_t i = 0; i < 100; i++) { /* copied, and by reference */
			rte_mbuf* m = to_mbuf(make_frame(60 + i % 22, i));
			if (port.tx(&m, 1) == 0)
				rte_pktmbuf_free(m);
		}
		ASSERT_EQ(port.stop(), 0);
		ASSERT_EQ(rte_eth_dev_set_mtu(port.id, mtu), 0);
		wire->open(true);
		ASSERT_EQ(port.start(), 0);
		uint16_t now = 0;
		EXPECT_EQ(rte_eth_dev_get_mtu(port.id, &now), 0);
		EXPECT_EQ(now, mtu);
		port.receive_rest(5);
		const size_t taken = wire->taken_count();
		const Frame longest = make_frame(mtu + 14u, mtu);
		ASSERT_TRUE(port.send(to_mbuf(longest)));
		EXPECT_TRUE(eventually([&] {
			return wire->taken_count() > taken && wire->taken().back() == longest;
		}));
		wire->inject(longest);
		EXPECT_EQ(port.receive(1), std::vector<Frame>{longest});
	}
	EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
}

} // namespace scenario
