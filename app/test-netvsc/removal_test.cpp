/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts and NICs that go away, and links that go up and down. */
#include <atomic>
#include <thread>

#include "events.hpp"
#include "support.hpp"

namespace scenario {

class Removal : public Scenario {
      protected:
	/* Both directions at once, in threads of their own, until `over`. */
	static void traffic(Port& port, std::atomic<bool>& over,
			    const std::function<void()>& meanwhile)
	{
		std::thread transmitter([&] {
			for (uint32_t i = 0; !over; i++) {
				rte_mbuf* m = to_mbuf(make_frame(60 + i % 1400, i));
				if (m != nullptr && port.tx(&m, 1) == 0)
					rte_pktmbuf_free(m);
			}
		});
		std::thread receiver([&] {
			while (!over) {
				rte_mbuf* mbufs[32];
				rte_pktmbuf_free_bulk(mbufs, port.rx(mbufs, 32));
				std::this_thread::yield();
			}
		});
		meanwhile();
		over = true;
		transmitter.join();
		receiver.join();
	}
	static void expect_gone(Port& port, Events& events)
	{
		EXPECT_TRUE(eventually([&] { return events.removals == 1; }));
		EXPECT_EQ(port.link().link_status, RTE_ETH_LINK_DOWN);
		rte_mbuf* m = to_mbuf(make_frame(60, 1));
		EXPECT_EQ(port.tx(&m, 1), 0);
		rte_pktmbuf_free(m);
		EXPECT_EQ(port.rx(&m, 1), 0);
		EXPECT_LT(rte_eth_allmulticast_enable(port.id), 0);
		EXPECT_EQ(port.stop(), 0);
		EXPECT_LT(port.start(), 0);
		EXPECT_LT(rte_eth_dev_set_mtu(port.id, 2000), 0);
		EXPECT_EQ(events.removals, 1u);
		events.off();
		EXPECT_EQ(port.close(), 0);
		EXPECT_EQ(port.remove(), 0);
	}
};

TEST_F(Removal, HostDiesUnderTraffic)
{
	for (const char* args : {"", "tx_copybreak=0", "rx_extmbuf_enable=1,rx_copybreak=0"}) {
		SCOPED_TRACE(args);
		TestHost host(nic_with("loopback"));
		const std::string path = host.path;
		Port port(host.args(args));
		ASSERT_NO_FATAL_FAILURE(port.up());
		Events events(port);
		std::atomic<bool> over{false};
		traffic(port, over, [&] {
			std::this_thread::sleep_for(std::chrono::milliseconds(50));
			host.die();
			EXPECT_TRUE(eventually([&] { return events.removals == 1; }));
			std::this_thread::sleep_for(std::chrono::milliseconds(5));
		});
		expect_gone(port, events);
		/* Its successor at the same path is found. */
		const auto again = TestHost::at(path, nic_with("loopback"));
		Port next(again->args());
		ASSERT_NO_FATAL_FAILURE(next.up());
		loop(next, {make_frame(60, 1)});
	}
}

TEST_F(Removal, NicIsRescindedUnderTraffic)
{
	for (const char* args : {"", "tx_copybreak=0", "rx_extmbuf_enable=1,rx_copybreak=0"}) {
		SCOPED_TRACE(args);
		TestHost host(nic_with("loopback"));
		Port port(host.args(args));
		ASSERT_NO_FATAL_FAILURE(port.up());
		Events events(port);
		std::atomic<bool> over{false};
		traffic(port, over, [&] {
			std::this_thread::sleep_for(std::chrono::milliseconds(50));
			EXPECT_TRUE(host.host().remove_nic(host.nic));
			EXPECT_TRUE(eventually([&] { return events.removals == 1; }));
			std::this_thread::sleep_for(std::chrono::milliseconds(5));
		});
		expect_gone(port, events);
		/* The host is alive and offers another one. */
		EXPECT_TRUE(eventually([&] { return !host.host().guest_connected(); }));
		host.nic = host.add(nic_with("loopback"));
		Port next(host.args());
		ASSERT_NO_FATAL_FAILURE(next.up());
		loop(next, {make_frame(60, 1)});
	}
}

TEST_F(Removal, NicIsOfferedAgain)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up());
	Events events(port);
	EXPECT_TRUE(host.host().reoffer_nic(host.nic));
	expect_gone(port, events);
	Port next(host.args());
	ASSERT_NO_FATAL_FAILURE(next.up());
	loop(next, {make_frame(60, 1)});
}

TEST_F(Removal, OneOfTwoNicsGoes)
{
	NEEDS_VDEV("number");
	TestHost host(nic_with("loopback"));
	const vmbus::Guid second = host.add(nic_with("null"));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up());
	uint16_t other = 0;
	ASSERT_EQ(rte_eth_dev_get_port_by_name((port.name + "_1").c_str(), &other), 0);
	Events events(port);
	EXPECT_TRUE(host.host().remove_nic(second));
	loop(port, {make_frame(60, 1), make_frame(1514, 2)});
	EXPECT_EQ(rte_eth_dev_close(other), 0);
	loop(port, {make_frame(60, 1), make_frame(1514, 2)});
	EXPECT_EQ(port.link().link_status, RTE_ETH_LINK_UP);
	EXPECT_EQ(events.removals, 0u);
}

TEST_F(Removal, BeforeTheStart)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args());
	ASSERT_EQ(port.configure(), 0);
	Events events(port);
	host.die();
	EXPECT_TRUE(eventually([&] { return events.removals == 1; }));
	EXPECT_LT(port.start(), 0);
	events.off();
	EXPECT_EQ(port.close(), 0);
}

