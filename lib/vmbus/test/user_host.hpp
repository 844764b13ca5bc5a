/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A vmbus-user host for tests, on its own thread: it answers as docs/vmbus-user.md says, unless the
 * test's script takes a message over. Messages are bytes at the offsets of that page, not the
 * library's structures.
 */
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "fake_host.hpp"
#include "os/socket.hpp"

namespace vmbus::test {

/* Message numbers and sizes of docs/vmbus-user.md. */
enum : uint32_t {
	kMsgOffer = 1,
	kMsgRescind = 2,
	kMsgRequestOffers = 3,
	kMsgAllOffers = 4,
	kMsgOpen = 5,
	kMsgOpenResult = 6,
	kMsgClose = 7,
	kMsgGpadl = 8,
	kMsgGpadlCreated = 10,
	kMsgTeardown = 11,
	kMsgTorndown = 12,
	kMsgReleased = 13,
	kMsgUnload = 16,
	kMsgUnloadResponse = 17,
	kMsgContact = 14,
	kMsgVersion = 15,
	kMsgMemAdd = 0x1001,
	kMsgMemRemove = 0x1002,
	kMsgMemResult = 0x1003,
};

/** A message of this type with u32 fields from offset 8 on. */
inline Bytes message(uint32_t type, std::initializer_list<uint32_t> fields = {})
{
	Bytes b(8 + 4 * fields.size());
	put32(b, 0, type);
	put32(b, 4, static_cast<uint32_t>(b.size()));
	size_t at = 8;
	for (const uint32_t f : fields) {
		put32(b, at, f);
		at += 4;
	}
	return b;
}

inline Bytes offer(uint32_t relid, uint16_t subchannel, uint8_t monitor = 0xff,
		   const std::string& name = "nic0")
{
	Bytes b = message(kMsgOffer);
	b.resize(80);
	b[4] = 80;
	for (uint8_t i = 0; i < 16; i++) {
		b[8 + i] = static_cast<uint8_t>(0xc0 + i);
		b[24 + i] = static_cast<uint8_t>(0x10 + i);
	}
	put32(b, 40, relid);
	put32(b, 44, subchannel | uint32_t{monitor} << 16);
	std::copy_n(name.begin(), std::min<size_t>(name.size(), 32), b.begin() + 48);
	return b;
}

/** A MEM_RESULT; `gpa` as the request had it. */
inline Bytes mem_result(uint64_t gpa, uint32_t status)
{
	return message(kMsgMemResult,
		       {static_cast<uint32_t>(gpa), static_cast<uint32_t>(gpa >> 32), status, 0});
}

class UserHost {
	/* Before its first use, as its type is deduced. */
	template <class F> auto locked(F&& f)
	{
		std::lock_guard lock(mutex_);
		return f();
	}

      public:
	struct Request {
		uint32_t type = 0;
		Bytes bytes;
		std::vector<int> fds; /**< closed after the script saw them */
	};
	/** @return true: the message is dealt with. Runs on the host's thread. */
	using Script = std::function<bool(UserHost&, const Request&)>;

	explicit UserHost(Script script = nullptr) : script_(std::move(script))
	{
		int ends[2];
		EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
		fd_ = ends[0];
		guest_ = ends[1];
		thread_ = std::thread([this] { run(); });
	}
	/** Of a guest that has connected. */
	explicit UserHost(int fd) : fd_(fd)
	{
		thread_ = std::thread([this] { run(); });
	}
	~UserHost() { stop(); }
	/** Also on the host's own thread. */
	void hang_up() { ::shutdown(fd_, SHUT_RDWR); }
	/** The host is gone. */
	void stop()
	{
		hang_up();
		if (!thread_.joinable())
			return;
		thread_.join();
		::close(fd_);
		for (const auto& [gpa, fd] : memory_)
			::close(fd);
	}

	/** The guest's end; the connection under test owns it. */
	int guest_fd() const { return guest_; }
	void send(const Bytes& b)
	{
		const ssize_t n = os::send_message(fd_, b.data(), b.size(), 0);
		/* A guest that leaves does not wait for the answer to its UNLOAD. */
		EXPECT_TRUE(n == static_cast<ssize_t>(b.size()) || (n < 0 && errno == EPIPE));
	}
	/** Sends whatever the other side does; @return false: it is gone, or does not read */
	bool try_send(const Bytes& b)
	{
		return os::send_message(fd_, b.data(), b.size(), MSG_DONTWAIT) ==
		       static_cast<ssize_t>(b.size());
	}
	bool send_with_descriptor(const Bytes& b, int fd)
	{
		iovec iov{const_cast<uint8_t*>(b.data()), b.size()};
		alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
		msghdr header{};
		header.msg_iov = &iov;
		header.msg_iovlen = 1;
		header.msg_control = control;
		header.msg_controllen = sizeof(control);
		cmsghdr* c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		std::memcpy(CMSG_DATA(c), &fd, sizeof(fd));
		return os::send_message(fd_, header, 0) == static_cast<ssize_t>(b.size());
	}

