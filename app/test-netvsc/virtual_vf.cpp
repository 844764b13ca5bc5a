/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver of virtual VFs: a vdev driver like any other, as far as EAL and ethdev can see. */
#include "virtual_vf.hpp"

#include <algorithm>
#include <cstring>

#include <rte_thash.h>

#include "compat.hpp"

namespace scenario {

static VirtualVf* probing; /* hot-plugs come from one thread */

struct VirtualVfDriver {
	static VirtualVf& of(const rte_eth_dev* dev)
	{
		return *static_cast<VirtualVf*>(dev->process_private);
	}

	static int configure(rte_eth_dev* dev)
	{
		VirtualVf& vf = of(dev);
		const rte_eth_conf& conf = dev->data->dev_conf;
		vf.seen.rx_queues = dev->data->nb_rx_queues;
		vf.seen.tx_queues = dev->data->nb_tx_queues;
		vf.seen.rx_offloads = conf.rxmode.offloads;
		vf.seen.tx_offloads = conf.txmode.offloads;
		vf.seen.mtu = dev->data->mtu;
		std::lock_guard lock(vf.rss_mutex_);
		vf.seen.rss_types = 0;
		vf.table_.assign(vf.options_.reta_size, 0);
		for (size_t i = 0; i < vf.table_.size() && dev->data->nb_rx_queues != 0; i++)
			vf.table_[i] = static_cast<uint16_t>(i % dev->data->nb_rx_queues);
		if ((conf.rxmode.mq_mode & RTE_ETH_MQ_RX_RSS_FLAG) != 0)
			set_hash(vf, conf.rx_adv_conf.rss_conf);
		return 0;
	}

	static void set_hash(VirtualVf& vf, const rte_eth_rss_conf& conf)
	{
		vf.seen.rss_types = conf.rss_hf;
		if (conf.rss_key != nullptr)
			std::copy_n(conf.rss_key, vf.key_.size(), vf.key_.begin());
	}

	static int start(rte_eth_dev* dev)
	{
		VirtualVf& vf = of(dev);
		if (vf.failing_starts_ != 0) {
			vf.failing_starts_--;
			return -EIO;
		}
		for (VirtualVf::Queue& q : vf.rx_)
			q.stopped = false;
		for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
			dev->data->rx_queue_state[i] = RTE_ETH_QUEUE_STATE_STARTED;
		vf.seen.starts++;
		vf.seen.started = true;
		link_update(dev, 0); /* ethdev leaves it to drivers that have an interrupt */
		return 0;
	}

	static int stop(rte_eth_dev* dev)
	{
		VirtualVf& vf = of(dev);
		vf.seen.started = false;
		vf.drop_all();
		return 0;
	}

	static int close(rte_eth_dev* dev)
	{
		dev->data->mac_addrs = nullptr; /* part of the VF */
		dev->data->dev_private = nullptr;
		return 0;
	}

	static int info_get(rte_eth_dev* dev, rte_eth_dev_info* info)
	{
		const VirtualVfOptions& o = of(dev).options_;
		info->min_mtu = 68;
		info->max_mtu = o.max_mtu;
		info->max_rx_pktlen = o.max_mtu + 18u;
		info->max_rx_queues = info->max_tx_queues = o.queues;
		info->max_mac_addrs = 1;
		info->rx_offload_capa = o.rx_offloads;
		info->tx_offload_capa = o.tx_offloads;
		info->flow_type_rss_offloads = o.rss_types;
		info->reta_size = o.reta_size;
		info->hash_key_size = 40;
		info->rx_desc_lim = {2048, 64, 1, 0, 0};
		info->tx_desc_lim = {2048, 64, 1, 0, 0};
		return 0;
	}

	static int rx_setup(rte_eth_dev* dev, uint16_t id, uint16_t descriptors, unsigned int,
			    const rte_eth_rxconf*, rte_mempool* pool)
	{
		VirtualVf::Queue& q = of(dev).rx_[id];
		q.pool = pool;
		q.descriptors = descriptors;
		dev->data->rx_queues[id] = &q;
		return 0;
	}

