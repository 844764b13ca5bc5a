/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The transmit pipeline of one channel.
 *
 * A frame goes out in one of two ways: copied, behind its RNDIS header, into a send section (memory
 * that the host has mapped for good; several frames share a section and one VMBus packet), or by
 * GPA-direct ranges (the host reads the frame where it lies, and the caller keeps it until the
 * completion). Every slot is the queue's own, and a transaction id is slot and generation, so that
 * a host can complete nothing but what is in flight, and that once.
 *
 * All calls between begin() and end() are one burst of one thread.
 */
#pragma once

#include <algorithm>
#include <utility>

#include "bounce_pool.hpp"
#include "completion_queue.hpp"
#include "gate.hpp"
#include "nvsp.hpp"
#include "offload.hpp"
#include "rndis.hpp"
#include "vmbus/channel.hpp"

namespace netvsc {

/** A part of a frame for a GPA-direct packet, without gaps in guest-physical memory. */
struct GpaPiece {
	uint64_t gpa;
	uint32_t length;
};

struct TxConfig {
	uint8_t* sections = nullptr; /**< the send buffer's mapping */
	uint32_t section_size = 0;   /**< 0 = the host gave no send buffer */
	uint32_t first_section = 0;  /**< this queue's share of the sections */
	uint32_t section_count = 0;
	uint32_t max_frames = 1; /**< frames per section and packet that the host takes */
	uint32_t alignment = 8;	 /**< of RNDIS messages in a section, a power of two */
	uint32_t nvsp_version = nvsp::kVersion1;
	uint32_t max_frame = 1518;    /**< longest frame that is not segmented by the host */
	uint32_t direct_slots = 0;    /**< GPA-direct packets in flight */
	DmaMemory memory;	      /**< memory_size() bytes; may be absent: copies only */
	BouncePool* bounce = nullptr; /**< outlives the pipeline; null = none */
};

struct TxStats {
	uint64_t frames = 0; /**< accepted, less those that the host refused */
	uint64_t bytes = 0;
	uint64_t errors = 0;	      /**< frames the host refused */
	uint64_t bad_completions = 0; /**< completions of what was not in flight */
	uint64_t packets = 0;	      /**< VMBus packets */
	uint64_t copied = 0;	      /**< frames sent by section */
	uint64_t bounced = 0;	      /**< frames copied because they had too many pieces */
	uint64_t signals = 0;
};

class Tx {
      public:
	/** Ring bytes that frames leave free, for the completions of received packets. */
	static constexpr uint32_t kHeadroom = 8192;
	static constexpr uint32_t kMaxHeader =
		sizeof(rndis::PacketMessage) + TxInfo::kMax * TxInfo::kBytesEach;
	static constexpr uint32_t kHeaderSlot = 128; /* within one page, as hosts want it */
	static_assert(kMaxHeader <= kHeaderSlot);
	static_assert(kMaxHeader <= BouncePool::kHeadroom);
	/** Pieces of a frame that fit one packet beside the RNDIS header. */
	static constexpr uint32_t kMaxPieces = vmbus::kMaxGpaRanges - 1;

	/** Bytes of DmaMemory that a queue with so many slots needs: their headers. */
	static size_t memory_size(uint32_t direct_slots)
	{
		return size_t{direct_slots} * kHeaderSlot;
	}

	/** Longest frame that fits a section with whatever goes along; 0 = none does. */
	static uint32_t longest_copy(uint32_t section_size, uint32_t alignment)
	{
		/* Only the first message can begin aligned where sections are that small. */
		const uint32_t unit = alignment > section_size ? 1 : alignment;
		const uint32_t room = section_size / unit * unit;
		return room - std::min(room, kMaxHeader);
	}

	/** Sends nothing. */
	Tx() = default;
	Tx(vmbus::Channel& channel, vmbus::SpinLock& lock, const TxConfig& config,
	   std::pmr::memory_resource* memory = std::pmr::new_delete_resource());

	/** Entry for a completion with this id; called by the thread that reads the ring. */
	bool complete(uint64_t transaction_id, bool success)
	{
		return completions_.push(transaction_id << 1 | (success ? 0 : 1));
	}

	/** @return false: the gate is closed, and there is no burst to end() */
	template <class Gate = OpenGate> bool begin(Gate gate = {})
	{
		lock_->lock(gate.owner());
		if (gate()) [[likely]]
			return true;
		lock_->unlock();
		return false;
	}
	/** Sends what is gathered, tells the host, and ends the burst. */
	template <class Gate = OpenGate> void end(Gate = {})
	{
		if (open_ != kNone)
			close_section();
		const bool signal = channel_->tx.publish();
		if (!Gate::kForeign)
			lock_->unlock();
		if (signal) {
			stats_.signals++;
			channel_->doorbell.ring();
		}
		if (Gate::kForeign)
			lock_->unlock();
	}

