/* SPDX-License-Identifier: BSD-3-Clause */
/** How often what value was seen, to within 3 %, in constant memory. */
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace netvsp {

class Histogram {
      public:
	void add(uint64_t value)
	{
		counts_[bucket(value)]++;
		total_++;
	}
	uint64_t count() const { return total_; }

	/** @return what that share (0..1) of the values is not above; 0 if there are none */
	uint64_t percentile(double share) const
	{
		const auto wanted =
			static_cast<uint64_t>(std::ceil(share * static_cast<double>(total_)));
		uint64_t seen = 0;
		for (uint32_t i = 0; i < counts_.size(); i++) {
			seen += counts_[i];
			if (counts_[i] != 0 && seen >= wanted)
				return largest(i);
		}
		return 0;
	}

      private:
	/* Each power of two is cut into so many buckets; smaller values have their own. */
	static constexpr uint32_t kBits = 5;
	static constexpr uint32_t kParts = 1u << kBits;

	static uint32_t bucket(uint64_t value)
	{
		if (value < kParts)
			return static_cast<uint32_t>(value);
		const auto shift = static_cast<uint32_t>(std::bit_width(value)) - 1 - kBits;
		return shift * kParts + static_cast<uint32_t>(value >> shift);
	}
	static uint64_t largest(uint32_t bucket)
	{
		if (bucket < 2 * kParts)
			return bucket;
		const uint32_t shift = bucket / kParts - 1;
		const uint64_t part = bucket % kParts + kParts;
		return ((part + 1) << shift) - 1;
	}

	std::array<uint64_t, (64 - kBits + 1) * kParts> counts_{};
	uint64_t total_ = 0;
};

} // namespace netvsp
