/* SPDX-License-Identifier: BSD-3-Clause */
#include "session.hpp"

#include <algorithm>
#include <chrono>

namespace check {

namespace {

using Clock = std::chrono::steady_clock;

int left_until(Clock::time_point until)
{
	return std::max(
		0, int(std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now())
			       .count()));
}

unsigned long long ull(uint64_t value)
{
	return value;
}

} // namespace

const vu::OfferChannel& Session::find(Guest& guest, bool monitor)
{
	guest.request_offers(monitor);
	return guest.nic();
}

Session::Session(Run& run, const Rings& rings, bool monitor)
	: guest(run), offer(find(guest, monitor)), channel(guest, offer.relid, rings)
{
}

uint64_t Session::send(const nvsp::Message& message, bool wants_completion)
{
	const uint64_t id = next_id_++;
	/* INIT goes in the size that every host knows. */
	channel.write(vmbus::PacketType::kInband, wants_completion, id, nullptr, 0, &message,
		      nvsp::message_size(version));
	if (wants_completion)
		open_.insert(id);
	channel.publish();
	return id;
}

bool Session::take_one(int timeout_ms, Channel* on)
{
	Channel& c = on ? *on : channel;
	Packet packet;
	if (!c.receive(packet, timeout_ms))
		return false;
	const uint64_t id = packet.d.transaction_id;
	if (packet.is(vmbus::PacketType::kCompletion)) {
		require(open_.erase(id) == 1,
			format("completion packet: transaction_id %#llx, which is not under way: "
			       "it was never sent, asked for no completion, or was completed",
			       ull(id)),
			"Packets");
		done_[id] = packet;
	} else if (packet.is(vmbus::PacketType::kTransferPages)) {
		took_transfer_pages(packet, c);
	} else {
		const uint32_t type = packet.u32(0);
		require(type == nvsp::kSendVfAssociation || type == nvsp::kSendIndirectionTable,
			format("in-band packet: NVSP message %u, must be 128 or 134 from a host",
			       type),
			kNvspSection);
		if (packet.d.flags & vmbus::kFlagCompletionRequested) {
			c.write(vmbus::PacketType::kCompletion, false, id, nullptr, 0, nullptr, 0);
			c.publish();
		}
	}
	return true;
}

Packet Session::completion(uint64_t id, const char* what)
{
	const auto until = Clock::now() + std::chrono::milliseconds(timeout());
	while (done_.count(id) == 0)
		require((take_one(left_until(until)) && Clock::now() < until) ||
				done_.count(id) != 0,
			format("%s: no completion of it within %d ms", what, timeout()),
			kNvspSection);
	return std::move(done_.extract(id).mapped());
}

nvsp::Message Session::answer(const nvsp::Message& message, uint32_t type, size_t body,
			      const char* request, const char* name)
{
	const Packet packet = completion(send(message, true), request);
	require(packet.payload.size() >= 4 + body,
		format("%s: %zu bytes, must be at least %zu", name, packet.payload.size(),
		       4 + body),
		kNvspSection);
	nvsp::Message out{};
	memcpy(&out, packet.payload.data(), std::min(packet.payload.size(), sizeof(out)));
	require(out.type == type, format("%s: type %u, must be %u", name, out.type, type),
		kNvspSection);
	return out;
}

nvsp::InitComplete Session::try_init(uint32_t least, uint32_t most)
{
	nvsp::Message m{};
	m.type = nvsp::kInit;
	m.init = {least, most};
	return answer(m, nvsp::kInitComplete, sizeof(nvsp::InitComplete), "INIT", "INIT_COMPLETE")
		.init_complete;
}

void Session::init()
{
	for (const uint32_t v : {nvsp::kVersion61, nvsp::kVersion6, nvsp::kVersion5,
				 nvsp::kVersion4, nvsp::kVersion2, nvsp::kVersion1}) {
		const nvsp::InitComplete c = try_init(v, v);
		if (c.status == nvsp::kStatusSuccess) {
			version = v;
			return;
		}
		require(v != nvsp::kVersion1,
			format("INIT_COMPLETE: status %u for every version from 0x60001 to 2, must "
			       "be 1 for one",
			       c.status),
			kNvspSection);
	}
}

void Session::ndis(bool wants_completion)
{
	nvsp::Message m{};
	if (version >= nvsp::kVersion2) {
		m.type = nvsp::kSendNdisConfig;
		m.ndis_config.mtu = kMtu + 14;
		m.ndis_config.capabilities = nvsp::kCap8021q;
		const uint64_t id = send(m, wants_completion);
		if (wants_completion)
			completion(id, "NDIS_CONFIG");
	}
	m = {};
	m.type = nvsp::kSendNdisVersion;
	m.ndis_version = {6, version > nvsp::kVersion4 ? 30u : 1u};
	const uint64_t id = send(m, wants_completion);
	if (wants_completion)
		completion(id, "NDIS_VERSION");
}

