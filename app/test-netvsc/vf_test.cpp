/* SPDX-License-Identifier: BSD-3-Clause */
/* Accelerated networking: a VF that comes, is configured, and goes. */
#include <algorithm>
#include <cstring>

#include "vf_network.hpp"
#include "virtual_vf.hpp"

namespace scenario {

class Vfs : public Scenario {
      protected:
	void SetUp() override
	{
		Scenario::SetUp();
		NEEDS_VF();
	}
};

/* Frames go both ways, by this VF, or by the NIC if there is none. */
static void expect_path(VfNetwork& net, VirtualVf* vf, uint32_t seed)
{
	const uint64_t sent = vf != nullptr ? vf->seen.sent.load() : 0;
	const uint64_t received = vf != nullptr ? vf->seen.received.load() : 0;
	const uint64_t by_nic = net.host.stats().endpoint.sent_frames;
	const size_t arrived = net.wire->taken_count();
	std::vector<Frame> in;
	for (uint32_t i = 0; i < 20; i++) {
		in.push_back(make_frame_to(net.port.mac(), 60 + i * 50, seed + i));
		net.wire->inject(in.back());
		ASSERT_TRUE(net.port.send(make_frame(60 + i * 50, seed + i)));
	}
	EXPECT_EQ(net.port.receive(in.size()), in);
	EXPECT_TRUE(eventually([&] { return net.wire->taken_count() == arrived + 20; }));
	EXPECT_EQ(net.wire->taken().back(), make_frame(60 + 19 * 50, seed + 19));
	EXPECT_EQ(net.host.stats().endpoint.sent_frames, by_nic + (vf != nullptr ? 0 : 20));
	if (vf != nullptr) {
		EXPECT_EQ(vf->seen.sent, sent + 20);
		EXPECT_EQ(vf->seen.received, received + 20);
	}
}

TEST_F(Vfs, MessageThenPort)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	expect_path(net, nullptr, 0);
	net.give(7);
	expect_path(net, nullptr, 100);
	VirtualVf& vf = net.plug();
	ASSERT_TRUE(net.by_vf());
	expect_path(net, &vf, 200);
	net.take();
	ASSERT_TRUE(net.by_nic());
	expect_path(net, nullptr, 300);
	EXPECT_FALSE(vf.seen.started);
}

TEST_F(Vfs, PortThenMessage)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	VirtualVf& vf = net.plug();
	expect_path(net, nullptr, 0);
	EXPECT_FALSE(vf.seen.started);
	net.give(7);
	ASSERT_TRUE(net.by_vf());
	expect_path(net, &vf, 100);
}

/* The order of a machine that boots: all is there before the application starts its ports. */
TEST_F(Vfs, BothBeforeTheStart)
{
	VfNetwork net;
	net.give(7);
	VirtualVf& vf = net.plug();
	ASSERT_EQ(net.port.configure(), 0);
	EXPECT_FALSE(vf.seen.started);
	ASSERT_EQ(net.port.start(), 0);
	ASSERT_TRUE(net.by_vf());
	expect_path(net, &vf, 0);
}

/* Applications see one port, whichever driver is probed first. */
TEST_F(Vfs, IsOwned)
{
	auto wire = std::make_shared<Wire>();
	VirtualVf first(wire, {.mac = VfNetwork::kMac});
	VirtualVf other(wire, {.mac = {{2, 0, 0, 0, 0, 9}}});
	EXPECT_EQ(rte_eth_dev_count_avail(), 2u);
	{
		VfNetwork net;
		EXPECT_EQ(rte_eth_dev_count_avail(), 2u); /* the port, and what is not its VF */
		rte_eth_dev_owner owner{};
		ASSERT_EQ(rte_eth_dev_owner_get(first.id, &owner), 0);
		EXPECT_EQ(std::string(owner.name), "net_netvsc " + net.port.name);
		/* One is enough, and the second is not touched. */
		VirtualVf second(wire, {.mac = VfNetwork::kMac});
		EXPECT_EQ(rte_eth_dev_count_avail(), 3u);
	}
	EXPECT_EQ(rte_eth_dev_count_avail(), 2u); /* handed back */
}

