/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/descriptor.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "descriptors.hpp"

namespace os::test {
namespace {

TEST(Descriptor, EventfdIsToldFromAllElse)
{
	const int event = ::eventfd(0, 0);
	int pipe[2], sockets[2];
	ASSERT_EQ(::pipe(pipe), 0);
	ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	EXPECT_TRUE(is_eventfd(event));
	for (const int fd : {pipe[0], pipe[1], sockets[0]})
		EXPECT_FALSE(is_eventfd(fd));
	for (const int fd : {event, pipe[0], pipe[1], sockets[0], sockets[1]})
		::close(fd);
	EXPECT_FALSE(is_eventfd(event));
	EXPECT_FALSE(is_eventfd(-1));
}

TEST(Descriptors, AreCounted)
{
	const size_t before = open_descriptors();
	const int fd = ::eventfd(0, 0);
	EXPECT_EQ(open_descriptors(), before + 1);
	::close(fd);
	EXPECT_EQ(open_descriptors(), before);
}

} // namespace
} // namespace os::test
