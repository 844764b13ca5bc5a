/* SPDX-License-Identifier: BSD-3-Clause */
#include "nic.hpp"

#include <algorithm>

namespace netvsp {

namespace {

constexpr uint32_t kVersions[] = {nvsp::kVersion61, nvsp::kVersion6, nvsp::kVersion5,
				  nvsp::kVersion4,  nvsp::kVersion2, nvsp::kVersion1};
constexpr uint32_t kMaxMdlChain = 34;
constexpr uint32_t kMtuFallback = 1514;

} // namespace

/* Every message that the host may send while it handles one packet: the answer, an unrelated
 * message, the send indirection table, and an RNDIS reply. */
bool Nic::reply_room(Channel& channel)
{
	return channel.out.reserve(512);
}

void Nic::send_completion(Channel& channel, uint64_t transaction, const void* data, uint32_t length)
{
	channel.out.write(vmbus::PacketType::kCompletion, 0, transaction, nullptr, 0, data, length);
}

void Nic::send_nvsp(Channel& channel, const nvsp::Message& message, const void* more,
		    uint32_t more_length)
{
	uint8_t buffer[nvsp::kSize61 + nvsp::kSendTableEntries * 4];
	uint32_t size = nvsp::message_size(version_);
	memcpy(buffer, &message, size);
	if (more_length != 0)
		memcpy(buffer + size, more, more_length);
	channel.out.write(vmbus::PacketType::kInband, 0, 0, nullptr, 0, buffer, size + more_length);
}

/* The same where the guest is asked for a completion. */
void Nic::ask_nvsp(Channel& channel, const nvsp::Message& message, uint64_t transaction)
{
	channel.out.write(vmbus::PacketType::kInband, vmbus::kFlagCompletionRequested, transaction,
			  nullptr, 0, &message, nvsp::message_size(version_));
}

void Nic::handle_nvsp(Channel& channel, const Packet& packet, const nvsp::Message& message,
		      uint32_t length)
{
	auto needs = [&](size_t body) {
		if (length >= 4 + body)
			return true;
		violation(channel, "NVSP message " + std::to_string(message.type) + " is cut");
		return false;
	};
	if (length < 4)
		return violation(channel, "NVSP message without a type");
	if (channel.index != 0)
		return violation(channel, "NVSP message " + std::to_string(message.type) +
						  " on a subchannel");
	if (version_ == 0 && message.type != nvsp::kInit)
		return violation(channel,
				 "NVSP message " + std::to_string(message.type) + " before INIT");
	switch (message.type) {
	case nvsp::kInit:
		if (needs(sizeof(nvsp::Init)))
			nvsp_init(channel, packet, message);
		return;
	case nvsp::kSendNdisVersion:
		if (!needs(sizeof(nvsp::SendNdisVersion)))
			return;
		ndis_version_ =
			ndis::version(message.ndis_version.major, message.ndis_version.minor);
		if (packet.wants_completion())
			send_completion(channel, packet.descriptor.transaction_id, nullptr, 0);
		return;
	case nvsp::kSendNdisConfig:
		if (!needs(sizeof(nvsp::SendNdisConfig)))
			return;
		nvsp_ndis_config(channel, message);
		if (!channel.silent && packet.wants_completion())
			send_completion(channel, packet.descriptor.transaction_id, nullptr, 0);
		return;
	case nvsp::kSendReceiveBuffer:
		if (needs(6))
			nvsp_receive_buffer(channel, packet, message);
		return;
	case nvsp::kSendSendBuffer:
		if (needs(6))
			nvsp_send_buffer(channel, packet, message);
		return;
	case nvsp::kRevokeReceiveBuffer:
	case nvsp::kRevokeSendBuffer:
		if (!needs(2))
			return;
		nvsp_revoke(channel, message, message.type == nvsp::kRevokeReceiveBuffer);
		if (!channel.silent && packet.wants_completion())
			send_completion(channel, packet.descriptor.transaction_id, nullptr, 0);
		return;
	case nvsp::kSwitchDataPath: {
		if (version_ < nvsp::kVersion4 || !needs(sizeof(nvsp::SwitchDataPath)))
			break;
		if (faults_.fire(Fault::kNoSwitchReply))
			return;
		switch_data_path(message.data_path.active == nvsp::kDataPathVf);
		if (packet.wants_completion())
			send_completion(channel, packet.descriptor.transaction_id, nullptr, 0);
		return;
	}
	case nvsp::kOidQueryEx: {
		if (version_ < nvsp::kVersion5)
			break;
		nvsp::Message answer{};
		answer.type = nvsp::kOidQueryExComplete;
		const uint32_t status = rndis::kStatusNotSupported;
		memcpy(answer.raw, &status, sizeof(status));
		send_completion(channel, packet.descriptor.transaction_id, &answer,
				nvsp::message_size(version_));
		return;
	}
	case nvsp::kSubchannel:
		if (version_ < nvsp::kVersion5)
			break;
		if (needs(sizeof(nvsp::SubchannelRequest)))
			nvsp_subchannels(channel, packet, message);
		return;
	default:
		break;
	}
	violation(channel, "unknown NVSP message " + std::to_string(message.type));
}

void Nic::nvsp_init(Channel& channel, const Packet& packet, const nvsp::Message& message)
{
	if (version_ != 0)
		return violation(channel, "second NVSP INIT");
	if (faults_.fire(Fault::kNoInitReply))
		return;
	uint32_t chosen = 0;
	if (!faults_.fire(Fault::kRefuseNvsp)) {
		for (uint32_t v : kVersions) {
			if (v <= settings_.nvsp && v >= message.init.min_version &&
			    v <= message.init.max_version) {
				chosen = v;
				break;
			}
		}
	}
	version_ = chosen;
	nvsp::Message answer{};
	answer.type = nvsp::kInitComplete;
	/* Newer versions are told by the success alone. */
	answer.init_complete.version = chosen == nvsp::kVersion1 ? chosen : nvsp::kVersionNone;
	answer.init_complete.max_mdl_chain_length = kMaxMdlChain;
	answer.init_complete.status = chosen ? nvsp::kStatusSuccess : nvsp::kStatusNone;
	if (chosen && faults_.fire(Fault::kUnrelatedBeforeReply)) {
		nvsp::Message vf{};
		vf.type = nvsp::kSendVfAssociation;
		send_nvsp(channel, vf);
	}
	/* The version counts from the next message on. */
	uint32_t size = nvsp::kSizeLegacy;
	if (faults_.fire(Fault::kShortInitReply))
		size = 8;
	send_completion(channel, packet.descriptor.transaction_id, &answer, size);
}

void Nic::nvsp_ndis_config(Channel& channel, const nvsp::Message& message)
{
	if (version_ < nvsp::kVersion2)
		return violation(channel, "NDIS_CONFIG with NVSP 1");
	if (receive_buffer_.attached())
		return violation(channel, "NDIS_CONFIG after the receive buffer");
	have_ndis_config_ = true;
	capabilities_ = message.ndis_config.capabilities;
	mtu_ = message.ndis_config.mtu;
	/* Hyper-V does not refuse what it does not like, it takes the usual size. */
	if (mtu_ > settings_.mtu + 14 || mtu_ < settings_.profile->min_mtu + 14)
		mtu_ = std::min(kMtuFallback, settings_.mtu + 14);
}

void Nic::nvsp_receive_buffer(Channel& channel, const Packet& packet, const nvsp::Message& message)
{
	if (receive_buffer_.attached())
		return violation(channel, "second receive buffer");
	if (version_ >= nvsp::kVersion2 && !have_ndis_config_)
		return violation(channel, "receive buffer before NDIS_CONFIG");
	if (faults_.fire(Fault::kNoRecvbufReply))
		return;
	if (faults_.fire(Fault::kUnrelatedBeforeReply)) {
		nvsp::Message vf{};
		vf.type = nvsp::kSendVfAssociation;
		send_nvsp(channel, vf);
	}
	nvsp::Message answer{};
	answer.type = nvsp::kSendReceiveBufferComplete;
	answer.receive_buffer_complete.status = nvsp::kStatusFailure;
	const Gpadl* gpadl = link_->gpadl(message.buffer.gpadl, channel.relid);
	const Profile& profile = *settings_.profile;
	if (gpadl && !faults_.fire(Fault::kRecvbufFail) &&
	    gpadl->size <= profile.max_receive_buffer &&
	    receive_buffer_.attach(gpadl->base, gpadl->size, profile.suballocation_size(mtu_))) {
		receive_gpadl_ = gpadl->id;
		receive_buffer_id_ = message.buffer.id;
		auto& section = answer.receive_buffer_complete.section;
		section.offset = 0;
		section.suballocation_size = receive_buffer_.suballocation_size();
		section.suballocation_count = receive_buffer_.count();
		section.end_offset = receive_buffer_.offset(receive_buffer_.count());
		answer.receive_buffer_complete.section_count = 1;
		answer.receive_buffer_complete.status = nvsp::kStatusSuccess;
	}
	send_completion(channel, packet.descriptor.transaction_id, &answer,
			nvsp::message_size(version_));
}

void Nic::nvsp_send_buffer(Channel& channel, const Packet& packet, const nvsp::Message& message)
{
	if (send_buffer_)
		return violation(channel, "second send buffer");
	if (faults_.fire(Fault::kUnrelatedBeforeReply)) {
		nvsp::Message vf{};
		vf.type = nvsp::kSendVfAssociation;
		send_nvsp(channel, vf);
	}
	nvsp::Message answer{};
	answer.type = nvsp::kSendSendBufferComplete;
	answer.send_buffer_complete.status = nvsp::kStatusFailure;
	const Gpadl* gpadl = link_->gpadl(message.buffer.gpadl, channel.relid);
	if (gpadl && !faults_.fire(Fault::kSendbufFail) && gpadl->size >= settings_.section_size) {
		send_gpadl_ = gpadl->id;
		send_buffer_ = gpadl->base;
		send_sections_ = uint32_t(std::min<uint64_t>(gpadl->size / settings_.section_size,
							     nvsp::kNoSection - 1));
		answer.send_buffer_complete.status = nvsp::kStatusSuccess;
		answer.send_buffer_complete.section_size = settings_.section_size;
	}
	send_completion(channel, packet.descriptor.transaction_id, &answer,
			nvsp::message_size(version_));
}

void Nic::nvsp_revoke(Channel& channel, const nvsp::Message& message, bool receive)
{
	if (receive) {
		if (!receive_buffer_.attached() || message.revoke.id != receive_buffer_id_)
			return violation(channel, "revokes a receive buffer that is not there");
		/* Frames that were announced stay announced: the guest must not complete them
		 * afterwards, as far as the order of one ring goes. */
		forget_frames();
		receive_buffer_.detach();
		receive_gpadl_ = 0;
	} else {
		if (!send_buffer_)
			return violation(channel, "revokes a send buffer that is not there");
		send_buffer_ = nullptr;
		send_sections_ = 0;
		send_gpadl_ = 0;
	}
}

void Nic::nvsp_subchannels(Channel& channel, const Packet& packet, const nvsp::Message& message)
{
	if (faults_.fire(Fault::kUnrelatedBeforeReply)) {
		nvsp::Message vf{};
		vf.type = nvsp::kSendVfAssociation;
		send_nvsp(channel, vf);
	}
	nvsp::Message answer{};
	answer.type = nvsp::kSubchannel;
	bool good = message.subchannel_request.operation == nvsp::kSubchannelAllocate &&
		    rndis_ready_ && channels_.size() == 1 &&
		    (settings_.profile->clamps_subchannels ||
		     message.subchannel_request.count < settings_.queues);
	uint32_t count =
		good ? std::min(message.subchannel_request.count, settings_.queues - 1) : 0;
	answer.subchannel_complete.status = good ? nvsp::kStatusSuccess : nvsp::kStatusFailure;
	answer.subchannel_complete.count = count;
	send_completion(channel, packet.descriptor.transaction_id, &answer,
			nvsp::message_size(version_));
	for (uint32_t i = 1; i <= count; i++) {
		channels_.push_back(std::make_unique<Channel>());
		channels_.back()->index = i;
		link_->offer(*this, i);
	}
}

/* Once every granted channel is open the guest is told to spread its transmissions over them. */
void Nic::send_indirection_table()
{
	Channel& primary = *channels_[0];
	if (table_sent_ || channels_.size() == 1 || !primary.open || primary.silent)
		return;
	for (const auto& channel : channels_)
		if (!channel->open)
			return;
	if (!primary.out.fits(256))
		return;
	nvsp::Message message{};
	message.type = nvsp::kSendIndirectionTable;
	message.indirection_table.count = nvsp::kSendTableEntries;
	message.indirection_table.offset = nvsp::message_size(version_);
	uint32_t table[nvsp::kSendTableEntries];
	for (uint32_t i = 0; i < nvsp::kSendTableEntries; i++)
		table[i] = i % uint32_t(channels_.size());
	send_nvsp(primary, message, table, sizeof(table));
	table_sent_ = true;
}

} // namespace netvsp
