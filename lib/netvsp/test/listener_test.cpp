/* SPDX-License-Identifier: BSD-3-Clause */
#include "netvsp/listener.hpp"

#include <cstring>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

using netvsp::Listener;

namespace {

class ListenerTest : public ::testing::Test {
      protected:
	void SetUp() override
	{
		char name[] = "/tmp/netvsp-listener-XXXXXX";
		ASSERT_NE(nullptr, mkdtemp(name));
		folder = name;
		path = folder + "/socket";
	}
	void TearDown() override
	{
		for (int fd : fds)
			close(fd);
		unlink(path.c_str());
		EXPECT_EQ(0, rmdir(folder.c_str())); /* nothing else was left behind */
	}
	int new_socket(int type)
	{
		fds.push_back(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
		return fds.back();
	}
	static sockaddr_un address(const std::string& at)
	{
		sockaddr_un a{};
		a.sun_family = AF_UNIX;
		memcpy(a.sun_path, at.data(), at.size());
		return a;
	}
	/** A socket of somebody else's at the path. */
	int bind_foreign(int type)
	{
		int fd = new_socket(type);
		sockaddr_un a = address(path);
		EXPECT_EQ(0, bind(fd, reinterpret_cast<sockaddr*>(&a), sizeof(a)));
		return fd;
	}
	int guest()
	{
		int fd = new_socket(SOCK_SEQPACKET);
		sockaddr_un a = address(path);
		EXPECT_EQ(0, connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof(a)))
			<< strerror(errno);
		return fd;
	}
	/** Whether a message that the guest sends arrives at what the listener accepted. */
	static bool joined(int guest, int accepted)
	{
		char byte = 'x', got = 0;
		return accepted >= 0 && send(guest, &byte, 1, MSG_NOSIGNAL) == 1 &&
		       recv(accepted, &got, 1, 0) == 1 && got == byte;
	}
	bool exists() const { return access(path.c_str(), F_OK) == 0; }

	std::string folder, path, error;
	std::vector<int> fds;
	Listener listener;
};

TEST_F(ListenerTest, AcceptsGuestsAndRemovesItsFile)
{
	EXPECT_EQ(-1, listener.accept());
	ASSERT_TRUE(listener.open(path, error)) << error;
	EXPECT_GE(listener.fd(), 0);
	EXPECT_EQ(-1, listener.accept());
	int a = guest(), b = guest();
	int first = listener.accept(), second = listener.accept();
	fds.insert(fds.end(), {first, second});
	EXPECT_TRUE(joined(a, first));
	EXPECT_TRUE(joined(b, second));
	EXPECT_EQ(-1, listener.accept());
	EXPECT_EQ(FD_CLOEXEC, fcntl(first, F_GETFD));
	EXPECT_TRUE(fcntl(first, F_GETFL) & O_NONBLOCK);
	listener.close();
	EXPECT_FALSE(exists());
	EXPECT_EQ(-1, listener.fd());
	EXPECT_TRUE(joined(b, second)); /* who is connected stays */
}

TEST_F(ListenerTest, PathInUseIsLeftToItsOwner)
{
	ASSERT_TRUE(listener.open(path, error)) << error;
	Listener other;
	EXPECT_FALSE(other.open(path, error));
	EXPECT_NE(std::string::npos, error.find(path)) << error;
	EXPECT_EQ(-1, listener.accept()); /* finding out did not leave a guest behind */
	other.close();
	int a = guest();
	fds.push_back(listener.accept());
	EXPECT_TRUE(joined(a, fds.back()));
}

TEST_F(ListenerTest, StaleFileIsReplaced)
{
	close(bind_foreign(SOCK_SEQPACKET));
	fds.pop_back();
	ASSERT_TRUE(exists());
	ASSERT_TRUE(listener.open(path, error)) << error;
	int a = guest();
	fds.push_back(listener.accept());
	EXPECT_TRUE(joined(a, fds.back()));
}

TEST_F(ListenerTest, WhatIsNoStaleSocketIsNotReplaced)
{
	int fd = open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ASSERT_EQ(4, write(fd, "text", 4));
	close(fd);
	EXPECT_FALSE(listener.open(path, error));
	struct stat st;
	ASSERT_EQ(0, stat(path.c_str(), &st));
	EXPECT_EQ(4, st.st_size);
	unlink(path.c_str());

	ASSERT_EQ(0, symlink("nowhere", path.c_str()));
	EXPECT_FALSE(listener.open(path, error));
	ASSERT_EQ(0, lstat(path.c_str(), &st));
	EXPECT_TRUE(S_ISLNK(st.st_mode));
	unlink(path.c_str());

	/* a server of another kind is alive all the same */
	ASSERT_EQ(0, listen(bind_foreign(SOCK_STREAM), 1));
	EXPECT_FALSE(listener.open(path, error));
	EXPECT_TRUE(exists());
	EXPECT_EQ(-1, listener.fd());
}

TEST_F(ListenerTest, PathMustFit)
{
	const size_t most = sizeof(sockaddr_un::sun_path) - 1;
	EXPECT_FALSE(listener.open("", error));
	EXPECT_NE(std::string::npos, error.find(std::to_string(most))) << error;
	path.resize(most, 'x');
	EXPECT_FALSE(listener.open(path + "x", error));
	EXPECT_TRUE(listener.open(path, error)) << error;
	EXPECT_TRUE(exists());
	EXPECT_FALSE(listener.open(folder + "/missing/socket", error));
	EXPECT_FALSE(exists()); /* opening another one closes the first */
}

TEST_F(ListenerTest, FileOfItsSuccessorStays)
{
	ASSERT_TRUE(listener.open(path, error)) << error;
	unlink(path.c_str());
	Listener successor;
	ASSERT_TRUE(successor.open(path, error)) << error;
	listener.close();
	EXPECT_TRUE(exists());
	int a = guest();
	fds.push_back(successor.accept());
	EXPECT_TRUE(joined(a, fds.back()));
}

TEST_F(ListenerTest, FullBacklogIsNotStale)
{
	ASSERT_TRUE(listener.open(path, error)) << error;
	sockaddr_un a = address(path);
	for (;;) {
		int fd = new_socket(SOCK_SEQPACKET | SOCK_NONBLOCK);
		if (connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof(a)) != 0)
			break;
		ASSERT_LT(fds.size(), 100u);
	}
	ASSERT_TRUE(errno == EAGAIN || errno == ECONNREFUSED) << strerror(errno);
	Listener other;
	EXPECT_FALSE(other.open(path, error));
	EXPECT_TRUE(exists());
}

} // namespace
