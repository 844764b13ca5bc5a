/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters: exactly what went through, and the same as the host's. */
#include <cstring>

#include "support.hpp"

namespace scenario {

class Counts : public Scenario {};

static uint64_t bytes_of(const std::vector<Frame>& frames)
{
	uint64_t bytes = 0;
	for (const Frame& frame : frames)
		bytes += frame.size();
	return bytes;
}

static std::vector<Frame> some_frames(uint32_t count)
{
	std::vector<Frame> frames;
	for (uint32_t i = 0; i < count; i++)
		frames.push_back(make_frame(60 + i * 11 % 1455, i));
	return frames;
}

TEST_F(Counts, AreTheHosts)
{
	for (const char* args : {"", "tx_copybreak=0", "rx_extmbuf_enable=1,rx_copybreak=0"}) {
		SCOPED_TRACE(args);
		TestHost host(nic_with("loopback"));
		Port port(host.args(args));
		ASSERT_NO_FATAL_FAILURE(port.up());
		const std::vector<Frame> frames = some_frames(3000);
		loop(port, frames);
		const rte_eth_stats s = port.stats();
		const netvsp::NicStats h = host.stats();
		EXPECT_EQ(s.opackets, frames.size());
		EXPECT_EQ(s.ipackets, frames.size());
		EXPECT_EQ(s.obytes, bytes_of(frames));
		EXPECT_EQ(s.ibytes, bytes_of(frames));
		EXPECT_EQ(s.oerrors + s.ierrors + s.imissed + s.rx_nombuf, 0u);
		EXPECT_EQ(h.tx_frames, s.opackets);
		EXPECT_EQ(h.rx_frames, s.ipackets);
		EXPECT_EQ(h.endpoint.sent_bytes, s.obytes);
		EXPECT_EQ(h.endpoint.received_bytes, s.ibytes);
		EXPECT_EQ(port.xstat("tx_q0_vmbus_packets"), h.tx_packets);
		EXPECT_EQ(port.xstat("rx_q0_vmbus_packets"), h.rx_packets);
		EXPECT_EQ(h.rx_filtered, 0u);
		/* A stop takes nothing away, nor does a new session with the host. */
		EXPECT_EQ(port.stop(), 0);
		EXPECT_EQ(port.stats().opackets, frames.size());
		if (announced().max_mtu > 1500) {
			EXPECT_EQ(rte_eth_dev_set_mtu(port.id, 1600), 0);
		}
		EXPECT_EQ(port.stats().opackets, frames.size());
		EXPECT_EQ(port.stats().ipackets, frames.size());
		ASSERT_EQ(port.start(), 0);
		loop(port, frames);
		EXPECT_EQ(port.stats().opackets, 2 * frames.size());
		EXPECT_EQ(port.stats().ipackets, 2 * frames.size());
	}
}

TEST_F(Counts, Reset)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up());
	loop(port, some_frames(500));
	EXPECT_TRUE(port.send(make_frame(1600, 1)));
	EXPECT_EQ(port.stats().oerrors, 1u);
	ASSERT_EQ(rte_eth_stats_reset(port.id), 0);
	rte_eth_stats s = port.stats();
	EXPECT_EQ(s.opackets + s.ipackets + s.obytes + s.ibytes + s.oerrors, 0u);
	EXPECT_EQ(port.xstat("tx_q0_copied"), 0u);
	loop(port, some_frames(10));
	EXPECT_EQ(port.stats().opackets, 10u);
	ASSERT_EQ(rte_eth_xstats_reset(port.id), 0);
	EXPECT_EQ(port.stats().ipackets, 0u);
	EXPECT_EQ(port.xstat("rx_q0_vmbus_packets"), 0u);
	/* The base of a reset is kept over a stop, too. */
	EXPECT_EQ(port.stop(), 0);
	ASSERT_EQ(port.start(), 0);
	loop(port, some_frames(10));
	EXPECT_EQ(port.stats().ipackets, 10u);
	EXPECT_EQ(port.stats().opackets, 10u);
}

