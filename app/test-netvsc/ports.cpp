/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports, by nothing but ethdev's public interface. */
#include <algorithm>
#include <cstdlib>
#include <thread>

#include "os/test/descriptors.hpp"
#include "support.hpp"

namespace scenario {

unsigned int open_descriptors()
{
	/* EAL's interrupt thread closes its epoll, and opens another, whenever it likes. */
	const auto all = os::test::descriptors();
	return static_cast<unsigned int>(
		all.size() -
		static_cast<size_t>(std::count(all.begin(), all.end(), "anon_inode:[eventpoll]")));
}

std::string describe_descriptors()
{
	std::string text;
	for (const std::string& what : os::test::descriptors())
		text += what + " ";
	return text;
}

bool eventually(const std::function<bool()>& condition, int timeout_ms)
{
	const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
	while (!condition()) {
		if (Clock::now() > deadline)
			return false;
		std::this_thread::sleep_for(std::chrono::microseconds(200));
	}
	return true;
}

const netvsp::Profile& profile()
{
	static const netvsp::Profile* const found = [] {
		const char* name = std::getenv("TEST_PROFILE");
		const netvsp::Profile* p = netvsp::find_profile(name != nullptr ? name : "");
		if (p == nullptr) {
			std::fprintf(stderr, "TEST_PROFILE=%s: must be one of %s\n", name,
				     netvsp::profile_names().c_str());
			std::exit(EXIT_FAILURE);
		}
		return p;
	}();
	return *found;
}

const rte_eth_dev_info& announced()
{
	static const rte_eth_dev_info info = [] {
		Port port("endpoint=null,queues=" + std::to_string(profile().max_queues));
		return port.info();
	}();
	return info;
}

Port::Port(const std::string& wanted)
{
	std::string args = wanted;
	if (args.starts_with("endpoint=") && args.find("profile=") == std::string::npos)
		args += std::string(",profile=") + profile().name;
	if (UioDevices::there()) {
		plug_result_ = uio_.plug(args);
		plugged_ = plug_result_ == 0;
		if (!plugged_)
			return;
		name = uio_.names().front();
		EXPECT_EQ(rte_eth_dev_get_port_by_name(name.c_str(), &id), 0);
		return;
	}
	static int number;
	name = "netvsp" + std::to_string(number++);
	plug_result_ = rte_eal_hotplug_add("vdev", name.c_str(), args.c_str());
	if (plug_result_ != 0)
		return;
	plugged_ = true;
	EXPECT_EQ(rte_eth_dev_get_port_by_name(name.c_str(), &id), 0);
}

Port::~Port()
{
	if (id != RTE_MAX_ETHPORTS && rte_eth_dev_is_valid_port(id)) {
		stop();
		close();
	}
	remove();
}

int Port::configure(const PortOptions& options)
{
	rte_eth_conf conf{};
	conf.rxmode.mtu = options.mtu;
	conf.rxmode.offloads = options.rx_offloads;
	conf.txmode.offloads = options.tx_offloads;
	conf.intr_conf.lsc = options.lsc;
	conf.intr_conf.rxq = options.interrupts;
	if (options.rss_types != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = options.rss_types;
	}
	int rc = rte_eth_dev_configure(id, options.rx_queues, options.tx_queues, &conf);
	if (rc != 0)
		return rc;
	rte_mempool* pool = options.pool;
	if (pool == nullptr)
		pool = options.mtu > 1500 ? pools().jumbo : pools().normal;
	for (uint16_t q = 0; q < options.rx_queues; q++) {
		rte_eth_rxconf rx{};
		rx.rx_deferred_start = q == options.rx_deferred;
		rc = rte_eth_rx_queue_setup(id, q, options.rx_descriptors, SOCKET_ID_ANY, &rx,
					    pool);
		if (rc != 0)
			return rc;
	}
	for (uint16_t q = 0; q < options.tx_queues; q++) {
		rte_eth_txconf tx{};
		tx.tx_deferred_start = q == options.tx_deferred;
		rc = rte_eth_tx_queue_setup(id, q, options.tx_descriptors, SOCKET_ID_ANY, &tx);
		if (rc != 0)
			return rc;
	}
	return options.promiscuous ? rte_eth_promiscuous_enable(id)
				   : rte_eth_promiscuous_disable(id);
}

int Port::start()
{
	const int rc = rte_eth_dev_start(id);
	started_ = rc == 0;
	return rc;
}

int Port::stop()
{
	if (!started_)
		return 0;
	started_ = false;
	return rte_eth_dev_stop(id);
}

int Port::close()
{
	return rte_eth_dev_close(id);
}

int Port::remove()
{
	if (!plugged_)
		return 0;
	plugged_ = false;
	started_ = false;
	return UioDevices::there() ? uio_.unplug() : rte_eal_hotplug_remove("vdev", name.c_str());
}

void Port::up(const PortOptions& options)
{
	ASSERT_EQ(plug_result_, 0) << rte_strerror(-plug_result_);
	ASSERT_EQ(configure(options), 0);
	ASSERT_EQ(start(), 0);
}

bool Port::send(rte_mbuf* m, uint16_t queue)
{
	const bool sent = eventually([&] { return tx(&m, 1, queue) == 1; }, 1000);
	if (!sent)
		rte_pktmbuf_free(m);
	return sent;
}

std::vector<Frame> Port::receive(size_t count, int timeout_ms, uint16_t queue)
{
	std::vector<Frame> frames;
	eventually(
		[&] {
			rte_mbuf* m;
			while (frames.size() < count && rx(&m, 1, queue) == 1) {
				frames.push_back(from_mbuf(m));
				rte_pktmbuf_free(m);
			}
			return frames.size() == count;
		},
		timeout_ms);
	return frames;
}

size_t Port::receive_rest(int quiet_ms)
{
	size_t total = 0;
	auto quiet = Clock::now() + std::chrono::milliseconds(quiet_ms);
	while (Clock::now() < quiet) {
		rte_mbuf* mbufs[32];
		const uint16_t n = rx(mbufs, 32);
		rte_pktmbuf_free_bulk(mbufs, n);
		total += n;
		if (n != 0)
			quiet = Clock::now() + std::chrono::milliseconds(quiet_ms);
		else
			std::this_thread::yield();
	}
	return total;
}

rte_eth_stats Port::stats()
{
	rte_eth_stats stats{};
	EXPECT_EQ(rte_eth_stats_get(id, &stats), 0);
	return stats;
}

uint64_t Port::xstat(const std::string& name_wanted)
{
	uint64_t xid = 0;
	uint64_t value = 0;
	EXPECT_EQ(rte_eth_xstats_get_id_by_name(id, name_wanted.c_str(), &xid), 0) << name_wanted;
	EXPECT_EQ(rte_eth_xstats_get_by_id(id, &xid, &value, 1), 1) << name_wanted;
	return value;
}

rte_eth_dev_info Port::info()
{
	rte_eth_dev_info info{};
	EXPECT_EQ(rte_eth_dev_info_get(id, &info), 0);
	return info;
}

rte_ether_addr Port::mac()
{
	rte_ether_addr mac{};
	EXPECT_EQ(rte_eth_macaddr_get(id, &mac), 0);
	return mac;
}

rte_eth_link Port::link()
{
	rte_eth_link link{};
	EXPECT_EQ(rte_eth_link_get_nowait(id, &link), 0);
	return link;
}

void Scenario::SetUp()
{
	ASSERT_EQ(mbufs_out(), 0u) << "an earlier test's";
	ASSERT_EQ(rte_eth_dev_count_total(), 0u) << "an earlier test's";
	descriptors_ = open_descriptors();
}

void Scenario::TearDown()
{
	EXPECT_EQ(rte_eth_dev_count_total(), 0u);
	EXPECT_EQ(mbufs_out(), 0u);
	EXPECT_TRUE(eventually([this] { return open_descriptors() == descriptors_; }, 500))
		<< open_descriptors() << " descriptors, " << descriptors_
		<< " before: " << describe_descriptors();
}

} // namespace scenario
