/* SPDX-License-Identifier: BSD-3-Clause */
extern "C" {
#include "../hv_uio/hv_uio_args.h"
}

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <random>

namespace {

constexpr uint64_t kPage = HV_UIO_PAGE_SIZE;

TEST(HvUioArgs, OffsetsComeBackAsTheyWereMade)
{
	for (const uint32_t wanted : {0u, 1u, 255u, 256u, 65536u, UINT32_MAX}) {
		uint32_t relid = 7, map = 7;
		const auto offset = static_cast<uint64_t>(HV_UIO_OFFSET(wanted, HV_UIO_MAP_RINGS));
		ASSERT_EQ(hv_uio_decode_offset(offset, &relid, &map), 0) << wanted;
		EXPECT_EQ(relid, wanted);
		EXPECT_EQ(map, uint32_t{HV_UIO_MAP_RINGS});
	}
	for (uint32_t wanted = 0; wanted < HV_UIO_MAPS; wanted++) {
		uint32_t relid = 7, map = 7;
		ASSERT_EQ(hv_uio_decode_offset(wanted * kPage, &relid, &map), 0);
		EXPECT_EQ(relid, 0u);
		EXPECT_EQ(map, wanted);
	}
}

TEST(HvUioArgs, OffsetsOfTheDeviceAreThoseOfLinuxToo)
{
	EXPECT_EQ(HV_UIO_OFFSET(0, HV_UIO_MAP_SEND), off_t{4 * kPage});
	EXPECT_EQ(HV_UIO_OFFSET(3, HV_UIO_MAP_RINGS), off_t{3 * 256 * kPage});
}

TEST(HvUioArgs, ImpossibleOffsetsAreRefused)
{
	uint32_t relid, map;
	const uint64_t bad[] = {
		1,
		kPage - 1,
		kPage + 8,	     /* not a page's */
		HV_UIO_MAPS * kPage, /* no such map */
		255 * kPage,
		(256 + HV_UIO_MAP_RECEIVE) * kPage, /* a buffer of a subchannel */
		(256 + HV_UIO_MAP_MONITOR) * kPage,
		(uint64_t{1} << 40) * kPage, /* a relid of more than 32 bits */
		~uint64_t{0} / kPage * kPage,
		~uint64_t{0},
	};
	for (const uint64_t offset : bad)
		EXPECT_EQ(hv_uio_decode_offset(offset, &relid, &map), EINVAL) << offset;
}

TEST(HvUioArgs, WhateverIsAcceptedNamesAMap)
{
	std::mt19937_64 random(1);
	unsigned accepted = 0;
	for (int i = 0; i < 1000000; i++) {
		const uint64_t offset = (random() >> random() % 64) & ~(kPage - 1);
		uint32_t relid = 0, map = 0;
		const int error = hv_uio_decode_offset(offset, &relid, &map);
		if (error != 0) {
			ASSERT_EQ(error, EINVAL);
			continue;
		}
		accepted++;
		ASSERT_LT(map, uint32_t{HV_UIO_MAPS});
		ASSERT_TRUE(relid == 0 || map == HV_UIO_MAP_RINGS);
		ASSERT_EQ(static_cast<uint64_t>(HV_UIO_OFFSET(relid, map)), offset);
	}
	EXPECT_GT(accepted, 1000u);
}

TEST(HvUioArgs, AMappingIsPartOfItsRegion)
{
	const int rw = PROT_READ | PROT_WRITE;
	EXPECT_EQ(hv_uio_check_map(8 * kPage, 8 * kPage, rw), 0);
	EXPECT_EQ(hv_uio_check_map(8 * kPage, kPage, PROT_READ), 0);
	EXPECT_EQ(hv_uio_check_map(8 * kPage, 9 * kPage, rw), EINVAL);
	EXPECT_EQ(hv_uio_check_map(8 * kPage, ~uint64_t{0}, rw), EINVAL);
	EXPECT_EQ(hv_uio_check_map(8 * kPage, 0, rw), EINVAL);
	EXPECT_EQ(hv_uio_check_map(0, kPage, rw), ENXIO);
	EXPECT_EQ(hv_uio_check_map(8 * kPage, kPage, rw | PROT_EXEC), EACCES);
}

TEST(HvUioArgs, SubchannelRequests)
{
	const auto check = [](auto change) {
		hv_uio_subchan request{};
		request.version = HV_UIO_VERSION;
		request.index = 1;
		request.cpu = HV_UIO_ANY_CPU;
		change(request);
		return hv_uio_check_subchan(&request, 4);
	};
	EXPECT_EQ(check([](auto&) {}), 0);
	EXPECT_EQ(check([](auto& r) { r.index = HV_UIO_SUBCHANNELS; }), 0);
	EXPECT_EQ(check([](auto& r) { r.cpu = 3; }), 0);
	EXPECT_EQ(check([](auto& r) { r.cpu = 4; }), EINVAL);
	EXPECT_EQ(check([](auto& r) { r.index = 0; }), EINVAL);
	EXPECT_EQ(check([](auto& r) { r.index = HV_UIO_SUBCHANNELS + 1; }), EINVAL);
	EXPECT_EQ(check([](auto& r) { r.index = UINT32_MAX; }), EINVAL);
	EXPECT_EQ(check([](auto& r) { r.version = 0; }), EINVAL);
	EXPECT_EQ(check([](auto& r) { r.version = HV_UIO_VERSION + 1; }), EINVAL);
	EXPECT_EQ(check([](auto& r) { r.reserved = 1; }), EINVAL);
}

TEST(HvUioArgs, MasksAreZeroOrOne)
{
	EXPECT_EQ(hv_uio_check_mask(0), 0);
	EXPECT_EQ(hv_uio_check_mask(1), 0);
	EXPECT_EQ(hv_uio_check_mask(2), EINVAL);
	EXPECT_EQ(hv_uio_check_mask(UINT32_MAX), EINVAL);
}

TEST(HvUioArgs, ARingHasSomethingUnreadUnlessItsIndicesAgree)
{
	EXPECT_FALSE(hv_uio_ring_unread(0, 0, kPage));
	EXPECT_FALSE(hv_uio_ring_unread(64, 64, kPage));
	EXPECT_TRUE(hv_uio_ring_unread(64, 0, kPage));
	EXPECT_TRUE(hv_uio_ring_unread(0, 64, kPage));
	EXPECT_TRUE(hv_uio_ring_unread(kPage, kPage, kPage));
}

TEST(HvUioArgs, TwoRingsFitOneGpadl)
{
	EXPECT_EQ(hv_uio_ring_size(512), 512 * kPage);
	EXPECT_EQ(hv_uio_ring_size(0), 2 * kPage);
	EXPECT_EQ(hv_uio_ring_size(UINT32_MAX), 4095 * kPage);
	EXPECT_LE(2 * hv_uio_ring_size(UINT32_MAX), HV_UIO_GPADL_PAGES * kPage);
}

TEST(HvUioArgs, BuffersAreWholePagesOfOneGpadl)
{
	EXPECT_EQ(hv_uio_buffer_size(31 << 20), uint64_t{31 << 20});
	EXPECT_EQ(hv_uio_buffer_size(32 << 20), HV_UIO_GPADL_PAGES * kPage);
	EXPECT_EQ(hv_uio_buffer_size(~uint64_t{0}), HV_UIO_GPADL_PAGES * kPage);
	EXPECT_EQ(hv_uio_buffer_size(0), 16 * kPage);
	EXPECT_EQ(hv_uio_buffer_size(20 * kPage + 1), 20 * kPage);
}

/* A client and a module of different age must not misread each other. */
TEST(HvUioArgs, StructuresHaveNoHoles)
{
	EXPECT_EQ(sizeof(hv_uio_region), 16u);
	EXPECT_EQ(sizeof(hv_uio_info), 24u + 32u + HV_UIO_MAPS * 16u);
	EXPECT_EQ(sizeof(hv_uio_subchan), 32u);
}

} // namespace
