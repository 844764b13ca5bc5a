/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The receive pipeline of one channel: transfer-page packets in, validated frames out.
 *
 * The channel's ring carries received frames, completions of what was transmitted, and control
 * messages. receive() takes all of them in order. Who transmits, or waits for a control answer,
 * must not depend on somebody polling: scan() runs ahead of receive(), takes completions and
 * control messages, and leaves the frames where they are.
 *
 * What is consumed is published to the host once per call, and so are the completions that give
 * the host its receive buffer back.
 */
#pragma once

#include <algorithm>
#include <memory>

#include "control_sink.hpp"
#include "nvsp.hpp"
#include "rndis.hpp"
#include "rx_hold.hpp"
#include "tx.hpp"
#include "vmbus/channel.hpp"

namespace netvsc {

/** A received frame, in the receive buffer: valid until the packet's completion. */
struct Frame {
	enum Info : uint32_t { kVlan = 1, kChecksum = 2, kHash = 4, kPart = 8 };

	const uint8_t* data;
	uint32_t length;
	uint32_t info; /**< which of the following the host sent */
	uint32_t vlan; /**< priority [2:0], CFI [3], id [15:4] */
	uint32_t checksum;
	uint32_t hash;
	/** ndis::kPacketId*: not a frame, but a part of a packet that the host made of several. */
	uint8_t part;
};

struct RxConfig {
	const uint8_t* buffer = nullptr; /**< the receive buffer's mapping */
	uint32_t begin = 0;		 /**< the part of it that the host uses */
	uint32_t end = 0;
	uint32_t holds = 0;	    /**< frames that an application may hold; 0 = copies only */
	std::shared_ptr<void> keep; /**< keeps the mapping */
};

struct RxStats {
	uint64_t frames = 0;
	uint64_t bytes = 0;
	uint64_t errors = 0;  /**< malformed frames and packets */
	uint64_t missed = 0;  /**< frames dropped because nobody received them (see Tx) */
	uint64_t packets = 0; /**< transfer-page packets */
	uint64_t signals = 0;
};

class Rx {
      public:
	Rx(vmbus::Channel& channel, vmbus::SpinLock& tx_lock, ControlSink& control);
	~Rx();
	Rx(const Rx&) = delete;
	Rx& operator=(const Rx&) = delete;

	/**
	 * Before the first frame may come. The number of holds is that of the first call that
	 * asks for any: packets may be held when the port starts again.
	 */
	void configure(const RxConfig& config);
	/** Who gets the completions of transmitted packets from now on; null = nobody. */
	void set_tx(Tx* tx);

	/**
	 * Takes frames from the ring while `deliver` wants them.
	 *
	 * @param deliver `bool (const Frame&)`: false = no room; the frame stays for next time.
	 *        Inside, hold() gives a reference to the packet that the frame is part of.
	 * @param drop_hold `void (Hold*)`: ends this pipeline's own interest in a held packet
	 * @return number of frames delivered, at most `max`
	 */
	template <class Deliver, class DropHold>
	uint32_t receive(uint32_t max, Deliver&& deliver, DropHold&& drop_hold);

	/** The current packet's hold, made if need be; null: too many packets are held. */
	Hold* hold(bool& fresh)
	{
		fresh = false;
		if (hold_ == nullptr && holds_ != nullptr) {
			hold_ = holds_->acquire(transaction_, frames_in_packet_);
			fresh = true;
		}
		return hold_;
	}

	/** Ends the pipeline's own interest in held packets: the channel closes. */
	template <class DropHold> void abandon(DropHold&& drop_hold)
	{
		if (hold_ != nullptr)
			drop_hold(std::exchange(hold_, nullptr));
		drop_given_up(drop_hold);
	}

	/** Drops the frames that are in the ring, counted as missed. */
	template <class DropHold> void discard(DropHold&& drop_hold)
	{
		const RxStats before = stats_;
		const uint32_t n = receive(
			~0u, [](const Frame&) { return true; }, drop_hold);
		stats_.frames = before.frames;
		stats_.bytes = before.bytes;
		stats_.missed += n;
	}

	/**
	 * Takes completions and control messages wherever they are in the ring. Does nothing if
	 * another thread is at it.
	 * @param starving the caller cannot transmit until a completion comes. If then the ring is
	 *        full of frames that nobody receives, some of them are dropped: the host could not
	 *        send the completion otherwise.
	 */
	void scan(bool starving);

