/* SPDX-License-Identifier: BSD-3-Clause */
/* Subchannels of a device of hv_uio(4), and its events. */
#include <poll.h>

#include <thread>

#include "hv_uio_fake.hpp"
#include "vmbus/hv_uio_device.hpp"

using namespace vmbus;
using namespace vmbus::test;
using namespace std::chrono_literals;

namespace {

class HvUioChannelTest : public ::testing::Test {
      protected:
	HvUioChannelTest()
	{
		os.info.flags = HV_UIO_INFO_PAGES;
		os.info.region[HV_UIO_MAP_MONITOR].size = 4096;
		os.info.monitor_id = 0;
		std::vector<std::string> errors;
		device = std::make_unique<uio::HvUioDevice>(scan_hv_uio(errors, os).at(0), Region(),
							    kGpaUnknown, os);
		EXPECT_EQ(device->open(1s).what, "");
	}

	~HvUioChannelTest() override
	{
		device.reset();
		EXPECT_EQ(os.open_files(), 0u);
		EXPECT_EQ(os.mapped_bytes(), 0u);
	}

	Error open(uint16_t index, Milliseconds timeout = 1s)
	{
		return device->open_subchannel(index, timeout, channel);
	}
	static bool readable(const Channel& c)
	{
		pollfd p = {c.event_fd, POLLIN, 0};
		return ::poll(&p, 1, 0) == 1;
	}
	/** The host writes something and signals: the kernel masks the ring, and counts an event.
	 */
	void signal(uint32_t relid, uint64_t size)
	{
		auto* rx = os.look<RingControl>(relid, HV_UIO_MAP_RINGS, size / 2);
		rx->in = 32;
		rx->interrupt_mask = 1;
		os.notify();
	}

