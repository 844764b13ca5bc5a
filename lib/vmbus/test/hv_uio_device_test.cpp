/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmbus/hv_uio_device.hpp"

#include "hv_uio_fake.hpp"

using namespace vmbus;
using namespace vmbus::test;
using namespace std::chrono_literals;

namespace {

constexpr uint64_t kControlGpa = 0x123456000;
constexpr uint32_t kHalf = 32 << 10; /* of the primary's rings */

class HvUioDeviceTest : public ::testing::Test {
      protected:
	HvUioDeviceTest() { make(); }

	~HvUioDeviceTest() override
	{
		device.reset();
		EXPECT_EQ(os.open_files(), 0u);
		EXPECT_EQ(os.mapped_bytes(), 0u);
	}

	void make()
	{
		std::vector<std::string> errors;
		const auto found = scan_hv_uio(errors, os);
		ASSERT_EQ(found.size(), 1u);
		Region control;
		control.data = control_memory;
		control.size = sizeof(control_memory);
		device = std::make_unique<uio::HvUioDevice>(found[0], control, kControlGpa, os);
	}

	Error open() { return device->open(1s); }
	void expect_closed()
	{
		EXPECT_FALSE(device->is_open());
		EXPECT_EQ(device->event_fd(), -1);
		EXPECT_EQ(os.open_files(), 0u);
		EXPECT_EQ(os.mapped_bytes(), 0u);
	}
	/** The kernel is asked now and then. */
	void expect_gone()
	{
		const auto deadline = std::chrono::steady_clock::now() + 2s;
		while (!device->gone())
			ASSERT_LT(std::chrono::steady_clock::now(), deadline);
	}
	void expect_refused(int code, const char* words)
	{
		const Error error = open();
		EXPECT_EQ(error.code, code) << error.what;
		EXPECT_NE(error.what.find(words), std::string::npos) << error.what;
		expect_closed();
	}

