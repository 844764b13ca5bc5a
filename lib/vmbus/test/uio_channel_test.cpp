/* SPDX-License-Identifier: BSD-3-Clause */
/* Subchannels that come late, and devices that go early. */
#include <chrono>
#include <thread>

#include "uio_fake.hpp"

using namespace vmbus;
using namespace vmbus::test;
using namespace std::chrono_literals;

namespace {

class UioChannelTest : public ::testing::Test {
      protected:
	UioChannelTest()
	{
		os.add_device();
		os.add_maps();
		std::vector<std::string> errors;
		device = std::make_unique<uio::UioDevice>(scan_vmbus(os.root, errors, os).at(0),
							  Region{}, kGpaUnknown, os, os.root);
		EXPECT_EQ(device->open(1s).what, "");
	}
	~UioChannelTest() override
	{
		device.reset();
		EXPECT_EQ(os.open_files(), 0u);
		EXPECT_EQ(os.mapped_bytes(), 0u);
	}

	Error open(uint16_t index, Milliseconds timeout = 1s)
	{
		channel = nullptr;
		Error error = device->open_subchannel(index, timeout, channel);
		EXPECT_EQ(channel != nullptr, error.code == 0);
		return error;
	}
	std::string ring(uint32_t relid)
	{
		return os.path(kNic) + "/channels/" + std::to_string(relid) + "/ring";
	}

