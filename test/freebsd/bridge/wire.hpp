/* SPDX-License-Identifier: BSD-3-Clause */
/** The guest's end of a vmbus-user socket: messages go out and come in, whatever they say. */
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "vmbus/user_proto.hpp"

namespace bridge {

/** Prints why, and ends the program: with it goes the host that the kernel sees. */
[[noreturn]] void die(const std::string& why);

/** A message of type T with all else zero. */
template <class T> T message(vmbus::user::Type type)
{
	T m{};
	m.hdr = {type, sizeof(T)};
	return m;
}

class Wire {
      public:
	/** Connects; tries again for a while if nobody listens yet. */
	explicit Wire(const std::string& path);
	~Wire();
	Wire(const Wire&) = delete;
	Wire& operator=(const Wire&) = delete;

	int fd() const { return fd_; }

	void send(const void* data, size_t size, std::vector<int> fds = {});
	template <class T> void send(const T& m, std::vector<int> fds = {})
	{
		send(&m, sizeof(m), std::move(fds));
	}

	/** Waits for the next message. @return false at the end of the connection */
	bool receive();
	vmbus::user::Type type() const { return header_.type; }
	/** What was received, as the message that its type says it is. */
	template <class T> T as() const
	{
		T m;
		if (size_ != sizeof(T))
			die("a message has a wrong length");
		std::memcpy(&m, buffer_, sizeof(m));
		return m;
	}

      private:
	int fd_;
	size_t size_ = 0;
	vmbus::user::Header header_{};
	alignas(8) unsigned char buffer_[1024]; /* no message to a guest is longer */
};

} // namespace bridge