void Session::receive_buffer()
{
	Guest::status("GPADL_CREATED for the receive buffer",
		      guest.gpadl(offer.relid, kReceiveGpadl, {{kGpa + kReceiveAt, kReceiveSize}}),
		      vu::Status::kOk, "GPADL_HEADER (8)");
	nvsp::Message m{};
	m.type = nvsp::kSendReceiveBuffer;
	m.buffer = {kReceiveGpadl, nvsp::kReceiveBufferId, 0};
	const auto c =
		answer(m, nvsp::kSendReceiveBufferComplete, sizeof(nvsp::ReceiveBufferComplete),
		       "SEND_RECV_BUF", "SEND_RECV_BUF_COMPLETE")
			.receive_buffer_complete;
	const auto& s = c.section;
	require(c.status == nvsp::kStatusSuccess,
		format("SEND_RECV_BUF_COMPLETE: status %u, must be 1", c.status), kNvspSection);
	/* Linux takes no host that has more (netvsc.c, netvsc_init_buf()). */
	require(c.section_count == 1 && s.offset == 0,
		format("SEND_RECV_BUF_COMPLETE: %u sections, the first at %u, must be 1 at 0",
		       c.section_count, s.offset),
		kNvspSection);
	require(s.suballocation_size != 0 && s.suballocation_count != 0,
		format("SEND_RECV_BUF_COMPLETE: %u sub-allocations of %u bytes",
		       s.suballocation_count, s.suballocation_size),
		kNvspSection);
	const uint64_t sum = uint64_t(s.suballocation_size) * s.suballocation_count;
	require(sum <= kReceiveSize && s.end_offset <= kReceiveSize,
		format("SEND_RECV_BUF_COMPLETE: %u sub-allocations of %u bytes, end_offset %u, "
		       "must lie in the buffer's %llu bytes",
		       s.suballocation_count, s.suballocation_size, s.end_offset,
		       ull(kReceiveSize)),
		kNvspSection);
}

uint32_t Session::send_buffer()
{
	Guest::status("GPADL_CREATED for the send buffer",
		      guest.gpadl(offer.relid, kSendGpadl, {{kGpa + kSendAt, kSendSize}}),
		      vu::Status::kOk, "GPADL_HEADER (8)");
	nvsp::Message m{};
	m.type = nvsp::kSendSendBuffer;
	m.buffer = {kSendGpadl, nvsp::kSendBufferId, 0};
	const auto c = answer(m, nvsp::kSendSendBufferComplete, sizeof(nvsp::SendBufferComplete),
			      "SEND_SEND_BUF", "SEND_SEND_BUF_COMPLETE")
			       .send_buffer_complete;
	require(c.status == nvsp::kStatusSuccess,
		format("SEND_SEND_BUF_COMPLETE: status %u, must be 1", c.status), kNvspSection);
	/* NETVSC_MTU_MIN of Linux, which takes no less. */
	require(c.section_size >= 68 && c.section_size <= kSendSize,
		format("SEND_SEND_BUF_COMPLETE: section_size %u, must be 68..%llu", c.section_size,
		       ull(kSendSize)),
		kNvspSection);
	return c.section_size;
}

void Session::up()
{
	init();
	ndis();
	receive_buffer();
	rndis_initialize();
}

/* One range, of a message that lies within a page. */
uint64_t Session::gpa_packet(const std::vector<uint8_t>& message, uint32_t channel_type,
			     uint64_t at, Channel& on)
{
	struct {
		vmbus::GpaDirectHeader header{0, 1};
		vmbus::GpaRange range;
		uint64_t page;
	} head;
	memcpy(guest.memory() + at, message.data(), message.size());
	head.range = {uint32_t(message.size()), uint32_t(at % vmbus::kPageSize)};
	head.page = (kGpa + at) / vmbus::kPageSize;
	nvsp::Message m{};
	m.type = nvsp::kSendRndisPacket;
	m.rndis = {channel_type, nvsp::kNoSection, 0};
	const uint64_t id = next_id_++;
	on.write(vmbus::PacketType::kGpaDirect, true, id, &head, sizeof(head), &m,
		 nvsp::message_size(version));
	open_.insert(id);
	return id;
}