	FakeFreeBsd os;
	std::unique_ptr<uio::HvUioDevice> device;
	Channel* channel = nullptr;
};

TEST_F(HvUioChannelTest, OpensByIndex)
{
	os.offered[1] = {31, 127, 64 << 10};
	os.offered[2] = {4000, HV_UIO_NO_MONITOR, 32 << 10};
	ASSERT_EQ(open(2).what, "");
	EXPECT_EQ(channel->relid, 4000u);
	EXPECT_EQ(channel->subchannel_index, 2);
	EXPECT_EQ(channel->rx.size(), (16u << 10) - 4096);
	channel->doorbell.ring();
	EXPECT_EQ(os.signals, std::vector<uint32_t>{4000});
	ASSERT_EQ(open(1).what, "");
	EXPECT_EQ(channel->relid, 31u);
	EXPECT_EQ(channel->rx.size(), (32u << 10) - 4096);
	channel->doorbell.ring();
	EXPECT_EQ(os.look<MonitorPage>(0, HV_UIO_MAP_MONITOR)->trigger_group[3].pending, 1u << 31);
	EXPECT_EQ(os.signals.size(), 1u);
	std::memset(channel->tx.begin(32), 0, 32);
	channel->tx.end();
	EXPECT_TRUE(channel->tx.publish());
	EXPECT_EQ(os.look<RingControl>(31, HV_UIO_MAP_RINGS)->in, 40u);
	EXPECT_EQ(open(1).code, EEXIST);
	EXPECT_EQ(open(0).code, EINVAL);
	device->close();
	EXPECT_EQ(open(1).code, EINVAL);
	EXPECT_EQ(os.mapped_bytes(), 0u);
}

TEST_F(HvUioChannelTest, ComesLate)
{
	const auto start = std::chrono::steady_clock::now();
	EXPECT_EQ(open(1, 40ms).code, ETIMEDOUT);
	EXPECT_GE(std::chrono::steady_clock::now() - start, 40ms);
	EXPECT_EQ(channel, nullptr);
	std::atomic<bool> opened = false;
	std::thread opener([&] {
		EXPECT_EQ(open(1, 10s).what, "");
		opened = true;
	});
	std::this_thread::sleep_for(20ms);
	EXPECT_FALSE(opened);
	os.offer(1, {50, 3, 32 << 10});
	opener.join();
	EXPECT_EQ(channel->relid, 50u);
}

TEST_F(HvUioChannelTest, HostTakesThemBackAfterAWhile)
{
	os.offered[1] = {31};
	ASSERT_EQ(open(1).what, "");
	device->close();
	os.busy_opens = 2;
	EXPECT_EQ(device->open(5s).what, "");
	ASSERT_EQ(open(1).what, "");
	device->close();
	os.busy_opens = 1000;
	EXPECT_EQ(device->open(100ms).code, EBUSY);
}

TEST_F(HvUioChannelTest, KernelRefuses)
{
	for (const int code : {EINVAL, ENOMEM, EBUSY}) {
		os.fail_ioctl = 0;
		os.fail_errno = code;
		EXPECT_EQ(open(1).code, code);
	}
	EXPECT_EQ(open(HV_UIO_SUBCHANNELS + 1).code, EINVAL);
	os.offered[HV_UIO_SUBCHANNELS] = {60};
	EXPECT_EQ(open(HV_UIO_SUBCHANNELS).what, "");
}

TEST_F(HvUioChannelTest, RefusesNonsense)
{
	const size_t mapped = os.mapped_bytes();
	uint32_t relid = 61;
	os.offered[1] = {0};
	EXPECT_EQ(open(1).code, EPROTO);
	EXPECT_EQ(open(1).code, EEXIST) << "the module has it open";
	for (const uint64_t size :
	     {uint64_t{0}, uint64_t{8192}, uint64_t{4096 * 5}, uint64_t{1} << 32, UINT64_MAX}) {
		os.offered[1] = {relid++, 1, size};
		EXPECT_EQ(open(1).code, EPROTO) << size;
	}
	os.offered[1] = {relid++};
	os.stale_rings = true;
	EXPECT_EQ(open(1).code, EPROTO);
	os.stale_rings = false;
	os.offered[1] = {relid++};
	os.fail_map = 0;
	EXPECT_EQ(open(1).code, ENOMEM);
	EXPECT_EQ(os.mapped_bytes(), mapped);
	os.offered[1] = {relid};
	EXPECT_EQ(open(1).what, "");
}

TEST_F(HvUioChannelTest, DeviceGoesWhileOneIsAwaited)
{
	std::thread host([&] {
		std::this_thread::sleep_for(30ms);
		os.rescind();
	});
	EXPECT_EQ(open(1, 60s).code, ENODEV);
	host.join();
}

TEST_F(HvUioChannelTest, EventsWakeWhoIsArmed)
{
	os.offered[1] = {70};
	ASSERT_EQ(open(1).what, "");
	Channel& primary = device->primary();
	ASSERT_FALSE(channel->arm());
	signal(70, 32 << 10);
	EXPECT_FALSE(device->take_event());
	EXPECT_TRUE(readable(*channel));
	EXPECT_FALSE(readable(primary));
	EXPECT_EQ(os.look<RingControl>(70, HV_UIO_MAP_RINGS, 16 << 10)->interrupt_mask, 0u);
	EXPECT_EQ(os.look<RingControl>(0, HV_UIO_MAP_RINGS, 32 << 10)->interrupt_mask, 1u);
	/* Who is not armed polls. */
	channel->disarm();
	signal(0, 64 << 10);
	EXPECT_FALSE(device->take_event());
	EXPECT_FALSE(readable(primary));
	EXPECT_FALSE(device->take_event()) << "nothing is left to read";
}

TEST_F(HvUioChannelTest, WhoWaitsTakesEventsToo)
{
	ASSERT_FALSE(device->primary().arm());
	signal(0, 64 << 10);
	std::this_thread::sleep_for(30ms);
	EXPECT_FALSE(device->gone());
	EXPECT_TRUE(readable(device->primary())) << "and loses none";
}

} // namespace
