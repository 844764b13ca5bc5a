/* SPDX-License-Identifier: BSD-3-Clause */
#include "frame_ring.hpp"
#include "kinds.hpp"

namespace netvsp {

namespace {

/* Nearly 900 of the largest frames, or 100 000 of the smallest. */
constexpr size_t kRingBytes = 8u << 20;

class Loopback final : public Endpoint {
      public:
	bool send(const uint8_t* frame, uint32_t length) override
	{
		/* receive() could not tell an empty frame from none. */
		if (length == 0) {
			stats_.dropped++;
			return true;
		}
		if (!ring_.push(frame, length))
			return false;
		stats_.sent_frames++;
		stats_.sent_bytes += length;
		return true;
	}

	uint32_t receive(uint8_t* room, uint32_t capacity) override
	{
		uint32_t length;

		while (const uint8_t* frame = ring_.front(length)) {
			const bool fits = length <= capacity;

			if (fits)
				memcpy(room, frame, length);
			ring_.pop();
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
		stats_.dropped += ring_.frames();
		ring_.clear();
	}

	int64_t wait_ns() const override { return ring_.empty() ? -1 : 0; }

      private:
	FrameRing ring_{kRingBytes};
};

} // namespace

std::unique_ptr<Endpoint> make_loopback()
{
	return std::make_unique<Loopback>();
}

} // namespace netvsp
