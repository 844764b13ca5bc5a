/* SPDX-License-Identifier: BSD-3-Clause */
/* A port's life: probe, configure, start, stop, close. */
#include <mutex>

#include "lro.hpp"
#include "netvsc.hpp"
#include "vmbus/guid.hpp"

RTE_LOG_REGISTER(netvsc_logtype, pmd.net.netvsc, NOTICE)

namespace netvsc {

using vmbus::Error;
using vmbus::bus::BusDevice;

int failed(const Port& port, const char* doing, const Error& error)
{
	NETVSC_LOG(ERR, "%s: %s: %s", port.name().c_str(), doing, error.what.c_str());
	return -error.code;
}

Error reconnect(Port& port, uint32_t mtu)
{
	drop_pipelines(port);
	if (port.gone)
		return {ENODEV, "the device is gone"};
	Error error = port.session.connect(port.session_config(mtu));
	if (error || !port.mac_changed)
		return error;
	const auto mac = std::to_array(port.mac.addr_bytes);
	return port.session.info().mac == mac ? Error{} : port.session.set_mac(mac);
}

static int configure(rte_eth_dev* dev)
{
	/* The MTU of the configuration is agreed with the host here; ethdev calls no mtu_set. */
	if (const int rc = mtu_set(dev, dev->data->mtu))
		return rc;
	return configure_rss(port_of(dev));
}

static int info_get(rte_eth_dev* dev, rte_eth_dev_info* info)
{
	const Port& port = port_of(dev);
	info->min_mtu = kMinMtu;
	info->max_mtu = port.session.info().nvsp_version >= nvsp::kVersion2 ? kMaxMtu : 1500;
	info->min_rx_bufsize = 64;
	info->max_rx_pktlen = info->max_mtu + kEthernetHeader + kVlanTag;
	info->max_lro_pkt_size = kMaxJoined;
	const RssCapabilities& rss = port.session.info().rss;
	info->max_rx_queues = info->max_tx_queues = static_cast<uint16_t>(rss.queues);
	info->reta_size = static_cast<uint16_t>(rss.table_size);
	info->hash_key_size = rss.table_size != 0 ? kRssKeySize : 0;
	info->flow_type_rss_offloads = rss_types_of(rss.hash_types);
	info->max_mac_addrs = 1;
	info->rx_offload_capa = rx_offloads_of(port.session.info());
	info->rx_queue_offload_capa = 0;
	info->tx_offload_capa = tx_offloads_of(port.session.info());
	info->rx_desc_lim = {kMaxDescriptors, kMinDescriptors, 1, 0, 0};
	info->tx_desc_lim = {kMaxDescriptors, kMinDescriptors, 1, UINT16_MAX, UINT16_MAX};
	info->default_rxportconf = {32, kDefaultDescriptors, 1};
	info->default_txportconf = {32, kDefaultDescriptors, 1};
	info->speed_capa = RTE_ETH_LINK_SPEED_FIXED;
	return 0;
}

static int start(rte_eth_dev* dev)
{
	Port& port = port_of(dev);
	if (port.gone)
		return failed(port, "start", {ENODEV, "the device is gone"});
	const uint32_t queues = std::max(dev->data->nb_rx_queues, dev->data->nb_tx_queues);
	Error error;
	if (!port.session.connected())
		error = reconnect(port, dev->data->mtu);
	if (!error)
		error = port.session.open_queues(queues);
	if (!error && port.session.queue_count() < queues)
		error = {ENOTSUP, "the host grants " + std::to_string(port.session.queue_count()) +
					  " channels, not " + std::to_string(queues)};
	if (!error)
		error = build_pipelines(port);
	if (error)
		return failed(port, "start", error);
	/* Frames of several mbufs where one does not take the longest. */
	dev->data->scattered_rx = 0;
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		const auto* q = static_cast<RxQueue*>(dev->data->rx_queues[i]);
		if (q->room >= port.session.info().mtu + kEthernetHeader + kVlanTag)
			continue;
		if (!q->scatter)
			return failed(port, "start",
				      {EINVAL, "the MTU does not fit the mbufs: set it lower, or "
					       "use RTE_ETH_RX_OFFLOAD_SCATTER"});
		dev->data->scattered_rx = 1;
	}
	select_burst_functions(port);
	start_queues(port);
	port.running = true;
	error = open_interrupts(port);
	if (!error)
		error = apply_rss(port);
	if (!error)
		error = apply_offloads(port);
	if (!error)
		error = apply_filter(port);
	if (!error)
		error = port.session.query_link();
	if (error) {
		port.running = false;
		stop_queues(port);
		close_interrupts(port);
		return failed(port, "start", error);
	}
	link_update(dev, 0);
	return 0;
}

