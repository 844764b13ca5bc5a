/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters: those of the pipelines that are, those of pipelines that were, less the last reset. */
#include <cstdio>

#include "netvsc.hpp"

namespace netvsc {

static void add(RxStats& to, const RxStats& from)
{
	to.frames += from.frames;
	to.bytes += from.bytes;
	to.errors += from.errors;
	to.missed += from.missed;
	to.packets += from.packets;
	to.signals += from.signals;
}

static void add(TxStats& to, const TxStats& from)
{
	to.frames += from.frames;
	to.bytes += from.bytes;
	to.errors += from.errors;
	to.bad_completions += from.bad_completions;
	to.packets += from.packets;
	to.copied += from.copied;
	to.bounced += from.bounced;
	to.signals += from.signals;
}

static RxStats total(const RxQueue& q)
{
	RxStats s = q.past;
	if (q.built)
		add(s, q.rx->stats());
	const VfFrames& vf = q.vf;
	const uint64_t dropped = vf.dropped.load(std::memory_order_relaxed);
	s.frames += vf.frames.load(std::memory_order_relaxed) - dropped;
	s.bytes += vf.bytes.load(std::memory_order_relaxed) -
		   vf.dropped_bytes.load(std::memory_order_relaxed);
	s.missed += dropped;
	return s;
}

static TxStats total(const TxQueue& q)
{
	TxStats s = q.past;
	if (q.built)
		add(s, q.tx->stats());
	const VfFrames& vf = q.vf;
	s.frames += vf.frames.load(std::memory_order_relaxed);
	s.bytes += vf.bytes.load(std::memory_order_relaxed);
	return s;
}

void begin_stats(RxQueue& queue)
{
	queue.base = total(queue);
}

void begin_stats(TxQueue& queue)
{
	queue.base = total(queue);
}

void keep_stats(RxQueue& queue)
{
	if (queue.built)
		add(queue.past, queue.rx->stats());
}

void keep_stats(TxQueue& queue)
{
	if (queue.built)
		add(queue.past, queue.tx->stats());
}

/* The VF is the primary's to ask: it leaves what it knows to the others. */
static VfCounts vf_counts(const rte_eth_dev* dev)
{
	if (rte_eal_process_type() == RTE_PROC_PRIMARY)
		return port_of(dev).vf.counts();
	return shared_of(dev).vf;
}

int stats_get(rte_eth_dev* dev, rte_eth_stats* stats, queue_stats_t* queues)
{
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		const RxQueue* q = &shared_of(dev).rx[i];
		if (!q->set_up)
			continue;
		const RxStats s = total(*q);
		const uint64_t too_long = q->too_long - q->too_long_base;
		const uint64_t packets =
			s.frames - q->base.frames - too_long - (q->merged - q->merged_base);
		stats->ipackets += packets;
		stats->ibytes += s.bytes - q->base.bytes;
		stats->ierrors += s.errors - q->base.errors + too_long;
		stats->imissed += s.missed - q->base.missed;
		stats->rx_nombuf += q->no_mbuf - q->no_mbuf_base;
		if (queues != nullptr && i < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
			queues->q_ipackets[i] = packets;
			queues->q_ibytes[i] = s.bytes - q->base.bytes;
			queues->q_errors[i] = s.errors - q->base.errors + too_long;
		}
	}
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++) {
		const TxQueue* q = &shared_of(dev).tx[i];
		if (!q->set_up)
			continue;
		const TxStats s = total(*q);
		stats->opackets += s.frames - q->base.frames;
		stats->obytes += s.bytes - q->base.bytes;
		stats->oerrors += s.errors - q->base.errors + q->dropped - q->dropped_base;
		if (queues != nullptr && i < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
			queues->q_opackets[i] = s.frames - q->base.frames;
			queues->q_obytes[i] = s.bytes - q->base.bytes;
		}
	}
	const VfCounts vf = vf_counts(dev);
	stats->imissed += vf.missed;
	stats->ierrors += vf.rx_errors;
	stats->rx_nombuf += vf.no_mbuf;
	stats->oerrors += vf.tx_errors;
	return 0;
}

