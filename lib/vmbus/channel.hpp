/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * One open channel: its two rings and the way to signal the host. It may lie in memory that several
 * processes share at one address, with the rings mapped at one address, too.
 */
#pragma once

#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>

#include "descriptor_table.hpp"
#include "ring.hpp"

namespace vmbus {

/**
 * How a guest tells the host that a ring changed: a bit in the monitor page where the channel has
 * a monitor id, else a call for a descriptor: a write (an eventfd, or a device node of Linux), or a
 * request to a device node of FreeBSD, whose number says which of the two it is. A pointer to a
 * function would not mean the same to each process.
 */
class Doorbell {
      public:
	Doorbell() = default;
	/**
	 * @param slot of the descriptor_table
	 * @param value what one signal writes; @param width 4 or 8 bytes of it
	 */
	Doorbell(uint32_t slot, uint64_t value, uint32_t width)
		: slot_(slot), width_(width), value_(value)
	{
	}
	/** The same with a bit in the interrupt page to set before; @param word null for none */
	Doorbell(uint32_t slot, uint64_t value, uint32_t width, uint32_t* word, uint32_t bit)
		: interrupt_(word), bit_(bit), slot_(slot), width_(width), value_(value)
	{
	}
	/** By ioctl(2): a driver's request that takes 4 bytes. */
	struct Request {
		unsigned long number;
		uint32_t value;
	};
	Doorbell(uint32_t slot, const Request& request)
		: slot_(slot), value_(request.value), request_(request.number)
	{
	}
	Doorbell(MonitorPage* page, uint8_t monitor_id)
		: pending_(&page->trigger_group[monitor_id / 32].pending),
		  latency_(&page->latency[monitor_id / 32][monitor_id % 32]),
		  bit_(1u << (monitor_id % 32))
	{
	}

	/**
	 * How long the host may take to see a signal, where it looks at the monitor page.
	 * @param us up to 6553; hosts take what they find too small or too large for something else
	 */
	void set_latency(uint32_t us)
	{
		if (latency_ != nullptr)
			store_relaxed(latency_, static_cast<uint16_t>(us * 10));
	}

	void ring()
	{
		if (pending_ != nullptr) {
			__atomic_fetch_or(pending_, bit_, __ATOMIC_SEQ_CST);
			return;
		}
		if (request_ != 0) {
			uint32_t value = static_cast<uint32_t>(value_);
			[[maybe_unused]] const int rc =
				::ioctl(descriptor_table.at(slot_), request_, &value);
			return;
		}
		if (interrupt_ != nullptr)
			__atomic_fetch_or(interrupt_, bit_, __ATOMIC_SEQ_CST);
		/* A full eventfd counter means that a signal is pending already. */
		[[maybe_unused]] const ssize_t n =
			::write(descriptor_table.at(slot_), &value_, width_);
	}

      private:
	uint32_t* pending_ = nullptr;
	uint16_t* latency_ = nullptr;
	uint32_t* interrupt_ = nullptr;
	uint32_t bit_ = 0;
	uint32_t slot_ = 0;
	uint32_t width_ = 0;
	uint64_t value_ = 0;
	unsigned long request_ = 0; /* 0: it is written */
};

/** Holds no number of a descriptor but event_fd, which is for the process that opened it. */
struct Channel {
	/** The reader sleeps until event_fd is readable: signals are wanted. See arm(). */
	std::atomic<bool> armed{false};
	uint32_t relid = 0;
	uint16_t subchannel_index = 0;
	/* Written by whoever transmits or receives, which may be two: each has its cache lines. */
	alignas(64) RingWriter tx; /**< guest → host */
	alignas(64) RingReader rx; /**< host → guest */
	alignas(64) Doorbell doorbell;
	/** An eventfd: the host signalled, or wake() was called. */
	int event_fd = -1;

	/** As new, where it lies. */
	void reset()
	{
		armed.store(false);
		relid = 0;
		subchannel_index = 0;
		tx = {};
		rx = {};
		doorbell = {};
		event_fd = -1;
	}

	/**
	 * From now on event_fd becomes readable when a packet comes into the empty ring.
	 * @return whether one is there already: nothing is signalled for that
	 */
	bool arm()
	{
		armed.store(true); /* before the mask: see UioDevice::take_event() */
		rx.mask_interrupts(false);
		return rx.nonempty_after_unmask();
	}
	void disarm()
	{
		armed.store(false);
		rx.mask_interrupts(true);
	}
	/** Makes event_fd readable. */
	void wake() const
	{
		const uint64_t one = 1;
		[[maybe_unused]] const ssize_t n = ::write(event_fd, &one, sizeof(one));
	}
};

} // namespace vmbus
