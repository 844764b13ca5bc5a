/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A minimal guest for tests of the emulated host, written against the wire formats alone. It is
 * slow and simple on purpose, and lets tests send whatever a guest should not.
 */
#pragma once

#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netvsc/nvsp.hpp"
#include "netvsc/rndis.hpp"
#include "netvsp/host.hpp"
#include "vmbus/user_proto.hpp"

namespace test {

namespace vu = vmbus::user;

inline constexpr uint64_t kGpa = 0x100000000;
inline constexpr uint64_t kMemory = 48u << 20;
inline constexpr uint64_t kRingBytes = 128 * 1024; /* each way */
inline constexpr uint64_t kReceiveAt = 16u << 20, kReceiveBytes = 4u << 20;
inline constexpr uint64_t kSendAt = 24u << 20, kSendBytes = 1u << 20;
inline constexpr uint64_t kDataAt = 32u << 20;

/** An endpoint whose two sides are queues of the test's. */
struct QueueEndpoint : netvsp::Endpoint {
	std::vector<std::string> sent;
	std::deque<std::string> incoming;
	size_t room = SIZE_MAX;
	bool send(const uint8_t* frame, uint32_t length) override
	{
		if (sent.size() >= room)
			return false;
		sent.emplace_back(reinterpret_cast<const char*>(frame), length);
		stats_.sent_frames++;
		return true;
	}
	uint32_t receive(uint8_t* to, uint32_t capacity) override
	{
		while (!incoming.empty()) {
			std::string frame = incoming.front();
			incoming.pop_front();
			if (frame.size() > capacity) {
				stats_.dropped++;
				continue;
			}
			memcpy(to, frame.data(), frame.size());
			return uint32_t(frame.size());
		}
		return 0;
	}
};

struct Received {
	vmbus::PacketDescriptor d{};
	std::vector<uint8_t> head; /* between descriptor and data */
	std::vector<uint8_t> data;
	bool is(vmbus::PacketType type) const { return d.type == uint16_t(type); }
	nvsp::Message message() const
	{
		nvsp::Message m{};
		if (!data.empty())
			memcpy(&m, data.data(), std::min(sizeof(m), data.size()));
		return m;
	}
};

struct GuestChannel {
	uint32_t relid = 0;
	uint32_t index = 0;
	uint8_t monitor_id = vmbus::kMonitorIdNone;
	int kick = -1; /* to the host */
	int call = -1; /* from the host */
	vmbus::RingControl* tx = nullptr;
	vmbus::RingControl* rx = nullptr;
	uint32_t data_size = 0;

	static uint8_t* data(vmbus::RingControl* c) { return reinterpret_cast<uint8_t*>(c + 1); }