	/** Frames in the ring, counted up to about `enough`. */
	uint32_t waiting(uint32_t enough);

	/**
	 * The caller is about to sleep until the channel's event_fd is readable.
	 * @return false: there is something to do already; the caller is not to sleep
	 */
	bool arm();

	/** Gives the host its buffers back that were not yet; e.g. after frames were released. */
	void flush_completions();

	bool broken() const { return ring_.broken(); }
	vmbus::SpinLock& lock() { return lock_; }
	const RxStats& stats() const { return stats_; }
	/** Frames may be waiting, without taking the lock. */
	bool maybe_nonempty() const { return ring_.maybe_nonempty(); }
	/** Moves when somebody reads the ring; without the lock. */
	uint32_t position() const { return ring_.position(); }

      private:
	static constexpr uint32_t kBounceSize = 8192; /* a packet that wraps: 1,000 ranges */
	/* Completions not yet written; beyond that no packet is taken, but held ones come back. */
	static constexpr uint32_t kPending = 1024;
	static constexpr uint32_t kPrefetchAhead = 4;

	/* A transfer-page packet, checked. */
	struct Transfer {
		const uint8_t* ranges;
		uint32_t count;
		uint32_t channel_type;
	};

	bool parse_transfer(const vmbus::PacketView& view, Transfer& out);
	void take_completion(const vmbus::PacketView& view);
	void take_message(const vmbus::PacketView& view);
	void take_control(const Transfer& transfer);
	void take_other(const vmbus::PacketView& view);
	void drop_oldest();
	static uint64_t range_at(const Transfer& t, uint32_t i)
	{
		return vmbus::load_once(
			reinterpret_cast<const uint64_t*>(t.ranges + size_t{i} * 8));
	}
	bool parse_frame(uint64_t range, Frame& frame);
	bool parse_info(const uint8_t* info, uint32_t length, Frame& frame);

	void consume(uint32_t length)
	{
		ring_.consume(length);
		scanned_ = scanned_ > length ? scanned_ - length : 0;
	}
	void complete(uint64_t transaction_id)
	{
		pending_[pending_count_] = transaction_id;
		vmbus::store_relaxed(&pending_count_, pending_count_ + 1);
	}
	/* The packet at the read position is through, or turned out to be bad half-way. */
	template <class DropHold> void end_packet(uint64_t transaction_id, DropHold&& drop_hold)
	{
		next_range_ = 0;
		if (hold_ != nullptr)
			drop_hold(std::exchange(hold_, nullptr));
		else
			complete(transaction_id);
	}
	/* Room in pending_ for one more packet; tries to make some. */
	bool can_complete()
	{
		if (pending_count_ < kPending) [[likely]]
			return true;
		write_completions(true);
		return pending_count_ < kPending;
	}
	void write_completions(bool wait_for_lock);
	void finish_burst()
	{
		if (ring_.publish()) [[unlikely]] {
			stats_.signals++;
			channel_.doorbell.ring();
		}
		if (holds_ != nullptr && holds_->has_returned())
			take_returned();
		if (pending_count_ != 0)
			write_completions(pending_count_ > kPending / 2);
	}
	void take_returned();
	template <class DropHold> void drop_given_up(DropHold&& drop_hold)
	{
		while (given_up_ != nullptr) {
			Hold* hold = given_up_;
			given_up_ = hold->next; /* before it may go back to the pool */
			drop_hold(hold);
		}
	}

	vmbus::Channel& channel_;
	vmbus::RingReader& ring_;
	Tx* tx_ = nullptr;
	vmbus::SpinLock& tx_lock_;
	ControlSink& control_;
	vmbus::SpinLock lock_;
	const uint8_t* buffer_ = nullptr;
	uint32_t begin_ = 0;
	uint32_t end_ = 0;

