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
	if (Error error = close_gates(port))
		return error;
	drop_pipelines(port);
	port.damaged = false;
	if (port.gone)
		return {ENODEV, "the device is gone"};
	port.vf.reconnected();
	Error error = port.session.connect(port.session_config(mtu));
	const auto mac = std::to_array(port.mac.addr_bytes);
	if (!error && port.mac_changed && port.session.info().mac != mac)
		error = port.session.set_mac(mac);
	port.shared.host = port.session.info();
	return error;
}

/* The ports of this process, which is the primary. */
static void all_ports(const std::function<void(std::vector<Port*>&)>& what)
{
	static std::mutex mutex;
	static auto* ports = new std::vector<Port*>; /* EAL ends after static destructors */
	std::lock_guard lock(mutex);
	what(*ports);
}

void mark_damaged(const SharedPort& memory)
{
	all_ports([&](const std::vector<Port*>& ports) {
		for (Port* port : ports)
			if (&port->shared == &memory) {
				port->damaged = true;
				port->events.fetch_or(kDamagedEvent);
				schedule_events(*port);
			}
	});
}

/* Other processes may take the port over from now on. */
static void share(Port& port, const rte_eth_dev& dev)
{
	SharedPort& shared = port.shared;
	shared.host = port.session.info();
	std::snprintf(shared.name, sizeof(shared.name), "%s", dev.data->name);
	std::snprintf(shared.device, sizeof(shared.device), "%s", dev.device->name);
	for (RxQueue& q : shared.rx)
		q.port_id = dev.data->port_id;
	for (TxQueue& q : shared.tx)
		q.port_id = dev.data->port_id;
	all_ports([&port](std::vector<Port*>& ports) { ports.push_back(&port); });
	shared.open = true;
}

static int configure(rte_eth_dev* dev)
{
	/* The MTU of the configuration is agreed with the host here; ethdev calls no mtu_set. */
	if (const int rc = mtu_set(dev, dev->data->mtu))
		return rc;
	return configure_rss(port_of(dev));
}

int info_get(rte_eth_dev* dev, rte_eth_dev_info* info)
{
	const HostInfo& host = shared_of(dev).host;
	info->min_mtu = kMinMtu;
	info->max_mtu = static_cast<uint16_t>(host.max_mtu);
	info->min_rx_bufsize = 64;
	info->max_rx_pktlen = info->max_mtu + kEthernetHeader + kVlanTag;
	info->max_lro_pkt_size = kMaxJoined;
	const RssCapabilities& rss = host.rss;
	info->max_rx_queues = info->max_tx_queues = static_cast<uint16_t>(rss.queues);
	info->reta_size = static_cast<uint16_t>(rss.table_size);
	info->hash_key_size = rss.table_size != 0 ? ndis::kRssKeySize : 0;
	info->flow_type_rss_offloads = rss_types_of(rss.hash_types);
	info->max_mac_addrs = 1;
	info->rx_offload_capa = rx_offloads_of(host);
	info->rx_queue_offload_capa = 0;
	info->tx_offload_capa = tx_offloads_of(host);
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
	begin_generation(port);
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
	port.vf.schedule();
	return 0;
}

static int stop(rte_eth_dev* dev)
{
	Port& port = port_of(dev);
	Error error = close_gates(port);
	if (error && !port.gone) {
		resume_queues(port);
		return failed(port, "stop", error);
	}
	port.running = false;
	stop_queues(port);
	close_interrupts(port);
	port.vf.stop();
	link_update(dev, 0);
	if (port.gone || !port.session.connected())
		return 0;
	if (!port.damaged && (error = apply_filter(port)))
		failed(port, "stop", error);
	if (port.damaged) {
		NETVSC_LOG(WARNING, "%s: a process died in a burst: connecting anew",
			   port.name().c_str());
		if ((error = reconnect(port, dev->data->mtu)))
			failed(port, "connect anew", error);
		return 0;
	}
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
	all_ports([port](std::vector<Port*>& ports) { std::erase(ports, port); });
	unwatch_session(*port);
	telemetry_remove(*port);
	port->vf.close();
	if (Error error = close_gates(*port))
		failed(*port, "close", error);
	end_sharing(*port);
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
	eth_dev_ops ops = query_ops();
	ops.dev_configure = configure;
	ops.dev_start = start;
	ops.dev_stop = stop;
	ops.dev_close = close;
	ops.dev_reset = reset;
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
	ops.tx_done_cleanup = tx_done_cleanup<OwnGate>;
	ops.dev_ptypes_set = ptypes_set;
	ops.rss_hash_update = rss_hash_update;
	ops.reta_update = reta_update;
	ops.promiscuous_enable = promiscuous_enable;
	ops.promiscuous_disable = promiscuous_disable;
	ops.allmulticast_enable = allmulticast_enable;
	ops.allmulticast_disable = allmulticast_disable;
	ops.mtu_set = mtu_set;
	ops.mac_addr_set = mac_addr_set;
	ops.vlan_offload_set = vlan_offload_set;
	ops.link_update = link_update;
	return ops;
}

