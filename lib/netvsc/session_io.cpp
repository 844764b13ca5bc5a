/* SPDX-License-Identifier: BSD-3-Clause */
/* How a session's messages travel: packets out, completions, answers and indications in. */
#include <thread>

#include "session.hpp"

namespace netvsc {

using detail::read_u32;
using vmbus::kPageSize;

/* How long the application may leave frames in a full ring before an answer needs the room. */
static constexpr Milliseconds kPatience{50};
static constexpr uint32_t kMaxRequest = 2 * kPageSize;

/* Sections for control messages are behind those for frames: see Session::connect_buffers(). */
Session::ControlPlace Session::control_place(uint32_t number) const
{
	if (!config_.copies_only)
		return {device_.control_memory().data + size_t{number} * kMaxRequest, kMaxRequest};
	const uint32_t section = info_.section_count + number;
	return {device_.send_buffer().data + size_t{section} * info_.section_size,
		info_.section_size, section};
}

/* @return false: no room in the ring */
bool Session::try_send_packet(const void* packet, uint32_t length)
{
	Queue& queue = state_.queues[0];
	vmbus::RingWriter& ring = queue.channel->tx;
	queue.tx_lock.lock();
	const bool fits = ring.fits(length + vmbus::kFooterSize);
	bool signal = false;
	if (fits) {
		std::memcpy(ring.begin(length), packet, length);
		ring.end();
		signal = ring.publish();
	}
	queue.tx_lock.unlock();
	if (signal)
		queue.channel->doorbell.ring();
	return fits;
}

Error Session::send_packet(const void* packet, uint32_t length, const char* what)
{
	const auto deadline = std::chrono::steady_clock::now() + config_.timeout;
	while (!try_send_packet(packet, length)) {
		if (state_.queues[0].channel->tx.broken())
			return {EPROTO, "the host broke the ring"};
		if (device_.gone())
			return {ENODEV, "the host removed the device"};
		if (std::chrono::steady_clock::now() >= deadline)
			return {ETIMEDOUT,
				std::string("the host does not read the ring: no room for ") +
					what};
		state_.queues[0].rx.scan(false);
		take_messages();
		std::this_thread::sleep_for(std::chrono::microseconds(50));
	}
	return {};
}

/* `id` 0: the host is asked for no completion. */
Error Session::send_message(const nvsp::Message& message, uint64_t id)
{
	struct {
		vmbus::PacketDescriptor descriptor;
		uint8_t message[nvsp::kSize61];
	} packet{};
	/* Before a version is agreed, the longest form, as other guests do. */
	const uint32_t size =
		vmbus::align8(info_.nvsp_version != 0 ? message_size() : nvsp::kSize61);
	const uint32_t length = sizeof(packet.descriptor) + size;
	packet.descriptor = {static_cast<uint16_t>(vmbus::PacketType::kInband),
			     sizeof(packet.descriptor) / 8, static_cast<uint16_t>(length / 8),
			     static_cast<uint16_t>(id != 0 ? vmbus::kFlagCompletionRequested : 0),
			     id | kControlTransaction};
	std::memcpy(packet.message, &message, std::min<size_t>(size, sizeof(message)));
	return send_packet(&packet, length, "an NVSP message");
}

namespace {

/* RNDIS control travels by GPA-direct on every known guest; hosts are tested with that. Where there
 * are no addresses it travels as frames do, in a section: NVSP's SEND_RNDIS_PKT has both for either
 * channel type. */
struct RndisPacket {
	static constexpr uint32_t kMaxPages = 4;

	vmbus::PacketDescriptor descriptor{};
	uint64_t rest[2 + kMaxPages + nvsp::kSize61 / 8] = {}; /* ranges, then the NVSP message */
	uint32_t length = 0;

	/* @param section where the message is, or kNoSection: then at the address */
	RndisPacket(uint32_t section, uint64_t gpa, uint32_t bytes, uint32_t message_size,
		    uint64_t id)
	{
		if (section != nvsp::kNoSection) {
			finish(vmbus::PacketType::kInband, 0, section, bytes, message_size, id);
			return;
		}
		const uint32_t in_page = static_cast<uint32_t>(gpa % kPageSize);
		const uint32_t pages = (in_page + bytes + kPageSize - 1) / kPageSize;
		if (gpa == vmbus::kGpaUnknown || pages > kMaxPages)
			return;
		const vmbus::GpaDirectHeader header = {0, 1};
		const vmbus::GpaRange range = {bytes, in_page};
		std::memcpy(&rest[0], &header, sizeof(header));
		std::memcpy(&rest[1], &range, sizeof(range));
		for (uint32_t i = 0; i < pages; i++)
			rest[2 + i] = gpa / kPageSize + i;
		finish(vmbus::PacketType::kGpaDirect, 2 + pages, nvsp::kNoSection, 0, message_size,
		       id);
	}