	FakeFreeBsd os;
	uint8_t control_memory[256] = {};
	std::unique_ptr<uio::HvUioDevice> device;
};

TEST_F(HvUioDeviceTest, HasWhatTheModuleSays)
{
	EXPECT_EQ(device->name(), "ed963694-e847-4b2a-85af-bc9cfc11d6f3");
	EXPECT_EQ(device->class_id(), kNetvscClass);
	EXPECT_EQ(device->numa_node(), -1);
	ASSERT_EQ(open().what, "");
	EXPECT_TRUE(device->is_open());
	EXPECT_EQ(device->receive_buffer().size, 128u << 10);
	EXPECT_EQ(device->receive_buffer().gpadl, 0xdeadu);
	EXPECT_EQ(device->send_buffer().size, 64u << 10);
	EXPECT_EQ(device->send_buffer().gpadl, 0xbeefu);
	device->send_buffer().data[5] = 55;
	EXPECT_EQ(os.look(0, HV_UIO_MAP_SEND)[5], 55);
	os.look(0, HV_UIO_MAP_RECEIVE)[6] = 66;
	EXPECT_EQ(device->receive_buffer().data[6], 66);
	EXPECT_EQ(device->gpa(control_memory + 3), kControlGpa + 3);
	EXPECT_EQ(device->gpa(device->send_buffer().data), kGpaUnknown);
	EXPECT_EQ(open().code, EBUSY);
	device->close();
	expect_closed();
	device->close();
	ASSERT_EQ(open().what, "");
}

TEST_F(HvUioDeviceTest, RingsAreTransmitThenReceive)
{
	ASSERT_EQ(open().what, "");
	Channel& c = device->primary();
	auto* tx = os.look<RingControl>(0, HV_UIO_MAP_RINGS);
	auto* rx = os.look<RingControl>(0, HV_UIO_MAP_RINGS, kHalf);
	EXPECT_EQ(c.relid, 17u);
	EXPECT_EQ(c.subchannel_index, 0);
	EXPECT_EQ(c.tx.size(), kHalf - 4096);
	EXPECT_EQ(c.rx.size(), kHalf - 4096);
	EXPECT_EQ(tx->feature_bits, kFeaturePendingSendSize);
	EXPECT_EQ(tx->interrupt_mask, 0u) << "that one is the host's";
	EXPECT_EQ(rx->interrupt_mask, 1u);
	std::memset(c.tx.begin(32), 0, 32);
	c.tx.end();
	EXPECT_TRUE(c.tx.publish());
	EXPECT_EQ(tx->in, 40u);
}

TEST_F(HvUioDeviceTest, TheModuleSignals)
{
	os.info.monitor_id = 35; /* is nothing to us without the page */
	ASSERT_EQ(open().what, "");
	device->primary().doorbell.ring();
	EXPECT_EQ(os.signals, std::vector<uint32_t>{17});
	const Doorbell copy = device->primary().doorbell; /* for another process */
	device->close();
	Doorbell late = copy;
	late.ring();
	EXPECT_EQ(os.signals.size(), 1u);
}

TEST_F(HvUioDeviceTest, MonitorPageWhereItMayBeMapped)
{
	os.info.flags = HV_UIO_INFO_PAGES;
	os.info.region[HV_UIO_MAP_INTERRUPT].size = 4096;
	os.info.region[HV_UIO_MAP_MONITOR].size = 4096;
	os.info.monitor_id = 35;
	ASSERT_EQ(open().what, "");
	device->primary().doorbell.ring();
	const auto* page = os.look<MonitorPage>(0, HV_UIO_MAP_MONITOR);
	EXPECT_EQ(page->trigger_group[1].pending, 1u << 3);
	EXPECT_TRUE(os.signals.empty());
	device->close();
	for (const uint32_t id : {128u, 255u, 256u + 35, UINT32_MAX}) { /* no bit of the page */
		os.info.monitor_id = id;
		ASSERT_EQ(open().what, "");
		device->primary().doorbell.ring();
		EXPECT_EQ(os.signals.size(), 1u);
		os.signals.clear();
		device->close();
	}
	os.info.monitor_id = 0;
	os.info.region[HV_UIO_MAP_MONITOR].size = 0;
	expect_refused(EPROTO, "monitor page");
}

TEST_F(HvUioDeviceTest, EveryStepMayFail)
{
	os.info.flags = HV_UIO_INFO_PAGES;
	os.info.region[HV_UIO_MAP_MONITOR].size = 4096;
	os.info.monitor_id = 1;
	for (int* countdown : {&os.fail_ioctl, &os.fail_map})
		for (int n = 0;; n++) {
			*countdown = n;
			const Error error = open();
			*countdown = -1;
			if (!error) {
				EXPECT_EQ(n, countdown == &os.fail_map ? 4 : 1);
				device->close();
				break;
			}
			EXPECT_EQ(error.code, ENOMEM) << error.what;
			expect_closed();
			ASSERT_LT(n, 100);
		}
	ASSERT_EQ(open().what, "");
}

TEST_F(HvUioDeviceTest, HookMayFail)
{
	int closings = 0;
	bool fail = true;
	device->set_event_hooks({[&](int fd) -> Error {
					 EXPECT_EQ(fd, device->event_fd());
					 return fail ? Error(ENOMEM, "no") : Error();
				 },
				 [&] {
					 closings++;
					 EXPECT_GE(device->event_fd(), 0);
				 }});
	EXPECT_EQ(open().code, ENOMEM);
	expect_closed();
	fail = false;
	ASSERT_EQ(open().what, "");
	device->close();
	EXPECT_EQ(closings, 1);
}

TEST_F(HvUioDeviceTest, NeedsPermission)
{
	os.permitted = false;
	expect_refused(EACCES, "root");
}

TEST_F(HvUioDeviceTest, SecondUserIsRefused)
{
	const int other = os.open("/dev/hv_uio0", 0);
	const Error error = open();
	EXPECT_EQ(error.code, EBUSY);
	EXPECT_NE(error.what.find("another process"), std::string::npos) << error.what;
	os.close(other);
	EXPECT_EQ(open().code, 0);
}

TEST_F(HvUioDeviceTest, ModuleIsUnloaded)
{
	os.module = false;
	expect_refused(ENODEV, "removed"); /* so it looks to who had it */
}

TEST_F(HvUioDeviceTest, AnotherVersionOrAnotherModule)
{
	os.version = HV_UIO_VERSION + 1; /* answers EINVAL */
	expect_refused(EPROTONOSUPPORT, "docs/freebsd.md");
	os.version = HV_UIO_VERSION;
	os.info.version = HV_UIO_VERSION + 1; /* answers something else */
	expect_refused(EPROTONOSUPPORT, "docs/freebsd.md");
	os.info.version = HV_UIO_VERSION;
	os.published = true;
	expect_refused(EPROTONOSUPPORT, "docs/freebsd.md");
}

TEST_F(HvUioDeviceTest, UnitIsAnotherDeviceNow)
{
	os.info.instance_id[0] ^= 1;
	expect_refused(ENODEV, "another device");
	os.info.instance_id[0] ^= 1;
	os.info.class_id[0] ^= 1;
	expect_refused(ENODEV, "another device");
}

TEST_F(HvUioDeviceTest, RefusesStrangeRegions)
{
	struct Case {
		uint32_t map;
		uint64_t size;
		uint32_t gpadl;
	};
	const Case cases[] = {
		{HV_UIO_MAP_RINGS, 0, 0},
		{HV_UIO_MAP_RINGS, 8192, 0},		  /* no data area */
		{HV_UIO_MAP_RINGS, (64 << 10) + 4096, 0}, /* halves are no whole pages */
		{HV_UIO_MAP_RINGS, (64 << 10) + 8, 0},
		{HV_UIO_MAP_RINGS, uint64_t{1} << 32, 0},
		{HV_UIO_MAP_RINGS, UINT64_MAX, 0},
		{HV_UIO_MAP_RECEIVE, 0, 1},
		{HV_UIO_MAP_RECEIVE, 4096, 0}, /* has no GPADL */
		{HV_UIO_MAP_RECEIVE, 4097, 1},
		{HV_UIO_MAP_RECEIVE, uint64_t{1} << 40, 1},
		{HV_UIO_MAP_SEND, 0, 1},
		{HV_UIO_MAP_SEND, 4096, 0},
		{HV_UIO_MAP_SEND, UINT64_MAX - 4095, 1},
	};
	const hv_uio_info good = os.info;
	for (const Case& c : cases) {
		os.info.region[c.map].size = c.size;
		os.info.region[c.map].gpadl = c.gpadl;
		EXPECT_EQ(open().code, EPROTO) << c.map << " " << c.size;
		expect_closed();
		os.info = good;
	}
	os.info.relid = 0;
	expect_refused(EPROTO, "number");
	os.info = good;
	os.stale_rings = true;
	expect_refused(EPROTO, "in use");
}

TEST_F(HvUioDeviceTest, TakenAwayBeforeAndDuringOpen)
{
	os.fail_ioctl = 0;
	os.fail_errno = EIO; /* the host does it just now */
	expect_refused(ENODEV, "removed");
	os.fail_errno = ENXIO;
	os.fail_ioctl = 0;
	expect_refused(ENODEV, "removed");
	os.rescind();
	expect_refused(ENODEV, "removed");
	expect_gone();
}

TEST_F(HvUioDeviceTest, TakenAwayWhileOpen)
{
	ASSERT_EQ(open().what, "");
	EXPECT_FALSE(device->gone());
	EXPECT_FALSE(device->take_event());
	Channel& c = device->primary();
	os.rescind();
	EXPECT_TRUE(device->take_event());
	EXPECT_TRUE(device->gone());
	EXPECT_EQ(c.rx.refresh(), 0u) << "rings can be looked at";
	c.doorbell.ring();
	EXPECT_TRUE(os.signals.empty());
	device->close();
	expect_closed();
	EXPECT_TRUE(device->take_event());
	EXPECT_EQ(open().code, ENODEV);
}

TEST_F(HvUioDeviceTest, WhoWaitsSeesThatItIsGone)
{
	ASSERT_EQ(open().what, "");
	os.rescind();
	expect_gone();
}

TEST_F(HvUioDeviceTest, HeldMemorySurvivesClose)
{
	ASSERT_EQ(open().what, "");
	device->receive_buffer().data[4242] = 0x42;
	const uint8_t* data = device->receive_buffer().data;
	std::shared_ptr<void> keep = device->receive_buffer().keep;
	device->close();
	EXPECT_EQ(os.open_files(), 0u);
	EXPECT_EQ(data[4242], 0x42);
	os.look(0, HV_UIO_MAP_RECEIVE)[4242] = 0; /* the kernel's memory is another one now */
	EXPECT_EQ(data[4242], 0x42);
	ASSERT_EQ(open().what, "");
	EXPECT_NE(device->receive_buffer().data, data);
	device->close();
	EXPECT_EQ(os.mapped_bytes(), size_t{128 << 10});
	keep.reset();
	expect_closed();
}

TEST_F(HvUioDeviceTest, ControlMemoryMayBeNone)
{
	std::vector<std::string> errors;
	device = std::make_unique<uio::HvUioDevice>(scan_hv_uio(errors, os)[0], Region(),
						    kGpaUnknown, os);
	ASSERT_EQ(open().what, "");
	EXPECT_EQ(device->control_memory().data, nullptr);
	EXPECT_EQ(device->gpa(nullptr), kGpaUnknown);
}

} // namespace
