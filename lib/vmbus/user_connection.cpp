/* SPDX-License-Identifier: BSD-3-Clause */
#include "user_connection.hpp"

#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "os/socket.hpp"

namespace vmbus::user {

/*
 * Guest-physical addresses for memory that is not RAM of a real guest start above all that an
 * IOVA can be, whether physical (52 bits) or virtual (57 bits).
 */
static constexpr uint64_t kFirstGpa = uint64_t{1} << 60;

/* Answers nobody waits for any more (their request timed out) are kept up to this many. */
static constexpr size_t kMaxStrayAnswers = 64;

/*
 * A host has at most 64 channels for each of its NICs to offer and take back. One that tells more
 * than this before anybody looks does not mean it well.
 */
static constexpr size_t kMaxEvents = 16384;

/* Messages taken in at once: a host that never stops talking must not keep anybody here. */
static constexpr int kMessagesAtOnce = 1024;

template <class T> static T message(Type type)
{
	T m{};
	m.hdr = {type, sizeof(T)};
	return m;
}

static const char* status_text(Status status)
{
	switch (status) {
	case Status::kOk:
		return "ok";
	case Status::kBadArgument:
		return "bad argument";
	case Status::kUnknownId:
		return "unknown id";
	case Status::kBadState:
		return "bad state";
	case Status::kNoResource:
		return "no resource";
	case Status::kRefused:
		return "refused";
	}
	return "unknown status";
}

static Error refused(const char* what, Status status)
{
	return {EPROTO, std::string("the host answered ") + what + " with status " +
				std::to_string(static_cast<uint32_t>(status)) + " (" +
				status_text(status) + ")"};
}

Connection::Connection(int fd, bool same_address_space, Milliseconds timeout, Mirror* mirror)
	: fd_(fd),
	  same_address_space_(same_address_space),
	  timeout_(timeout),
	  mirror_(mirror),
	  next_gpa_(kFirstGpa)
{
}

Connection::~Connection()
{
	/* A host in this process looks into our memory until it has answered this. */
	auto unload = message<Bare>(Type::kUnload);
	if (!send(&unload, sizeof(unload)) && same_address_space_)
		(void)wait("UNLOAD", [](const Header& h) {
			return h.type == Type::kUnloadResponse;
		}).code;
	::close(fd_);
}

Error Connection::connect(const std::string& path, Milliseconds timeout,
			  std::shared_ptr<Connection>& out, Mirror* mirror, bool by_address)
{
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	if (path.empty() || path.size() >= sizeof(address.sun_path))
		return {EINVAL, "socket path '" + path + "' must have 1 to " +
					std::to_string(sizeof(address.sun_path) - 1) +
					" characters"};
	path.copy(address.sun_path, path.size());
	const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return Error::system("socket");
	if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
		Error error = Error::system("connect to " + path);
		error.what += "; is the host (netvsp --socket=" + path + ") running?";
		::close(fd);
		return error;
	}
	return adopt(fd, by_address && os::peer_is_this_process(fd), timeout, out, mirror);
}

Error Connection::adopt(int fd, bool same_address_space, Milliseconds timeout,
			std::shared_ptr<Connection>& out, Mirror* mirror)
{
	std::shared_ptr<Connection> connection(
		new Connection(fd, same_address_space, timeout, mirror));
	if (Error error = connection->handshake())
		return error;
	out = std::move(connection);
	return {};
}

