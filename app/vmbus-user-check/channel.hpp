/* SPDX-License-Identifier: BSD-3-Clause */
/** The guest's end of an open channel: two rings, and the two eventfds. */
#pragma once

#include "vmbus/ring.hpp"

#include "guest.hpp"

namespace check {

/** Where a channel's rings lie in the guest's memory; its GPADL has the same number as its slot. */
struct Rings {
	uint32_t slot = 1;    /**< channels of one guest have different ones, from 1 */
	uint32_t to_host = 8; /**< pages, the control page included */
	uint32_t to_guest = 8;

	uint64_t offset() const { return kRingsAt + (slot - 1) * 16ull * vmbus::kPageSize; }
	uint64_t size() const { return uint64_t(to_host + to_guest) * vmbus::kPageSize; }
};

/** A packet as it came. */
struct Packet {
	vmbus::PacketDescriptor d;
	std::vector<uint8_t> head; /**< between descriptor and payload */
	std::vector<uint8_t> payload;

	bool is(vmbus::PacketType type) const { return d.type == uint16_t(type); }
	uint32_t u32(size_t at) const; /**< of the payload; 0 where it is shorter */
};

class Channel {
      public:
	/** Makes the GPADL and opens the channel, with its mask set: it is polled. */
	Channel(Guest& guest, uint32_t relid, const Rings& rings = {});
	Channel(const Channel&) = delete;
	Channel& operator=(const Channel&) = delete;

	/** Closes and tears the ring's GPADL down. */
	void close();

	/** Writes a packet, to be seen by the host at publish(). */
	void write(vmbus::PacketType type, bool wants_completion, uint64_t id, const void* head,
		   size_t head_size, const void* payload, size_t payload_size);
	/** Shows the host what was written and signals it, if it wants to be. */
	void publish();
	/** The same, with the channel's bit in the monitor page as the signal. */
	void publish_by_monitor(uint8_t monitor_id);

	/** The next packet, checked as far as the ring goes. @return false: none came in time */
	bool receive(Packet& packet, int timeout_ms);
	/** Lets the host signal (false) or not. */
	void mask(bool masked)
	{
		reader_->interrupt_mask = masked;
		fence();
	}
	/** Waits for the host's signal and takes it. @return whether it came */
	bool signalled(int timeout_ms);
	void drain_signals();

	/** Control pages, the sender's and the receiver's fields as they are now. */
	vmbus::RingControl& to_host() { return *writer_control_; }
	vmbus::RingControl& to_guest() { return *reader_; }
	uint32_t to_host_size() const { return writer_.size(); }
	uint32_t relid() const { return relid_; }
	Guest& guest() { return guest_; }

      private:
	static void fence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
	void copy_out(void* to, uint32_t from, uint32_t count) const;
	void kick();

	Guest& guest_;
	const uint32_t relid_;
	const Rings rings_;
	File kick_, call_;
	vmbus::RingControl* writer_control_;
	vmbus::RingControl* reader_; /* control page of the host → guest ring */
	uint8_t* data_;
	uint32_t size_;
	uint32_t out_ = 0;
	vmbus::RingWriter writer_;
};

} // namespace check
