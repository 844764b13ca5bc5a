/* SPDX-License-Identifier: BSD-3-Clause */
/* Several queues: as many as there may be, started, stopped, changed, and asked how they are. */
#include <thread>

#include "support.hpp"

namespace scenario {

class Queues : public Scenario {};

static netvsp::NicConfig nic_with_queues(uint32_t queues, const std::string& endpoint = "loopback")
{
	netvsp::NicConfig config = nic_with(endpoint);
	config.queues = queues;
	return config;
}

static std::string loopback(uint32_t queues)
{
	return "endpoint=loopback,queues=" + std::to_string(queues);
}

/* Without RSS, every frame comes back on queue 0, whichever it was sent on. */
static void expect_all_transmit(Port& port, uint16_t tx_queues)
{
	for (uint16_t q = 0; q < tx_queues; q++) {
		const Frame frame = make_frame(60 + q, q);
		ASSERT_TRUE(port.send(frame, q)) << q;
		const auto got = port.receive(1);
		ASSERT_EQ(got.size(), 1u) << q;
		EXPECT_EQ(got[0], frame) << q;
	}
}

TEST_F(Queues, SixtyFour)
{
	NEEDS(announced().max_rx_queues >= 64, "64 queues");
	TestHost host(nic_with_queues(64));
	Port port(host.args());
	EXPECT_EQ(port.info().max_rx_queues, 64);
	EXPECT_EQ(port.info().max_tx_queues, 64);
	ASSERT_NO_FATAL_FAILURE(port.up(
		{.rx_descriptors = 64, .tx_descriptors = 64, .rx_queues = 64, .tx_queues = 64}));
	EXPECT_EQ(host.stats().channels_open, 64u);
	expect_all_transmit(port, 64);
	EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
	EXPECT_EQ(port.stats().opackets, 64u);
	EXPECT_EQ(port.xstat("tx_q5_packets"), 1u);
	/* One more than the host has is refused. */
	port.stop();
	rte_eth_conf conf{};
	EXPECT_EQ(rte_eth_dev_configure(port.id, 65, 1, &conf), -EINVAL);
}

TEST_F(Queues, MoreTransmitThanReceiveAndTheReverse)
{
	NEEDS(announced().max_rx_queues >= 4, "4 queues");
	for (const auto& [rx, tx] : {std::pair<uint16_t, uint16_t>{1, 4}, {4, 1}, {2, 3}}) {
		Port port(loopback(4));
		ASSERT_NO_FATAL_FAILURE(port.up({.rx_queues = rx, .tx_queues = tx}));
		expect_all_transmit(port, tx);
	}
}

TEST_F(Queues, CountChangesAtRunTime)
{
	NEEDS(announced().max_rx_queues >= 8, "8 queues");
	TestHost host(nic_with_queues(8));
	Port port(host.args());
	for (const uint16_t n : {1, 8, 2, 4, 1, 8}) {
		ASSERT_NO_FATAL_FAILURE(port.up({.rx_queues = n, .tx_queues = n}));
		expect_all_transmit(port, n);
		EXPECT_EQ(port.stop(), 0);
	}
	EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
}

TEST_F(Queues, AHostWithoutSubchannelsHasOne)
{
	NEEDS(announced().max_rx_queues >= 4, "4 queues");
	Port port("endpoint=loopback,queues=4,nvsp=4");
	EXPECT_EQ(port.info().max_rx_queues, 1);
	EXPECT_EQ(port.info().reta_size, 0);
	ASSERT_NO_FATAL_FAILURE(port.up());
	expect_all_transmit(port, 1);
}

TEST_F(Queues, DeferredStart)
{
	NEEDS(announced().max_rx_queues >= 4, "4 queues");
	Port port(loopback(4));
	ASSERT_NO_FATAL_FAILURE(
		port.up({.rx_queues = 4, .tx_queues = 4, .rx_deferred = 3, .tx_deferred = 2}));
	rte_eth_rxq_info rx;
	rte_eth_txq_info tx;
	ASSERT_EQ(rte_eth_rx_queue_info_get(port.id, 3, &rx), 0);
	ASSERT_EQ(rte_eth_tx_queue_info_get(port.id, 2, &tx), 0);
	EXPECT_EQ(rx.queue_state, RTE_ETH_QUEUE_STATE_STOPPED);
	EXPECT_EQ(tx.queue_state, RTE_ETH_QUEUE_STATE_STOPPED);
	EXPECT_EQ(rx.conf.rx_deferred_start, 1);
	EXPECT_EQ(tx.conf.tx_deferred_start, 1);
	EXPECT_EQ(rx.nb_desc, 512);
	EXPECT_EQ(rx.mp, pools().normal);
	EXPECT_EQ(tx.nb_desc, 512);
	rte_mbuf* m = to_mbuf(make_frame(60, 1));
	EXPECT_EQ(port.tx(&m, 1, 2), 0);
	rte_pktmbuf_free(m);
	EXPECT_EQ(rte_eth_dev_tx_queue_start(port.id, 2), 0);
	EXPECT_EQ(rte_eth_dev_rx_queue_start(port.id, 3), 0);
	ASSERT_EQ(rte_eth_tx_queue_info_get(port.id, 2, &tx), 0);
	EXPECT_EQ(tx.queue_state, RTE_ETH_QUEUE_STATE_STARTED);
	expect_all_transmit(port, 4);
}

TEST_F(Queues, StoppedAndStarted)
{
	NEEDS(announced().max_rx_queues >= 2, "2 queues");
	TestHost host(nic_with_queues(2));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up({.rx_queues = 2, .tx_queues = 2}));
	for (int round = 0; round < 3; round++) {
		EXPECT_EQ(rte_eth_dev_tx_queue_stop(port.id, 1), 0);
		rte_mbuf* m = to_mbuf(make_frame(60, 1));
		EXPECT_EQ(port.tx(&m, 1, 1), 0);
		rte_pktmbuf_free(m);
		EXPECT_EQ(rte_eth_dev_tx_queue_start(port.id, 1), 0);
		expect_all_transmit(port, 2);
	}
	/* What comes to a stopped queue belongs to nobody: it does not come up later. */
	EXPECT_EQ(rte_eth_dev_rx_queue_stop(port.id, 0), 0);
	const uint64_t before = host.stats().rx_frames;
	EXPECT_TRUE(port.send(make_frame(60, 7)));
	EXPECT_TRUE(eventually([&] { return host.stats().rx_frames == before + 1; }));
	EXPECT_TRUE(port.receive(1, 10).empty());
	EXPECT_EQ(rte_eth_dev_rx_queue_start(port.id, 0), 0);
	expect_all_transmit(port, 2);
	EXPECT_EQ(port.stats().imissed, 1u);
}

