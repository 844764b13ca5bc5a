/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The generator: a source of numbered frames, and the sink that verifies those that come back,
 * be they its own or, where the guest forwards between two NICs, those of another generator.
 */
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <utility>
#include <vector>

#include "generator_frame.hpp"
#include "histogram.hpp"
#include "kinds.hpp"

namespace netvsp {

namespace {

using generator::Maker;
using generator::Stamp;

constexpr uint32_t kMinSize = 60; /* the shortest Ethernet frame, without FCS */
constexpr uint64_t kSecond = 1'000'000'000;

struct Options {
	uint32_t size = 0;
	uint32_t flows = 1;
	uint64_t rate = 0;   /* frames per second, 0 = as fast as they are taken */
	uint64_t count = 0;  /* 0 = endless */
	uint64_t window = 0; /* frames that may be on their way, 0 = any number */
	/* Broadcast gets through every packet filter, whatever the NIC's address. */
	std::array<uint8_t, 6> destination{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	bool tcp = false;
};

class Generator final : public Endpoint {
      public:
	explicit Generator(const Options& options)
		: size_(options.size),
		  flows_(options.flows),
		  rate_(options.rate),
		  window_(options.window),
		  endless_(options.count == 0),
		  left_(endless_ ? std::numeric_limits<uint64_t>::max() : options.count),
		  stream_(next_stream()),
		  sequence_(uint64_t(stream_) << 48),
		  maker_(options.size, stream_, options.destination, options.tcp)
	{
	}

	bool send(const uint8_t* frame, uint32_t length) override
	{
		Stamp stamp;

		stats_.sent_frames++;
		stats_.sent_bytes += length;
		const uint32_t at = generator::find_payload(frame, length);
		if (at == 0) {
			stats_.foreign++;
		} else if (!generator::read_frame(frame, length, at, stamp)) {
			stats_.corrupted++;
			stats_.errors++;
		} else {
			check_order(stamp);
			back_++;
			if (window_ == 1 && given_at_ != 0)
				round_trips_.add(clock_ns(CLOCK_MONOTONIC) -
						 std::exchange(given_at_, 0));
		}
		return true;
	}

	uint32_t receive(uint8_t* room, uint32_t capacity) override
	{
		if (budget_ == 0 && !refill())
			return 0;
		budget_--;

		const uint64_t sequence = sequence_;
		const uint16_t flow = uint16_t(flow_);
		if (++flow_ == flows_) {
			flow_ = 0;
			sequence_++;
		}
		if (capacity < size_) {
			stats_.dropped++;
			return 0;
		}
		maker_.make(room, sequence, flow);
		stats_.received_frames++;
		stats_.received_bytes += size_;
		if (window_ == 1)
			given_at_ = clock_ns(CLOCK_MONOTONIC);
		return size_;
	}

	EndpointStats stats() const override
	{
		EndpointStats out = stats_;
		out.round_trips = round_trips_.count();
		out.rtt_p50_ns = round_trips_.percentile(0.5);
		out.rtt_p99_ns = round_trips_.percentile(0.99);
		out.rtt_p999_ns = round_trips_.percentile(0.999);
		return out;
	}

	int64_t wait_ns() const override
	{
		if (budget_ != 0)
			return 0;
		if (left_ == 0)
			return -1;
		if (window_ != 0 && out_ - back_ >= window_)
			return kWindowPoll; /* what comes back wakes the host anyway */
		if (rate_ == 0 || epoch_ == 0)
			return 0;
		const uint64_t due = epoch_ + (given_ + 1) * kSecond / rate_;
		const uint64_t now = clock_ns(CLOCK_MONOTONIC);
		return due > now ? int64_t(due - now) : 0;
	}

      private:
	/* What came back from one generator: for each flow the next number expected, 0 = none yet
	 * (numbers are kept plus one, so that the first frame is not taken for one). */
	struct Source {
		uint16_t stream;
		std::vector<uint64_t> next;
	};
	/* A guest that makes up streams must not cost memory without end. */
	static constexpr size_t kMaxSources = 16;