      private:
	void finish(vmbus::PacketType type, uint32_t words, uint32_t section, uint32_t bytes,
		    uint32_t message_size, uint64_t id)
	{
		const uint32_t data_offset = sizeof(descriptor) + 8 * words;
		length = data_offset + vmbus::align8(message_size);
		descriptor = {static_cast<uint16_t>(type), static_cast<uint16_t>(data_offset / 8),
			      static_cast<uint16_t>(length / 8), vmbus::kFlagCompletionRequested,
			      id | kControlTransaction};
		const uint32_t message[4] = {nvsp::kSendRndisPacket, nvsp::kChannelControl, section,
					     bytes};
		std::memcpy(&rest[words], message, sizeof(message));
	}
};

} // namespace

Error Session::send_rndis(const ControlPlace& place, uint32_t length, uint64_t id)
{
	const RndisPacket packet(place.section, device_.gpa(place.data), length, message_size(),
				 id);
	if (packet.length == 0)
		return {EFAULT, "the control memory has no guest-physical address"};
	return send_packet(&packet, packet.length, "an RNDIS message");
}

namespace {

/* Whoever waits for an answer looks for messages, and need not be woken for them. */
class Attendance {
      public:
	Attendance(Session& session, Inbox& inbox) : session_(session), inbox_(inbox)
	{
		inbox_.attend(true);
	}
	~Attendance()
	{
		inbox_.attend(false);
		session_.take_messages();
	}

