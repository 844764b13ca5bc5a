/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Burst functions of a port with a VF, and a queue's change of path.
 *
 * Nothing is lost or reordered that either path had accepted:
 *
 * Receive. Frames of one flow come by one path, then by the other. Those of the younger path are
 * fetched before the older path is polled, and delivered behind what that poll found: whatever was
 * there before them has been delivered then. While the data path goes to the VF, the VF is the
 * younger one. Afterwards the ring is, because the host can switch back at any time and says so
 * later; what it sends by the ring meanwhile (broadcasts, first frames of flows) is delivered once
 * the VF has nothing older. When the VF is left, what it received is taken into the backlog.
 *
 * Transmit. The other path is not used until the first has sent what it was given: bursts take
 * nothing meanwhile. The ring tells exactly; of the VF's queue, what its driver can tell.
 */
#include <thread>

#include "netvsc.hpp"

namespace netvsc {

namespace {

constexpr uint16_t kFetch = 64; /* frames of the younger path at a time */
constexpr auto kIdlePoll = std::chrono::microseconds(20);
constexpr uint32_t kEmptyPolls = 3; /* of a VF, until nothing more is expected */
constexpr vmbus::Milliseconds kVfDrain{200};

/* One writer: no need for an atomic addition. */
void add(std::atomic<uint64_t>& counter, uint64_t n)
{
	counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

uint16_t receive(RxQueue& q, VfRx& v, rte_mbuf** out, uint16_t room)
{
	const uint16_t n = rte_eth_rx_burst(v.vf, q.id, out, room);
	if (n == 0)
		return 0;
	uint64_t bytes = 0;
	for (uint16_t i = 0; i < n; i++) {
		out[i]->port = q.port_id;
		bytes += out[i]->pkt_len;
	}
	add(q.vf.frames, n);
	add(q.vf.bytes, bytes);
	return n;
}

uint16_t take_backlog(VfRx& v, rte_mbuf** out, uint16_t room)
{
	const auto n = static_cast<uint16_t>(std::min<uint32_t>(room, v.end - v.begin));
	std::copy_n(&v.backlog[v.begin], n, out);
	v.begin += n;
	if (v.begin == v.end)
		v.begin = v.end = 0;
	return n;
}

/* Room for more at the end of the backlog, which then begins at 0. */
void reserve(VfRx& v, uint32_t more)
{
	const uint32_t waiting = v.end - v.begin;
	if (v.capacity < waiting + more) {
		auto larger = std::make_unique<rte_mbuf*[]>(waiting + more);
		std::copy_n(v.backlog.get() + v.begin, waiting, larger.get());
		v.backlog = std::move(larger);
		v.capacity = waiting + more;
	} else if (v.begin != 0) {
		std::copy_n(&v.backlog[v.begin], waiting, &v.backlog[0]);
	}
	v.begin = 0;
	v.end = waiting;
}

/* The ring's frames, then the VF's. Ends when the host has switched and the ring is empty. */
uint16_t receive_settling(RxQueue& q, VfRx& v, rte_mbuf** out, uint16_t room)
{
	const bool switched = v.switched.load(std::memory_order_acquire);
	if (v.end == 0) {
		v.end = receive(q, v, &v.backlog[0], std::min(room, kFetch));
		v.held = v.end != 0;
	}
	uint16_t n = v.synthetic(&q, out, room);
	if (q.rx->maybe_nonempty())
		return n;
	v.held = false;
	n += take_backlog(v, out + n, room - n);
	if (switched)
		v.path = VfRx::Path::kVf;
	return n;
}

/* The VF's frames, then the ring's. */
uint16_t receive_vf(RxQueue& q, VfRx& v, rte_mbuf** out, uint16_t room)
{
	if (v.end == 0) {
		v.end = v.synthetic(&q, &v.backlog[0], kFetch);
		v.held = v.end != 0;
		v.patience = static_cast<int32_t>(v.descriptors);
	}
	uint16_t n = receive(q, v, out, room);
	if (v.end == 0)
		return n;
	/* A VF that is never empty has delivered all older frames after a whole ring of them. */
	v.patience -= n;
	if (n == 0 || v.patience <= 0) {
		v.held = false;
		n += take_backlog(v, out + n, room - n);
	}
	return n;
}

uint16_t send(TxQueue& q, VfTx& v, rte_mbuf** mbufs, uint16_t count)
{
	/* Those that are sent are not ours any more. */
	uint64_t bytes = 0;
	for (uint16_t i = 0; i < count; i++)
		bytes += mbufs[i]->pkt_len;
	const uint16_t sent = rte_eth_tx_burst(v.vf, q.id, mbufs, count);
	for (uint16_t i = sent; i < count; i++)
		bytes -= mbufs[i]->pkt_len;
	add(q.vf.frames, sent);
	add(q.vf.bytes, bytes);
	return sent;
}

bool ring_is_through(TxQueue& q, VfTx& v)
{
	q.rx->scan(false);
	v.synthetic(&q, nullptr, 0);
	return q.tx->in_flight() == 0 || rte_rdtsc() >= v.deadline;
}

/*
 * Whether the VF's queue has sent everything. Drivers count a descriptor's place from the next
 * free one or from the oldest: either way nothing is left where neither end is in use. Those that
 * cannot tell have sent it, as far as anybody knows.
 */
bool vf_is_through(uint16_t vf, uint16_t queue, uint32_t descriptors)
{
	rte_eth_tx_done_cleanup(vf, queue, 0);
	const auto busy = [&](uint32_t offset) {
		return rte_eth_tx_descriptor_status(vf, queue, static_cast<uint16_t>(offset)) ==
		       RTE_ETH_TX_DESC_FULL;
	};
	return !busy(0) && !busy(descriptors - 1);
}

} // namespace

/* A control thread that has the lock changes the path: nothing comes meanwhile. */
uint16_t vf_rx_burst(void* queue, rte_mbuf** out, uint16_t count)
{
	RxQueue& q = *static_cast<RxQueue*>(queue);
	if (vmbus::load_once(&q.generation) == 0) [[unlikely]]
		return 0;
	VfRx& v = q.port->vf.rx(q.id);
	if (!v.lock.try_lock()) [[unlikely]]
		return 0;
	uint16_t n = 0;
	if (v.end != 0 && !v.held) [[unlikely]]
		n = take_backlog(v, out, count);
	if (n != count) {
		const auto room = static_cast<uint16_t>(count - n);
		if (v.path == VfRx::Path::kVf) [[likely]]
			n += receive_vf(q, v, out + n, room);
		else if (v.path == VfRx::Path::kSettling)
			n += receive_settling(q, v, out + n, room);
		else
			n += v.synthetic(queue, out + n, room);
	}
	v.lock.unlock();
	return n;
}

uint16_t vf_tx_burst(void* queue, rte_mbuf** mbufs, uint16_t count)
{
	TxQueue& q = *static_cast<TxQueue*>(queue);
	if (vmbus::load_once(&q.generation) == 0) [[unlikely]]
		return 0;
	VfTx& v = q.port->vf.tx(q.id);
	if (!v.lock.try_lock()) [[unlikely]]
		return 0;
	if (v.path == VfTx::Path::kWaiting && ring_is_through(q, v)) [[unlikely]]
		v.path = VfTx::Path::kVf;
	uint16_t n = 0;
	if (v.path == VfTx::Path::kVf) [[likely]]
		n = send(q, v, mbufs, count);
	else if (v.path == VfTx::Path::kSynthetic)
		n = v.synthetic(queue, mbufs, count);
	v.lock.unlock();
	return n;
}

void enter_vf(VfRx& v, uint16_t vf, uint32_t descriptors)
{
	v.lock.lock();
	reserve(v, kFetch);
	v.vf = vf;
	v.descriptors = descriptors;
	v.switched.store(false, std::memory_order_relaxed);
	v.path = VfRx::Path::kSettling;
	v.lock.unlock();
}

void enter_vf(VfTx& v, uint16_t vf, uint32_t descriptors)
{
	v.lock.lock();
	v.vf = vf;
	v.descriptors = descriptors;
	v.deadline = rte_rdtsc() + rte_get_tsc_hz() * 2; /* as when the port stops */
	v.path = VfTx::Path::kWaiting;
	v.lock.unlock();
}

void leave_vf(RxQueue& q, VfRx& v, VfEnd end)
{
	v.lock.lock();
	if (v.path == VfRx::Path::kSynthetic) {
		v.lock.unlock();
		return;
	}
	rte_mbuf* younger[kFetch];
	uint32_t younger_count = 0;
	if (v.held && v.path == VfRx::Path::kVf)
		younger_count = take_backlog(v, younger, kFetch);
	/* A whole ring, and one that comes while it is drained: more would not end by waiting. */
	reserve(v, 2 * v.descriptors + 2 * kFetch);
	const uint32_t last = v.capacity - 2 * kFetch;
	for (uint32_t empty = 0;
	     end != VfEnd::kDestroyed && empty < kEmptyPolls && v.end <= last;) {
		const uint16_t n = receive(q, v, &v.backlog[v.end], kFetch);
		v.end += n;
		empty = n == 0 ? empty + 1 : 0;
		if (n == 0)
			std::this_thread::sleep_for(kIdlePoll);
	}
	std::copy_n(younger, younger_count, &v.backlog[v.end]);
	v.end += younger_count;
	v.held = false;
	v.path = VfRx::Path::kSynthetic;
	v.lock.unlock();
}

void leave_vf(TxQueue& q, VfTx& v, VfEnd end)
{
	v.lock.lock();
	if (v.path == VfTx::Path::kVf && end == VfEnd::kOrderly) {
		const auto deadline = std::chrono::steady_clock::now() + kVfDrain;
		while (!vf_is_through(v.vf, q.id, v.descriptors) &&
		       std::chrono::steady_clock::now() < deadline)
			std::this_thread::sleep_for(kIdlePoll);
	}
	v.path = VfTx::Path::kSynthetic;
	v.lock.unlock();
}

void drop_backlog(RxQueue& q, VfRx& v)
{
	v.lock.lock();
	uint64_t bytes = 0;
	for (uint32_t i = v.begin; i < v.end; i++) {
		bytes += v.backlog[i]->pkt_len;
		rte_pktmbuf_free(v.backlog[i]);
	}
	add(q.vf.dropped, v.end - v.begin);
	add(q.vf.dropped_bytes, bytes);
	v.begin = v.end = 0;
	v.held = false;
	v.lock.unlock();
}

uint32_t vf_waiting(RxQueue& q)
{
	VfRx& v = q.port->vf.rx(q.id);
	if (!v.lock.try_lock())
		return 0;
	uint32_t n = v.end - v.begin;
	if (v.path != VfRx::Path::kSynthetic)
		n += static_cast<uint32_t>(
			std::max(static_cast<int>(rte_eth_rx_queue_count(v.vf, q.id)), 0));
	v.lock.unlock();
	return n;
}

bool vf_tx_descriptor_status(TxQueue& q, uint16_t offset, int& status)
{
	VfTx& v = q.port->vf.tx(q.id);
	if (!v.lock.try_lock()) {
		status = RTE_ETH_TX_DESC_FULL; /* nothing is sent while the path changes */
		return true;
	}
	const bool by_vf = v.path == VfTx::Path::kVf;
	if (by_vf) {
		/* The VF may have fewer. */
		const uint32_t last = v.descriptors - 1;
		status = rte_eth_tx_descriptor_status(
			v.vf, q.id, static_cast<uint16_t>(std::min<uint32_t>(offset, last)));
	}
	v.lock.unlock();
	return by_vf;
}

int vf_tx_done_cleanup(TxQueue& q, uint32_t count)
{
	VfTx& v = q.port->vf.tx(q.id);
	if (!v.lock.try_lock())
		return 0;
	const int n = v.path == VfTx::Path::kVf ? rte_eth_tx_done_cleanup(v.vf, q.id, count) : 0;
	v.lock.unlock();
	return std::max(n, 0);
}

} // namespace netvsc
