/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../test/net_frames.hpp"
#include "../vnet_header.hpp"
#include "support.hpp"

using namespace netvsp;
using namespace netvsp::test;

namespace {

constexpr uint16_t kEtherType = 0x88b5; /* for local experiments */

class TapTest : public ::testing::Test {
      protected:
	void SetUp() override
	{
		if (geteuid() != 0)
			GTEST_SKIP() << "making a TAP needs root";
		const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			GTEST_SKIP() << "/dev/net/tun: " << strerror(errno);
		close(fd);
		name = "nvt" + std::to_string(getpid() % 100000);
		std::string error;
		tap = make_endpoint("tap:" + name, nullptr, error);
		if (!tap && error.find("Operation not permitted") != std::string::npos)
			GTEST_SKIP() << error;
		ASSERT_TRUE(tap) << error;
		open_socket();
	}

	void open_socket()
	{
		sockaddr_ll address{};

		raw = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(kEtherType));
		ASSERT_GE(raw, 0);
		address.sll_family = AF_PACKET;
		address.sll_protocol = htons(kEtherType);
		address.sll_ifindex = int(if_nametoindex(name.c_str()));
		ASSERT_EQ(bind(raw, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
	}

	~TapTest() override
	{
		if (raw >= 0)
			close(raw);
	}

	/** A socket to the kernel's side that sees, and says, what is left to do with a frame. */
	int open_offload_socket()
	{
		sockaddr_ll address{};
		const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
		const int on = 1;

		EXPECT_EQ(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
		address.sll_family = AF_PACKET;
		address.sll_protocol = htons(ETH_P_ALL);
		address.sll_ifindex = int(if_nametoindex(name.c_str()));
		EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
		return fd;
	}

	/** The next frame of the tests' flows that the kernel got from the TAP. */
	static std::string kernel_got(int fd, VnetHeader& header)
	{
		std::string bytes(70000, 0);
		pollfd event{fd, POLLIN, 0};

		while (poll(&event, 1, 2000) == 1) {
			const ssize_t n = recv(fd, bytes.data(), bytes.size(), 0);
			if (n < ssize_t(sizeof(header)) + 14)
				continue;
			memcpy(&header, bytes.data(), sizeof(header));
			const std::string frame =
				bytes.substr(sizeof(header), size_t(n) - sizeof(header));
			if (frame.compare(0, 6, std::string("\2\0\0\0\0\1", 6)) == 0)
				return frame;
		}
		return {};
	}

	static void kernel_sends(int fd, const VnetHeader& header, const std::string& frame)
	{
		std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
		bytes += frame;
		ASSERT_EQ(::send(fd, bytes.data(), bytes.size(), 0), ssize_t(bytes.size()))
			<< strerror(errno);
	}

	/** The next frame of the tests' flows that the guest gets. */
	std::string guest_got(uint32_t capacity = 1518)
	{
		pollfd event{tap->wait_fd(), POLLIN, 0};

		for (int i = 0; i < 1000; i++) {
			const Frame frame = receive(*tap, capacity);
			const std::string text(frame.begin(), frame.end());
			if (text.compare(0, 6, std::string("\2\0\0\0\0\1", 6)) == 0)
				return text;
			if (frame.empty())
				poll(&event, 1, 2);
		}
		return {};
	}

	static Frame tap_frame(size_t length, uint8_t seed = 0)
	{
		Frame frame = make_frame(length, seed);
		std::fill_n(frame.begin(), 6, 0xff);
		frame[6] = 2;
		frame[12] = kEtherType >> 8;
		frame[13] = kEtherType & 0xff;
		return frame;
	}

	/* The next frame of our type; the kernel sends some of its own. */
	Frame next()
	{
		pollfd event{tap->wait_fd(), POLLIN, 0};

		for (int i = 0; i < 1000; i++) {
			const Frame frame = receive(*tap);
			if (frame.size() >= 14 && frame[12] == kEtherType >> 8 &&
			    frame[13] == (kEtherType & 0xff))
				return frame;
			if (frame.empty())
				poll(&event, 1, 2);
		}
		return {};
	}

	int ioctl_with(unsigned long request, ifreq& argument) const
	{
		const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		memcpy(argument.ifr_name, name.data(), name.size() + 1);
		const int result = ioctl(fd, request, &argument);
		close(fd);
		return result;
	}

	std::string name;
	std::unique_ptr<Endpoint> tap;
	int raw = -1;
};

} // namespace

TEST_F(TapTest, ExchangesFramesWithTheKernel)
{
	ifreq request{};

	request.ifr_mtu = 9202;
	ASSERT_EQ(ioctl_with(SIOCSIFMTU, request), 0) << strerror(errno);
	for (size_t length : {60, 61, 1514, 9000, 9216}) {
		const Frame out = tap_frame(length, 1);
		Frame in(10000);
		EXPECT_TRUE(send(*tap, out));
		pollfd event{raw, POLLIN, 0};
		ASSERT_EQ(poll(&event, 1, 2000), 1) << length;
		const ssize_t got = recv(raw, in.data(), in.size(), 0);
		in.resize(size_t(std::max<ssize_t>(got, 0)));
		EXPECT_EQ(in, out);

		const Frame back = tap_frame(length, 2);
		ASSERT_EQ(::send(raw, back.data(), back.size(), 0), ssize_t(back.size()))
			<< strerror(errno);
		EXPECT_EQ(next(), back);
	}
	EXPECT_EQ(tap->stats().sent_frames, 5u);
	EXPECT_EQ(tap->stats().errors, 0u);
	EXPECT_EQ(tap->stats().dropped, 0u);
}

TEST_F(TapTest, WhatIsLeftToDoIsLeftToTheKernel)
{
	const int fd = open_offload_socket();
	for (const bool v6 : {false, true}) {
		for (const uint32_t mss : {0u, 1400u}) {
			::test::FrameSpec s;
			s.v6 = v6;
			s.payload = mss != 0 ? 50000 : 100;
			const std::string frame = ::test::seeded_frame(s);
			FrameOffload left;
			left.checksum = true;
			left.checksum_start = uint32_t(s.l4());
			left.checksum_offset = 16;
			left.mss = mss;
			left.v6 = v6;
			left.headers = uint32_t(s.data());
			ASSERT_TRUE(tap->takes_offloads());
			EXPECT_TRUE(
				tap->send_offload(reinterpret_cast<const uint8_t*>(frame.data()),
						  uint32_t(frame.size()), left));
			VnetHeader header;
			EXPECT_EQ(kernel_got(fd, header), frame) << v6 << mss;
			EXPECT_EQ(header.flags, kVnetNeedsChecksum);
			EXPECT_EQ(header.csum_start, s.l4());
			EXPECT_EQ(header.csum_offset, 16);
			EXPECT_EQ(header.gso_size, mss);
			EXPECT_EQ(header.gso_type, mss == 0 ? kVnetNoGso
						   : v6	    ? kVnetGsoTcp6
							    : kVnetGsoTcp4);
		}
	}
	EXPECT_EQ(tap->stats().sent_frames, 4u);
	EXPECT_EQ(tap->stats().sent_large, 2u);
	EXPECT_EQ(tap->stats().errors, 0u);
	close(fd);
}

TEST_F(TapTest, ChecksumsThatTheKernelLeftAreComputed)
{
	const int fd = open_offload_socket();
	for (const bool v6 : {false, true}) {
		for (const bool tcp : {false, true}) {
			::test::FrameSpec s;
			s.v6 = v6;
			s.tcp = tcp;
			std::string frame = ::test::seeded_frame(s);
			const std::string good = ::test::good_frame(s);
			frame.replace(14, s.l4() - 14, good, 14, s.l4() - 14);
			VnetHeader header;
			header.flags = kVnetNeedsChecksum;
			header.csum_start = uint16_t(s.l4());
			header.csum_offset = uint16_t(::test::l4_checksum_at(s) - s.l4());
			ASSERT_NO_FATAL_FAILURE(kernel_sends(fd, header, frame));
			EXPECT_EQ(guest_got(), good) << v6 << tcp;
		}
	}
	EXPECT_EQ(tap->stats().dropped, 0u);
	close(fd);
}

TEST_F(TapTest, LargeFramesOfTheKernelAreCut)
{
	constexpr uint32_t kMss = 1400, kPayload = 50001;
	const int fd = open_offload_socket();
	for (const bool v6 : {false, true}) {
		for (const size_t tag : {0, 4}) {
			::test::FrameSpec s;
			s.v6 = v6;
			s.payload = kPayload;
			s.tcp_flags = 0x18; /* ACK, PSH */
			std::string frame = ::test::seeded_frame(s);
			if (tag != 0)
				frame.insert(12, std::string("\x81\0\0\7", 4));
			VnetHeader header;
			header.flags = kVnetNeedsChecksum;
			header.csum_start = uint16_t(s.l4() + tag);
			header.csum_offset = 16;
			header.gso_type = v6 ? kVnetGsoTcp6 : kVnetGsoTcp4;
			header.gso_size = kMss;
			header.hdr_len = uint16_t(s.data() + tag);
			ASSERT_NO_FATAL_FAILURE(kernel_sends(fd, header, frame));
			for (uint32_t at = 0; at < kPayload; at += kMss) {
				SCOPED_TRACE(at);
				std::string got = guest_got();
				::test::FrameSpec one = s;
				one.payload = std::min(kMss, kPayload - at);
				one.sequence += at;
				one.id = uint16_t(s.id + at / kMss);
				one.tcp_flags = at + one.payload == kPayload ? 0x18 : 0x10;
				ASSERT_EQ(got.size(), one.data() + tag + one.payload);
				EXPECT_EQ(got.substr(12, tag), frame.substr(12, tag));
				got.erase(12, tag);
				/* The payload as it was in the whole, the sums for what it is. */
				std::string l4 = got.substr(s.l4());
				EXPECT_EQ(::test::plain_sum(
						  ::test::pseudo_header(one, got, l4.size()) + l4),
					  0xffffu);
				std::string expected = ::test::good_frame(one);
				expected.replace(one.data(), one.payload, frame,
						 s.data() + tag + at, one.payload);
				expected.replace(::test::l4_checksum_at(one), 2, got,
						 ::test::l4_checksum_at(one), 2);
				ASSERT_EQ(got, expected);
			}
		}
	}
	EXPECT_EQ(tap->stats().received_large, 4u);
	EXPECT_EQ(tap->stats().dropped, 0u);
	EXPECT_EQ(tap->wait_ns(), -1);
	close(fd);
}

/* Counted as what they would have been. */
TEST_F(TapTest, LargeFramesWhoseSegmentsDoNotFit)
{
	const int fd = open_offload_socket();
	::test::FrameSpec s;
	s.payload = 3000;
	const std::string frame = ::test::seeded_frame(s);
	VnetHeader header;
	header.flags = kVnetNeedsChecksum;
	header.csum_start = uint16_t(s.l4());
	header.csum_offset = 16;
	header.gso_type = kVnetGsoTcp4;
	header.gso_size = 1000;
	header.hdr_len = uint16_t(s.data());
	while (!receive(*tap).empty())
		;
	ASSERT_NO_FATAL_FAILURE(kernel_sends(fd, header, frame));
	s.payload = 100;
	ASSERT_NO_FATAL_FAILURE(kernel_sends(fd, {}, ::test::good_frame(s)));
	EXPECT_EQ(guest_got(1000), ::test::good_frame(s));
	EXPECT_EQ(tap->stats().dropped, 3u);
	/* Nor do they wait for a guest that begins to receive. */
	ASSERT_NO_FATAL_FAILURE(kernel_sends(fd, header, frame));
	EXPECT_FALSE(guest_got().empty());
	EXPECT_EQ(tap->wait_ns(), 0);
	tap->discard_waiting();
	EXPECT_EQ(tap->wait_ns(), -1);
	EXPECT_EQ(tap->stats().dropped, 5u);
	close(fd);
}

TEST_F(TapTest, DropsWhatTheGuestHasNoRoomFor)
{
	const Frame big = tap_frame(1000), exact = tap_frame(500);

	while (!receive(*tap).empty())
		;
	ASSERT_EQ(::send(raw, big.data(), big.size(), 0), ssize_t(big.size()));
	ASSERT_EQ(::send(raw, exact.data(), exact.size(), 0), ssize_t(exact.size()));
	Frame frame;
	for (int i = 0; i < 1000 && frame != exact; i++) {
		usleep(100);
		frame = receive(*tap, 500);
	}
	EXPECT_EQ(frame, exact);
	EXPECT_EQ(tap->stats().dropped, 1u);
}

TEST_F(TapTest, IsUpWithTheKernelsMtu)
{
	ifreq request{};

	ASSERT_EQ(ioctl_with(SIOCGIFFLAGS, request), 0);
	EXPECT_TRUE(request.ifr_flags & IFF_UP);
	ASSERT_EQ(ioctl_with(SIOCGIFMTU, request), 0);
	EXPECT_EQ(request.ifr_mtu, 1500);
}

TEST_F(TapTest, IsGoneWithItsEndpoint)
{
	tap.reset();
	EXPECT_EQ(if_nametoindex(name.c_str()), 0u);
}

TEST_F(TapTest, SecondUserIsRefused)
{
	EXPECT_NE(refuse("tap:" + name).find("another program has it"), std::string::npos);
	EXPECT_NE(refuse("tap:lo").find("it is no TAP"), std::string::npos);
}

TEST_F(TapTest, DownCountsAsErrorAndComesBack)
{
	ifreq request{};

	ASSERT_EQ(ioctl_with(SIOCGIFFLAGS, request), 0);
	request.ifr_flags = short(request.ifr_flags & ~IFF_UP);
	ASSERT_EQ(ioctl_with(SIOCSIFFLAGS, request), 0);
	EXPECT_TRUE(send(*tap, tap_frame(60)));
	EXPECT_EQ(tap->stats().errors, 1u);
	EXPECT_TRUE(tap->connected());
	request.ifr_flags = short(request.ifr_flags | IFF_UP);
	ASSERT_EQ(ioctl_with(SIOCSIFFLAGS, request), 0);
	EXPECT_TRUE(send(*tap, tap_frame(60)));
	EXPECT_EQ(tap->stats().sent_frames, 1u);
}

TEST_F(TapTest, NoticesThatItWasDeleted)
{
	ASSERT_EQ(system(("ip link delete " + name + " 2>/dev/null").c_str()), 0);
	pollfd event{tap->wait_fd(), POLLIN, 0};
	EXPECT_EQ(poll(&event, 1, 1000), 1); /* an idle host wakes up */
	while (!receive(*tap).empty())
		;
	EXPECT_FALSE(tap->connected());
	EXPECT_EQ(tap->wait_fd(), -1);
	EXPECT_TRUE(send(*tap, tap_frame(60)));
	EXPECT_EQ(tap->stats().dropped, 1u);
	EXPECT_TRUE(receive(*tap).empty());
}

TEST(Tap, RefusesInvalidNames)
{
	for (const char* name : {"", "sixteen-letters-", "a/b", "a b", "a:b", "tap%d", ".", ".."})
		EXPECT_NE(refuse(std::string("tap:") + name).find("no interface name"),
			  std::string::npos)
			<< name;
}
