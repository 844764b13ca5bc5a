/* SPDX-License-Identifier: BSD-3-Clause */
#include "measure.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>

#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include "loops.hpp"

#ifdef HAVE_CALLGRIND
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_DUMP_STATS_AT(name) static_cast<void>(name)
#endif

namespace bench {

namespace {

/* Drivers take completions in when few sections are left: as many as that were sent before. */
constexpr uint64_t kWarmUpFrames = 32768;
constexpr uint64_t kWarmUpSteps = 20;

class Measurement {
      public:
	Measurement(Rig& rig, const Case& c, const MeasureOptions& options)
		: rig_(rig), case_(c), options_(options)
	{
	}

	Result run()
	{
		result_.unsupported = rig_.configure(case_);
		if (result_.unsupported.empty()) {
			if (case_.queues > 1)
				result_.queue_bytes = rig_.heap_bytes() / case_.queues;
			prepare();
			if (result_.error.empty())
				sample_all();
			if (result_.error.empty())
				result_.error = rig_.complaints();
		}
		return std::move(result_);
	}

      private:
	bool receives() const { return case_.direction != Direction::kTx; }
	bool makes() const
	{
		return case_.direction == Direction::kTx || case_.direction == Direction::kBoth;
	}

	void prepare()
	{
		const size_t paths = rig_.paths().size();
		each_ = case_.each != 0 ? case_.each : std::max(options_.frames, case_.burst);
		if (case_.size > 4096)
			each_ = std::min(each_, 32u); /* a share of the receive buffer */
		std::vector<std::vector<uint16_t>> flows;
		result_.error = rig_.learn(case_, each_, flows);
		if (!result_.error.empty())
			return;
		/* In turn: the frames of a port's queues come mixed. */
		std::vector<uint16_t> order;
		first_.assign(case_.ports, 0);
		for (uint16_t port = 0; port < case_.ports; port++) {
			first_[port] = static_cast<uint32_t>(order.size());
			for (uint32_t i = 0; i < each_; i++)
				for (size_t p = 0; p < paths; p++)
					if (rig_.paths()[p].port == port)
						order.push_back(flows[p][i]);
		}
		traffic_ = std::make_unique<Traffic>(case_, order);
		per_port_ = each_ * case_.queues;
		for (uint16_t port = 0; port < case_.ports; port++)
			rig_.feed(port).use(traffic_.get(), first_[port], per_port_,
					    case_.offload == Offload::kTso);
		received_.resize(paths * each_);
		to_send_.resize(paths * each_);
		for (size_t p = 0; p < paths; p++)
			legs_.push_back({rig_.paths()[p], &received_[p * each_], 0, 0,
					 &to_send_[p * each_], 0, 0});
	}

	/* Several processes are measured by turns, so that all see the same of what disturbs them.
	 */
	static void wait_for_turn()
	{
		std::fputs("pmd: ready\n", stderr);
		for (int c; (c = std::getchar()) != '\n' && c != EOF;) {
		}
	}

	void sample_all()
	{
		const uint64_t warm_up = std::max(kWarmUpSteps, kWarmUpFrames / moved_in_step());
		for (uint64_t i = 0; i < warm_up && result_.error.empty(); i++)
			step(i == 0 || i == warm_up - 1);
		const netvsp::NicStats before = rig_.stats(0);
		for (uint32_t s = 0; s < options_.samples && result_.error.empty(); s++) {
			uint64_t cycles = 0;
			if (options_.paced) {
				wait_for_turn();
				step(false); /* the caches were another's */
			}
			CALLGRIND_ZERO_STATS;
			for (uint32_t i = 0; i < options_.steps && result_.error.empty(); i++)
				cycles += step(false);
			CALLGRIND_DUMP_STATS_AT(case_.name.c_str());
			const uint64_t frames = uint64_t{options_.steps} * moved_in_step();
			result_.cycles.push_back(static_cast<double>(cycles) /
						 static_cast<double>(frames));
			result_.frames += frames;
			if (has_floor() && result_.error.empty())
				sample_floor();
			step(true);
		}
		const netvsp::NicStats after = rig_.stats(0);
		const uint64_t packets = receives() ? after.rx_packets - before.rx_packets
						    : after.tx_packets - before.tx_packets;
		const uint64_t frames = receives() ? after.rx_frames - before.rx_frames
						   : after.tx_frames - before.tx_frames;
		if (packets != 0)
			result_.frames_per_packet =
				static_cast<double>(frames) / static_cast<double>(packets);
	}

