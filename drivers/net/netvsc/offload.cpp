/* SPDX-License-Identifier: BSD-3-Clause */
/* Offloads: what the host has in ethdev's terms, and telling it which of them are wanted. */
#include "rx_info.hpp"
#include "tx_info.hpp"

namespace netvsc {

using vmbus::Error;

namespace {

/* ethdev knows no difference between IPv4 and IPv6 here: who has only one of them has none. */
struct ChecksumOffload {
	uint64_t rx;
	uint64_t tx;
	uint32_t host;
};
constexpr ChecksumOffload kChecksums[] = {
	{RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, kChecksumIp4},
	{RTE_ETH_RX_OFFLOAD_TCP_CKSUM, RTE_ETH_TX_OFFLOAD_TCP_CKSUM, kChecksumTcp4 | kChecksumTcp6},
	{RTE_ETH_RX_OFFLOAD_UDP_CKSUM, RTE_ETH_TX_OFFLOAD_UDP_CKSUM, kChecksumUdp4 | kChecksumUdp6},
};

/* Hosts join only what they verified: the checksums in it are those of its parts. */
constexpr uint32_t kJoinedChecksums = kChecksumIp4 | kChecksumTcp4 | kChecksumTcp6;

/* Tags travel beside the frame since NVSP 2, where the guest announces that it can. */
bool has_tags(const HostInfo& host)
{
	return host.nvsp_version >= nvsp::kVersion2;
}

} // namespace

uint64_t rx_offloads_of(const HostInfo& host)
{
	uint64_t offloads = RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_SCTP_CKSUM;
	if (host.rss.table_size != 0)
		offloads |= RTE_ETH_RX_OFFLOAD_RSS_HASH;
	if (has_tags(host))
		offloads |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	for (const ChecksumOffload& c : kChecksums)
		if ((host.offload.rx_checksum & c.host) == c.host)
			offloads |= c.rx;
	if (host.offload.rsc4 && host.offload.rsc6 &&
	    (host.offload.rx_checksum & kJoinedChecksums) == kJoinedChecksums)
		offloads |= RTE_ETH_RX_OFFLOAD_TCP_LRO;
	return offloads;
}

uint64_t tx_offloads_of(const HostInfo& host)
{
	uint64_t offloads = kPlainTxOffloads | RTE_ETH_TX_OFFLOAD_SCTP_CKSUM;
	if (has_tags(host))
		offloads |= RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
	for (const ChecksumOffload& c : kChecksums)
		if ((host.offload.tx_checksum & c.host) == c.host)
			offloads |= c.tx;
	if (host.offload.lso4_max != 0 && host.offload.lso6_max != 0)
		offloads |= RTE_ETH_TX_OFFLOAD_TCP_TSO;
	return offloads;
}

Error apply_offloads(Port& port)
{
	const rte_eth_dev_data& data = *port.ethdev->data;
	const uint64_t rx = data.dev_conf.rxmode.offloads;
	const uint64_t tx = data.dev_conf.txmode.offloads;
	OffloadConfig config;
	for (const ChecksumOffload& c : kChecksums) {
		if ((rx & c.rx) != 0)
			config.rx_checksum |= c.host;
		if ((tx & c.tx) != 0)
			config.tx_checksum |= c.host;
	}
	if ((tx & RTE_ETH_TX_OFFLOAD_TCP_TSO) != 0) {
		config.lso4 = config.lso6 = true;
		/* Segments get new checksums in any case. */
		config.tx_checksum |= kChecksumIp4 | kChecksumTcp4 | kChecksumTcp6;
	}
	if ((rx & RTE_ETH_RX_OFFLOAD_TCP_LRO) != 0) {
		config.rsc4 = config.rsc6 = true;
		config.rx_checksum |= kJoinedChecksums;
	}
	return port.session.set_offload(config);
}

uint32_t wanted_info(uint64_t offloads)
{
	uint32_t wanted = 0;
	if ((offloads & RTE_ETH_RX_OFFLOAD_RSS_HASH) != 0)
		wanted |= Frame::kHash;
	if ((offloads & (RTE_ETH_RX_OFFLOAD_CHECKSUM | RTE_ETH_RX_OFFLOAD_TCP_LRO)) != 0)
		wanted |= Frame::kChecksum;
	if ((offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0)
		wanted |= Frame::kVlan;
	return wanted;
}

/* The host always takes tags out: whether they come back is a matter of the queues. */
int vlan_offload_set(rte_eth_dev* dev, int)
{
	port_of(dev).vf.set_vlan_offload();
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		if (RxQueue* q = rx_queue(*dev->data, i))
			q->wanted = wanted_info(dev->data->dev_conf.rxmode.offloads);
	return 0;
}

/* Checks what tx_burst() would drop, and seeds L4 checksums with the pseudo header's. */
uint16_t tx_prepare(void* queue, rte_mbuf** mbufs, uint16_t count)
{
	const TxQueue& q = *static_cast<TxQueue*>(queue);
	static constexpr uint64_t kSupported =
		kTxInfoFlags | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6;
	for (uint16_t i = 0; i < count; i++) {
		rte_mbuf* m = mbufs[i];
		const bool tso = (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0;
		TxInfo infos;
		Seal seal = Seal::kNone;
		if ((m->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK & ~kSupported) != 0) {
			rte_errno = ENOTSUP;
			return i;
		}
		if (m->pkt_len == 0 || (!tso && q.built && m->pkt_len > q.tx->max_frame()) ||
		    !add_infos(q, *m, infos, seal)) {
			rte_errno = EINVAL;
			return i;
		}
		/* SCTP has no pseudo header. */
		if ((m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IP_CKSUM)) ==
		    RTE_MBUF_F_TX_SCTP_CKSUM)
			continue;
		if (const int rc = rte_net_intel_cksum_prepare(m)) {
			rte_errno = -rc;
			return i;
		}
	}
	return count;
}

} // namespace netvsc