static int stop(rte_eth_dev* dev)
{
	Port& port = port_of(dev);
	port.running = false;
	stop_queues(port);
	close_interrupts(port);
	link_update(dev, 0);
	if (port.gone || !port.session.connected())
		return 0;
	Error error = apply_filter(port);
	if (error)
		failed(port, "stop", error);
	if (error || !drain(port, kDrainTimeout)) {
		NETVSC_LOG(WARNING, "%s: the host does not complete what was sent: connecting anew",
			   port.name().c_str());
		if ((error = reconnect(port, dev->data->mtu)))
			failed(port, "connect anew", error);
		return 0;
	}
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		discard(*rx_queue(*dev->data, i));
	return 0;
}

/* A new conversation with the host, as after probing: for ports whose host went silent. */
static int reset(rte_eth_dev* dev)
{
	Port& port = port_of(dev);
	Error error = reconnect(port, dev->data->mtu);
	return error ? failed(port, "reset", error) : 0;
}

static int close(rte_eth_dev* dev)
{
	/*
	 * Applications close a removed port on the interrupt thread, and all ports when they end:
	 * dpdk-testpmd does both at once if the user quits just then. The second one waits, and
	 * finds nothing to do.
	 */
	static std::mutex closing;
	std::lock_guard lock(closing);
	auto* port = static_cast<Port*>(dev->process_private);
	if (port == nullptr)
		return 0;
	unwatch_session(*port);
	telemetry_remove(*port);
	drop_pipelines(*port);
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		rx_queue_release(dev, i);
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
		tx_queue_release(dev, i);
	dev->intr_handle = nullptr;
	rte_intr_instance_free(port->interrupts);
	dev->data->mac_addrs = nullptr; /* part of the port */
	dev->data->dev_private = nullptr;
	dev->process_private = nullptr;
	BusDevice& device = port->bus_device;
	delete port;
	device.driver_data = nullptr; /* the bus may drop the device at once */
	return 0;
}

static constexpr eth_dev_ops make_ops()
{
	eth_dev_ops ops{};
	ops.dev_configure = configure;
	ops.dev_start = start;
	ops.dev_stop = stop;
	ops.dev_close = close;
	ops.dev_reset = reset;
	ops.fw_version_get = fw_version_get;
	ops.dev_infos_get = info_get;
	ops.rx_queue_setup = rx_queue_setup;
	ops.rx_queue_release = rx_queue_release;
	ops.tx_queue_setup = tx_queue_setup;
	ops.tx_queue_release = tx_queue_release;
	ops.rx_queue_start = rx_queue_start;
	ops.rx_queue_stop = rx_queue_stop;
	ops.tx_queue_start = tx_queue_start;
	ops.tx_queue_stop = tx_queue_stop;
	ops.rx_queue_intr_enable = rx_interrupt_enable;
	ops.rx_queue_intr_disable = rx_interrupt_disable;
	ops.rxq_info_get = rxq_info_get;
	ops.txq_info_get = txq_info_get;
	ops.rx_burst_mode_get = rx_burst_mode_get;
	ops.tx_burst_mode_get = tx_burst_mode_get;
	ops.tx_done_cleanup = tx_done_cleanup;
	ops.dev_supported_ptypes_get = supported_ptypes_get;
	ops.dev_ptypes_set = ptypes_set;
	ops.rss_hash_update = rss_hash_update;
	ops.rss_hash_conf_get = rss_hash_conf_get;
	ops.reta_update = reta_update;
	ops.reta_query = reta_query;
	ops.promiscuous_enable = promiscuous_enable;
	ops.promiscuous_disable = promiscuous_disable;
	ops.allmulticast_enable = allmulticast_enable;
	ops.allmulticast_disable = allmulticast_disable;
	ops.mtu_set = mtu_set;
	ops.mac_addr_set = mac_addr_set;
	ops.vlan_offload_set = vlan_offload_set;
	ops.link_update = link_update;
	ops.stats_get = stats_get;
	ops.stats_reset = stats_reset;
	ops.xstats_get = xstats_get;
	ops.xstats_get_names = xstats_get_names;
	ops.xstats_reset = stats_reset;
	return ops;
}

