/* SPDX-License-Identifier: BSD-3-Clause */
/* Arguments of vdevs: wrong ones are refused, and leave nothing behind. */
#include "support.hpp"

namespace scenario {

class Arguments : public Scenario, public testing::WithParamInterface<const char*> {};

TEST_P(Arguments, AreRefused)
{
	{
		Port port(GetParam());
		EXPECT_LT(port.plug_result(), 0);
		EXPECT_EQ(rte_eth_dev_count_total(), 0u);
	}
	/* Neither the NIC nor a host is left that would disturb the next one. */
	Port healthy("endpoint=loopback,mac=00:15:5d:00:00:01");
	ASSERT_NO_FATAL_FAILURE(healthy.up());
	loop(healthy, {make_frame(60, 1)});
}

INSTANTIATE_TEST_SUITE_P(
	Wrong, Arguments,
	testing::Values("endpoint=", "endpoint=nonsense", "endpoint=tap:", "endpoint=pcap",
			"endpoint=pcap:/nonexistent/in.pcap:", "endpoint=generator:size=1",
			"endpoint=generator:nonsense=1", "endpoint", "nonsense=1", "=1",
			"endpoint=null,mac=", "endpoint=null,mac=00:15:5d:00:00",
			"endpoint=null,mac=01:15:5d:00:00:00",
			"endpoint=null,mac=zz:15:5d:00:00:00", "endpoint=null,mtu=67",
			"endpoint=null,mtu=9203", "endpoint=null,mtu=x", "endpoint=null,mtu=-1",
			"endpoint=null,mtu=1500x", "endpoint=null,mtu=99999999999999999999",
			"endpoint=null,queues=0", "endpoint=null,queues=65", "endpoint=null,nvsp=3",
			"endpoint=null,nvsp=7", "endpoint=null,nvsp=", "endpoint=null,timeout=0",
			"endpoint=null,timeout=9", "endpoint=null,timeout=600001",
			"endpoint=null,ring_kb=31", "endpoint=null,ring_kb=16385",
			"endpoint=null,ring_kb=", "endpoint=null,recv_kb=255",
			"endpoint=null,send_kb=63", "endpoint=null,section_size=255",
			"endpoint=null,max_packets=0", "endpoint=null,alignment=13",
			"endpoint=null,speed=0", "endpoint=null,monitor=2",
			"endpoint=null,link=maybe", "endpoint=null,fault=nonsense",
			"endpoint=null,fault=tx-fail", "endpoint=null,fault=tx-fail:0",
			"endpoint=null,fault=", "endpoint=null,rx_copybreak=65536",
			"endpoint=null,tx_copybreak=-1",
			"endpoint=null,tx_copybreak=", "endpoint=null,rx_extmbuf_enable=2",
			"endpoint=null,copies_only=2", "endpoint=null,latency=6554",
			"endpoint=null,latency=x", "endpoint=null,numa_aware=2",
			"endpoint=null,max_nvsp=3", "endpoint=null,max_nvsp=6.2",
			"socket=", "socket=/nonexistent/netvsp.sock", "socket=/dev/null",
			"socket=/tmp/s,endpoint=null", "socket=/tmp/s,mtu=1500"),
	[](const auto& info) { return "A" + std::to_string(info.index); });

/* The host is told in units of 100 ns how soon it is to look. Frames go either way. */
TEST_F(Scenario, ArgumentsLatencyOfTheMonitor)
{
	for (const auto& [argument, hint] : {std::pair<const char*, uint32_t>{"", 500},
					     {"latency=0", 0},
					     {"latency=1000", 10000},
					     {"latency=6553", 65530}}) {
		netvsp::NicConfig config = nic_with("loopback");
		config.monitor = true;
		TestHost host(config);
		Port port(host.args(argument));
		ASSERT_NO_FATAL_FAILURE(port.up());
		loop(port, {make_frame(60, 1), make_frame(1514, 2)});
		EXPECT_EQ(host.stats().latency_hint, hint) << argument;
	}
}

/* Emulated NICs are on no node; the memory then is where EAL likes. */
TEST_F(Scenario, ArgumentsNumaAware)
{
	NEEDS_VDEV("unknown node");
	for (const char* value : {"0", "1"}) {
		Port port(std::string("endpoint=loopback,numa_aware=") + value);
		ASSERT_NO_FATAL_FAILURE(port.up());
		EXPECT_EQ(rte_eth_dev_socket_id(port.id), SOCKET_ID_ANY);
		loop(port, {make_frame(60, 1)});
	}
}

/* A path that no socket address can hold. */
TEST_F(Scenario, ArgumentsWithTooLongAPath)
{
	Port port("socket=/tmp/" + std::string(200, 'x'));
	EXPECT_LT(port.plug_result(), 0);
}

TEST_F(Scenario, ArgumentsOfAHostWithoutNics)
{
	netvsp::Host host;
	const std::string path = "/tmp/test-netvsc-no-nics";
	std::string error;
	ASSERT_TRUE(host.listen(path, error)) << error;
	host.start();
	Port port("socket=" + path + ",timeout=500");
	EXPECT_EQ(port.plug_result(), -ENODEV);
}

/* One guest at a time: the second is told so, the first goes on. */
TEST_F(Scenario, ArgumentsOfAHostThatIsTaken)
{
	TestHost host(nic_with("loopback"));
	Port first(host.args());
	ASSERT_NO_FATAL_FAILURE(first.up());
	Port second("socket=" + host.path + ",timeout=500");
	EXPECT_LT(second.plug_result(), 0);
	loop(first, {make_frame(60, 1)});
}

} // namespace scenario
