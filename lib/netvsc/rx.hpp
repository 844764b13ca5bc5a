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

#include "gate.hpp"
#include "inbox.hpp"
#include "ndis.hpp"
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
	uint32_t number; /**< in its packet */
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
	/** Frames that are handed over at once, at most. */
	static constexpr uint32_t kBatch = 32;

	/** Receives nothing. */
	Rx() = default;
	/** @param inbox for what is neither a frame nor a frame's completion; null = for nobody */
	Rx(vmbus::Channel& channel, vmbus::SpinLock& lock, vmbus::SpinLock& tx_lock, Inbox* inbox,
	   std::pmr::memory_resource* memory = std::pmr::new_delete_resource());
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
	 * @param deliver `uint32_t (const Frame*, uint32_t n)` takes 1..kBatch frames of one
	 * packet.
	 *        @return how many; the others stay for next time.
	 *        Inside, hold() gives a reference to the packet that the frames are part of.
	 * @param drop_hold `void (Hold*)`: ends this pipeline's own interest in a held packet
	 * @param gate closed: nothing is taken
	 * @return number of frames delivered, at most `max`
	 */
	template <class Deliver, class DropHold, class Gate = OpenGate>
	uint32_t receive(uint32_t max, Deliver&& deliver, DropHold&& drop_hold, Gate gate = {});

	/** The current packet's hold, made if need be; null: too many packets are held. */
	Hold* hold(bool& fresh)
	{
		fresh = false;
		if (hold_ == nullptr && holds_ != nullptr) {
			hold_ = holds_->acquire(transaction_, packet_.count);
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
			~0u, [](const Frame*, uint32_t count) { return count; }, drop_hold);
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
	template <class Gate = OpenGate> void scan(bool starving, Gate gate = {})
	{
		if (!lock_->try_lock(gate.owner()))
			return;
		if (gate()) [[likely]]
			scan_locked(starving, gate.owner());
		lock_->unlock();
	}

	/** Frames in the ring, counted up to about `enough`. */
	template <class Gate = OpenGate> uint32_t waiting(uint32_t enough, Gate gate = {})
	{
		if (!Gate::kForeign && !maybe_nonempty())
			return 0;
		lock_->lock(gate.owner());
		const uint32_t frames = gate() ? waiting_locked(enough) : 0;
		lock_->unlock();
		return frames;
	}

	/**
	 * The caller is about to sleep until the channel's event_fd is readable.
	 * @return false: there is something to do already; the caller is not to sleep
	 */
	bool arm();

	/** Gives the host its buffers back that were not yet; e.g. after frames were released. */
	void flush_completions();

	bool broken() const { return channel_->rx.broken(); }
	const RxStats& stats() const { return stats_; }
	/** Frames may be waiting, without taking the lock. */
	bool maybe_nonempty() const { return channel_->rx.maybe_nonempty(); }
	/** Moves when somebody reads the ring; without the lock. */
	uint32_t position() const { return channel_->rx.position(); }

      private:
	static constexpr uint32_t kCacheLine = 64;
	static constexpr uint32_t kBounceSize =
		4096; /* a packet that wraps: 500 ranges, OpenVMM has 375 */
	/* Completions not yet written; beyond that no packet is taken, but held ones come back. */
	static constexpr uint32_t kPending = 256;

	/* A transfer-page packet, checked. */
	struct Transfer {
		const uint8_t* ranges;
		uint32_t count;
		uint32_t channel_type;
	};

	bool parse_transfer(const vmbus::PacketView& view, Transfer& out);
	bool open_packet(bool& refreshed);
	void take_completion(const vmbus::PacketView& view);
	void take_message(const vmbus::PacketView& view);
	void take_control(const Transfer& transfer);
	void take_other(const vmbus::PacketView& view);
	bool for_inbox(const vmbus::PacketView& view) const;
	void put(Inbox::Kind kind, uint64_t id, const uint8_t* data, uint32_t length);
	uint32_t waiting_locked(uint32_t enough);
	void scan_locked(bool starving, uint32_t owner);
	void drop_oldest(uint32_t owner);
	static uint64_t range_at(const uint8_t* ranges, uint32_t i)
	{
		return vmbus::load_once(reinterpret_cast<const uint64_t*>(ranges) + i);
	}
	/** The part of the receive buffer that the host uses. */
	struct Window {
		const uint8_t* base;
		uint64_t begin;
		uint64_t end;
	};
	void prefetch(Window window, const uint8_t* ranges, uint32_t begin, uint32_t end) const;
	uint32_t take_ranges(Window window, uint32_t most, Frame* frames, uint64_t& bytes);
	void put_back(const Frame* frames, uint32_t count, uint64_t& bytes);
	static bool parse_frame(Window window, uint64_t range, Frame& frame);
	static bool parse_info(const uint8_t* info, uint32_t length, Frame& frame);

	void consume(uint32_t length)
	{
		channel_->rx.consume(length);
		scanned_ = scanned_ > length ? scanned_ - length : 0;
		vmbus::store_relaxed(&packet_length_, 0u);
		next_range_ = 0;
	}
	void complete(uint64_t transaction_id)
	{
		pending_[pending_count_] = transaction_id;
		vmbus::store_relaxed(&pending_count_, pending_count_ + 1);
	}
	/* The packet that is open is through. */
	template <class DropHold> void end_packet(DropHold&& drop_hold)
	{
		if (hold_ != nullptr)
			drop_hold(std::exchange(hold_, nullptr));
		else
			complete(transaction_);
		consume(packet_length_);
	}
	/* Room in pending_ for one more packet; tries to make some. */
	bool can_complete(uint32_t owner)
	{
		if (pending_count_ < kPending) [[likely]]
			return true;
		write_completions(true, owner);
		return pending_count_ < kPending;
	}
	void write_completions(bool wait_for_lock, uint32_t owner);
	[[gnu::always_inline]] void finish_burst(uint32_t owner)
	{
		/* Most small bursts end in the middle of a packet. */
		if (!channel_->rx.is_published() && channel_->rx.publish()) [[unlikely]] {
			stats_.signals++;
			channel_->doorbell.ring();
		}
		if (holds_ != nullptr && holds_->has_returned())
			take_returned();
		if (pending_count_ != 0)
			write_completions(pending_count_ > kPending / 2, owner);
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

	vmbus::Channel* channel_ = nullptr;
	Tx* tx_ = nullptr;
	vmbus::SpinLock* lock_ = nullptr;
	vmbus::SpinLock* tx_lock_ = nullptr;
	Inbox* inbox_ = nullptr;
	std::pmr::memory_resource* memory_ = nullptr;
	const uint8_t* buffer_ = nullptr;
	uint32_t begin_ = 0;
	uint32_t end_ = 0;

	uint32_t scanned_ = 0; /* bytes behind the read position that scan() dealt with */
	/* The packet of frames at the read position, once it was checked: until it is through,
	 * nothing but its ranges is read again. */
	Transfer packet_{};
	uint32_t packet_length_ = 0; /* in the ring; 0: none is open */
	uint32_t next_range_ = 0;
	uint32_t ahead_ = kCacheLine; /* where in its range a frame has its 64th byte: last time */
	uint64_t transaction_ = 0;
	Hold* hold_ = nullptr;
	Hold* given_up_ = nullptr; /* of packets that were dropped in part */
	HoldPool* holds_ = nullptr;
	RxStats stats_;
	uint32_t pending_count_ = 0;
	Array<uint64_t> pending_;
	Array<uint8_t> bounce_;
};

namespace detail {

/* A field in memory that the host can change at any time, at any alignment: read exactly once. */
template <class T> inline T read_field(const uint8_t* p)
{
	struct __attribute__((packed)) Field {
		T value;
	};
	return reinterpret_cast<const volatile Field*>(p)->value;
}
inline uint32_t read_u32(const uint8_t* p)
{
	return read_field<uint32_t>(p);
}
inline uint64_t read_u64(const uint8_t* p)
{
	return read_field<uint64_t>(p);
}

} // namespace detail

/* [MS-RNDIS] 2.2.14, the per-packet information behind the header. */
inline bool Rx::parse_info(const uint8_t* info, uint32_t length, Frame& frame)
{
	using detail::read_u32;
	static constexpr uint32_t kHeader = sizeof(rndis::PacketInfo);
	uint32_t left = length;
	while (left >= kHeader) {
		const uint64_t size_and_type = detail::read_u64(info);
		const auto size = static_cast<uint32_t>(size_and_type);
		const uint32_t offset = read_u32(info + 8);
		/* All that is known is one word, right behind the header. */
		const bool usual = size == kHeader + 4 && offset == kHeader && size <= left;
		if (!usual && (size < kHeader || size > left || offset > size)) [[unlikely]]
			return false;
		if (usual || (size - offset >= 4 && offset >= kHeader)) [[likely]] {
			const uint32_t value = read_u32(info + offset);
			switch (size_and_type >> 32) {
			case rndis::kPpiVlan:
				frame.vlan = value;
				frame.info |= Frame::kVlan;
				break;
			case rndis::kPpiChecksum:
				frame.checksum = value;
				frame.info |= Frame::kChecksum;
				break;
			case rndis::kPpiHashValue:
				frame.hash = value;
				frame.info |= Frame::kHash;
				break;
			case rndis::kPpiPacketId:
				frame.part = static_cast<uint8_t>(value >> 8);
				if ((frame.part & ndis::kPacketIdPart) != 0)
					frame.info |= Frame::kPart;
				break;
			default: /* other information is for other guests */
				break;
			}
		}
		info += size;
		left -= size;
	}
	return left == 0;
}

/*
 * [MS-RNDIS] 2.2.14, REMOTE_NDIS_PACKET_MSG. Fields that are neighbours are read together. All sums
 * are of 64 bits: no length can wrap.
 */
inline bool Rx::parse_frame(Window window, uint64_t range, Frame& frame)
{
	using detail::read_u64;
	const uint64_t length = static_cast<uint32_t>(range); /* byte_count, byte_offset */
	const uint64_t offset = range >> 32;
	if (offset < window.begin || offset + length > window.end ||
	    length < sizeof(rndis::PacketMessage)) [[unlikely]]
		return false;
	const uint8_t* p = window.base + offset;
	const uint64_t type_and_length = read_u64(p);
	const uint64_t data = read_u64(p + offsetof(rndis::PacketMessage, data_offset));
	const uint64_t info = read_u64(p + offsetof(rndis::PacketMessage, ppi_offset));
	const uint64_t message = type_and_length >> 32;
	const uint64_t data_offset = uint64_t{static_cast<uint32_t>(data)} + rndis::kOffsetBase;
	const uint64_t data_length = data >> 32;
	if (static_cast<uint32_t>(type_and_length) != rndis::kPacket || message > length ||
	    data_offset < sizeof(rndis::PacketMessage) || data_offset + data_length > message ||
	    data_length == 0) [[unlikely]]
		return false;
	frame.data = p + data_offset;
	frame.length = static_cast<uint32_t>(data_length);
	frame.info = 0;
	const auto info_length = static_cast<uint32_t>(info >> 32);
	if (info_length == 0)
		return true;
	const uint64_t at = uint64_t{static_cast<uint32_t>(info)} + rndis::kOffsetBase;
	if (at < sizeof(rndis::PacketMessage) || at + info_length > message) [[unlikely]]
		return false;
	return parse_info(p + at, info_length, frame);
}

/*
 * The header, and the frame's first bytes, if they are where they were last time: a host has one
 * place for them. Not all that is between: lines that both CPUs want cost the host as much.
 * Whatever address that is: a hint cannot fail.
 */
inline void Rx::prefetch(Window window, const uint8_t* ranges, uint32_t begin, uint32_t end) const
{
	const uint32_t ahead = ahead_;
	for (uint32_t i = begin; i < end; i++) {
		const uint8_t* p = window.base + (range_at(ranges, i) >> 32);
		__builtin_prefetch(p);
		__builtin_prefetch(p + ahead);
	}
}

/*
 * Reads the next ranges of the packet, and what frames they are. The host wrote them on another
 * CPU: as many more are fetched meanwhile, for the next call.
 */
[[gnu::always_inline]] inline uint32_t Rx::take_ranges(Window window, uint32_t most, Frame* frames,
						       uint64_t& bytes)
{
	const uint32_t count = packet_.count;
	const uint32_t begin = next_range_;
	const uint32_t end = begin + std::min(count - begin, most);
	const uint8_t* const ranges = packet_.ranges;
	if (begin == 0)
		prefetch(window, ranges, 0, end);
	prefetch(window, ranges, end, end + std::min(count - end, end - begin));
	uint64_t sum = 0;
	Frame* next = frames;
	for (uint32_t i = begin; i < end; i++) {
		if (!parse_frame(window, range_at(ranges, i), *next)) [[unlikely]] {
			stats_.errors++;
			continue;
		}
		next->number = i;
		sum += next->length;
		next++;
	}
	if (begin == 0 && next != frames)
		ahead_ = static_cast<uint32_t>(frames->data - window.base) + kCacheLine - 1 -
			 static_cast<uint32_t>(range_at(ranges, frames->number) >> 32);
	next_range_ = end;
	bytes += sum;
	return static_cast<uint32_t>(next - frames);
}

template <class Deliver, class DropHold, class Gate>
uint32_t Rx::receive(uint32_t max, Deliver&& deliver, DropHold&& drop_hold, Gate gate)
{
	if (!gate()) [[unlikely]]
		return 0;
	/* An idle poll costs three loads, and a fourth where packets may be held. */
	if constexpr (!Gate::kForeign)
		if (vmbus::load_once(&packet_length_) == 0 && !maybe_nonempty() &&
		    vmbus::load_once(&pending_count_) == 0 &&
		    (holds_ == nullptr || !holds_->has_returned()))
			return 0;
	lock_->lock(gate.owner());
	if (!gate()) [[unlikely]] {
		lock_->unlock();
		return 0;
	}
	if (given_up_ != nullptr) [[unlikely]]
		drop_given_up(drop_hold);
	const Window window{buffer_, begin_, end_};
	uint32_t delivered = 0;
	uint64_t bytes = 0;
	bool refreshed = false;
	while (delivered < max && can_complete(gate.owner()) &&
	       (packet_length_ != 0 || open_packet(refreshed))) {
		Frame frames[kBatch];
		const uint32_t n =
			take_ranges(window, std::min(max - delivered, kBatch), frames, bytes);
		if (n != 0) [[likely]] {
			const uint32_t taken = deliver(frames, n);
			delivered += taken;
			if (taken != n) [[unlikely]] {
				put_back(frames + taken, n - taken, bytes);
				break;
			}
		}
		if (next_range_ == packet_.count) {
			stats_.packets++;
			end_packet(drop_hold);
		}
	}
	stats_.frames += delivered;
	stats_.bytes += bytes;
	finish_burst(gate.owner());
	lock_->unlock();
	return delivered;
}

} // namespace netvsc
