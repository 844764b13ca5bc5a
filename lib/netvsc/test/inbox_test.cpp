/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsc/inbox.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <thread>
#include <vector>

namespace netvsc::test {
namespace {

using Bytes = std::vector<uint8_t>;

std::vector<Bytes> all(Inbox& inbox)
{
	std::vector<Bytes> out;
	inbox.pop_all([&](const Inbox::Entry& e) { out.emplace_back(e.data, e.data + e.length); });
	return out;
}

TEST(Inbox, KeepsOrderAndRefusesWhatDoesNotFit)
{
	auto inbox = std::make_unique<Inbox>();
	EXPECT_TRUE(all(*inbox).empty());
	for (uint8_t round = 0; round < 5; round++) {
		for (uint8_t i = 0; i < Inbox::kEntries; i++) {
			EXPECT_FALSE(inbox->full());
			const uint8_t bytes[2] = {round, i};
			EXPECT_TRUE(inbox->push(Inbox::Kind::kRndis, 0, bytes, 2));
		}
		EXPECT_TRUE(inbox->full());
		const uint8_t more = 99;
		EXPECT_FALSE(inbox->push(Inbox::Kind::kRndis, 0, &more, 1));
		const std::vector<Bytes> got = all(*inbox);
		ASSERT_EQ(got.size(), size_t{Inbox::kEntries});
		for (uint8_t i = 0; i < Inbox::kEntries; i++)
			EXPECT_EQ(got[i], (Bytes{round, i}));
	}
}

TEST(Inbox, LongMessagesAreCut)
{
	auto inbox = std::make_unique<Inbox>();
	const Bytes large(10000, 7);
	EXPECT_TRUE(inbox->push(Inbox::Kind::kMessage, 3, large.data(), 10000));
	inbox->pop_all([](const Inbox::Entry& e) {
		EXPECT_EQ(e.kind, Inbox::Kind::kMessage);
		EXPECT_EQ(e.id, 3u);
		EXPECT_EQ(e.length, kMaxControl);
	});
}

TEST(Inbox, WakesUnlessSomebodyAttends)
{
	auto inbox = std::make_unique<Inbox>();
	const int fd = ::eventfd(0, EFD_NONBLOCK);
	vmbus::DescriptorSlot slot;
	ASSERT_FALSE(slot.take(fd));
	const uint8_t byte = 1;
	uint64_t value = 0;
	EXPECT_TRUE(inbox->push(Inbox::Kind::kMessage, 0, &byte, 1)); /* nobody to wake */
	inbox->set_wake(slot.number());
	EXPECT_TRUE(inbox->push(Inbox::Kind::kMessage, 0, &byte, 1));
	EXPECT_EQ(::read(fd, &value, 8), 8);
	EXPECT_EQ(value, 1u);
	inbox->attend(true);
	EXPECT_TRUE(inbox->push(Inbox::Kind::kMessage, 0, &byte, 1));
	EXPECT_EQ(::read(fd, &value, 8), -1);
	inbox->attend(false);
	EXPECT_TRUE(inbox->push(Inbox::Kind::kMessage, 0, &byte, 1));
	EXPECT_EQ(::read(fd, &value, 8), 8);
	::close(fd);
}

TEST(InboxThreads, NothingIsLostOrTorn)
{
	constexpr uint32_t kMessages = 20000;
	auto inbox = std::make_unique<Inbox>();
	std::thread producer([&] {
		for (uint32_t n = 0; n < kMessages;) {
			const Bytes bytes(1 + n % 200, static_cast<uint8_t>(n));
			if (inbox->push(Inbox::Kind::kRndis, n, bytes.data(), 1 + n % 200))
				n++;
			else
				std::this_thread::yield();
		}
	});
	uint32_t n = 0;
	uint32_t wrong = 0;
	while (n < kMessages)
		inbox->pop_all([&](const Inbox::Entry& e) {
			wrong += e.id != n || e.length != 1 + n % 200 ||
				 e.data[0] != static_cast<uint8_t>(n) ||
				 e.data[e.length - 1] != static_cast<uint8_t>(n);
			n++;
		});
	producer.join();
	EXPECT_EQ(wrong, 0u);
}

} // namespace
} // namespace netvsc::test