/* What another application part uses already is not taken from it. */
TEST_F(Vfs, PortsInUseAreLeftAlone)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	rte_eth_dev_owner owner{};
	ASSERT_EQ(rte_eth_dev_owner_new(&owner.id), 0);
	std::strcpy(owner.name, "somebody");
	VirtualVf vf(net.wire, {.mac = {{2, 0, 0, 0, 0, 9}}});
	ASSERT_EQ(rte_eth_dev_owner_set(vf.id, &owner), 0);
	rte_ether_addr mac = VfNetwork::kMac;
	ASSERT_EQ(rte_eth_dev_default_mac_addr_set(vf.id, &mac), 0);
	net.give(7);
	EXPECT_TRUE(eventually([&] { return net.host.stats().vf_told; }));
	EXPECT_FALSE(net.by_vf(200));
	expect_path(net, nullptr, 0);
	EXPECT_EQ(vf.seen.starts, 0u);
}

TEST_F(Vfs, ConfigurationIsCarriedOver)
{
	VfNetwork net(4);
	const PortOptions options = {
		.mtu = 4000,
		.rx_offloads = RTE_ETH_RX_OFFLOAD_RSS_HASH | RTE_ETH_RX_OFFLOAD_TCP_CKSUM,
		.tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_TCP_CKSUM,
		.rx_queues = 4,
		.tx_queues = 3,
		.rss_types = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP};
	ASSERT_NO_FATAL_FAILURE(net.port.up(options));
	std::array<uint8_t, 40> key;
	for (size_t i = 0; i < key.size(); i++)
		key[i] = static_cast<uint8_t>(i * 7);
	rte_eth_rss_conf rss = {key.data(), key.size(), options.rss_types};
	ASSERT_EQ(rte_eth_dev_rss_hash_update(net.port.id, &rss), 0);
	net.give(7);
	VirtualVf& vf = net.plug();
	ASSERT_TRUE(net.by_vf());
	EXPECT_EQ(vf.seen.mtu, 4000);
	EXPECT_EQ(vf.seen.rx_queues, 4);
	EXPECT_EQ(vf.seen.tx_queues, 3);
	EXPECT_EQ(vf.seen.rx_offloads, options.rx_offloads);
	EXPECT_EQ(vf.seen.tx_offloads, options.tx_offloads);
	EXPECT_TRUE(vf.seen.promiscuous);
	EXPECT_FALSE(vf.seen.all_multicast);
	EXPECT_EQ(vf.seen.rss_types, options.rss_types);
	EXPECT_EQ(vf.key(), key);
	const std::vector<uint16_t> table = vf.table();
	for (size_t i = 0; i < table.size(); i++)
		EXPECT_EQ(table[i], i % 4);

	/* And what changes while it is in use. */
	EXPECT_EQ(rte_eth_promiscuous_disable(net.port.id), 0);
	EXPECT_EQ(rte_eth_allmulticast_enable(net.port.id), 0);
	EXPECT_FALSE(vf.seen.promiscuous);
	EXPECT_TRUE(vf.seen.all_multicast);
	rss.rss_hf = RTE_ETH_RSS_IPV4;
	std::reverse(key.begin(), key.end());
	ASSERT_EQ(rte_eth_dev_rss_hash_update(net.port.id, &rss), 0);
	EXPECT_EQ(vf.seen.rss_types, uint64_t{RTE_ETH_RSS_IPV4});
	EXPECT_EQ(vf.key(), key);
	std::vector<rte_eth_rss_reta_entry64> reta(net.port.info().reta_size / 64u);
	for (rte_eth_rss_reta_entry64& e : reta) {
		e.mask = ~uint64_t{0};
		std::fill(std::begin(e.reta), std::end(e.reta), 2);
	}
	ASSERT_EQ(rte_eth_dev_rss_reta_update(net.port.id, reta.data(),
					      static_cast<uint16_t>(reta.size() * 64)),
		  0);
	EXPECT_EQ(vf.table(), std::vector<uint16_t>(table.size(), 2));
	/* A queue that stops gets nothing from the VF either. */
	ASSERT_EQ(rte_eth_dev_rx_queue_stop(net.port.id, 2), 0);
	EXPECT_TRUE(vf.queue_stopped(2));
	for (const uint16_t queue : vf.table())
		EXPECT_NE(queue, 2);
	ASSERT_EQ(rte_eth_dev_rx_queue_start(net.port.id, 2), 0);
	EXPECT_FALSE(vf.queue_stopped(2));
	EXPECT_EQ(vf.table(), std::vector<uint16_t>(table.size(), 2));
}

