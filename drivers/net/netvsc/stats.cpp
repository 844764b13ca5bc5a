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
	if (q.rx != nullptr)
		add(s, q.rx->stats());
	return s;
}

static TxStats total(const TxQueue& q)
{
	TxStats s = q.past;
	if (q.tx != nullptr)
		add(s, q.tx->stats());
	return s;
}

void keep_stats(RxQueue& queue)
{
	if (queue.rx != nullptr)
		add(queue.past, queue.rx->stats());
}

void keep_stats(TxQueue& queue)
{
	if (queue.tx != nullptr)
		add(queue.past, queue.tx->stats());
}

int stats_get(rte_eth_dev* dev, rte_eth_stats* stats)
{
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		const auto* q = static_cast<const RxQueue*>(dev->data->rx_queues[i]);
		if (q == nullptr)
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
		if (i < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
			stats->q_ipackets[i] = packets;
			stats->q_ibytes[i] = s.bytes - q->base.bytes;
			stats->q_errors[i] = s.errors - q->base.errors + too_long;
		}
	}
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++) {
		const auto* q = static_cast<const TxQueue*>(dev->data->tx_queues[i]);
		if (q == nullptr)
			continue;
		const TxStats s = total(*q);
		stats->opackets += s.frames - q->base.frames;
		stats->obytes += s.bytes - q->base.bytes;
		stats->oerrors += s.errors - q->base.errors + q->dropped - q->dropped_base;
		if (i < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
			stats->q_opackets[i] = s.frames - q->base.frames;
			stats->q_obytes[i] = s.bytes - q->base.bytes;
		}
	}
	return 0;
}

int stats_reset(rte_eth_dev* dev)
{
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		if (auto* q = static_cast<RxQueue*>(dev->data->rx_queues[i])) {
			q->base = total(*q);
			q->no_mbuf_base = q->no_mbuf;
			q->too_long_base = q->too_long;
			q->merged_base = q->merged;
		}
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
		if (auto* q = static_cast<TxQueue*>(dev->data->tx_queues[i])) {
			q->base = total(*q);
			q->dropped_base = q->dropped;
		}
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

uint32_t count(const rte_eth_dev* dev)
{
	return static_cast<uint32_t>(dev->data->nb_rx_queues * std::size(kRxCounters) +
				     dev->data->nb_tx_queues * std::size(kTxCounters));
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
		const auto* q = static_cast<const RxQueue*>(dev->data->rx_queues[i]);
		const RxStats s = q != nullptr ? total(*q) : RxStats{};
		for (const RxCounter& c : kRxCounters)
			put(q != nullptr ? s.*c.field - q->base.*c.field : 0);
	}
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++) {
		const auto* q = static_cast<const TxQueue*>(dev->data->tx_queues[i]);
		const TxStats s = q != nullptr ? total(*q) : TxStats{};
		for (const TxCounter& c : kTxCounters)
			put(q != nullptr ? s.*c.field - q->base.*c.field : 0);
	}
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
	return static_cast<int>(needed);
}

} // namespace netvsc