Error Connection::handshake()
{
	auto contact = message<InitiateContact>(Type::kInitiateContact);
	contact.magic = kMagic;
	contact.version = kVersion;
	if (Error error = send(&contact, sizeof(contact)))
		return error;
	VersionResponse response{};
	if (Error error = wait("INITIATE_CONTACT", [&](const Header& h) {
		    if (h.type != Type::kVersionResponse)
			    return false;
		    std::memcpy(&response, &h, sizeof(response));
		    return true;
	    }))
		return error;
	if (response.accepted != 1)
		return {EPROTONOSUPPORT, "the host speaks vmbus-user version " +
						 std::to_string(response.version) + ", not " +
						 std::to_string(kVersion)};

	if (Error error = SharedMemory::create("vmbus-monitor", kPageSize, monitor_, mirror_))
		return error;
	const uint64_t gpa = allocate_gpa(kPageSize);
	if (Error error = add_memory(gpa, monitor_->data(), kPageSize, monitor_->fd(), 0))
		return error;
	auto request = message<RequestOffers>(Type::kRequestOffers);
	request.monitor_gpa = gpa;
	if (Error error = send(&request, sizeof(request)))
		return error;
	return wait("REQUEST_OFFERS",
		    [](const Header& h) { return h.type == Type::kAllOffersDelivered; });
}

Error Connection::send(const void* data, size_t size, const int* fds, int fd_count)
{
	if (disconnected())
		return {ENOTCONN, "the connection to the host is gone"};
	iovec iov{const_cast<void*>(data), size};
	msghdr header{};
	header.msg_iov = &iov;
	header.msg_iovlen = 1;
	alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
	if (fd_count > 0) {
		header.msg_control = control;
		header.msg_controllen = CMSG_SPACE(static_cast<size_t>(fd_count) * sizeof(int));
		cmsghdr* cmsg = CMSG_FIRSTHDR(&header);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(static_cast<size_t>(fd_count) * sizeof(int));
		std::memcpy(CMSG_DATA(cmsg), fds, static_cast<size_t>(fd_count) * sizeof(int));
	}
	const Deadline deadline = std::chrono::steady_clock::now() + timeout_;
	while (os::send_message(fd_, header, MSG_DONTWAIT) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return Error::system("send to the host");
		if (std::chrono::steady_clock::now() >= deadline)
			return {ETIMEDOUT, "the host does not read its socket"};
		pollfd p{fd_, POLLOUT, 0};
		::poll(&p, 1, 10);
	}
	return {};
}

/* @return whether a message was there */
bool Connection::receive_locked()
{
	if (disconnected())
		return false;
	alignas(8) uint8_t buffer[1024]; /* no message to a guest is longer than an offer */
	const ssize_t n = os::receive_message(fd_, buffer, sizeof(buffer), MSG_DONTWAIT);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			disconnect_locked();
		return false;
	}
	const size_t size = static_cast<size_t>(n);
	Header header;
	if (size < sizeof(header) || size > sizeof(buffer)) {
		disconnect_locked(); /* end of file, or not a host */
		return false;
	}
	std::memcpy(&header, buffer, sizeof(header));
	if (header.size != size) {
		disconnect_locked();
		return false;
	}
	handle_locked(buffer, size);
	return true;
}

static size_t expected_size(Type type)
{
	switch (type) {
	case Type::kOfferChannel:
		return sizeof(OfferChannel);
	case Type::kRescind:
		return sizeof(ChannelId);
	case Type::kVersionResponse:
		return sizeof(VersionResponse);
	case Type::kOpenResult:
		return sizeof(OpenResult);
	case Type::kGpadlCreated:
		return sizeof(GpadlCreated);
	case Type::kGpadlTorndown:
		return sizeof(GpadlId);
	case Type::kMemResult:
		return sizeof(MemResult);
	case Type::kAllOffersDelivered:
	case Type::kUnloadResponse:
		return sizeof(Bare);
	default:
		return 0;
	}
}

