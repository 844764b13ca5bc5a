/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A minimal guest for tests of the emulated host, written against the wire formats alone. It is
 * slow and simple on purpose, and lets tests send whatever a guest should not.
 *
 * This part speaks NVSP and RNDIS; what is below it is in guest_control.hpp and guest_channel.hpp.
 */
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "netvsc/nvsp.hpp"
#include "netvsc/rndis.hpp"

#include "guest_control.hpp"

namespace test {

class Guest : public GuestControl {
      public:
	using GuestControl::GuestControl;

	GuestChannel& ch() { return channels.at(primary); }
	bool receive(GuestChannel& c, Received& p, int tries = 2000)
	{
		for (int i = 0; i < tries; i++) {
			if (c.receive(p))
				return true;
			pump();
		}
		return false;
	}
	bool send_nvsp(const nvsp::Message& m, bool wants_completion, uint64_t id = 1)
	{
		return ch().send(6, wants_completion, id, {}, bytes_of(m));
	}
	/** Sends and waits for the completion. */
	bool transact(const nvsp::Message& m, nvsp::Message& answer)
	{
		uint64_t id = next_id_++;
		if (!send_nvsp(m, true, id))
			return false;
		Received p;
		while (receive(ch(), p)) {
			if (p.is(vmbus::PacketType::kCompletion) && p.d.transaction_id == id) {
				answer = p.message();
				return true;
			}
			other.push_back(p);
		}
		return false;
	}
	bool init(uint32_t version)
	{
		nvsp::Message m{}, a{};
		m.type = nvsp::kInit;
		m.init = {version, version};
		return transact(m, a) && a.type == nvsp::kInitComplete &&
		       a.init_complete.status == nvsp::kStatusSuccess;
	}
	void ndis_config(uint32_t mtu)
	{
		nvsp::Message m{};
		m.type = nvsp::kSendNdisConfig;
		m.ndis_config.mtu = mtu;
		ASSERT_TRUE(send_nvsp(m, false));
	}
	bool buffers()
	{
		nvsp::Message m{}, a{};
		if (gpadl(primary, 50, {{kGpa + kReceiveAt, kReceiveBytes}}) != vu::Status::kOk ||
		    gpadl(primary, 51, {{kGpa + kSendAt, kSendBytes}}) != vu::Status::kOk)
			return false;
		m.type = nvsp::kSendReceiveBuffer;
		m.buffer = {50, nvsp::kReceiveBufferId, 0};
		if (!transact(m, a) || a.receive_buffer_complete.status != nvsp::kStatusSuccess)
			return false;
		section = a.receive_buffer_complete.section;
		m.type = nvsp::kSendSendBuffer;
		m.buffer = {51, nvsp::kSendBufferId, 0};
		if (!transact(m, a) || a.send_buffer_complete.status != nvsp::kStatusSuccess)
			return false;
		section_size = a.send_buffer_complete.section_size;
		return true;
	}
	/** Sends through section 0 without waiting. */
	void send_section(const std::vector<uint8_t>& rndis, uint32_t channel_type, uint64_t id,
			  uint32_t size = 0)
	{
		memcpy(memory + kSendAt, rndis.data(), rndis.size());
		nvsp::Message m{};
		m.type = nvsp::kSendRndisPacket;
		m.rndis = {channel_type, 0, size != 0 ? size : uint32_t(rndis.size())};
		ASSERT_TRUE(send_nvsp(m, true, id));
	}
	/** The RNDIS message of a transfer-page packet's range, completing the packet. */
	std::vector<std::vector<uint8_t>> take(GuestChannel& c, const Received& p,
					       bool complete = true)
	{
		std::vector<std::vector<uint8_t>> out;
		vmbus::TransferPageHeader h;
		memcpy(&h, p.head.data(), sizeof(h));
		EXPECT_EQ(nvsp::kReceiveBufferId, h.transfer_page_set_id);
		for (uint32_t i = 0; i < h.range_count; i++) {
			vmbus::TransferPageRange r;
			memcpy(&r, p.head.data() + 8 + i * 8, sizeof(r));
			EXPECT_LE(uint64_t(r.byte_offset) + r.byte_count, kReceiveBytes);
			uint8_t* at = memory + kReceiveAt + r.byte_offset;
			out.emplace_back(at, at + r.byte_count);
		}
		if (complete) {
			nvsp::Message m{};
			m.type = nvsp::kSendRndisPacketComplete;
			m.rndis_complete.status = nvsp::kStatusSuccess;
			EXPECT_TRUE(c.send(0xb, 0, p.d.transaction_id, {}, bytes_of(m)));
		}
		return out;
	}
	/** An RNDIS request and its answer. */
	bool rndis(const std::vector<uint8_t>& request, std::vector<uint8_t>& answer)
	{
		uint64_t id = next_id_++;
		send_section(request, nvsp::kChannelControl, id);
		uint32_t wanted;
		memcpy(&wanted, request.data(), 4);
		Received p;
		while (receive(ch(), p, 200)) {
			if (!p.is(vmbus::PacketType::kTransferPages)) {
				other.push_back(p);
				continue;
			}
			auto messages = take(ch(), p);
			uint32_t type;
			memcpy(&type, messages.at(0).data(), 4);
			if (type == (wanted | rndis::kComplete)) {
				answer = messages[0];
				return true;
			}
			indications.push_back(messages[0]);
		}
		return false;
	}
	bool rndis_init()
	{
		rndis::InitializeRequest r{};
		r.hdr = {rndis::kInitialize, sizeof(r)};
		r.request_id = 1;
		r.major = 1;
		std::vector<uint8_t> a;
		if (!rndis(bytes_of(r), a) || a.size() != sizeof(rndis::InitializeComplete))
			return false;
		rndis::InitializeComplete c;
		memcpy(&c, a.data(), sizeof(c));
		return c.status == 0 && c.request_id == 1;
	}
	uint32_t query(uint32_t oid, std::vector<uint8_t>& info)
	{
		rndis::OidRequest r{};
		r.hdr = {rndis::kQuery, sizeof(r)};
		r.oid = oid;
		r.request_id = 5;
		std::vector<uint8_t> a;
		rndis::QueryComplete c{};
		if (!rndis(bytes_of(r), a) || a.size() < sizeof(c))
			return 0xffffffff;
		memcpy(&c, a.data(), sizeof(c));
		if (c.info_length > a.size() - sizeof(c) || c.info_offset != 16)
			return 0xfffffffe;
		info.assign(a.begin() + sizeof(c), a.begin() + sizeof(c) + c.info_length);
		return c.status;
	}
	uint32_t query_u32(uint32_t oid)
	{
		std::vector<uint8_t> info;
		uint32_t value = 0xdeadbeef;
		EXPECT_EQ(0u, query(oid, info)) << std::hex << oid;
		if (info.size() >= 4)
			memcpy(&value, info.data(), 4);
		return value;
	}
	uint32_t set(uint32_t oid, const std::vector<uint8_t>& info)
	{
		rndis::OidRequest r{};
		r.hdr = {rndis::kSet, uint32_t(sizeof(r) + info.size())};
		r.oid = oid;
		r.info_length = uint32_t(info.size());
		r.info_offset = 20;
		auto bytes = bytes_of(r);
		bytes.insert(bytes.end(), info.begin(), info.end());
		std::vector<uint8_t> a;
		rndis::StatusComplete c{};
		if (!rndis(bytes, a) || a.size() != sizeof(c))
			return 0xffffffff;
		memcpy(&c, a.data(), sizeof(c));
		return c.status;
	}
	uint32_t set_filter(uint32_t filter)
	{
		return set(rndis::kOidCurrentPacketFilter, bytes_of(filter));
	}
	/** Everything up to a NIC that passes frames. */
	void up(uint32_t version = nvsp::kVersion61, uint32_t mtu = 1514, uint32_t filter = 0x20)
	{
		ASSERT_FALSE(offers.empty());
		ASSERT_EQ(vu::Status::kOk, open(offers.back()));
		ASSERT_TRUE(init(version));
		if (version >= nvsp::kVersion2)
			ndis_config(mtu);
		ASSERT_TRUE(buffers());
		ASSERT_TRUE(rndis_init());
		ASSERT_EQ(0u, set_filter(filter));
	}

