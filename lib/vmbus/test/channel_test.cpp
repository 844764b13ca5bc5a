/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmbus/channel.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include <memory>

namespace vmbus::test {
namespace {

TEST(Doorbell, WritesTheValueInItsWidth)
{
	int ends[2];
	ASSERT_EQ(::pipe(ends), 0);
	DescriptorSlot slot;
	ASSERT_FALSE(slot.take(ends[1]));
	uint8_t got[16];
	Doorbell(slot.number(), 1, 8).ring();
	ASSERT_EQ(::read(ends[0], got, sizeof(got)), 8);
	EXPECT_EQ(got[0], 1);
	EXPECT_EQ(got[7], 0);
	Doorbell(slot.number(), 1, 4).ring(); /* as device nodes of the kernel want it */
	ASSERT_EQ(::read(ends[0], got, sizeof(got)), 4);
	EXPECT_EQ(got[0], 1);
	EXPECT_EQ(got[3], 0);
	::close(ends[0]);
	::close(ends[1]);
}

TEST(Doorbell, FullEventfdDoesNotBlock)
{
	const int fd = ::eventfd(0, EFD_NONBLOCK);
	const uint64_t full = ~uint64_t{0} - 1;
	ASSERT_EQ(::write(fd, &full, 8), 8);
	DescriptorSlot slot;
	ASSERT_FALSE(slot.take(fd));
	Doorbell bell(slot.number(), 1, 8);
	bell.ring(); /* one signal is pending, which is as good */
	uint64_t value = 0;
	ASSERT_EQ(::read(fd, &value, 8), 8);
	EXPECT_EQ(value, full);
	bell.ring();
	ASSERT_EQ(::read(fd, &value, 8), 8);
	EXPECT_EQ(value, 1u);
	::close(fd);
}

TEST(Doorbell, MakesARequestOfTheDriver)
{
	int ends[2];
	ASSERT_EQ(::pipe(ends), 0);
	DescriptorSlot slot;
	ASSERT_FALSE(slot.take(ends[1]));
	/* A request that any descriptor knows, and whose value shows. */
	Doorbell(slot.number(), Doorbell::Request{FIONBIO, 1}).ring();
	EXPECT_NE(::fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
	Doorbell(slot.number(), Doorbell::Request{FIONBIO, 0}).ring();
	EXPECT_EQ(::fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
	::close(ends[1]);
	uint8_t byte;
	EXPECT_EQ(::read(ends[0], &byte, 1), 0) << "and nothing was written";
	::close(ends[0]);
}

TEST(Doorbell, MonitorIdIsABitOfAGroup)
{
	for (const uint32_t id : {0u, 1u, 31u, 32u, 63u, 64u, 95u, 96u, 127u}) {
		std::unique_ptr<uint32_t[]> page(new uint32_t[1024]());
		Doorbell bell(reinterpret_cast<MonitorPage*>(page.get()), static_cast<uint8_t>(id));
		page[2 + id / 32 * 2] = 1u << ((id + 7) % 32); /* another channel's stays */
		bell.ring();
		bell.ring();
		for (uint32_t word = 0; word < 1024; word++) {
			const uint32_t expected =
				word == 2 + id / 32 * 2 ? 1u << id % 32 | 1u << (id + 7) % 32 : 0;
			ASSERT_EQ(page[word], expected) << id << " " << word;
		}
	}
}

TEST(Doorbell, UnsetOneDoesNothing)
{
	Doorbell().ring();
	Channel channel;
	channel.doorbell.ring();
	EXPECT_EQ(channel.event_fd, -1);
}

} // namespace
} // namespace vmbus::test