TEST_F(Removal, OfAPortThatWasClosed)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up());
	EXPECT_EQ(port.stop(), 0);
	EXPECT_EQ(port.close(), 0);
	host.die();
	std::this_thread::sleep_for(std::chrono::milliseconds(20));
	EXPECT_EQ(port.remove(), 0);
}

/* One thread closes the port while another one is still telling of its end. */
TEST_F(Removal, ClosedWhileTheApplicationIsTold)
{
	static std::atomic<bool> telling;
	telling = false;
	const auto slow = [](uint16_t, rte_eth_event_type, void*, void*) {
		telling = true;
		std::this_thread::sleep_for(std::chrono::milliseconds(50));
		return 0;
	};
	{
		TestHost host(nic_with("loopback"));
		Port port(host.args());
		ASSERT_NO_FATAL_FAILURE(port.up());
		/* The link's end comes first: there is more to tell when that was heard. */
		EXPECT_EQ(rte_eth_dev_callback_register(port.id, RTE_ETH_EVENT_INTR_LSC, slow,
							nullptr),
			  0);
		host.die();
		EXPECT_TRUE(eventually([&] { return telling.load(); }));
		EXPECT_EQ(port.stop(), 0);
		EXPECT_EQ(port.close(), 0);
		EXPECT_EQ(port.remove(), 0);
	}
	/* ethdev keeps the callback for the next port of that number. */
	TestHost host(nic_with("loopback"));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up());
	EXPECT_TRUE(eventually([&] {
		return rte_eth_dev_callback_unregister(port.id, RTE_ETH_EVENT_INTR_LSC, slow,
						       nullptr) == 0;
	}));
	loop(port, {make_frame(60, 1)});
}

/* Many times, at a moment that is another one each time. */
TEST_F(Removal, AtAnyMoment)
{
	for (int i = 0; i < 30; i++) {
		SCOPED_TRACE(i);
		TestHost host(nic_with("loopback"));
		std::thread killer([&] {
			std::this_thread::sleep_for(std::chrono::microseconds(i * 300));
			if (i % 2 == 0)
				host.die();
			else
				host.host().remove_nic(host.nic);
		});
		{
			Port port(host.args("timeout=500"));
			if (port.plug_result() == 0 && port.configure() == 0 && port.start() == 0) {
				for (uint32_t k = 0; k < 100; k++) {
					rte_mbuf* m = to_mbuf(make_frame(60 + k, k));
					if (port.tx(&m, 1) == 0)
						rte_pktmbuf_free(m);
					rte_mbuf* in[8];
					rte_pktmbuf_free_bulk(in, port.rx(in, 8));
				}
			}
		}
		killer.join();
		ASSERT_EQ(mbufs_out(), 0u);
		ASSERT_EQ(rte_eth_dev_count_total(), 0u);
	}
}

TEST_F(Removal, LinkFlapsWhilePolling)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up({.lsc = true}));
	EXPECT_EQ(port.link().link_status, RTE_ETH_LINK_UP);
	Events events(port);
	const auto follows = [&](bool up, uint32_t changes) {
		EXPECT_TRUE(host.host().set_link(host.nic, up));
		return eventually([&] {
			rte_mbuf* m;
			if (port.rx(&m, 1) == 1)
				rte_pktmbuf_free(m);
			return events.link_changes == changes &&
			       port.link().link_status ==
				       (up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN);
		});
	};
	for (uint32_t i = 0; i < 10; i++) {
		EXPECT_TRUE(follows(false, 2 * i + 1)) << events.link_changes;
		EXPECT_TRUE(follows(true, 2 * i + 2)) << events.link_changes;
		loop(port, {make_frame(60, i)});
	}
	EXPECT_EQ(events.removals, 0u);
}

/* News of the link come on a thread of EAL's, at any moment of what the application does. */
TEST_F(Removal, LinkFlapsWhileThePortConnectsAnew)
{
	NEEDS(announced().max_mtu > 1500, "other MTU than the usual");
	TestHost host(nic_with("loopback"));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up({.lsc = true}));
	std::atomic<bool> over{false};
	std::thread flapper([&] {
		for (bool up = false; !over; up = !up) {
			host.host().set_link(host.nic, up);
			std::this_thread::sleep_for(std::chrono::microseconds(100));
		}
		host.host().set_link(host.nic, true);
	});
	for (uint32_t i = 0; i < 100 && !HasFailure(); i++) {
		EXPECT_EQ(port.stop(), 0);
		EXPECT_EQ(rte_eth_dev_set_mtu(port.id, static_cast<uint16_t>(1400 + i % 2)), 0);
		EXPECT_EQ(port.start(), 0);
		port.receive_rest(1);
	}
	over = true;
	flapper.join();
	EXPECT_TRUE(eventually([&] {
		port.receive_rest(1); /* who has asked for events is told by who polls */
		return port.link().link_status == RTE_ETH_LINK_UP;
	}));
	loop(port, {make_frame(60, 1)});
	EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
}

/* An application that asks now and then, and does not poll at all. */
TEST_F(Removal, LinkIsAskedFor)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up());
	for (const bool up : {false, true, false}) {
		EXPECT_TRUE(host.host().set_link(host.nic, up));
		EXPECT_TRUE(eventually([&] {
			return port.link().link_status ==
			       (up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN);
		}));
	}
	/* What changes while the port is stopped is seen at the start. */
	EXPECT_EQ(port.stop(), 0);
	EXPECT_TRUE(host.host().set_link(host.nic, true));
	ASSERT_EQ(port.start(), 0);
	EXPECT_EQ(port.link().link_status, RTE_ETH_LINK_UP);
}

} // namespace scenario