	static int tx_setup(rte_eth_dev* dev, uint16_t id, uint16_t descriptors, unsigned int,
			    const rte_eth_txconf*)
	{
		VirtualVf::Queue& q = of(dev).tx_[id];
		q.descriptors = descriptors;
		dev->data->tx_queues[id] = &q;
		return 0;
	}

	static int rx_start(rte_eth_dev* dev, uint16_t id)
	{
		of(dev).rx_[id].stopped = false;
		dev->data->rx_queue_state[id] = RTE_ETH_QUEUE_STATE_STARTED;
		return 0;
	}

	static int rx_stop(rte_eth_dev* dev, uint16_t id)
	{
		of(dev).rx_[id].stopped = true;
		dev->data->rx_queue_state[id] = RTE_ETH_QUEUE_STATE_STOPPED;
		return 0;
	}

	static int link_update(rte_eth_dev* dev, int)
	{
		rte_eth_link link{};
		link.link_speed = RTE_ETH_SPEED_NUM_100G;
		link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
		link.link_status =
			of(dev).link_ && of(dev).seen.started ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN;
		return rte_eth_linkstatus_set(dev, &link);
	}

	template <bool kOn> static int promiscuous(rte_eth_dev* dev)
	{
		of(dev).seen.promiscuous = kOn;
		return 0;
	}

	template <bool kOn> static int all_multicast(rte_eth_dev* dev)
	{
		of(dev).seen.all_multicast = kOn;
		return 0;
	}

	static int mac_set(rte_eth_dev*, rte_ether_addr*) { return 0; } /* ethdev keeps it */

	static int vlan_set(rte_eth_dev* dev, int)
	{
		of(dev).seen.rx_offloads = dev->data->dev_conf.rxmode.offloads;
		return 0;
	}

	static int hash_update(rte_eth_dev* dev, rte_eth_rss_conf* conf)
	{
		std::lock_guard lock(of(dev).rss_mutex_);
		set_hash(of(dev), *conf);
		return 0;
	}

	static int reta_update(rte_eth_dev* dev, rte_eth_rss_reta_entry64* entries, uint16_t size)
	{
		VirtualVf& vf = of(dev);
		std::lock_guard lock(vf.rss_mutex_);
		for (uint16_t i = 0; i < size; i++)
			if ((entries[i / 64].mask >> (i % 64) & 1) != 0)
				vf.table_[i] = entries[i / 64].reta[i % 64];
		return 0;
	}

	static int stats_get(rte_eth_dev* dev, rte_eth_stats* stats, queue_stats_t*)
	{
		const VirtualVf::Seen& seen = of(dev).seen;
		stats->ipackets = seen.received;
		stats->opackets = seen.sent;
		stats->imissed = seen.missed;
		return 0;
	}

	static uint16_t rx_burst(void* queue, rte_mbuf** out, uint16_t count)
	{
		VirtualVf::Queue& q = *static_cast<VirtualVf::Queue*>(queue);
		std::lock_guard lock(q.mutex);
		uint16_t n = 0;
		while (n < count && !q.arrived.empty()) {
			rte_mbuf* m = to_mbuf(q.arrived.front(), q.pool);
			if (m == nullptr)
				break;
			m->port = q.vf->id;
			out[n++] = m;
			q.arrived.pop_front();
		}
		q.vf->seen.received += n;
		return n;
	}

	static uint16_t tx_burst(void* queue, rte_mbuf** mbufs, uint16_t count)
	{
		VirtualVf::Queue& q = *static_cast<VirtualVf::Queue*>(queue);
		std::lock_guard lock(q.mutex);
		uint16_t n = 0;
		while (n < count && q.sending.size() < q.descriptors)
			q.sending.push_back(mbufs[n++]);
		q.vf->seen.sent += n;
		if (!q.vf->hold_)
			q.vf->send_waiting(q);
		return n;
	}

