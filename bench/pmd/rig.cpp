/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <cstring>
#include <sstream>
#include <stdexcept>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_malloc.h>

#include "vmbus/guid.hpp"

namespace bench {

namespace {

constexpr uint32_t kMaxQueues = 16;
/* DPDK is built for so many ports. */
static_assert(RTE_MAX_ETHPORTS >= 32);
constexpr uint32_t kRoom = RTE_MBUF_DEFAULT_BUF_SIZE;

uint64_t offloads_of(const Case& c, uint64_t checksum, uint64_t vlan)
{
	return c.offload == Offload::kChecksumVlan ? checksum | vlan : 0;
}

} // namespace

Rig::Rig(const RigOptions& options)
{
	for (uint32_t i = 0; i < options.ports; i++) {
		netvsp::NicConfig config;
		config.name = "bench" + std::to_string(i);
		config.queues = options.ports == 1 ? kMaxQueues : 1;
		config.monitor = true; /* a signal costs no system call: only the driver counts */
		auto feed = std::make_unique<Feed>();
		feeds_.push_back(feed.get());
		vmbus::Guid guid{};
		std::string error;
		if (!host_.add_nic(config, std::move(feed), guid, error))
			throw std::runtime_error(error);
		nics_.push_back(guid);
	}
	std::string error;
	socket_ = "/tmp/netvsc-bench-" + std::to_string(getpid());
	if (!host_.listen(socket_, error))
		throw std::runtime_error(error);
	host_.start();
	start_eal(options);
}

Rig::~Rig()
{
	host_.stop();
	::unlink(socket_.c_str());
}

void Rig::start_eal(const RigOptions& options)
{
	std::vector<std::string> words = {
		"bench",	  "--no-pci",
		"--no-telemetry", "--no-shconf",
		"--lcores",	  "0@0,1@" + std::to_string(sysconf(_SC_NPROCESSORS_ONLN) > 1),
		"--log-level",	  "*:warning"};
	std::istringstream more(options.eal);
	for (std::string word; more >> word;)
		words.push_back(word);
	if (!options.plugin.empty())
		words.insert(words.end(), {"-d", options.plugin});
	using Connect = int (*)(const char*);
	const std::string args = options.driver_args.empty() ? "" : "," + options.driver_args;
	if (auto connect = reinterpret_cast<Connect>(dlsym(RTLD_DEFAULT, "uio_host_connect"))) {
		if (connect(socket_.c_str()) != 0)
			throw std::runtime_error("the emulated kernel does not reach the host");
		words.push_back("--iova-mode=pa");
		for (const vmbus::Guid& nic : nics_)
			words.insert(words.end(), {"-a", "vmbus:" + to_string(nic) + args});
	} else {
		words.push_back("--vdev=netvsp0,socket=" + socket_ + args);
	}
	std::vector<char*> argv;
	for (std::string& word : words)
		argv.push_back(word.data());
	argv.push_back(nullptr);
	if (rte_eal_init(static_cast<int>(words.size()), argv.data()) < 0)
		throw std::runtime_error("EAL does not start: " +
					 std::string(rte_strerror(rte_errno)));
	if (rte_eth_dev_count_avail() != nics_.size())
		throw std::runtime_error("the driver made " +
					 std::to_string(rte_eth_dev_count_avail()) + " ports of " +
					 std::to_string(nics_.size()) + " NICs");
	/* Ports are told apart by their NICs' addresses. */
	port_of_.resize(nics_.size());
	std::vector<Feed*> by_port(nics_.size());
	for (size_t nic = 0; nic < nics_.size(); nic++) {
		netvsp::NicStats stats;
		host_.stats(nics_[nic], stats);
		uint16_t port;
		RTE_ETH_FOREACH_DEV(port)
		{
			rte_ether_addr address;
			if (rte_eth_macaddr_get(port, &address) == 0 &&
			    std::memcmp(&address, stats.mac.data(), 6) == 0) {
				by_port[port] = feeds_[nic];
				port_of_[nic] = port;
			}
		}
	}
	feeds_ = by_port;
	pool_ = rte_pktmbuf_pool_create("bench", 16383, 256, 0, kRoom, 0);
	if (pool_ == nullptr)
		throw std::runtime_error("no memory for mbufs");
}

std::string Rig::driver_name() const
{
	rte_eth_dev_info info{};
	return rte_eth_dev_info_get(0, &info) == 0 ? info.driver_name : "";
}

static size_t heap_in_use()
{
	size_t sum = 0;
	for (int socket = 0; socket < RTE_MAX_NUMA_NODES; socket++) {
		rte_malloc_socket_stats stats;
		if (rte_malloc_get_socket_stats(socket, &stats) == 0)
			sum += stats.heap_allocsz_bytes;
	}
	return sum;
}

static uint32_t mtu_of(const Case& c)
{
	return c.size > RTE_ETHER_MAX_LEN && c.offload != Offload::kTso ? c.size - RTE_ETHER_HDR_LEN
									: RTE_ETHER_MTU;
}

std::string Rig::configure_port(const Case& c, uint16_t port)
{
	rte_eth_conf conf{};
	conf.rxmode.offloads =
		offloads_of(c, RTE_ETH_RX_OFFLOAD_CHECKSUM, RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	conf.txmode.offloads =
		offloads_of(c, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM,
			    RTE_ETH_TX_OFFLOAD_VLAN_INSERT);
	if (c.segments > 1)
		conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if (c.offload == Offload::kTso)
		conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
					RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
	if (c.chained)
		conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
	rte_eth_dev_info info{};
	if (rte_eth_dev_info_get(port, &info) != 0)
		return "the driver tells nothing of its port";
	if ((conf.rxmode.offloads & ~info.rx_offload_capa) != 0 ||
	    (conf.txmode.offloads & ~info.tx_offload_capa) != 0)
		return "the driver has no such offload";
	if (c.rss) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = RTE_ETH_RSS_IPV4 & info.flow_type_rss_offloads;
	}
	const auto queues = static_cast<uint16_t>(c.queues);
	if (int rc = rte_eth_dev_configure(port, queues, queues, &conf))
		return "configure: " + std::string(rte_strerror(-rc));
	if (int rc = rte_eth_dev_set_mtu(port, static_cast<uint16_t>(mtu_of(c)));
	    rc != 0 && mtu_of(c) != RTE_ETHER_MTU)
		return "MTU: " + std::string(rte_strerror(-rc));
	for (uint16_t queue = 0; queue < queues; queue++) {
		/* As many descriptors as the driver prefers. */
		if (int rc = rte_eth_tx_queue_setup(port, queue, 0, 0, nullptr))
			return "transmit queue: " + std::string(rte_strerror(-rc));
		if (int rc = rte_eth_rx_queue_setup(port, queue, 0, 0, nullptr, pool_))
			return "receive queue: " + std::string(rte_strerror(-rc));
		paths_.push_back({port, queue});
	}
	if (int rc = rte_eth_dev_start(port))
		return "start: " + std::string(rte_strerror(-rc));
	rte_eth_promiscuous_enable(port);
	return {};
}

std::string Rig::configure(const Case& c)
{
	const std::string wanted = std::to_string(c.ports) + "," + std::to_string(c.queues) + "," +
				   std::to_string(mtu_of(c)) + "," +
				   std::to_string(static_cast<int>(c.offload)) +
				   (c.rss ? ",rss" : "") + (c.chained ? ",scatter" : "") +
				   (c.segments > 1 ? ",chain" : "");
	if (wanted == configured_)
		return {};
	host_.start();
	for (uint16_t port = 0; port < ports_; port++)
		rte_eth_dev_stop(port);
	configured_.clear();
	paths_.clear();
	const size_t before = heap_in_use();
	std::string wrong;
	for (ports_ = 0; ports_ < c.ports && wrong.empty(); ports_++)
		wrong = configure_port(c, static_cast<uint16_t>(ports_));
	host_.stop();
	if (heap_bytes_ == 0)
		heap_bytes_ = heap_in_use() - before;
	if (wrong.empty())
		configured_ = wanted;
	return wrong;
}

void Rig::step()
{
	for (int idle = 0; idle < 2;)
		idle = host_.poll() ? 0 : idle + 1;
}

std::string Rig::learn(const Case& c, uint32_t each, std::vector<std::vector<uint16_t>>& flows)
{
	flows.assign(paths_.size(), {});
	if (c.queues == 1) {
		for (auto& list : flows)
			for (uint32_t i = 0; i < each; i++)
				list.push_back(static_cast<uint16_t>(1024 + i));
		return {};
	}
	constexpr uint32_t kTried = 64 * kMaxQueues;
	std::vector<uint16_t> tried(kTried);
	for (uint32_t i = 0; i < kTried; i++)
		tried[i] = static_cast<uint16_t>(1024 + i);
	Case plain = c;
	plain.size = 64;
	plain.offload = Offload::kNone;
	const Traffic traffic(plain, tried);
	Feed& feed = *feeds_[0];
	feed.use(&traffic, 0, kTried, false);
	for (uint32_t got = 0, tries = 0; got < kTried && tries < 100; tries++) {
		if (tries % 10 == 0)
			feed.give(std::min(kTried - got, 128u) * (tries == 0 || got != 0));
		step();
		for (size_t p = 0; p < paths_.size(); p++) {
			rte_mbuf* mbufs[64];
			while (const uint16_t n = rte_eth_rx_burst(paths_[p].port, paths_[p].queue,
								   mbufs, 64)) {
				for (uint16_t i = 0; i < n; i++) {
					const int64_t number = traffic.find_guest(*mbufs[i]);
					if (number >= 0)
						flows[p].push_back(
							tried[static_cast<size_t>(number)]);
				}
				rte_pktmbuf_free_bulk(mbufs, n);
				got += n;
				tries = 0;
			}
		}
	}
	for (auto& list : flows) {
		if (list.empty())
			return "no flow of " + std::to_string(kTried) +
			       " came to one of the queues";
		const size_t found = list.size();
		for (size_t i = 0; list.size() < each; i++)
			list.push_back(list[i % found]);
		list.resize(each);
	}
	return {};
}

netvsp::NicStats Rig::stats(uint16_t port)
{
	netvsp::NicStats out;
	for (size_t nic = 0; nic < nics_.size(); nic++)
		if (port_of_[nic] == port)
			host_.stats(nics_[nic], out);
	return out;
}

std::string Rig::complaints()
{
	for (uint16_t port = 0; port < ports_; port++) {
		const netvsp::NicStats now = stats(port);
		if (now.protocol_errors != 0)
			return "the host: " + now.last_error;
		if (now.tx_errors != 0)
			return "the host refused " + std::to_string(now.tx_errors) + " frames";
	}
	return {};
}

} // namespace bench
