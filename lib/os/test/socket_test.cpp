/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/socket.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "descriptors.hpp"

namespace os::test {
namespace {

class Socket : public ::testing::Test {
      protected:
	void SetUp() override
	{
		ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	}
	void TearDown() override
	{
		for (const int fd : ends)
			::close(fd);
	}
	int ends[2];
};

TEST_F(Socket, MessagesStayApart)
{
	char buffer[100];
	for (const size_t size : {1, 7, 50})
		ASSERT_EQ(send_message(ends[0], buffer, size, MSG_DONTWAIT),
			  static_cast<ssize_t>(size));
	for (const ssize_t size : {1, 7, 50})
		EXPECT_EQ(receive_message(ends[1], buffer, sizeof(buffer), 0), size);
	EXPECT_EQ(receive_message(ends[1], buffer, sizeof(buffer), MSG_DONTWAIT), -1);
	EXPECT_EQ(errno, EAGAIN);
	::shutdown(ends[0], SHUT_RDWR);
	EXPECT_EQ(receive_message(ends[1], buffer, sizeof(buffer), 0), 0);
	EXPECT_EQ(send_message(ends[1], buffer, 1, 0), -1);
	EXPECT_EQ(errno, EPIPE);
}

TEST_F(Socket, WhatIsLongerThanTheBufferSaysSo)
{
	char buffer[100] = {};
	ASSERT_EQ(send_message(ends[0], buffer, 100, 0), 100);
	EXPECT_EQ(receive_message(ends[1], buffer, 99, 0), 100);
	ASSERT_EQ(send_message(ends[1], buffer, 100, 0), 100);
	EXPECT_EQ(receive_message(ends[0], buffer, 100, 0), 100);
}

TEST_F(Socket, FullOneTakesNoPartOfAMessage)
{
	std::vector<char> message(5001, 'x'), got(message.size() + 1);
	size_t sent = 0;
	while (send_message(ends[0], message.data(), message.size(), MSG_DONTWAIT) > 0)
		sent++;
	EXPECT_EQ(errno, EAGAIN);
	EXPECT_GT(sent, 5u);
	/* One that waits for room gets it. */
	std::thread waits([&] {
		EXPECT_EQ(send_message(ends[0], message.data(), message.size(), 0),
			  static_cast<ssize_t>(message.size()));
	});
	for (size_t i = 0; i < sent + 1; i++)
		EXPECT_EQ(receive_message(ends[1], got.data(), got.size(), 0),
			  static_cast<ssize_t>(message.size()));
	waits.join();
	EXPECT_EQ(receive_message(ends[1], got.data(), got.size(), MSG_DONTWAIT), -1);
}

TEST_F(Socket, WaitingForRoomEnds)
{
	const timeval limit{0, 20000};
	::setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	std::vector<char> message(5001);
	while (send_message(ends[0], message.data(), message.size(), 0) > 0)
		;
	EXPECT_EQ(errno, EAGAIN);
}

TEST_F(Socket, ThreadsDoNotTakeEachOthersRoom)
{
	std::vector<std::thread> threads;
	static constexpr int kEach = 500;
	for (int i = 0; i < 4; i++)
		threads.emplace_back([&] {
			const std::vector<char> message(1001);
			for (int n = 0; n < kEach; n++)
				while (send_message(ends[0], message.data(), message.size(),
						    MSG_DONTWAIT) < 0)
					std::this_thread::yield();
		});
	char got[2000];
	for (int n = 0; n < 4 * kEach; n++)
		ASSERT_EQ(receive_message(ends[1], got, sizeof(got), 0), 1001);
	for (std::thread& t : threads)
		t.join();
}

TEST_F(Socket, DescriptorsTravelWithTheirMessage)
{
	const size_t before = open_descriptors();
	alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
	char text[4] = "abc";
	iovec iov{text, sizeof(text)};
	msghdr message{};
	message.msg_iov = &iov;
	message.msg_iovlen = 1;
	message.msg_control = control;
	message.msg_controllen = sizeof(control);
	cmsghdr* c = CMSG_FIRSTHDR(&message);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(2 * sizeof(int));
	std::memcpy(CMSG_DATA(c), ends, 2 * sizeof(int));
	ASSERT_EQ(send_message(ends[0], message, MSG_DONTWAIT), 4);
	message.msg_controllen = sizeof(control);
	ASSERT_EQ(receive_message(ends[1], message, MSG_DONTWAIT), 4);
	EXPECT_EQ(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC), 0);
	c = CMSG_FIRSTHDR(&message);
	ASSERT_NE(c, nullptr);
	ASSERT_EQ(c->cmsg_len, CMSG_LEN(2 * sizeof(int)));
	int got[2];
	std::memcpy(got, CMSG_DATA(c), sizeof(got));
	EXPECT_EQ(open_descriptors(), before + 2);
	for (const int fd : got)
		::close(fd);
}

TEST_F(Socket, KnowsWhetherBothEndsAreHere)
{
	EXPECT_TRUE(peer_is_this_process(ends[0]));
	const pid_t child = ::fork();
	if (child == 0) {
		::close(ends[1]);
		::_exit(peer_is_this_process(ends[0]) ? 1 : 0);
	}
	int status = -1;
	::waitpid(child, &status, 0);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	EXPECT_FALSE(peer_is_this_process(-1));
}

} // namespace
} // namespace os::test
