/* SPDX-License-Identifier: BSD-3-Clause */
#include "listener.hpp"

#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace netvsp {

namespace {

int new_socket(int type)
{
	return socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Whether the socket file is a leftover of a process that is gone. It is asked with a socket of
 * another type, which the kernel refuses otherwise: one of ours would be a guest to its owner. */
bool is_stale(const sockaddr_un& address)
{
	struct stat st;
	if (lstat(address.sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return false;
	int fd = new_socket(SOCK_DGRAM);
	if (fd < 0)
		return false;
	bool refused =
		connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
		errno == ECONNREFUSED;
	::close(fd);
	return refused;
}

} // namespace

bool Listener::open(const std::string& path, std::string& error)
{
	close();
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	if (path.empty() || path.size() >= sizeof(address.sun_path)) {
		error = "socket path must have 1.." + std::to_string(sizeof(address.sun_path) - 1) +
			" characters";
		return false;
	}
	memcpy(address.sun_path, path.c_str(), path.size() + 1);
	int fd = new_socket(SOCK_SEQPACKET);
	if (fd < 0) {
		error = std::string("socket: ") + strerror(errno);
		return false;
	}
	auto* name = reinterpret_cast<const sockaddr*>(&address);
	int result = bind(fd, name, sizeof(address));
	if (result != 0 && errno == EADDRINUSE && is_stale(address)) {
		unlink(address.sun_path);
		result = bind(fd, name, sizeof(address));
	}
	if (result != 0 || ::listen(fd, 4) != 0) {
		error = path + ": " + strerror(errno);
		::close(fd);
		return false;
	}
	struct stat st;
	if (lstat(path.c_str(), &st) == 0) {
		inode_ = st.st_ino;
		device_ = st.st_dev;
	}
	fd_ = fd;
	path_ = path;
	return true;
}

void Listener::close()
{
	if (fd_ < 0)
		return;
	struct stat st;
	if (lstat(path_.c_str(), &st) == 0 && st.st_ino == inode_ && st.st_dev == device_)
		unlink(path_.c_str());
	::close(fd_);
	fd_ = -1;
}

int Listener::accept()
{
	return fd_ < 0 ? -1 : accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

} // namespace netvsp
