/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Receive side scaling: which channel a frame for the guest goes to.
 *
 * The Toeplitz hash is computed from tables, one of 256 words for each byte of the longest input
 * (two IPv6 addresses and two ports), which are filled when the guest sets the key.
 */
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "netvsc/ndis.hpp"

namespace netvsp {

class Rss {
      public:
	struct Result {
		uint32_t hash;
		uint32_t channel;
		uint32_t type; /**< the hash type that applied; 0 = the frame has no hash */
	};

	bool enabled() const { return enabled_; }
	void disable() { enabled_ = false; }
	/** `table` has 1..ndis::kRssMaxTable channel indices and is repeated to fill the whole. */
	void enable(uint32_t hash_types, const uint8_t* key, const std::vector<uint32_t>& table);
	Result classify(const uint8_t* frame, uint32_t length) const;

      private:
	static constexpr uint32_t kMaxInput = 36;
	uint32_t hash(const uint8_t* a, uint32_t a_length, const uint8_t* b,
		      uint32_t b_length) const;

	bool enabled_ = false;
	uint32_t types_ = 0;
	std::array<uint32_t, ndis::kRssMaxTable> table_{};
	std::vector<std::array<uint32_t, 256>> lookup_;
};

} // namespace netvsp