	static uint16_t next_stream()
	{
		static std::atomic<uint16_t> stream{0};

		return stream++;
	}

	/* Allows more frames as time or the count does; one look at the clock serves them all. */
	bool refill()
	{
		uint64_t due = left_;

		if (left_ == 0)
			return false;
		if (rate_ != 0) {
			const uint64_t now = clock_ns(CLOCK_MONOTONIC);

			if (epoch_ == 0) {
				epoch_ = now;
				return false;
			}
			/* What the guest could not take for long is not made up for in one go, but
			 * a late call by a few milliseconds must not lower the rate. */
			if (now - epoch_ > kCatchUp + (given_ + 1) * kSecond / rate_) {
				epoch_ = now - std::max(kCatchUp, (kSecond + rate_ - 1) / rate_);
				given_ = 0;
			}
			while (now - epoch_ >= kSecond && given_ >= rate_) {
				epoch_ += kSecond;
				given_ -= rate_;
			}
			const uint64_t total = uint64_t(
				static_cast<unsigned __int128>(now - epoch_) * rate_ / kSecond);
			due = std::min(left_, total > given_ ? total - given_ : 0);
		}
		if (window_ != 0)
			due = std::min(due, window_room());
		given_ += due;
		out_ += due;
		if (!endless_)
			left_ -= due;
		budget_ = due;
		return due != 0;
	}

	/* How many frames may follow those that are on their way. */
	uint64_t window_room()
	{
		if (out_ - back_ < window_)
			return window_ - (out_ - back_);
		/* What has not come back for long is lost, and must not stop the rest. */
		const uint64_t now = clock_ns(CLOCK_MONOTONIC);
		if (back_ != back_then_ || back_since_ == 0) {
			back_then_ = back_;
			back_since_ = now;
		} else if (now - back_since_ > kSecond) {
			out_ = back_;
			back_since_ = now;
		}
		return 0;
	}

	void check_order(const Stamp& stamp)
	{
		const uint64_t number = (stamp.sequence & kSequenceMask) + 1;
		std::vector<uint64_t>* next = find_source(uint16_t(stamp.sequence >> 48));

		stats_.verified++;
		if (!next)
			return;
		if (stamp.flow >= next->size())
			next->resize(std::max<size_t>(stamp.flow + 1u, flows_));
		uint64_t& expected = (*next)[stamp.flow];
		if (number < expected) {
			stats_.verified--;
			stats_.reordered++;
			stats_.errors++;
			return;
		}
		/* Those before the first one to come back were given before the guest forwarded. */
		if (expected != 0)
			stats_.lost += number - expected;
		expected = number + 1;
	}

	std::vector<uint64_t>* find_source(uint16_t stream)
	{
		if (last_source_ < sources_.size() && sources_[last_source_].stream == stream)
			return &sources_[last_source_].next;
		for (last_source_ = 0; last_source_ < sources_.size(); last_source_++) {
			if (sources_[last_source_].stream == stream)
				return &sources_[last_source_].next;
		}
		if (sources_.size() == kMaxSources)
			return nullptr;
		sources_.push_back({stream, {}});
		return &sources_.back().next;
	}

	static constexpr uint64_t kSequenceMask = (uint64_t(1) << 48) - 1;
	static constexpr uint64_t kCatchUp = 10'000'000;
	static constexpr int64_t kWindowPoll = 10'000'000;

	const uint32_t size_;
	const uint32_t flows_;
	const uint64_t rate_;
	const uint64_t window_;
	const bool endless_;
	uint64_t left_;		 /* frames not yet moved to the budget */
	uint64_t budget_ = 0;	 /* frames that may be given without a look at the clock */
	uint64_t epoch_ = 0;	 /* time from which the rate counts; 0 = not started */
	uint64_t given_ = 0;	 /* frames since then, the budget included */
	uint64_t out_ = 0;	 /* frames given, the budget included */
	uint64_t back_ = 0;	 /* frames that came back */
	uint64_t back_then_ = 0; /* at the last look, and since when it is that */
	uint64_t back_since_ = 0;
	uint64_t given_at_ = 0; /* when the one frame that may be on its way was; 0 = it is back */
	Histogram round_trips_;
	const uint16_t stream_;
	uint64_t sequence_;
	uint32_t flow_ = 0;
	Maker maker_;

