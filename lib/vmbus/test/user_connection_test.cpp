/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmbus/user_connection.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "os/test/descriptors.hpp"
#include "user_host.hpp"

namespace vmbus::test {
namespace {

using namespace std::chrono_literals;
using os::test::open_descriptors;
using user::Connection;
using user::Event;
using Request = UserHost::Request;

constexpr Milliseconds kTimeout = 5000ms; /* of what must succeed */
constexpr Milliseconds kShort = 400ms;	  /* of what must time out */

std::shared_ptr<Connection> connected(UserHost& host, Milliseconds timeout = kTimeout)
{
	std::shared_ptr<Connection> c;
	const Error error = Connection::adopt(host.guest_fd(), false, timeout, c);
	EXPECT_FALSE(error) << error.what;
	return c;
}

/* Calls f, which must take about as long as the short timeout, and says so in its error. */
template <class F> void expect_timeout(F&& f)
{
	const auto began = std::chrono::steady_clock::now();
	const Error error = f();
	const auto took = std::chrono::steady_clock::now() - began;
	EXPECT_EQ(error.code, ETIMEDOUT) << error.what;
	EXPECT_FALSE(error.what.empty());
	EXPECT_GE(took, kShort - 5ms);
	EXPECT_LE(took, kShort + 10s); /* for slow machines and sanitizers */
}

TEST(UserConnection, HandshakeInOrder)
{
	UserHost host;
	host.first_offers = {offer(1, 0, 5, "nic0"), offer(2, 0)};
	const auto c = connected(host);
	ASSERT_NE(c, nullptr);
	EXPECT_EQ(host.log(), (std::vector<uint32_t>{kMsgContact, kMsgMemAdd, kMsgRequestOffers}));
	EXPECT_EQ(host.memory_count(), 1u);
	EXPECT_NE(host.monitor_gpa(), 0u);
	EXPECT_EQ(host.monitor_gpa() % 4096, 0u);
	const auto events = c->take_events();
	ASSERT_EQ(events.size(), 2u);
	EXPECT_EQ(events[0].kind, Event::kOffer);
	EXPECT_EQ(events[0].offer.relid, 1u);
	EXPECT_EQ(events[0].offer.monitor_id, 5);
	EXPECT_STREQ(events[0].offer.name, "nic0");
	EXPECT_EQ(events[0].offer.instance_id.bytes[15], 0x1f);
	EXPECT_EQ(events[0].offer.class_id.bytes[0], 0xc0);
	EXPECT_EQ(events[1].offer.relid, 2u);
	EXPECT_TRUE(c->take_events().empty());
	EXPECT_FALSE(c->disconnected());
}

TEST(UserConnection, RefusedVersionSaysWhichTheHostHas)
{
	const size_t before = open_descriptors();
	{
		UserHost host([](UserHost& h, const Request&) {
			h.send(message(kMsgVersion, {0, 7}));
			return true;
		});
		std::shared_ptr<Connection> c;
		const Error error = Connection::adopt(host.guest_fd(), false, kTimeout, c);
		EXPECT_EQ(error.code, EPROTONOSUPPORT);
		EXPECT_NE(error.what.find('7'), std::string::npos);
		EXPECT_EQ(c, nullptr);
		EXPECT_TRUE(host.saw_end());
	}
	EXPECT_EQ(open_descriptors(), before);
}

TEST(UserConnection, EachStepOfTheHandshakeHasADeadline)
{
	for (const uint32_t silent : {kMsgContact, kMsgMemAdd, kMsgRequestOffers}) {
		UserHost host([silent](UserHost&, const Request& r) { return r.type == silent; });
		std::shared_ptr<Connection> c;
		expect_timeout(
			[&] { return Connection::adopt(host.guest_fd(), false, kShort, c); });
		EXPECT_EQ(c, nullptr);
		EXPECT_TRUE(host.saw_end()) << silent;
	}
}

TEST(UserConnection, EachRequestHasADeadline)
{
	std::atomic<bool> silent = false;
	UserHost host([&](UserHost&, const Request&) { return silent.load(); });
	const auto c = connected(host, kShort);
	ASSERT_NE(c, nullptr);
	silent = true;
	uint32_t gpadl = 0;
	expect_timeout([&] { return c->add_memory(1 << 20, nullptr, 4096, host.guest_fd(), 0); });
	expect_timeout([&] { return c->remove_memory(1 << 20, 4096); });
	expect_timeout([&] { return c->create_gpadl(1, 1 << 20, 4096, gpadl); });
	expect_timeout([&] { return c->open_channel(1, 1, 1, 0, 1); });
	silent = false; /* and the connection lives */
	EXPECT_FALSE(c->create_gpadl(1, 1 << 20, 4096, gpadl));
}

TEST(UserConnection, HostThatDoesNotReadIsNotWaitedForLonger)
{
	std::atomic<bool> stuck = false;
	UserHost host([&](UserHost&, const Request&) {
		while (stuck)
			std::this_thread::sleep_for(1ms);
		return false;
	});
	const auto c = connected(host, kShort);
	ASSERT_NE(c, nullptr);
	stuck = true;
	for (int i = 0; i < 100000 && !c->disconnected(); i++) {
		const auto began = std::chrono::steady_clock::now();
		c->close_channel(1); /* no answer: fills the socket */
		if (std::chrono::steady_clock::now() - began >= kShort - 5ms)
			break;
	}
	expect_timeout([&] { return c->remove_memory(0, 4096); });
	stuck = false;
}

TEST(UserConnection, FailureStatusIsAnErrorAndSoIsAnUnknownOne)
{
	for (const uint32_t status : {1u, 2u, 3u, 4u, 5u, 6u, 0xffffffffu}) {
		std::atomic<bool> refuse = false;
		UserHost host([&](UserHost& h, const Request& r) {
			if (!refuse)
				return false;
			const Bytes& b = r.bytes;
			if (r.type == kMsgGpadl)
				h.send(message(kMsgGpadlCreated,
					       {get32(b, 8), get32(b, 12), status, 0}));
			else if (r.type == kMsgOpen)
				h.send(message(kMsgOpenResult,
					       {get32(b, 8), get32(b, 12), status, 0}));
			else
				h.send(mem_result(get64(b, 8), status));
			return true;
		});
		const auto c = connected(host);
		ASSERT_NE(c, nullptr);
		refuse = true;
		uint32_t gpadl;
		EXPECT_EQ(c->add_memory(1 << 20, nullptr, 4096, 0, 0).code, EPROTO);
		EXPECT_EQ(c->remove_memory(1 << 20, 4096).code, EPROTO);
		EXPECT_EQ(c->create_gpadl(1, 1 << 20, 4096, gpadl).code, EPROTO);
		const Error error = c->open_channel(1, 1, 1, 0, 1);
		EXPECT_EQ(error.code, EPROTO);
		EXPECT_NE(error.what.find(std::to_string(status)), std::string::npos);
	}
}

/* Two threads ask, the host answers both in the other order, with offers and old answers between.
 */
TEST(UserConnection, AnswersInAnyOrderFindTheirRequest)
{
	std::vector<Bytes> requests;
	UserHost host([&](UserHost& h, const Request& r) {
		if (r.type != kMsgGpadl)
			return false;
		requests.push_back(r.bytes);
		if (requests.size() == 2) {
			h.send(message(kMsgGpadlCreated, {1, 0x7777, 5, 0})); /* nobody's */
			h.send(mem_result(12345, 5));
			h.send(offer(9, 0));
			for (int i : {1, 0}) {
				const Bytes& b = requests[static_cast<size_t>(i)];
				h.send(message(kMsgGpadlCreated, {get32(b, 8), get32(b, 12),
								  get32(b, 8) == 1 ? 0u : 4u, 0}));
				h.send(message(kMsgRescind, {20u + static_cast<uint32_t>(i), 0}));
			}
		}
		return true;
	});
	const auto c = connected(host);
	ASSERT_NE(c, nullptr);
	(void)c->take_events();
	uint32_t first = 0, second = 0;
	std::thread other([&] { EXPECT_FALSE(c->create_gpadl(1, 1 << 20, 4096, first)); });
	EXPECT_EQ(c->create_gpadl(2, 1 << 21, 4096, second).code, EPROTO);
	other.join();
	EXPECT_NE(first, second);
	std::vector<Event> events; /* the last may come after both answers */
	for (int i = 0; i < 2000 && events.size() < 3; i++) {
		c->dispatch();
		for (const Event& e : c->take_events())
			events.push_back(e);
		std::this_thread::sleep_for(1ms);
	}
	ASSERT_EQ(events.size(), 3u);
	EXPECT_EQ(events[0].offer.relid, 9u);
	EXPECT_EQ(events[1].kind, Event::kRescind);
	EXPECT_EQ(events[1].relid, 21u);
	EXPECT_EQ(events[2].relid, 20u);
}

TEST(UserConnection, StrayAnswersPileUpToALimitAndHurtNobody)
{
	UserHost host([](UserHost& h, const Request& r) {
		if (r.type == kMsgGpadl)
			for (uint32_t i = 0; i < 200; i++)
				h.send(message(kMsgGpadlCreated, {1, 100000 + i, 5, 0}));
		return false;
	});
	const auto c = connected(host);
	ASSERT_NE(c, nullptr);
	uint32_t gpadl;
	for (int i = 0; i < 5; i++)
		EXPECT_FALSE(c->create_gpadl(1, 1 << 20, 4096, gpadl));
	EXPECT_FALSE(c->disconnected());
}

TEST(UserConnection, MessagesHaveTheFieldsOfTheSpecification)
{
	Bytes gpadl, open, add;
	UserHost host([&](UserHost&, const Request& r) {
		if (r.type == kMsgGpadl)
			gpadl = r.bytes;
		else if (r.type == kMsgOpen)
			open = r.bytes;
		else if (r.type == kMsgMemAdd)
			add = r.bytes;
		return false;
	});
	const auto c = connected(host);
	ASSERT_NE(c, nullptr);
	const uint64_t gpa = c->allocate_gpa(5000);
	EXPECT_EQ(c->allocate_gpa(1), gpa + 8192); /* whole pages */
	ASSERT_FALSE(c->add_memory(gpa, nullptr, 8192, 0, 4096));
	ASSERT_EQ(add.size(), 40u);
	EXPECT_EQ(get64(add, 8), gpa);
	EXPECT_EQ(get64(add, 16), 8192u);
	EXPECT_EQ(get64(add, 24), 4096u);
	EXPECT_EQ(get64(add, 32), 0u);
	uint32_t id = 0;
	ASSERT_FALSE(c->create_gpadl(3, gpa, 8192, id));
	EXPECT_NE(id, 0u);
	ASSERT_EQ(gpadl.size(), 40u);
	EXPECT_EQ(get32(gpadl, 8), 3u);
	EXPECT_EQ(get32(gpadl, 12), id);
	EXPECT_EQ(get32(gpadl, 16), 1u);
	EXPECT_EQ(get32(gpadl, 20), 0u);
	EXPECT_EQ(get64(gpadl, 24), gpa);
	EXPECT_EQ(get64(gpadl, 32), 8192u);
	ASSERT_FALSE(c->open_channel(3, id, 256, 0, 1));
	ASSERT_EQ(open.size(), 32u);
	EXPECT_EQ(get32(open, 8), 3u);
	EXPECT_EQ(get32(open, 16), id);
	EXPECT_EQ(get32(open, 20), 256u);
	EXPECT_EQ(get32(open, 28), 0u);
	c->close_channel(3);
	c->release_relid(3);
	EXPECT_TRUE(host.saw(kMsgReleased));
	EXPECT_EQ(host.open_count(), 0u);
	c->teardown_gpadl(3, id);
	EXPECT_EQ(host.gpadl_count(), 0u);
}

TEST(UserConnection, TheRightDescriptorsArrive)
{
	std::vector<ino_t> memory;
	std::vector<uint64_t> counters;
	UserHost host([&](UserHost&, const Request& r) {
		struct stat st {};
		if (r.type == kMsgMemAdd && ::fstat(r.fds.at(0), &st) == 0)
			memory.push_back(st.st_ino);
		if (r.type == kMsgOpen)
			for (const int fd : r.fds) {
				uint64_t n = 0;
				EXPECT_EQ(::read(fd, &n, 8), 8);
				counters.push_back(n);
			}
		return false;
	});
	const auto c = connected(host);
	ASSERT_NE(c, nullptr);
	const int fd = ::memfd_create("test", 0);
	ASSERT_EQ(::ftruncate(fd, 4096), 0);
	struct stat st {};
	ASSERT_EQ(::fstat(fd, &st), 0);
	ASSERT_FALSE(c->add_memory(1 << 20, nullptr, 4096, fd, 0));
	ASSERT_EQ(memory.size(), 2u); /* the monitor page's came first */
	EXPECT_EQ(memory[1], st.st_ino);
	::close(fd);
	/* Eventfds share one inode: they are told apart by their counters. */
	const int guest = ::eventfd(11, 0), other = ::eventfd(22, 0);
	ASSERT_FALSE(c->open_channel(1, 1, 1, guest, other));
	EXPECT_EQ(counters, (std::vector<uint64_t>{11, 22}));
	::close(guest);
	::close(other);
}

TEST(UserConnection, SameAddressSpacePassesAddressesOnly)
{
	Bytes add;
	size_t fds = 99;
	UserHost host([&](UserHost&, const Request& r) {
		if (r.type == kMsgMemAdd) {
			add = r.bytes;
			fds = r.fds.size();
		}
		return false;
	});
	std::shared_ptr<Connection> c;
	ASSERT_FALSE(Connection::adopt(host.guest_fd(), true, kTimeout, c));
	int here = 0;
	ASSERT_FALSE(c->add_memory(1 << 20, &here, 4096, -1, 77));
	EXPECT_EQ(get64(add, 24), reinterpret_cast<uint64_t>(&here));
	EXPECT_EQ(get32(add, 32), 1u);
	EXPECT_EQ(fds, 0u);
}

/* A host in this process looks into the guest's memory until it has answered. */
TEST(UserConnection, UnloadIsSaidAndAwaitedInTheSameAddressSpace)
{
	for (const bool same : {false, true}) {
		std::atomic<bool> answered = false;
		UserHost host([&](UserHost&, const Request& r) {
			if (r.type == kMsgUnload) {
				std::this_thread::sleep_for(50ms);
				answered = true;
			}
			return r.type == kMsgUnload && !same; /* may answer, or not */
		});
		std::shared_ptr<Connection> c;
		ASSERT_FALSE(Connection::adopt(host.guest_fd(), same, kTimeout, c));
		c.reset();
		EXPECT_TRUE(!same || answered);
		EXPECT_TRUE(host.saw(kMsgUnload));
		EXPECT_TRUE(host.saw_end());
	}
}

/* Where memory has no descriptors, a host may be reached by its path all the same. */
TEST(UserConnection, HostOfThisProcessIsToldAddressesIfItMayBe)
{
	for (const bool by_address : {false, true}) {
		sockaddr_un address{};
		address.sun_family = AF_UNIX;
		std::snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/vmbus-test-%d",
			      static_cast<int>(::getpid()));
		const int listener = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
			  0);
		ASSERT_EQ(::listen(listener, 1), 0);
		std::shared_ptr<Connection> c;
		std::thread guest([&] {
			EXPECT_FALSE(Connection::connect(address.sun_path, kTimeout, c, nullptr,
							 by_address));
		});
		UserHost host(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
		guest.join();
		ASSERT_NE(c, nullptr);
		EXPECT_EQ(c->same_address_space(), by_address);
		c.reset();
		::close(listener);
		::unlink(address.sun_path);
	}
}

TEST(UserConnection, ConnectSaysWhatIsWrongWithThePath)
{
	const size_t before = open_descriptors();
	std::shared_ptr<Connection> c;
	EXPECT_EQ(Connection::connect("", kTimeout, c).code, EINVAL);
	EXPECT_EQ(Connection::connect(std::string(108, 'x'), kTimeout, c).code, EINVAL);
	const Error error = Connection::connect("/nonexistent/socket", kTimeout, c);
	EXPECT_EQ(error.code, ENOENT);
	EXPECT_NE(error.what.find("/nonexistent/socket"), std::string::npos);
	EXPECT_EQ(open_descriptors(), before);
}

} // namespace
} // namespace vmbus::test
