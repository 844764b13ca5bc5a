/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VF is configured as the port is.
 *
 * Applications know of the port only. What they were promised, the VF must do as well: transmit
 * offloads that they configured, tags taken out, frames that need several mbufs. A VF that cannot
 * is not used. What says more about a received frame (checksums, hash, packet type) may be missing:
 * mbufs can say so.
 */
#include "netvsc.hpp"

namespace netvsc {

using vmbus::Error;

namespace {

Error failure(const char* what, int rc)
{
	return {-rc, std::string(what) + ": " + rte_strerror(-rc)};
}

/* What the port asks for and the VF lacks. */
Error compare(const rte_eth_dev_data& data, const rte_eth_dev_info& info)
{
	if (data.dev_conf.intr_conf.rxq != 0)
		return {ENOTSUP, "nothing would wake who sleeps on the port's interrupts"};
	if (const uint64_t lacks = data.dev_conf.txmode.offloads & ~info.tx_offload_capa)
		return {ENOTSUP, std::string("it lacks the transmit offload ") +
					 rte_eth_dev_tx_offload_name(lacks & -lacks)};
	uint64_t needed = data.dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	if (data.scattered_rx != 0)
		needed |= RTE_ETH_RX_OFFLOAD_SCATTER;
	if (const uint64_t lacks = needed & ~info.rx_offload_capa)
		return {ENOTSUP, std::string("it lacks the receive offload ") +
					 rte_eth_dev_rx_offload_name(lacks & -lacks)};
	if (data.mtu < info.min_mtu || data.mtu > info.max_mtu)
		return {ENOTSUP, "its MTU is at most " + std::to_string(info.max_mtu)};
	return {};
}

rte_eth_rss_conf rss_conf(Port& port, const rte_eth_dev_info& info)
{
	rte_eth_rss_conf conf{};
	conf.rss_hf = port.rss.types & info.flow_type_rss_offloads;
	if (info.hash_key_size == ndis::kRssKeySize) {
		conf.rss_key = port.rss.key.data();
		conf.rss_key_len = ndis::kRssKeySize;
	}
	return conf;
}

rte_eth_conf configuration(Port& port, const rte_eth_dev_info& info)
{
	const rte_eth_dev_data& data = *port.ethdev->data;
	rte_eth_conf conf{};
	conf.rxmode.mtu = data.mtu;
	conf.rxmode.offloads = data.dev_conf.rxmode.offloads & info.rx_offload_capa;
	conf.rxmode.max_lro_pkt_size =
		std::min(data.dev_conf.rxmode.max_lro_pkt_size, info.max_lro_pkt_size);
	conf.txmode.offloads = data.dev_conf.txmode.offloads;
	conf.rx_adv_conf.rss_conf = rss_conf(port, info);
	if (conf.rx_adv_conf.rss_conf.rss_hf != 0)
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	/* The hash of another key would be no use to the application. */
	if (conf.rx_adv_conf.rss_conf.rss_hf == 0 || conf.rx_adv_conf.rss_conf.rss_key == nullptr)
		conf.rxmode.offloads &= ~RTE_ETH_RX_OFFLOAD_RSS_HASH;
	return conf;
}

Error set_up_queues(Port& port, uint16_t vf, const rte_eth_conf& conf, const rte_eth_dev_info& info,
		    const VfSetup& setup)
{
	const rte_eth_dev_data& data = *port.ethdev->data;
	const auto socket = static_cast<unsigned int>(rte_eth_dev_socket_id(vf));
	for (uint16_t i = 0; i < setup.rx_queues; i++) {
		rte_eth_rxconf rx = info.default_rxconf;
		rx.offloads = conf.rxmode.offloads;
		rx.rx_deferred_start = 0;
		if (const int rc = rte_eth_rx_queue_setup(vf, i, setup.rx_descriptors, socket, &rx,
							  rx_queue(data, i)->pool))
			return failure("a receive queue is not set up", rc);
	}
	for (uint16_t i = 0; i < setup.tx_queues; i++) {
		rte_eth_txconf tx = info.default_txconf;
		tx.offloads = conf.txmode.offloads;
		tx.tx_deferred_start = 0;
		if (const int rc = rte_eth_tx_queue_setup(vf, i, setup.tx_descriptors, socket, &tx))
			return failure("a transmit queue is not set up", rc);
	}
	return {};
}

} // namespace

void set_vf_modes(Port& port, uint16_t vf, bool promiscuous, bool all_multicast)
{
	const int rc =
		promiscuous ? rte_eth_promiscuous_enable(vf) : rte_eth_promiscuous_disable(vf);
	if (rc != 0 && promiscuous)
		NETVSC_LOG(WARNING, "%s: its VF, port %u, has no promiscuous mode: %s",
			   port.name().c_str(), vf, rte_strerror(-rc));
	/* The host sends multicasts by its NIC: a VF without this mode is none the worse. */
	(void)(all_multicast ? rte_eth_allmulticast_enable(vf) : rte_eth_allmulticast_disable(vf));
}

void set_vf_rss(Port& port, uint16_t vf, const VfSetup& setup, const std::vector<uint16_t>& table)
{
	rte_eth_dev_info info{};
	if ((rte_eth_devices[vf].data->dev_conf.rxmode.mq_mode & RTE_ETH_MQ_RX_RSS_FLAG) == 0 ||
	    rte_eth_dev_info_get(vf, &info) != 0)
		return; /* it has none that the application wants */
	rte_eth_rss_conf conf = rss_conf(port, info);
	int rc = rte_eth_dev_rss_hash_update(vf, &conf);
	if (rc == 0 && conf.rss_hf != 0 && info.reta_size != 0 && !table.empty()) {
		std::vector<rte_eth_rss_reta_entry64> entries(
			(info.reta_size + RTE_ETH_RETA_GROUP_SIZE - 1) / RTE_ETH_RETA_GROUP_SIZE);
		for (uint32_t i = 0; i < info.reta_size; i++) {
			rte_eth_rss_reta_entry64& e = entries[i / RTE_ETH_RETA_GROUP_SIZE];
			e.mask |= UINT64_C(1) << (i % RTE_ETH_RETA_GROUP_SIZE);
			e.reta[i % RTE_ETH_RETA_GROUP_SIZE] =
				table[i % table.size()] % setup.rx_queues;
		}
		rc = rte_eth_dev_rss_reta_update(vf, entries.data(), info.reta_size);
	}
	if (rc != 0)
		NETVSC_LOG(WARNING, "%s: its VF, port %u, spreads frames in its own way: %s",
			   port.name().c_str(), vf, rte_strerror(-rc));
}

Error set_up_vf(Port& port, uint16_t vf, VfSetup& out)
{
	const rte_eth_dev_data& data = *port.ethdev->data;
	rte_eth_dev_info info{};
	if (const int rc = rte_eth_dev_info_get(vf, &info))
		return failure("it tells nothing", rc);
	if (Error error = compare(data, info))
		return error;
	rte_eth_conf conf = configuration(port, info);
	const uint32_t flags = *info.dev_flags;
	conf.intr_conf.rmv = (flags & RTE_ETH_DEV_INTR_RMV) != 0;
	conf.intr_conf.lsc = (flags & RTE_ETH_DEV_INTR_LSC) != 0;
	out.rx_queues = std::min(data.nb_rx_queues, info.max_rx_queues);
	out.tx_queues = std::min(data.nb_tx_queues, info.max_tx_queues);
	if (const int rc = rte_eth_dev_configure(vf, out.rx_queues, out.tx_queues, &conf))
		return failure("it does not take the configuration", rc);
	out.rx_descriptors = data.nb_rx_queues != 0 ? rx_queue(data, 0)->descriptors : 0;
	out.tx_descriptors = data.nb_tx_queues != 0 ? tx_queue(data, 0)->descriptors : 0;
	if (const int rc =
		    rte_eth_dev_adjust_nb_rx_tx_desc(vf, &out.rx_descriptors, &out.tx_descriptors))
		return failure("it takes no queues", rc);
	if (Error error = set_up_queues(port, vf, conf, info, out))
		return error;
	set_vf_modes(port, vf, data.promiscuous != 0, data.all_multicast != 0);
	if (const int rc = rte_eth_dev_start(vf))
		return failure("it does not start", rc);
	set_vf_rss(port, vf, out, running_table(port));
	for (uint16_t i = 0; i < out.rx_queues; i++)
		if (data.rx_queue_state[i] != RTE_ETH_QUEUE_STATE_STARTED)
			rte_eth_dev_rx_queue_stop(vf, i);
	return {};
}

} // namespace netvsc