      private:
	Session& session_;
	Inbox& inbox_;
};

} // namespace

Error Session::wait(const char* what, const std::function<bool()>& done)
{
	const auto begin = std::chrono::steady_clock::now();
	const auto deadline = begin + config_.timeout;
	const Attendance attendance(*this, state_.inbox);
	for (uint32_t round = 0;; round++) {
		/* A ring full of frames that nobody receives has no room for the answer either. */
		state_.queues[0].rx.scan(std::chrono::steady_clock::now() - begin > kPatience);
		take_messages();
		{
			std::lock_guard lock(inbox_);
			if (done())
				return {};
		}
		if (device_.gone())
			return {ENODEV, std::string("the host removed the device during ") + what};
		if (state_.queues[0].rx.broken())
			return {EPROTO, std::string("the host broke the ring during ") + what};
		if (std::chrono::steady_clock::now() >= deadline)
			return {ETIMEDOUT, std::string("the host did not answer ") + what +
						   " within " +
						   std::to_string(config_.timeout.count()) + " ms"};
		std::this_thread::sleep_for(std::chrono::microseconds(round < 100 ? 20 : 500));
	}
}

Error Session::exchange(const char* what, const nvsp::Message& message, nvsp::Message& answer,
			uint32_t minimum)
{
	const uint64_t id = next_id_++;
	{
		std::lock_guard lock(inbox_);
		awaited_id_ = id;
		completed_ = false;
	}
	Error error = send_message(message, id);
	if (!error)
		error = wait(what, [this] { return completed_; });
	std::lock_guard lock(inbox_);
	awaited_id_ = 0;
	if (error)
		return error;
	if (completion_length_ < minimum)
		return {EPROTO, std::string("the host's answer to ") + what + " has only " +
					std::to_string(completion_length_) + " bytes"};
	if (message.type == nvsp::kSendReceiveBuffer && completion_length_ < nvsp::kSizeLegacy)
		return {EPROTO, std::string("the host's answer to ") + what + " is cut short"};
	answer = completion_;
	return {};
}

Error Session::exchange_rndis(const char* what, void* request, uint32_t length, uint32_t minimum)
{
	const ControlPlace place = control_place(kRequestPlace);
	if (length > place.size)
		return {EMSGSIZE, std::string(what) + ": " + std::to_string(length) +
					  " bytes do not fit a place of " +
					  std::to_string(place.size)};
	const uint32_t request_id = next_request_++;
	std::memcpy(static_cast<uint8_t*>(request) + sizeof(rndis::Header), &request_id, 4);
	std::memcpy(place.data, request, length);
	uint32_t type;
	std::memcpy(&type, request, sizeof(type));
	{
		std::lock_guard lock(inbox_);
		awaited_request_ = request_id;
		awaited_type_ = type | rndis::kComplete;
		answered_ = false;
	}
	Error error = send_rndis(place, length, next_id_++);
	if (!error)
		error = wait(what, [this] { return answered_; });
	std::lock_guard lock(inbox_);
	awaited_request_ = 0;
	if (error)
		return error;
	if (answer_.size() < minimum)
		return {EPROTO, std::string("the host's answer to ") + what + " has " +
					std::to_string(answer_.size()) + " bytes, not " +
					std::to_string(minimum)};
	return {};
}

static std::string oid_text(const char* what, uint32_t oid)
{
	char text[48];
	std::snprintf(text, sizeof(text), "RNDIS %s of OID 0x%08x", what, oid);
	return text;
}

Error Session::query(uint32_t oid, void* out, uint32_t& length, uint32_t minimum)
{
	std::lock_guard lock(control_);
	if (!connected_)
		return {ENOTCONN, oid_text("QUERY", oid) + ": the device is not connected"};
	return query_locked(oid, out, length, minimum);
}

Error Session::query_locked(uint32_t oid, void* out, uint32_t& length, uint32_t minimum,
			    const void* input)
{
	const std::string what = oid_text("QUERY", oid);
	struct {
		rndis::OidRequest request;
		uint8_t input[kMaxControl - sizeof(rndis::OidRequest)];
	} query{};
	query.request.hdr = {rndis::kQuery, static_cast<uint32_t>(sizeof(query.request)) + length};
	query.request.oid = oid;
	query.request.info_length = length;
	query.request.info_offset = sizeof(query.request) - rndis::kOffsetBase;
	if (length > sizeof(query.input))
		return {EINVAL, what + ": too long"};
	if (input != nullptr)
		std::memcpy(query.input, input, length);
	if (Error error = exchange_rndis(what.c_str(), &query, query.request.hdr.length,
					 sizeof(rndis::QueryComplete)))
		return error;
	rndis::QueryComplete complete;
	std::memcpy(&complete, answer_.data(), sizeof(complete));
	if (complete.status != rndis::kStatusSuccess)
		return {ENOTSUP,
			what + ": the host answered status " + std::to_string(complete.status)};
	const uint64_t begin = uint64_t{complete.info_offset} + rndis::kOffsetBase;
	if (complete.info_length < minimum || begin < sizeof(complete) ||
	    begin + complete.info_length > answer_.size())
		return {EPROTO, what + ": the host's answer has " +
					std::to_string(complete.info_length) +
					" bytes of data, or says they are where they are not"};
	length = std::min(length, complete.info_length);
	std::memcpy(out, answer_.data() + begin, length);
	return {};
}

Error Session::set(uint32_t oid, const void* data, uint32_t length)
{
	std::lock_guard lock(control_);
	const std::string what = oid_text("SET", oid);
	if (!connected_)
		return {ENOTCONN, what + ": the device is not connected"};
	std::vector<uint8_t> request(sizeof(rndis::OidRequest) + length);
	if (request.size() > kMaxRequest)
		return {EINVAL, what + ": too long"};
	rndis::OidRequest head{};
	head.hdr = {rndis::kSet, static_cast<uint32_t>(request.size())};
	head.oid = oid;
	head.info_length = length;
	head.info_offset = sizeof(head) - rndis::kOffsetBase;
	std::memcpy(request.data(), &head, sizeof(head));
	std::memcpy(request.data() + sizeof(head), data, length);
	if (Error error = exchange_rndis(what.c_str(), request.data(), head.hdr.length,
					 sizeof(rndis::StatusComplete)))
		return error;
	rndis::StatusComplete complete;
	std::memcpy(&complete, answer_.data(), sizeof(complete));
	if (complete.status != rndis::kStatusSuccess)
		return {EPROTO,
			what + ": the host answered status " + std::to_string(complete.status)};
	return {};
}

void Session::set_on_event(std::function<void(Event)> on_event)
{
	std::lock_guard lock(inbox_);
	on_event_ = std::move(on_event);
}

void Session::poll()
{
	{
		std::unique_lock lock(control_, std::try_to_lock);
		if (lock && connected_)
			state_.queues[0].rx.scan(false);
	}
	take_messages();
}

void Session::take_messages()
{
	std::vector<Event> events;
	std::function<void(Event)> on_event;
	{
		std::lock_guard lock(inbox_);
		if (!connected_)
			return;
		state_.inbox.pop_all([&](const Inbox::Entry& entry) {
			switch (entry.kind) {
			case Inbox::Kind::kCompletion:
				on_completion(entry);
				break;
			case Inbox::Kind::kMessage:
				on_message(entry);
				break;
			case Inbox::Kind::kRndis:
				on_rndis(entry);
				break;
			}
		});
		events = std::exchange(events_, {});
		on_event = on_event_;
	}
	if (on_event)
		for (const Event event : events)
			on_event(event);
}

void Session::on_completion(const Inbox::Entry& entry)
{
	if ((entry.id & ~kControlTransaction) != awaited_id_ || awaited_id_ == 0 || completed_)
		return; /* of an RNDIS request, or too late */
	completion_ = {};
	completion_length_ = std::min<uint32_t>(entry.length, sizeof(completion_));
	std::memcpy(&completion_, entry.data, completion_length_);
	completed_ = true;
}

/*
 * A host that takes a VF away says so twice: it has switched the data path back, and the VF is
 * gone. The first will do: from then on the guest has none until it is told of one. The host asks
 * for completions of both; Linux sends none, and hosts do without.
 */
void Session::on_message(const Inbox::Entry& entry)
{
	if (entry.length < 8)
		return;
	const uint32_t type = read_u32(entry.data);
	if (type == nvsp::kSendVfAssociation && entry.length >= 12)
		vf_ = {read_u32(entry.data + 4) != 0, read_u32(entry.data + 8), vf_.news + 1};
	else if (type == nvsp::kSwitchDataPath)
		vf_ = {false, vf_.serial, vf_.news + 1};
	else
		return;
	tell(Event::kVf);
}

void Session::on_rndis(const Inbox::Entry& entry)
{
	const uint8_t* message = entry.data;
	const uint32_t length = entry.length;
	if (length < sizeof(rndis::Header) + 4)
		return;
	const uint32_t type = read_u32(message);
	const uint32_t size = std::min(read_u32(message + 4), length);
	const uint32_t request_id = read_u32(message + 8);
	if (type == rndis::kIndicateStatus) {
		indication(message, size);
	} else if (type == rndis::kKeepalive) {
		answer_keepalive(request_id);
	} else {
		if (request_id != awaited_request_ || type != awaited_type_ || answered_ ||
		    size < sizeof(rndis::Header) + 4)
			return;
		answer_.assign(message, message + size);
		answered_ = true;
		link_indicated_ = false;
	}
}

void Session::indication(const uint8_t* message, uint32_t length)
{
	if (length < offsetof(rndis::IndicateStatus, buffer_length))
		return;
	const uint32_t status = read_u32(message + offsetof(rndis::IndicateStatus, status));
	const uint8_t* data = nullptr;
	uint32_t size = 0;
	if (length >= sizeof(rndis::IndicateStatus)) {
		const uint64_t at = uint64_t{read_u32(message + offsetof(rndis::IndicateStatus,
									 buffer_offset))} +
				    rndis::kOffsetBase;
		size = read_u32(message + offsetof(rndis::IndicateStatus, buffer_length));
		if (at + size > length)
			return;
		data = message + at;
	}
	switch (status) {
	case rndis::kStatusMediaConnect:
	case rndis::kStatusMediaDisconnect:
		link_up_.store(status == rndis::kStatusMediaConnect, std::memory_order_relaxed);
		link_indicated_ = true;
		break;
	case rndis::kStatusLinkSpeedChange:
		if (size < 4)
			return;
		speed_bps_.store(uint64_t{read_u32(data)} * 100, std::memory_order_relaxed);
		break;
	case rndis::kStatusNetworkChange:
		tell(Event::kNetwork);
		return;
	case rndis::kStatusOffloadConfig:
		offload_indication(data, size);
		return;
	default:
		return;
	}
	tell(Event::kLink);
}

/* Comes after each set_offload(), too, saying what was asked for. */
void Session::offload_indication(const uint8_t* data, uint32_t length)
{
	const OffloadCapabilities now = parse_offload_capabilities(data, length);
	if ((offload_.tx_checksum & ~now.tx_checksum) == 0 &&
	    (offload_.rx_checksum & ~now.rx_checksum) == 0 &&
	    (!offload_.lso4 || now.lso4_max != 0) && (!offload_.lso6 || now.lso6_max != 0) &&
	    (!offload_.rsc4 || now.rsc4) && (!offload_.rsc6 || now.rsc6))
		return;
	tell(Event::kOffload);
}

void Session::tend()
{
	{
		std::unique_lock lock(control_, std::try_to_lock);
		if (lock && connected_) {
			Rx& rx = state_.queues[0].rx;
			const uint32_t position = rx.position();
			if (position == tended_at_ && rx.maybe_nonempty())
				rx.scan(false);
			tended_at_ = position;
		}
	}
	take_messages();
}

/*
 * Called with inbox_ held: the answer must not wait. A host whose ring is full is busy with frames
 * of ours, which says what a keepalive asks.
 */
void Session::answer_keepalive(uint32_t request_id)
{
	const rndis::StatusComplete answer = {
		{rndis::kKeepalive | rndis::kComplete, sizeof(answer)}, request_id, 0};
	const ControlPlace place = control_place(kKeepalivePlace);
	std::memcpy(place.data, &answer, sizeof(answer));
	const RndisPacket packet(place.section, device_.gpa(place.data), sizeof(answer),
				 message_size(), 0);
	if (packet.length != 0)
		(void)try_send_packet(&packet, packet.length);
}

} // namespace netvsc
