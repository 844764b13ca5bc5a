/* SPDX-License-Identifier: BSD-3-Clause */
#include "loops.hpp"

#include <algorithm>
#include <cstring>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_memcpy.h>

#ifdef HAVE_CALLGRIND
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT
#endif

namespace bench {

namespace {

/* Calls in a row that move nothing before a step is given up. */
constexpr uint32_t kPatience = 10000;

uint32_t handicap;

inline void lose_time(uint32_t frames)
{
	for (uint32_t n = frames * handicap; n != 0; n--)
		__asm__ volatile("" ::: "memory"); /* the loop's own: one to count, one to jump */
}

template <class Pass> Timed timed(Pass pass)
{
	Timed result;
	CALLGRIND_TOGGLE_COLLECT;
	const uint64_t begin = rte_rdtsc();
	uint32_t idle = 0;
	bool more = true;
	while (more && idle < kPatience) {
		more = false;
		idle = pass(more) != 0 ? 0 : idle + 1;
	}
	result.cycles = rte_rdtsc() - begin;
	CALLGRIND_TOGGLE_COLLECT;
	result.complete = !more;
	return result;
}

inline bool receiving(const Leg& leg)
{
	return leg.got < leg.want;
}

inline bool sending(const Leg& leg)
{
	return leg.sent < leg.sending;
}

inline uint32_t receive(Leg& leg, uint32_t burst)
{
	if (!receiving(leg))
		return 0;
	const auto most = static_cast<uint16_t>(std::min(burst, leg.want - leg.got));
	const uint16_t n =
		rte_eth_rx_burst(leg.path.port, leg.path.queue, leg.received + leg.got, most);
	leg.got += n;
	lose_time(n);
	return n;
}

inline uint32_t send(Leg& leg, uint32_t burst)
{
	if (!sending(leg))
		return 0;
	const auto most = static_cast<uint16_t>(std::min(burst, leg.sending - leg.sent));
	const uint16_t n =
		rte_eth_tx_burst(leg.path.port, leg.path.queue, leg.to_send + leg.sent, most);
	leg.sent += n;
	lose_time(n);
	return n;
}

/* All queues in turn. @param move returns how many frames it moved; @param left whether there are
 */
template <class Move, class Left> Timed move_all(std::vector<Leg>& legs, Move move, Left left)
{
	return timed([&](bool& more) {
		uint32_t moved = 0;
		for (Leg& leg : legs) {
			moved += move(leg);
			more |= left(leg);
		}
		return moved;
	});
}

bool moving(const Leg& leg)
{
	return receiving(leg) || sending(leg);
}

} // namespace

void set_handicap(uint32_t instructions)
{
	handicap = instructions / 2;
}

Timed receive_all(std::vector<Leg>& legs, uint32_t burst)
{
	return move_all(
		legs, [=](Leg& leg) { return receive(leg, burst); }, receiving);
}

Timed send_all(std::vector<Leg>& legs, uint32_t burst)
{
	return move_all(
		legs, [=](Leg& leg) { return send(leg, burst); }, sending);
}

Timed forward_all(std::vector<Leg>& legs, uint32_t burst)
{
	const auto forward = [=](Leg& leg) {
		const uint32_t n = receive(leg, burst);
		leg.sending = leg.got;
		return n + send(leg, burst);
	};
	return move_all(legs, forward, moving);
}

Timed exchange_all(std::vector<Leg>& legs, uint32_t burst)
{
	const auto exchange = [=](Leg& leg) { return receive(leg, burst) + send(leg, burst); };
	return move_all(legs, exchange, moving);
}

Timed copy_all(uint8_t* const* to, const uint8_t* const* from, const uint32_t* lengths,
	       uint32_t count, uint32_t burst)
{
	static uint32_t index;
	uint32_t at = 0;
	return timed([&](bool& more) {
		const uint32_t end = std::min(at + burst, count);
		for (; at < end; at++)
			rte_memcpy(to[at], from[at], lengths[at]);
		__atomic_store_n(&index, at, __ATOMIC_SEQ_CST);
		more = at < count;
		return burst;
	});
}

} // namespace bench