TEST_F(Counts, XstatsAreConsistent)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args("tx_copybreak=300"));
	ASSERT_NO_FATAL_FAILURE(port.up());
	const std::vector<Frame> frames = some_frames(1000);
	loop(port, frames);
	const int count = rte_eth_xstats_get_names(port.id, nullptr, 0);
	ASSERT_GT(count, 0);
	std::vector<rte_eth_xstat_name> names(static_cast<size_t>(count));
	std::vector<rte_eth_xstat> values(names.size());
	ASSERT_EQ(rte_eth_xstats_get_names(port.id, names.data(), names.size()), count);
	ASSERT_EQ(rte_eth_xstats_get(port.id, nullptr, 0), count);
	ASSERT_EQ(rte_eth_xstats_get(port.id, values.data(), values.size()), count);
	for (size_t i = 0; i < names.size(); i++) {
		EXPECT_EQ(values[i].id, i);
		EXPECT_NE(names[i].name[0], '\0');
		for (size_t k = 0; k < i; k++)
			EXPECT_STRNE(names[i].name, names[k].name);
		uint64_t id = 0;
		uint64_t value = 0;
		EXPECT_EQ(rte_eth_xstats_get_id_by_name(port.id, names[i].name, &id), 0);
		EXPECT_EQ(id, i);
		EXPECT_EQ(rte_eth_xstats_get_by_id(port.id, &id, &value, 1), 1);
		EXPECT_EQ(value, values[i].value) << names[i].name;
	}
	uint64_t short_frames = 0;
	for (const Frame& frame : frames)
		short_frames += frame.size() <= 300 ? 1 : 0;
	EXPECT_EQ(port.xstat("tx_q0_copied"), short_frames);
	EXPECT_EQ(port.xstat("tx_good_packets"), frames.size());
	EXPECT_EQ(port.xstat("rx_good_bytes"), bytes_of(frames));
}

TEST_F(Counts, FramesThatCannotBeSent)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up());
	/* Good ones among them, in one burst: those must go, and in order. */
	std::vector<Frame> good;
	std::vector<rte_mbuf*> burst;
	for (uint32_t i = 0; i < 8; i++) {
		good.push_back(make_frame(60 + i * 200, i));
		burst.push_back(to_mbuf(good.back()));
		burst.push_back(to_mbuf(make_frame(i % 2 == 0 ? 0 : 1519 + i, i)));
	}
	ASSERT_EQ(port.tx(burst.data(), static_cast<uint16_t>(burst.size())), burst.size());
	EXPECT_EQ(port.receive(8), good);
	rte_eth_stats s = port.stats();
	EXPECT_EQ(s.opackets, 8u);
	EXPECT_EQ(s.obytes, bytes_of(good));
	EXPECT_EQ(s.oerrors, 8u);
	EXPECT_EQ(host.stats().tx_frames, 8u);
	EXPECT_EQ(host.stats().tx_errors, 0u);
	EXPECT_EQ(port.stop(), 0);
	/* Nothing but what the receive queue keeps ready is out. */
	EXPECT_LE(mbufs_out(), 64u);
}

TEST_F(Counts, FramesThatTheHostRefuses)
{
	for (const char* args : {"tx_copybreak=0", ""}) {
		SCOPED_TRACE(args);
		auto wire = std::make_shared<Wire>();
		netvsp::NicConfig config;
		config.faults = {"tx-fail:5"};
		TestHost host(config, wire);
		Port port(host.args(args));
		ASSERT_NO_FATAL_FAILURE(port.up());
		const std::vector<Frame> frames = some_frames(1000);
		for (const Frame& frame : frames)
			ASSERT_TRUE(port.send(frame)); /* one a burst: one a packet */
		EXPECT_EQ(port.stop(), 0);
		const rte_eth_stats s = port.stats();
		EXPECT_EQ(s.opackets, 800u);
		EXPECT_EQ(s.oerrors, 200u);
		uint64_t failed = 0;
		for (size_t i = 4; i < frames.size(); i += 5)
			failed += frames[i].size();
		EXPECT_EQ(s.obytes, bytes_of(frames) - failed);
	}
}

/* An empty pool costs no frame: they wait in the ring until there are mbufs. */
TEST_F(Counts, NoMbufIsNoLoss)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up());
	std::vector<rte_mbuf*> hoard(rte_mempool_avail_count(pools().normal));
	ASSERT_EQ(rte_pktmbuf_alloc_bulk(pools().normal, hoard.data(),
					 static_cast<unsigned int>(hoard.size())),
		  0);
	const std::vector<Frame> frames = some_frames(200);
	for (const Frame& frame : frames)
		ASSERT_TRUE(port.send(frame));
	EXPECT_TRUE(port.receive(1, 20).empty());
	EXPECT_GT(port.stats().rx_nombuf, 0u);
	rte_pktmbuf_free_bulk(hoard.data(), static_cast<unsigned int>(hoard.size()));
	EXPECT_EQ(port.receive(frames.size()), frames);
	EXPECT_EQ(port.stats().imissed, 0u);
}

} // namespace scenario
