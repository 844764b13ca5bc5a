/* SPDX-License-Identifier: BSD-3-Clause */
#include "switch.hpp"

#include <algorithm>
#include <cstring>

#include "frame_ring.hpp"
#include "kinds.hpp"

namespace netvsp {

class SwitchPort final : public Endpoint {
      public:
	SwitchPort(std::shared_ptr<Switch> vswitch, size_t queue_bytes)
		: queue_(queue_bytes), vswitch_(std::move(vswitch))
	{
		vswitch_->attach(this);
	}

	~SwitchPort() override { vswitch_->detach(this); }

	bool send(const uint8_t* frame, uint32_t length) override
	{
		if (length < kEthernetHeader) {
			stats_.errors++;
			return true;
		}
		stats_.sent_frames++;
		stats_.sent_bytes += length;
		vswitch_->forward(*this, frame, length);
		return true;
	}

	uint32_t receive(uint8_t* room, uint32_t capacity) override
	{
		uint32_t length;

		while (const uint8_t* frame = queue_.front(length)) {
			const bool fits = length <= capacity;

			if (fits)
				memcpy(room, frame, length);
			queue_.pop();
			if (fits) {
				stats_.received_frames++;
				stats_.received_bytes += length;
				return length;
			}
			stats_.dropped++;
		}
		return 0;
	}

	void discard_waiting() override
	{
		stats_.dropped += queue_.frames();
		queue_.clear();
	}

	int64_t wait_ns() const override { return queue_.empty() ? -1 : 0; }

      private:
	friend class Switch;

	/* The newest look-up in the table, which most frames repeat. */
	struct Note {
		uint64_t mac = ~uint64_t(0);
		Switch::Entry* entry = nullptr;
		uint64_t generation = 0;
	};

	FrameRing queue_;
	std::shared_ptr<Switch> vswitch_;
	Note source_;
	Note destination_;
};

namespace {

uint64_t coarse_clock()
{
#ifdef CLOCK_MONOTONIC_COARSE
	return clock_ns(CLOCK_MONOTONIC_COARSE);
#else
	return clock_ns(CLOCK_MONOTONIC);
#endif
}

uint64_t load_mac(const uint8_t* bytes)
{
	uint64_t mac = 0;

	memcpy(&mac, bytes, 6);
	return mac;
}

constexpr uint64_t kSweepInterval = 1'000'000'000;

} // namespace

Switch::Switch() : Switch(Config{}) {}

Switch::Switch(const Config& config) : config_(config)
{
	if (!config_.clock)
		config_.clock = coarse_clock;
	table_.reserve(config_.table_entries);
}

Switch::~Switch() = default;

uint64_t Switch::now() const
{
	return config_.clock();
}

void Switch::attach(SwitchPort* port)
{
	ports_.push_back(port);
}

void Switch::detach(SwitchPort* port)
{
	std::erase(ports_, port);
	std::erase_if(table_, [port](const auto& item) { return item.second.port == port; });
	generation_++;
}

/* Forgets what has aged, when a new address finds the table full. */
bool Switch::make_space(uint64_t now)
{
	/* A guest that makes up addresses must not cost a walk of the table per frame. */
	if (last_sweep_ != 0 && now - last_sweep_ < kSweepInterval)
		return false;
	last_sweep_ = now;
	std::erase_if(table_,
		      [&](const auto& item) { return now - item.second.seen > config_.aging_ns; });
	generation_++;
	return table_.size() < config_.table_entries;
}

void Switch::learn(SwitchPort& from, uint64_t source, uint64_t now)
{
	SwitchPort::Note& note = from.source_;

	if (note.mac != source || note.generation != generation_) {
		auto item = table_.find(source);
		if (item == table_.end()) {
			if (table_.size() >= config_.table_entries && !make_space(now))
				return;
			item = table_.emplace(source, Entry{&from, now}).first;
		}
		note = {source, &item->second, generation_};
	}
	note.entry->port = &from;
	note.entry->seen = now;
}

Switch::Entry* Switch::find(SwitchPort& from, uint64_t destination, uint64_t now)
{
	SwitchPort::Note& note = from.destination_;

	if (note.mac != destination || note.generation != generation_) {
		auto item = table_.find(destination);
		if (item == table_.end())
			return nullptr;
		note = {destination, &item->second, generation_};
	}
	if (now - note.entry->seen > config_.aging_ns) {
		table_.erase(destination);
		generation_++;
		return nullptr;
	}
	return note.entry;
}

void Switch::forward(SwitchPort& from, const uint8_t* frame, uint32_t length)
{
	const uint64_t time = now();

	/* A group address is no source. */
	if (!(frame[6] & 1))
		learn(from, load_mac(frame + 6), time);

	if (!(frame[0] & 1)) {
		if (Entry* entry = find(from, load_mac(frame), time)) {
			/* The destination is behind the port the frame came from: it has it. */
			if (entry->port == &from)
				return;
			if (!entry->port->queue_.push(frame, length))
				from.stats_.dropped++;
			return;
		}
	}
	for (SwitchPort* port : ports_) {
		if (port != &from && !port->queue_.push(frame, length))
			from.stats_.dropped++;
	}
}

std::unique_ptr<Endpoint> make_switch_port(std::shared_ptr<Switch> vswitch)
{
	const size_t bytes = vswitch->config_.queue_bytes & ~size_t(7);

	return std::make_unique<SwitchPort>(std::move(vswitch), bytes);
}

} // namespace netvsp
