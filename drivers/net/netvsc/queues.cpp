/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues: set up with what the application wants, built when the port starts. */
#include <chrono>
#include <thread>

#include "hold_mbuf.hpp"
#include "lro.hpp"
#include "netvsc.hpp"

namespace netvsc {

using vmbus::Error;

/* Of a large send, behind the Ethernet header: IPv6 with extension headers, and TCP's options. */
static constexpr uint32_t kMaxHeaders = 256;

static int node_for(const Port& port, unsigned int socket)
{
	const int asked = static_cast<int>(socket);
	return asked == SOCKET_ID_ANY ? port.numa_node() : asked;
}

int rx_queue_setup(rte_eth_dev* dev, uint16_t id, uint16_t descriptors, unsigned int,
		   const rte_eth_rxconf* config, rte_mempool* pool)
{
	Port& port = port_of(dev);
	const uint32_t room = rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
	const uint32_t frame = dev->data->mtu + kEthernetHeader + kVlanTag;
	const uint64_t offloads = config->offloads | dev->data->dev_conf.rxmode.offloads;
	const bool scatter = (offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0;
	if (frame > room && !scatter) {
		NETVSC_LOG(ERR,
			   "%s: frames of %u bytes do not fit mbufs with room for %u: use larger "
			   "mbufs or RTE_ETH_RX_OFFLOAD_SCATTER",
			   port.name().c_str(), frame, room);
		return -EINVAL;
	}
	RxQueue* q = &port.shared.rx[id];
	q->set_up = true;
	q->port = &port;
	q->id = id;
	q->deferred = config->rx_deferred_start != 0;
	q->descriptors = descriptors;
	q->pool = pool;
	q->room = room;
	q->scatter = scatter;
	q->copybreak = port.args.rx_copybreak;
	rte_mbuf start{};
	start.data_off = RTE_PKTMBUF_HEADROOM;
	start.refcnt = 1;
	start.nb_segs = 1;
	start.port = q->port_id;
	static_assert(offsetof(rte_mbuf, refcnt) == offsetof(rte_mbuf, data_off) + 2);
	static_assert(offsetof(rte_mbuf, nb_segs) == offsetof(rte_mbuf, data_off) + 4);
	static_assert(offsetof(rte_mbuf, port) == offsetof(rte_mbuf, data_off) + 6);
	std::memcpy(&q->rearm, &start.data_off, sizeof(q->rearm));
	begin_stats(*q);
	dev->data->rx_queues[id] = q;
	return 0;
}

int tx_queue_setup(rte_eth_dev* dev, uint16_t id, uint16_t descriptors, unsigned int socket,
		   const rte_eth_txconf* config)
{
	Port& port = port_of(dev);
	TxQueue* q = &port.shared.tx[id];
	q->port = &port;
	q->id = id;
	q->deferred = config->tx_deferred_start != 0;
	q->descriptors = descriptors;
	const bool lso = ((config->offloads | dev->data->dev_conf.txmode.offloads) &
			  RTE_ETH_TX_OFFLOAD_TCP_TSO) != 0;
	q->max_lso = lso ? std::min(port.session.info().offload.lso4_max,
				    port.session.info().offload.lso6_max)
			 : 0;
	if (!port.bus_device.copies_only) {
		char name[RTE_MEMZONE_NAMESIZE];
		std::snprintf(name, sizeof(name), "netvsc_%u_tx_%u", dev->data->port_id, id);
		q->memory = rte_memzone_reserve_aligned(name, Tx::memory_size(descriptors),
							node_for(port, socket),
							RTE_MEMZONE_IOVA_CONTIG, vmbus::kPageSize);
		if (q->memory == nullptr) {
			NETVSC_LOG(ERR, "%s: no memory for transmit queue %u: %s",
				   port.name().c_str(), id, rte_strerror(rte_errno));
			return -rte_errno;
		}
	}
	q->set_up = true;
	begin_stats(*q);
	dev->data->tx_queues[id] = q;
	return 0;
}

void rx_queue_release(rte_eth_dev* dev, uint16_t id)
{
	auto* q = static_cast<RxQueue*>(dev->data->rx_queues[id]);
	if (q == nullptr)
		return;
	drop_parts(*q);
	rte_pktmbuf_free_bulk(q->stash, q->stash_count);
	q->reset();
	dev->data->rx_queues[id] = nullptr;
}

void tx_queue_release(rte_eth_dev* dev, uint16_t id)
{
	auto* q = static_cast<TxQueue*>(dev->data->tx_queues[id]);
	if (q == nullptr)
		return;
	if (q->built) { /* drained when the port stopped, or the channel is closed */
		q->rx->set_tx(nullptr);
		port_of(dev).session.queue(id).make_tx();
	}
	rte_memzone_free(q->memory);
	q->reset();
	dev->data->tx_queues[id] = nullptr;
}

static DmaMemory dma_memory(const rte_memzone& zone)
{
	return {static_cast<uint8_t*>(zone.addr), zone.iova, zone.len};
}

/* For the longest frame that any MTU allows, or large send. No queue is in use. */
static Error reserve_bounce(Port& port)
{
	const rte_eth_dev_data& data = *port.ethdev->data;
	uint32_t longest = kMaxMtu;
	for (uint16_t i = 0; i < data.nb_tx_queues; i++)
		longest = std::max(longest, tx_queue(data, i)->max_lso + kMaxHeaders);
	longest += kEthernetHeader + kVlanTag;
	const size_t size = BouncePool::memory_size(longest);
	if (port.bounce == nullptr || port.bounce->len < size) {
		rte_memzone_free(port.bounce);
		char name[RTE_MEMZONE_NAMESIZE];
		std::snprintf(name, sizeof(name), "netvsc_%u_bounce", data.port_id);
		port.bounce = rte_memzone_reserve_aligned(
			name, size, port.numa_node(), RTE_MEMZONE_IOVA_CONTIG, vmbus::kPageSize);
		if (port.bounce == nullptr)
			return {rte_errno, "no memory for bounce buffers"};
	}
	port.shared.bounce.reset(dma_memory(*port.bounce), longest);
	return {};
}

/* Sections and receive buffers are shared out evenly: no queue can starve another. */
static void build(Port& port)
{
	const HostInfo& info = port.session.info();
	const rte_eth_dev_data& data = *port.ethdev->data;
	vmbus::Device& device = port.session.device();
	const uint32_t queues = port.session.queue_count();
	for (uint32_t i = 0; i < queues; i++)
		port.session.queue(i).channel->doorbell.set_latency(port.args.latency);
	for (uint16_t i = 0; i < data.nb_tx_queues; i++) {
		TxQueue& q = *tx_queue(data, i);
		Queue& channel = port.session.queue(i);
		TxConfig c;
		c.sections = device.send_buffer().data;
		c.section_size = info.section_size;
		const uint32_t share = info.section_count / queues;
		c.first_section = share * i;
		c.section_count = std::min<uint32_t>(share, q.descriptors);
		c.max_frames = info.max_frames_per_packet;
		c.alignment = info.alignment;
		c.nvsp_version = info.nvsp_version;
		c.max_frame = info.mtu + kEthernetHeader + kVlanTag;
		if (q.memory != nullptr) {
			c.direct_slots = q.descriptors;
			c.memory = dma_memory(*q.memory);
			c.bounce = &port.shared.bounce;
		}
		keep_stats(q);
		channel.rx.set_tx(nullptr);
		q.built = false;
		channel.make_tx(*channel.channel, channel.tx_lock, c, &port.session.memory());
		channel.rx.set_tx(&channel.tx);
		q.built = true;
		q.starved_since = 0;
		q.patience = rte_get_tsc_hz() / 10;
		q.low_direct = std::min(c.section_count, c.direct_slots) / 4;
		q.low_sections = c.direct_slots != 0 ? q.low_direct : c.section_count / 4;
		/* Longer frames are looked at more closely: those that no host takes, too. */
		q.copybreak = std::min(c.max_frame, Tx::longest_copy(c.section_size, c.alignment));
		if (q.memory != nullptr)
			q.copybreak = std::min(q.copybreak, port.args.tx_copybreak);
		q.external_iova_min = device.gpa(device.send_buffer().data) == vmbus::kGpaUnknown
					      ? 0
					      : uint64_t{1} << 60;
	}
	for (uint16_t i = 0; i < data.nb_rx_queues; i++) {
		RxQueue& q = *rx_queue(data, i);
		Queue& channel = port.session.queue(i);
		RxConfig c;
		c.buffer = device.receive_buffer().data;
		c.begin = info.receive_begin;
		c.end = info.receive_end;
		c.keep = device.receive_buffer().keep;
		/* Held packets may take half of the buffer, so that the host always has some. */
		if (port.args.rx_extmbuf_enable)
			c.holds = info.receive_suballocations / 2 / queues;
		channel.rx.configure(c);
		q.built = true;
		q.buffer = c.buffer;
		const uint64_t gpa = device.gpa(c.buffer);
		q.buffer_iova = gpa == vmbus::kGpaUnknown ? RTE_BAD_IOVA : gpa;
	}
}

Error build_pipelines(Port& port)
{
	if (!port.bus_device.copies_only) {
		if (Error error = reserve_bounce(port))
			return error;
	} else if (port.session.info().section_count < port.session.queue_count()) {
		return {ENOTSUP, "there are fewer send sections than queues"};
	}
	try {
		build(port);
	} catch (const std::bad_alloc&) {
		return {ENOMEM, "no memory for the queues' pipelines"};
	}
	return {};
}

/* A burst takes microseconds: who does not come out of one was stopped, or has no CPU. */
static constexpr vmbus::Milliseconds kBurstTimeout{2000};

static Error wait_for(vmbus::SpinLock& lock, std::chrono::steady_clock::time_point deadline)
{
	while (!lock.try_lock()) {
		if (std::chrono::steady_clock::now() >= deadline)
			return {EBUSY, "another process does not come out of a burst"};
		std::this_thread::sleep_for(std::chrono::microseconds(20));
	}
	lock.unlock();
	return {};
}

static Error wait_for(Queue& queue)
{
	const auto deadline = std::chrono::steady_clock::now() + kBurstTimeout;
	if (Error error = wait_for(queue.rx_lock, deadline))
		return error;
	return wait_for(queue.tx_lock, deadline);
}

Error close_gate(Port& port, RxQueue& q)
{
	vmbus::store_seq_cst(&q.generation, 0u);
	return wait_for(port.shared.session.queues[static_cast<size_t>(&q - &port.shared.rx[0])]);
}

/* Bursts that transmit look for completions, too, with the receiving lock. */
Error close_gate(Port& port, TxQueue& q)
{
	vmbus::store_seq_cst(&q.generation, 0u);
	return wait_for(port.shared.session.queues[static_cast<size_t>(&q - &port.shared.tx[0])]);
}

Error close_gates(Port& port)
{
	for (RxQueue& q : port.shared.rx)
		vmbus::store_seq_cst(&q.generation, 0u);
	for (TxQueue& q : port.shared.tx)
		vmbus::store_seq_cst(&q.generation, 0u);
	for (Queue& queue : port.shared.session.queues)
		if (Error error = wait_for(queue))
			return error;
	return {};
}

static void release_mbuf(void* cookie)
{
	rte_pktmbuf_free(static_cast<rte_mbuf*>(cookie));
}

bool drain(Port& port, TxQueue& q, vmbus::Milliseconds timeout)
{
	if (!q.built)
		return true;
	const auto deadline = std::chrono::steady_clock::now() + timeout;
	for (;;) {
		q.rx->scan(true);
		q.tx->begin();
		q.tx->reap(release_mbuf);
		q.tx->end();
		if (q.tx->in_flight() == 0)
			return true;
		if (port.gone || std::chrono::steady_clock::now() >= deadline)
			return false;
		std::this_thread::sleep_for(std::chrono::microseconds(50));
	}
}

bool drain(Port& port, vmbus::Milliseconds timeout)
{
	const auto deadline = std::chrono::steady_clock::now() + timeout;
	const rte_eth_dev_data& data = *port.ethdev->data;
	for (uint16_t i = 0; i < data.nb_tx_queues; i++) {
		const auto left = std::chrono::duration_cast<vmbus::Milliseconds>(
			deadline - std::chrono::steady_clock::now());
		if (TxQueue* q = tx_queue(data, i); q != nullptr && !drain(port, *q, left))
			return false;
	}
	return true;
}

void discard(RxQueue& q)
{
	if (!q.built)
		return;
	q.rx->discard(drop_hold);
	drop_parts(q);
}

/*
 * The session ends here or the port stops for good: what the host did not read comes back to the
 * application once the channel is closed.
 */
void drop_pipelines(Port& port)
{
	for (RxQueue& q : port.shared.rx) {
		keep_stats(q);
		drop_parts(q);
		q.built = false;
	}
	for (uint32_t i = 0; i < port.session.queue_count(); i++)
		if (Queue& queue = port.session.queue(i); queue.idle()) {
			queue.rx.abandon(drop_hold);
			queue.rx.set_tx(nullptr);
		}
	for (TxQueue& q : port.shared.tx)
		keep_stats(q);
	port.session.disconnect();
	for (uint32_t i = 0; i < nvsp::kMaxChannels; i++) {
		if (!std::exchange(port.shared.tx[i].built, false))
			continue;
		Queue& queue = port.session.queue(i);
		if (!queue.idle())
			continue;
		queue.tx.abandon(release_mbuf);
		queue.make_tx();
	}
}

} // namespace netvsc
