/* SPDX-License-Identifier: BSD-3-Clause */
#include "kinds.hpp"

namespace netvsp {

namespace {

class Null final : public Endpoint {
      public:
	bool send(const uint8_t*, uint32_t length) override
	{
		stats_.sent_frames++;
		stats_.sent_bytes += length;
		return true;
	}

	uint32_t receive(uint8_t*, uint32_t) override { return 0; }
};

} // namespace

std::unique_ptr<Endpoint> make_null()
{
	return std::make_unique<Null>();
}

} // namespace netvsp