	static int tx_status(void* queue, uint16_t offset)
	{
		VirtualVf::Queue& q = *static_cast<VirtualVf::Queue*>(queue);
		std::lock_guard lock(q.mutex);
		return offset + q.sending.size() < q.descriptors ? RTE_ETH_TX_DESC_DONE
								 : RTE_ETH_TX_DESC_FULL;
	}

	static rx_queue_count_t rx_count(void* queue)
	{
		VirtualVf::Queue& q = *static_cast<VirtualVf::Queue*>(queue);
		std::lock_guard lock(q.mutex);
		return static_cast<rx_queue_count_t>(q.arrived.size());
	}

	static constexpr eth_dev_ops make_ops()
	{
		eth_dev_ops ops{};
		ops.dev_configure = configure;
		ops.dev_start = start;
		ops.dev_stop = stop;
		ops.dev_close = close;
		ops.dev_infos_get = info_get;
		ops.rx_queue_setup = rx_setup;
		ops.tx_queue_setup = tx_setup;
		ops.rx_queue_start = rx_start;
		ops.rx_queue_stop = rx_stop;
		ops.link_update = link_update;
		ops.promiscuous_enable = promiscuous<true>;
		ops.promiscuous_disable = promiscuous<false>;
		ops.allmulticast_enable = all_multicast<true>;
		ops.allmulticast_disable = all_multicast<false>;
		ops.mac_addr_set = mac_set;
		ops.vlan_offload_set = vlan_set;
		ops.rss_hash_update = hash_update;
		ops.reta_update = reta_update;
		set_stats_get<stats_get>(ops);
		return ops;
	}

	static int probe(rte_vdev_device* device)
	{
		static constinit const eth_dev_ops kOps = make_ops();
		VirtualVf& vf = *probing;
		rte_eth_dev* dev = rte_eth_dev_allocate(rte_vdev_device_name(device));
		if (dev == nullptr)
			return -ENOMEM;
		dev->device = &device->device;
		dev->dev_ops = &kOps;
		dev->process_private = &vf;
		dev->data->mac_addrs = &vf.mac_;
		dev->data->dev_flags |= RTE_ETH_DEV_INTR_RMV | RTE_ETH_DEV_INTR_LSC;
		dev->data->numa_node = 0;
		dev->rx_pkt_burst = rx_burst;
		dev->tx_pkt_burst = tx_burst;
		dev->tx_descriptor_status = tx_status;
		dev->rx_queue_count = rx_count;
		vf.id = dev->data->port_id;
		vf.plugged_ = true;
		rte_eth_dev_probing_finish(dev);
		return 0;
	}

	static int remove(rte_vdev_device* device)
	{
		rte_eth_dev* dev = rte_eth_dev_allocated(rte_vdev_device_name(device));
		if (dev != nullptr) { /* else its owner closed it */
			of(dev).seen.started = false;
			dev->data->dev_started = 0;
			rte_eth_dev_close(dev->data->port_id);
		}
		for (VirtualVf* vf : all())
			if (vf->name == rte_vdev_device_name(device)) {
				vf->drop_all();
				vf->plugged_ = false;
			}
		return 0;
	}