int stats_reset(rte_eth_dev* dev)
{
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		if (RxQueue* q = &shared_of(dev).rx[i]; q->set_up) {
			q->base = total(*q);
			q->no_mbuf_base = q->no_mbuf;
			q->too_long_base = q->too_long;
			q->merged_base = q->merged;
		}
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
		if (TxQueue* q = &shared_of(dev).tx[i]; q->set_up) {
			q->base = total(*q);
			q->dropped_base = q->dropped;
		}
	if (rte_eal_process_type() == RTE_PROC_PRIMARY)
		port_of(dev).vf.reset_counts();
	return 0;
}

namespace {

struct RxCounter {
	const char* name;
	uint64_t RxStats::*field;
};
struct TxCounter {
	const char* name;
	uint64_t TxStats::*field;
};

/* What the basic statistics do not say. */
constexpr RxCounter kRxCounters[] = {{"vmbus_packets", &RxStats::packets},
				     {"signals", &RxStats::signals},
				     {"missed", &RxStats::missed}};
constexpr TxCounter kTxCounters[] = {{"vmbus_packets", &TxStats::packets},
				     {"copied", &TxStats::copied},
				     {"bounced", &TxStats::bounced},
				     {"signals", &TxStats::signals},
				     {"bad_completions", &TxStats::bad_completions}};

struct VfCounter {
	const char* name;
	uint64_t VfCounts::*field;
};
/* Of what the port's statistics have, the part that travelled by a VF. */
constexpr VfCounter kVfCounters[] = {{"vf_rx_packets", &VfCounts::rx_frames},
				     {"vf_rx_bytes", &VfCounts::rx_bytes},
				     {"vf_tx_packets", &VfCounts::tx_frames},
				     {"vf_tx_bytes", &VfCounts::tx_bytes},
				     {"vf_switches", &VfCounts::switches}};

uint32_t count(const rte_eth_dev* dev)
{
	return static_cast<uint32_t>(dev->data->nb_rx_queues * std::size(kRxCounters) +
				     dev->data->nb_tx_queues * std::size(kTxCounters) +
				     std::size(kVfCounters));
}

} // namespace

int xstats_get(rte_eth_dev* dev, rte_eth_xstat* out, unsigned int n)
{
	const uint32_t needed = count(dev);
	if (n < needed || out == nullptr)
		return static_cast<int>(needed);
	uint32_t id = 0;
	const auto put = [&](uint64_t value) {
		out[id].id = id;
		out[id].value = value;
		id++;
	};
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		const RxQueue* q = &shared_of(dev).rx[i];
		const RxStats s = q->set_up ? total(*q) : RxStats{};
		for (const RxCounter& c : kRxCounters)
			put(q->set_up ? s.*c.field - q->base.*c.field : 0);
	}
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++) {
		const TxQueue* q = &shared_of(dev).tx[i];
		const TxStats s = q->set_up ? total(*q) : TxStats{};
		for (const TxCounter& c : kTxCounters)
			put(q->set_up ? s.*c.field - q->base.*c.field : 0);
	}
	const VfCounts vf = vf_counts(dev);
	for (const VfCounter& c : kVfCounters)
		put(vf.*c.field);
	return static_cast<int>(needed);
}

int xstats_get_names(rte_eth_dev* dev, rte_eth_xstat_name* out, unsigned int n)
{
	const uint32_t needed = count(dev);
	if (n < needed || out == nullptr)
		return static_cast<int>(needed);
	uint32_t id = 0;
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		for (const RxCounter& c : kRxCounters)
			std::snprintf(out[id++].name, sizeof(out->name), "rx_q%u_%s", i, c.name);
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
		for (const TxCounter& c : kTxCounters)
			std::snprintf(out[id++].name, sizeof(out->name), "tx_q%u_%s", i, c.name);
	for (const VfCounter& c : kVfCounters)
		std::snprintf(out[id++].name, sizeof(out->name), "%s", c.name);
	return static_cast<int>(needed);
}

} // namespace netvsc
