/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/socket.hpp"

#include <unistd.h>

namespace os {

ssize_t send_message(int socket, const msghdr& message, int flags)
{
	return ::sendmsg(socket, &message, flags | MSG_NOSIGNAL);
}

ssize_t receive_message(int socket, msghdr& message, int flags)
{
	return ::recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
}

bool peer_is_this_process(int socket)
{
	ucred peer{};
	socklen_t length = sizeof(peer);
	return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
	       peer.pid == ::getpid();
}

} // namespace os