void Connection::handle_locked(const uint8_t* data, size_t size)
{
	Header header;
	std::memcpy(&header, data, sizeof(header));
	if (expected_size(header.type) != size) {
		disconnect_locked();
		return;
	}
	Event event{};
	switch (header.type) {
	case Type::kOfferChannel:
		event.kind = Event::kOffer;
		std::memcpy(&event.offer, data, sizeof(event.offer));
		event.offer.name[sizeof(event.offer.name) - 1] = '\0';
		add_event_locked(event);
		break;
	case Type::kRescind: {
		ChannelId rescind;
		std::memcpy(&rescind, data, sizeof(rescind));
		event.kind = Event::kRescind;
		event.relid = rescind.relid;
		add_event_locked(event);
		break;
	}
	default:
		if (answers_.size() == kMaxStrayAnswers)
			answers_.pop_front();
		answers_.emplace_back(data, data + size);
	}
}

void Connection::add_event_locked(const Event& event)
{
	if (events_.size() < kMaxEvents)
		events_.push_back(event);
	else
		disconnect_locked();
}

void Connection::disconnect_locked()
{
	if (disconnected_.exchange(true, std::memory_order_acq_rel))
		return;
	::shutdown(fd_, SHUT_RDWR); /* the host learns of it, though the descriptor stays ours */
	Event event{};
	event.kind = Event::kDisconnected;
	events_.push_back(event);
}

Error Connection::wait(const char* what, const std::function<bool(const Header&)>& match)
{
	const Deadline deadline = std::chrono::steady_clock::now() + timeout_;
	for (;;) {
		{
			std::lock_guard lock(mutex_);
			for (int n = 0; n < kMessagesAtOnce && receive_locked(); n++)
				;
			const auto found =
				std::find_if(answers_.begin(), answers_.end(), [&](const auto& a) {
					return match(*reinterpret_cast<const Header*>(a.data()));
				});
			if (found != answers_.end()) {
				answers_.erase(found);
				break;
			}
		}
		if (disconnected()) {
			notify_if_events();
			return {ENOTCONN, std::string("the host closed the connection before it "
						      "answered ") +
						  what};
		}
		if (std::chrono::steady_clock::now() >= deadline)
			return {ETIMEDOUT, std::string("the host did not answer ") + what +
						   " within " + std::to_string(timeout_.count()) +
						   " ms"};
		/* Another thread may take the answer in: hence the short sleep. */
		pollfd p{fd_, POLLIN, 0};
		::poll(&p, 1, 1);
	}
	notify_if_events();
	return {};
}

void Connection::dispatch()
{
	{
		std::lock_guard lock(mutex_);
		for (int n = 0; n < kMessagesAtOnce && receive_locked(); n++)
			;
	}
	notify_if_events();
}

void Connection::notify_if_events()
{
	std::function<void()> notify;
	{
		std::lock_guard lock(mutex_);
		if (!events_.empty() && !events_announced_ && notify_) {
			events_announced_ = true;
			notify = notify_;
		}
	}
	if (notify)
		notify();
}

std::vector<Event> Connection::take_events()
{
	std::lock_guard lock(mutex_);
	events_announced_ = false;
	return std::exchange(events_, {});
}

void Connection::set_notify(std::function<void()> notify)
{
	{
		std::lock_guard lock(mutex_);
		notify_ = std::move(notify);
	}
	notify_if_events();
}

uint64_t Connection::allocate_gpa(uint64_t size)
{
	const uint64_t pages = (size + kPageSize - 1) / kPageSize;
	return next_gpa_.fetch_add(pages * kPageSize);
}

Error Connection::add_memory(uint64_t gpa, void* address, uint64_t size, int fd, uint64_t offset)
{
	auto add = message<MemAdd>(Type::kMemAdd);
	add.gpa = gpa;
	add.size = size;
	add.offset = same_address_space_ ? reinterpret_cast<uint64_t>(address) : offset;
	add.flags = same_address_space_ ? kMemSameAddressSpace : 0;
	if (Error error = send(&add, sizeof(add), &fd, same_address_space_ ? 0 : 1))
		return error;
	MemResult result{};
	if (Error error = wait("MEM_ADD", [&](const Header& h) {
		    if (h.type != Type::kMemResult)
			    return false;
		    std::memcpy(&result, &h, sizeof(result));
		    return result.gpa == gpa;
	    }))
		return error;
	return result.status == Status::kOk ? Error{} : refused("MEM_ADD", result.status);
}

