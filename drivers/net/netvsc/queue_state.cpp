/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues of a port that runs: started, stopped, and asked how they are. */
#include "netvsc.hpp"

namespace netvsc {

using vmbus::Error;

static void set_rx(Port& port, uint16_t id, bool on)
{
	rx_queue(*port.ethdev->data, id)->off = on ? &port.gone : &kAlways;
	port.ethdev->data->rx_queue_state[id] =
		on ? RTE_ETH_QUEUE_STATE_STARTED : RTE_ETH_QUEUE_STATE_STOPPED;
}

static void set_tx(Port& port, uint16_t id, bool on)
{
	tx_queue(*port.ethdev->data, id)->off = on ? &port.gone : &kAlways;
	port.ethdev->data->tx_queue_state[id] =
		on ? RTE_ETH_QUEUE_STATE_STARTED : RTE_ETH_QUEUE_STATE_STOPPED;
}

void start_queues(Port& port)
{
	const rte_eth_dev_data& data = *port.ethdev->data;
	for (uint16_t i = 0; i < data.nb_rx_queues; i++)
		set_rx(port, i, !rx_queue(data, i)->deferred);
	for (uint16_t i = 0; i < data.nb_tx_queues; i++)
		set_tx(port, i, !tx_queue(data, i)->deferred);
}

void stop_queues(Port& port)
{
	const rte_eth_dev_data& data = *port.ethdev->data;
	for (uint16_t i = 0; i < data.nb_rx_queues; i++)
		set_rx(port, i, false);
	for (uint16_t i = 0; i < data.nb_tx_queues; i++)
		set_tx(port, i, false);
}

/* What came to the queue while it was stopped, or just before, belongs to nobody. */
int rx_queue_start(rte_eth_dev* dev, uint16_t id)
{
	Port& port = port_of(dev);
	RxQueue& q = *rx_queue(*dev->data, id);
	if (q.rx == nullptr)
		return failed(port, "start a receive queue", {ENODEV, "the device is gone"});
	discard(q);
	set_rx(port, id, true);
	if (Error error = apply_rss(port)) {
		set_rx(port, id, false);
		return failed(port, "start a receive queue", error);
	}
	return 0;
}

int rx_queue_stop(rte_eth_dev* dev, uint16_t id)
{
	Port& port = port_of(dev);
	set_rx(port, id, false);
	if (port.gone)
		return 0;
	if (Error error = apply_rss(port)) {
		set_rx(port, id, true);
		return failed(port, "stop a receive queue", error);
	}
	discard(*rx_queue(*dev->data, id));
	return 0;
}

int tx_queue_start(rte_eth_dev* dev, uint16_t id)
{
	Port& port = port_of(dev);
	if (tx_queue(*dev->data, id)->tx == nullptr)
		return failed(port, "start a transmit queue", {ENODEV, "the device is gone"});
	set_tx(port, id, true);
	return 0;
}

int tx_queue_stop(rte_eth_dev* dev, uint16_t id)
{
	Port& port = port_of(dev);
	set_tx(port, id, false);
	if (port.gone || drain(*tx_queue(*dev->data, id), kDrainTimeout))
		return 0;
	set_tx(port, id, true);
	return failed(port, "stop a transmit queue",
		      {ETIMEDOUT, "the host does not complete what was sent"});
}

void rxq_info_get(rte_eth_dev* dev, uint16_t id, rte_eth_rxq_info* info)
{
	const RxQueue& q = *rx_queue(*dev->data, id);
	info->mp = q.pool;
	info->scattered_rx = dev->data->scattered_rx;
	info->nb_desc = q.descriptors;
	info->rx_buf_size = static_cast<uint16_t>(q.room);
	info->conf.rx_deferred_start = q.deferred;
	info->conf.offloads = dev->data->dev_conf.rxmode.offloads;
}

void txq_info_get(rte_eth_dev* dev, uint16_t id, rte_eth_txq_info* info)
{
	const TxQueue& q = *tx_queue(*dev->data, id);
	info->nb_desc = q.descriptors;
	info->conf.tx_deferred_start = q.deferred;
	info->conf.offloads = dev->data->dev_conf.txmode.offloads;
}

rx_queue_count_t rx_queue_count(void* queue)
{
	RxQueue& q = *static_cast<RxQueue*>(queue);
	return static_cast<rx_queue_count_t>(
		q.off->load(std::memory_order_relaxed) ? 0 : q.rx->waiting(q.descriptors));
}

int rx_descriptor_status(void* queue, uint16_t offset)
{
	RxQueue& q = *static_cast<RxQueue*>(queue);
	if (offset >= q.descriptors)
		return -EINVAL;
	return offset < rx_queue_count(queue) ? RTE_ETH_RX_DESC_DONE : RTE_ETH_RX_DESC_AVAIL;
}

/* @return mbufs given back */
static uint32_t collect(TxQueue& q)
{
	q.rx->scan(false);
	uint32_t count = 0;
	q.tx->begin();
	q.tx->reap([&](void* cookie) {
		rte_pktmbuf_free(static_cast<rte_mbuf*>(cookie));
		count++;
	});
	q.tx->end();
	return count;
}

int tx_descriptor_status(void* queue, uint16_t offset)
{
	TxQueue& q = *static_cast<TxQueue*>(queue);
	if (offset >= q.descriptors)
		return -EINVAL;
	if (q.off->load(std::memory_order_relaxed))
		return RTE_ETH_TX_DESC_UNAVAIL;
	collect(q);
	return offset + std::min<uint32_t>(q.tx->in_flight(), q.descriptors) < q.descriptors
		       ? RTE_ETH_TX_DESC_DONE
		       : RTE_ETH_TX_DESC_FULL;
}

/* Frees what the host has read, all of it: more than asked for does no harm. */
int tx_done_cleanup(void* queue, uint32_t)
{
	TxQueue& q = *static_cast<TxQueue*>(queue);
	return q.off->load(std::memory_order_relaxed) ? 0 : static_cast<int>(collect(q));
}

} // namespace netvsc
