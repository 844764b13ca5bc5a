/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.hpp"

namespace check {

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kMaxFds = 8;

struct Form {
	vu::Type type;
	const char* name;
	size_t size;	 /* 0 = never sent by a host */
	size_t reserved; /* offset of a u32 that must be 0; 0 = none */
	const char* section = nullptr;
};

constexpr Form kForms[] = {
	{vu::Type::kOfferChannel, "OFFER_CHANNEL", 80, 0, "OFFER_CHANNEL (1)"},
	{vu::Type::kRescind, "RESCIND", 16, 12, "RESCIND (2)"},
	{vu::Type::kRequestOffers, "REQUEST_OFFERS", 0, 0},
	{vu::Type::kAllOffersDelivered, "ALL_OFFERS_DELIVERED", 8, 0, "ALL_OFFERS_DELIVERED (4)"},
	{vu::Type::kOpenChannel, "OPEN_CHANNEL", 0, 0},
	{vu::Type::kOpenResult, "OPEN_RESULT", 24, 20, "OPEN_RESULT (6)"},
	{vu::Type::kCloseChannel, "CLOSE_CHANNEL", 0, 0},
	{vu::Type::kGpadlHeader, "GPADL_HEADER", 0, 0},
	{vu::Type::kGpadlCreated, "GPADL_CREATED", 24, 20, "GPADL_CREATED (10)"},
	{vu::Type::kGpadlTeardown, "GPADL_TEARDOWN", 0, 0},
	{vu::Type::kGpadlTorndown, "GPADL_TORNDOWN", 16, 0,
	 "GPADL_TEARDOWN (11) and GPADL_TORNDOWN (12)"},
	{vu::Type::kRelidReleased, "RELID_RELEASED", 0, 0},
	{vu::Type::kInitiateContact, "INITIATE_CONTACT", 0, 0},
	{vu::Type::kVersionResponse, "VERSION_RESPONSE", 16, 0, "VERSION_RESPONSE (15)"},
	{vu::Type::kUnload, "UNLOAD", 0, 0},
	{vu::Type::kUnloadResponse, "UNLOAD_RESPONSE", 8, 0,
	 "UNLOAD (16) and UNLOAD_RESPONSE (17)"},
	{vu::Type::kMemAdd, "MEM_ADD", 0, 0},
	{vu::Type::kMemRemove, "MEM_REMOVE", 0, 0},
	{vu::Type::kMemResult, "MEM_RESULT", 24, 20, "MEM_RESULT (0x1003)"},
};

const Form* form_of(vu::Type type)
{
	for (const Form& form : kForms)
		if (form.type == type)
			return &form;
	return nullptr;
}

/* What holds for every message of a host. */
void check_message(const std::vector<uint8_t>& message)
{
	vu::Header header;
	require(message.size() >= sizeof(header),
		format("a datagram of %zu bytes, must have a header of 8", message.size()),
		"Transport");
	memcpy(&header, message.data(), sizeof(header));
	const Form* form = form_of(header.type);
	require(form && form->size != 0,
		format("message %s: no message of a host", type_name(header.type).c_str()),
		"Transport");
	require(header.size == message.size(),
		format("%s: size %u, must be the datagram's %zu", form->name, header.size,
		       message.size()),
		"Transport");
	require(message.size() == form->size,
		format("%s: size %u, must be %zu", form->name, header.size, form->size),
		"Transport");
	if (form->reserved != 0) {
		uint32_t reserved;
		memcpy(&reserved, message.data() + form->reserved, sizeof(reserved));
		require(reserved == 0,
			format("%s: reserved field at %zu is %#x, must be 0", form->name,
			       form->reserved, reserved),
			"Conventions");
	}
}

/* Waits until the descriptor is readable or at its end. */
bool readable(int fd, int timeout_ms)
{
	const auto until = Clock::now() + std::chrono::milliseconds(timeout_ms);
	for (;;) {
		const auto left =
			std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
		pollfd p{fd, POLLIN, 0};
		const int n = poll(&p, 1, std::max(0, int(left.count())));
		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

} // namespace

std::string format(const char* text, ...)
{
	char buffer[512];
	va_list list;
	va_start(list, text);
	vsnprintf(buffer, sizeof(buffer), text, list);
	va_end(list);
	return buffer;
}

std::string type_name(vu::Type type)
{
	const Form* form = form_of(type);
	return form ? form->name : format("%#x", uint32_t(type));
}

std::string status_name(vu::Status status)
{
	static constexpr const char* kNames[] = {"OK",	      "BAD_ARGUMENT", "UNKNOWN_ID",
						 "BAD_STATE", "NO_RESOURCE",  "REFUSED"};
	return uint32_t(status) < std::size(kNames)
		       ? format("%u (%s)", uint32_t(status), kNames[uint32_t(status)])
		       : format("%u", uint32_t(status));
}

File::~File()
{
	if (fd_ >= 0)
		close(fd_);
}

Wire::Wire(const std::string& path, int timeout_ms)
	: socket_(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)), timeout_ms_(timeout_ms)
{
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	if (path.size() >= sizeof(address.sun_path))
		throw std::runtime_error(path + ": too long for a socket's path");
	memcpy(address.sun_path, path.c_str(), path.size() + 1);
	/* A host whose backlog is full, or that reads nothing, must not hold us for ever. */
	const timeval limit{timeout_ms / 1000, (timeout_ms % 1000) * 1000};
	setsockopt(socket_.fd(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(socket_.fd(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
		throw std::runtime_error(path + ": " + strerror(errno));
}

void Wire::send_raw(const void* data, size_t size, std::initializer_list<int> fds)
{
	alignas(cmsghdr) char control[CMSG_SPACE(kMaxFds * sizeof(int))] = {};
	iovec iov{const_cast<void*>(data), size};
	msghdr msg{};
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (fds.size() != 0) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
		cmsghdr* c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
		memcpy(CMSG_DATA(c), fds.begin(), fds.size() * sizeof(int));
	}
	if (sendmsg(socket_.fd(), &msg, MSG_NOSIGNAL | MSG_EOR) >= 0 || errno == EPIPE || errno == ECONNRESET)
		return;
	if (errno == EAGAIN)
		throw Deviation{format("the host read no message for %d ms", timeout_ms_),
				"Transport"};
	throw std::runtime_error(std::string("send: ") + strerror(errno));
}

Wire::Got Wire::receive(std::vector<uint8_t>& message, int timeout_ms)
{
	if (!readable(socket_.fd(), timeout_ms))
		return Got::kNothing;
	alignas(cmsghdr) char control[CMSG_SPACE(kMaxFds * sizeof(int))];
	message.resize(vu::kMaxMessage + 1);
	iovec iov{message.data(), message.size()};
	msghdr msg{};
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = control;
	msg.msg_controllen = sizeof(control);
	const ssize_t n = recvmsg(socket_.fd(), &msg, MSG_CMSG_CLOEXEC);
	/* ECONNRESET: it closed without having read all. */
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return Got::kEnd;
	if (n < 0)
		throw std::runtime_error(std::string("receive: ") + strerror(errno));
	message.resize(size_t(n));
	bool descriptors = false;
	for (cmsghdr* c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		descriptors = true;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			close(fd);
		}
	}
	check_message(message);
	if (descriptors) {
		vu::Header header;
		memcpy(&header, message.data(), sizeof(header));
		throw Deviation{type_name(header.type) +
					": comes with descriptors, must come without",
				"Transport"};
	}
	return Got::kMessage;
}

bool Wire::put_aside(const std::vector<uint8_t>& message)
{
	vu::Header header;
	memcpy(&header, message.data(), sizeof(header));
	if (header.type == vu::Type::kOfferChannel) {
		memcpy(&offers.emplace_back(), message.data(), sizeof(vu::OfferChannel));
		return true;
	}
	if (header.type == vu::Type::kRescind) {
		vu::ChannelId id;
		memcpy(&id, message.data(), sizeof(id));
		rescinds.push_back(id.relid);
		return true;
	}
	return false;
}

std::vector<uint8_t> Wire::expect_raw(vu::Type type)
{
	const auto until = Clock::now() + std::chrono::milliseconds(timeout_ms_);
	std::vector<uint8_t> message;
	for (;;) {
		const auto left =
			std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
		switch (receive(message, std::max(0, int(left.count())))) {
		case Got::kNothing:
			throw Deviation{format("%s: did not come within %d ms",
					       type_name(type).c_str(), timeout_ms_),
					form_of(type)->section};
		case Got::kEnd:
			throw Deviation{type_name(type) +
						": did not come, the host closed the connection",
					form_of(type)->section};
		case Got::kMessage:
			break;
		}
		vu::Header header;
		memcpy(&header, message.data(), sizeof(header));
		if (header.type == type)
			return message;
		require(put_aside(message) && left.count() > 0,
			format("%s came where %s must come", type_name(header.type).c_str(),
			       type_name(type).c_str()),
			form_of(type)->section);
	}
}

bool Wire::answered(vu::VersionResponse& out)
{
	std::vector<uint8_t> message;
	const Got got = receive(message, timeout_ms_);
	if (got == Got::kEnd)
		return false;
	require(got == Got::kMessage,
		format("VERSION_RESPONSE: did not come within %d ms", timeout_ms_),
		"VERSION_RESPONSE (15)");
	vu::Header header;
	memcpy(&header, message.data(), sizeof(header));
	require(header.type == vu::Type::kVersionResponse,
		type_name(header.type) + " came where VERSION_RESPONSE must come",
		"INITIATE_CONTACT (14)");
	memcpy(&out, message.data(), sizeof(out));
	return true;
}

bool Wire::more_events(int timeout_ms)
{
	std::vector<uint8_t> message;
	switch (receive(message, timeout_ms)) {
	case Got::kNothing:
		return false;
	case Got::kEnd:
		throw Deviation{"the host closed the connection, where nothing was wrong"};
	case Got::kMessage:
		break;
	}
	vu::Header header;
	memcpy(&header, message.data(), sizeof(header));
	require(put_aside(message), type_name(header.type) + " came, which answers nothing");
	return true;
}

void Wire::expect_end(const std::string& after)
{
	const auto until = Clock::now() + std::chrono::milliseconds(timeout_ms_);
	std::vector<uint8_t> message;
	for (;;) {
		const auto left =
			std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
		const Got got = receive(message, std::max(0, int(left.count())));
		if (got == Got::kEnd)
			return;
		require(got == Got::kMessage && left.count() > 0,
			format("the connection is still open %d ms after %s, must have ended",
			       timeout_ms_, after.c_str()));
		vu::Header header;
		memcpy(&header, message.data(), sizeof(header));
		require(put_aside(message),
			format("%s came after %s, the connection must end without an answer",
			       type_name(header.type).c_str(), after.c_str()));
	}
}

} // namespace check