Error Connection::remove_memory(uint64_t gpa, uint64_t size)
{
	auto remove = message<MemRemove>(Type::kMemRemove);
	remove.gpa = gpa;
	remove.size = size;
	if (Error error = send(&remove, sizeof(remove)))
		return error;
	MemResult result{};
	if (Error error = wait("MEM_REMOVE", [&](const Header& h) {
		    if (h.type != Type::kMemResult)
			    return false;
		    std::memcpy(&result, &h, sizeof(result));
		    return result.gpa == gpa;
	    }))
		return error;
	return result.status == Status::kOk ? Error{} : refused("MEM_REMOVE", result.status);
}

Error Connection::create_gpadl(uint32_t relid, uint64_t gpa, uint64_t size, uint32_t& gpadl)
{
	struct {
		GpadlHeader header;
		GpaRun run;
	} create{};
	static_assert(sizeof(create) == sizeof(GpadlHeader) + sizeof(GpaRun));
	gpadl = next_gpadl_.fetch_add(1);
	create.header.hdr = {Type::kGpadlHeader, sizeof(create)};
	create.header.relid = relid;
	create.header.gpadl = gpadl;
	create.header.run_count = 1;
	create.run = {gpa, size};
	if (Error error = send(&create, sizeof(create)))
		return error;
	GpadlCreated created{};
	if (Error error = wait("GPADL_HEADER", [&](const Header& h) {
		    if (h.type != Type::kGpadlCreated)
			    return false;
		    std::memcpy(&created, &h, sizeof(created));
		    return created.gpadl == gpadl;
	    }))
		return error;
	return created.status == Status::kOk ? Error{} : refused("GPADL_HEADER", created.status);
}

void Connection::teardown_gpadl(uint32_t relid, uint32_t gpadl)
{
	auto teardown = message<GpadlId>(Type::kGpadlTeardown);
	teardown.relid = relid;
	teardown.gpadl = gpadl;
	if (send(&teardown, sizeof(teardown)))
		return;
	/* A host that does not answer keeps its view; removing the memory is what counts. */
	(void)wait("GPADL_TEARDOWN", [&](const Header& h) {
		if (h.type != Type::kGpadlTorndown)
			return false;
		GpadlId torndown;
		std::memcpy(&torndown, &h, sizeof(torndown));
		return torndown.gpadl == gpadl;
	});
}

Error Connection::open_channel(uint32_t relid, uint32_t ring_gpadl, uint32_t ring_offset_pages,
			       int guest_signals, int host_signals)
{
	auto open = message<OpenChannel>(Type::kOpenChannel);
	open.relid = relid;
	open.open_id = next_open_.fetch_add(1);
	open.ring_gpadl = ring_gpadl;
	open.ring_offset_pages = ring_offset_pages;
	const int fds[2] = {guest_signals, host_signals};
	if (Error error = send(&open, sizeof(open), fds, 2))
		return error;
	OpenResult result{};
	if (Error error = wait("OPEN_CHANNEL", [&](const Header& h) {
		    if (h.type != Type::kOpenResult)
			    return false;
		    std::memcpy(&result, &h, sizeof(result));
		    return result.open_id == open.open_id;
	    }))
		return error;
	return result.status == Status::kOk ? Error{} : refused("OPEN_CHANNEL", result.status);
}

void Connection::close_channel(uint32_t relid)
{
	auto close = message<ChannelId>(Type::kCloseChannel);
	close.relid = relid;
	(void)send(&close, sizeof(close)).code; /* a host that is gone has closed it already */
}

void Connection::release_relid(uint32_t relid)
{
	auto release = message<ChannelId>(Type::kRelidReleased);
	release.relid = relid;
	(void)send(&release, sizeof(release)).code;
}

} // namespace vmbus::user