	uint32_t scanned_ = 0;	   /* bytes behind the read position that scan() dealt with */
	uint32_t next_range_ = 0;  /* of the packet at the read position */
	uint64_t transaction_ = 0; /* of the packet that is being delivered */
	uint32_t frames_in_packet_ = 0;
	Hold* hold_ = nullptr;	   /* of the same packet */
	Hold* given_up_ = nullptr; /* of packets that were dropped in part */
	HoldPool* holds_ = nullptr;
	RxStats stats_;
	uint32_t pending_count_ = 0;
	std::unique_ptr<uint64_t[]> pending_;
	std::unique_ptr<uint8_t[]> bounce_;
};

namespace detail {

/*
 * A field in memory that the host can change at any time, at any alignment: read exactly once.
 */
inline uint32_t read_u32(const uint8_t* p)
{
	struct __attribute__((packed)) U32 {
		uint32_t value;
	};
	return reinterpret_cast<const volatile U32*>(p)->value;
}

} // namespace detail

/*
 * [MS-RNDIS] 2.2.14, REMOTE_NDIS_PACKET_MSG. All sums are of 64 bits: no length can wrap.
 */
inline bool Rx::parse_frame(uint64_t range, Frame& frame)
{
	using detail::read_u32;
	const uint32_t length = static_cast<uint32_t>(range); /* byte_count, byte_offset */
	const uint64_t offset = range >> 32;
	if (offset < begin_ || offset + length > end_ || length < sizeof(rndis::PacketMessage))
		[[unlikely]]
		return false;
	const uint8_t* p = buffer_ + offset;
	const uint32_t type = read_u32(p);
	const uint32_t message = read_u32(p + 4);
	const uint64_t data_offset = uint64_t{read_u32(p + 8)} + rndis::kOffsetBase;
	const uint32_t data_length = read_u32(p + 12);
	const uint32_t info_offset = read_u32(p + 28);
	const uint32_t info_length = read_u32(p + 32);
	if (type != rndis::kPacket || message > length ||
	    data_offset < sizeof(rndis::PacketMessage) || data_offset + data_length > message ||
	    data_length == 0) [[unlikely]]
		return false;
	frame.data = p + data_offset;
	frame.length = data_length;
	frame.info = 0;
	if (info_length != 0) {
		const uint64_t at = uint64_t{info_offset} + rndis::kOffsetBase;
		if (at < sizeof(rndis::PacketMessage) || at + info_length > message) [[unlikely]]
			return false;
		return parse_info(p + at, info_length, frame);
	}
	return true;
}

template <class Deliver, class DropHold>
uint32_t Rx::receive(uint32_t max, Deliver&& deliver, DropHold&& drop_hold)
{
	/* An idle poll costs two loads, and a third where packets may be held. */
	if (!ring_.maybe_nonempty() && vmbus::load_once(&pending_count_) == 0 &&
	    (holds_ == nullptr || !holds_->has_returned()))
		return 0;
	lock_.lock();
	if (given_up_ != nullptr) [[unlikely]]
		drop_given_up(drop_hold);
	uint32_t delivered = 0;
	uint64_t bytes = 0;
	ring_.refresh();
	vmbus::PacketView view;
	while (delivered < max && ring_.peek(0, view)) {
		const bool scanned = scanned_ != 0;
		if (view.type != vmbus::PacketType::kTransferPages) {
			if (!scanned)
				take_other(view);
			consume(view.ring_length());
			continue;
		}
		Transfer transfer;
		if (!can_complete())
			break;
		if (!parse_transfer(view, transfer)) [[unlikely]] {
			stats_.errors++;
			end_packet(view.transaction_id, drop_hold);
			consume(view.ring_length());
			continue;
		}
		if (transfer.channel_type != nvsp::kChannelData) [[unlikely]] {
			if (!scanned) {
				take_control(transfer);
				end_packet(view.transaction_id, drop_hold);
			}
			consume(view.ring_length());
			continue;
		}
		transaction_ = view.transaction_id;
		frames_in_packet_ = transfer.count;
		uint32_t i = next_range_;
		bool full = false;
		for (; i < transfer.count; i++) {
			if (delivered == max)
				break;
			if (i + kPrefetchAhead < transfer.count) {
				const uint64_t ahead = range_at(transfer, i + kPrefetchAhead) >> 32;
				if (ahead < end_)
					__builtin_prefetch(buffer_ + ahead);
			}
			Frame frame;
			if (!parse_frame(range_at(transfer, i), frame)) [[unlikely]] {
				stats_.errors++;
				continue;
			}
			if (!deliver(frame)) {
				full = true;
				break;
			}
			delivered++;
			bytes += frame.length;
		}
		if (i < transfer.count) {
			next_range_ = i;
			if (full)
				break;
			continue;
		}
		stats_.packets++;
		end_packet(view.transaction_id, drop_hold);
		consume(view.ring_length());
	}
	stats_.frames += delivered;
	stats_.bytes += bytes;
	finish_burst();
	lock_.unlock();
	return delivered;
}

} // namespace netvsc
