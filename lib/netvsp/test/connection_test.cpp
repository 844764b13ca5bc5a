/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsp/connection.hpp"

#include "fixture.hpp"

#include <fcntl.h>

using namespace test;

namespace {

class ConnectionTest : public Fixture {
      protected:
	void contact()
	{
		std::string error;
		auto owned = std::make_unique<QueueEndpoint>();
		ASSERT_TRUE(host.add_nic({}, std::move(owned), nic, error));
		guest = std::make_unique<Guest>([this] { host.poll(); });
		guest->connect(host);
	}
};

TEST_F(ConnectionTest, MustStartWithContact)
{
	contact();
	guest->request(vu::Type::kRequestOffers, vu::RequestOffers{{}, 0});
	EXPECT_TRUE(guest->dropped());
	EXPECT_FALSE(host.guest_connected());
}

TEST_F(ConnectionTest, RefusesOtherVersionsAndLetsTheGuestTryAgain)
{
	contact();
	guest->request(vu::Type::kInitiateContact, vu::InitiateContact{{}, vu::kMagic, 99});
	vu::VersionResponse v{};
	ASSERT_TRUE(guest->expect(vu::Type::kVersionResponse, v));
	EXPECT_EQ(0u, v.accepted);
	EXPECT_EQ(vu::kVersion, v.version);
	guest->hello();
}

TEST_F(ConnectionTest, DropsWhatItCannotMean)
{
	struct Case {
		vu::Header header;
		size_t sent;
	};
	for (const Case& c :
	     {Case{{vu::Type::kInitiateContact, 8}, 8}, Case{{vu::Type::kRequestOffers, 99}, 16},
	      Case{{vu::Type(4711), 8}, 8}, Case{{vu::Type::kMemAdd, 48}, 48},
	      Case{{vu::Type::kOpenChannel, 8}, 8}, Case{{vu::Type::kGpadlHeader, 8}, 8},
	      Case{{vu::Type::kCloseChannel, 16}, 16}, Case{{vu::Type::kRelidReleased, 16}, 16},
	      Case{{vu::Type::kOfferChannel, 80}, 80}, Case{{vu::Type::kInitiateContact, 16}, 4}}) {
		netvsp::Host h;
		Guest g([&] { h.poll(); });
		g.connect(h);
		g.hello();
		std::vector<uint8_t> bytes(c.sent);
		memcpy(bytes.data(), &c.header, std::min(sizeof(c.header), c.sent));
		g.send_raw(bytes.data(), bytes.size());
		EXPECT_TRUE(g.dropped()) << uint32_t(c.header.type) << " " << c.header.size;
	}
}

TEST_F(ConnectionTest, ClosesSurplusDescriptors)
{
	contact();
	guest->hello();
	auto open_fds = [] {
		int n = 0;
		for (int fd = 0; fd < 256; fd++)
			n += fcntl(fd, F_GETFD) >= 0;
		return n;
	};
	int before = open_fds();
	std::vector<int> many(20, guest->fd);
	for (int i = 0; i < 5; i++) {
		guest->request(vu::Type::kMemAdd, vu::MemAdd{{}, 0x1000, 0x1000, 0, 0, 0}, many);
		vu::MemResult r{};
		ASSERT_TRUE(guest->expect(vu::Type::kMemResult, r));
		EXPECT_EQ(vu::Status::kBadArgument, r.status);
		guest->request(vu::Type::kCloseChannel,
			       vu::ChannelId{{}, guest->offers[0].relid, 0}, {guest->fd});
		host.poll();
	}
	EXPECT_EQ(before, open_fds());
}

TEST_F(ConnectionTest, SameAddressSpaceIsForThisProcess)
{
	contact();
	guest->hello();
	alignas(4096) static uint8_t page[4096];
	guest->request(vu::Type::kMemAdd,
		       vu::MemAdd{{}, 0x1000, 4096, uint64_t(page), vu::kMemSameAddressSpace, 0});
	vu::MemResult r{};
	ASSERT_TRUE(guest->expect(vu::Type::kMemResult, r));
	EXPECT_EQ(vu::Status::kOk, r.status);
	guest->request(vu::Type::kMemAdd, vu::MemAdd{{}, 0x2000, 4096, uint64_t(page), 6, 0});
	ASSERT_TRUE(guest->expect(vu::Type::kMemResult, r));
	EXPECT_EQ(vu::Status::kBadArgument, r.status);
}

TEST_F(ConnectionTest, MemoryInUseStays)
{
	contact();
	guest->hello();
	uint32_t relid = guest->offers[0].relid;
	ASSERT_EQ(vu::Status::kOk, guest->gpadl(relid, 9, {{kGpa + 0x2000, 0x3000}}));
	guest->request(vu::Type::kMemRemove, vu::MemRemove{{}, kGpa, kMemory});
	vu::MemResult r{};
	ASSERT_TRUE(guest->expect(vu::Type::kMemResult, r));
	EXPECT_EQ(vu::Status::kBadState, r.status);
	guest->gpadl_teardown(relid, 9);
	guest->request(vu::Type::kMemRemove, vu::MemRemove{{}, kGpa, kMemory});
	ASSERT_TRUE(guest->expect(vu::Type::kMemResult, r));
	EXPECT_EQ(vu::Status::kOk, r.status);
	guest->request(vu::Type::kMemRemove, vu::MemRemove{{}, kGpa, kMemory});
	ASSERT_TRUE(guest->expect(vu::Type::kMemResult, r));
	EXPECT_EQ(vu::Status::kUnknownId, r.status);
}

TEST_F(ConnectionTest, GpadlChecks)
{
	contact();
	guest->hello();
	uint32_t relid = guest->offers[0].relid;
	using R = std::vector<vu::GpaRun>;
	EXPECT_EQ(vu::Status::kUnknownId, guest->gpadl(relid + 7, 1, R{{kGpa, 4096}}));
	EXPECT_EQ(vu::Status::kBadArgument, guest->gpadl(relid, 0, R{{kGpa, 4096}}));
	EXPECT_EQ(vu::Status::kBadArgument, guest->gpadl(relid, 1, R{}));
	EXPECT_EQ(vu::Status::kBadArgument, guest->gpadl(relid, 1, R{{kGpa + 1, 4096}}));
	EXPECT_EQ(vu::Status::kBadArgument, guest->gpadl(relid, 1, R{{kGpa, 0}}));
	EXPECT_EQ(vu::Status::kBadArgument, guest->gpadl(relid, 1, R{{kGpa, kMemory + 4096}}));
	EXPECT_EQ(vu::Status::kNoResource,
		  guest->gpadl(relid, 1, R{{kGpa, 4096}, {kGpa + 8192, 4096}}));
	EXPECT_EQ(vu::Status::kOk, guest->gpadl(relid, 1, R{{kGpa, 4096}, {kGpa + 4096, 4096}}));
	EXPECT_EQ(vu::Status::kBadArgument, guest->gpadl(relid, 1, R{{kGpa, 4096}}));
}

TEST_F(ConnectionTest, OpenChecks)
{
	contact();
	guest->hello();
	uint32_t relid = guest->offers[0].relid;
	ASSERT_EQ(vu::Status::kOk, guest->gpadl(relid, 9, {{kGpa + 0x100000, 0x10000}}));
	int a = eventfd(0, EFD_CLOEXEC), b = eventfd(0, EFD_CLOEXEC);
	auto open = [&](uint32_t id, uint32_t gpadl, uint32_t pages, std::vector<int> fds) {
		guest->request(vu::Type::kOpenChannel,
			       vu::OpenChannel{{}, id, 3, gpadl, pages, 0, 0}, fds);
		vu::OpenResult r{};
		EXPECT_TRUE(guest->expect(vu::Type::kOpenResult, r));
		EXPECT_EQ(3u, r.open_id);
		return r.status;
	};
	EXPECT_EQ(vu::Status::kUnknownId, open(relid + 1, 9, 8, {a, b}));
	EXPECT_EQ(vu::Status::kUnknownId, open(relid, 8, 8, {a, b}));
	EXPECT_EQ(vu::Status::kBadArgument, open(relid, 9, 8, {a}));
	EXPECT_EQ(vu::Status::kBadArgument, open(relid, 9, 8, {}));
	EXPECT_EQ(vu::Status::kBadArgument, open(relid, 9, 8, {a, guest->fd}));
	EXPECT_EQ(vu::Status::kBadArgument, open(relid, 9, 0, {a, b}));
	EXPECT_EQ(vu::Status::kBadArgument, open(relid, 9, 1, {a, b}));
	EXPECT_EQ(vu::Status::kBadArgument, open(relid, 9, 15, {a, b}));
	EXPECT_EQ(vu::Status::kBadArgument, open(relid, 9, 16, {a, b}));
	EXPECT_EQ(vu::Status::kBadArgument, open(relid, 9, 0xffffffff, {a, b}));
	EXPECT_EQ(vu::Status::kOk, open(relid, 9, 8, {a, b}));
	EXPECT_EQ(vu::Status::kBadState, open(relid, 9, 8, {a, b}));
	close(a);
	close(b);
}

TEST_F(ConnectionTest, UnloadStartsOver)
{
	contact();
	guest->hello();
	guest->up();
	guest->request(vu::Type::kUnload, vu::Bare{});
	vu::Bare b{};
	ASSERT_TRUE(guest->expect(vu::Type::kUnloadResponse, b));
	EXPECT_EQ(0u, stats().channels_open);
	guest->offers.clear();
	guest->hello();
	guest->up();
	EXPECT_EQ(1u, stats().channels_open);
}

TEST_F(ConnectionTest, TeardownOfBuffersInUseStopsTheChannel)
{
	contact();
	guest->hello();
	guest->up();
	guest->gpadl_teardown(guest->primary, 50);
	EXPECT_EQ(1u, stats().protocol_errors);
	guest->gpadl_teardown(guest->primary, 100);
	EXPECT_EQ(0u, stats().channels_open);
	EXPECT_FALSE(guest->dropped());
}

TEST_F(ConnectionTest, GuestThatNeverReadsIsDropped)
{
	contact();
	guest->hello();
	for (int i = 0; i < 20000 && host.guest_connected(); i++) {
		vu::MemRemove m{{vu::Type::kMemRemove, sizeof(m)}, 0x1000, 0x1000};
		if (os::send_message(guest->fd, &m, sizeof(m), MSG_DONTWAIT) < 0 &&
		    errno != EAGAIN)
			break;
		host.poll();
	}
	EXPECT_FALSE(host.guest_connected());
}

} // namespace
