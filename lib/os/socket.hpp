/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Messages of UNIX SOCK_SEQPACKET sockets. Linux sends and receives them whole. To FreeBSD such a
 * socket is a stream in which a sender may mark where a message ends (MSG_EOR), and from which a
 * receiver gets no more than one: what finds too little room is sent in part.
 */
#pragma once

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

namespace os {

/** As sendmsg(2), with MSG_NOSIGNAL: the whole message is sent, or nothing. */
ssize_t send_message(int socket, const msghdr& message, int flags);
/** As recvmsg(2), with MSG_CMSG_CLOEXEC: MSG_TRUNC in msg_flags says that the message goes on. */
ssize_t receive_message(int socket, msghdr& message, int flags);

/** The same without descriptors. */
inline ssize_t send_message(int socket, const void* data, size_t size, int flags)
{
	iovec iov{const_cast<void*>(data), size};
	msghdr message{};
	message.msg_iov = &iov;
	message.msg_iovlen = 1;
	return send_message(socket, message, flags);
}
/** @return also the size of the buffer plus 1: the message is longer */
inline ssize_t receive_message(int socket, void* data, size_t size, int flags)
{
	iovec iov{data, size};
	msghdr message{};
	message.msg_iov = &iov;
	message.msg_iovlen = 1;
	const ssize_t n = receive_message(socket, message, flags);
	return n > 0 && (message.msg_flags & MSG_TRUNC) != 0 ? static_cast<ssize_t>(size) + 1 : n;
}

/** Whether the other end is this process's, too. */
bool peer_is_this_process(int socket);

} // namespace os
