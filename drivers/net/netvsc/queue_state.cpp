/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues of a port that runs: started, stopped, and asked how they are. */
#include "netvsc.hpp"

namespace netvsc {

using vmbus::Error;

/* A device that goes away just now closes the gate before or after: closed it is. */
template <class Q> static void open_gate(Port& port, Q& queue)
{
	vmbus::store_relaxed(&queue.generation, port.shared.generation.load());
	std::atomic_thread_fence(std::memory_order_seq_cst);
	if (port.gone)
		vmbus::store_relaxed(&queue.generation, 0u);
}

static void set_rx(Port& port, uint16_t id, bool on)
{
	RxQueue& q = port.shared.rx[id];
	if (on)
		open_gate(port, q);
	else
		vmbus::store_relaxed(&q.generation, 0u);
	port.ethdev->data->rx_queue_state[id] =
		on ? RTE_ETH_QUEUE_STATE_STARTED : RTE_ETH_QUEUE_STATE_STOPPED;
}

static void set_tx(Port& port, uint16_t id, bool on)
{
	TxQueue& q = port.shared.tx[id];
	if (on)
		open_gate(port, q);
	else
		vmbus::store_relaxed(&q.generation, 0u);
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

void resume_queues(Port& port)
{
	const rte_eth_dev_data& data = *port.ethdev->data;
	for (uint16_t i = 0; i < data.nb_rx_queues; i++)
		if (data.rx_queue_state[i] == RTE_ETH_QUEUE_STATE_STARTED)
			set_rx(port, i, true);
	for (uint16_t i = 0; i < data.nb_tx_queues; i++)
		if (data.tx_queue_state[i] == RTE_ETH_QUEUE_STATE_STARTED)
			set_tx(port, i, true);
}

/* What came to the queue while it was stopped, or just before, belongs to nobody. */
int rx_queue_start(rte_eth_dev* dev, uint16_t id)
{
	Port& port = port_of(dev);
	RxQueue& q = *rx_queue(*dev->data, id);
	if (!q.built)
		return failed(port, "start a receive queue", {ENODEV, "the device is gone"});
	discard(q);
	set_rx(port, id, true);
	port.vf.set_rx_queue(id, true);
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
	if (Error error = close_gate(port, port.shared.rx[id])) {
		set_rx(port, id, true);
		return failed(port, "stop a receive queue", error);
	}
	if (Error error = apply_rss(port)) {
		set_rx(port, id, true);
		return failed(port, "stop a receive queue", error);
	}
	port.vf.set_rx_queue(id, false);
	discard(*rx_queue(*dev->data, id));
	return 0;
}

int tx_queue_start(rte_eth_dev* dev, uint16_t id)
{
	Port& port = port_of(dev);
	if (!tx_queue(*dev->data, id)->built)
		return failed(port, "start a transmit queue", {ENODEV, "the device is gone"});
	set_tx(port, id, true);
	return 0;
}

int tx_queue_stop(rte_eth_dev* dev, uint16_t id)
{
	Port& port = port_of(dev);
	TxQueue& q = *tx_queue(*dev->data, id);
	set_tx(port, id, false);
	if (port.gone)
		return 0;
	Error error = close_gate(port, q);
	if (!error && drain(port, q, kDrainTimeout))
		return 0;
	set_tx(port, id, true);
	if (!error)
		error = {ETIMEDOUT, "the host does not complete what was sent"};
	return failed(port, "stop a transmit queue", error);
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

template <class Gate> rx_queue_count_t rx_queue_count(void* queue)
{
	RxQueue& q = *static_cast<RxQueue*>(queue);
	const Gate gate(q);
	if (!gate())
		return 0;
	uint32_t n = q.rx->waiting(q.descriptors, gate);
	if constexpr (!Gate::kForeign)
		n += vf_waiting(q);
	return static_cast<rx_queue_count_t>(n);
}

template <class Gate> int rx_descriptor_status(void* queue, uint16_t offset)
{
	RxQueue& q = *static_cast<RxQueue*>(queue);
	if (offset >= q.descriptors)
		return -EINVAL;
	return offset < rx_queue_count<Gate>(queue) ? RTE_ETH_RX_DESC_DONE : RTE_ETH_RX_DESC_AVAIL;
}

/* @return mbufs given back */
template <class Gate> static uint32_t collect(TxQueue& q, Gate gate)
{
	q.rx->scan(false, gate);
	uint32_t count = 0;
	if (!q.tx->begin(gate))
		return 0;
	q.tx->reap([&](void* cookie) {
		rte_pktmbuf_free(static_cast<rte_mbuf*>(cookie));
		count++;
	});
	q.tx->end(gate);
	return count;
}

template <class Gate> int tx_descriptor_status(void* queue, uint16_t offset)
{
	TxQueue& q = *static_cast<TxQueue*>(queue);
	if (offset >= q.descriptors)
		return -EINVAL;
	const Gate gate(q);
	if (!gate())
		return RTE_ETH_TX_DESC_UNAVAIL;
	if constexpr (!Gate::kForeign) {
		int status;
		if (vf_tx_descriptor_status(q, offset, status))
			return status;
	}
	collect(q, gate);
	return offset + std::min<uint32_t>(q.tx->in_flight(), q.descriptors) < q.descriptors
		       ? RTE_ETH_TX_DESC_DONE
		       : RTE_ETH_TX_DESC_FULL;
}

/* Frees what the host has read, all of it: more than asked for does no harm. */
template <class Gate> int tx_done_cleanup(void* queue, [[maybe_unused]] uint32_t count)
{
	TxQueue& q = *static_cast<TxQueue*>(queue);
	const Gate gate(q);
	if (!gate())
		return 0;
	int n = static_cast<int>(collect(q, gate));
	if constexpr (!Gate::kForeign)
		n += vf_tx_done_cleanup(q, count);
	return n;
}

template rx_queue_count_t rx_queue_count<OwnGate>(void*);
template rx_queue_count_t rx_queue_count<ForeignGate>(void*);
template int rx_descriptor_status<OwnGate>(void*, uint16_t);
template int rx_descriptor_status<ForeignGate>(void*, uint16_t);
template int tx_descriptor_status<OwnGate>(void*, uint16_t);
template int tx_descriptor_status<ForeignGate>(void*, uint16_t);
template int tx_done_cleanup<OwnGate>(void*, uint32_t);
template int tx_done_cleanup<ForeignGate>(void*, uint32_t);

} // namespace netvsc
