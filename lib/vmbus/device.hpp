/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A device on the VMBus as a driver sees it, however the host is reached.
 *
 * Control-path calls come from one thread at a time; each that waits for the host has a deadline.
 */
#pragma once

#include <cerrno>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "channel.hpp"
#include "error.hpp"

namespace vmbus {

using Milliseconds = std::chrono::milliseconds;

inline constexpr uint64_t kGpaUnknown = ~uint64_t{0};

/** Memory that guest and host share, mapped into this process. */
struct Region {
	uint8_t* data = nullptr;
	size_t size = 0;
	uint32_t gpadl = 0; /**< names it to the host */
	/** Keeps the mapping alive for whoever still looks into it after the device was closed. */
	std::shared_ptr<void> keep;
};

class Device {
      public:
	virtual ~Device() = default;

	virtual const Guid& class_id() const = 0;
	virtual const Guid& instance_id() const = 0;
	/** For people: the instance GUID, or what the host calls the device. */
	virtual const std::string& name() const = 0;
	virtual int numa_node() const = 0;

	/** Makes the shared buffers and opens the primary channel. On error nothing stays open. */
	virtual Error open(Milliseconds timeout) = 0;
	/** Closes all channels and gives the buffers back. Harmless when not open, or rescinded. */
	virtual void close() = 0;
	virtual bool is_open() const = 0;

	/**
	 * Has channels put where `place` says for their subchannel index, in memory that stays
	 * until close(). Null: the device's own memory. Not while the device is open.
	 */
	void set_channel_place(std::function<Channel&(uint16_t)> place)
	{
		place_ = std::move(place);
	}
	virtual Channel& primary() = 0;
	/**
	 * Opens the subchannel that the host offered under this index, waiting for its offer.
	 * @param channel null on error; valid until close()
	 */
	virtual Error open_subchannel(uint16_t index, Milliseconds timeout, Channel*& channel) = 0;

	virtual const Region& receive_buffer() const = 0;
	/** Shares no more than the first `size` bytes of it with the host, under another GPADL; for
	 *  hosts that take no more. @return ENOTSUP where the buffer is as somebody else made it */
	virtual Error limit_receive_buffer(size_t size)
	{
		if (size >= receive_buffer().size)
			return {};
		return {ENOTSUP, "the receive buffer cannot be made smaller here"};
	}
	virtual const Region& send_buffer() const = 0;
	/** A few pages for control messages, at a known guest-physical address. */
	virtual const Region& control_memory() const = 0;
	/** Guest-physical address of a byte in one of the regions, or kGpaUnknown. */
	virtual uint64_t gpa(const void* address) const = 0;

	/** The host took the device away, or is gone itself. */
	virtual bool gone() const = 0;

      protected:
	/** A channel, as new, for this index. @param own keeps it if it is the device's own */
	Channel* make_channel(uint16_t index, std::unique_ptr<Channel>& own)
	{
		if (!place_) {
			own = std::make_unique<Channel>();
			return own.get();
		}
		Channel& channel = place_(index);
		channel.reset();
		return &channel;
	}

      private:
	std::function<Channel&(uint16_t)> place_;
};

} // namespace vmbus
