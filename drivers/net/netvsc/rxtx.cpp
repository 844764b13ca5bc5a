/* SPDX-License-Identifier: BSD-3-Clause */
/* The burst functions: mbufs in and out of the pipelines. */
#include "hold_mbuf.hpp"
#include "lro.hpp"
#include "netvsc.hpp"
#include "rx_info.hpp"
#include "tx_info.hpp"

namespace netvsc {

static inline bool is_off(const std::atomic<bool>* off)
{
	return off->load(std::memory_order_relaxed);
}

/* Mbufs straight from the pool: such have one reference, one segment and no next. */
static inline rte_mbuf* take_mbuf(RxQueue& q)
{
	if (q.stash_count == 0) {
		if (rte_mempool_get_bulk(q.pool, reinterpret_cast<void**>(q.stash), 32) == 0) {
			q.stash_count = 32;
		} else if (rte_mempool_get(q.pool, reinterpret_cast<void**>(q.stash)) == 0) {
			q.stash_count = 1;
		} else {
			q.no_mbuf++;
			return nullptr;
		}
	}
	rte_mbuf* m = q.stash[--q.stash_count];
	/* data_off, refcnt, nb_segs and port are eight adjacent bytes. */
	std::memcpy(&m->data_off, &q.rearm, sizeof(q.rearm));
	m->ol_flags = 0;
	m->packet_type = 0;
	return m;
}

static inline void put_mbuf(RxQueue& q, rte_mbuf* m)
{
	q.stash[q.stash_count++] = m;
}

/* A frame longer than one mbuf: a chain of full ones. */
static rte_mbuf* copy_scattered(RxQueue& q, const Frame& frame)
{
	rte_mbuf* head = nullptr;
	rte_mbuf* last = nullptr;
	uint32_t done = 0;
	while (done < frame.length) {
		rte_mbuf* m = take_mbuf(q);
		if (m == nullptr) {
			rte_pktmbuf_free(head);
			return nullptr;
		}
		const uint32_t n = std::min(frame.length - done, q.room);
		rte_memcpy(rte_pktmbuf_mtod(m, void*), frame.data + done, n);
		m->data_len = static_cast<uint16_t>(n);
		m->pkt_len = n;
		if (head == nullptr) {
			head = m;
			m->pkt_len = frame.length;
		} else {
			last->next = m;
			head->nb_segs++;
		}
		last = m;
		done += n;
	}
	return head;
}

/* For ports that want to know nothing: what cannot be left alone. */
static rte_mbuf* apply_special(const RxQueue& q, const Frame& frame, rte_mbuf* m)
{
	if ((frame.info & Frame::kPart) == 0)
		return apply_info(q, frame, m);
	rte_pktmbuf_free(m); /* no packet: the host was not asked to join any */
	return nullptr;
}

/*
 * kInfo: the application wants to know something of what the host says of frames, or their types.
 * Where it does not, only a tag that the host took out matters.
 * kLro: the host joins segments.
 */
template <bool kScatter, bool kExternal, bool kInfo, bool kLro = false>
static uint16_t rx_burst(void* queue, rte_mbuf** out, uint16_t count)
{
	RxQueue& q = *static_cast<RxQueue*>(queue);
	if (is_off(q.off)) [[unlikely]]
		return 0;
	rte_mbuf** next = out;
	const auto put = [&](const Frame& frame, rte_mbuf* m) {
		if constexpr (kLro)
			m = apply_info(q, frame, m);
		else if (kInfo || (frame.info & (Frame::kVlan | Frame::kPart)) != 0)
			m = apply_special(q, frame, m);
		if (m != nullptr) [[likely]]
			*next++ = m;
		else
			q.too_long++;
		return true;
	};
	const auto deliver = [&](const Frame& frame) {
		if constexpr (kLro) {
			if ((frame.info & Frame::kPart) != 0) {
				rte_mbuf* m = copy_scattered(q, frame);
				if (m == nullptr)
					return false;
				if (rte_mbuf* packet = join_part(q, frame, m))
					*next++ = packet;
				return true;
			}
			drop_parts(q);
		}
		if constexpr (kExternal) {
			/* A tag can only be put back into a copy. */
			if (frame.length > q.copybreak && frame.length <= UINT16_MAX &&
			    (frame.info & Frame::kVlan & ~q.wanted) == 0) {
				rte_mbuf* m = take_mbuf(q);
				if (m == nullptr)
					return false;
				if (attach_frame(*q.rx, q.buffer, q.buffer_iova, frame, *m))
					return put(frame, m);
				put_mbuf(q, m); /* too many packets are held: copy */
			}
		}
		if (kScatter && frame.length > q.room) [[unlikely]] {
			rte_mbuf* m = copy_scattered(q, frame);
			return m != nullptr && put(frame, m);
		}
		rte_mbuf* m = take_mbuf(q);
		if (m == nullptr) [[unlikely]]
			return false;
		if (!kScatter && frame.length > q.room) [[unlikely]] {
			/* Setup saw to it that the MTU fits: the host sent more than it granted. */
			put_mbuf(q, m);
			q.too_long++;
			return true;
		}
		rte_memcpy(rte_pktmbuf_mtod(m, void*), frame.data, frame.length);
		m->data_len = static_cast<uint16_t>(frame.length);
		m->pkt_len = frame.length;
		return put(frame, m);
	};
	q.rx->receive(count, deliver, drop_hold);
	return static_cast<uint16_t>(next - out);
}

static void copy_out(uint8_t* to, const rte_mbuf* m)
{
	for (; m != nullptr; m = m->next) {
		rte_memcpy(to, rte_pktmbuf_mtod(m, const void*), m->data_len);
		to += m->data_len;
	}
}

/* @return number of pieces; 0 = too many, or memory that the host cannot reach */
static uint32_t pieces_of(const TxQueue& q, const rte_mbuf* m, GpaPiece* pieces)
{
	uint32_t n = 0;
	for (; m != nullptr; m = m->next) {
		if (m->data_len == 0)
			continue;
		const rte_iova_t iova = rte_mbuf_iova_get(m);
		if (n == Tx::kMaxPieces || iova == 0 || iova == RTE_BAD_IOVA ||
		    (RTE_MBUF_HAS_EXTBUF(m) && iova < q.external_iova_min))
			return 0;
		pieces[n++] = {iova + m->data_off, m->data_len};
	}
	return n;
}

/* A frame that is not copied into a section: longer than the copybreak or than a section. */
static bool send_long(TxQueue& q, rte_mbuf* m, uint32_t length, const TxInfo* info, bool& copied)
{
	Tx& tx = *q.tx;
	copied = false;
	if (tx.can_direct()) {
		GpaPiece pieces[Tx::kMaxPieces];
		const uint32_t n = pieces_of(q, m, pieces);
		if (n != 0)
			return tx.direct_frame(pieces, n, length, m, info);
		if (!tx.can_copy(length, info)) {
			uint8_t* to = tx.bounce_begin(length);
			if (to == nullptr)
				return false;
			copy_out(to, m);
			tx.bounce_end(length, info);
			copied = true;
			return true;
		}
	}
	uint8_t* to = tx.copy_frame(length, info);
	if (to == nullptr)
		return false;
	copy_out(to, m);
	copied = true;
	return true;
}

static inline void release_mbuf(void* cookie)
{
	rte_pktmbuf_free(static_cast<rte_mbuf*>(cookie));
}

enum class Sent { kYes, kLater, kNever };

/* The checksum goes into the copy: what the application has is not the driver's to write. */
static Sent send_sctp(TxQueue& q, const rte_mbuf* m, uint32_t length, const TxInfo* info)
{
	Tx& tx = *q.tx;
	const bool section = tx.can_copy(length, info);
	if (length > tx.max_frame() || (!section && !tx.can_direct()))
		return Sent::kNever;
	uint8_t* to = section ? tx.copy_frame(length, info) : tx.bounce_begin(length);
	if (to == nullptr)
		return Sent::kLater;
	copy_out(to, m);
	seal_sctp(to, length, m->l2_len, m->l2_len + m->l3_len);
	if (!section)
		tx.bounce_end(length, info);
	return Sent::kYes;
}

/* Which frames can be sent at all: no host would take the others. */
static inline bool sendable(const Tx& tx, uint32_t length, bool large_send)
{
	if (length == 0)
		return false;
	if (large_send)
		return tx.can_bounce(length) && (tx.can_direct() || tx.can_copy(length));
	return length <= tx.max_frame();
}

/* kOffloads: the application configured some, and frames are looked at for them. */
template <bool kOffloads> static uint16_t tx_burst(void* queue, rte_mbuf** mbufs, uint16_t count)
{
	static constexpr uint32_t kFreeBatch = 64;
	TxQueue& q = *static_cast<TxQueue*>(queue);
	if (is_off(q.off)) [[unlikely]]
		return 0;
	Tx& tx = *q.tx;
	if (q.starved_since != 0 || tx.free_sections() < q.low || tx.free_direct() < q.low)
		q.rx->scan(q.starved_since != 0 && rte_rdtsc() - q.starved_since > q.patience);
	rte_mbuf* done[kFreeBatch];
	uint32_t done_count = 0;
	tx.begin();
	tx.reap(release_mbuf);
	uint16_t sent = 0;
	for (; sent < count; sent++) {
		rte_mbuf* m = mbufs[sent];
		const uint32_t length = m->pkt_len;
		if (sent + 1 < count)
			rte_prefetch0(mbufs[sent + 1]);
		TxInfo infos;
		const TxInfo* info = nullptr;
		if constexpr (kOffloads) {
			if ((m->ol_flags & kTxInfoFlags) != 0) {
				if (!add_infos(q, *m, infos)) {
					q.dropped++;
					rte_pktmbuf_free(m);
					continue;
				}
				info = &infos;
			}
			if ((m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_SCTP_CKSUM)
				[[unlikely]] {
				const Sent result = send_sctp(q, m, length, info);
				if (result == Sent::kLater)
					break;
				q.dropped += result == Sent::kNever;
				rte_pktmbuf_free(m);
				continue;
			}
		}
		if (length <= q.copybreak && length != 0) [[likely]] {
			uint8_t* to = tx.copy_frame(length, info);
			if (to == nullptr)
				break;
			if (m->nb_segs == 1) [[likely]]
				rte_memcpy(to, rte_pktmbuf_mtod(m, const void*), length);
			else
				copy_out(to, m);
		} else if (!sendable(tx, length,
				     kOffloads && (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0))
			[[unlikely]] {
			q.dropped++;
		} else {
			bool copied;
			if (!send_long(q, m, length, info, copied))
				break;
			if (!copied)
				continue; /* comes back with its completion */
		}
		done[done_count++] = m;
		if (done_count == kFreeBatch) {
			rte_pktmbuf_free_bulk(done, done_count);
			done_count = 0;
		}
	}
	if (sent != 0 || count == 0)
		q.starved_since = 0;
	else if (q.starved_since == 0)
		q.starved_since = rte_rdtsc();
	tx.end();
	if (done_count != 0)
		rte_pktmbuf_free_bulk(done, done_count);
	return sent;
}

void select_burst_functions(Port& port)
{
	rte_eth_dev* dev = port.ethdev;
	static constexpr eth_rx_burst_t kRx[2][2][2] = {
		{{rx_burst<false, false, false>, rx_burst<false, false, true>},
		 {rx_burst<false, true, false>, rx_burst<false, true, true>}},
		{{rx_burst<true, false, false>, rx_burst<true, false, true>},
		 {rx_burst<true, true, false>, rx_burst<true, true, true>}}};
	bool info = false;
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		RxQueue& q = *rx_queue(*dev->data, i);
		q.wanted = wanted_info(dev->data->dev_conf.rxmode.offloads);
		q.ptype_mask = port.ptype_mask;
		q.verify_sctp =
			(dev->data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_SCTP_CKSUM) != 0;
		info |= q.wanted != 0 || q.ptype_mask != 0 || q.verify_sctp;
	}
	static constexpr eth_rx_burst_t kRxLro[2] = {rx_burst<true, false, true, true>,
						     rx_burst<true, true, true, true>};
	const bool external = port.args.rx_extmbuf_enable;
	dev->rx_pkt_burst = (dev->data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_TCP_LRO) != 0
				    ? kRxLro[external]
				    : kRx[dev->data->scattered_rx][external][info];
	const bool offloads = (dev->data->dev_conf.txmode.offloads & ~kPlainTxOffloads) != 0;
	dev->tx_pkt_burst = offloads ? tx_burst<true> : tx_burst<false>;
}

int rx_burst_mode_get(rte_eth_dev* dev, uint16_t, rte_eth_burst_mode* mode)
{
	const bool external = port_of(dev).args.rx_extmbuf_enable;
	const bool lro = (dev->data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_TCP_LRO) != 0;
	std::snprintf(mode->info, sizeof(mode->info), "Scalar%s%s%s",
		      dev->data->scattered_rx != 0 ? " Scattered" : "", lro ? " LRO" : "",
		      external ? " External Buffers" : "");
	return 0;
}

int tx_burst_mode_get(rte_eth_dev*, uint16_t, rte_eth_burst_mode* mode)
{
	std::snprintf(mode->info, sizeof(mode->info), "Scalar");
	return 0;
}

} // namespace netvsc