/* A stopped transmit queue has given all its mbufs back. */
TEST_F(Queues, StopWaitsForTheHost)
{
	NEEDS(announced().max_rx_queues >= 2, "2 queues");
	auto wire = std::make_shared<Wire>();
	TestHost host(nic_with_queues(2), wire);
	Port port(host.args("tx_copybreak=0"));
	ASSERT_NO_FATAL_FAILURE(port.up({.rx_queues = 2, .tx_queues = 2}));
	wire->open(false);
	for (uint32_t i = 0; i < 10; i++)
		ASSERT_TRUE(port.send(make_frame(1000, i), 1));
	std::thread opener([&] {
		std::this_thread::sleep_for(std::chrono::milliseconds(100));
		wire->open(true);
	});
	EXPECT_EQ(rte_eth_dev_tx_queue_stop(port.id, 1), 0);
	EXPECT_EQ(mbufs_out(), 0u);
	opener.join();
	EXPECT_EQ(wire->taken_count(), 10u);
}

TEST_F(Queues, HowManyFramesWait)
{
	auto wire = std::make_shared<Wire>();
	TestHost host(nic_with_queues(1), wire);
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up());
	EXPECT_EQ(rte_eth_rx_queue_count(port.id, 0), 0);
	EXPECT_EQ(rte_eth_rx_descriptor_status(port.id, 0, 0), RTE_ETH_RX_DESC_AVAIL);
	for (uint32_t i = 0; i < 20; i++)
		wire->inject(make_frame(100, i));
	EXPECT_TRUE(eventually([&] { return rte_eth_rx_queue_count(port.id, 0) == 20; }));
	EXPECT_EQ(rte_eth_rx_descriptor_status(port.id, 0, 19), RTE_ETH_RX_DESC_DONE);
	EXPECT_EQ(rte_eth_rx_descriptor_status(port.id, 0, 20), RTE_ETH_RX_DESC_AVAIL);
	EXPECT_EQ(rte_eth_rx_descriptor_status(port.id, 0, 512), -EINVAL);
	EXPECT_EQ(port.receive(7).size(), 7u); /* in the middle of a packet, maybe */
	EXPECT_EQ(rte_eth_rx_queue_count(port.id, 0), 13);
	EXPECT_EQ(port.receive(13).size(), 13u);
	EXPECT_EQ(rte_eth_rx_queue_count(port.id, 0), 0);
}

