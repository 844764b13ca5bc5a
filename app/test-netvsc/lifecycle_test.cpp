/* SPDX-License-Identifier: BSD-3-Clause */
/* Probe, start, stop, close and remove, once and many times. */
#include "support.hpp"

namespace scenario {

class Lifecycle : public Scenario {};

TEST_F(Lifecycle, ProbeTellsWhatTheHostGrants)
{
	Port port("endpoint=null,mac=00:15:5d:01:02:03,speed=25000");
	ASSERT_EQ(port.plug_result(), 0);
	const rte_eth_dev_info info = port.info();
	EXPECT_NE(info.device, nullptr);
	EXPECT_EQ(info.min_mtu, 68);
	EXPECT_EQ(info.max_mtu, profile().max_mtu);
	EXPECT_GE(info.max_rx_pktlen, info.max_mtu + 14u);
	EXPECT_GE(info.max_rx_queues, 1);
	EXPECT_TRUE(info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER);
	EXPECT_TRUE(info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
	EXPECT_TRUE(*info.dev_flags & RTE_ETH_DEV_INTR_LSC);
	EXPECT_TRUE(*info.dev_flags & RTE_ETH_DEV_INTR_RMV);
	const rte_ether_addr mac = port.mac();
	const rte_ether_addr expected = {{0x00, 0x15, 0x5d, 0x01, 0x02, 0x03}};
	EXPECT_TRUE(rte_is_same_ether_addr(&mac, &expected));
	uint16_t mtu = 0;
	EXPECT_EQ(rte_eth_dev_get_mtu(port.id, &mtu), 0);
	EXPECT_EQ(mtu, 1500);

	ASSERT_NO_FATAL_FAILURE(port.up());
	EXPECT_EQ(port.link().link_status, RTE_ETH_LINK_UP);
	EXPECT_EQ(port.link().link_speed, 25000u);
	EXPECT_EQ(port.link().link_duplex, RTE_ETH_LINK_FULL_DUPLEX);
	EXPECT_EQ(port.stop(), 0);
	EXPECT_EQ(port.link().link_status, RTE_ETH_LINK_DOWN);
	EXPECT_EQ(port.close(), 0);
	EXPECT_EQ(rte_eth_dev_count_avail(), 0);
	EXPECT_EQ(port.remove(), 0);
}

TEST_F(Lifecycle, FirmwareIsTheHostsVersions)
{
	const std::tuple<uint32_t, const char*, const char*> kVersions[] = {
		{0x60001, "6.1", "NVSP 6.1, NDIS 6.30"},
		{0x50000, "5", "NVSP 5.0, NDIS 6.30"},
		{0x30002, "2", "NVSP 2.0, NDIS 6.1"},
		{0x2, "1", "NVSP 1.0, NDIS 6.1"}};
	for (const auto& [version, nvsp, expected] : kVersions) {
		if (version > profile().nvsp)
			continue;
		Port port(std::string("endpoint=null,nvsp=") + nvsp);
		char text[32] = {};
		EXPECT_EQ(rte_eth_dev_fw_version_get(port.id, text, sizeof(text)), 0);
		EXPECT_STREQ(text, expected);
		EXPECT_EQ(rte_eth_dev_fw_version_get(port.id, text, 4),
			  static_cast<int>(std::string(expected).size() + 1));
	}
}

TEST_F(Lifecycle, LinkIsDownWhereTheMediumIs)
{
	Port port("endpoint=null,link=down");
	ASSERT_NO_FATAL_FAILURE(port.up());
	EXPECT_EQ(port.link().link_status, RTE_ETH_LINK_DOWN);
}

TEST_F(Lifecycle, NamesOfOneHostsPorts)
{
	NEEDS_VDEV("number");
	TestHost host(nic_with("null"));
	host.add(nic_with("loopback"));
	host.add(nic_with("null"));
	Port port(host.args());
	ASSERT_EQ(port.plug_result(), 0);
	EXPECT_EQ(rte_eth_dev_count_avail(), 3);
	for (const char* end : {"_1", "_2"}) {
		uint16_t id = 0;
		EXPECT_EQ(rte_eth_dev_get_port_by_name((port.name + end).c_str(), &id), 0);
		EXPECT_EQ(rte_eth_dev_close(id), 0);
	}
}

TEST_F(Lifecycle, FiftyTimesLeaveNothingBehind)
{
	TestHost host(nic_with("loopback"));
	{
		Port once(host.args()); /* what is made at first use is no leak */
	}
	ASSERT_TRUE(eventually([&] { return !host.host().guest_connected(); }));
	const unsigned int descriptors = open_descriptors();
	for (int i = 0; i < 50; i++) {
		SCOPED_TRACE(i);
		Port port(host.args(i % 2 != 0 ? "tx_copybreak=0" : "rx_extmbuf_enable=1"));
		ASSERT_NO_FATAL_FAILURE(port.up());
		EXPECT_TRUE(host.host().guest_connected());
		EXPECT_EQ(host.stats().channels_open, 1u);
		port.receive_rest(1); /* the loopback still has the last one of the last time */
		loop(port, {make_frame(60, 1), make_frame(600, 2), make_frame(1514, 3)});
		/* Frames that nobody receives must not stay the host's. */
		EXPECT_TRUE(port.send(make_frame(1000, 4)));
		EXPECT_EQ(port.stop(), 0);
		EXPECT_EQ(port.close(), 0);
		EXPECT_EQ(port.remove(), 0);
		ASSERT_TRUE(eventually([&] { return !host.host().guest_connected(); }));
		EXPECT_EQ(host.stats().suballocations_in_use, 0u);
		EXPECT_EQ(host.stats().channels_open, 0u);
		ASSERT_EQ(mbufs_out(), 0u);
		ASSERT_TRUE(eventually([&] { return open_descriptors() == descriptors; }, 500));
	}
	EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
}

TEST_F(Lifecycle, FiftyTimesInThisProcess)
{
	const unsigned int descriptors = open_descriptors();
	for (int i = 0; i < 50; i++) {
		Port port("endpoint=loopback");
		ASSERT_NO_FATAL_FAILURE(port.up());
		loop(port, {make_frame(60, 1)});
		EXPECT_EQ(port.stop(), 0);
		EXPECT_EQ(port.close(), 0);
		EXPECT_EQ(port.remove(), 0);
		ASSERT_EQ(mbufs_out(), 0u);
		ASSERT_TRUE(eventually([&] { return open_descriptors() == descriptors; }, 500));
	}
}

TEST_F(Lifecycle, ClosedPortIsAgainWhenTheDeviceIs)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up());
	EXPECT_EQ(port.stop(), 0);
	EXPECT_EQ(port.close(), 0);
	EXPECT_EQ(rte_eth_dev_count_avail(), 0);
	EXPECT_EQ(port.remove(), 0);
	Port again(host.args());
	ASSERT_NO_FATAL_FAILURE(again.up());
	loop(again, {make_frame(60, 1)});
}