TEST_F(Vfs, VlanStripSwitchedAtRunTime)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	net.give(7);
	VirtualVf& vf = net.plug();
	ASSERT_TRUE(net.by_vf());
	EXPECT_EQ(vf.seen.rx_offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP, 0u);
	ASSERT_EQ(rte_eth_dev_set_vlan_offload(net.port.id, RTE_ETH_VLAN_STRIP_OFFLOAD), 0);
	EXPECT_NE(vf.seen.rx_offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP, 0u);
	ASSERT_EQ(rte_eth_dev_set_vlan_offload(net.port.id, 0), 0);
	EXPECT_EQ(vf.seen.rx_offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP, 0u);
	expect_path(net, &vf, 0);
}

/* What the application was promised is not lost on a VF that does not have it. */
TEST_F(Vfs, NotUsedWithoutWhatThePortPromised)
{
	struct Case {
		const char* what;
		PortOptions port;
		VirtualVfOptions vf;
	};
	std::vector<Case> cases = {
		{"transmit checksums",
		 {.tx_offloads = RTE_ETH_TX_OFFLOAD_TCP_CKSUM},
		 {.tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS}},
		{"tags taken out",
		 {.rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP},
		 {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER}},
		{"scattered frames",
		 {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .pool = pools().small},
		 {.rx_offloads = 0}},
		{"the MTU", {.mtu = 4000}, {.max_mtu = 3999}},
	};
	if (RTE_EXEC_ENV_IS_LINUX != 0) /* EAL has them there only */
		cases.push_back({"interrupts", {.interrupts = true}, {}});
	for (const Case& c : cases) {
		SCOPED_TRACE(c.what);
		VfNetwork net;
		ASSERT_NO_FATAL_FAILURE(net.port.up(c.port));
		net.give(7);
		VirtualVf& vf = net.plug(c.vf);
		EXPECT_EQ(rte_eth_dev_count_avail(), 1u);
		EXPECT_FALSE(net.by_vf(200));
		EXPECT_FALSE(vf.seen.started);
		expect_path(net, nullptr, 0);
		/* Without the wish it is used. */
		ASSERT_EQ(net.port.stop(), 0);
		ASSERT_NO_FATAL_FAILURE(net.port.up());
		ASSERT_TRUE(net.by_vf());
		expect_path(net, &vf, 100);
	}
}

/* The queues that the VF has not stay with the NIC. */
TEST_F(Vfs, FewerQueuesThanThePort)
{
	VfNetwork net(4);
	ASSERT_NO_FATAL_FAILURE(
		net.port.up({.rx_queues = 4, .tx_queues = 4, .rss_types = RTE_ETH_RSS_IPV4}));
	net.give(7);
	VirtualVf& vf = net.plug({.queues = 2});
	ASSERT_TRUE(net.by_vf());
	EXPECT_EQ(vf.seen.rx_queues, 2);
	for (const uint16_t queue : vf.table())
		EXPECT_LT(queue, 2);
	for (uint16_t q = 0; q < 4; q++) {
		const uint64_t sent = vf.seen.sent;
		EXPECT_TRUE(net.port.send(make_frame(100, q), q));
		EXPECT_TRUE(eventually([&] { return net.wire->taken_count() == size_t{q} + 1; }));
		EXPECT_EQ(vf.seen.sent, sent + (q < 2 ? 1 : 0));
	}
	/* Frames of the NIC come to all queues still, those of the VF to its own. */
	net.wire->inject(make_frame_to(net.port.mac(), 100, 1));
	EXPECT_EQ(net.port.receive(1).size(), 1u);
	net.take();
	ASSERT_TRUE(net.by_nic());
	for (uint16_t q = 0; q < 4; q++)
		EXPECT_TRUE(net.port.send(make_frame(100, q), q));
	EXPECT_TRUE(eventually([&] { return net.wire->taken_count() == 8; }));
}

