/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A guest's end of vmbus-user: its memory, the socket to the host, and the channels it opens.
 *
 * The guest has no thread: while it waits it steps the host, by the function it was made with.
 */
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netvsp/host.hpp"
#include "os/socket.hpp"
#include "vmbus/user_proto.hpp"

#include "guest_channel.hpp"

namespace test {

namespace vu = vmbus::user;

/* The guest's memory, and what is where in it. */
inline constexpr uint64_t kGpa = 0x100000000;
inline constexpr uint64_t kMemory = 48u << 20;
inline constexpr uint64_t kRingBytes = 128 * 1024; /* each way */
inline constexpr uint64_t kReceiveAt = 16u << 20, kReceiveBytes = 4u << 20;
inline constexpr uint64_t kSendAt = 24u << 20, kSendBytes = 1u << 20;
inline constexpr uint64_t kDataAt = 32u << 20;

class GuestControl {
      public:
	explicit GuestControl(std::function<void()> pump) : pump_(std::move(pump))
	{
		memfd_ = memfd_create("guest", MFD_CLOEXEC);
		EXPECT_EQ(0, ftruncate(memfd_, kMemory));
		memory = static_cast<uint8_t*>(
			mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_SHARED, memfd_, 0));
		EXPECT_NE(MAP_FAILED, static_cast<void*>(memory));
	}
	~GuestControl()
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
		ASSERT_EQ(ssize_t(size), os::send_message(fd, msg, 0));
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

	int fd = -1;
	uint8_t* memory;
	uint32_t primary = 0;
	std::map<uint32_t, GuestChannel> channels;
	std::vector<vu::OfferChannel> offers;
	std::vector<uint32_t> rescinded;

      private:
	std::function<void()> pump_;
	int memfd_;
	std::deque<std::vector<uint8_t>> inbox_;
};

} // namespace test