	/** Takes in completions. `release(cookie)` gets each frame that the host has read. */
	template <class Release> void reap(Release&& release)
	{
		completions_.pop_all([&](uint64_t entry) {
			if (void* cookie = finish(entry))
				release(cookie);
		});
	}

	bool can_copy(uint32_t length, const TxInfo* info = nullptr) const
	{
		return header_size(info) + length <= section_room_;
	}
	bool can_direct() const { return config_.direct_slots != 0; }
	uint32_t free_sections() const { return free_sections_count_; }
	uint32_t free_direct() const { return free_direct_count_; }
	uint32_t slots() const { return slot_count_; }
	uint32_t in_flight() const { return slots() - free_sections_count_ - free_direct_count_; }
	uint32_t max_frame() const { return config_.max_frame; }
	bool can_bounce(uint32_t length) const
	{
		return config_.bounce != nullptr && length <= config_.bounce->longest();
	}

	/**
	 * Room for a frame of `length` bytes (can_copy()) in a send section, its header written.
	 * The frame counts as accepted.
	 * @param info what the host is to do with it; null = nothing
	 * @return null: no section or no ring space until the host completes something
	 */
	uint8_t* copy_frame(uint32_t length, const TxInfo* info = nullptr)
	{
		const uint32_t header = header_size(info);
		/* Messages start aligned, and padding belongs to the one before it:
		 * [MS-RNDIS] 2.2.14 has it counted in the message's length. */
		const uint32_t need = align(header + length);
		if (need > static_cast<size_t>(open_end_ - open_at_) ||
		    open_frames_ == config_.max_frames) {
			if (!next_section())
				return nullptr;
		}
		uint8_t* at = open_at_;
		open_at_ += need;
		open_frames_++;
		open_frame_bytes_ += length;
		write_header(at, need, length, info);
		return at + header;
	}

	/**
	 * Sends a frame by GPA-direct ranges, 1..kMaxPieces pieces. The frame counts as accepted,
	 * and `cookie` (not null) comes back from reap().
	 * @return false: no slot or no ring space until the host completes something
	 */
	bool direct_frame(const GpaPiece* pieces, uint32_t count, uint32_t length, void* cookie,
			  const TxInfo* info = nullptr);

	/**
	 * Room for a frame that can_bounce() in a bounce buffer, for frames of too many
	 * pieces, or in memory that the host cannot reach. Fill it, and call bounce_end() next.
	 * @return null: none free until the host completes something
	 */
	uint8_t* bounce_begin(uint32_t length);
	void bounce_end(uint32_t length, const TxInfo* info = nullptr);

	const TxStats& stats() const { return stats_; }

	/** Gives back the cookies and buffers of all frames in flight; the channel is closed. */
	template <class Release> void abandon(Release&& release)
	{
		for (uint32_t i = 0; i < slot_count_; i++) {
			if (void* cookie = std::exchange(slots_[i].cookie, nullptr))
				release(cookie);
			give_bounce(slots_[i]);
		}
	}

      private:
	struct Slot {
		uint32_t generation = 0;
		uint16_t frames = 0;
		bool in_flight = false;
		int8_t bounce = -1;
		uint32_t bytes = 0;
		void* cookie = nullptr;
	};

	static constexpr uint32_t kNone = ~0u;

	uint32_t align(uint32_t n) const
	{
		return (n + config_.alignment - 1) & ~(config_.alignment - 1);
	}

	static uint32_t header_size(const TxInfo* info)
	{
		return sizeof(rndis::PacketMessage) + (info != nullptr ? info->bytes() : 0);
	}

	/* [MS-RNDIS] 2.2.14, REMOTE_NDIS_PACKET_MSG: what is not set here is zero. */
	static void write_header(uint8_t* at, uint32_t message, uint32_t length, const TxInfo* info)
	{
		const uint32_t begin[4] = {rndis::kPacket, message,
					   header_size(info) - rndis::kOffsetBase, length};
		std::memcpy(at, begin, sizeof(begin));
		std::memset(at + sizeof(begin), 0, sizeof(rndis::PacketMessage) - sizeof(begin));
		if (info == nullptr)
			return;
		const uint32_t infos[2] = {sizeof(rndis::PacketMessage) - rndis::kOffsetBase,
					   info->bytes()};
		std::memcpy(at + offsetof(rndis::PacketMessage, ppi_offset), infos, sizeof(infos));
		std::memcpy(at + sizeof(rndis::PacketMessage), info->data(), info->bytes());
	}

