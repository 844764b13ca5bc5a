/* SPDX-License-Identifier: BSD-3-Clause */
/** RNDIS requests and frames of a Session. */
#include "session.hpp"

#include <algorithm>
#include <chrono>

namespace check {

std::vector<uint8_t> Session::request(std::vector<uint8_t> message, const char* name)
{
	const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout());
	const uint32_t id = next_request_++;
	uint32_t type;
	memcpy(&type, message.data(), sizeof(type));
	memcpy(message.data() + 8, &id, sizeof(id));
	require(answers.empty(),
		format("RNDIS: an answer that nobody asked for came before %s", name),
		kRndisSection);
	const uint64_t transaction =
		gpa_packet(message, nvsp::kChannelControl, kScratchAt, channel);
	channel.publish();
	/* Hosts send the completion before the answer or behind it. */
	const Packet packet = completion(transaction, name);
	require(packet.u32(0) == nvsp::kSendRndisPacketComplete &&
			packet.u32(4) == nvsp::kStatusSuccess,
		format("completion of %s: NVSP message %u, status %u, must be 108 and 1", name,
		       packet.u32(0), packet.u32(4)),
		kNvspSection);
	while (answers.empty()) {
		const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
			until - std::chrono::steady_clock::now());
		require((take_one(std::max(0, int(left.count()))) && left.count() > 0) ||
				!answers.empty(),
			format("%s: completed, but not answered within %d ms", name, timeout()),
			kRndisSection);
	}
	std::vector<uint8_t> answer = std::move(answers.front());
	answers.erase(answers.begin());
	uint32_t answer_type, answer_id = 0;
	memcpy(&answer_type, answer.data(), 4);
	require(answer_type == (type | rndis::kComplete),
		format("answer of %s: type %#x, must be %#x", name, answer_type,
		       type | rndis::kComplete),
		kRndisSection);
	require(answer.size() >= sizeof(rndis::StatusComplete),
		format("answer of %s: %zu bytes, must be at least 16", name, answer.size()),
		kRndisSection);
	memcpy(&answer_id, answer.data() + 8, 4);
	require(answer_id == id,
		format("answer of %s: request_id %u, must be the request's %u", name, answer_id,
		       id),
		kRndisSection);
	return answer;
}

void Session::rndis_initialize()
{
	rndis::InitializeRequest r{};
	r.hdr = {rndis::kInitialize, sizeof(r)};
	r.major = rndis::kVersionMajor;
	r.minor = rndis::kVersionMinor;
	r.max_transfer_size = 0x4000;
	std::vector<uint8_t> message(sizeof(r));
	memcpy(message.data(), &r, sizeof(r));
	const auto a = request(message, "INITIALIZE");
	rndis::InitializeComplete c{};
	require(a.size() >= sizeof(c),
		format("INITIALIZE_CMPLT: %zu bytes, must be %zu", a.size(), sizeof(c)),
		kRndisSection);
	memcpy(&c, a.data(), sizeof(c));
	require(c.status == rndis::kStatusSuccess,
		format("INITIALIZE_CMPLT: status %#x, must be 0", c.status), kRndisSection);
	require(c.major == 1 && c.medium == rndis::kMedium8023,
		format("INITIALIZE_CMPLT: major version %u, medium %u, must be 1 and 0", c.major,
		       c.medium),
		kRndisSection);
	require(c.max_packets_per_message >= 1 && c.packet_alignment_factor < 32,
		format("INITIALIZE_CMPLT: max_packets_per_message %u, packet_alignment_factor %u, "
		       "must be 1 or more, and below 32",
		       c.max_packets_per_message, c.packet_alignment_factor),
		kRndisSection);
}

uint32_t Session::query(uint32_t oid, std::vector<uint8_t>& info)
{
	rndis::OidRequest r{};
	r.hdr = {rndis::kQuery, sizeof(r)};
	r.oid = oid;
	r.info_offset = sizeof(r) - rndis::kOffsetBase;
	std::vector<uint8_t> message(sizeof(r));
	memcpy(message.data(), &r, sizeof(r));
	const std::string name = format("QUERY of OID %#x", oid);
	const auto a = request(message, name.c_str());
	rndis::QueryComplete c{};
	require(a.size() >= sizeof(c),
		format("QUERY_CMPLT of OID %#x: %zu bytes, must be at least %zu", oid, a.size(),
		       sizeof(c)),
		kRndisSection);
	memcpy(&c, a.data(), sizeof(c));
	info.clear();
	if (c.status != rndis::kStatusSuccess)
		return c.status;
	const uint64_t at = uint64_t(c.info_offset) + rndis::kOffsetBase;
	require(c.info_length == 0 || (at >= sizeof(c) && at + c.info_length <= a.size()),
		format("QUERY_CMPLT of OID %#x: info_offset %u, info_length %u, must lie "
		       "between 24 and its end at %zu",
		       oid, c.info_offset, c.info_length, a.size()),
		kRndisSection);
	info.assign(a.begin() + ptrdiff_t(at), a.begin() + ptrdiff_t(at + c.info_length));
	return c.status;
}

