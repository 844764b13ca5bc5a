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
