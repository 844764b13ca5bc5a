/* SPDX-License-Identifier: BSD-3-Clause */
/* What kernels' devices have in common; the rest is tested with each kernel's. */
#include "vmbus/kernel_device.hpp"

#include <gtest/gtest.h>

using namespace vmbus;
using namespace std::chrono_literals;

namespace {

constexpr size_t kRings = 32 << 10;

/* A kernel whose answers the test has, and whose node is a file of rings. */
class AnyDevice final : public uio::KernelDevice {
      public:
	explicit AnyDevice(Region control = {}, uint64_t gpa = kGpaUnknown)
		: KernelDevice({{{1}}, {{2}}, 3}, std::move(control), gpa, uio::Os::system())
	{
	}

	Error connect_error;
	std::vector<Error> answers; /* to try_subchannel(), the last one for ever */
	mutable int looks = 0;
	bool away = false;

      private:
	Error add(uint16_t index)
	{
		std::shared_ptr<uio::Mapping> rings;
		if (Error error = map("rings", 0, kRings, false, rings))
			return error;
		std::memset(rings->data(), 0, kRings);
		return add_channel(17, index, std::move(rings), Doorbell(node_slot(), 1, 4));
	}
	Error connect(Milliseconds) override
	{
		if (Error error = adopt_node(os_.memory_file(kRings)))
			return error;
		if (connect_error)
			return connect_error;
		return add(0);
	}
	Error try_subchannel(uint16_t index) override
	{
		const Error answer = answers.front();
		if (answers.size() > 1)
			answers.erase(answers.begin());
		return answer ? answer : add(index);
	}
	bool vanished() const override
	{
		looks++;
		return away;
	}
};

TEST(KernelDevice, IsWhatItWasMadeOf)
{
	uint8_t control[64];
	AnyDevice device({control, sizeof(control), 0, nullptr}, 0x5000);
	EXPECT_EQ(device.class_id(), (Guid{{1}}));
	EXPECT_EQ(device.instance_id(), (Guid{{2}}));
	EXPECT_EQ(device.numa_node(), 3);
	EXPECT_EQ(device.gpa(control), 0x5000u);
	EXPECT_EQ(device.gpa(control + 63), 0x503fu);
	EXPECT_EQ(device.gpa(control + 64), kGpaUnknown);
	EXPECT_EQ(AnyDevice().gpa(control), kGpaUnknown);
}

TEST(KernelDevice, FailedOpenLeavesNothing)
{
	AnyDevice device;
	device.connect_error = {EPROTO, "no"};
	EXPECT_EQ(device.open(1s).code, EPROTO);
	EXPECT_FALSE(device.is_open());
	EXPECT_EQ(device.event_fd(), -1);
	device.connect_error = {};
	EXPECT_EQ(device.open(1s).what, "");
	EXPECT_EQ(device.primary().relid, 17u);
}

TEST(KernelDevice, WaitsForWhatMayCome)
{
	AnyDevice device;
	ASSERT_EQ(device.open(1s).what, "");
	Channel* channel = nullptr;
	device.answers = {{ENODEV, ""}, {EAGAIN, ""}, {ENOENT, ""}, {}};
	EXPECT_EQ(device.open_subchannel(1, 10s, channel).what, "");
	ASSERT_NE(channel, nullptr);
	EXPECT_EQ(channel->subchannel_index, 1);
	device.answers = {{EPROTO, "nonsense"}};
	EXPECT_EQ(device.open_subchannel(2, 10s, channel).code, EPROTO);
	EXPECT_EQ(channel, nullptr);
	device.answers = {{EAGAIN, "not yet"}};
	const Error error = device.open_subchannel(2, 5ms, channel);
	EXPECT_EQ(error.code, ETIMEDOUT);
	EXPECT_NE(error.what.find("not yet"), std::string::npos) << error.what;
	device.away = true;
	EXPECT_EQ(device.open_subchannel(2, 60s, channel).code, ENODEV);
}

TEST(KernelDevice, KernelIsAskedNowAndThen)
{
	AnyDevice device;
	const auto end = std::chrono::steady_clock::now() + 50ms;
	while (std::chrono::steady_clock::now() < end)
		EXPECT_FALSE(device.gone());
	EXPECT_GE(device.looks, 2);
	EXPECT_LE(device.looks, 4);
	device.away = true;
	while (!device.gone())
		;
	const int looks = device.looks;
	device.away = false;
	EXPECT_TRUE(device.gone()) << "for good";
	EXPECT_EQ(device.looks, looks);
	EXPECT_EQ(device.open(1s).code, ENODEV);
}

} // namespace
