/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The frames of a case, and the network that gives and takes them in lockstep. Each frame carries
 * its number, by which whoever gets it knows what it must be.
 */
#pragma once

#include <cstdint>
#include <vector>

#include <rte_mbuf.h>

#include "cases.hpp"
#include "netvsp/endpoints/endpoint.hpp"

namespace bench {

using Bytes = std::vector<uint8_t>;

class Traffic {
      public:
	/** @param flows by number of the frame: the end of its source address, as not all drivers
	 * have RSS by ports */
	Traffic(const Case& c, const std::vector<uint16_t>& flows);

	uint32_t count() const { return static_cast<uint32_t>(wire_.size()); }
	/** As it is on the network, its tag included. */
	const Bytes& wire(uint32_t i) const { return wire_[i]; }
	/** As the application has it. */
	const Bytes& guest(uint32_t i) const { return guest_[i]; }

	/** @return the number of the frame that this is, or -1: none, or damaged */
	int64_t find(const std::vector<Bytes>& among, const uint8_t* data, uint32_t length) const;
	int64_t find_wire(const uint8_t* data, uint32_t length) const
	{
		return find(wire_, data, length);
	}
	int64_t find_guest(const rte_mbuf& m) const;

	/** Makes this mbuf, or a chain that begins with it, the frame. @return false: no mbufs */
	bool fill(rte_mbuf* m, uint32_t i, const Case& c) const;

      private:
	std::vector<Bytes> wire_;
	std::vector<Bytes> guest_;
	uint32_t headers_ = 0; /* bytes that a large send's receiver gets changed */
};

/** The network side of a NIC. All calls come from the thread that steps the host. */
class Feed final : public netvsp::Endpoint {
      public:
	/** From now on frames are these. @param first, count: the ones of this NIC */
	void use(const Traffic* traffic, uint32_t first, uint32_t count, bool large_sends);
	/** Gives this many more frames when the host asks for them. */
	void give(uint32_t count) { budget_ += count; }
	/** From now on looks at each frame that is taken, and notes where frames were; or not. */
	void check(bool on)
	{
		checking_ = on;
		given_at_.clear();
		taken_at_.clear();
	}

	bool send(const uint8_t* frame, uint32_t length) override;
	bool takes_offloads() const override { return large_sends_; }
	bool send_offload(const uint8_t* frame, uint32_t length,
			  const netvsp::FrameOffload& left) override;
	uint32_t receive(uint8_t* room, uint32_t capacity) override;
	int64_t wait_ns() const override { return budget_ != 0 ? 0 : 1000000; }

	uint64_t taken() const { return taken_; }
	uint64_t damaged() const { return damaged_; }
	/** Since check(true): where frames were written to, in the guest's receive buffer, and
	 * where those lay that were taken. */
	const std::vector<uint8_t*>& given_at() const { return given_at_; }
	const std::vector<uint8_t*>& taken_at() const { return taken_at_; }

      private:
	const Traffic* traffic_ = nullptr;
	uint32_t first_ = 0;
	uint32_t count_ = 0;
	uint32_t next_ = 0;
	uint64_t budget_ = 0;
	uint64_t taken_ = 0;
	uint64_t damaged_ = 0;
	bool checking_ = false;
	bool large_sends_ = false;
	std::vector<uint8_t*> given_at_;
	std::vector<uint8_t*> taken_at_;
};

} // namespace bench