	/** Of a subchannel with 32 KiB of rings, as the host sees it. */
	RingControl* receive_ring(uint32_t relid)
	{
		const int fd = ::open(ring(relid).c_str(), O_RDWR | O_CLOEXEC);
		void* p = ::mmap(nullptr, 32 << 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		::close(fd);
		EXPECT_NE(p, MAP_FAILED);
		return reinterpret_cast<RingControl*>(static_cast<uint8_t*>(p) + (16 << 10));
	}

	FakeOs os;
	std::unique_ptr<uio::UioDevice> device;
	Channel* channel = nullptr;
};

} // namespace

TEST_F(UioChannelTest, OpensByIndex)
{
	os.add_channel(17, 0, "35", 64 << 10);
	os.add_channel(30, 2, "40");
	os.add_channel(31, 1, "127", 64 << 10);
	ASSERT_EQ(open(1).what, "");
	EXPECT_EQ(channel->relid, 31u);
	EXPECT_EQ(channel->subchannel_index, 1);
	EXPECT_EQ(channel->rx.size(), (32u << 10) - 4096);
	channel->doorbell.ring();
	EXPECT_EQ(os.look<MonitorPage>(2)->trigger_group[3].pending, 1u << 31);
	ASSERT_EQ(open(2).what, "");
	EXPECT_EQ(channel->relid, 30u);
	EXPECT_EQ(open(1).code, EEXIST);
	EXPECT_EQ(open(0).code, EINVAL);
	EXPECT_EQ(os.open_files(), 1u) << "only the node stays open";
	device->close();
	EXPECT_EQ(open(1).code, EINVAL);
	EXPECT_EQ(os.mapped_bytes(), 0u);
}

TEST_F(UioChannelTest, WithoutMonitorTheKernelSignals)
{
	os.add_channel(40, 1, "");
	ASSERT_EQ(open(1).what, "");
	channel->doorbell.ring();
	EXPECT_EQ(os.written(), 1);
	EXPECT_EQ(*os.look<uint32_t>(1, 2048 + 4), 1u << 8);
}

TEST_F(UioChannelTest, ComesLate)
{
	std::thread kernel([&] {
		std::this_thread::sleep_for(50ms);
		os.add_channel(50, 1, "3");
	});
	EXPECT_EQ(open(1, 5s).what, "");
	kernel.join();
}

TEST_F(UioChannelTest, IsNotOpenYet)
{
	os.closed_rings.insert(ring(50));
	os.add_channel(50, 1, "3");
	const Error error = open(1, 30ms);
	EXPECT_EQ(error.code, ETIMEDOUT);
	EXPECT_NE(error.what.find("ring"), std::string::npos) << error.what;
	EXPECT_EQ(os.open_files(), 1u);
	os.closed_rings.clear();
	EXPECT_EQ(open(1).what, "");
}

TEST_F(UioChannelTest, TimesOut)
{
	const auto start = std::chrono::steady_clock::now();
	EXPECT_EQ(open(1, 40ms).code, ETIMEDOUT);
	const auto took = std::chrono::steady_clock::now() - start;
	EXPECT_GE(took, 40ms);
	EXPECT_LT(took, 2s);
}

TEST_F(UioChannelTest, FileIsEmptyOrStale)
{
	os.add_channel(50, 1, "3", 0);
	EXPECT_EQ(open(1, 10ms).code, ETIMEDOUT);
	std::filesystem::resize_file(ring(50), 32 << 10);
	{
		/* The rings of an earlier session. */
		std::fstream file(ring(50), std::ios::in | std::ios::out | std::ios::binary);
		file.put(64);
	}
	EXPECT_EQ(open(1, 10ms).code, ETIMEDOUT);
	os.add_channel(51, 1, "4");
	ASSERT_EQ(open(1).what, "");
	EXPECT_EQ(channel->relid, 51u);
}

TEST_F(UioChannelTest, RefusesStrangeSizes)
{
	for (const size_t size : {8192u, 4096u * 5, 16384u + 8}) {
		os.add_channel(50, 1, "3", size);
		EXPECT_EQ(open(1).code, EPROTO) << size;
	}
	os.add_channel(50, 1, "3");
	os.fail_map = 0;
	os.fail_errno = ENOMEM;
	EXPECT_EQ(open(1).code, ENOMEM);
	EXPECT_EQ(os.open_files(), 1u);
	EXPECT_EQ(open(1).what, "");
}

TEST_F(UioChannelTest, EventsMaskAllReceiveRings)
{
	os.add_channel(50, 1, "3");
	ASSERT_EQ(open(1).what, "");
	EXPECT_FALSE(device->take_event()) << "there is none, and it does not block";
	device->primary().rx.mask_interrupts(false);
	channel->rx.mask_interrupts(false);
	EXPECT_EQ(os.look<RingControl>(0, 32 << 10)->interrupt_mask, 0u);
	EXPECT_FALSE(device->take_event());
	EXPECT_EQ(os.look<RingControl>(0, 32 << 10)->interrupt_mask, 0u);
	os.notify();
	EXPECT_FALSE(device->take_event());
	EXPECT_EQ(os.look<RingControl>(0, 32 << 10)->interrupt_mask, 1u);
	EXPECT_EQ(os.look<RingControl>(0)->interrupt_mask, 0u);
	EXPECT_FALSE(device->gone());
}

/* The node tells nothing of which channel it was: the armed ones with something to read. */
TEST_F(UioChannelTest, EventsWakeArmedChannels)
{
	const auto woken = [](const Channel& c) {
		uint64_t n = 0;
		return ::read(c.event_fd, &n, sizeof(n)) == sizeof(n);
	};
	os.add_channel(50, 1, "3");
	os.add_channel(51, 2, "4");
	ASSERT_EQ(open(1).what, "");
	Channel& first = *channel;
	ASSERT_EQ(open(2).what, "");
	Channel& second = *channel;
	RingControl* first_ring = receive_ring(50);
	RingControl* second_ring = receive_ring(51);
	EXPECT_FALSE(first.arm());
	EXPECT_FALSE(second.arm());
	EXPECT_FALSE(device->primary().arm());
	device->primary().disarm();
	second_ring->in = 64;
	os.look<RingControl>(0, 32 << 10)->in = 64;
	second_ring->interrupt_mask = 1; /* as hv_uio_channel_cb() does */
	os.notify();
	EXPECT_FALSE(device->take_event());
	EXPECT_FALSE(woken(first)) << "nothing came there";
	EXPECT_TRUE(woken(second));
	EXPECT_FALSE(woken(device->primary())) << "nobody sleeps there";
	EXPECT_EQ(first_ring->interrupt_mask, 0u) << "still armed";
	EXPECT_EQ(os.look<RingControl>(0, 32 << 10)->interrupt_mask, 1u);
	second.disarm();
	EXPECT_EQ(second_ring->interrupt_mask, 1u);
	EXPECT_TRUE(second.arm()) << "what is there already is not signalled";
	/* An event of another's takes no armed channel's interrupt away. */
	os.notify();
	EXPECT_FALSE(device->take_event());
	EXPECT_EQ(first_ring->interrupt_mask, 0u);
	first_ring->in = 64;
	os.notify();
	EXPECT_FALSE(device->take_event());
	EXPECT_TRUE(woken(first));
}

TEST_F(UioChannelTest, Rescind)
{
	os.add_channel(50, 1, "3");
	ASSERT_EQ(open(1).what, "");
	os.look<RingControl>(0, 32 << 10)->in = 64;
	os.rescinded = true;
	EXPECT_TRUE(device->take_event());
	EXPECT_TRUE(device->gone());
	/* The rings are cut off from the kernel's memory, and harmless. */
	EXPECT_EQ(device->primary().rx.refresh(), 0u);
	device->primary().tx.fits(64);
	std::memset(device->primary().tx.begin(32), 0xff, 32);
	device->primary().tx.end();
	device->primary().tx.publish();
	EXPECT_EQ(os.look<RingControl>(0)->in, 0u);
	EXPECT_EQ(channel->rx.refresh(), 0u);
	EXPECT_EQ(open(2).code, ENODEV);
	device->close();
	EXPECT_TRUE(device->take_event());
	EXPECT_EQ(device->open(1s).code, ENODEV);
}

TEST_F(UioChannelTest, GoneWhileWaiting)
{
	std::thread kernel([&] {
		std::this_thread::sleep_for(20ms);
		std::filesystem::remove_all(os.path(kNic));
	});
	const auto start = std::chrono::steady_clock::now();
	EXPECT_EQ(open(1, 20s).code, ENODEV);
	EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
	kernel.join();
	EXPECT_TRUE(device->gone());
}

TEST_F(UioChannelTest, RepairsRingsOnly)
{
	os.add_channel(50, 1, "3");
	ASSERT_EQ(open(1).what, "");
	int other = 0;
	EXPECT_FALSE(device->repair(&other));
	EXPECT_FALSE(device->repair(device->send_buffer().data));
	EXPECT_FALSE(device->gone());
	/* The file shrinks under the mapping: a touch would raise SIGBUS. */
	std::filesystem::resize_file(ring(50), 0);
	auto* data = channel->tx.begin(32);
	EXPECT_TRUE(device->repair(data));
	EXPECT_TRUE(device->gone());
	std::memset(data, 0, 32);
	EXPECT_EQ(channel->rx.refresh(), 0u);
}

/* For race detectors: the interrupt thread takes events while another opens and closes. */
TEST_F(UioChannelTest, EventsDuringOpenAndClose)
{
	std::atomic<bool> stop{false};
	os.add_channel(50, 1, "3");
	std::thread events([&] {
		while (!stop)
			device->take_event();
	});
	for (int i = 0; i < 50; i++) {
		EXPECT_EQ(open(1).what, "");
		device->close();
		EXPECT_EQ(device->open(1s).what, "");
	}
	stop = true;
	events.join();
}