	/** Has this many subchannels allocated, and opens them. */
	void open_subchannels(uint32_t count)
	{
		nvsp::Message m{}, a{};
		m.type = nvsp::kSubchannel;
		m.subchannel_request = {nvsp::kSubchannelAllocate, count};
		ASSERT_TRUE(transact(m, a));
		ASSERT_EQ(count, a.subchannel_complete.count);
		for (uint32_t i = 0; i < count; i++) {
			vu::OfferChannel o{};
			ASSERT_TRUE(expect(vu::Type::kOfferChannel, o));
			ASSERT_EQ(vu::Status::kOk, open(o));
		}
	}
	GuestChannel& subchannel(uint32_t index)
	{
		for (auto& [relid, c] : channels)
			if (c.index == index)
				return c;
		ADD_FAILURE() << "no subchannel " << index;
		return ch();
	}

	/** NDIS_RECEIVE_SCALE_PARAMETERS: a key at 44, the table at 84. */
	static std::vector<uint8_t> rss_parameters(uint32_t hash_information,
						   const std::vector<uint32_t>& table)
	{
		std::vector<uint8_t> b(84 + table.size() * 4);
		auto put = [&](size_t at, auto v) { memcpy(b.data() + at, &v, sizeof(v)); };
		put(0, uint8_t(0x89));
		put(8, hash_information);
		put(12, uint16_t(table.size() * 4));
		put(16, uint32_t(84));
		put(20, uint16_t(40));
		put(24, uint32_t(44));
		for (size_t i = 0; i < 40; i++)
			b[44 + i] = uint8_t(i * 37 + 11);
		for (size_t i = 0; i < table.size(); i++)
			put(84 + i * 4, table[i]);
		return b;
	}
	static std::vector<uint8_t> packet_message(const std::string& frame, uint32_t pad_to = 1)
	{
		rndis::PacketMessage m{};
		uint32_t length = uint32_t(sizeof(m) + frame.size());
		length = (length + pad_to - 1) / pad_to * pad_to;
		m.hdr = {rndis::kPacket, length};
		m.data_offset = sizeof(m) - 8;
		m.data_length = uint32_t(frame.size());
		std::vector<uint8_t> bytes(length);
		memcpy(bytes.data(), &m, sizeof(m));
		std::copy(frame.begin(), frame.end(), bytes.begin() + sizeof(m));
		return bytes;
	}
	/** Sends frames in one section, returns the completion's status; 0 = none came. */
	uint32_t transmit(const std::vector<uint8_t>& messages, uint32_t size = 0)
	{
		uint64_t id = next_id_++;
		send_section(messages, nvsp::kChannelData, id, size);
		return await_completion(ch(), id);
	}
	uint32_t await_completion(GuestChannel& c, uint64_t id)
	{
		Received p;
		while (receive(c, p, 100)) {
			if (p.is(vmbus::PacketType::kCompletion) && p.d.transaction_id == id)
				return p.message().rndis_complete.status;
			other.push_back(p);
		}
		return 0;
	}
	/** A GPA-direct data packet; each range is {offset into memory, length}. */
	void send_gpa(GuestChannel& c, const std::vector<std::pair<uint64_t, uint32_t>>& ranges,
		      uint64_t id, uint32_t count_override = 0)
	{
		vmbus::GpaDirectHeader h{0,
					 count_override ? count_override : uint32_t(ranges.size())};
		auto head = bytes_of(h);
		for (auto [at, length] : ranges) {
			vmbus::GpaRange r{length, uint32_t((kGpa + at) % 4096)};
			auto b = bytes_of(r);
			head.insert(head.end(), b.begin(), b.end());
			for (uint64_t page = (kGpa + at) / 4096;
			     page * 4096 < kGpa + at + std::max(length, 1u); page++) {
				auto pfn = bytes_of(page);
				head.insert(head.end(), pfn.begin(), pfn.end());
			}
		}
		nvsp::Message m{};
		m.type = nvsp::kSendRndisPacket;
		m.rndis = {nvsp::kChannelData, nvsp::kNoSection, 0};
		ASSERT_TRUE(c.send(9, 1, id, head, bytes_of(m)));
	}
	/** The frames that arrive on a channel until it is quiet. */
	std::vector<std::string> frames(GuestChannel& c, size_t at_least = 0, bool complete = true)
	{
		std::vector<std::string> out;
		Received p;
		while (receive(c, p, out.size() < at_least ? 2000 : 5)) {
			if (!p.is(vmbus::PacketType::kTransferPages)) {
				other.push_back(p);
				continue;
			}
			if (!complete)
				uncompleted.push_back(p.d.transaction_id);
			largest = std::max(largest, (p.head.size() - 8) / 8);
			for (auto& m : take(c, p, complete)) {
				rndis::PacketMessage h{};
				memcpy(&h, m.data(), std::min(m.size(), sizeof(h)));
				if (h.hdr.type != rndis::kPacket) {
					indications.push_back(m);
					continue;
				}
				EXPECT_LE(h.data_offset + 8ull + h.data_length, m.size());
				last_ppi_length = h.ppi_length;
				if (h.ppi_length >= 16) /* the hash comes first, if it comes */
					memcpy(&last_hash, m.data() + 8 + h.ppi_offset + 12, 4);
				out.emplace_back(reinterpret_cast<char*>(m.data()) + 8 +
							 h.data_offset,
						 h.data_length);
			}
		}
		return out;
	}

	std::vector<Received> other;
	std::vector<std::vector<uint8_t>> indications;
	std::vector<uint64_t> uncompleted;
	nvsp::ReceiveSection section{};
	uint32_t section_size = 0;
	size_t largest = 0;
	uint32_t last_ppi_length = 0;
	uint32_t last_hash = 0;
	uint64_t next_id_ = 1000;
};

} // namespace test
