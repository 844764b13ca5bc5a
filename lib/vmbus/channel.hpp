/* SPDX-License-Identifier: BSD-3-Clause */
/** One open channel: its two rings and the way to signal the host. */
#pragma once

#include <unistd.h>

#include <atomic>

#include "ring.hpp"

namespace vmbus {

/**
 * How a guest tells the host that a ring changed: a bit in the monitor page where the channel has
 * a monitor id, else a write to a descriptor (an eventfd, or a device node of the kernel).
 */
class Doorbell {
      public:
	Doorbell() = default;
	/** @param value what one signal writes; @param width 4 or 8 bytes of it */
	Doorbell(int fd, uint64_t value, uint32_t width) : fd_(fd), width_(width), value_(value) {}
	/** The same with a bit in the interrupt page to set before; @param word null for none */
	Doorbell(int fd, uint64_t value, uint32_t width, uint32_t* word, uint32_t bit)
		: interrupt_(word), bit_(bit), fd_(fd), width_(width), value_(value)
	{
	}
	Doorbell(MonitorPage* page, uint8_t monitor_id)
		: pending_(&page->trigger_group[monitor_id / 32].pending),
		  bit_(1u << (monitor_id % 32))
	{
	}

	void ring()
	{
		if (pending_ != nullptr) {
			__atomic_fetch_or(pending_, bit_, __ATOMIC_SEQ_CST);
			return;
		}
		if (interrupt_ != nullptr)
			__atomic_fetch_or(interrupt_, bit_, __ATOMIC_SEQ_CST);
		/* A full eventfd counter means that a signal is pending already. */
		[[maybe_unused]] const ssize_t n = ::write(fd_, &value_, width_);
	}

      private:
	uint32_t* pending_ = nullptr;
	uint32_t* interrupt_ = nullptr;
	uint32_t bit_ = 0;
	int fd_ = -1;
	uint32_t width_ = 0;
	uint64_t value_ = 0;
};

struct Channel {
	/** The reader sleeps until event_fd is readable: signals are wanted. See arm(). */
	std::atomic<bool> armed{false};
	uint32_t relid = 0;
	uint16_t subchannel_index = 0;
	RingWriter tx; /**< guest → host */
	RingReader rx; /**< host → guest */
	Doorbell doorbell;
	/** An eventfd: the host signalled, or wake() was called. */
	int event_fd = -1;

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