TEST_F(Vfs, StatisticsAreOfBothAndAreKept)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < 20; i++)
		bytes += 60 + i * 50;
	expect_path(net, nullptr, 0);
	net.give(7);
	VirtualVf* vf = &net.plug();
	ASSERT_TRUE(net.by_vf());
	expect_path(net, vf, 100);
	const auto expect = [&](uint64_t nic, uint64_t by_vf) {
		const rte_eth_stats s = net.port.stats();
		EXPECT_EQ(s.ipackets, 20 * (nic + by_vf));
		EXPECT_EQ(s.opackets, 20 * (nic + by_vf));
		EXPECT_EQ(s.ibytes, bytes * (nic + by_vf));
		EXPECT_EQ(s.obytes, bytes * (nic + by_vf));
		EXPECT_EQ(net.port.xstat("rx_q0_packets"), s.ipackets);
		EXPECT_EQ(net.port.xstat("tx_q0_packets"), s.opackets);
		EXPECT_EQ(net.port.xstat("vf_rx_packets"), 20 * by_vf);
		EXPECT_EQ(net.port.xstat("vf_tx_packets"), 20 * by_vf);
		EXPECT_EQ(net.port.xstat("vf_rx_bytes"), bytes * by_vf);
		EXPECT_EQ(net.port.xstat("vf_tx_bytes"), bytes * by_vf);
	};
	expect(1, 1);
	vf->seen.missed += 3;
	EXPECT_EQ(net.port.stats().imissed, 3u);
	net.take();
	ASSERT_TRUE(net.by_nic());
	expect(1, 1);
	net.unplug();
	expect(1, 1);
	expect_path(net, nullptr, 200);
	expect(2, 1);
	EXPECT_EQ(net.port.stats().imissed, 3u);
	EXPECT_EQ(net.port.xstat("vf_switches"), 1u);
	/* Another one, which begins to count anew. */
	net.give(8);
	vf = &net.plug();
	ASSERT_TRUE(net.by_vf());
	expect_path(net, vf, 300);
	expect(2, 2);
	EXPECT_EQ(net.port.xstat("vf_switches"), 2u);
	ASSERT_EQ(rte_eth_stats_reset(net.port.id), 0);
	expect(0, 0);
	EXPECT_EQ(net.port.stats().imissed, 0u);
	EXPECT_EQ(net.port.xstat("vf_switches"), 0u);
	expect_path(net, vf, 400);
	expect(0, 1);
}

/* Where the VF's link is down, the NIC's may be up. */
TEST_F(Vfs, LinkOfTheVf)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	net.give(7);
	VirtualVf& vf = net.plug({.link = false});
	EXPECT_TRUE(eventually([&] { return vf.seen.started.load(); }));
	EXPECT_FALSE(net.by_vf(200));
	expect_path(net, nullptr, 0);
	for (uint32_t i = 0; i < 3; i++) {
		vf.set_link(true);
		ASSERT_TRUE(net.by_vf());
		expect_path(net, &vf, 100);
		vf.set_link(false);
		ASSERT_TRUE(net.by_nic());
		EXPECT_EQ(net.port.link().link_status, RTE_ETH_LINK_UP);
		expect_path(net, nullptr, 200);
	}
}

TEST_F(Vfs, StopStartAndReconfigure)
{
	netvsp::NicConfig config;
	VfNetwork net(4);
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	net.give(7);
	VirtualVf& vf = net.plug();
	ASSERT_TRUE(net.by_vf());
	expect_path(net, &vf, 0);
	/* Frames that are in the VF when the port stops: sent, and dropped and counted. */
	vf.hold(true);
	ASSERT_TRUE(net.port.send(make_frame(100, 1)));
	EXPECT_EQ(vf.held(), 1u);
	net.wire->inject(make_frame_to(net.port.mac(), 100, 1));
	EXPECT_TRUE(eventually([&] { return net.host.stats().rx_to_vf == 21; }));
	std::thread later([&] {
		std::this_thread::sleep_for(std::chrono::milliseconds(20));
		vf.hold(false);
	});
	EXPECT_EQ(net.port.stop(), 0);
	later.join();
	EXPECT_EQ(net.wire->taken().back(), make_frame(100, 1));
	EXPECT_EQ(net.port.stats().imissed, 1u);
	EXPECT_FALSE(vf.seen.started);
	EXPECT_FALSE(net.host.stats().data_path_vf);
	EXPECT_EQ(mbufs_out(), 0u);
	/* The VF stays ours. */
	EXPECT_EQ(rte_eth_dev_count_avail(), 1u);
	ASSERT_EQ(rte_eth_dev_set_mtu(net.port.id, 2000), 0);
	ASSERT_EQ(net.port.start(), 0);
	ASSERT_TRUE(net.by_vf());
	EXPECT_EQ(vf.seen.mtu, 2000);
	expect_path(net, &vf, 100);
	EXPECT_EQ(net.port.stop(), 0);
	ASSERT_NO_FATAL_FAILURE(net.port.up({.rx_queues = 3, .tx_queues = 2}));
	ASSERT_TRUE(net.by_vf());
	EXPECT_EQ(vf.seen.rx_queues, 3);
	EXPECT_EQ(vf.seen.tx_queues, 2);
	EXPECT_EQ(vf.seen.mtu, 1500);
	expect_path(net, &vf, 200);
	/* It goes while the port is stopped. */
	EXPECT_EQ(net.port.stop(), 0);
	net.take();
	ASSERT_EQ(net.port.start(), 0);
	expect_path(net, nullptr, 300);
	net.give(8);
	ASSERT_TRUE(net.by_vf());
	expect_path(net, &vf, 400);
}

