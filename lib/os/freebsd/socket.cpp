/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/socket.hpp"

#include <sys/event.h>
#include <sys/sysctl.h>
#include <sys/time.h>
#include <sys/ucred.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>

#include "kinfo.hpp"

namespace os {

namespace {

enum class Room { kYes, kNo, kError };

/* Whether the receiver has room for so many bytes. poll(2) tells of a single one. */
Room room_for(int socket, size_t size, const timespec* timeout)
{
	const int queue = ::kqueue();
	if (queue < 0)
		return Room::kError;
	struct kevent event;
	EV_SET(&event, socket, EVFILT_WRITE, EV_ADD | EV_ONESHOT, NOTE_LOWAT, size, nullptr);
	const int n = ::kevent(queue, &event, 1, &event, 1, timeout);
	const int error = n > 0 && (event.flags & EV_ERROR) != 0 ? static_cast<int>(event.data)
			  : n < 0				 ? errno
								 : 0;
	::close(queue);
	errno = error;
	return error != 0 ? Room::kError : n > 0 ? Room::kYes : Room::kNo;
}

timeval send_timeout(int socket)
{
	timeval timeout{};
	socklen_t length = sizeof(timeout);
	::getsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, &length);
	return timeout;
}

/* In the receiver's buffer a descriptor is a pointer, which is twice as large. */
size_t size_of(const msghdr& message)
{
	size_t size = 2 * message.msg_controllen;
	for (int i = 0; i < message.msg_iovlen; i++)
		size += message.msg_iov[i].iov_len;
	return size;
}

bool ever_fits(int socket, size_t size)
{
	int most = 0;
	socklen_t length = sizeof(most);
	return ::getsockopt(socket, SOL_SOCKET, SO_SNDBUF, &most, &length) != 0 ||
	       size <= static_cast<size_t>(most);
}

} // namespace

ssize_t send_message(int socket, const msghdr& message, int flags)
{
	static std::mutex mutex; /* room that is there must not go to another thread */
	const size_t size = size_of(message);
	if (!ever_fits(socket, size)) {
		errno = EMSGSIZE;
		return -1;
	}
	for (;;) {
		{
			static constexpr timespec kNow{};
			std::lock_guard lock(mutex);
			switch (room_for(socket, size, &kNow)) {
			case Room::kYes:
				return ::sendmsg(socket, &message,
						 flags | MSG_NOSIGNAL | MSG_EOR | MSG_DONTWAIT);
			case Room::kError:
				return -1;
			case Room::kNo:
				break;
			}
		}
		Room room = Room::kNo;
		if ((flags & MSG_DONTWAIT) == 0) {
			const timeval limit = send_timeout(socket);
			const timespec timeout{limit.tv_sec, limit.tv_usec * 1000};
			const bool endless = limit.tv_sec == 0 && limit.tv_usec == 0;
			room = room_for(socket, size, endless ? nullptr : &timeout);
		}
		if (room == Room::kYes)
			continue;
		if (room == Room::kNo)
			errno = EAGAIN;
		return -1;
	}
}

ssize_t receive_message(int socket, msghdr& message, int flags)
{
	const ssize_t n = ::recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
	if (n > 0 && (message.msg_flags & MSG_EOR) == 0)
		message.msg_flags |= MSG_TRUNC;
	return n;
}

/* Who connected, or listens, is known; the other end of a socketpair(2) is looked for. */
bool peer_is_this_process(int socket)
{
	xucred peer{};
	socklen_t peer_length = sizeof(peer);
	if (::getsockopt(socket, SOL_LOCAL, LOCAL_PEERCRED, &peer, &peer_length) == 0)
		return peer.cr_pid == ::getpid();
	struct kinfo_file info;
	if (!kinfo(socket, info) || info.kf_type != KF_TYPE_SOCKET)
		return false;
	const uint64_t other = info.kf_un.kf_sock.kf_sock_unpconn;
	const int names[] = {CTL_KERN, KERN_PROC, KERN_PROC_NFDS, 0};
	int left = 0;
	size_t length = sizeof(left);
	if (other == 0 || ::sysctl(names, 4, &left, &length, nullptr, 0) != 0)
		return false;
	const int most = ::getdtablesize();
	for (int fd = 0; fd < most && left > 0; fd++) {
		if (!kinfo(fd, info))
			continue;
		if (info.kf_type == KF_TYPE_SOCKET && info.kf_un.kf_sock.kf_sock_pcb == other)
			return true;
		left--;
	}
	return false;
}

} // namespace os
