/* SPDX-License-Identifier: BSD-3-Clause */
#include "session.hpp"

namespace netvsc {

/* Guests announce NDIS 6.30; up to NVSP 4 it is 6.1. */
static constexpr uint32_t kNdisVersion = ndis::kVersion630;
static constexpr uint32_t kNdisVersionOld = ndis::kVersion61;

/* How long a host may keep the ring full when it is told goodbye. */
static constexpr Milliseconds kGoodbye{1000};

/* Hosts of NVSP 1 and 2 take no more (Linux hyperv_net.h, FreeBSD hn_nvs.c). */
static constexpr size_t kOldReceiveBuffer = size_t{15} << 20;

/* What Linux and FreeBSD send in RNDIS INITIALIZE. */
static constexpr uint32_t kMaxTransfer = 0x4000;

Session::Session(vmbus::Device& device)
	: device_(device),
	  own_state_(std::make_unique<SessionState>()),
	  state_(*own_state_),
	  memory_(*std::pmr::new_delete_resource())
{
	answer_.reserve(kMaxControl);
	device_.set_channel_place([this](uint16_t index) -> vmbus::Channel& {
		return queue(index % nvsp::kMaxChannels).place;
	});
}

Session::Session(vmbus::Device& device, SessionState& state, std::pmr::memory_resource& memory)
	: device_(device), state_(state), memory_(memory)
{
	answer_.reserve(kMaxControl);
	device_.set_channel_place([this](uint16_t index) -> vmbus::Channel& {
		return queue(index % nvsp::kMaxChannels).place;
	});
}

Session::~Session()
{
	disconnect();
	for (Queue& queue : state_.queues)
		if (queue.idle())
			queue.make_tx();
	device_.set_channel_place(nullptr);
}

Error Session::open_queue(uint32_t index, vmbus::Channel& channel)
{
	Queue& queue = state_.queues[index];
	if (!queue.idle())
		return {EBUSY, "a process of an earlier session does not come out of a burst"};
	try {
		queue.make_rx(channel, queue.rx_lock, queue.tx_lock,
			      index == 0 ? &state_.inbox : nullptr, &memory_);
	} catch (const std::bad_alloc&) {
		queue.make_rx();
		return {ENOMEM, "no memory for a receive pipeline"};
	}
	queue.channel = &channel;
	queue_count_ = index + 1;
	return {};
}

/* Transmit pipelines stay as they are: their owner asks them for what they still have. */
void Session::close_queues()
{
	for (; queue_count_ != 0; queue_count_--) {
		Queue& queue = state_.queues[queue_count_ - 1];
		if (queue.idle()) /* else it is left to who is in it, for good */
			queue.make_rx();
		queue.channel = nullptr;
	}
}

Error Session::connect(const SessionConfig& config)
{
	std::lock_guard lock(control_);
	config_ = config;
	info_ = {};
	rss_enabled_ = false;
	{
		std::lock_guard inbox(inbox_);
		vf_ = {false, 0, vf_.news + 1}; /* the host tells anew */
	}
	offload_ = {};
	if (Error error = device_.open(config.timeout))
		return error;
	Error error = open_queue(0, device_.primary());
	connected_ = !error;
	if (!error)
		error = negotiate();
	if (error)
		end();
	return error;
}

void Session::disconnect()
{
	std::lock_guard lock(control_);
	if (!connected_)
		return;
	/* The host is told what it must forget; whether it listens makes no difference here. */
	config_.timeout = std::min(config_.timeout, kGoodbye);
	if (!device_.gone()) {
		if (initialized_) {
			rndis::HaltRequest halt{{rndis::kHalt, sizeof(halt)}, next_request_++};
			const ControlPlace place = control_place(kRequestPlace);
			std::memcpy(place.data, &halt, sizeof(halt));
			(void)send_rndis(place, sizeof(halt), next_id_++).code;
		}
		nvsp::Message revoke{};
		revoke.type = nvsp::kRevokeReceiveBuffer;
		revoke.revoke.id = nvsp::kReceiveBufferId;
		(void)send_message(revoke, 0).code;
		revoke.type = nvsp::kRevokeSendBuffer;
		revoke.revoke.id = nvsp::kSendBufferId;
		(void)send_message(revoke, 0).code;
	}
	end();
}

void Session::end()
{
	{
		std::lock_guard lock(inbox_);
		connected_ = false;
		state_.inbox.pop_all([](const Inbox::Entry&) {});
	}
	initialized_ = false;
	close_queues();
	device_.close();
}

Error Session::negotiate()
{
	if (Error error = negotiate_version())
		return error;
	if (Error error = connect_buffers())
		return error;
	if (Error error = initialize_rndis())
		return error;
	if (Error error = query_identity())
		return error;
	if (Error error = query_rss())
		return error;
	return query_offload();
}

Error Session::negotiate_version()
{
	static constexpr uint32_t kVersions[] = {nvsp::kVersion61, nvsp::kVersion6,
						 nvsp::kVersion5,  nvsp::kVersion4,
						 nvsp::kVersion2,  nvsp::kVersion1};
	for (uint32_t version : kVersions) {
		if (version > config_.max_nvsp)
			continue;
		nvsp::Message init{};
		init.type = nvsp::kInit;
		init.init = {version, version};
		nvsp::Message answer;
		if (Error error = exchange("NVSP INIT", init, answer))
			return error;
		if (answer.type != nvsp::kInitComplete)
			return {EPROTO, "the host answered NVSP INIT with message type " +
						std::to_string(answer.type)};
		if (answer.init_complete.status == nvsp::kStatusSuccess) {
			info_.nvsp_version = version;
			break;
		}
	}
	if (info_.nvsp_version == 0)
		return {EPROTONOSUPPORT, "the host refused every NVSP version from 1 to 6.1"};

	if (info_.nvsp_version >= nvsp::kVersion2) {
		nvsp::Message config{};
		config.type = nvsp::kSendNdisConfig;
		config.ndis_config.mtu = config_.mtu + kEthernetHeader;
		config.ndis_config.capabilities = nvsp::kCap8021q;
		/* As Linux: hosts of NVSP 4 could tell of a VF, but no guest asks them to. */
		if (info_.nvsp_version >= nvsp::kVersion5)
			config.ndis_config.capabilities |= nvsp::kCapSriov;
		if (info_.nvsp_version >= nvsp::kVersion61)
			config.ndis_config.capabilities |= nvsp::kCapRsc;
		if (Error error = send_message(config, 0))
			return error;
	}
	const uint32_t version =
		info_.nvsp_version <= nvsp::kVersion4 ? kNdisVersionOld : kNdisVersion;
	info_.ndis_major = ndis::version_major(version);
	info_.ndis_minor = ndis::version_minor(version);
	nvsp::Message message{};
	message.type = nvsp::kSendNdisVersion;
	message.ndis_version = {info_.ndis_major, info_.ndis_minor};
	return send_message(message, 0);
}

Error Session::connect_buffers()
{
	if (info_.nvsp_version <= nvsp::kVersion2) {
		/* Where it cannot be smaller, the host may take it all the same. */
		const Error error = device_.limit_receive_buffer(kOldReceiveBuffer);
		if (error && error.code != ENOTSUP)
			return error;
	}
	nvsp::Message answer;
	nvsp::Message receive{};
	receive.type = nvsp::kSendReceiveBuffer;
	receive.buffer = {device_.receive_buffer().gpadl, nvsp::kReceiveBufferId, 0};
	if (Error error = exchange("SEND_RECEIVE_BUFFER", receive, answer))
		return error;
	const nvsp::ReceiveBufferComplete& r = answer.receive_buffer_complete;
	if (answer.type != nvsp::kSendReceiveBufferComplete || r.status != nvsp::kStatusSuccess)
		return {EPROTO, "the host refused the receive buffer (status " +
					std::to_string(r.status) + ")"};
	const uint64_t end = r.section.offset +
			     uint64_t{r.section.suballocation_size} * r.section.suballocation_count;
	if (r.section_count < 1 || r.section.suballocation_count == 0 ||
	    end > device_.receive_buffer().size || end <= r.section.offset)
		return {EPROTO, "the host's layout of the receive buffer does not fit the buffer"};
	info_.receive_begin = r.section.offset;
	info_.receive_end = static_cast<uint32_t>(end);
	info_.receive_suballocations = r.section.suballocation_count;
	/* Control answers come through the receive buffer, too: before any queue is set up. */
	state_.queues[0].rx.configure({device_.receive_buffer().data, info_.receive_begin,
				       info_.receive_end, 0, device_.receive_buffer().keep});

	nvsp::Message send{};
	send.type = nvsp::kSendSendBuffer;
	send.buffer = {device_.send_buffer().gpadl, nvsp::kSendBufferId, 0};
	if (Error error = exchange("SEND_SEND_BUFFER", send, answer))
		return error;
	const nvsp::SendBufferComplete& s = answer.send_buffer_complete;
	if (answer.type != nvsp::kSendSendBufferComplete || s.status != nvsp::kStatusSuccess)
		return {EPROTO, "the host refused the send buffer (status " +
					std::to_string(s.status) + ")"};
	if (s.section_size < 64 || s.section_size > device_.send_buffer().size)
		return {EPROTO, "the host's send section size of " +
					std::to_string(s.section_size) + " bytes is impossible"};
	info_.section_size = s.section_size;
	info_.section_count = static_cast<uint32_t>(device_.send_buffer().size / s.section_size);
	if (!config_.copies_only)
		return {};
	if (info_.section_count <= kControlPlaces)
		return {ENOTSUP, "the send buffer has no section for frames"};
	info_.section_count -= kControlPlaces;
	return {};
}

Error Session::initialize_rndis()
{
	rndis::InitializeRequest request{};
	request.hdr = {rndis::kInitialize, sizeof(request)};
	request.major = rndis::kVersionMajor;
	request.minor = rndis::kVersionMinor;
	request.max_transfer_size = kMaxTransfer;
	if (Error error = exchange_rndis("RNDIS INITIALIZE", &request, sizeof(request),
					 offsetof(rndis::InitializeComplete, af_list_offset)))
		return error;
	rndis::InitializeComplete c{};
	std::memcpy(&c, answer_.data(), std::min(sizeof(c), answer_.size()));
	if (c.status != rndis::kStatusSuccess)
		return {EPROTO, "the host refused RNDIS INITIALIZE"};
	if (c.packet_alignment_factor > 12)
		return {EPROTO, "the host wants RNDIS messages aligned to 2^" +
					std::to_string(c.packet_alignment_factor) + " bytes"};
	initialized_ = true;
	info_.max_frames_per_packet = std::max(c.max_packets_per_message, 1u);
	info_.max_transfer = c.max_transfer_size;
	info_.alignment = std::max(1u << c.packet_alignment_factor, 4u);
	if (info_.nvsp_version < nvsp::kVersion2)
		info_.max_mtu = 1500;
	if (config_.copies_only) {
		const uint32_t longest = Tx::longest_copy(info_.section_size, info_.alignment);
		const uint32_t around = kEthernetHeader + kVlanTag;
		info_.max_mtu = std::min(info_.max_mtu, longest - std::min(longest, around));
	}
	return {};
}

Error Session::query_mac()
{
	uint32_t length = 6;
	if (!query_locked(rndis::kOidCurrentAddress, info_.mac.data(), length, 6))
		return {};
	length = 6;
	return query_locked(rndis::kOidPermanentAddress, info_.mac.data(), length, 6);
}

Error Session::query_identity()
{
	if (Error error = query_mac())
		return error;
	uint32_t mtu = 0;
	uint32_t length = sizeof(mtu);
	if (Error error = query_locked(rndis::kOidMaximumFrameSize, &mtu, length, sizeof(mtu)))
		return error;
	/* A host that did not like the MTU asked for falls back silently, to 1500 mostly. */
	info_.mtu = std::min(mtu, info_.nvsp_version >= nvsp::kVersion2 ? config_.mtu : 1500u);
	if (info_.mtu > info_.max_mtu)
		return {ENOTSUP, "frames of an MTU of " + std::to_string(info_.mtu) +
					 " bytes do not fit the host's send sections of " +
					 std::to_string(info_.section_size) +
					 ", and it can be told no address of others"};
	if (info_.mtu < kMinMtu)
		return {EPROTO, "the host grants an MTU of " + std::to_string(mtu) + " bytes"};
	return query_link_locked();
}

/* A host that has no answer to this has one channel. */
Error Session::query_rss()
{
	if (info_.nvsp_version < nvsp::kVersion5)
		return {};
	std::vector<uint8_t> capabilities = rss_capabilities_request();
	uint32_t length = static_cast<uint32_t>(capabilities.size());
	const Error error =
		query_locked(rndis::kOidReceiveScaleCapabilities, capabilities.data(), length, 0);
	if (error.code == ENOTSUP)
		return {};
	if (!error)
		info_.rss = parse_rss_capabilities(capabilities.data(), length);
	info_.rss.queues = std::min(info_.rss.queues, nvsp::kMaxChannels);
	return error;
}

/* A host that has no answer to this has no offloads. */
Error Session::query_offload()
{
	const std::vector<uint8_t> request = offload_capabilities_request(info_.nvsp_version);
	std::vector<uint8_t> answer(request.size());
	uint32_t length = static_cast<uint32_t>(request.size());
	const Error error = query_locked(rndis::kOidOffloadCapabilities, answer.data(), length, 0,
					 request.data());
	if (error.code == ENOTSUP)
		return {};
	if (!error)
		info_.offload = parse_offload_capabilities(answer.data(), length);
	if (config_.copies_only) /* large sends fit no section */
		info_.offload.lso4_max = info_.offload.lso6_max = 0;
	return error;
}

Error Session::query_link()
{
	std::lock_guard lock(control_);
	if (!connected_)
		return {ENOTCONN, "the device is not connected"};
	return query_link_locked();
}

Error Session::query_link_locked()
{
	uint32_t value = 0;
	uint32_t length = sizeof(value);
	if (Error error =
		    query_locked(rndis::kOidMediaConnectStatus, &value, length, sizeof(value)))
		return error;
	{
		/* An indication that came behind the answer is the newer of the two. */
		std::lock_guard lock(inbox_);
		if (!link_indicated_)
			link_up_.store(value == rndis::kMediaConnected, std::memory_order_relaxed);
	}
	length = sizeof(value);
	if (Error error = query_locked(rndis::kOidLinkSpeed, &value, length, sizeof(value)))
		return error;
	speed_bps_.store(uint64_t{value} * 100, std::memory_order_relaxed);
	return {};
}

Error Session::open_queues(uint32_t count)
{
	std::unique_lock lock(control_);
	if (!connected_)
		return {ENOTCONN, "the device is not connected"};
	if (count > nvsp::kMaxChannels)
		return {EINVAL, "at most 64 channels"};
	if (count <= queue_count())
		return {};
	if (info_.nvsp_version < nvsp::kVersion5)
		return {ENOTSUP, "the host speaks no NVSP that has subchannels (5 and newer)"};
	nvsp::Message request{};
	request.type = nvsp::kSubchannel;
	request.subchannel_request = {nvsp::kSubchannelAllocate, count - queue_count()};
	nvsp::Message answer;
	if (Error error = exchange("NVSP SUBCHANNEL", request, answer))
		return error;
	if (answer.type != nvsp::kSubchannel ||
	    answer.subchannel_complete.status != nvsp::kStatusSuccess)
		return {ENOTSUP, "the host grants no subchannels"};
	const uint32_t granted = std::min(answer.subchannel_complete.count, count - queue_count());
	const uint32_t have = queue_count();
	for (uint32_t i = 0; i < granted; i++) {
		vmbus::Channel* channel = nullptr;
		if (Error error = device_.open_subchannel(static_cast<uint16_t>(have + i),
							  config_.timeout, channel))
			return error;
		if (Error error = open_queue(have + i, *channel))
			return error;
	}
	return {};
}

Error Session::set_rss(const RssConfig& config)
{
	if (config.hash_types != 0) {
		if (info_.rss.table_size == 0)
			return {ENOTSUP, "the host has no receive side scaling"};
		if (config.table.size() != info_.rss.table_size)
			return {EINVAL, "the host's indirection table has " +
						std::to_string(info_.rss.table_size) + " entries"};
		if ((config.hash_types & ~info_.rss.hash_types) != 0)
			return {EINVAL, "the host cannot hash all of these headers"};
		for (const uint16_t channel : config.table)
			if (channel >= queue_count())
				return {EINVAL, "the indirection table names channel " +
							std::to_string(channel) +
							", which is not open"};
	}
	/* Hosts want it off before its key or its table may change. */
	if (rss_enabled_) {
		const std::vector<uint8_t> off = rss_parameters({});
		if (Error error = set(rndis::kOidReceiveScaleParameters, off.data(),
				      static_cast<uint32_t>(off.size())))
			return error;
		rss_enabled_ = false;
	}
	if (config.hash_types == 0)
		return {};
	const std::vector<uint8_t> on = rss_parameters(config);
	Error error =
		set(rndis::kOidReceiveScaleParameters, on.data(), static_cast<uint32_t>(on.size()));
	rss_enabled_ = !error;
	return error;
}

Error Session::set_offload(const OffloadConfig& config)
{
	if (info_.offload == OffloadCapabilities{})
		return {};
	const std::vector<uint8_t> parameters = offload_parameters(config, info_.nvsp_version);
	{
		/* The host indicates the change, maybe before its answer is looked at. */
		std::lock_guard lock(inbox_);
		offload_ = {};
	}
	if (Error error = set(rndis::kOidOffloadParameters, parameters.data(),
			      static_cast<uint32_t>(parameters.size())))
		return error;
	std::lock_guard lock(inbox_);
	offload_ = config;
	return {};
}

Error Session::set_mac(const std::array<uint8_t, 6>& mac)
{
	static constexpr char16_t kName[] = u"NetworkAddress";
	static constexpr char kDigits[] = "0123456789ABCDEF";
	struct {
		ndis::ConfigParameter parameter;
		char16_t name[std::size(kName) - 1];
		char16_t value[12];
	} data{};
	static_assert(sizeof(data) == 20 + 28 + 24);
	data.parameter = {offsetof(decltype(data), name), sizeof(data.name), ndis::kParameterString,
			  offsetof(decltype(data), value), sizeof(data.value)};
	std::memcpy(data.name, kName, sizeof(data.name));
	for (size_t i = 0; i < mac.size(); i++) {
		data.value[2 * i] = static_cast<char16_t>(kDigits[mac[i] >> 4]);
		data.value[2 * i + 1] = static_cast<char16_t>(kDigits[mac[i] & 15]);
	}
	if (Error error = set(rndis::kOidConfigParameter, &data, sizeof(data)))
		return error;
	/* Some hosts take it and go on with the old one. */
	std::lock_guard lock(control_);
	if (Error error = query_mac())
		return error;
	return info_.mac == mac ? Error{} : Error{EPERM, "the host keeps its own MAC address"};
}

/* The completion says that it is done, and nothing else: it may be empty (Linux, netvsc.c). */
Error Session::switch_data_path(bool to_vf)
{
	std::lock_guard lock(control_);
	if (!connected_)
		return {ENOTCONN, "the device is not connected"};
	if (info_.nvsp_version < nvsp::kVersion5)
		return {ENOTSUP, "the host was not asked for virtual functions"};
	nvsp::Message message{};
	message.type = nvsp::kSwitchDataPath;
	message.data_path.active = to_vf ? nvsp::kDataPathVf : nvsp::kDataPathSynthetic;
	nvsp::Message answer;
	const Milliseconds usual = config_.timeout;
	config_.timeout = std::min(usual, kDataPathTimeout);
	Error error = exchange("NVSP SWITCH_DATA_PATH", message, answer, 0);
	config_.timeout = usual;
	return error;
}

Error Session::set_packet_filter(uint32_t filter)
{
	return set(rndis::kOidCurrentPacketFilter, &filter, sizeof(filter));
}

} // namespace netvsc