	std::vector<Source> sources_;
	size_t last_source_ = 0;
};

/* A number in decimal, whole, in lowest..highest. */
bool parse_number(const std::string& text, uint64_t lowest, uint64_t highest, uint64_t& value)
{
	char* end;

	if (text.empty() || text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoull(text.c_str(), &end, 10);
	return errno == 0 && *end == '\0' && value >= lowest && value <= highest;
}

bool parse_mac(const std::string& text, std::array<uint8_t, 6>& mac)
{
	if (text.size() != 17)
		return false;
	for (size_t i = 0; i < 6; i++) {
		const char* at = &text[i * 3];
		unsigned value = 0;

		for (size_t digit = 0; digit < 2; digit++) {
			const char c = at[digit];

			if (c >= '0' && c <= '9')
				value = value * 16 + unsigned(c - '0');
			else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
				value = value * 16 + unsigned((c | 0x20) - 'a') + 10;
			else
				return false;
		}
		if (i < 5 && at[2] != ':' && at[2] != '-')
			return false;
		mac[i] = uint8_t(value);
	}
	return true;
}

/* Sets one option. @return empty, or what is accepted */
std::string set_option(const std::string& key, const std::string& value, Options& options)
{
	uint64_t number = 0;

	if (key == "size") {
		if (!parse_number(value, kMinSize, kMaxFrame, number))
			return "60..9216 bytes, without FCS";
		options.size = uint32_t(number);
	} else if (key == "flows") {
		if (!parse_number(value, 1, 65536, number))
			return "1..65536";
		options.flows = uint32_t(number);
	} else if (key == "rate") {
		if (!parse_number(value, 0, kSecond, options.rate))
			return "0..1000000000 frames per second, 0 = as fast as they are taken";
	} else if (key == "count") {
		if (!parse_number(value, 0, std::numeric_limits<uint64_t>::max(), options.count))
			return "a number of frames, 0 = endless";
	} else if (key == "window") {
		if (!parse_number(value, 0, 1u << 30, options.window))
			return "0..1073741824 frames on their way, 0 = any number";
	} else if (key == "dst") {
		if (!parse_mac(value, options.destination))
			return "a MAC address like 00:15:5d:01:02:03";
	} else if (key == "proto") {
		if (value != "udp" && value != "tcp")
			return "udp or tcp";
		options.tcp = value == "tcp";
	} else {
		return "size, flows, rate, count, window, dst and proto";
	}
	return "";
}

} // namespace

std::unique_ptr<Endpoint> make_generator(const std::string& args, std::string& error)
{
	Options options;

	for (size_t at = 0; at < args.size();) {
		/* A MAC address has the separator in it: its end is by length. */
		const bool mac = args.compare(at, 4, "dst=") == 0;
		const size_t end = std::min(
			args.find(':', mac ? std::min(at + 4 + 17, args.size()) : at), args.size());
		const std::string part = args.substr(at, end - at);
		const size_t equals = std::min(part.find('='), part.size());
		const std::string accepted =
			set_option(part.substr(0, equals),
				   equals < part.size() ? part.substr(equals + 1) : "", options);

		if (!accepted.empty()) {
			error = "\"" + part + "\" is wrong: accepted is " + accepted;
			return nullptr;
		}
		at = end + 1;
	}

	const uint32_t lowest = std::max(kMinSize, Maker::min_size(options.tcp));
	if (options.size == 0)
		options.size = std::max(64u, lowest);
	if (options.size < lowest) {
		error = "size=" + std::to_string(options.size) +
			" is too short: proto=" + (options.tcp ? "tcp" : "udp") +
			" takes at least " + std::to_string(lowest);
		return nullptr;
	}
	return std::make_unique<Generator>(options);
}

} // namespace netvsp
