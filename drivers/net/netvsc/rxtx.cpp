/* SPDX-License-Identifier: BSD-3-Clause */
/* The burst functions: mbufs in and out of the pipelines. */
#include "free_mbufs.hpp"
#include "hold_mbuf.hpp"
#include "lro.hpp"
#include "netvsc.hpp"
#include "netvsc/copy.hpp"
#include "rx_info.hpp"
#include "tx_info.hpp"

namespace netvsc {

/* Mbufs straight from the pool: such have one reference, one segment and no next. */
static inline rte_mbuf* take_mbuf(RxQueue& q)
{
	void* m;
	if (rte_mempool_get(q.pool, &m) == 0)
		return static_cast<rte_mbuf*>(m);
	q.no_mbuf++;
	return nullptr;
}

/* @return how many there were, at most `count` */
static uint32_t take_many(RxQueue& q, rte_mbuf** out, uint32_t count)
{
	while (rte_mempool_get_bulk(q.pool, reinterpret_cast<void**>(out), count) != 0) {
		count /= 2;
		if (count == 0) {
			q.no_mbuf++;
			break;
		}
	}
	return count;
}

/* A look into the pool costs as much as a frame: for a few, some are kept. */
static inline uint32_t take_mbufs(RxQueue& q, rte_mbuf** out, uint32_t count)
{
	if (count > kRxStash / 4)
		return take_many(q, out, count);
	if (q.stash_count < count) [[unlikely]]
		q.stash_count += take_many(q, q.stash + q.stash_count, kRxStash - q.stash_count);
	count = std::min(count, q.stash_count);
	q.stash_count -= count;
	for (uint32_t i = 0; i < count; i++)
		out[i] = q.stash[q.stash_count + i];
	return count;
}

static inline void put_mbufs(RxQueue& q, rte_mbuf** mbufs, uint32_t count)
{
	rte_mempool_put_bulk(q.pool, reinterpret_cast<void**>(mbufs), count);
}

/* All fields that a received mbuf has, in four stores. @param rearm RxQueue's */
static inline void set_mbuf(uint64_t rearm, rte_mbuf* m, uint32_t packet_length,
			    uint32_t data_length)
{
	static_assert(offsetof(rte_mbuf, pkt_len) == offsetof(rte_mbuf, packet_type) + 4);
	static_assert(offsetof(rte_mbuf, data_len) == offsetof(rte_mbuf, packet_type) + 8);
	static_assert(offsetof(rte_mbuf, vlan_tci) == offsetof(rte_mbuf, packet_type) + 10);
	static_assert(offsetof(rte_mbuf, hash) == offsetof(rte_mbuf, packet_type) + 12);
	const uint64_t lengths[2] = {uint64_t{packet_length} << 32, data_length};
	std::memcpy(&m->data_off, &rearm, sizeof(rearm));
	m->ol_flags = 0;
	std::memcpy(&m->packet_type, lengths, sizeof(lengths));
}

/*
 * A frame longer than one mbuf: a chain of full ones.
 * @param head the first of them, set. @return false: there are not enough; nothing was taken
 */
[[gnu::noinline]] static bool copy_scattered(RxQueue& q, const Frame& frame, rte_mbuf* head)
{
	rte_mbuf* last = head;
	head->data_len = static_cast<uint16_t>(q.room);
	copy_frame_bytes(rte_pktmbuf_mtod(head, uint8_t*), frame.data, q.room);
	for (uint32_t done = q.room; done < frame.length;) {
		rte_mbuf* m = take_mbuf(q);
		if (m == nullptr) {
			rte_pktmbuf_free(std::exchange(head->next, nullptr));
			head->nb_segs = 1;
			return false;
		}
		const uint32_t n = std::min(frame.length - done, q.room);
		set_mbuf(q.rearm, m, n, n);
		copy_frame_bytes(rte_pktmbuf_mtod(m, uint8_t*), frame.data + done, n);
		last->next = m;
		head->nb_segs++;
		last = m;
		done += n;
	}
	return true;
}

/* The host sent parts of packets without having been asked to join any. */
static rte_mbuf* drop_part(RxQueue& q, rte_mbuf* m)
{
	q.too_long++;
	rte_pktmbuf_free(m);
	return nullptr;
}

/*
 * kScatter: frames may be longer than an mbuf. kExternal: frames may stay where they are.
 * kInfo: the application wants to know something of what the host says of frames, or their types.
 * Where it does not, only a tag that the host took out matters.
 * kLro: the host joins segments.
 */
template <bool kScatter, bool kExternal, bool kInfo, bool kLro> struct Receiver {
	RxQueue& q;

	/* @param m for the frame, set. @return false: it takes more mbufs than there are */
	bool fill(const Frame& frame, rte_mbuf* m) const
	{
		if constexpr (kExternal) {
			/* A tag can only be put back into a copy, and parts are joined. */
			if (frame.length > q.copybreak && frame.length <= UINT16_MAX &&
			    (frame.info & (Frame::kPart | (Frame::kVlan & ~q.wanted))) == 0 &&
			    attach_frame(*q.rx, q.buffer, q.buffer_iova, frame, *m))
				return true;
		}
		if constexpr (kScatter) {
			if (frame.length > q.room) [[unlikely]]
				return copy_scattered(q, frame, m);
		}
		copy_frame_bytes(rte_pktmbuf_mtod(m, uint8_t*), frame.data, frame.length);
		return true;
	}

	/* Takes the filled mbuf over. @return the packet, if there is one now */
	rte_mbuf* finish(const Frame& frame, rte_mbuf* m) const
	{
		if constexpr (kLro) {
			if ((frame.info & Frame::kPart) != 0)
				return join_part(q, frame, m);
			drop_parts(q);
		} else if ((frame.info & Frame::kPart) != 0) [[unlikely]] {
			return drop_part(q, m);
		}
		const uint32_t concerned = kInfo ? ~0u : Frame::kVlan;
		if ((frame.info & concerned) != 0) {
			m = apply_info(q, frame, m);
			if (m == nullptr) [[unlikely]] {
				q.too_long++;
				return nullptr;
			}
		}
		if constexpr (kInfo)
			look_inside(q, m);
		return m;
	}
};

template <class Gate, bool kScatter, bool kExternal, bool kInfo, bool kLro = false>
static uint16_t rx_burst(void* queue, rte_mbuf** out, uint16_t count)
{
	RxQueue& q = *static_cast<RxQueue*>(queue);
	const Receiver<kScatter, kExternal, kInfo, kLro> receiver{q};
	rte_mbuf** next = out;
	const auto deliver = [&](const Frame* frames, uint32_t n) {
		/* Packets may be fewer than frames: `to` does not overtake what is unused. */
		rte_mbuf** const unused = next;
		rte_mbuf** to = next;
		const uint32_t room = q.room;
		const uint64_t rearm = q.rearm;
		const uint32_t have = take_mbufs(q, unused, n);
		uint32_t i = 0;
		for (; i < have; i++) {
			const Frame& frame = frames[i];
			rte_mbuf* m = unused[i];
			if (!kScatter && frame.length > room) [[unlikely]] {
				/* Setup saw to it that the MTU fits: the host sent more than it
				 * granted. */
				put_mbufs(q, &m, 1);
				q.too_long++;
				continue;
			}
			set_mbuf(rearm, m, frame.length, frame.length);
			if (!receiver.fill(frame, m)) [[unlikely]] {
				put_mbufs(q, unused + i, have - i);
				break;
			}
			m = receiver.finish(frame, m);
			if (m != nullptr) [[likely]]
				*to++ = m;
		}
		next = to;
		return i;
	};
	q.rx->receive(count, deliver, drop_hold, Gate(q));
	return static_cast<uint16_t>(next - out);
}

static void copy_out(uint8_t* to, const rte_mbuf* m)
{
	for (; m != nullptr; m = m->next) {
		copy_frame_bytes(to, rte_pktmbuf_mtod(m, const uint8_t*), m->data_len);
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

/* Frees what the host has read. */
static inline void reap(Tx& tx)
{
	static constexpr uint32_t kMost = 64;
	rte_mbuf* done[kMost];
	uint32_t n = 0;
	tx.reap([&](void* cookie) {
		done[n++] = static_cast<rte_mbuf*>(cookie);
		if (n == kMost)
			free_mbufs(done, std::exchange(n, 0));
	});
	free_mbufs(done, n);
}

enum class Sent { kYes, kLater, kNever };

/* The checksum goes into the copy: what the application has is not the driver's to write. */
static Sent send_sealed(TxQueue& q, const rte_mbuf* m, uint32_t length, const TxInfo* info,
			Seal what)
{
	Tx& tx = *q.tx;
	const bool section = tx.can_copy(length, info);
	if (length > tx.max_frame() || (!section && !tx.can_direct()))
		return Sent::kNever;
	uint8_t* to = section ? tx.copy_frame(length, info) : tx.bounce_begin(length);
	if (to == nullptr)
		return Sent::kLater;
	copy_out(to, m);
	seal(what, to, length, m->l2_len, m->l2_len + m->l3_len);
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
template <class Gate, bool kOffloads>
static uint16_t tx_burst(void* queue, rte_mbuf** mbufs, uint16_t count)
{
	TxQueue& q = *static_cast<TxQueue*>(queue);
	const Gate gate(q);
	if (!gate()) [[unlikely]]
		return 0;
	Tx& tx = *q.tx;
	if (q.starved_since != 0 || tx.free_sections() < q.low_sections ||
	    tx.free_direct() < q.low_direct)
		q.rx->scan(q.starved_since != 0 && rte_rdtsc() - q.starved_since > q.patience,
			   gate);
	if (!tx.begin(gate)) [[unlikely]]
		return 0;
	reap(tx);
	uint16_t sent = 0;
	uint16_t copied_from =
		0; /* mbufs from there on were copied, or dropped, and are not free yet */
	for (; sent < count; sent++) {
		rte_mbuf* m = mbufs[sent];
		const uint32_t length = m->pkt_len;
		if (sent + 1 < count)
			rte_prefetch0(mbufs[sent + 1]);
		TxInfo infos;
		const TxInfo* info = nullptr;
		if constexpr (kOffloads) {
			if ((m->ol_flags & kTxInfoFlags) != 0) {
				Seal own = Seal::kNone;
				if (!add_infos(q, *m, infos, own)) {
					q.dropped++;
					continue;
				}
				info = &infos;
				if (own != Seal::kNone) [[unlikely]] {
					const Sent result = send_sealed(q, m, length, info, own);
					if (result == Sent::kLater)
						break;
					q.dropped += result == Sent::kNever;
					continue;
				}
			}
		}
		if (length - 1 < q.copybreak) [[likely]] { /* and not 0 */
			uint8_t* to = tx.copy_frame(length, info);
			if (to == nullptr)
				break;
			if (m->nb_segs == 1) [[likely]]
				copy_frame_bytes(to, rte_pktmbuf_mtod(m, const uint8_t*), length);
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
			if (!copied) { /* comes back with its completion */
				free_mbufs(mbufs + copied_from, sent - copied_from);
				copied_from = sent + 1;
			}
		}
	}
	if (sent != 0 || count == 0)
		q.starved_since = 0;
	else if (q.starved_since == 0)
		q.starved_since = rte_rdtsc();
	tx.end(gate);
	free_mbufs(mbufs + copied_from, sent - copied_from);
	return sent;
}

/* Mbufs that point into the receive buffer are freed by a function of the process that made them:
 * other processes get copies. */
template <class Gate> static eth_rx_burst_t rx_burst_for(const BurstKind& kind)
{
	static constexpr eth_rx_burst_t kRx[2][2][2] = {
		{{rx_burst<Gate, false, false, false>, rx_burst<Gate, false, false, true>},
		 {rx_burst<Gate, false, !Gate::kForeign, false>,
		  rx_burst<Gate, false, !Gate::kForeign, true>}},
		{{rx_burst<Gate, true, false, false>, rx_burst<Gate, true, false, true>},
		 {rx_burst<Gate, true, !Gate::kForeign, false>,
		  rx_burst<Gate, true, !Gate::kForeign, true>}}};
	static constexpr eth_rx_burst_t kRxLro[2] = {
		rx_burst<Gate, true, false, true, true>,
		rx_burst<Gate, true, !Gate::kForeign, true, true>};
	return kind.lro ? kRxLro[kind.external] : kRx[kind.scatter][kind.external][kind.info];
}

eth_rx_burst_t rx_burst_of(const BurstKind& kind, bool foreign)
{
	return foreign ? rx_burst_for<ForeignGate>(kind) : rx_burst_for<OwnGate>(kind);
}

eth_tx_burst_t tx_burst_of(const BurstKind& kind, bool foreign)
{
	static constexpr eth_tx_burst_t kTx[2][2] = {
		{tx_burst<OwnGate, false>, tx_burst<OwnGate, true>},
		{tx_burst<ForeignGate, false>, tx_burst<ForeignGate, true>}};
	return kTx[foreign][kind.tx_offloads];
}

void select_burst_functions(Port& port)
{
	rte_eth_dev* dev = port.ethdev;
	const rte_eth_dev_data& data = *dev->data;
	BurstKind& kind = port.shared.bursts;
	kind = {};
	kind.scatter = data.scattered_rx != 0;
	kind.external = port.args.rx_extmbuf_enable;
	kind.lro = (data.dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_TCP_LRO) != 0;
	kind.tx_offloads = (data.dev_conf.txmode.offloads & ~kPlainTxOffloads) != 0;
	for (uint16_t i = 0; i < data.nb_rx_queues; i++) {
		RxQueue& q = *rx_queue(data, i);
		q.wanted = wanted_info(data.dev_conf.rxmode.offloads);
		q.ptype_mask = port.shared.ptype_mask;
		q.verify_sctp =
			(data.dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_SCTP_CKSUM) != 0;
		kind.info |= q.wanted != 0 || q.ptype_mask != 0 || q.verify_sctp;
	}
	dev->rx_pkt_burst = rx_burst_of(kind, false);
	dev->tx_pkt_burst = tx_burst_of(kind, false);
}

int rx_burst_mode_get(rte_eth_dev* dev, uint16_t, rte_eth_burst_mode* mode)
{
	const BurstKind& kind = shared_of(dev).bursts;
	std::snprintf(mode->info, sizeof(mode->info), "Scalar%s%s%s",
		      kind.scatter ? " Scattered" : "", kind.lro ? " LRO" : "",
		      kind.external ? " External Buffers" : "");
	return 0;
}

int tx_burst_mode_get(rte_eth_dev*, uint16_t, rte_eth_burst_mode* mode)
{
	std::snprintf(mode->info, sizeof(mode->info), "Scalar");
	return 0;
}

} // namespace netvsc
