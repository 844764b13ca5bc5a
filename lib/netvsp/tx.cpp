/* SPDX-License-Identifier: BSD-3-Clause */
#include "nic.hpp"

#include <algorithm>

#include "inet.hpp"

namespace netvsp {

namespace {

constexpr uint32_t kMaxPieces = 1024;
constexpr uint32_t kMaxTotal = 1u << 20;

} // namespace

void Nic::complete_tx(Channel& channel, uint64_t transaction, uint32_t status)
{
	nvsp::Message answer{};
	answer.type = nvsp::kSendRndisPacketComplete;
	answer.rndis_complete.status = status;
	send_completion(channel, transaction, &answer, nvsp::message_size(version_));
}

/**
 * Lists where the packet's bytes are.
 *
 * @param total bytes in pieces_
 * @param bad set if the packet is malformed in a way that the guest gets an answer for
 * @return false after a violation
 */
bool Nic::gather(Channel& channel, const Packet& packet, const nvsp::Message& message,
		 uint32_t& total, bool& bad)
{
	pieces_.clear();
	range_ends_.clear();
	total = 0;
	if (packet.descriptor.type == uint16_t(vmbus::PacketType::kInband)) {
		if (message.rndis.section_index >= send_sections_ || !send_buffer_) {
			violation(channel, "send section " +
						   std::to_string(message.rndis.section_index) +
						   " is not there");
			return false;
		}
		if (message.rndis.section_size > settings_.section_size) {
			bad = true;
			return true;
		}
		total = message.rndis.section_size;
		pieces_.push_back({send_buffer_ + uint64_t(message.rndis.section_index) *
							  settings_.section_size,
				   total});
		range_ends_.push_back(total);
		return true;
	}
	if (message.rndis.section_index != nvsp::kNoSection) {
		violation(channel, "GPA-direct packet with a send section");
		return false;
	}
	const uint8_t* at = packet.base + sizeof(vmbus::PacketDescriptor);
	uint32_t left = packet.data_offset - uint32_t(sizeof(vmbus::PacketDescriptor));
	vmbus::GpaDirectHeader header;
	if (left < sizeof(header)) {
		violation(channel, "GPA-direct packet without ranges");
		return false;
	}
	memcpy(&header, at, sizeof(header));
	at += sizeof(header);
	left -= uint32_t(sizeof(header));
	if (header.range_count == 0 || header.range_count > vmbus::kMaxGpaRanges) {
		violation(channel, std::to_string(header.range_count) + " GPA ranges");
		return false;
	}
	for (uint32_t i = 0; i < header.range_count; i++) {
		vmbus::GpaRange range;
		if (left < sizeof(range)) {
			violation(channel, "GPA ranges beyond the packet's end");
			return false;
		}
		memcpy(&range, at, sizeof(range));
		at += sizeof(range);
		left -= uint32_t(sizeof(range));
		if (range.byte_count == 0 || range.byte_offset >= vmbus::kPageSize ||
		    range.byte_count > kMaxTotal - total) {
			violation(channel, "GPA range of impossible length or offset");
			return false;
		}
		uint32_t pages = (range.byte_offset + range.byte_count + vmbus::kPageSize - 1) /
				 vmbus::kPageSize;
		if (left < uint64_t(pages) * 8 || pieces_.size() + pages > kMaxPieces) {
			violation(channel, "GPA range without its pages");
			return false;
		}
		uint32_t rest = range.byte_count;
		uint32_t offset = range.byte_offset;
		for (uint32_t page = 0; page < pages; page++) {
			uint64_t pfn;
			memcpy(&pfn, at + page * 8, sizeof(pfn));
			uint32_t count = std::min(rest, vmbus::kPageSize - offset);
			const uint8_t* host =
				pfn > UINT64_MAX / vmbus::kPageSize
					? nullptr
					: link_->memory().translate(pfn * vmbus::kPageSize + offset,
								    count);
			if (!host) {
				violation(channel, "GPA range outside the guest's memory, page " +
							   std::to_string(pfn));
				return false;
			}
			if (!pieces_.empty() && pieces_.back().data + pieces_.back().length == host)
				pieces_.back().length += count;
			else
				pieces_.push_back({host, count});
			rest -= count;
			offset = 0;
		}
		at += pages * 8;
		left -= pages * 8;
		total += range.byte_count;
		range_ends_.push_back(total);
	}
	return true;
}

inline bool Nic::copy_from_pieces(uint32_t offset, void* to, uint32_t length) const
{
	if (const Piece& first = pieces_.front(); uint64_t{offset} + length <= first.length)
		[[likely]] {
		memcpy(to, first.data + offset, length);
		return true;
	}
	auto* out = static_cast<uint8_t*>(to);
	for (const Piece& piece : pieces_) {
		if (offset >= piece.length) {
			offset -= piece.length;
			continue;
		}
		uint32_t count = std::min(length, piece.length - offset);
		memcpy(out, piece.data + offset, count);
		out += count;
		length -= count;
		offset = 0;
		if (length == 0)
			return true;
	}
	return length == 0;
}

/* Reads what the per-packet infos of the message at `at` ask for. @return false: malformed */
bool Nic::read_infos(const rndis::PacketMessage& m, uint32_t at, TxRequest& request) const
{
	uint32_t body = m.hdr.length - rndis::kOffsetBase;
	if (m.ppi_offset < sizeof(m) - rndis::kOffsetBase || m.ppi_offset > body ||
	    m.ppi_length > body - m.ppi_offset)
		return false;
	uint32_t info_at = at + rndis::kOffsetBase + m.ppi_offset;
	uint32_t end = info_at + m.ppi_length;
	/* Like the header, per-packet info lies in one range. */
	auto range = std::upper_bound(range_ends_.begin(), range_ends_.end(), at);
	if (range == range_ends_.end() || end > *range)
		return false;
	while (info_at < end) {
		rndis::PacketInfo info;
		uint32_t left = end - info_at;
		if (left < sizeof(info))
			return false;
		copy_from_pieces(info_at, &info, sizeof(info));
		if (info.size < sizeof(info) || info.size > left || info.offset > info.size)
			return false;
		if (info.type == rndis::kPpiChecksum || info.type == rndis::kPpiLso ||
		    info.type == rndis::kPpiVlan) {
			uint32_t value = 0;
			if (info.size - info.offset < sizeof(value))
				return false;
			copy_from_pieces(info_at + info.offset, &value, sizeof(value));
			if (info.type == rndis::kPpiChecksum)
				request.read_checksum(value);
			else if (info.type == rndis::kPpiLso)
				request.read_lso(value);
			else
				request.read_vlan(value);
		}
		info_at += info.size;
	}
	return request.complete(m.data_length);
}

/* Checks one RNDIS message, whose header was copied out, and sends its frame. */
Nic::Tx Nic::transmit_message(Channel& channel, const rndis::PacketMessage& m, uint32_t at)
{
	uint32_t length = m.hdr.length;
	uint32_t body = length - rndis::kOffsetBase;
	if (m.oob_count != 0 || m.oob_length != 0 || m.oob_offset != 0 || m.vc_handle != 0)
		return Tx::kBad;
	if (m.data_length == 0 || m.data_offset < sizeof(m) - rndis::kOffsetBase ||
	    m.data_offset > body || m.data_length > body - m.data_offset)
		return Tx::kBad;
	TxRequest request;
	if (m.ppi_length != 0 && !read_infos(m, at, request))
		return Tx::kBad;
	uint32_t frame_at = at + rndis::kOffsetBase + m.data_offset;
	if (request.large)
		return transmit_large(channel, request, frame_at, m.data_length);
	if (m.data_length > mtu_ + kVlanTag || (request.tagged && m.data_length < kEthernetHeader))
		return Tx::kBad;
	if (!network_there()) {
		stats_.tx_frames++; /* goes nowhere, as on a cable that is not plugged */
		return Tx::kDone;
	}
	if (request.checksums != 0 || request.tagged)
		return transmit_changed(request, frame_at, m.data_length);
	const uint8_t* frame = nullptr;
	uint32_t offset = frame_at;
	for (const Piece& piece : pieces_) {
		if (offset < piece.length) {
			if (m.data_length <= piece.length - offset)
				frame = piece.data + offset;
			break;
		}
		offset -= piece.length;
	}
	if (!frame) {
		copy_from_pieces(frame_at, scratch_.data(), m.data_length);
		frame = scratch_.data();
	}
	if (!endpoint_->send(frame, m.data_length))
		return Tx::kRetry;
	stats_.tx_frames++;
	return Tx::kDone;
}

/* What the guest asks for without having turned it on is done all the same, as by OpenVMM. */
void Nic::count_request(const TxRequest& request, bool seeded)
{
	stats_.tx_frames++;
	stats_.tx_vlan += request.tagged;
	if (request.checksums == 0 && !request.large)
		return;
	if (request.large ? !(request.v6 ? enabled_.lso6 : enabled_.lso4)
			  : (request.checksums & ~enabled_.tx_checksum) != 0)
		stats_.tx_not_enabled++;
	stats_.tx_unseeded += !seeded;
}

/* Sends a frame that has 4 bytes of room before it. */
bool Nic::send_changed(const TxRequest& request, uint8_t* frame, uint32_t length,
		       FrameOffload& left)
{
	if (request.tagged) {
		frame = insert_tag(frame, request.tag);
		length += kVlanTag;
		left.checksum_start += kVlanTag;
		left.headers += kVlanTag;
	}
	return left.checksum ? endpoint_->send_offload(frame, length, left)
			     : endpoint_->send(frame, length);
}

Nic::Tx Nic::transmit_changed(const TxRequest& request, uint32_t at, uint32_t length)
{
	uint8_t* frame = scratch_.data() + kVlanTag;
	copy_from_pieces(at, frame, length);
	bool seeded = true;
	TxRequest possible = request;
	possible.checksums &= offered_.tx_checksum;
	if (is_long_datagram(frame, length, settings_.profile->udp4_checksum_most))
		possible.checksums &= ~uint32_t{kChecksumUdp4};
	FrameOffload left;
	bool computed = possible.checksums != 0 &&
			compute_checksums(frame, length, possible, seeded,
					  endpoint_->takes_offloads() ? &left : nullptr);
	if (!send_changed(request, frame, length, left))
		return Tx::kRetry;
	count_request(request, seeded);
	if (computed)
		stats_.tx_csum++;
	else if (request.checksums != 0)
		stats_.tx_csum_undone++;
	return Tx::kDone;
}

Nic::Tx Nic::transmit_large(Channel& channel, const TxRequest& request, uint32_t at,
			    uint32_t length)
{
	if (!(request.v6 ? offered_.lso6 : offered_.lso4))
		return Tx::kBad;
	large_send_.resize(std::max<size_t>(large_send_.size(), kVlanTag + length));
	uint8_t* large = large_send_.data() + kVlanTag;
	copy_from_pieces(at, large, length);
	Segmenter segmenter;
	if (!segmenter.start(large, length, request) || segmenter.frame_length() > mtu_)
		return Tx::kBad;
	if (network_there() && endpoint_->takes_offloads() && segmenter.can_be_whole()) {
		FrameOffload left;
		segmenter.whole(large, left);
		if (!send_changed(request, large, length, left))
			return Tx::kRetry;
	} else if (network_there()) {
		for (uint32_t& n = channel.tx_segments; n < segmenter.count(); n++) {
			uint8_t* frame = scratch_.data() + kVlanTag;
			const uint32_t size = segmenter.build(n, frame);
			FrameOffload nothing;
			if (!send_changed(request, frame, size, nothing))
				return Tx::kRetry;
			stats_.tx_segments++;
		}
	}
	channel.tx_segments = 0;
	count_request(request, segmenter.seeded());
	stats_.tx_lso++;
	stats_.tx_lso_oversize += segmenter.payload() > settings_.lso_max;
	return Tx::kDone;
}

Nic::Tx Nic::transmit(Channel& channel, uint32_t total)
{
	uint32_t at = channel.tx_offset;
	uint32_t messages = channel.tx_messages;
	auto range = range_ends_.begin();
	while (at < total) {
		rndis::PacketMessage header;
		while (range != range_ends_.end() && *range <= at)
			++range;
		if (range == range_ends_.end() || *range - at < sizeof(header) ||
		    ++messages > settings_.max_packets)
			return Tx::kBad;
		copy_from_pieces(at, &header, sizeof(header));
		if (header.hdr.type != rndis::kPacket || header.hdr.length < sizeof(header) ||
		    header.hdr.length > total - at)
			return Tx::kBad;
		Tx result = transmit_message(channel, header, at);
		if (result == Tx::kRetry) {
			channel.tx_offset = at;
			channel.tx_messages = messages - 1;
			return result;
		}
		if (result == Tx::kBad)
			return result;
		at += header.hdr.length;
	}
	return messages == 0 ? Tx::kBad : Tx::kDone;
}

/* @return false if the packet must stay in the ring for now */
bool Nic::handle_data(Channel& channel, const Packet& packet, const nvsp::Message& message)
{
	if (version_ == 0) {
		violation(channel, "RNDIS packet before INIT");
		return true;
	}
	bool control = message.rndis.channel_type == nvsp::kChannelControl;
	if (control ? !reply_room(channel)
		    : packet.wants_completion() &&
			      !channel.out.reserve(2 * OutRing::space(nvsp::kSize61)))
		return false;
	uint32_t total;
	bool bad = false;
	if (!gather(channel, packet, message, total, bad))
		return true;
	if (control) {
		uint8_t copy[4096];
		if (bad || total > sizeof(copy)) {
			violation(channel, "RNDIS control message is too long");
			return true;
		}
		copy_from_pieces(0, copy, total);
		handle_rndis_control(channel, packet, copy, total);
		return true;
	}
	if (!rndis_ready_) {
		violation(channel, "data before RNDIS INITIALIZE");
		return true;
	}
	Tx result = bad ? Tx::kBad : transmit(channel, total);
	if (result == Tx::kRetry) {
		endpoint_full_ = true;
		return false;
	}
	channel.tx_offset = 0;
	channel.tx_messages = 0;
	channel.tx_segments = 0;
	stats_.tx_packets++;
	uint32_t status = nvsp::kStatusSuccess;
	if (result == Tx::kBad) {
		stats_.tx_errors++;
		status = nvsp::kStatusFailure;
	}
	if (!packet.wants_completion())
		return true;
	uint64_t id = packet.descriptor.transaction_id;
	if (faults_.any()) {
		uint32_t every = faults_.parameter(Fault::kTxFail);
		if (every != 0 && ++tx_count_ % every == 0)
			status = nvsp::kStatusFailure;
		if (faults_.fire(Fault::kBadCompletionId))
			complete_tx(channel, ~id ^ 0x5a5a, status);
		if (faults_.fire(Fault::kDoubleCompletion))
			complete_tx(channel, id, status);
	}
	complete_tx(channel, id, status);
	return true;
}

} // namespace netvsp
