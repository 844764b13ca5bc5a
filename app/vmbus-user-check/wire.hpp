/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The socket: raw datagrams with descriptors and deadlines, on purpose without lib/vmbus's
 * Connection: a mistake in that one would hide here.
 */
#pragma once

#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "vmbus/user_proto.hpp"

namespace check {

namespace vu = vmbus::user;

std::string type_name(vu::Type type);
std::string status_name(vu::Status status);

/** An open file that is closed at the end. */
class File {
      public:
	explicit File(int fd = -1) : fd_(fd) {}
	~File();
	File(File&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
	File& operator=(File&& other) noexcept
	{
		std::swap(fd_, other.fd_);
		return *this;
	}
	int fd() const { return fd_; }

      private:
	int fd_;
};

class Wire {
      public:
	/** Connects. @throw std::runtime_error it cannot */
	Wire(const std::string& path, int timeout_ms);

	/** Sends a datagram as it is. One that meets a closed connection is lost: what comes next
	 *  notices. */
	void send_raw(const void* data, size_t size, std::initializer_list<int> fds = {});
	template <class T> void send(vu::Type type, T message, std::initializer_list<int> fds = {})
	{
		message.hdr = {type, sizeof(T)};
		send_raw(&message, sizeof(T), fds);
	}

	enum class Got { kMessage, kEnd, kNothing };
	/** Waits for a message and checks what holds for each: size, direction, reserved fields. */
	Got receive(std::vector<uint8_t>& message, int timeout_ms);

	/** Waits for this answer. Offers and rescinds, which come at any time, are put aside. */
	template <class T> T expect(vu::Type type)
	{
		T out;
		const std::vector<uint8_t> message = expect_raw(type);
		memcpy(&out, message.data(), sizeof(T)); /* receive() checked the size */
		return out;
	}
	/** The host must close the connection, without a further answer. */
	void expect_end(const std::string& after);
	/** Whether there is an answer to INITIATE_CONTACT; false = the connection ended. */
	bool answered(vu::VersionResponse& out);
	/** Waits for the next offer or rescind. @return whether one came in time */
	bool more_events(int timeout_ms);

	int timeout() const { return timeout_ms_; }

	std::vector<vu::OfferChannel> offers;
	std::vector<uint32_t> rescinds;

      private:
	std::vector<uint8_t> expect_raw(vu::Type type);
	bool put_aside(const std::vector<uint8_t>& message);

	File socket_;
	int timeout_ms_;
};

} // namespace check
