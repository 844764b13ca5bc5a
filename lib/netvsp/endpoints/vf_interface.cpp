/* SPDX-License-Identifier: BSD-3-Clause */
#include "vf_interface.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kinds.hpp"

namespace netvsp {

namespace {

constexpr uint32_t kFramesPerPump = 256;
constexpr uint64_t kLookNs = 1'000'000; /* a host that polls has other things to do */

/* The flags of an interface; 0 if there is none. */
unsigned int flags_of(const std::string& name)
{
	ifreq request{};
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	name.copy(request.ifr_name, IFNAMSIZ - 1);
	const bool good = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0;
	if (fd >= 0)
		close(fd);
	return good ? static_cast<unsigned short>(request.ifr_flags) : 0;
}

/* @return empty, or what went wrong */
std::string set_address(const std::string& name, const std::array<uint8_t, 6>& mac)
{
	ifreq request{};
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	name.copy(request.ifr_name, IFNAMSIZ - 1);
	request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(request.ifr_hwaddr.sa_data, mac.data(), mac.size());
	std::string error;
	if (fd < 0 || ioctl(fd, SIOCSIFHWADDR, &request) < 0)
		error = "cannot give " + name + " the NIC's address: " + strerror(errno);
	if (fd >= 0)
		close(fd);
	return error;
}

/* What this machine's own stack has to say is not the VF's; where there is no IPv6, it says
 * nothing anyway. */
void silence(const std::string& name)
{
	const std::string path = "/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6";
	const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	[[maybe_unused]] const ssize_t written = write(fd, "1", 1);
	close(fd);
}

/* A socket that becomes readable when an interface changes. */
int listen_for_changes(std::string& error)
{
	sockaddr_nl address{};
	address.nl_family = AF_NETLINK;
	address.nl_groups = RTMGRP_LINK;
	const int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0)
		return fd;
	error = std::string("cannot listen for changes of interfaces: ") + strerror(errno);
	if (fd >= 0)
		close(fd);
	return -1;
}

} // namespace

VfInterface::VfInterface(std::string name, std::unique_ptr<Endpoint> tap, int netlink)
	: name_(std::move(name)), tap_(std::move(tap)), netlink_(netlink), frame_(kMaxFrame)
{
}

VfInterface::~VfInterface()
{
	close(netlink_);
}

std::unique_ptr<VfInterface> VfInterface::create(const std::string& name,
						 const std::array<uint8_t, 6>& mac,
						 std::string& error)
{
	std::unique_ptr<Endpoint> tap = make_tap(name, error);
	if (!tap)
		return nullptr;
	error = set_address(name, mac);
	if (!error.empty())
		return nullptr;
	silence(name);
	const int netlink = listen_for_changes(error);
	if (netlink < 0)
		return nullptr;
	return std::unique_ptr<VfInterface>(new VfInterface(name, std::move(tap), netlink));
}

bool VfInterface::send(const uint8_t* frame, uint32_t length)
{
	if (frame[0] & 1)
		return false;
	tap_->send(frame, length);
	return true;
}

/* What the messages say does not matter: that there were some is reason to look. */
void VfInterface::follow_state()
{
	const uint64_t now = clock_ns(CLOCK_MONOTONIC);
	if (now < next_look_ns_)
		return;
	next_look_ns_ = now + kLookNs;
	char news[4096];
	bool changed = false;
	while (recv(netlink_, news, sizeof(news), 0) >= 0 || errno == ENOBUFS || errno == EINTR)
		changed = true;
	if (changed)
		present_ = (flags_of(name_) & IFF_UP) != 0;
}

bool VfInterface::pump(Endpoint& network)
{
	follow_state();
	bool work = false;
	for (uint32_t n = 0; n < kFramesPerPump; n++) {
		if (waiting_ == 0)
			waiting_ = tap_->receive(frame_.data(), uint32_t(frame_.size()));
		if (waiting_ == 0 || !network.send(frame_.data(), waiting_))
			break;
		waiting_ = 0;
		work = true;
	}
	if (work)
		network.flush();
	return work;
}

} // namespace netvsp
