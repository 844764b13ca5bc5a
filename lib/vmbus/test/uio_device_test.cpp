/* SPDX-License-Identifier: BSD-3-Clause */
#include <chrono>
#include <thread>

#include "uio_fake.hpp"

using namespace vmbus;
using namespace vmbus::test;
using namespace std::chrono_literals;

namespace {

constexpr uint64_t kControlGpa = 0x123456000;
constexpr uint32_t kHalf = 32 << 10; /* of the primary's rings */

class UioDeviceTest : public ::testing::Test {
      protected:
	UioDeviceTest()
	{
		os.add_device();
		os.add_maps();
		make();
	}

	~UioDeviceTest() override
	{
		device.reset();
		EXPECT_EQ(os.open_files(), 0u);
		EXPECT_EQ(os.mapped_bytes(), 0u);
	}

	void make()
	{
		std::vector<std::string> errors;
		auto devices = scan_vmbus(os.root, errors, os);
		ASSERT_EQ(devices.size(), 1u);
		Region control;
		control.data = control_memory;
		control.size = sizeof(control_memory);
		device = std::make_unique<uio::UioDevice>(devices[0], control, kControlGpa, os,
							  os.root);
	}

	Error open() { return device->open(1s); }
	void expect_closed()
	{
		EXPECT_FALSE(device->is_open());
		EXPECT_EQ(device->event_fd(), -1);
		EXPECT_EQ(os.open_files(), 0u);
		EXPECT_EQ(os.mapped_bytes(), 0u);
	}
	/** A packet into the primary's transmit ring. */
	void send(Channel& channel)
	{
		channel.tx.fits(64);
		std::memset(channel.tx.begin(32), 0, 32);
		channel.tx.end();
		EXPECT_TRUE(channel.tx.publish());
		channel.doorbell.ring();
	}

	FakeOs os;
	alignas(4096) uint8_t control_memory[4096];
	std::unique_ptr<uio::UioDevice> device;
};

} // namespace

TEST_F(UioDeviceTest, OpensAndCloses)
{
	EXPECT_EQ(device->name(), kNic);
	EXPECT_EQ(device->numa_node(), 1);
	ASSERT_EQ(open().what, "");
	EXPECT_TRUE(device->is_open());
	EXPECT_EQ(open().code, EBUSY);
	EXPECT_EQ(device->receive_buffer().gpadl, 57005u);
	EXPECT_EQ(device->receive_buffer().size, size_t{128 << 10});
	EXPECT_EQ(device->send_buffer().gpadl, 48879u);
	EXPECT_EQ(device->send_buffer().size, size_t{64 << 10});
	device->receive_buffer().data[5] = 0x55;
	device->send_buffer().data[6] = 0x66;
	EXPECT_EQ(os.look(3)[5], 0x55);
	EXPECT_EQ(os.look(4)[6], 0x66);
	device->close();
	expect_closed();
	device->close();
}

TEST_F(UioDeviceTest, Addresses)
{
	ASSERT_EQ(open().what, "");
	EXPECT_EQ(device->gpa(control_memory), kControlGpa);
	EXPECT_EQ(device->gpa(control_memory + 4095), kControlGpa + 4095);
	EXPECT_EQ(device->gpa(control_memory + 4096), kGpaUnknown);
	EXPECT_EQ(device->gpa(device->receive_buffer().data), kGpaUnknown);
	EXPECT_EQ(device->gpa(device->send_buffer().data), kGpaUnknown);
	EXPECT_EQ(device->control_memory().data, control_memory);
}

TEST_F(UioDeviceTest, RingsAreTransmitThenReceive)
{
	auto* tx = os.look<RingControl>(0);
	auto* rx = os.look<RingControl>(0, kHalf);
	ASSERT_EQ(open().what, "");
	Channel& c = device->primary();
	EXPECT_EQ(c.relid, 17u);
	EXPECT_EQ(c.tx.size(), kHalf - 4096);
	EXPECT_EQ(c.rx.size(), kHalf - 4096);
	EXPECT_EQ(tx->feature_bits, kFeaturePendingSendSize);
	EXPECT_EQ(tx->interrupt_mask, 0u) << "that one is the host's";
	EXPECT_EQ(rx->interrupt_mask, 1u);
	send(c);
	EXPECT_EQ(tx->in, 40u);
	EXPECT_EQ(*os.look<uint64_t>(0, 4096 + 32), 0u); /* the footer */

	PacketDescriptor d = {static_cast<uint16_t>(PacketType::kInband), 2, 3, 0, 99};
	std::memcpy(os.look(0, kHalf + 4096), &d, sizeof(d));
	rx->in = 32;
	EXPECT_EQ(c.rx.refresh(), 32u);
	PacketView view;
	ASSERT_TRUE(c.rx.peek(0, view));
	EXPECT_EQ(view.transaction_id, 99u);
	c.rx.consume(32);
	c.rx.publish();
	EXPECT_EQ(rx->out, 32u);
}

TEST_F(UioDeviceTest, SixtyFourKiloBytePages)
{
	os.page = 64 << 10;
	os.add_map(0, "txrx_rings", 256 << 10);
	os.write(os.maps_path() + "2/offset", "0x3000");
	ASSERT_EQ(open().what, "");
	EXPECT_EQ(device->primary().tx.size(), 64u << 10);
	send(device->primary());
	EXPECT_EQ(*os.look<uint32_t>(2, 0x3000 + 8 + 8), 1u << 3);
	device->close();
	expect_closed();
	os.write(os.maps_path() + "2/offset", "0xf800");
	EXPECT_EQ(open().code, EPROTO);
	expect_closed();
}

