/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A learning switch between the NICs of one host.
 *
 * Frames go to the port behind which their destination was last seen as a source; those to an
 * unknown, multicast or broadcast destination go to every port but the one they came from. A port
 * holds a bounded number of bytes for its guest; what does not fit is dropped and counted at the
 * sender, as a physical switch does: one slow guest must not stop the others.
 *
 * Ports come and go at any time. Not thread-safe: it belongs to the host's thread.
 */
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "endpoint.hpp"

namespace netvsp {

class SwitchPort;
class Switch;

/** A new port of this switch; it leaves the switch when it is destroyed. */
std::unique_ptr<Endpoint> make_switch_port(std::shared_ptr<Switch> vswitch);

class Switch {
      public:
	struct Config {
		uint32_t table_entries = 4096;	      /**< learned addresses */
		uint64_t aging_ns = 300'000'000'000u; /**< unseen for that long = forgotten */
		uint32_t queue_bytes = 4u << 20;      /**< per port */
		uint64_t (*clock)() = nullptr;	      /**< in ns; null = the system's */
	};

	Switch();
	explicit Switch(const Config& config);
	~Switch();
	Switch(const Switch&) = delete;
	Switch& operator=(const Switch&) = delete;

	size_t ports() const { return ports_.size(); }
	size_t learned() const { return table_.size(); }

      private:
	friend class SwitchPort;
	friend std::unique_ptr<Endpoint> make_switch_port(std::shared_ptr<Switch> vswitch);

	struct Entry {
		SwitchPort* port;
		uint64_t seen;
	};

	uint64_t now() const;
	void attach(SwitchPort* port);
	void detach(SwitchPort* port);
	void learn(SwitchPort& from, uint64_t source, uint64_t now);
	Entry* find(SwitchPort& from, uint64_t destination, uint64_t now);
	void forward(SwitchPort& from, const uint8_t* frame, uint32_t length);
	bool make_space(uint64_t now);

	Config config_;
	std::vector<SwitchPort*> ports_;
	std::unordered_map<uint64_t, Entry> table_; /* by MAC address */
	uint64_t generation_ = 1; /* grows when an entry goes, so that ports drop what they noted */
	uint64_t last_sweep_ = 0;
};

} // namespace netvsp
