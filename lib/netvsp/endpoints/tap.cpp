/* SPDX-License-Identifier: BSD-3-Clause */
/** A TAP interface of this machine: the guest's link ends in the kernel's network stack. */
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kinds.hpp"

namespace netvsp {

namespace {

constexpr const char* kDevice = "/dev/net/tun";

/* How long a TAP that had nothing is left alone: a host that polls would otherwise spend its time
 * in read(), and a frame waits no longer than this. */
constexpr uint64_t kQuietNs = 5000;

class Tap final : public Endpoint {
      public:
	explicit Tap(int fd) : fd_(fd) {}
	~Tap() override { close(fd_); }

	bool send(const uint8_t* frame, uint32_t length) override
	{
		if (!connected_) {
			stats_.dropped++;
			return true;
		}
		for (;;) {
			const ssize_t written = write(fd_, frame, length);

			if (written == ssize_t(length)) {
				stats_.sent_frames++;
				stats_.sent_bytes += length;
				return true;
			}
			if (written < 0 && errno == EINTR)
				continue;
			/* The kernel has no room, and may not have it for long: as on a wire. */
			if (written < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
				stats_.dropped++;
				return true;
			}
			/* EIO is an interface that is down, which may come up again. */
			stats_.errors++;
			if (written < 0)
				check_gone(errno);
			return true;
		}
	}

	uint32_t receive(uint8_t* room, uint32_t capacity) override
	{
		uint8_t excess;
		iovec parts[2] = {{room, capacity}, {&excess, 1}};

		if (!connected_)
			return 0;
		if (quiet_) {
			if (clock_ns(CLOCK_MONOTONIC) < quiet_until_)
				return 0;
			quiet_ = false;
		}
		for (;;) {
			/* The kernel cuts a frame that does not fit; the byte more shows it. */
			const ssize_t length = readv(fd_, parts, 2);

			if (length > ssize_t(capacity)) {
				stats_.dropped++;
				continue;
			}
			if (length > 0) {
				stats_.received_frames++;
				stats_.received_bytes += uint64_t(length);
				return uint32_t(length);
			}
			if (length < 0 && errno == EINTR)
				continue;
			if (length < 0 && errno != EAGAIN)
				check_gone(errno);
			quiet_ = true;
			quiet_until_ = clock_ns(CLOCK_MONOTONIC) + kQuietNs;
			return 0;
		}
	}

	void discard_waiting() override
	{
		/* Of each frame a byte is read; a kernel queue has no more than this. */
		uint8_t byte;
		for (uint32_t n = 0; n < kMaxWaiting && read(fd_, &byte, 1) > 0; n++)
			stats_.dropped++;
	}

	/* A TAP that vanished would poll readable for ever. */
	int wait_fd() const override { return connected_ ? fd_ : -1; }
	bool connected() const override { return connected_; }

      private:
	void check_gone(int reason)
	{
		if (reason == EBADFD || reason == ENODEV || reason == EBADF)
			connected_ = false;
	}

	static constexpr uint32_t kMaxWaiting = 10000;

	int fd_;
	bool connected_ = true;
	bool quiet_ = false;
	uint64_t quiet_until_ = 0;
};

std::string system_error(const std::string& what, int reason)
{
	std::string text = what + ": " + strerror(reason);

	if (reason == EPERM || reason == EACCES)
		text += " (run as root or with CAP_NET_ADMIN, or make the interface first: "
			"ip tuntap add mode tap user USER name NAME)";
	else if (reason == ENOENT || reason == ENODEV || reason == ENXIO)
		text += " (is the kernel module there? modprobe tun)";
	return text;
}

/* The kernel's rules for an interface name, and '%', by which it would choose a number. */
bool is_valid_name(const std::string& name)
{
	if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == "..")
		return false;
	for (const char c : name) {
		if (c <= ' ' || c > '~' || c == '/' || c == ':' || c == '%')
			return false;
	}
	return true;
}

/*
 * Brings the interface up. Its MTU stays what it is (1500 on a new one): which one suits depends on
 * what the guest will negotiate, so that is for "ip link set NAME mtu N".
 * @return empty, or what went wrong
 */
std::string bring_up(const std::string& name)
{
	ifreq request{};
	std::string error;
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return system_error("socket", errno);
	memcpy(request.ifr_name, name.data(), name.size());
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0) {
		error = system_error("cannot read the flags of " + name, errno);
	} else if (!(request.ifr_flags & IFF_UP)) {
		request.ifr_flags = short(request.ifr_flags | IFF_UP);
		if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
			error = system_error("cannot bring up " + name, errno);
	}
	close(fd);
	return error;
}

} // namespace

std::unique_ptr<Endpoint> make_tap(const std::string& args, std::string& error)
{
	ifreq request{};

	if (!is_valid_name(args)) {
		error = "\"" + args +
			"\" is no interface name: accepted are 1..15 printable "
			"characters without space, '/', ':' and '%'";
		return nullptr;
	}
	const int fd = open(kDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		error = system_error(std::string("cannot open ") + kDevice, errno);
		return nullptr;
	}
	auto tap = std::make_unique<Tap>(fd);

	request.ifr_flags = IFF_TAP | IFF_NO_PI;
	memcpy(request.ifr_name, args.data(), args.size());
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		const int reason = errno;

		error = system_error("cannot attach to " + args, reason);
		if (reason == EBUSY)
			error += " (another program has it)";
		else if (reason == EINVAL)
			error += " (it is no TAP, or one with several queues)";
		return nullptr;
	}
	error = bring_up(args);
	if (!error.empty())
		return nullptr;
	return tap;
}

} // namespace netvsp
