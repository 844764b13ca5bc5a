/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive side scaling: DPDK's hash types, key and redirection table, as the host knows them.
 *
 * The host is told of running queues only. What the application's table sends to a queue that is
 * stopped goes, for as long as it is, to the others in turn.
 */
#include "netvsc.hpp"

namespace netvsc {

using vmbus::Error;

namespace {

struct HashType {
	uint32_t host;
	uint64_t dpdk;
};

/* A host that hashes addresses does so for fragments and for protocols without ports, too. */
constexpr HashType kHashTypes[] = {
	{ndis::kHashIpv4,
	 RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_OTHER},
	{ndis::kHashTcpIpv4, RTE_ETH_RSS_NONFRAG_IPV4_TCP},
	{ndis::kHashUdpIpv4, RTE_ETH_RSS_NONFRAG_IPV4_UDP},
	{ndis::kHashIpv6,
	 RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_FRAG_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_OTHER},
	{ndis::kHashIpv6Ex, RTE_ETH_RSS_IPV6_EX},
	{ndis::kHashTcpIpv6, RTE_ETH_RSS_NONFRAG_IPV6_TCP},
	{ndis::kHashTcpIpv6Ex, RTE_ETH_RSS_IPV6_TCP_EX},
	{ndis::kHashUdpIpv6, RTE_ETH_RSS_NONFRAG_IPV6_UDP},
	{ndis::kHashUdpIpv6Ex, RTE_ETH_RSS_IPV6_UDP_EX},
};

uint32_t host_types(uint64_t dpdk)
{
	uint32_t types = 0;
	for (const HashType& t : kHashTypes)
		if ((dpdk & t.dpdk) != 0)
			types |= t.host;
	return types;
}

bool runs(const rte_eth_dev_data& data, uint16_t queue)
{
	return data.rx_queue_state[queue] == RTE_ETH_QUEUE_STATE_STARTED;
}

/* Tells the host of a change. The application's wishes stay as they were if it refuses. */
int change(Port& port, const char* doing, RssWanted wanted)
{
	std::swap(port.rss, wanted);
	if (!port.running)
		return 0; /* told when the port starts */
	if (Error error = apply_rss(port)) {
		std::swap(port.rss, wanted);
		if (Error again = apply_rss(port))
			failed(port, "restore receive side scaling", again);
		return failed(port, doing, error);
	}
	return 0;
}

} // namespace

uint64_t rss_types_of(uint32_t hash_types)
{
	uint64_t types = 0;
	for (const HashType& t : kHashTypes)
		if ((hash_types & t.host) != 0)
			types |= t.dpdk;
	return types;
}

static int set_types_and_key(Port& port, RssWanted& wanted, const rte_eth_rss_conf& conf)
{
	const uint64_t supported = rss_types_of(port.session.info().rss.hash_types);
	if ((conf.rss_hf & ~supported) != 0) {
		char text[96];
		std::snprintf(text, sizeof(text), "types 0x%" PRIx64 " of the host's 0x%" PRIx64,
			      conf.rss_hf, supported);
		return failed(port, "set the RSS hash types", {EINVAL, text});
	}
	wanted.types = conf.rss_hf;
	if (conf.rss_key == nullptr)
		return 0;
	if (conf.rss_key_len != ndis::kRssKeySize)
		return failed(port, "set the RSS key",
			      {EINVAL, "the key has " + std::to_string(conf.rss_key_len) +
					       " bytes, not " + std::to_string(ndis::kRssKeySize)});
	std::copy_n(conf.rss_key, ndis::kRssKeySize, wanted.key.begin());
	return 0;
}

int configure_rss(Port& port)
{
	const rte_eth_dev_data& data = *port.ethdev->data;
	RssWanted wanted;
	if ((data.dev_conf.rxmode.mq_mode & RTE_ETH_MQ_RX_RSS_FLAG) != 0)
		if (const int rc =
			    set_types_and_key(port, wanted, data.dev_conf.rx_adv_conf.rss_conf))
			return rc;
	wanted.table_size = static_cast<uint16_t>(port.session.info().rss.table_size);
	for (size_t i = 0; i < wanted.table_size && data.nb_rx_queues != 0; i++)
		wanted.table[i] = static_cast<uint16_t>(i % data.nb_rx_queues);
	port.rss = wanted;
	return 0;
}

std::vector<uint16_t> running_table(const Port& port)
{
	const rte_eth_dev_data& data = *port.ethdev->data;
	std::vector<uint16_t> running;
	for (uint16_t i = 0; i < data.nb_rx_queues; i++)
		if (runs(data, i))
			running.push_back(i);
	std::vector<uint16_t> table(port.rss.table.begin(),
				    port.rss.table.begin() + port.rss.table_size);
	if (running.empty())
		return {};
	for (size_t i = 0; i < table.size(); i++)
		if (!runs(data, table[i]))
			table[i] = running[i % running.size()];
	return table;
}

Error apply_rss(Port& port)
{
	RssConfig config;
	config.key = port.rss.key;
	config.table = running_table(port);
	config.hash_types = config.table.empty() ? 0 : host_types(port.rss.types);
	Error error = port.session.set_rss(config);
	if (!error)
		port.vf.set_rss(config.table);
	return error;
}

int rss_hash_update(rte_eth_dev* dev, rte_eth_rss_conf* conf)
{
	Port& port = port_of(dev);
	RssWanted wanted = port.rss;
	if (const int rc = set_types_and_key(port, wanted, *conf))
		return rc;
	return change(port, "update RSS", std::move(wanted));
}

int rss_hash_conf_get(rte_eth_dev* dev, rte_eth_rss_conf* conf)
{
	const RssWanted& rss = shared_of(dev).rss;
	conf->rss_hf = rss.types;
	if (conf->rss_key != nullptr && conf->rss_key_len >= ndis::kRssKeySize)
		std::copy(rss.key.begin(), rss.key.end(), conf->rss_key);
	conf->rss_key_len = ndis::kRssKeySize;
	return 0;
}

int reta_update(rte_eth_dev* dev, rte_eth_rss_reta_entry64* entries, uint16_t size)
{
	Port& port = port_of(dev);
	RssWanted wanted = port.rss;
	if (size != wanted.table_size)
		return failed(port, "update the redirection table",
			      {EINVAL, "it has " + std::to_string(wanted.table_size) +
					       " entries, not " + std::to_string(size)});
	for (uint16_t i = 0; i < size; i++) {
		const rte_eth_rss_reta_entry64& e = entries[i / RTE_ETH_RETA_GROUP_SIZE];
		const uint32_t bit = i % RTE_ETH_RETA_GROUP_SIZE;
		if ((e.mask >> bit & 1) == 0)
			continue;
		const uint16_t queue = e.reta[bit];
		if (queue >= dev->data->nb_rx_queues || (port.running && !runs(*dev->data, queue)))
			return failed(port, "update the redirection table",
				      {EINVAL, "queue " + std::to_string(queue) + " does not run"});
		wanted.table[i] = queue;
	}
	return change(port, "update the redirection table", std::move(wanted));
}

int reta_query(rte_eth_dev* dev, rte_eth_rss_reta_entry64* entries, uint16_t size)
{
	const RssWanted& rss = shared_of(dev).rss;
	if (size != rss.table_size)
		return -EINVAL;
	for (uint16_t i = 0; i < size; i++) {
		rte_eth_rss_reta_entry64& e = entries[i / RTE_ETH_RETA_GROUP_SIZE];
		const uint32_t bit = i % RTE_ETH_RETA_GROUP_SIZE;
		if ((e.mask >> bit & 1) != 0)
			e.reta[bit] = rss.table[i];
	}
	return 0;
}

} // namespace netvsc