void Session::took_transfer_pages(const Packet& packet, Channel& on)
{
	vmbus::TransferPageHeader h{};
	require(packet.head.size() >= sizeof(h), "transfer-page packet: has no ranges", "Packets");
	memcpy(&h, packet.head.data(), sizeof(h));
	require(h.transfer_page_set_id == nvsp::kReceiveBufferId,
		format("transfer-page packet: set_id %#x, must be the receive buffer's %#x",
		       h.transfer_page_set_id, nvsp::kReceiveBufferId),
		kNvspSection);
	require(packet.u32(0) == nvsp::kSendRndisPacket,
		format("transfer-page packet: NVSP message %u, must be 107", packet.u32(0)),
		kNvspSection);
	require(packet.d.flags & vmbus::kFlagCompletionRequested,
		"transfer-page packet: flags 0, must ask for a completion", kNvspSection);
	require(h.range_count != 0 && packet.head.size() >= sizeof(h) + 8ull * h.range_count,
		format("transfer-page packet: range_count %u, must be 1 or more and fit the packet",
		       h.range_count),
		"Packets");
	for (uint32_t i = 0; i < h.range_count; i++) {
		vmbus::TransferPageRange r;
		memcpy(&r, packet.head.data() + sizeof(h) + i * sizeof(r), sizeof(r));
		require(uint64_t(r.byte_offset) + r.byte_count <= kReceiveSize,
			format("transfer-page packet: range at %u of %u bytes, must lie in the "
			       "receive buffer's %llu",
			       r.byte_offset, r.byte_count, ull(kReceiveSize)),
			kNvspSection);
		took_rndis(guest.memory() + kReceiveAt + r.byte_offset, r.byte_count);
	}
	nvsp::Message m{};
	m.type = nvsp::kSendRndisPacketComplete;
	m.rndis_complete.status = nvsp::kStatusSuccess;
	on.write(vmbus::PacketType::kCompletion, false, packet.d.transaction_id, nullptr, 0, &m,
		 nvsp::message_size(version));
	on.publish();
}

void Session::took_rndis(const uint8_t* at, uint32_t size)
{
	rndis::Header header{};
	require(size >= sizeof(header), format("RNDIS message of %u bytes, has no header", size),
		kRndisSection);
	memcpy(&header, at, sizeof(header));
	require(header.length >= sizeof(header) && header.length <= size,
		format("RNDIS message %#x: length %u, must be 8..%u, its range's", header.type,
		       header.length, size),
		kRndisSection);
	std::vector<uint8_t> message(at, at + header.length);
	switch (header.type) {
	case rndis::kPacket: {
		rndis::PacketMessage p{};
		require(header.length >= sizeof(p),
			format("RNDIS PACKET: length %u, must be at least 44", header.length),
			kRndisSection);
		memcpy(&p, at, sizeof(p));
		require(8ull + p.data_offset + p.data_length <= header.length &&
				p.data_length >= 14 && p.data_offset >= 36,
			format("RNDIS PACKET: data_offset %u, data_length %u, must lie between "
			       "header and length %u",
			       p.data_offset, p.data_length, header.length),
			kRndisSection);
		require(8ull + p.ppi_offset + p.ppi_length <= header.length,
			format("RNDIS PACKET: ppi_offset %u, ppi_length %u, must lie in length %u",
			       p.ppi_offset, p.ppi_length, header.length),
			kRndisSection);
		for (uint32_t i = 0; i < p.ppi_length;) {
			rndis::PacketInfo info{};
			memcpy(&info, at + 8 + p.ppi_offset + i,
			       std::min<size_t>(sizeof(info), p.ppi_length - i));
			require(info.size >= sizeof(info) && info.size <= p.ppi_length - i &&
					info.offset <= info.size,
				format("RNDIS PACKET: per-packet info of type %u has size %u and "
				       "offset %u, must be 12 or more, within %u",
				       info.type, info.size, info.offset, p.ppi_length - i),
				kRndisSection);
			i += info.size;
		}
		frames_received++;
		return;
	}
	case rndis::kIndicateStatus:
		require(header.length >= 20,
			format("RNDIS INDICATE_STATUS: length %u, must be at least 20",
			       header.length),
			kRndisSection);
		return;
	case rndis::kKeepalive: {
		rndis::StatusComplete c{};
		require(header.length >= 12,
			format("RNDIS KEEPALIVE: length %u, must be 12", header.length),
			kRndisSection);
		c.hdr = {rndis::kKeepalive | rndis::kComplete, sizeof(c)};
		memcpy(&c.request_id, at + 8, 4);
		std::vector<uint8_t> bytes(sizeof(c));
		memcpy(bytes.data(), &c, sizeof(c));
		gpa_packet(bytes, nvsp::kChannelControl, kScratchAt + 2 * vmbus::kPageSize,
			   channel);
		channel.publish();
		return;
	}
	default:
		require((header.type & rndis::kComplete) != 0,
			format("RNDIS message %#x, which no host sends", header.type),
			kRndisSection);
		answers.push_back(std::move(message));
	}
}

} // namespace check