/* Nobody but its owner knows of the port: it tidies up. */
TEST_F(Vfs, SeveralOverTime)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	for (uint32_t i = 0; i < 9; i++) {
		SCOPED_TRACE(i);
		net.give(i);
		VirtualVf& vf = net.plug();
		ASSERT_TRUE(net.by_vf());
		expect_path(net, &vf, i * 100);
		if (i % 3 == 0) { /* as Hyper-V does: told, then ejected */
			net.take();
			ASSERT_TRUE(net.by_nic());
			EXPECT_TRUE(vf.plugged());
		} else if (i % 3 == 1) { /* the device vanishes */
			vf.vanish();
			EXPECT_TRUE(eventually([&] { return !vf.plugged(); }));
		} else { /* somebody closes the port, although it is used */
			EXPECT_EQ(vf.unplug(), 0);
		}
		expect_path(net, nullptr, i * 100 + 50);
		EXPECT_FALSE(net.host.stats().data_path_vf);
		net.unplug();
		EXPECT_EQ(rte_eth_dev_count_total(), 1u);
		net.take();
	}
	EXPECT_GE(net.port.xstat("vf_switches"), 9u);
}

/* It went and came back between two looks: the host's data path is the NIC again. */
TEST_F(Vfs, GoneAndBackAtOnce)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	net.give(7);
	VirtualVf& vf = net.plug();
	ASSERT_TRUE(net.by_vf());
	for (uint32_t i = 1; i < 5; i++) {
		ASSERT_TRUE(net.host.host().set_vf(net.host.nic, false, 0));
		ASSERT_TRUE(net.host.host().set_vf(net.host.nic, true, 7));
		ASSERT_TRUE(net.switched(i + 1));
		EXPECT_TRUE(net.host.stats().data_path_vf);
		expect_path(net, &vf, i * 100);
	}
}

/* Frames go on by the NIC, and nobody waits longer than the deadline. */
TEST_F(Vfs, HostDoesNotAnswer)
{
	VfNetwork net(1, {"no-switch-reply:2"}, "timeout=300"); /* there, and back */
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	VirtualVf& vf = net.plug();
	net.give(7);
	EXPECT_TRUE(eventually([&] { return vf.seen.started.load(); }));
	EXPECT_FALSE(net.by_vf(1000));
	expect_path(net, nullptr, 0);
	EXPECT_EQ(net.port.xstat("vf_switches"), 0u);
	EXPECT_EQ(net.port.stop(), 0);
	ASSERT_EQ(net.port.start(), 0);
	ASSERT_TRUE(net.by_vf());
	expect_path(net, &vf, 100);
}

TEST_F(Vfs, StartIsTriedAgain)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	net.give(7);
	VirtualVf& vf = net.plug({.failing_starts = 1});
	EXPECT_FALSE(net.by_vf(300));
	expect_path(net, nullptr, 0);
	ASSERT_TRUE(net.by_vf(5000));
	expect_path(net, &vf, 100);
}