	/* What the guest has at the host right now. */
	size_t memory_count()
	{
		return locked([&] { return memory_.size(); });
	}
	size_t gpadl_count()
	{
		return locked([&] { return gpadls_.size(); });
	}
	size_t open_count()
	{
		return locked([&] { return open_.size(); });
	}
	std::set<uint32_t> released()
	{
		return locked([&] { return released_; });
	}
	uint64_t monitor_gpa()
	{
		return locked([&] { return monitor_gpa_; });
	}
	/** Types of the messages so far, in order. */
	std::vector<uint32_t> log()
	{
		return locked([&] { return log_; });
	}
	/** Whether the guest closed its end, waiting a while for it. */
	bool saw_end()
	{
		for (int i = 0; i < 2000 && !end_; i++)
			std::this_thread::sleep_for(std::chrono::milliseconds(1));
		return end_;
	}
	/** Waits until the guest's messages so far were handled, up to the Nth of a type. */
	bool saw(uint32_t type, size_t times = 1)
	{
		for (int i = 0; i < 2000; i++) {
			const auto all = log();
			if (static_cast<size_t>(std::count(all.begin(), all.end(), type)) >= times)
				return true;
			std::this_thread::sleep_for(std::chrono::milliseconds(1));
		}
		return false;
	}

	/** Waits until what the guest sent, as far as it has arrived, is done with. */
	void settle()
	{
		for (int i = 0; i < 2000 && handled_ != log().size(); i++)
			std::this_thread::sleep_for(std::chrono::milliseconds(1));
	}

	void answer(const Request& r)
	{
		const Bytes& b = r.bytes;
		switch (r.type) {
		case kMsgContact:
			EXPECT_EQ(get32(b, 8), 0x55424d56u);
			send(message(kMsgVersion, {1, get32(b, 12)}));
			break;
		case kMsgMemAdd:
			EXPECT_EQ(r.fds.size(), get32(b, 32) & 1 ? 0u : 1u);
			locked([&] {
				memory_[get64(b, 8)] = r.fds.empty() ? -1 : ::dup(r.fds[0]);
				return 0;
			});
			send(mem_result(get64(b, 8), 0));
			break;
		case kMsgMemRemove:
			send(mem_result(get64(b, 8), locked([&] {
						const auto m = memory_.find(get64(b, 8));
						if (m == memory_.end())
							return 2;
						::close(m->second);
						memory_.erase(m);
						return 0;
					})));
			break;
		case kMsgRequestOffers:
			locked([&] { return monitor_gpa_ = get64(b, 8); });
			for (const Bytes& o : first_offers)
				send(o);
			send(message(kMsgAllOffers));
			break;
		case kMsgGpadl:
			EXPECT_TRUE(locked([&] { return gpadls_.insert(get32(b, 12)).second; }));
			send(message(kMsgGpadlCreated, {get32(b, 8), get32(b, 12), 0, 0}));
			break;
		case kMsgTeardown:
			locked([&] { return gpadls_.erase(get32(b, 12)); });
			send(message(kMsgTorndown, {get32(b, 8), get32(b, 12)}));
			break;
		case kMsgOpen:
			EXPECT_EQ(r.fds.size(), 2u);
			locked([&] { return open_.insert(get32(b, 8)).second; });
			send(message(kMsgOpenResult, {get32(b, 8), get32(b, 12), 0, 0}));
			break;
		case kMsgClose:
			locked([&] { return open_.erase(get32(b, 8)); });
			break;
		case kMsgReleased:
			locked([&] { return released_.insert(get32(b, 8)).second; });
			break;
		case kMsgUnload:
			try_send(message(kMsgUnloadResponse)); /* the guest may be gone already */
			break;
		default:
			ADD_FAILURE() << "message of type " << r.type;
		}
	}

	/** Before the connection is made. */
	std::vector<Bytes> first_offers = {offer(1, 0)};

      private:
	void run()
	{
		for (;;) {
			Request r;
			r.bytes.resize(65536);
			iovec iov{r.bytes.data(), r.bytes.size()};
			alignas(cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))];
			msghdr header{};
			header.msg_iov = &iov;
			header.msg_iovlen = 1;
			header.msg_control = control;
			header.msg_controllen = sizeof(control);
			const ssize_t n = ::recvmsg(fd_, &header, MSG_CMSG_CLOEXEC);
			if (n <= 0)
				break;
			r.bytes.resize(static_cast<size_t>(n));
			r.type = get32(r.bytes, 0);
			EXPECT_EQ(get32(r.bytes, 4), r.bytes.size());
			if (cmsghdr* c = CMSG_FIRSTHDR(&header)) {
				r.fds.resize((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
				std::memcpy(r.fds.data(), CMSG_DATA(c), r.fds.size() * sizeof(int));
			}
			locked([&] {
				log_.push_back(r.type);
				return 0;
			});
			if (!script_ || !script_(*this, r))
				answer(r);
			for (const int fd : r.fds)
				::close(fd);
			handled_++;
		}
		end_ = true;
	}

	const Script script_;
	int fd_ = -1;
	int guest_ = -1;
	std::thread thread_;
	std::atomic<bool> end_{false};
	std::atomic<size_t> handled_{0};
	std::mutex mutex_; /* guards what follows */
	std::map<uint64_t, int> memory_;
	std::set<uint32_t> gpadls_, open_, released_;
	uint64_t monitor_gpa_ = 0;
	std::vector<uint32_t> log_;
};

} // namespace vmbus::test