TEST_F(UioDeviceTest, MonitorBit)
{
	ASSERT_EQ(open().what, "");
	send(device->primary());
	const auto* page = os.look<MonitorPage>(2);
	EXPECT_EQ(page->trigger_group[1].pending, 1u << 3); /* 35 */
	EXPECT_EQ(os.written(), -1);
}

TEST_F(UioDeviceTest, WithoutMonitorTheKernelSignals)
{
	std::filesystem::remove(os.path(kNic) + "/monitor_id");
	make();
	ASSERT_EQ(open().what, "");
	send(device->primary());
	EXPECT_EQ(os.written(), 1);
	EXPECT_EQ(os.written(), -1);
	EXPECT_EQ(*os.look<uint32_t>(1, 2048), 1u << 17);
	EXPECT_EQ(*os.look<uint32_t>(1, 0), 0u);
	/* A relid without a bit in the page. */
	device->close();
	*os.look<RingControl>(0) = {};
	os.write(os.path(kNic) + "/id", "16384");
	make();
	ASSERT_EQ(open().what, "");
	send(device->primary());
	EXPECT_EQ(os.written(), 1);
}

TEST_F(UioDeviceTest, EveryStepMayFail)
{
	for (const bool maps : {false, true}) {
		int& countdown = maps ? os.fail_map : os.fail_open;
		for (int n = 0;; n++) {
			*os.look<RingControl>(0) = {};
			countdown = n;
			const Error error = open();
			const bool failed_once = countdown < 0;
			countdown = -1;
			if (!error) {
				EXPECT_FALSE(failed_once);
				EXPECT_GT(n, 4);
				device->close();
				break;
			}
			EXPECT_EQ(error.code, EMFILE) << error.what;
			expect_closed();
			ASSERT_LT(n, 100);
		}
	}
	ASSERT_EQ(open().what, "");
}

TEST_F(UioDeviceTest, HookMayFail)
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
	EXPECT_EQ(closings, 0);
	fail = false;
	ASSERT_EQ(open().what, "");
	device->close();
	device->close();
	EXPECT_EQ(closings, 1);
}

TEST_F(UioDeviceTest, MissingNodeAndPermission)
{
	std::filesystem::remove(os.root + "/uio3");
	EXPECT_EQ(open().code, ENOENT);
	os.write(os.root + "/uio3", "");
	os.fail_open = 0;
	os.fail_errno = EACCES;
	const Error error = open();
	EXPECT_EQ(error.code, EACCES);
	EXPECT_NE(error.what.find("root"), std::string::npos);
	expect_closed();
	std::filesystem::remove_all(os.path(kNic) + "/uio");
	EXPECT_EQ(open().code, ENODEV);
}

TEST_F(UioDeviceTest, RefusesStrangeMaps)
{
	struct Case {
		uint32_t index;
		const char* name;
		uint64_t size;
	};
	const Case cases[] = {
		{0, "rings", 64 << 10},
		{0, "txrx_rings", 0},
		{0, "txrx_rings", 8192},	      /* no data area */
		{0, "txrx_rings", (64 << 10) + 4096}, /* halves are no whole pages */
		{0, "txrx_rings", (64 << 10) + 8},
		{0, "txrx_rings", uint64_t{1} << 32},
		{0, "txrx_rings", UINT64_MAX / 2 - 4095},
		{1, "int_page", 2048},
		{1, "int_page", 0},
		{2, "int_page", 4096},
		{2, "monitor_page", 64},
		{3, "recv", 4096},
		{3, "recv:", 4096},
		{3, "recv:0", 4096},
		{3, "recv:4294967296", 4096},
		{3, "recv:12x", 4096},
		{3, "send:12", 4096},
		{3, "recv:12", 0},
		{3, "recv:12", 4097},
		{4, "send:12", uint64_t{1} << 40},
	};
	for (const Case& c : cases) {
		os.add_map(c.index, c.name, c.size);
		EXPECT_EQ(open().code, EPROTO) << c.name << " " << c.size;
		expect_closed();
		os.add_maps();
	}
	os.write(os.maps_path() + "0/size", "0xffffffffffffffff");
	EXPECT_EQ(open().code, EINVAL);
	std::filesystem::remove_all(os.maps_path() + "4");
	os.add_map(0, "txrx_rings", 64 << 10);
	EXPECT_EQ(open().code, ENOENT);
	expect_closed();
}

TEST_F(UioDeviceTest, RingsOfAnotherProcess)
{
	os.look<RingControl>(0)->in = 64;
	EXPECT_EQ(open().code, EBUSY);
	expect_closed();
	os.look<RingControl>(0)->in = 0;
	os.look<RingControl>(0, kHalf)->out = 8;
	EXPECT_EQ(open().code, EBUSY);
	os.look<RingControl>(0, kHalf)->out = 0;
	os.look<RingControl>(0, kHalf)->in = 8; /* the host was quick */
	EXPECT_EQ(open().code, 0);
}

TEST_F(UioDeviceTest, HeldMemorySurvivesClose)
{
	ASSERT_EQ(open().what, "");
	device->receive_buffer().data[4242] = 0x42;
	const uint8_t* data = device->receive_buffer().data;
	std::shared_ptr<void> keep = device->receive_buffer().keep;
	device->close();
	EXPECT_EQ(os.open_files(), 0u);
	EXPECT_EQ(data[4242], 0x42);
	os.look(3)[4242] = 0; /* the kernel's memory is another one now */
	EXPECT_EQ(data[4242], 0x42);
	*os.look<RingControl>(0) = {};
	ASSERT_EQ(open().what, "");
	EXPECT_NE(device->receive_buffer().data, data);
	device->close();
	EXPECT_EQ(os.mapped_bytes(), size_t{128 << 10});
	keep.reset();
	expect_closed();
}
