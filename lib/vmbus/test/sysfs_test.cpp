/* SPDX-License-Identifier: BSD-3-Clause */
#include "uio_fake.hpp"

using namespace vmbus;
using namespace vmbus::test;

namespace {

constexpr const char* kOther = "00000000-0000-4000-8000-000000000001";

class Sysfs : public ::testing::Test {
      protected:
	std::vector<SysfsDevice> scan()
	{
		errors.clear();
		auto devices = scan_vmbus(os.root, errors, os);
		EXPECT_EQ(os.open_files(), 0u);
		return devices;
	}

	FakeOs os;
	std::vector<std::string> errors;
};

} // namespace

TEST_F(Sysfs, NoVmbusIsNoError)
{
	EXPECT_TRUE(scan().empty());
	EXPECT_TRUE(errors.empty());
}

TEST_F(Sysfs, FindsDevice)
{
	os.add_device();
	const auto devices = scan();
	ASSERT_EQ(devices.size(), 1u);
	const SysfsDevice& d = devices[0];
	EXPECT_EQ(to_string(d.instance_id), kNic);
	EXPECT_EQ(d.class_id, kNetvscClass);
	EXPECT_EQ(d.path, os.path(kNic));
	EXPECT_EQ(d.relid, 17u);
	EXPECT_EQ(d.monitor_id, 35);
	EXPECT_EQ(d.numa_node, 1);
	EXPECT_EQ(d.uio, 3);
	EXPECT_TRUE(errors.empty());
}

TEST_F(Sysfs, MonitorAndNumaNodeMayBeAbsent)
{
	os.add_device();
	std::filesystem::remove(os.path(kNic) + "/monitor_id");
	std::filesystem::remove(os.path(kNic) + "/numa_node");
	const auto devices = scan();
	ASSERT_EQ(devices.size(), 1u);
	EXPECT_EQ(devices[0].monitor_id, kMonitorIdNone);
	EXPECT_EQ(devices[0].numa_node, -1);
}

TEST_F(Sysfs, MonitorIdsBeyondThePageAreNone)
{
	os.add_device();
	for (const char* id : {"128", "254", "255", "4294967295"}) {
		os.write(os.path(kNic) + "/monitor_id", id);
		const auto devices = scan();
		ASSERT_EQ(devices.size(), 1u) << id;
		EXPECT_EQ(devices[0].monitor_id, kMonitorIdNone) << id;
	}
	os.write(os.path(kNic) + "/numa_node", "-1");
	os.write(os.path(kNic) + "/monitor_id", "127");
	EXPECT_EQ(scan().at(0).monitor_id, 127);
	EXPECT_EQ(scan().at(0).numa_node, -1);
}

TEST_F(Sysfs, OtherClassesAndDriversAreNotOurs)
{
	os.add_device();
	os.bind(kNic, "hv_netvsc");
	EXPECT_TRUE(scan().empty());
	std::filesystem::remove(os.path(kNic) + "/driver");
	EXPECT_TRUE(scan().empty());
	os.bind(kNic, "uio_hv_generic");
	os.write(os.path(kNic) + "/class_id", "{ba6163d9-04a1-4d29-b605-72e2ffb1dc7f}");
	EXPECT_TRUE(scan().empty());
	EXPECT_TRUE(errors.empty());
}

TEST_F(Sysfs, OneBadDeviceDoesNotHideAnother)
{
	const std::vector<std::pair<std::string, std::string>> breakage = {
		{"class_id", "f8615163"},
		{"device_id", "{00000000-0000-4000-8000-00000000000g}"},
		{"id", "seventeen"},
		{"id", ""},
		{"id", "-1"},
		{"id", "17 18"},
		{"id", "4294967296"},
		{"monitor_id", "x"},
	};
	os.add_device();
	for (const auto& [file, text] : breakage) {
		os.add_device(kOther);
		os.write(os.path(kOther) + "/" + file, text);
		const auto devices = scan();
		ASSERT_EQ(devices.size(), 1u) << file << "=" << text;
		EXPECT_EQ(to_string(devices[0].instance_id), kNic);
		ASSERT_EQ(errors.size(), 1u) << file << "=" << text;
		EXPECT_NE(errors[0].find(kOther), std::string::npos) << errors[0];
		EXPECT_NE(errors[0].find(file), std::string::npos) << errors[0];
	}
}

TEST_F(Sysfs, MissingFilesAreReported)
{
	for (const char* file : {"class_id", "device_id", "id", "uio"}) {
		os.add_device();
		os.add_device(kOther);
		std::filesystem::remove_all(os.path(kOther) + "/" + file);
		EXPECT_EQ(scan().size(), 1u) << file;
		EXPECT_EQ(errors.size(), 1u) << file;
	}
}

TEST_F(Sysfs, TwoDevicesOfOneGuid)
{
	os.add_device();
	os.add_device("vmbus_1");
	os.write(os.path("vmbus_1") + "/device_id", kNic);
	EXPECT_EQ(scan().size(), 1u);
	EXPECT_EQ(errors.size(), 1u);
}

TEST_F(Sysfs, ListsChannelsThatAreComplete)
{
	os.add_device();
	os.add_channel(17, 0, "35");
	os.add_channel(20, 1, "36");
	os.add_channel(21, 2, "");
	os.write(os.path(kNic) + "/channels/22/cpu", "0"); /* no subchannel_id yet */
	os.write(os.path(kNic) + "/channels/23/subchannel_id", "65536");
	os.write(os.path(kNic) + "/channels/x/subchannel_id", "5");
	const auto channels = list_channels(os, os.path(kNic));
	ASSERT_EQ(channels.size(), 3u);
	EXPECT_EQ(channels[1].relid, 20u);
	EXPECT_EQ(channels[1].subchannel_index, 1);
	EXPECT_EQ(channels[1].monitor_id, 36);
	EXPECT_EQ(channels[2].monitor_id, kMonitorIdNone);
	EXPECT_EQ(os.open_files(), 0u);
	EXPECT_TRUE(list_channels(os, os.path(kOther)).empty());
}

TEST_F(Sysfs, UioNumbers)
{
	os.add_device();
	std::filesystem::remove(os.path(kNic) + "/uio/uio3");
	for (const char* name : {"uio", "uiox", "uio0x1", "uio-1", "uio1 "}) {
		const std::string path = os.path(kNic) + "/uio/" + name;
		std::filesystem::create_directories(path);
		EXPECT_EQ(find_uio(os, os.path(kNic)), -1) << name;
		std::filesystem::remove(path);
	}
	std::filesystem::create_directories(os.path(kNic) + "/uio/uio12");
	EXPECT_EQ(find_uio(os, os.path(kNic)), 12);
}

TEST_F(Sysfs, Numbers)
{
	uint64_t n = 0;
	EXPECT_TRUE(parse_number("0x1f00000", UINT64_MAX, n));
	EXPECT_EQ(n, 0x1f00000u);
	EXPECT_TRUE(parse_number("18446744073709551615", UINT64_MAX, n));
	for (const char* bad :
	     {"", "0x", " 1", "1 ", "+1", "-1", "1f", "0x0x1", "0x-1", "18446744073709551616"})
		EXPECT_FALSE(parse_number(bad, UINT64_MAX, n)) << bad;
	EXPECT_FALSE(parse_number("256", 255, n));
}
