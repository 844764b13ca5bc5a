/* SPDX-License-Identifier: BSD-3-Clause */
/* Receive side scaling, each hash checked against DPDK's own Toeplitz. */
#include <cstring>
#include <set>

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_thash.h>
#include <rte_udp.h>

#include "support.hpp"

namespace scenario {

class Rss : public Scenario {
      protected:
	void SetUp() override
	{
		Scenario::SetUp();
		NEEDS(announced().flow_type_rss_offloads != 0, "receive side scaling");
	}
};

namespace {

constexpr uint16_t kQueues = 4;
constexpr uint64_t kIpv4 = RTE_ETH_RSS_IPV4, kTcp4 = RTE_ETH_RSS_NONFRAG_IPV4_TCP,
		   kUdp4 = RTE_ETH_RSS_NONFRAG_IPV4_UDP, kIpv6 = RTE_ETH_RSS_IPV6,
		   kTcp6 = RTE_ETH_RSS_NONFRAG_IPV6_TCP, kUdp6 = RTE_ETH_RSS_NONFRAG_IPV6_UDP;

struct Flow {
	bool v6;
	uint8_t protocol;
	uint32_t number;
};

/* Addresses and ports in network order, behind one another, as the hash takes them. */
std::vector<uint8_t> tuple_of(const Flow& f)
{
	std::vector<uint8_t> t(f.v6 ? 36 : 12);
	for (size_t i = 0; i < t.size(); i++)
		t[i] = static_cast<uint8_t>(f.number * (i + 3) + i);
	return t;
}

Frame frame_of(const Flow& f)
{
	const std::vector<uint8_t> tuple = tuple_of(f);
	Frame frame = make_frame(f.v6 ? 90 : 70, f.number);
	const size_t addresses = tuple.size() - 4;
	uint8_t* ip = &frame[14];
	std::fill(ip, &frame[0] + frame.size(), 0);
	frame[12] = f.v6 ? 0x86 : 0x08;
	frame[13] = f.v6 ? 0xdd : 0x00;
	if (f.v6) {
		ip[0] = 0x60;
		ip[5] = static_cast<uint8_t>(frame.size() - 54);
		ip[6] = f.protocol;
		ip[7] = 64;
	} else {
		ip[0] = 0x45;
		ip[3] = static_cast<uint8_t>(frame.size() - 14);
		ip[8] = 64;
		ip[9] = f.protocol;
	}
	std::copy_n(tuple.begin(), addresses, ip + (f.v6 ? 8 : 12));
	std::copy_n(tuple.begin() + long(addresses), 4, ip + (f.v6 ? 40 : 20));
	return frame;
}

uint32_t softrss(const Flow& f, bool ports, const uint8_t* key)
{
	std::vector<uint8_t> tuple = tuple_of(f);
	if (!ports)
		tuple.resize(tuple.size() - 4);
	std::vector<uint32_t> words(tuple.size() / 4);
	for (size_t i = 0; i < words.size(); i++)
		words[i] = uint32_t(tuple[4 * i]) << 24 | uint32_t(tuple[4 * i + 1]) << 16 |
			   uint32_t(tuple[4 * i + 2]) << 8 | tuple[4 * i + 3];
	return rte_softrss(words.data(), static_cast<uint32_t>(words.size()), key);
}

struct Bench {
	explicit Bench(uint64_t types, uint16_t count = kQueues, uint32_t table = 128)
		: queues(count),
		  wire(std::make_shared<Wire>()),
		  host(config(queues, table), wire),
		  port(host.args())
	{
		port.up({.rx_offloads = RTE_ETH_RX_OFFLOAD_RSS_HASH,
			 .rx_queues = queues,
			 .tx_queues = queues,
			 .rss_types = types});
		rss.rss_key = key;
		rss.rss_key_len = sizeof(key);
		EXPECT_EQ(rte_eth_dev_rss_hash_conf_get(port.id, &rss), 0);
	}
	static netvsp::NicConfig config(uint16_t queues, uint32_t table)
	{
		netvsp::NicConfig c;
		c.rss_table = table;
		c.queues = queues;
		return c;
	}
	/* Where the frame comes out; the mbuf's hash. */
	int receive(const Flow& f, uint32_t* hash = nullptr, bool* has_hash = nullptr)
	{
		wire->inject(frame_of(f));
		int queue = -1;
		eventually([&] {
			for (uint16_t q = 0; q < queues && queue < 0; q++) {
				rte_mbuf* m;
				if (port.rx(&m, 1, q) == 0)
					continue;
				queue = q;
				EXPECT_EQ(from_mbuf(m), frame_of(f));
				/* By what is in it, whatever the host calls the hash. */
				if (f.protocol == 17) {
					EXPECT_EQ(m->packet_type & RTE_PTYPE_L4_MASK,
						  RTE_PTYPE_L4_UDP);
				}
				if (hash != nullptr)
					*hash = m->hash.rss;
				if (has_hash != nullptr)
					*has_hash = (m->ol_flags & RTE_MBUF_F_RX_RSS_HASH) != 0;
				rte_pktmbuf_free(m);
			}
			return queue >= 0;
		});
		return queue;
	}
	/* By the queue that it leads to with a table in turns, and in the mbuf, if hosts tell it.
	 * @return the queue */
	int expect_hash(const Flow& f, bool ports = true)
	{
		uint32_t hash = 0;
		bool has_hash = false;
		const int queue = receive(f, &hash, &has_hash);
		const uint32_t expected = softrss(f, ports, key);
		EXPECT_EQ(queue, static_cast<int>(expected % 128 % queues)) << f.number;
		EXPECT_EQ(has_hash, profile().tells_hash) << f.number;
		if (has_hash) {
			EXPECT_EQ(hash, expected) << f.number;
		}
		return queue;
	}
	void expect_no_hash(const Flow& f)
	{
		bool has_hash = true;
		EXPECT_EQ(receive(f, nullptr, &has_hash), 0) << f.number;
		EXPECT_FALSE(has_hash) << f.number;
	}
	const uint16_t queues;
	std::shared_ptr<Wire> wire;
	TestHost host;
	Port port;
	uint8_t key[40] = {};
	rte_eth_rss_conf rss{};
};

struct Table {
	explicit Table(uint16_t queue)
	{
		for (auto& group : groups) {
			group.mask = ~uint64_t{0};
			std::fill(std::begin(group.reta), std::end(group.reta), queue);
		}
	}
	rte_eth_rss_reta_entry64 groups[2];
};

} // namespace

TEST_F(Rss, HashIsThatOfDpdk)
{
	const uint64_t offered = announced().flow_type_rss_offloads;
	Bench s((kIpv4 | kTcp4 | kUdp4 | kIpv6 | kTcp6 | kUdp6) & offered);
	EXPECT_EQ(s.port.info().reta_size, 128);
	EXPECT_EQ(s.port.info().hash_key_size, 40);
	std::set<int> queues;
	for (uint32_t i = 0; i < 60; i++) {
		const Flow f{i % 2 == 1, std::array<uint8_t, 3>{6, 17, 47}[i / 2 % 3], i};
		const uint64_t ports = f.protocol == 6	  ? kTcp4 | kTcp6
				       : f.protocol == 17 ? kUdp4 | kUdp6
							  : 0;
		const uint64_t family = f.v6 ? kTcp6 | kUdp6 : kTcp4 | kUdp4;
		queues.insert(s.expect_hash(f, (offered & ports & family) != 0));
	}
	EXPECT_EQ(queues.size(), size_t{kQueues});
	EXPECT_EQ(s.host.stats().protocol_errors, 0u) << s.host.stats().last_error;
}

TEST_F(Rss, OnlyTheTypesAskedFor)
{
	Bench s(kTcp4);
	s.expect_no_hash({false, 17, 5});
	s.expect_no_hash({true, 6, 5});
	s.expect_hash({false, 6, 5});
	/* Changed at run time, and off. */
	s.rss.rss_key = nullptr;
	s.rss.rss_hf = kTcp6;
	EXPECT_EQ(rte_eth_dev_rss_hash_update(s.port.id, &s.rss), 0);
	s.expect_hash({true, 6, 5});
	s.expect_no_hash({false, 6, 5});
	s.rss.rss_hf = 0;
	EXPECT_EQ(rte_eth_dev_rss_hash_update(s.port.id, &s.rss), 0);
	for (uint32_t i = 0; i < 8; i++)
		EXPECT_EQ(s.receive({false, 17, i}), 0);
}

TEST_F(Rss, KeyAtRunTime)
{
	Bench s(kTcp4);
	for (uint32_t i = 0; i < 40; i++)
		s.key[i] = static_cast<uint8_t>(i * 7 + 1);
	s.rss.rss_hf = kTcp4;
	EXPECT_EQ(rte_eth_dev_rss_hash_update(s.port.id, &s.rss), 0);
	uint8_t back[40] = {};
	rte_eth_rss_conf query{};
	query.rss_key = back;
	query.rss_key_len = sizeof(back);
	EXPECT_EQ(rte_eth_dev_rss_hash_conf_get(s.port.id, &query), 0);
	EXPECT_EQ(std::memcmp(back, s.key, sizeof(back)), 0);
	for (uint32_t i = 0; i < 16; i++) {
		s.expect_hash({false, 6, i});
	}
	/* Of a wrong length: refused, and the old one stays. */
	s.rss.rss_key_len = 16;
	EXPECT_EQ(rte_eth_dev_rss_hash_update(s.port.id, &s.rss), -EINVAL);
	s.expect_hash({false, 6, 77});
}

TEST_F(Rss, TableAtRunTime)
{
	Bench s(kTcp4);
	for (const uint16_t queue : {2, 3, 0, 1}) {
		Table table(queue);
		ASSERT_EQ(rte_eth_dev_rss_reta_update(s.port.id, table.groups, 128), 0);
		for (uint32_t i = 0; i < 8; i++)
			EXPECT_EQ(s.receive({false, 6, i}), queue);
	}
	/* A part of it: the rest stays. */
	Table part(3);
	part.groups[0].mask = 0xff;
	part.groups[1].mask = 0;
	ASSERT_EQ(rte_eth_dev_rss_reta_update(s.port.id, part.groups, 128), 0);
	Table back(77);
	ASSERT_EQ(rte_eth_dev_rss_reta_query(s.port.id, back.groups, 128), 0);
	for (uint32_t i = 0; i < 128; i++)
		EXPECT_EQ(back.groups[i / 64].reta[i % 64], i < 8 ? 3 : 1) << i;
	EXPECT_NE(rte_eth_dev_rss_reta_update(s.port.id, part.groups, 64), 0);
	Table beyond(kQueues);
	EXPECT_NE(rte_eth_dev_rss_reta_update(s.port.id, beyond.groups, 128), 0);
	EXPECT_EQ(s.receive({false, 6, 1}), softrss({false, 6, 1}, true, s.key) % 128 < 8 ? 3 : 1);
}

/* Hosts have tables of other sizes; of what is no power of two the largest that is one is used. */
TEST_F(Rss, TablesOfOtherSizes)
{
	for (const auto& [host, size] :
	     {std::pair{1u, 1u}, {2u, 2u}, {16u, 16u}, {64u, 64u}, {100u, 64u}}) {
		SCOPED_TRACE(host);
		Bench s(kTcp4, kQueues, host);
		ASSERT_EQ(s.port.info().reta_size, size);
		const auto expect = [&](uint32_t first) {
			for (uint32_t i = 0; i < 12; i++) {
				const Flow f{false, 6, i};
				EXPECT_EQ(
					s.receive(f),
					static_cast<int>((softrss(f, true, s.key) % size + first) %
							 kQueues));
			}
		};
		expect(0);
		Table table(0);
		for (uint32_t i = 0; i < size; i++)
			table.groups[0].reta[i] = static_cast<uint16_t>((i + 1) % kQueues);
		EXPECT_NE(rte_eth_dev_rss_reta_update(s.port.id, table.groups, 128), 0);
		ASSERT_EQ(rte_eth_dev_rss_reta_update(s.port.id, table.groups,
						      static_cast<uint16_t>(size)),
			  0);
		expect(1);
	}
}

/* What its part of the table names goes to the others, and comes back with it. */
TEST_F(Rss, AStoppedQueueGetsNothing)
{
	Bench s(kTcp4);
	ASSERT_EQ(rte_eth_dev_rx_queue_stop(s.port.id, 2), 0);
	Table to_stopped(2);
	EXPECT_EQ(rte_eth_dev_rss_reta_update(s.port.id, to_stopped.groups, 128), -EINVAL);
	for (uint32_t i = 0; i < 40; i++) {
		const int queue = s.receive({false, 6, i});
		const uint32_t home = softrss({false, 6, i}, true, s.key) % 128 % kQueues;
		EXPECT_GE(queue, 0);
		EXPECT_NE(queue, 2);
		if (home != 2) {
			EXPECT_EQ(queue, static_cast<int>(home));
		}
	}
	Table table(9);
	ASSERT_EQ(rte_eth_dev_rss_reta_query(s.port.id, table.groups, 128), 0);
	EXPECT_EQ(table.groups[0].reta[2], 2); /* as the application left it */
	ASSERT_EQ(rte_eth_dev_rx_queue_start(s.port.id, 2), 0);
	for (uint32_t i = 0; i < 40; i++)
		EXPECT_EQ(s.receive({false, 6, i}),
			  static_cast<int>(softrss({false, 6, i}, true, s.key) % 128 % kQueues));
}

/* With traffic flowing, no frame is lost and none is damaged. */
TEST_F(Rss, TableChangesUnderTraffic)
{
	Bench s(kTcp4);
	uint32_t received = 0;
	const auto poll = [&] {
		for (uint16_t q = 0; q < kQueues; q++) {
			rte_mbuf* mbufs[32];
			const uint16_t n = s.port.rx(mbufs, 32, q);
			rte_pktmbuf_free_bulk(mbufs, n);
			received += n;
		}
	};
	for (uint32_t i = 0; i < 2000; i++) {
		s.wire->inject(frame_of({false, 6, i}));
		poll();
		if (i % 100 == 0) {
			Table table(static_cast<uint16_t>(i / 100 % kQueues));
			ASSERT_EQ(rte_eth_dev_rss_reta_update(s.port.id, table.groups, 128), 0);
		}
	}
	EXPECT_TRUE(eventually([&] {
		poll();
		return received == 2000;
	})) << received;
	EXPECT_EQ(s.port.stats().imissed, 0u);
}

TEST_F(Rss, HostLimitsTheTypes)
{
	netvsp::NicConfig config;
	config.queues = kQueues;
	config.endpoint = "null";
	config.rss_types = 0x200; /* TCP over IPv4 */
	TestHost host(config);
	Port port(host.args());
	const uint64_t offered = port.info().flow_type_rss_offloads;
	EXPECT_EQ(offered & (kTcp4 | kIpv4), kTcp4 | kIpv4);
	EXPECT_EQ(offered & (kUdp4 | kTcp6 | kUdp6), 0u);
	EXPECT_NE(port.configure({.rx_queues = kQueues, .tx_queues = kQueues, .rss_types = kUdp4}),
		  0);
	EXPECT_EQ(port.configure({.rx_queues = kQueues, .tx_queues = kQueues, .rss_types = kTcp4}),
		  0);
}

/* One queue, and the hash all the same: flows can be told apart. */
TEST_F(Rss, OneQueueWithHashes)
{
	Bench s(kTcp4, 1);
	s.expect_hash({false, 6, 9});
}

TEST_F(Rss, SurvivesAnMtuChange)
{
	Bench s(kTcp4);
	Table table(3);
	ASSERT_EQ(rte_eth_dev_rss_reta_update(s.port.id, table.groups, 128), 0);
	EXPECT_EQ(s.port.stop(), 0);
	EXPECT_EQ(rte_eth_dev_set_mtu(s.port.id, 1400), 0);
	EXPECT_EQ(s.port.start(), 0);
	EXPECT_EQ(s.receive({false, 6, 1}), 3);
}

} // namespace scenario
