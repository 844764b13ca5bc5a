/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../vf_interface.hpp"
#include "support.hpp"

using namespace netvsp;
using namespace netvsp::test;

namespace {

constexpr std::array<uint8_t, 6> kMac = {0x00, 0x15, 0x5d, 1, 2, 3};

/* A network that may have no room. */
struct Network final : Endpoint {
	bool send(const uint8_t* frame, uint32_t length) override
	{
		if (full)
			return false;
		sent.emplace_back(frame, frame + length);
		return true;
	}
	uint32_t receive(uint8_t*, uint32_t) override { return 0; }

	bool full = false;
	std::vector<Frame> sent;
};

class VfInterfaceTest : public ::testing::Test {
      protected:
	void SetUp() override
	{
		if (geteuid() != 0)
			GTEST_SKIP() << "making a TAP needs root";
		name = "nvv" + std::to_string(getpid() % 100000);
		std::string error;
		vf = VfInterface::create(name, kMac, error);
		if (!vf && (error.find("Operation not permitted") != std::string::npos ||
			    error.find("/dev/net/tun") != std::string::npos))
			GTEST_SKIP() << error;
		ASSERT_TRUE(vf) << error;
		sockaddr_ll address{};
		driver = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
				htons(ETH_P_ALL));
		ASSERT_GE(driver, 0);
		address.sll_family = AF_PACKET;
		address.sll_protocol = htons(ETH_P_ALL);
		address.sll_ifindex = int(if_nametoindex(name.c_str()));
		ASSERT_EQ(bind(driver, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
	}

	~VfInterfaceTest() override
	{
		if (driver >= 0)
			close(driver);
	}

	Frame frame(uint8_t seed) const
	{
		Frame f = make_frame(200, seed);
		std::copy(kMac.begin(), kMac.end(), f.begin());
		f[12] = 0x88;
		f[13] = 0xb5; /* for local experiments */
		return f;
	}

	void set_up(bool up)
	{
		ifreq request{};
		name.copy(request.ifr_name, IFNAMSIZ - 1);
		ASSERT_EQ(ioctl(driver, SIOCGIFFLAGS, &request), 0);
		request.ifr_flags = short(up ? request.ifr_flags | IFF_UP
					     : request.ifr_flags & ~IFF_UP);
		ASSERT_EQ(ioctl(driver, SIOCSIFFLAGS, &request), 0);
	}

	bool eventually(const std::function<bool()>& condition)
	{
		for (int i = 0; i < 2000; i++) {
			vf->pump(network);
			if (condition())
				return true;
			usleep(1000);
		}
		return false;
	}

	std::string name;
	std::unique_ptr<VfInterface> vf;
	Network network;
	int driver = -1;
};

TEST_F(VfInterfaceTest, HasTheNicsAddress)
{
	ifreq request{};
	name.copy(request.ifr_name, IFNAMSIZ - 1);
	ASSERT_EQ(ioctl(driver, SIOCGIFHWADDR, &request), 0);
	EXPECT_EQ(memcmp(request.ifr_hwaddr.sa_data, kMac.data(), kMac.size()), 0);
}

TEST_F(VfInterfaceTest, MovesFrames)
{
	EXPECT_TRUE(vf->send(frame(1).data(), 200));
	Frame got(2000);
	ssize_t length = -1;
	EXPECT_TRUE(eventually(
		[&] { return (length = recv(driver, got.data(), got.size(), 0)) > 0; }));
	got.resize(size_t(length));
	EXPECT_EQ(got, frame(1));
	Frame broadcast = frame(2);
	broadcast[0] = 0xff;
	EXPECT_FALSE(vf->send(broadcast.data(), 200));

	network.full = true;
	for (uint8_t i = 10; i < 13; i++)
		ASSERT_EQ(send(driver, frame(i).data(), 200, 0), 200);
	EXPECT_TRUE(eventually([&] { return vf->waits(); }));
	network.full = false;
	EXPECT_TRUE(eventually([&] { return network.sent.size() == 3; }));
	EXPECT_EQ(network.sent, (std::vector<Frame>{frame(10), frame(11), frame(12)}));
	EXPECT_FALSE(vf->waits());
}

TEST_F(VfInterfaceTest, IsThereWhileItIsUp)
{
	vf->pump(network);
	EXPECT_TRUE(vf->present());
	for (int i = 0; i < 3; i++) {
		set_up(false);
		EXPECT_TRUE(eventually([&] { return !vf->present(); }));
		set_up(true);
		EXPECT_TRUE(eventually([&] { return vf->present(); }));
	}
}

TEST_F(VfInterfaceTest, RefusesWhatIsNoTap)
{
	std::string error;
	EXPECT_FALSE(VfInterface::create("lo", kMac, error));
	EXPECT_NE(error.find("cannot attach to lo"), std::string::npos) << error;
	EXPECT_FALSE(VfInterface::create("a name", kMac, error));
	EXPECT_NE(error.find("is no interface name"), std::string::npos) << error;
}

} // namespace
