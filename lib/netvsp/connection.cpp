/* SPDX-License-Identifier: BSD-3-Clause */
#include "connection.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "os/descriptor.hpp"
#include "os/socket.hpp"

namespace netvsp {

using namespace vmbus::user;

namespace {

constexpr uint32_t kMessagesPerPass = 64;
constexpr size_t kMaxQueued = 4096;
constexpr size_t kMaxGpadls = 4096;
constexpr int kMaxFds = 8; /* what is beyond, the kernel closes */

bool set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

} // namespace

Connection::Connection(int fd, Nics& nics, const Log& log)
	: fd_(fd), nics_(nics), log_(log), buffer_(kMaxMessage)
{
	/* Addresses of this process are taken from nobody else. */
	same_process_ = os::peer_is_this_process(fd_);
	if (log_)
		log_("guest connected");
}

Connection::~Connection()
{
	release_all();
	close(fd_);
	if (log_)
		log_("guest disconnected");
}

void Connection::release_all()
{
	for (auto& nic : nics_)
		nic->disconnect();
	gpadls_.clear();
	relids_.clear();
	reoffer_.clear();
	monitor_ = nullptr;
	monitor_gpa_ = 0;
	std::fill(std::begin(monitor_used_), std::end(monitor_used_), 0);
	memory_.clear();
	offers_requested_ = false;
}

void Connection::drop(const std::string& why)
{
	if (!alive_)
		return;
	alive_ = false;
	if (log_)
		log_("dropping the guest: " + why);
}

bool Connection::service()
{
	flush();
	bool work = false;
	for (uint32_t n = 0; n < kMessagesPerPass && alive_ && receive_one(); n++)
		work = true;
	return work;
}

bool Connection::receive_one()
{
	alignas(cmsghdr) char control[CMSG_SPACE(kMaxFds * sizeof(int))];
	iovec iov{buffer_.data(), buffer_.size()};
	msghdr msg{};
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = control;
	msg.msg_controllen = sizeof(control);
	ssize_t n = os::receive_message(fd_, msg, MSG_DONTWAIT);
	if (n < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			drop(std::string("receive: ") + strerror(errno));
		return false;
	}
	std::vector<int> fds;
	for (cmsghdr* c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		size_t old = fds.size();
		fds.resize(old + count);
		memcpy(fds.data() + old, CMSG_DATA(c), count * sizeof(int));
	}
	if (n == 0) {
		/* An empty datagram looks the same and is no message either. */
		alive_ = false;
	} else if (msg.msg_flags & MSG_TRUNC) {
		drop("message longer than " + std::to_string(kMaxMessage) + " bytes");
	} else {
		handle({buffer_.data(), uint32_t(n), fds});
	}
	for (int fd : fds)
		if (fd >= 0)
			close(fd);
	return true;
}

void Connection::handle(const Message& message)
{
	Header header;
	if (message.size < sizeof(header))
		return drop("message without a header");
	memcpy(&header, message.data, sizeof(header));
	if (header.size != message.size)
		return drop("message's size field is wrong");
	if (!contacted_ && header.type != Type::kInitiateContact)
		return drop("message " + std::to_string(uint32_t(header.type)) +
			    " before INITIATE_CONTACT");
	switch (header.type) {
	case Type::kInitiateContact:
		return initiate(message);
	case Type::kRequestOffers:
		return request_offers(message);
	case Type::kMemAdd:
		return mem_add(message);
	case Type::kMemRemove:
		return mem_remove(message);
	case Type::kGpadlHeader:
		return gpadl_create(message);
	case Type::kGpadlTeardown:
		return gpadl_teardown(message);
	case Type::kOpenChannel:
		return open_channel(message);
	case Type::kCloseChannel:
		return close_channel(message);
	case Type::kRelidReleased:
		return relid_released(message);
	case Type::kUnload:
		if (message.size != sizeof(Bare))
			return drop("UNLOAD of wrong size");
		return unload();
	default:
		return drop("unknown message " + std::to_string(uint32_t(header.type)));
	}
}

/* Reads a message of exactly this form; on another size the connection is dropped, as the sender
 * means something else by the type. */
template <class T> bool Connection::read(const Message& message, T& to)
{
	if (message.size != sizeof(T)) {
		drop("message of wrong size");
		return false;
	}
	memcpy(&to, message.data, sizeof(T));
	return true;
}

template <class T> void Connection::reply(Type type, T message)
{
	message.hdr = {type, sizeof(T)};
	send(&message, sizeof(T));
}

void Connection::send(const void* message, uint32_t size)
{
	if (!alive_)
		return;
	if (queue_.empty()) {
		ssize_t n = os::send_message(fd_, message, size, MSG_DONTWAIT);
		if (n == ssize_t(size))
			return;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return drop(std::string("send: ") + strerror(errno));
	}
	if (queue_.size() >= kMaxQueued)
		return drop("the guest does not read its messages");
	auto bytes = static_cast<const uint8_t*>(message);
	queue_.emplace_back(bytes, bytes + size);
}

void Connection::flush()
{
	while (alive_ && !queue_.empty()) {
		auto& first = queue_.front();
		ssize_t n = os::send_message(fd_, first.data(), first.size(), MSG_DONTWAIT);
		if (n < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				drop(std::string("send: ") + strerror(errno));
			return;
		}
		queue_.pop_front();
	}
}

void Connection::initiate(const Message& message)
{
	InitiateContact request;
	if (!read(message, request))
		return;
	if (request.magic != kMagic)
		return drop("INITIATE_CONTACT without the magic");
	if (contacted_)
		return drop("second INITIATE_CONTACT");
	contacted_ = request.version == kVersion;
	reply(Type::kVersionResponse, VersionResponse{{}, contacted_, kVersion});
}

void Connection::request_offers(const Message& message)
{
	RequestOffers request;
	if (!read(message, request))
		return;
	if (offers_requested_)
		return drop("second REQUEST_OFFERS");
	if (request.monitor_gpa != 0) {
		uint8_t* page = request.monitor_gpa % vmbus::kPageSize == 0
					? memory_.translate(request.monitor_gpa, vmbus::kPageSize)
					: nullptr;
		if (!page)
			return drop("monitor page outside the guest's memory");
		monitor_gpa_ = request.monitor_gpa;
		monitor_ = reinterpret_cast<vmbus::MonitorPage*>(page);
	}
	offers_requested_ = true;
	for (auto& nic : nics_)
		nic_added(*nic);
	reply(Type::kAllOffersDelivered, Bare{});
}

void Connection::nic_added(Nic& nic)
{
	nic.connect(*this);
	if (offers_requested_)
		offer(nic, 0);
}

uint8_t Connection::take_monitor_id()
{
	for (uint8_t id = 0; monitor_ && id <= vmbus::kMonitorIdMax; id++) {
		if (!(monitor_used_[id / 32] & 1u << id % 32)) {
			monitor_used_[id / 32] |= 1u << id % 32;
			return id;
		}
	}
	return vmbus::kMonitorIdNone;
}

void Connection::offer(Nic& nic, uint32_t index)
{
	Channel& c = *nic.channels()[index];
	c.relid = ++last_relid_;
	c.monitor_id = nic.settings().monitor ? take_monitor_id() : vmbus::kMonitorIdNone;
	relids_[c.relid] = {&nic, index, nic.guid(), c.monitor_id};
	OfferChannel message{};
	message.class_id = vmbus::kNetvscClass;
	message.instance_id = nic.guid();
	message.relid = c.relid;
	message.subchannel_index = uint16_t(index);
	message.monitor_id = c.monitor_id;
	strncpy(message.name, nic.settings().name.c_str(), sizeof(message.name) - 1);
	reply(Type::kOfferChannel, message);
}

void Connection::rescind(Nic& nic, uint32_t index)
{
	Channel& c = *nic.channels()[index];
	auto it = relids_.find(c.relid);
	if (it == relids_.end())
		return;
	it->second.nic = nullptr;
	ChannelId message{};
	message.relid = c.relid;
	reply(Type::kRescind, message);
	c.relid = 0;
}

void Connection::reoffer(Nic& nic)
{
	nic.rescind_all();
	reoffer_.push_back(nic.guid());
	offer_if_released(nic.guid());
}

void Connection::offer_if_released(const vmbus::Guid& guid)
{
	auto wanted = std::find(reoffer_.begin(), reoffer_.end(), guid);
	if (wanted == reoffer_.end())
		return;
	for (const auto& [relid, entry] : relids_)
		if (entry.guid == guid)
			return;
	reoffer_.erase(std::remove(reoffer_.begin(), reoffer_.end(), guid), reoffer_.end());
	for (auto& nic : nics_)
		if (nic->guid() == guid && offers_requested_)
			offer(*nic, 0);
}

Channel* Connection::channel(uint32_t relid, Nic** nic)
{
	auto it = relids_.find(relid);
	if (it == relids_.end() || !it->second.nic)
		return nullptr;
	if (nic)
		*nic = it->second.nic;
	return it->second.nic->channels()[it->second.index].get();
}

void Connection::mem_add(const Message& message)
{
	MemAdd request;
	if (!read(message, request))
		return;
	Status status = Status::kBadArgument;
	bool local = request.flags & kMemSameAddressSpace;
	if ((request.flags & ~kMemSameAddressSpace) != 0 || message.fds.size() != (local ? 0u : 1u))
		status = Status::kBadArgument;
	else if (!local)
		status =
			memory_.add_file(request.gpa, request.size, request.offset, message.fds[0]);
	else if (same_process_)
		status = memory_.add_local(request.gpa, request.size, request.offset);
	else
		status = Status::kRefused;
	reply(Type::kMemResult, MemResult{{}, request.gpa, status, 0});
}

bool Connection::memory_in_use(uint64_t gpa, uint64_t size) const
{
	auto overlaps = [&](uint64_t start, uint64_t length) {
		return start < gpa ? start + length > gpa : start - gpa < size;
	};
	if (monitor_ && overlaps(monitor_gpa_, vmbus::kPageSize))
		return true;
	for (const auto& [id, g] : gpadls_)
		for (const GpaRun& run : g.runs)
			if (overlaps(run.gpa, run.size))
				return true;
	return false;
}

void Connection::mem_remove(const Message& message)
{
	MemRemove request;
	if (!read(message, request))
		return;
	Status status = memory_in_use(request.gpa, request.size)
				? Status::kBadState
				: memory_.remove(request.gpa, request.size);
	reply(Type::kMemResult, MemResult{{}, request.gpa, status, 0});
}

const Gpadl* Connection::gpadl(uint32_t id, uint32_t relid)
{
	auto it = gpadls_.find(id);
	return it != gpadls_.end() && it->second.relid == relid ? &it->second : nullptr;
}

Status Connection::build_gpadl(const GpadlHeader& header, const Message& message)
{
	Nic* nic;
	if (!channel(header.relid, &nic))
		return Status::kUnknownId;
	if (header.gpadl == 0 || gpadls_.count(header.gpadl) != 0 || header.run_count == 0)
		return Status::kBadArgument;
	if (nic->faults().fire(Fault::kGpadlFail) || gpadls_.size() >= kMaxGpadls)
		return Status::kNoResource;
	Gpadl g;
	g.id = header.gpadl;
	g.relid = header.relid;
	g.runs.resize(header.run_count);
	memcpy(g.runs.data(), message.data + sizeof(header), header.run_count * sizeof(GpaRun));
	for (const GpaRun& run : g.runs) {
		if (run.size == 0 || (run.gpa | run.size) % vmbus::kPageSize != 0 ||
		    run.size > (1ull << 40))
			return Status::kBadArgument;
		uint8_t* at = memory_.translate(run.gpa, run.size);
		if (!at)
			return Status::kBadArgument;
		/* The host works on one piece of address space; see guest_memory.hpp for how
		 * regions get adjacent. */
		if (g.base && at != g.base + g.size)
			return Status::kNoResource;
		if (!g.base)
			g.base = at;
		g.size += run.size;
	}
	gpadls_.emplace(g.id, std::move(g));
	return Status::kOk;
}

void Connection::gpadl_create(const Message& message)
{
	GpadlHeader header;
	if (message.size < sizeof(header))
		return drop("GPADL_HEADER is cut");
	memcpy(&header, message.data, sizeof(header));
	if (message.size - sizeof(header) != header.run_count * uint64_t(sizeof(GpaRun)))
		return drop("GPADL_HEADER of wrong size");
	Status status = build_gpadl(header, message);
	reply(Type::kGpadlCreated, GpadlCreated{{}, header.relid, header.gpadl, status, 0});
}

void Connection::gpadl_teardown(const Message& message)
{
	GpadlId request;
	if (!read(message, request))
		return;
	auto it = gpadls_.find(request.gpadl);
	/* One that is not there went with its channel's id: nothing is left to do. */
	if (it != gpadls_.end()) {
		if (it->second.relid != request.relid)
			return drop("teardown of another channel's GPADL");
		for (auto& nic : nics_)
			if (nic->uses(request.gpadl))
				nic->buffer_lost(request.gpadl);
		gpadls_.erase(it);
	}
	reply(Type::kGpadlTorndown, GpadlId{{}, request.relid, request.gpadl});
}

Status Connection::try_open(const OpenChannel& request, const Message& message)
{
	Nic* nic;
	Channel* c = channel(request.relid, &nic);
	if (!c)
		return Status::kUnknownId;
	const Gpadl* ring = gpadl(request.ring_gpadl, request.relid);
	if (!ring)
		return Status::kUnknownId;
	if (message.fds.size() != 2)
		return Status::kBadArgument;
	for (int fd : message.fds)
		if (!os::is_eventfd(fd) || !set_nonblocking(fd))
			return Status::kBadArgument;
	Status status =
		nic->open(*c, *ring, request.ring_offset_pages, message.fds[0], message.fds[1]);
	if (status == Status::kOk)
		message.fds[0] = message.fds[1] = -1;
	return status;
}

void Connection::open_channel(const Message& message)
{
	OpenChannel request;
	if (!read(message, request))
		return;
	Status status = try_open(request, message);
	reply(Type::kOpenResult, OpenResult{{}, request.relid, request.open_id, status, 0});
}

void Connection::close_channel(const Message& message)
{
	ChannelId request;
	if (!read(message, request))
		return;
	if (relids_.count(request.relid) == 0)
		return drop("CLOSE_CHANNEL of an unknown channel");
	Nic* nic;
	/* One that was rescinded is closed already. */
	if (Channel* c = channel(request.relid, &nic))
		nic->close(*c);
}

void Connection::relid_released(const Message& message)
{
	ChannelId request;
	if (!read(message, request))
		return;
	auto it = relids_.find(request.relid);
	if (it == relids_.end() || it->second.nic)
		return drop("RELID_RELEASED of a channel that was not rescinded");
	vmbus::Guid guid = it->second.guid;
	uint8_t monitor_id = it->second.monitor_id;
	if (monitor_id <= vmbus::kMonitorIdMax)
		monitor_used_[monitor_id / 32] &= ~(1u << monitor_id % 32);
	relids_.erase(it);
	std::erase_if(gpadls_, [&](auto& g) { return g.second.relid == request.relid; });
	offer_if_released(guid);
}

void Connection::unload()
{
	release_all();
	contacted_ = false;
	reply(Type::kUnloadResponse, Bare{});
}

/* What hosts do with hints that are too small or too large. */
static constexpr int64_t kMonitorDefaultNs = 100'000;
static constexpr int64_t kMonitorFastestNs = 5'000;
static constexpr int64_t kMonitorSlowestNs = 1'000'000;

int64_t Connection::poll_monitor()
{
	if (!monitor_)
		return -1;
	uint32_t set[4];
	bool any = false;
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t* pending = &monitor_->trigger_group[i].pending;
		set[i] = __atomic_load_n(pending, __ATOMIC_RELAXED);
		if (set[i] != 0)
			set[i] = __atomic_exchange_n(pending, 0, __ATOMIC_SEQ_CST);
		any |= set[i] != 0;
	}
	int64_t period = -1;
	for (auto& nic : nics_) {
		if (!nic->settings().monitor)
			continue;
		for (auto& c : nic->channels()) {
			if (!c->open || c->monitor_id > vmbus::kMonitorIdMax)
				continue;
			const uint16_t hint = __atomic_load_n(
				&monitor_->latency[c->monitor_id / 32][c->monitor_id % 32],
				__ATOMIC_RELAXED);
			const int64_t ns = std::clamp(hint == 0 ? kMonitorDefaultNs : hint * 100L,
						      kMonitorFastestNs, kMonitorSlowestNs);
			c->latency_hint = hint;
			period = period < 0 ? ns : std::min(period, ns);
			if (any && set[c->monitor_id / 32] & 1u << c->monitor_id % 32)
				c->triggered = true;
		}
	}
	return period;
}

} // namespace netvsp