uint32_t Session::query_u32(uint32_t oid, const char* name)
{
	std::vector<uint8_t> info;
	const uint32_t status = query(oid, info);
	require(status == rndis::kStatusSuccess && info.size() == 4,
		format("QUERY_CMPLT of %s: status %#x, %zu bytes, must be 0 and 4", name, status,
		       info.size()),
		kRndisSection);
	uint32_t value;
	memcpy(&value, info.data(), sizeof(value));
	return value;
}

uint32_t Session::set(uint32_t oid, const void* info, size_t size)
{
	rndis::OidRequest r{};
	r.hdr = {rndis::kSet, uint32_t(sizeof(r) + size)};
	r.oid = oid;
	r.info_length = uint32_t(size);
	r.info_offset = sizeof(r) - rndis::kOffsetBase;
	std::vector<uint8_t> message(sizeof(r) + size);
	memcpy(message.data(), &r, sizeof(r));
	memcpy(message.data() + sizeof(r), info, size);
	const std::string name = format("SET of OID %#x", oid);
	const auto a = request(message, name.c_str());
	rndis::StatusComplete c{};
	memcpy(&c, a.data(), sizeof(c)); /* request() checked the size */
	return c.status;
}

void Session::halt()
{
	const rndis::HaltRequest r{{rndis::kHalt, sizeof(r)}, next_request_++};
	std::vector<uint8_t> message(sizeof(r));
	memcpy(message.data(), &r, sizeof(r));
	const uint64_t id = gpa_packet(message, nvsp::kChannelControl, kScratchAt, channel);
	channel.publish();
	completion(id, "HALT");
}

std::vector<uint8_t> Session::frame_message()
{
	uint8_t frame[60] = {};
	memset(frame, 0xff, 6); /* to everybody, from a local address, of an experimental type */
	frame[6] = 0x02;
	frame[12] = 0x88;
	frame[13] = 0xb5;
	rndis::PacketMessage p{};
	p.hdr = {rndis::kPacket, uint32_t(sizeof(p) + sizeof(frame))};
	p.data_offset = sizeof(p) - rndis::kOffsetBase;
	p.data_length = sizeof(frame);
	std::vector<uint8_t> message(p.hdr.length);
	memcpy(message.data(), &p, sizeof(p));
	memcpy(message.data() + sizeof(p), frame, sizeof(frame));
	return message;
}

std::vector<uint64_t> Session::transmit(uint32_t count, Channel* on, uint64_t room_for_signal)
{
	Channel& c = on ? *on : channel;
	std::vector<uint64_t> ids;
	for (uint32_t i = 0; i < count; i++)
		ids.push_back(gpa_packet(frame_message(), nvsp::kChannelData,
					 kScratchAt + vmbus::kPageSize, c));
	__atomic_store_n(&c.to_host().pending_send_size, uint32_t(room_for_signal),
			 __ATOMIC_SEQ_CST);
	c.publish();
	return ids;
}

void Session::transmitted(const std::vector<uint64_t>& ids, Channel* on)
{
	const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout());
	for (const uint64_t id : ids) {
		while (done_.count(id) == 0) {
			const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
				until - std::chrono::steady_clock::now());
			require((take_one(std::max(0, int(left.count())), on) &&
				 left.count() > 0) ||
					done_.count(id) != 0,
				format("SEND_RNDIS_PKT: a frame was not completed within %d ms",
				       timeout()),
				kNvspSection);
		}
		const Packet packet = std::move(done_.extract(id).mapped());
		require(packet.u32(0) == nvsp::kSendRndisPacketComplete &&
				packet.u32(4) == nvsp::kStatusSuccess,
			format("completion of a frame: NVSP message %u, status %u, must be 108 "
			       "and 1",
			       packet.u32(0), packet.u32(4)),
			kNvspSection);
	}
}

uint64_t Session::send_section(uint32_t section, const std::vector<uint8_t>& message)
{
	memcpy(guest.memory() + kSendAt, message.data(), message.size());
	nvsp::Message m{};
	m.type = nvsp::kSendRndisPacket;
	m.rndis = {nvsp::kChannelData, section, uint32_t(message.size())};
	return send(m, true);
}

} // namespace check
