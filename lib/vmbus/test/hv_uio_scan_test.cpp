/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmbus/hv_uio_scan.hpp"

#include "hv_uio_fake.hpp"
#include "vmbus/guid.hpp"

using namespace vmbus;
using namespace vmbus::test;

namespace {

std::string nic(const char* instance)
{
	return std::string("classid=f8615163-df3e-46c5-913f-f2d2f965ed0e deviceid=") + instance;
}

constexpr const char* kOther = "00000000-1111-2222-3333-444444444444";

class HvUioScanTest : public ::testing::Test {
      protected:
	std::vector<HvUioInfo> scan() { return scan_hv_uio(errors, os); }
	FakeFreeBsd os;
	std::vector<std::string> errors;
};

TEST_F(HvUioScanTest, FindsAdaptersByUnit)
{
	os.devices = {{"hv_uio12", "hv_uio", nic(kOther)},
		      {"acpi0", "acpi", ""},
		      {"hv_uio0", "hv_uio", kNicPnpInfo}};
	os.integers["dev.hv_uio.12.%domain"] = 1;
	const auto found = scan();
	ASSERT_EQ(found.size(), 2u);
	EXPECT_EQ(found[0].unit, 0);
	EXPECT_EQ(found[0].class_id, kNetvscClass);
	EXPECT_EQ(to_string(found[0].instance_id), "ed963694-e847-4b2a-85af-bc9cfc11d6f3");
	EXPECT_EQ(found[0].numa_node, -1);
	EXPECT_EQ(found[1].unit, 12);
	EXPECT_EQ(to_string(found[1].instance_id), kOther);
	EXPECT_EQ(found[1].numa_node, 1);
	EXPECT_TRUE(errors.empty());
}

TEST_F(HvUioScanTest, OthersAreNothing)
{
	os.devices = {
		{"hn0", "hn", kNicPnpInfo},
		{"", "", kNicPnpInfo, 10},		/* nobody's */
		{"hv_uio1", "hv_uio", nic(kOther), 20}, /* its attach failed */
		{"hv_uio2", "hv_uio",
		 "classid=ba6163d9-04a1-4d29-b605-72e2ffb1dc7f deviceid=" + std::string(kOther)},
	};
	EXPECT_TRUE(scan().empty());
	EXPECT_TRUE(errors.empty());
	os.devices.clear();
	EXPECT_TRUE(scan().empty());
	EXPECT_TRUE(errors.empty());
}

TEST_F(HvUioScanTest, SaysWhatMakesNoSense)
{
	os.devices = {{"hv_uio", "hv_uio", kNicPnpInfo},
		      {"hv_uio-1", "hv_uio", kNicPnpInfo},
		      {"hv_uio4294967296", "hv_uio", kNicPnpInfo},
		      {"uio3", "hv_uio", kNicPnpInfo},
		      {"hv_uio4", "hv_uio", ""},
		      {"hv_uio5", "hv_uio", "classid=f8615163-df3e-46c5-913f-f2d2f965ed0e"},
		      {"hv_uio6", "hv_uio", nic("not a GUID")},
		      {"hv_uio7", "hv_uio", std::string(4000, 'x')},
		      {"hv_uio8", "hv_uio", kNicPnpInfo}};
	const auto found = scan();
	ASSERT_EQ(found.size(), 1u);
	EXPECT_EQ(found[0].unit, 8);
	EXPECT_EQ(errors.size(), 8u);
}

TEST_F(HvUioScanTest, ImpossibleDomainIsNone)
{
	for (const int32_t domain : {-1, -7, 1024}) {
		os.integers["dev.hv_uio.0.%domain"] = domain;
		const auto found = scan();
		ASSERT_EQ(found.size(), 1u);
		EXPECT_EQ(found[0].numa_node, -1);
	}
}

TEST_F(HvUioScanTest, DevicesMayChangeMeanwhile)
{
	os.changes = 3;
	EXPECT_EQ(scan().size(), 1u);
	EXPECT_TRUE(errors.empty());
	os.changes = 1000;
	EXPECT_TRUE(scan().empty());
	ASSERT_EQ(errors.size(), 1u);
	EXPECT_NE(errors[0].find("hw.bus.devices"), std::string::npos) << errors[0];
}

TEST_F(HvUioScanTest, OtherKernels)
{
	os.bus_version = 3;
	EXPECT_TRUE(scan().empty());
	ASSERT_EQ(errors.size(), 1u);
	EXPECT_NE(errors[0].find("version 3"), std::string::npos) << errors[0];
	os.bus_version = 2;
	for (const size_t size : {2048u, 8192u}) { /* before FreeBSD 12, or some day */
		errors.clear();
		os.device_size = size;
		EXPECT_TRUE(scan().empty());
		EXPECT_EQ(errors.size(), 1u);
	}
}

TEST_F(HvUioScanTest, ModuleIsThereOrNot)
{
	EXPECT_TRUE(has_hv_uio(os));
	os.module = false;
	EXPECT_FALSE(has_hv_uio(os));
}

} // namespace