	uint64_t moved_in_step() const
	{
		const uint64_t frames = uint64_t{each_} * legs_.size();
		return case_.direction == Direction::kBoth ? 2 * frames : frames;
	}

	/* @return cycles of the driver */
	uint64_t step(bool check)
	{
		for (uint16_t port = 0; port < case_.ports; port++) {
			rig_.feed(port).check(check);
			if (receives())
				rig_.feed(port).give(per_port_);
			taken_before_ = port == 0 ? rig_.feed(port).taken()
						  : taken_before_ + rig_.feed(port).taken();
		}
		if (receives())
			rig_.step();
		for (Leg& leg : legs_) {
			leg.want = receives() ? each_ : 0;
			leg.sending = 0;
			leg.got = leg.sent = 0;
			if (case_.direction == Direction::kIo)
				leg.to_send = leg.received;
		}
		if (makes() && !make_frames())
			return fail("there are not enough mbufs");
		const Timed timed = move();
		rig_.step();
		finish(timed, check);
		return timed.cycles;
	}

	uint64_t fail(const std::string& what)
	{
		if (result_.error.empty())
			result_.error = what;
		return 0;
	}

	bool make_frames()
	{
		for (size_t p = 0; p < legs_.size(); p++) {
			Leg& leg = legs_[p];
			if (rte_pktmbuf_alloc_bulk(rig_.pool(), leg.to_send, each_) != 0)
				return false;
			leg.sending = each_;
			for (uint32_t i = 0; i < each_; i++)
				if (!traffic_->fill(leg.to_send[i],
						    static_cast<uint32_t>(p * each_ + i), case_))
					return false;
		}
		return true;
	}

	Timed move()
	{
		switch (case_.direction) {
		case Direction::kRx:
			return receive_all(legs_, case_.burst);
		case Direction::kTx:
			return send_all(legs_, case_.burst);
		case Direction::kIo:
			return forward_all(legs_, case_.burst);
		case Direction::kBoth:
			break;
		}
		return case_.lcores == 1 ? exchange_all(legs_, case_.burst) : move_on_two();
	}

	/* Both begin at once; the cycles are the sum of what each took for its own. */
	Timed move_on_two()
	{
		struct Other {
			Measurement* self;
			std::atomic<int> ready{0};
			Timed timed;
		} other{this, 0, {}};
		const auto job = [](void* argument) {
			auto* o = static_cast<Other*>(argument);
			o->ready.fetch_add(1);
			while (o->ready.load() != 2)
				rte_pause();
			o->timed = send_all(o->self->legs_, o->self->case_.burst);
			return 0;
		};
		rte_eal_remote_launch(job, &other, rte_get_next_lcore(rte_lcore_id(), 1, 1));
		other.ready.fetch_add(1);
		while (other.ready.load() != 2)
			rte_pause();
		Timed timed = receive_all(legs_, case_.burst);
		rte_eal_mp_wait_lcore();
		timed.cycles += other.timed.cycles;
		timed.complete &= other.timed.complete;
		return timed;
	}