constinit const eth_dev_ops kOps = make_ops();

static int probe(BusDevice& device)
{
	PortArgs args;
	if (Error error = parse_args(device.args, args)) {
		NETVSC_LOG(ERR, "%s: device arguments: %s", device.name.c_str(),
			   error.what.c_str());
		return -error.code;
	}
	const int node = Port::node_of(device, args);
	SharedPort* shared = take_shared_port(node);
	if (shared == nullptr) {
		NETVSC_LOG(ERR, "%s: no memory for a port", device.name.c_str());
		return -ENOMEM;
	}
	auto port = std::make_unique<Port>(device, *shared, node);
	port->args = args;
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
	dev->rx_queue_count = rx_queue_count<OwnGate>;
	dev->rx_descriptor_status = rx_descriptor_status<OwnGate>;
	dev->tx_descriptor_status = tx_descriptor_status<OwnGate>;
	dev->process_private = port.get();
	dev->data->dev_private = shared;
	dev->data->mac_addrs = &port->mac;
	dev->data->mtu = static_cast<uint16_t>(info.mtu);
	dev->data->dev_flags |=
		RTE_ETH_DEV_INTR_LSC | RTE_ETH_DEV_INTR_RMV | RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
	dev->data->numa_node = port->numa_node();
	if (Error error = watch_session(*port)) {
		unwatch_session(*port);
		dev->data->mac_addrs = nullptr; /* part of the port */
		dev->data->dev_private = nullptr;
		rte_eth_dev_release_port(dev);
		return failed(*port, "watch the host", error);
	}
	device.driver_data = port.get();
	share(*port, *dev);
	telemetry_add(*port);
	NETVSC_LOG(INFO, "%s: NVSP 0x%x, NDIS %u.%u, MTU %u, %u send sections of %u bytes",
		   device.name.c_str(), info.nvsp_version, info.ndis_major, info.ndis_minor,
		   info.mtu, info.section_count, info.section_size);
	if (device.copies_only)
		NETVSC_LOG(NOTICE,
			   "%s: the host reaches no memory of the application's: all frames are "
			   "copied, MTU up to %u, no TSO",
			   device.name.c_str(), info.max_mtu);
	if (Error error = port->vf.open())
		failed(*port, "look for virtual functions", error);
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
	.class_id = vmbus::kNetvscClass,
	.name = "net_netvsc",
	.probe = probe,
	.remove = remove,
	.gone = gone,
	.arg_keys = kArgKeys,
	.process_left = process_left,
	.joined = joined_as,
	.attach = attach_ports,
	.detach = detach_ports,
	.refresh = refresh_ports,
	.lose = lose_ports,
};

RTE_INIT(register_netvsc)
{
	vmbus::bus::register_driver(kDriver);
}

} // namespace netvsc

RTE_PMD_REGISTER_PARAM_STRING(net_netvsc,
			      "rx_copybreak=<0-65535> tx_copybreak=<0-65535> "
			      "rx_extmbuf_enable=<0|1> latency=<0-6553> numa_aware=<0|1> "
			      "max_nvsp=<1|2|4|5|6|6.1>");
NETVSC_EXPORT_NAME(net_netvsc, __COUNTER__);
