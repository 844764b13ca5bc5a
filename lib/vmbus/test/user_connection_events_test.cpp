/* SPDX-License-Identifier: BSD-3-Clause */
/* What a host sends unasked: events, nonsense, its end. */
#include <poll.h>

#include <stdexcept>

#include "os/test/descriptors.hpp"
#include "user_host.hpp"
#include "vmbus/user_connection.hpp"

namespace vmbus::test {
namespace {

using namespace std::chrono_literals;
using os::test::open_descriptors;
using user::Connection;
using user::Event;
using Request = UserHost::Request;

constexpr Milliseconds kTimeout = 5000ms;

struct Connected {
	explicit Connected(UserHost::Script script = nullptr) : host(std::move(script))
	{
		const Error error = Connection::adopt(host.guest_fd(), false, kTimeout, c);
		if (error)
			throw std::runtime_error(error.what);
		(void)c->take_events();
	}
	/* The host sends from the test's thread: what was sent is there when send() returns. */
	UserHost host;
	std::shared_ptr<Connection> c;
};

TEST(UserConnectionEvents, OffersAndRescindsInOrder)
{
	Connected t;
	Bytes unterminated = offer(5, 3);
	std::fill(unterminated.begin() + 48, unterminated.end(), 'x');
	t.host.send(unterminated);
	t.host.send(message(kMsgRescind, {1, 0}));
	t.host.send(offer(6, 0));
	EXPECT_TRUE(t.c->take_events().empty()); /* nothing before dispatch() */
	t.c->dispatch();
	const auto events = t.c->take_events();
	ASSERT_EQ(events.size(), 3u);
	EXPECT_EQ(events[0].offer.subchannel_index, 3);
	EXPECT_EQ(std::string(events[0].offer.name), std::string(31, 'x'));
	EXPECT_EQ(events[1].kind, Event::kRescind);
	EXPECT_EQ(events[1].relid, 1u);
	EXPECT_EQ(events[2].offer.relid, 6u);
}

TEST(UserConnectionEvents, AHostThatNeverEndsIsLeft)
{
	Connected t;
	uint32_t sent = 0;
	while (!t.c->disconnected() && sent < 20000) {
		for (uint32_t i = 0; i < 32; i++)
			t.host.send(message(kMsgRescind, {++sent, 0}));
		t.c->dispatch();
	}
	EXPECT_TRUE(t.c->disconnected());
	const auto events = t.c->take_events();
	ASSERT_FALSE(events.empty());
	EXPECT_LT(events.size(), 20000u);
	EXPECT_EQ(events.back().kind, Event::kDisconnected);
}

TEST(UserConnectionEvents, NotifiesOnceUntilTheyAreTaken)
{
	Connected t;
	int calls = 0;
	t.c->set_notify([&] { calls++; });
	EXPECT_EQ(calls, 0);
	t.c->dispatch();
	EXPECT_EQ(calls, 0);
	for (uint32_t i = 0; i < 3; i++)
		t.host.send(offer(10 + i, 0));
	t.c->dispatch();
	EXPECT_EQ(calls, 1);
	t.host.send(offer(20, 0));
	t.c->dispatch();
	EXPECT_EQ(calls, 1); /* it knows already */
	EXPECT_EQ(t.c->take_events().size(), 4u);
	t.c->dispatch();
	EXPECT_EQ(calls, 1);
	t.host.send(message(kMsgRescind, {20, 0}));
	t.c->dispatch();
	EXPECT_EQ(calls, 2);
}

TEST(UserConnectionEvents, NotifiesOfWhatCameBefore)
{
	Connected t;
	t.host.send(offer(10, 0));
	t.c->dispatch();
	int calls = 0;
	t.c->set_notify([&] { calls++; });
	EXPECT_EQ(calls, 1);
	t.c->set_notify(nullptr);
	(void)t.c->take_events();
	t.host.send(offer(11, 0));
	t.c->dispatch();
	EXPECT_EQ(calls, 1);
}

/* The callback may do all that a driver does then: no lock is held. */
TEST(UserConnectionEvents, CallbackMayUseTheConnection)
{
	Connected t([](UserHost& h, const Request& r) {
		if (r.type == kMsgGpadl && get32(r.bytes, 8) == 1)
			h.send(offer(10, 0));
		return false;
	});
	uint32_t inner = 0, outer = 0;
	t.c->set_notify([&] {
		EXPECT_EQ(t.c->take_events().size(), 1u);
		EXPECT_FALSE(t.c->create_gpadl(2, 1 << 20, 4096, inner));
	});
	EXPECT_FALSE(t.c->create_gpadl(1, 1 << 20, 4096, outer));
	EXPECT_NE(inner, 0u);
}

TEST(UserConnectionEvents, EndOfTheHostIsAnEvent)
{
	Connected t;
	int calls = 0;
	t.c->set_notify([&] { calls++; });
	t.host.send(message(kMsgRescind, {1, 0}));
	t.host.stop();
	pollfd p{t.c->fd(), POLLIN, 0};
	EXPECT_EQ(::poll(&p, 1, 1000), 1);
	t.c->dispatch();
	EXPECT_TRUE(t.c->disconnected());
	EXPECT_EQ(calls, 1);
	const auto events = t.c->take_events();
	ASSERT_EQ(events.size(), 2u); /* what came before its end is not lost */
	EXPECT_EQ(events[0].kind, Event::kRescind);
	EXPECT_EQ(events[1].kind, Event::kDisconnected);
	t.c->dispatch();
	EXPECT_TRUE(t.c->take_events().empty()); /* told once */
	uint32_t gpadl;
	EXPECT_EQ(t.c->create_gpadl(1, 1 << 20, 4096, gpadl).code, ENOTCONN);
	t.c->close_channel(1);
	t.c->teardown_gpadl(1, 1);
	t.c->release_relid(1);
}

TEST(UserConnectionEvents, HostThatDiesDuringARequestIsNotWaitedFor)
{
	Connected t([](UserHost& h, const Request& r) {
		if (r.type == kMsgGpadl)
			h.hang_up();
		return r.type == kMsgGpadl;
	});
	const auto began = std::chrono::steady_clock::now();
	uint32_t gpadl;
	int calls = 0;
	t.c->set_notify([&] { calls++; });
	EXPECT_EQ(t.c->create_gpadl(1, 1 << 20, 4096, gpadl).code, ENOTCONN);
	EXPECT_LT(std::chrono::steady_clock::now() - began, kTimeout / 2);
	EXPECT_EQ(calls, 1);
}

TEST(UserConnectionEvents, EmptyDatagramCountsAsTheEnd)
{
	Connected t;
	t.host.send(Bytes());
	pollfd p{t.c->fd(), POLLIN, 0};
	if (::poll(&p, 1, 0) == 0)
		GTEST_SKIP() << "this system's sockets have none";
	t.c->dispatch();
	EXPECT_TRUE(t.c->disconnected());
}

std::vector<Bytes> malformed()
{
	std::vector<Bytes> bad;
	bad.push_back(Bytes(1));
	bad.push_back(Bytes(7));
	bad.push_back(Bytes(8));
	bad.push_back(Bytes(2000));
	Bytes long_one = message(kMsgOffer);
	long_one.resize(60000);
	put32(long_one, 4, 60000);
	bad.push_back(long_one);
	/* Every message to a guest: cut, with something behind it, or lying about its size. */
	for (const Bytes& good :
	     {offer(9, 0), message(kMsgRescind, {1, 0}), message(kMsgAllOffers),
	      message(kMsgOpenResult, {1, 1, 0, 0}), message(kMsgGpadlCreated, {1, 1, 0, 0}),
	      message(kMsgTorndown, {1, 1}), message(kMsgVersion, {1, 1}), mem_result(1, 0),
	      message(17)}) {
		for (const int change : {-4, 4}) {
			Bytes b = good;
			b.resize(static_cast<size_t>(static_cast<int>(b.size()) + change));
			bad.push_back(b);
			if (b.size() >= 8) {
				put32(b, 4, static_cast<uint32_t>(b.size()));
				bad.push_back(b);
			}
			b = good;
			put32(b, 4, static_cast<uint32_t>(static_cast<int>(b.size()) + change));
			bad.push_back(b);
		}
	}
	/* Unknown numbers, and those that only a guest sends. */
	for (const uint32_t type : {0u, 3u, 5u, 7u, 8u, 9u, 11u, 13u, 14u, 16u, 18u, 0x1000u,
				    0x1001u, 0x1002u, 0x1004u, 0xffffffffu})
		bad.push_back(message(type));
	return bad;
}

TEST(UserConnectionEvents, NonsenseEndsTheConnection)
{
	int i = 0;
	for (const Bytes& b : malformed()) {
		Connected t;
		t.host.send(b);
		t.c->dispatch();
		EXPECT_TRUE(t.c->disconnected()) << i;
		const auto events = t.c->take_events();
		ASSERT_EQ(events.size(), 1u) << i;
		EXPECT_EQ(events[0].kind, Event::kDisconnected) << i;
		uint32_t gpadl;
		EXPECT_EQ(t.c->create_gpadl(1, 1 << 20, 4096, gpadl).code, ENOTCONN);
		i++;
	}
}

/* "Whoever notices closes the socket." */
TEST(UserConnectionEvents, HostLearnsThatTheConnectionEnded)
{
	Connected t;
	t.host.send(message(999));
	t.c->dispatch();
	EXPECT_TRUE(t.host.saw_end());
}

TEST(UserConnectionEvents, NonsenseDuringTheHandshakeFailsIt)
{
	for (const Bytes& b : malformed()) {
		UserHost host([&](UserHost& h, const Request&) {
			(void)h.try_send(b);
			return true;
		});
		std::shared_ptr<Connection> c;
		EXPECT_EQ(Connection::adopt(host.guest_fd(), false, kTimeout, c).code, ENOTCONN);
		EXPECT_TRUE(host.saw_end());
	}
}

TEST(UserConnectionEvents, DescriptorsNobodyAskedForAreClosed)
{
	Connected t;
	const size_t before = open_descriptors();
	Bytes b = offer(9, 0);
	for (int i = 0; i < 3; i++)
		EXPECT_TRUE(t.host.send_with_descriptor(b, 0));
	t.c->dispatch();
	EXPECT_EQ(t.c->take_events().size(), 3u);
	EXPECT_EQ(open_descriptors(), before);
}

/* A host that never pauses must not keep a request from its deadline. */
TEST(UserConnectionEvents, FloodDoesNotOutliveTheDeadline)
{
	std::atomic<bool> flood = false, stop = false;
	UserHost host([&](UserHost&, const Request& r) {
		flood = flood || r.type == kMsgGpadl;
		return r.type == kMsgGpadl;
	});
	std::shared_ptr<Connection> c;
	ASSERT_FALSE(Connection::adopt(host.guest_fd(), false, 400ms, c));
	std::thread flooder([&] {
		const Bytes b = offer(9, 0);
		const auto give_up = std::chrono::steady_clock::now() + 20s;
		while (!stop && std::chrono::steady_clock::now() < give_up)
			if (flood)
				(void)host.try_send(b);
	});
	const auto began = std::chrono::steady_clock::now();
	uint32_t gpadl;
	EXPECT_NE(c->create_gpadl(1, 1 << 20, 4096, gpadl).code, 0);
	EXPECT_LT(std::chrono::steady_clock::now() - began, 10s);
	stop = true;
	flooder.join();
}

/* The control thread asks while the interrupt thread dispatches. */
TEST(UserConnectionThreads, RequestsAndDispatchTogether)
{
	Connected t([](UserHost& h, const Request& r) {
		if (r.type == kMsgGpadl)
			h.send(offer(get32(r.bytes, 12) + 1000, 0));
		return false;
	});
	std::atomic<uint32_t> offers = 0;
	t.c->set_notify([&] { offers += static_cast<uint32_t>(t.c->take_events().size()); });
	std::atomic<bool> stop = false;
	std::thread dispatcher([&] {
		while (!stop)
			t.c->dispatch();
	});
	std::thread other([&] {
		uint32_t gpadl;
		for (int i = 0; i < 200; i++)
			EXPECT_FALSE(t.c->create_gpadl(1, 1 << 20, 4096, gpadl));
	});
	uint32_t gpadl;
	for (int i = 0; i < 200; i++)
		EXPECT_FALSE(t.c->create_gpadl(1, 1 << 20, 4096, gpadl));
	other.join();
	stop = true;
	dispatcher.join();
	t.c->dispatch();
	offers += static_cast<uint32_t>(t.c->take_events().size());
	EXPECT_EQ(offers, 400u);
}

} // namespace
} // namespace vmbus::test