	void finish(const Timed& timed, bool check)
	{
		uint64_t sum = 0;
		uint64_t bad = 0;
		for (Leg& leg : legs_) {
			if (receives() && case_.direction != Direction::kIo) {
				for (uint32_t i = 0; check && i < leg.got; i++) {
					const int64_t number =
						traffic_->find_guest(*leg.received[i]);
					bad += number < 0;
					sum += static_cast<uint64_t>(number);
				}
				rte_pktmbuf_free_bulk(leg.received, leg.got);
			}
		}
		if (!timed.complete)
			fail("frames are missing: they were not all moved in " + case_.name);
		if (check && receives() && case_.direction != Direction::kIo &&
		    result_.error.empty()) {
			const uint64_t n = traffic_->count();
			if (bad != 0 || sum != n * (n - 1) / 2)
				fail("frames came damaged or twice: " + std::to_string(bad));
		}
		if (case_.direction != Direction::kRx) {
			uint64_t taken = 0;
			uint64_t damaged = 0;
			for (uint16_t port = 0; port < case_.ports; port++) {
				taken += rig_.feed(port).taken();
				damaged += rig_.feed(port).damaged();
			}
			if (taken - taken_before_ != uint64_t{each_} * legs_.size())
				fail("the host got " + std::to_string(taken - taken_before_) +
				     " frames of " + std::to_string(each_ * legs_.size()));
			if (damaged != 0)
				fail(std::to_string(damaged) + " frames came to the host damaged");
		}
	}

	bool has_floor() const
	{
		return case_.offload == Offload::kNone && !case_.chained && case_.segments == 1 &&
		       !case_.external && case_.ports == 1 &&
		       (case_.direction == Direction::kRx || case_.direction == Direction::kTx);
	}

	/* From and to where the driver has just copied them, with mbufs as the driver takes them.
	 */
	void sample_floor()
	{
		Feed& feed = rig_.feed(0);
		uint64_t cycles = 0;
		const uint32_t count = per_port_;
		std::vector<uint8_t*> from(count);
		std::vector<uint8_t*> to(count);
		std::vector<uint32_t> lengths(count);
		for (uint32_t i = 0; i < count; i++)
			lengths[i] = static_cast<uint32_t>(traffic_->guest(i).size());
		for (uint32_t s = 0; s < options_.steps; s++) {
			if (receives()) {
				feed.check(true);
				feed.give(count);
				rig_.step();
				rte_pktmbuf_alloc_bulk(rig_.pool(), to_send_.data(), count);
				for (uint32_t i = 0; i < count; i++) {
					from[i] = feed.given_at()[i];
					to[i] = rte_pktmbuf_mtod(to_send_[i], uint8_t*);
				}
				cycles += copy_all(to.data(), from.data(), lengths.data(), count,
						   case_.burst)
						  .cycles;
				rte_pktmbuf_free_bulk(to_send_.data(), count);
				for (Leg& leg : legs_) {
					leg.want = each_;
					leg.got = 0;
				}
				finish(receive_all(legs_, case_.burst), false);
			} else {
				step(true);
				rte_pktmbuf_alloc_bulk(rig_.pool(), to_send_.data(), count);
				for (uint32_t i = 0; i < count; i++) {
					traffic_->fill(to_send_[i], i, case_);
					from[i] = rte_pktmbuf_mtod(to_send_[i], uint8_t*);
					to[i] = feed.taken_at()[i];
				}
				cycles += copy_all(to.data(), from.data(), lengths.data(), count,
						   case_.burst)
						  .cycles;
				rte_pktmbuf_free_bulk(to_send_.data(), count);
			}
		}
		result_.floor.push_back(static_cast<double>(cycles) / (options_.steps * count));
	}

	Rig& rig_;
	const Case& case_;
	const MeasureOptions& options_;
	Result result_;
	std::unique_ptr<Traffic> traffic_;
	std::vector<uint32_t> first_; /* frame of each port */
	uint32_t each_ = 0;	      /* frames of a queue in a step */
	uint32_t per_port_ = 0;
	uint64_t taken_before_ = 0;
	std::vector<rte_mbuf*> received_;
	std::vector<rte_mbuf*> to_send_;
	std::vector<Leg> legs_;
};

} // namespace

Result measure(Rig& rig, const Case& c, const MeasureOptions& options)
{
	return Measurement(rig, c, options).run();
}

} // namespace bench
