/* SPDX-License-Identifier: BSD-3-Clause */
#include "nic.hpp"

#include <algorithm>

namespace netvsp {

namespace {

constexpr uint32_t kMaxControlMessage = 4096;
constexpr size_t kMaxIndications = 64;	      /* that wait for room */
constexpr uint32_t kControlIdsForAnswers = 4; /* which indications leave alone */
constexpr uint32_t kMaxTransferSize = 0xefffffff;

template <class T> bool read_as(T& to, const uint8_t* data, uint32_t length)
{
	if (length < sizeof(T))
		return false;
	memcpy(&to, data, sizeof(T));
	return true;
}

/* Type and length of an answer to a request of this type. */
rndis::Header answer_header(uint32_t type, size_t length)
{
	return {type | rndis::kComplete, uint32_t(length)};
}

} // namespace

/* The message goes to a control sub-allocation and is announced by a transfer-page packet. */
bool Nic::rndis_send(Channel& channel, const void* message, uint32_t length, bool answer)
{
	if (answer && faults_.fire(Fault::kUnrelatedBeforeReply))
		indicate(rndis::kStatusLinkSpeedChange);
	uint32_t id = receive_buffer_.take_control();
	if (id == ReceiveBuffer::kNone) {
		if (answer)
			violation(channel, "more control messages than the guest completes");
		return false;
	}
	memcpy(receive_buffer_.at(id), message, length);
	struct {
		vmbus::TransferPageHeader header;
		vmbus::TransferPageRange range;
	} head{};
	head.header.transfer_page_set_id = receive_buffer_id_;
	head.header.range_count = 1;
	head.range = {length, receive_buffer_.offset(id)};
	nvsp::Message body{};
	body.type = nvsp::kSendRndisPacket;
	body.rndis.channel_type = nvsp::kChannelControl;
	body.rndis.section_index = nvsp::kNoSection;
	channel.out.write(vmbus::PacketType::kTransferPages, vmbus::kFlagCompletionRequested, id,
			  &head, sizeof(head), &body, nvsp::message_size(version_));
	return true;
}

/* A guest that is not there finds things out by itself when it comes. */
void Nic::indicate(uint32_t status, const void* payload, uint32_t length)
{
	Channel& primary = *channels_[0];
	if (!primary.open || primary.silent || !rndis_ready_)
		return;
	rndis::IndicateStatus message{};
	message.hdr = {rndis::kIndicateStatus, uint32_t(sizeof(message)) + length};
	message.status = status;
	if (length != 0) {
		message.buffer_length = length;
		message.buffer_offset = sizeof(message) - rndis::kOffsetBase;
	}
	if (indications_.size() == kMaxIndications)
		indications_.pop_front();
	auto& bytes = indications_.emplace_back(message.hdr.length);
	memcpy(bytes.data(), &message, sizeof(message));
	if (length != 0)
		memcpy(bytes.data() + sizeof(message), payload, length);
	send_indications();
}

/* What finds no room is sent in a later pass, and leaves room for answers. */
void Nic::send_indications()
{
	Channel& primary = *channels_[0];
	if (!primary.open || primary.silent)
		return;
	while (!indications_.empty() && primary.out.fits(128) &&
	       receive_buffer_.control_free() > kControlIdsForAnswers) {
		const auto& bytes = indications_.front();
		rndis_send(primary, bytes.data(), uint32_t(bytes.size()), false);
		indications_.pop_front();
	}
}

/* Hosts tell what is in force whenever the guest or somebody else changed it. */
void Nic::indicate_offloads()
{
	const ndis::Offload offload = offload_message(enabled_, offload_revision());
	offloads_changed_ = false;
	indicate(rndis::kStatusOffloadConfig, &offload, offload.header.size);
}

void Nic::handle_rndis_control(Channel& channel, const Packet& packet, const uint8_t* data,
			       uint32_t length)
{
	rndis::Header header;
	if (channel.index != 0)
		return violation(channel, "RNDIS control message on a subchannel");
	if (!receive_buffer_.attached())
		return violation(channel, "RNDIS control message without a receive buffer");
	if (!read_as(header, data, length) || header.length < sizeof(header) ||
	    header.length > length || header.length > kMaxControlMessage)
		return violation(channel, "malformed RNDIS control message");
	length = header.length;
	if (packet.wants_completion())
		complete_tx(channel, packet.descriptor.transaction_id, nvsp::kStatusSuccess);
	if (faults_.any() && faults_.fire(Fault::kNoRndisReply))
		return;
	if (header.type != rndis::kInitialize && !rndis_ready_ && header.type != rndis::kHalt)
		return violation(channel, "RNDIS message " + std::to_string(header.type) +
						  " before INITIALIZE");

	switch (header.type) {
	case rndis::kInitialize: {
		rndis::InitializeRequest request;
		if (!read_as(request, data, length))
			break;
		if (rndis_ready_)
			return violation(channel, "second RNDIS INITIALIZE");
		if (ndis_version_ == 0 && settings_.profile->needs_ndis_version)
			return violation(channel, "RNDIS INITIALIZE before the NDIS version");
		rndis::InitializeComplete answer{};
		answer.hdr = answer_header(header.type, sizeof(answer));
		answer.request_id = request.request_id;
		bool fail = faults_.fire(Fault::kRndisInitFail);
		answer.status = fail ? rndis::kStatusFailure : rndis::kStatusSuccess;
		answer.major = rndis::kVersionMajor;
		answer.minor = rndis::kVersionMinor;
		answer.device_flags = rndis::kDeviceConnectionless;
		answer.medium = rndis::kMedium8023;
		answer.max_packets_per_message = settings_.max_packets;
		answer.max_transfer_size = kMaxTransferSize;
		answer.packet_alignment_factor = settings_.alignment_shift;
		rndis_ready_ = !fail;
		rndis_send(channel, &answer, sizeof(answer));
		tell_vf();
		return;
	}
	case rndis::kQuery: {
		rndis::OidRequest request;
		if (!read_as(request, data, length))
			break;
		/* What a query brings along follows it, as with a set. */
		return rndis_query(
			channel, request, data + sizeof(request),
			std::min(request.info_length, length - uint32_t(sizeof(request))));
	}
	case rndis::kSet: {
		rndis::OidRequest request;
		if (!read_as(request, data, length))
			break;
		/* The information follows the request; its offset is not looked at. */
		rndis::StatusComplete answer{};
		answer.hdr = answer_header(header.type, sizeof(answer));
		answer.request_id = request.request_id;
		answer.status =
			request.info_length > length - sizeof(request)
				? uint32_t(rndis::kStatusInvalidLength)
				: set_oid(request.oid, data + sizeof(request), request.info_length);
		rndis_send(channel, &answer, sizeof(answer));
		if (request.oid == rndis::kOidCurrentPacketFilter &&
		    faults_.fire(Fault::kKeepalive)) {
			rndis::KeepaliveRequest keepalive{};
			keepalive.hdr = {rndis::kKeepalive, sizeof(keepalive)};
			keepalive.request_id = 0x6b617368;
			rndis_send(channel, &keepalive, sizeof(keepalive), false);
		}
		return;
	}
	case rndis::kKeepalive: {
		rndis::KeepaliveRequest request;
		if (!read_as(request, data, length))
			break;
		rndis::StatusComplete answer{};
		answer.hdr = answer_header(header.type, sizeof(answer));
		answer.request_id = request.request_id;
		rndis_send(channel, &answer, sizeof(answer));
		return;
	}
	case rndis::kHalt:
		/* Ends the session without an answer; only opening anew starts another one. */
		filter_ = 0;
		return;
	case rndis::kKeepalive | rndis::kComplete:
		return;
	default:
		return violation(channel, "RNDIS message " + std::to_string(header.type));
	}
	violation(channel, "RNDIS message " + std::to_string(header.type) + " is cut");
}

void Nic::rndis_query(Channel& channel, const rndis::OidRequest& request, const uint8_t* input,
		      uint32_t input_length)
{
	std::vector<uint8_t> info;
	rndis::QueryComplete answer{};
	answer.request_id = request.request_id;
	answer.status = query_oid(request.oid, input, input_length, info);
	answer.info_length = uint32_t(info.size());
	answer.info_offset = sizeof(answer) - rndis::kOffsetBase;
	uint32_t length = uint32_t(sizeof(answer) + info.size());
	answer.hdr = answer_header(rndis::kQuery, length);
	if (faults_.any()) {
		if (faults_.fire(Fault::kBadQueryLength))
			answer.info_length = 0x7fffffff;
		if (faults_.fire(Fault::kShortQueryReply)) {
			length = 20;
			answer.hdr.length = length;
		}
	}
	uint8_t message[1024];
	memcpy(message, &answer, sizeof(answer));
	if (!info.empty())
		memcpy(message + sizeof(answer), info.data(), info.size());
	rndis_send(channel, message, length);
}

} // namespace netvsp