TEST_F(Queues, HowManyFramesAreOnTheirWay)
{
	auto wire = std::make_shared<Wire>();
	TestHost host(nic_with_queues(1), wire);
	Port port(host.args("tx_copybreak=0"));
	ASSERT_NO_FATAL_FAILURE(port.up({.tx_descriptors = 64}));
	EXPECT_EQ(rte_eth_tx_descriptor_status(port.id, 0, 63), RTE_ETH_TX_DESC_DONE);
	wire->open(false);
	for (uint32_t i = 0; i < 10; i++)
		ASSERT_TRUE(port.send(make_frame(1000, i)));
	EXPECT_EQ(rte_eth_tx_descriptor_status(port.id, 0, 53), RTE_ETH_TX_DESC_DONE);
	EXPECT_EQ(rte_eth_tx_descriptor_status(port.id, 0, 54), RTE_ETH_TX_DESC_FULL);
	EXPECT_EQ(rte_eth_tx_descriptor_status(port.id, 0, 64), -EINVAL);
	EXPECT_EQ(rte_eth_tx_done_cleanup(port.id, 0, 0), 0);
	EXPECT_EQ(mbufs_out(), 10u);
	wire->open(true);
	ASSERT_TRUE(eventually([&] { return wire->taken_count() == 10; }));
	int freed = 0;
	EXPECT_TRUE(eventually([&] {
		freed += rte_eth_tx_done_cleanup(port.id, 0, 0);
		return freed == 10;
	})) << freed;
	EXPECT_EQ(mbufs_out(), 0u);
	EXPECT_EQ(rte_eth_tx_descriptor_status(port.id, 0, 63), RTE_ETH_TX_DESC_DONE);
}

TEST_F(Queues, BurstModes)
{
	Port port("endpoint=null,rx_extmbuf_enable=1");
	ASSERT_NO_FATAL_FAILURE(
		port.up({.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .pool = pools().small}));
	rte_eth_burst_mode mode{};
	ASSERT_EQ(rte_eth_rx_burst_mode_get(port.id, 0, &mode), 0);
	EXPECT_STREQ(mode.info, "Scalar Scattered External Buffers");
	ASSERT_EQ(rte_eth_tx_burst_mode_get(port.id, 0, &mode), 0);
	EXPECT_STREQ(mode.info, "Scalar");
}

/* One lcore receives, another transmits, on each of four queues. */
TEST_F(Queues, EachWithTwoThreads)
{
	NEEDS(announced().max_rx_queues >= 4, "4 queues");
	constexpr uint16_t kQueues = 4;
	constexpr uint32_t kFrames = 2000;
	Port port(loopback(kQueues));
	ASSERT_NO_FATAL_FAILURE(port.up({.rx_queues = kQueues, .tx_queues = kQueues}));
	std::atomic<uint32_t> received{0};
	std::atomic<bool> over{false};
	std::thread receiver([&] {
		while (!over) {
			for (uint16_t q = 0; q < kQueues; q++) {
				rte_mbuf* mbufs[32];
				const uint16_t n = port.rx(mbufs, 32, q);
				rte_pktmbuf_free_bulk(mbufs, n);
				received += n;
			}
			std::this_thread::yield();
		}
	});
	for (uint32_t i = 0; i < kFrames; i++)
		EXPECT_TRUE(port.send(make_frame(60 + i % 1000, i),
				      static_cast<uint16_t>(i % kQueues)));
	EXPECT_TRUE(eventually([&] { return received + port.stats().imissed >= kFrames; }))
		<< received;
	over = true;
	receiver.join();
	EXPECT_EQ(received, kFrames);
}

} // namespace scenario