	/* A few words: less than a call. */
	static void zero_words(uint8_t* at, uint32_t bytes)
	{
		for (uint32_t i = 0; i < bytes; i += sizeof(uint64_t))
			std::memset(at + i, 0, sizeof(uint64_t));
	}

	/* Slots [0, section_count) are the sections, those behind them the direct ones. */
	uint64_t launch(uint32_t slot, uint32_t frames, uint32_t bytes, void* cookie)
	{
		Slot& s = slots_[slot];
		s.in_flight = true;
		s.frames = static_cast<uint16_t>(frames);
		s.bytes = bytes;
		s.cookie = cookie;
		stats_.frames += frames;
		stats_.bytes += bytes;
		stats_.packets++;
		return static_cast<uint64_t>(s.generation) << 20 | slot;
	}

	/* Sends the open section if there is one, and opens another. */
	bool next_section()
	{
		if (open_ != kNone)
			close_section();
		if (free_sections_count_ == 0 ||
		    !channel_->tx.fits(section_packet_ + vmbus::kFooterSize, kHeadroom))
			return false;
		open_ = free_sections_[--free_sections_count_];
		open_at_ = config_.sections + static_cast<size_t>(config_.first_section + open_) *
						      config_.section_size;
		open_end_ = open_at_ + section_room_;
		open_frames_ = open_frame_bytes_ = 0;
		return true;
	}

	void close_section()
	{
		const uint64_t id = launch(open_, open_frames_, open_frame_bytes_, nullptr);
		stats_.copied += open_frames_;
		uint8_t* p = channel_->tx.begin(section_packet_);
		const uint64_t descriptor[2] = {section_descriptor_, id};
		std::memcpy(p, descriptor, sizeof(descriptor));
		/* Type, channel type, section, size; the rest of an NVSP message is zero. */
		const uint32_t message[4] = {
			nvsp::kSendRndisPacket, nvsp::kChannelData, config_.first_section + open_,
			section_room_ - static_cast<uint32_t>(open_end_ - open_at_)};
		std::memcpy(p + 16, message, sizeof(message));
		zero_words(p + 32, section_packet_ - 32);
		channel_->tx.end();
		open_ = kNone;
		open_end_ = open_at_;
	}

	void* finish(uint64_t entry);
	void* finish_direct(uint32_t slot);
	bool send_direct(uint32_t slot, uint8_t* header, uint64_t header_gpa, uint32_t first_range,
			 const GpaPiece* pieces, uint32_t count, uint32_t length, void* cookie,
			 const TxInfo* info);
	void give_bounce(Slot& slot)
	{
		if (slot.bounce >= 0)
			config_.bounce->give(static_cast<uint32_t>(slot.bounce));
		slot.bounce = -1;
	}

	vmbus::Channel* channel_ = nullptr;
	vmbus::SpinLock* lock_ = nullptr;
	TxConfig config_;
	uint32_t section_room_ = 0;   /* bytes of one, whole units of alignment; 0: there is none */
	uint32_t section_packet_ = 0; /* ring bytes of one, without the footer */
	uint64_t section_descriptor_ = 0;

	uint32_t open_ = kNone;	      /* the section that is being filled */
	uint8_t* open_at_ = nullptr;  /* where its next message begins */
	uint8_t* open_end_ = nullptr; /* of its room; the same if none is open */
	uint32_t open_frames_ = 0;
	uint32_t open_frame_bytes_ = 0;

	uint32_t free_sections_count_ = 0;
	uint32_t free_direct_count_ = 0;
	Array<uint32_t> free_sections_;
	Array<uint32_t> free_direct_;
	uint32_t bounce_ = BouncePool::kNone; /* between bounce_begin() and bounce_end() */

	uint32_t slot_count_ = 0;
	Array<Slot> slots_;

	TxStats stats_;
	CompletionQueue completions_{0, nullptr};
};

inline void* Tx::finish(uint64_t entry)
{
	const bool failed = (entry & 1) != 0;
	const uint64_t id = entry >> 1;
	const uint32_t slot = id & 0xfffff;
	if (slot >= slot_count_ || !slots_[slot].in_flight || slots_[slot].generation != (id >> 20))
		[[unlikely]] {
		stats_.bad_completions++;
		return nullptr;
	}
	Slot& s = slots_[slot];
	s.in_flight = false;
	s.generation++;
	if (failed) [[unlikely]] {
		stats_.errors += s.frames;
		stats_.frames -= s.frames;
		stats_.bytes -= s.bytes;
	}
	if (slot >= config_.section_count)
		return finish_direct(slot);
	free_sections_[free_sections_count_++] = slot;
	return nullptr;
}

} // namespace netvsc