	bool send(uint16_t type, uint16_t flags, uint64_t id, const std::vector<uint8_t>& head,
		  const std::vector<uint8_t>& body)
	{
		std::vector<uint8_t> bytes(16);
		bytes.insert(bytes.end(), head.begin(), head.end());
		size_t offset = bytes.size();
		bytes.insert(bytes.end(), body.begin(), body.end());
		bytes.resize((bytes.size() + 7) / 8 * 8);
		vmbus::PacketDescriptor d{type, uint16_t(offset / 8), uint16_t(bytes.size() / 8),
					  flags, id};
		memcpy(bytes.data(), &d, sizeof(d));
		bytes.resize(bytes.size() + 8);
		uint32_t in = tx->in, out = __atomic_load_n(&tx->out, __ATOMIC_ACQUIRE);
		uint32_t used = (in + data_size - out) % data_size;
		if (bytes.size() > data_size - used - 8)
			return false;
		for (uint8_t b : bytes) {
			data(tx)[in] = b;
			in = (in + 1) % data_size;
		}
		uint32_t old = tx->in;
		__atomic_store_n(&tx->in, in, __ATOMIC_SEQ_CST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (__atomic_load_n(&tx->interrupt_mask, __ATOMIC_SEQ_CST) == 0 &&
		    __atomic_load_n(&tx->out, __ATOMIC_SEQ_CST) == old)
			signal();
		return true;
	}
	void signal()
	{
		uint64_t one = 1;
		ASSERT_EQ(ssize_t(8), write(kick, &one, 8));
	}
	bool receive(Received& p)
	{
		uint32_t in = __atomic_load_n(&rx->in, __ATOMIC_ACQUIRE);
		uint32_t out = rx->out;
		if (in == out)
			return false;
		auto get = [&](uint32_t at, void* to, size_t n) {
			for (size_t i = 0; i < n; i++)
				static_cast<uint8_t*>(to)[i] = data(rx)[(out + at + i) % data_size];
		};
		get(0, &p.d, sizeof(p.d));
		uint32_t used = (in + data_size - out) % data_size;
		if (p.d.length8 * 8u + 8 > used || p.d.data_offset8 > p.d.length8 ||
		    p.d.data_offset8 < 2) {
			ADD_FAILURE() << "malformed packet from the host";
			return false;
		}
		p.head.resize(p.d.data_offset8 * 8 - 16);
		get(16, p.head.data(), p.head.size());
		p.data.resize((p.d.length8 - p.d.data_offset8) * 8);
		get(p.d.data_offset8 * 8u, p.data.data(), p.data.size());
		uint64_t footer;
		get(p.d.length8 * 8u, &footer, 8);
		EXPECT_EQ(uint64_t(out) << 32, footer);
		out = (out + p.d.length8 * 8 + 8) % data_size;
		uint32_t pending = rx->pending_send_size & ~7u;
		uint32_t free_before = data_size - used;
		__atomic_store_n(&rx->out, out, __ATOMIC_SEQ_CST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		uint32_t free_after =
			data_size -
			(__atomic_load_n(&rx->in, __ATOMIC_SEQ_CST) + data_size - out) % data_size;
		pending = __atomic_load_n(&rx->pending_send_size, __ATOMIC_SEQ_CST) & ~7u;
		if (pending != 0 && free_before < pending && free_after >= pending)
			signal();
		return true;
	}
};

template <class T> std::vector<uint8_t> bytes_of(const T& value)
{
	auto* p = reinterpret_cast<const uint8_t*>(&value);
	return {p, p + sizeof(T)};
}

class Guest {
      public:
	explicit Guest(std::function<void()> pump) : pump_(std::move(pump))
	{
		memfd_ = memfd_create("guest", MFD_CLOEXEC);
		EXPECT_EQ(0, ftruncate(memfd_, kMemory));
		memory = static_cast<uint8_t*>(
			mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_SHARED, memfd_, 0));
		EXPECT_NE(MAP_FAILED, static_cast<void*>(memory));
	}
	~Guest()
	{
		disconnect();
		munmap(memory, kMemory);
		close(memfd_);
	}

	void connect(netvsp::Host& host)
	{
		int pair[2];
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
		std::string error;
		ASSERT_TRUE(host.adopt(pair[1], error)) << error;
		fd = pair[0];
	}
	void disconnect()
	{
		for (auto& [relid, c] : channels) {
			close(c.kick);
			close(c.call);
		}
		channels.clear();
		inbox_.clear();
		if (fd >= 0)
			close(fd);
		fd = -1;
	}

	void pump() { pump_(); }

	/* The control plane */

	void send_raw(const void* data, size_t size, const std::vector<int>& fds = {})
	{
		iovec iov{const_cast<void*>(data), size};
		msghdr msg{};
		msg.msg_iov = &iov;
		msg.msg_iovlen = 1;
		alignas(cmsghdr) char control[CMSG_SPACE(32 * sizeof(int))] = {};
		if (!fds.empty()) {
			msg.msg_control = control;
			msg.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
			cmsghdr* c = CMSG_FIRSTHDR(&msg);
			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
			memcpy(CMSG_DATA(c), fds.data(), fds.size() * sizeof(int));
		}
		ASSERT_EQ(ssize_t(size), sendmsg(fd, &msg, MSG_NOSIGNAL));
	}
	template <class T> void request(vu::Type type, T message, const std::vector<int>& fds = {})
	{
		message.hdr = {type, sizeof(T)};
		send_raw(&message, sizeof(T), fds);
	}
	/** Waits for a message of this type; others stay for later. */
	template <class T> bool expect(vu::Type type, T& out)
	{
		for (int i = 0; i < 2000; i++) {
			uint8_t buffer[4096];
			ssize_t n;
			while ((n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
				inbox_.emplace_back(buffer, buffer + n);
				note(inbox_.back());
			}
			for (auto m = inbox_.begin(); m != inbox_.end(); ++m) {
				vu::Header h;
				memcpy(&h, m->data(), sizeof(h));
				if (h.type != type)
					continue;
				bool good = m->size() == sizeof(T);
				if (good)
					memcpy(&out, m->data(), sizeof(T));
				inbox_.erase(m);
				return good;
			}
			if (n == 0)
				return false;
			pump_();
		}
		return false;
	}
	void note(const std::vector<uint8_t>& bytes)
	{
		vu::Header h;
		memcpy(&h, bytes.data(), sizeof(h));
		EXPECT_EQ(bytes.size(), h.size);
		if (h.type == vu::Type::kOfferChannel) {
			vu::OfferChannel o;
			memcpy(&o, bytes.data(), sizeof(o));
			offers.push_back(o);
		} else if (h.type == vu::Type::kRescind) {
			vu::ChannelId id;
			memcpy(&id, bytes.data(), sizeof(id));
			rescinded.push_back(id.relid);
		}
	}
	/** Whether the host has hung up. */
	bool dropped()
	{
		for (int i = 0; i < 20; i++) {
			pump_();
			uint8_t buffer[4096];
			ssize_t n;
			while ((n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
			}
			if (n == 0 || (n < 0 && errno == ECONNRESET))
				return true;
		}
		return false;
	}

	void hello(bool monitor = false)
	{
		request(vu::Type::kInitiateContact,
			vu::InitiateContact{{}, vu::kMagic, vu::kVersion});
		vu::VersionResponse v{};
		ASSERT_TRUE(expect(vu::Type::kVersionResponse, v));
		ASSERT_EQ(1u, v.accepted);
		ASSERT_EQ(vu::Status::kOk, mem_add(kGpa, kMemory, 0));
		request(vu::Type::kRequestOffers, vu::RequestOffers{{}, monitor ? kGpa : 0});
		vu::Bare b{};
		ASSERT_TRUE(expect(vu::Type::kAllOffersDelivered, b));
		std::erase_if(inbox_, [](auto& m) { return m.size() == sizeof(vu::OfferChannel); });
	}
	vu::Status mem_add(uint64_t gpa, uint64_t size, uint64_t offset)
	{
		request(vu::Type::kMemAdd, vu::MemAdd{{}, gpa, size, offset, 0, 0}, {memfd_});
		vu::MemResult r{};
		EXPECT_TRUE(expect(vu::Type::kMemResult, r));
		return r.status;
	}
	vu::Status gpadl(uint32_t relid, uint32_t id, std::vector<vu::GpaRun> runs)
	{
		vu::GpadlHeader h{};
		h.hdr = {vu::Type::kGpadlHeader,
			 uint32_t(sizeof(h) + runs.size() * sizeof(vu::GpaRun))};
		h.relid = relid;
		h.gpadl = id;
		h.run_count = uint32_t(runs.size());
		auto bytes = bytes_of(h);
		bytes.resize(h.hdr.size);
		if (!runs.empty())
			memcpy(bytes.data() + sizeof(h), runs.data(),
			       runs.size() * sizeof(vu::GpaRun));
		send_raw(bytes.data(), bytes.size());
		vu::GpadlCreated r{};
		EXPECT_TRUE(expect(vu::Type::kGpadlCreated, r));
		EXPECT_EQ(id, r.gpadl);
		return r.status;
	}
	void gpadl_teardown(uint32_t relid, uint32_t id)
	{
		request(vu::Type::kGpadlTeardown, vu::GpadlId{{}, relid, id});
		vu::GpadlId r{};
		ASSERT_TRUE(expect(vu::Type::kGpadlTorndown, r));
		ASSERT_EQ(id, r.gpadl);
	}
	/** GPADL 100 + index of the offer, at 1 MiB + index * 256 KiB. */
	vu::Status open(const vu::OfferChannel& offer)
	{
		GuestChannel c;
		c.relid = offer.relid;
		c.index = offer.subchannel_index;
		c.monitor_id = offer.monitor_id;
		uint64_t at = (1u << 20) + c.index * 2 * kRingBytes;
		memset(memory + at, 0, 2 * kRingBytes);
		c.tx = reinterpret_cast<vmbus::RingControl*>(memory + at);
		c.rx = reinterpret_cast<vmbus::RingControl*>(memory + at + kRingBytes);
		c.data_size = kRingBytes - 4096;
		c.tx->feature_bits = vmbus::kFeaturePendingSendSize;
		c.kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		c.call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		uint32_t id = 100 + c.index;
		vu::Status s = gpadl(c.relid, id, {{kGpa + at, 2 * kRingBytes}});
		if (s == vu::Status::kOk) {
			request(vu::Type::kOpenChannel,
				vu::OpenChannel{{}, c.relid, 7, id, kRingBytes / 4096, 0, 0},
				{c.kick, c.call});
			vu::OpenResult r{};
			EXPECT_TRUE(expect(vu::Type::kOpenResult, r));
			EXPECT_EQ(7u, r.open_id);
			s = r.status;
		}
		if (s == vu::Status::kOk) {
			channels[c.relid] = c;
			if (c.index == 0)
				primary = c.relid;
		} else {
			close(c.kick);
			close(c.call);
		}
		return s;
	}
	void close_channel(uint32_t relid)
	{
		request(vu::Type::kCloseChannel, vu::ChannelId{{}, relid, 0});
		close(channels[relid].kick);
		close(channels[relid].call);
		channels.erase(relid);
	}

	/* The data plane */

	GuestChannel& ch() { return channels.at(primary); }
	bool receive(GuestChannel& c, Received& p, int tries = 2000)
	{
		for (int i = 0; i < tries; i++) {
			if (c.receive(p))
				return true;
			pump_();
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

	static std::vector<uint8_t> packet_message(const std::string& frame, uint32_t pad_to = 1)
	{
		rndis::PacketMessage m{};
		uint32_t length = uint32_t(sizeof(m) + frame.size());
		length = (length + pad_to - 1) / pad_to * pad_to;
		m.hdr = {rndis::kPacket, length};
		m.data_offset = sizeof(m) - 8;
		m.data_length = uint32_t(frame.size());
		auto bytes = bytes_of(m);
		bytes.insert(bytes.end(), frame.begin(), frame.end());
		bytes.resize(length);
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
				if (h.ppi_length == 16)
					memcpy(&last_hash, m.data() + 8 + h.ppi_offset + 12, 4);
				out.emplace_back(reinterpret_cast<char*>(m.data()) + 8 +
							 h.data_offset,
						 h.data_length);
			}
		}
		return out;
	}

	int fd = -1;
	uint8_t* memory;
	uint32_t primary = 0;
	std::map<uint32_t, GuestChannel> channels;
	std::vector<vu::OfferChannel> offers;
	std::vector<uint32_t> rescinded;
	std::vector<Received> other;
	std::vector<std::vector<uint8_t>> indications;
	std::vector<uint64_t> uncompleted;
	nvsp::ReceiveSection section{};
	uint32_t section_size = 0;
	size_t largest = 0;
	uint32_t last_ppi_length = 0;
	uint32_t last_hash = 0;
	uint64_t next_id_ = 1000;

      private:
	std::function<void()> pump_;
	int memfd_;
	std::deque<std::vector<uint8_t>> inbox_;
};

/** A host with one NIC, stepped by the guest's waiting. */
struct Fixture : ::testing::Test {
	std::vector<std::string> log; /* outlives the host, which says goodbye */
	netvsp::Host host;
	QueueEndpoint* endpoint = nullptr;
	vmbus::Guid nic{};
	std::unique_ptr<Guest> guest;

	void start(netvsp::NicConfig config = {}, bool monitor = false)
	{
		host.set_log([this](const std::string& line) { log.push_back(line); });
		auto owned = std::make_unique<QueueEndpoint>();
		endpoint = owned.get();
		std::string error;
		ASSERT_TRUE(host.add_nic(config, std::move(owned), nic, error)) << error;
		guest = std::make_unique<Guest>([this] { host.poll(); });
		guest->connect(host);
		guest->hello(monitor);
	}
	netvsp::NicStats stats()
	{
		netvsp::NicStats s;
		EXPECT_TRUE(host.stats(nic, s));
		return s;
	}
};

} // namespace test