/* Closed while frames travel by it: the VF is handed back, stopped, and the mbufs are all there. */
TEST_F(Vfs, PortIsClosed)
{
	auto wire = std::make_shared<Wire>();
	VirtualVf vf(wire, {.mac = VfNetwork::kMac});
	{
		VfNetwork net;
		ASSERT_NO_FATAL_FAILURE(net.port.up());
		net.give(7);
		ASSERT_TRUE(net.by_vf());
		vf.hold(true);
		ASSERT_TRUE(net.port.send(make_frame(100, 1)));
		ASSERT_TRUE(vf.receive(make_frame(100, 1)));
	}
	EXPECT_FALSE(vf.seen.started);
	EXPECT_EQ(rte_eth_dev_count_avail(), 1u);
	EXPECT_EQ(mbufs_out(), 0u);
}

/* The host takes the NIC away, or dies: with the VF in use. */
TEST_F(Vfs, NicIsGone)
{
	for (const bool dies : {false, true}) {
		VfNetwork net;
		ASSERT_NO_FATAL_FAILURE(net.port.up());
		net.give(7);
		VirtualVf& vf = net.plug();
		ASSERT_TRUE(net.by_vf());
		if (dies)
			net.host.die();
		else
			ASSERT_TRUE(net.host.host().remove_nic(net.host.nic));
		EXPECT_TRUE(eventually([&] { return !vf.seen.started; }));
		rte_mbuf* m = to_mbuf(make_frame(60, 1));
		EXPECT_EQ(net.port.tx(&m, 1), 0);
		rte_pktmbuf_free(m);
	}
}

/* A VF does not change its address with the port: then it is none any more. */
TEST_F(Vfs, MacAddressSet)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	net.give(7);
	VirtualVf& vf = net.plug();
	ASSERT_TRUE(net.by_vf());
	rte_ether_addr mac = {{2, 1, 2, 3, 4, 5}};
	const int rc = rte_eth_dev_default_mac_addr_set(net.port.id, &mac);
	NEEDS(rc != -EPERM, "MAC addresses that a guest may set");
	ASSERT_EQ(rc, 0);
	rte_ether_addr now{};
	ASSERT_EQ(rte_eth_macaddr_get(vf.id, &now), 0);
	EXPECT_TRUE(rte_is_same_ether_addr(&now, &mac));
	EXPECT_TRUE(net.host.stats().data_path_vf);
	expect_path(net, &vf, 0);
	rte_ether_addr other = {{2, 1, 2, 3, 4, 6}}; /* somebody changes it behind our back */
	ASSERT_EQ(rte_eth_dev_default_mac_addr_set(vf.id, &other), 0);
	ASSERT_TRUE(net.by_nic());
	expect_path(net, nullptr, 100);
}

TEST_F(Vfs, FramesThatWaitAndDescriptors)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	net.give(7);
	VirtualVf& vf = net.plug();
	ASSERT_TRUE(net.by_vf());
	EXPECT_EQ(rte_eth_rx_queue_count(net.port.id, 0), 0);
	for (uint32_t i = 0; i < 5; i++)
		net.wire->inject(make_frame_to(net.port.mac(), 100, i));
	EXPECT_TRUE(eventually([&] { return rte_eth_rx_queue_count(net.port.id, 0) == 5; }));
	EXPECT_EQ(rte_eth_rx_descriptor_status(net.port.id, 0, 4), RTE_ETH_RX_DESC_DONE);
	EXPECT_EQ(rte_eth_rx_descriptor_status(net.port.id, 0, 5), RTE_ETH_RX_DESC_AVAIL);
	EXPECT_EQ(net.port.receive(5).size(), 5u);
	vf.hold(true);
	EXPECT_EQ(rte_eth_tx_descriptor_status(net.port.id, 0, 511), RTE_ETH_TX_DESC_DONE);
	EXPECT_TRUE(net.port.send(make_frame(100, 1)));
	EXPECT_EQ(rte_eth_tx_descriptor_status(net.port.id, 0, 511), RTE_ETH_TX_DESC_FULL);
	vf.hold(false);
	EXPECT_EQ(rte_eth_tx_descriptor_status(net.port.id, 0, 511), RTE_ETH_TX_DESC_DONE);
	EXPECT_GE(rte_eth_tx_done_cleanup(net.port.id, 0, 0), 0);
}

} // namespace scenario
