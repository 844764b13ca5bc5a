/* SPDX-License-Identifier: BSD-3-Clause */
#include "tx.hpp"

#include <bit>

namespace netvsc {

using vmbus::align8;
using vmbus::kPageSize;

Tx::Tx(vmbus::Channel& channel, vmbus::SpinLock& lock, const TxConfig& config,
       std::pmr::memory_resource* memory)
	: channel_(&channel),
	  lock_(&lock),
	  config_([&] {
		  TxConfig c = config;
		  if (c.section_size <= kMaxHeader || c.sections == nullptr)
			  c.section_count = 0;
		  if (c.alignment > c.section_size) { /* only the first message can begin aligned */
			  c.alignment = 1;
			  c.max_frames = 1;
		  }
		  if (c.memory.data == nullptr)
			  c.direct_slots = 0;
		  if (c.direct_slots == 0)
			  c.max_frame =
				  std::min(c.max_frame, longest_copy(c.section_size, c.alignment));
		  return c;
	  }()),
	  completions_(std::bit_ceil(config.section_count + config.direct_slots + 1), memory)
{
	const uint32_t message = align8(nvsp::message_size(config_.nvsp_version));
	section_packet_ = sizeof(vmbus::PacketDescriptor) + message;
	section_descriptor_ = static_cast<uint64_t>(vmbus::PacketType::kInband) |
			      uint64_t{sizeof(vmbus::PacketDescriptor) / 8} << 16 |
			      uint64_t{section_packet_ / 8} << 32 |
			      uint64_t{vmbus::kFlagCompletionRequested} << 48;
	if (config_.section_count != 0)
		section_room_ = config_.section_size / config_.alignment * config_.alignment;

	slot_count_ = config_.section_count + config_.direct_slots;
	slots_ = Array<Slot>(slot_count_, memory);
	free_sections_ = Array<uint32_t>(config_.section_count, memory);
	for (uint32_t i = config_.section_count; i-- > 0;)
		free_sections_[free_sections_count_++] = i;
	free_direct_ = Array<uint32_t>(config_.direct_slots, memory);
	for (uint32_t i = config_.direct_slots; i-- > 0;)
		free_direct_[free_direct_count_++] = config_.section_count + i;
}

void* Tx::finish_direct(uint32_t slot)
{
	Slot& s = slots_[slot];
	free_direct_[free_direct_count_++] = slot;
	give_bounce(s);
	return std::exchange(s.cookie, nullptr);
}

bool Tx::direct_frame(const GpaPiece* pieces, uint32_t count, uint32_t length, void* cookie,
		      const TxInfo* info)
{
	if (open_ != kNone)
		close_section(); /* frames leave in the order in which they came */
	if (free_direct_count_ == 0)
		return false;
	const uint32_t slot = free_direct_[free_direct_count_ - 1];
	const size_t offset = size_t{slot - config_.section_count} * kHeaderSlot;
	return send_direct(slot, config_.memory.data + offset, config_.memory.gpa + offset,
			   header_size(info), pieces, count, length, cookie, info);
}

uint8_t* Tx::bounce_begin(uint32_t length)
{
	if (open_ != kNone)
		close_section();
	/* One range of header and frame together: what bounce_end() writes is known now. */
	const uint32_t worst =
		16 + 8 + 8 + 8 * ((kMaxHeader + length) / kPageSize + 2) + 40 + vmbus::kFooterSize;
	if (free_direct_count_ == 0 || !channel_->tx.fits(worst, kHeadroom))
		return nullptr;
	bounce_ = config_.bounce->take();
	return bounce_ != BouncePool::kNone ? config_.bounce->frame(bounce_) : nullptr;
}

void Tx::bounce_end(uint32_t length, const TxInfo* info)
{
	const uint32_t slot = free_direct_[free_direct_count_ - 1];
	/* The header ends where the frame begins. */
	const uint32_t header = header_size(info);
	uint8_t* data = config_.bounce->frame(bounce_) - header;
	slots_[slot].bounce = static_cast<int8_t>(bounce_);
	stats_.bounced++;
	send_direct(slot, data, config_.bounce->gpa(data), header + length, nullptr, 0, length,
		    nullptr, info);
}

/*
 * OpenVMM wants the RNDIS header whole in the first range. A range may name many pages, so a piece
 * is one range however long it is.
 */
bool Tx::send_direct(uint32_t slot, uint8_t* header, uint64_t header_gpa, uint32_t first_range,
		     const GpaPiece* pieces, uint32_t count, uint32_t length, void* cookie,
		     const TxInfo* info)
{
	const auto pages = [](uint64_t gpa, uint32_t n) {
		return static_cast<uint32_t>((gpa % kPageSize + n + kPageSize - 1) / kPageSize);
	};
	uint32_t ranges = sizeof(vmbus::GpaRange) + 8 * pages(header_gpa, first_range);
	for (uint32_t i = 0; i < count; i++)
		ranges += sizeof(vmbus::GpaRange) + 8 * pages(pieces[i].gpa, pieces[i].length);
	const uint32_t message = section_packet_ - sizeof(vmbus::PacketDescriptor);
	const uint32_t data_offset =
		sizeof(vmbus::PacketDescriptor) + sizeof(vmbus::GpaDirectHeader) + ranges;
	const uint32_t total = data_offset + message;
	if (total + vmbus::kFooterSize > vmbus::RingWriter::kMaxPacket ||
	    !channel_->tx.fits(total + vmbus::kFooterSize, kHeadroom))
		return false;

	write_header(header, header_size(info) + length, length, info);
	free_direct_count_--;
	const uint64_t id = launch(slot, 1, length, cookie);
	uint8_t* p = channel_->tx.begin(total);
	const vmbus::PacketDescriptor descriptor = {
		static_cast<uint16_t>(vmbus::PacketType::kGpaDirect),
		static_cast<uint16_t>(data_offset / 8), static_cast<uint16_t>(total / 8),
		vmbus::kFlagCompletionRequested, id};
	const vmbus::GpaDirectHeader gpa_header = {0, count + 1};
	std::memcpy(p, &descriptor, sizeof(descriptor));
	std::memcpy(p + 16, &gpa_header, sizeof(gpa_header));
	uint8_t* at = p + 24;
	const auto put_range = [&](uint64_t gpa, uint32_t n) {
		const vmbus::GpaRange range = {n, static_cast<uint32_t>(gpa % kPageSize)};
		std::memcpy(at, &range, sizeof(range));
		at += sizeof(range);
		uint64_t pfn = gpa / kPageSize;
		for (uint32_t k = pages(gpa, n); k != 0; k--, pfn++, at += 8)
			std::memcpy(at, &pfn, 8);
	};
	put_range(header_gpa, first_range);
	for (uint32_t i = 0; i < count; i++)
		put_range(pieces[i].gpa, pieces[i].length);
	const uint32_t rndis[4] = {nvsp::kSendRndisPacket, nvsp::kChannelData, nvsp::kNoSection, 0};
	std::memcpy(at, rndis, sizeof(rndis));
	zero_words(at + sizeof(rndis), message - sizeof(rndis));
	channel_->tx.end();
	return true;
}

} // namespace netvsc