	static std::vector<VirtualVf*>& all()
	{
		static std::vector<VirtualVf*> list;
		return list;
	}
};

static constexpr rte_vdev_driver make_driver()
{
	rte_vdev_driver driver{};
	driver.probe = VirtualVfDriver::probe;
	driver.remove = VirtualVfDriver::remove;
	return driver;
}

static constinit rte_vdev_driver virtual_vf_driver = make_driver();

VirtualVf::VirtualVf(std::shared_ptr<Wire> wire, const VirtualVfOptions& options)
	: wire_(std::move(wire)),
	  options_(options),
	  mac_(options.mac),
	  link_(options.link),
	  failing_starts_(options.failing_starts)
{
	for (auto* queues : {&rx_, &tx_})
		for (uint16_t i = 0; i < queues->size(); i++) {
			(*queues)[i].vf = this;
			(*queues)[i].id = i;
		}
	static int number;
	name = "net_virtual_vf" + std::to_string(number++);
	VirtualVfDriver::all().push_back(this);
	/* Before it can be used: what nobody takes is lost. Broadcasts stay with the NIC, as on
	 * Azure.
	 */
	wire_->set_vf([this](const Frame& frame) {
		return (frame[0] & 1) == 0 && (receive(frame), true);
	});
	probing = this;
	EXPECT_EQ(rte_eal_hotplug_add("vdev", name.c_str(), ""), 0);
}

VirtualVf::~VirtualVf()
{
	if (plugged_) {
		EXPECT_EQ(unplug(), 0);
	}
	wire_->set_vf(nullptr);
	std::erase(VirtualVfDriver::all(), this);
	drop_all();
}

int VirtualVf::unplug()
{
	return rte_eal_hotplug_remove("vdev", name.c_str());
}

uint16_t VirtualVf::queue_of(const Frame& frame) const
{
	static constexpr size_t kIp = 14;
	std::lock_guard lock(rss_mutex_);
	if (seen.rss_types == 0 || frame.size() < kIp + 24 || frame[12] != 8 || frame[13] != 0)
		return 0;
	/* Addresses and ports, in the order of IPv4 and UDP or TCP without options. */
	uint32_t tuple[3];
	std::memcpy(tuple, &frame[kIp + 12], 8);
	tuple[0] = rte_be_to_cpu_32(tuple[0]);
	tuple[1] = rte_be_to_cpu_32(tuple[1]);
	std::memcpy(&tuple[2], &frame[kIp + 20], 4);
	tuple[2] = rte_be_to_cpu_32(tuple[2]);
	return table_[rte_softrss(tuple, 3, key_.data()) % table_.size()];
}

bool VirtualVf::receive(const Frame& frame)
{
	Queue& q = rx_[queue_of(frame)];
	std::lock_guard lock(q.mutex);
	if (!seen.started || q.stopped || q.arrived.size() >= q.descriptors) {
		seen.missed++;
		return false;
	}
	q.arrived.push_back(frame);
	return true;
}

void VirtualVf::send_waiting(Queue& q)
{
	for (rte_mbuf* m : q.sending) {
		wire_->arrive(from_mbuf(m));
		rte_pktmbuf_free(m);
	}
	q.sending.clear();
}

void VirtualVf::hold(bool hold)
{
	hold_ = hold;
	if (hold)
		return;
	for (Queue& q : tx_) {
		std::lock_guard lock(q.mutex);
		send_waiting(q);
	}
}

size_t VirtualVf::held()
{
	size_t n = 0;
	for (Queue& q : tx_) {
		std::lock_guard lock(q.mutex);
		n += q.sending.size();
	}
	return n;
}

/* What hardware does when it stops: frames that were not sent are not sent any more. */
void VirtualVf::drop_all()
{
	for (Queue& q : tx_) {
		std::lock_guard lock(q.mutex);
		for (rte_mbuf* m : q.sending)
			rte_pktmbuf_free(m);
		q.sending.clear();
	}
	for (Queue& q : rx_) {
		std::lock_guard lock(q.mutex);
		q.arrived.clear();
	}
}

void VirtualVf::set_link(bool up)
{
	link_ = up;
	rte_eth_dev* dev = &rte_eth_devices[id];
	VirtualVfDriver::link_update(dev, 0);
	rte_eth_dev_callback_process(dev, RTE_ETH_EVENT_INTR_LSC, nullptr);
}

void VirtualVf::vanish()
{
	rte_eth_dev_callback_process(&rte_eth_devices[id], RTE_ETH_EVENT_INTR_RMV, nullptr);
}

std::array<uint8_t, 40> VirtualVf::key() const
{
	std::lock_guard lock(rss_mutex_);
	return key_;
}

std::vector<uint16_t> VirtualVf::table() const
{
	std::lock_guard lock(rss_mutex_);
	return table_;
}

bool VirtualVf::queue_stopped(uint16_t queue) const
{
	return rx_[queue].stopped;
}

} // namespace scenario

using scenario::virtual_vf_driver;
RTE_PMD_REGISTER_VDEV(net_virtual_vf, virtual_vf_driver);