constinit const eth_dev_ops kOps = make_ops();

static int probe(BusDevice& device)
{
	auto port = std::make_unique<Port>(device);
	if (Error error = parse_args(device.args, port->args))
		return failed(*port, "device arguments", error);
	if (Error error = port->session.connect(port->session_config(RTE_ETHER_MTU)))
		return failed(*port, "connect to the host", error);
	rte_eth_dev* dev = rte_eth_dev_allocate(device.name.c_str());
	if (dev == nullptr)
		return failed(*port, "make a port",
			      {ENOMEM, "ethdev has no room or the name is taken"});
	const HostInfo& info = port->session.info();
	std::memcpy(port->mac.addr_bytes, info.mac.data(), info.mac.size());
	port->ethdev = dev;
	dev->device = device.parent;
	dev->dev_ops = &kOps;
	dev->tx_pkt_prepare = tx_prepare;
	dev->rx_queue_count = rx_queue_count;
	dev->rx_descriptor_status = rx_descriptor_status;
	dev->tx_descriptor_status = tx_descriptor_status;
	dev->process_private = port.get();
	dev->data->mac_addrs = &port->mac;
	dev->data->mtu = static_cast<uint16_t>(info.mtu);
	dev->data->dev_flags |=
		RTE_ETH_DEV_INTR_LSC | RTE_ETH_DEV_INTR_RMV | RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
	dev->data->numa_node = device.device->numa_node();
	device.driver_data = port.get();
	watch_session(*port);
	telemetry_add(*port);
	NETVSC_LOG(INFO, "%s: NVSP 0x%x, NDIS %u.%u, MTU %u, %u send sections of %u bytes",
		   device.name.c_str(), info.nvsp_version, info.ndis_major, info.ndis_minor,
		   info.mtu, info.section_count, info.section_size);
	port.release();
	rte_eth_dev_probing_finish(dev);
	return 0;
}

static void remove(BusDevice& device)
{
	auto* port = static_cast<Port*>(device.driver_data.load());
	if (port == nullptr)
		return; /* the application closed the port already */
	const uint16_t id = port->ethdev->data->port_id;
	rte_eth_dev_stop(id); /* ethdev closes no port that runs */
	rte_eth_dev_close(id);
}

static void gone(BusDevice& device)
{
	auto* port = static_cast<Port*>(device.driver_data.load());
	if (port != nullptr)
		device_gone(*port);
}

static const vmbus::bus::Driver kDriver = {
	vmbus::kNetvscClass, "net_netvsc", probe, remove, gone, kArgKeys};

RTE_INIT(register_netvsc)
{
	vmbus::bus::register_driver(kDriver);
}

} // namespace netvsc

RTE_PMD_REGISTER_PARAM_STRING(net_netvsc, "rx_copybreak=<0-65535> tx_copybreak=<0-65535> "
					  "rx_extmbuf_enable=<0|1> max_nvsp=<1|2|4|5|6|6.1>");
NETVSC_EXPORT_NAME(net_netvsc, __COUNTER__);