/* ethdev asks applications to stop and close first, but hot-unplug asks nobody. */
TEST_F(Lifecycle, StartedPortIsRemoved)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args("tx_copybreak=0"));
	ASSERT_NO_FATAL_FAILURE(port.up());
	loop(port, {make_frame(60, 1)});
	for (uint32_t i = 0; i < 100; i++)
		EXPECT_TRUE(port.send(make_frame(1000, i)));
	EXPECT_EQ(rte_dev_remove(port.info().device), 0);
	EXPECT_EQ(rte_eth_dev_count_avail(), 0);
	EXPECT_EQ(rte_eth_dev_is_valid_port(port.id), 0);
	if (rte_eth_dev_is_valid_port(port.id) != 0) {
		port.id = RTE_MAX_ETHPORTS; /* what is left of it cannot be closed safely */
		return;
	}
	EXPECT_EQ(host.stats().channels_open, 0u);
	EXPECT_NE(port.remove(), 0);
}

TEST_F(Lifecycle, StopAndStartWithTraffic)
{
	for (const char* args : {"", "tx_copybreak=0", "rx_extmbuf_enable=1,rx_copybreak=0"}) {
		SCOPED_TRACE(args);
		TestHost host(nic_with("loopback"));
		Port port(host.args(args));
		ASSERT_NO_FATAL_FAILURE(port.up());
		for (uint32_t i = 0; i < 60 && !HasFailure(); i++) {
			SCOPED_TRACE(i);
			std::vector<Frame> frames;
			for (uint32_t k = 0; k < 100; k++)
				frames.push_back(make_frame(60 + (i * 100 + k * 13) % 1455, k));
			loop(port, frames);
			for (uint32_t k = 0; k < 40; k++) /* in flight when the port stops */
				EXPECT_TRUE(port.send(make_frame(60 + k * 30, k)));
			ASSERT_EQ(port.stop(), 0);
			rte_mbuf* none;
			EXPECT_EQ(port.rx(&none, 1), 0);
			ASSERT_EQ(port.start(), 0);
			/* Those looped back after the stop are lost, or come now, on no account
			 * later among others. */
			port.receive_rest(2);
		}
		EXPECT_EQ(port.stop(), 0);
		EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
		EXPECT_EQ(host.stats().tx_errors, 0u);
	}
}

TEST_F(Lifecycle, StartsWithOtherDescriptors)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args("tx_copybreak=200"));
	ASSERT_EQ(port.plug_result(), 0);
	std::vector<Frame> frames;
	for (uint32_t i = 0; i < 1000; i++)
		frames.push_back(make_frame(60 + i % 400, i));
	for (const uint16_t descriptors : {64, 4096, 65, 512, 64}) {
		SCOPED_TRACE(descriptors);
		PortOptions options;
		options.rx_descriptors = options.tx_descriptors = descriptors;
		ASSERT_NO_FATAL_FAILURE(port.up(options));
		loop(port, frames);
		ASSERT_EQ(port.stop(), 0);
	}
	PortOptions options;
	options.tx_descriptors = 32;
	EXPECT_LT(port.configure(options), 0);
	options.tx_descriptors = 8192;
	EXPECT_LT(port.configure(options), 0);
}

TEST_F(Lifecycle, StartsTwiceAndStopsTwice)
{
	Port port("endpoint=loopback");
	ASSERT_NO_FATAL_FAILURE(port.up());
	EXPECT_EQ(rte_eth_dev_start(port.id), 0);
	loop(port, {make_frame(60, 1)});
	EXPECT_EQ(port.stop(), 0);
	EXPECT_EQ(rte_eth_dev_stop(port.id), 0);
}

} // namespace scenario
