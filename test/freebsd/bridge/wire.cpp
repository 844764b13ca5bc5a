/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire.hpp"

#include "os/socket.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace bridge {

using namespace vmbus::user;

void die(const std::string& why)
{
	fprintf(stderr, "bridge: %s\n", why.c_str());
	exit(1);
}

Wire::Wire(const std::string& path)
{
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	if (path.size() >= sizeof(address.sun_path))
		die(path + " is too long for a socket");
	path.copy(address.sun_path, path.size());
	fd_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd_ < 0)
		die("no socket");
	for (int tries = 100;
	     connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0;) {
		if (--tries == 0)
			die("nobody listens at " + path);
		usleep(100000);
	}
}

Wire::~Wire()
{
	close(fd_);
}

void Wire::send(const void* data, size_t size, std::vector<int> fds)
{
	iovec iov{const_cast<void*>(data), size};
	alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
	msghdr header{};
	header.msg_iov = &iov;
	header.msg_iovlen = 1;
	if (!fds.empty()) {
		header.msg_control = control;
		header.msg_controllen = socklen_t(CMSG_SPACE(fds.size() * sizeof(int)));
		cmsghdr* cmsg = CMSG_FIRSTHDR(&header);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = socklen_t(CMSG_LEN(fds.size() * sizeof(int)));
		std::memcpy(CMSG_DATA(cmsg), fds.data(), fds.size() * sizeof(int));
	}
	while (os::send_message(fd_, header, 0) < 0) {
		if (errno != EINTR)
			die(std::string("sending to the host: ") + strerror(errno));
	}
}

bool Wire::receive()
{
	ssize_t n;

	do
		n = os::receive_message(fd_, buffer_, sizeof(buffer_), 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	size_ = size_t(n);
	if (size_ < sizeof(header_) || size_ > sizeof(buffer_))
		die("a message has a wrong length");
	std::memcpy(&header_, buffer_, sizeof(header_));
	if (header_.size != size_)
		die("a message says that it has another length");
	return true;
}

} // namespace bridge
