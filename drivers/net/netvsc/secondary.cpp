/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports in secondary processes: the primary's, with what it has in shared memory. Such a process
 * bursts on queues, counts and asks; what changes a port is the primary's.
 */
#include <mutex>

#include "netvsc.hpp"

namespace netvsc {

namespace {

struct Attached {
	rte_eth_dev* dev;
	SharedPort* port;
	rte_eth_link link; /* that the application knows of */
};

struct State {
	std::recursive_mutex mutex; /* the application's callbacks may close ports */
	std::vector<Attached> ports;
	std::vector<rte_device*> parents;
};

/* Never destroyed: EAL ends after static destructors. */
State& state()
{
	static auto* s = new State;
	return *s;
}

uint16_t no_burst(void*, rte_mbuf**, uint16_t)
{
	return 0;
}

int refuse(const rte_eth_dev* dev)
{
	NETVSC_LOG(ERR, "%s: only the primary process may change the port", dev->data->name);
	return -ENOTSUP;
}

int refuse_mode(rte_eth_dev* dev)
{
	return refuse(dev);
}

int refuse_mtu(rte_eth_dev* dev, uint16_t)
{
	return refuse(dev);
}

int refuse_mac(rte_eth_dev* dev, rte_ether_addr*)
{
	return refuse(dev);
}

/* The primary keeps the link in ethdev's data. */
int link_update(rte_eth_dev*, int)
{
	return 0;
}

/* Bursts of threads that know nothing of it yet find nothing. */
void let_go(const Attached& a)
{
	const uint16_t id = a.dev->data->port_id;
	vmbus::store_relaxed(&taken_over[id], 0u);
	a.dev->rx_pkt_burst = a.dev->tx_pkt_burst = no_burst;
	rte_eth_fp_ops[id].rx_pkt_burst = no_burst;
	rte_eth_fp_ops[id].tx_pkt_burst = no_burst;
	std::atomic_thread_fence(std::memory_order_seq_cst);
}

int close(rte_eth_dev* dev)
{
	State& s = state();
	std::lock_guard lock(s.mutex);
	std::erase_if(s.ports, [dev](const Attached& a) {
		if (a.dev != dev)
			return false;
		let_go(a);
		return true;
	});
	return 0;
}

constexpr eth_dev_ops make_ops()
{
	/* No start, stop and configuration: ethdev does something of its own before it asks. */
	eth_dev_ops ops = query_ops();
	ops.dev_close = close;
	ops.tx_done_cleanup = tx_done_cleanup<ForeignGate>;
	ops.link_update = link_update;
	ops.promiscuous_enable = refuse_mode;
	ops.promiscuous_disable = refuse_mode;
	ops.allmulticast_enable = refuse_mode;
	ops.allmulticast_disable = refuse_mode;
	ops.mtu_set = refuse_mtu;
	ops.mac_addr_set = refuse_mac;
	return ops;
}

constinit const eth_dev_ops kSecondaryOps = make_ops();

/* As the primary has it now. */
void take_over(Attached& a)
{
	rte_eth_dev* dev = a.dev;
	const uint16_t id = dev->data->port_id;
	auto& ops = rte_eth_fp_ops[id];
	dev->rx_pkt_burst = rx_burst_of(a.port->bursts, true);
	dev->tx_pkt_burst = tx_burst_of(a.port->bursts, true);
	/* ethdev's own tables have holes while the primary sets queues up. */
	ops.rxq.data = a.port->rx_table.data();
	ops.txq.data = a.port->tx_table.data();
	std::atomic_thread_fence(std::memory_order_seq_cst);
	ops.rx_pkt_burst = dev->rx_pkt_burst;
	ops.tx_pkt_burst = dev->tx_pkt_burst;
	ops.tx_pkt_prepare = dev->tx_pkt_prepare;
	ops.rx_queue_count = dev->rx_queue_count;
	ops.rx_descriptor_status = dev->rx_descriptor_status;
	ops.tx_descriptor_status = dev->tx_descriptor_status;
	vmbus::store_seq_cst(&taken_over[id], a.port->generation.load());
}

bool attach_one(SharedPort& port, rte_device& parent)
{
	rte_eth_dev* dev = rte_eth_dev_attach_secondary(port.name);
	if (dev == nullptr)
		return false;
	dev->device = &parent;
	dev->dev_ops = &kSecondaryOps;
	dev->tx_pkt_prepare = tx_prepare;
	dev->rx_queue_count = rx_queue_count<ForeignGate>;
	dev->rx_descriptor_status = rx_descriptor_status<ForeignGate>;
	dev->tx_descriptor_status = tx_descriptor_status<ForeignGate>;
	Attached a{dev, &port, dev->data->dev_link};
	take_over(a);
	state().ports.push_back(a);
	rte_eth_dev_probing_finish(dev); /* has bursts find ethdev's tables */
	take_over(a);
	return true;
}

/* @return how many ports the parent has; negative: one cannot be taken over */
int attach_new(rte_device& parent)
{
	State& s = state();
	SharedPorts* ports = shared_ports();
	int count = 0;
	if (ports == nullptr)
		return 0;
	for (auto& slot : ports->ports) {
		SharedPort* port = slot.load();
		if (port == nullptr || !port->open || std::strcmp(port->device, parent.name) != 0)
			continue;
		const bool known = std::any_of(s.ports.begin(), s.ports.end(),
					       [port](const auto& a) { return a.port == port; });
		if (!known && !attach_one(*port, parent))
			return -ENODEV;
		count++;
	}
	return count;
}

void release(const Attached& a)
{
	const uint16_t id = a.dev->data->port_id;
	let_go(a);
	rte_eth_dev_release_port(a.dev);
	/* Instead of ethdev's, which complain of threads that do not know yet. */
	rte_eth_fp_ops[id].rx_pkt_burst = no_burst;
	rte_eth_fp_ops[id].tx_pkt_burst = no_burst;
}

void release_if(const std::function<bool(const Attached&)>& which)
{
	State& s = state();
	std::vector<Attached> gone;
	std::erase_if(s.ports, [&](const Attached& a) {
		if (!which(a))
			return false;
		gone.push_back(a);
		return true;
	});
	for (const Attached& a : gone)
		release(a);
}

} // namespace

void joined_as(uint32_t id)
{
	vmbus::store_seq_cst(&process_id, id);
}

int attach_ports(rte_device& parent)
{
	State& s = state();
	std::lock_guard lock(s.mutex);
	const int count = attach_new(parent);
	if (count > 0)
		s.parents.push_back(&parent);
	return count;
}

void detach_ports(rte_device& parent)
{
	State& s = state();
	std::lock_guard lock(s.mutex);
	std::erase(s.parents, &parent);
	release_if([&parent](const Attached& a) { return a.dev->device == &parent; });
}

void refresh_ports()
{
	State& s = state();
	std::lock_guard lock(s.mutex);
	release_if([](const Attached& a) { return !a.port->open; });
	std::vector<uint16_t> changed;
	for (Attached& a : s.ports) {
		take_over(a);
		const rte_eth_link now = a.dev->data->dev_link;
		if (std::memcmp(&now, &a.link, sizeof(now)) != 0)
			changed.push_back(a.dev->data->port_id);
		a.link = now;
	}
	for (rte_device* parent : s.parents)
		if (attach_new(*parent) < 0)
			NETVSC_LOG(ERR, "%s: a new port cannot be taken over", parent->name);
	for (const uint16_t id : changed)
		if (rte_eth_dev_is_valid_port(id))
			rte_eth_dev_callback_process(&rte_eth_devices[id], RTE_ETH_EVENT_INTR_LSC,
						     nullptr);
}

void lose_ports()
{
	State& s = state();
	std::lock_guard lock(s.mutex);
	for (const Attached& a : s.ports)
		vmbus::store_seq_cst(&taken_over[a.dev->data->port_id], 0u);
}

} // namespace netvsc
