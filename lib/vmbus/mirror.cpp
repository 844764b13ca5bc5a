/* SPDX-License-Identifier: BSD-3-Clause */
#include "mirror.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "descriptor_table.hpp"
#include "os/memory.hpp"
#include "os/socket.hpp"
#include "packet.hpp"

namespace vmbus {

namespace {

enum : uint32_t { kMap = 1, kUnmap, kDescriptor, kNoDescriptor };

struct WireChange {
	uint32_t kind;
	uint32_t slot;
	uint64_t address;
	uint64_t size;
};

constexpr size_t kChangesAtOnce = 32;

struct WireMessage {
	uint64_t sync; /* to be answered when all is taken over; 0: more follows */
	uint64_t count;
	WireChange changes[kChangesAtOnce];
};

constexpr size_t kHeader = offsetof(WireMessage, changes);

bool carries_descriptor(uint32_t kind)
{
	return kind == kMap || kind == kDescriptor;
}

} // namespace

Mirror::~Mirror()
{
	for (const auto& peer : peers_)
		::close(peer->socket);
	if (base_ != 0)
		::munmap(reinterpret_cast<void*>(base_), size_);
}

Error Mirror::reserve(uintptr_t hint, size_t size)
{
	static constexpr int kTries = 16;
	void* got = nullptr;
	for (int i = 0; i < kTries && hint != 0 && got == nullptr; i++) {
		void* at = reinterpret_cast<void*>(hint + static_cast<size_t>(i) * size);
		if (os::reserve_addresses_at(at, size))
			got = at;
	}
	if (got == nullptr)
		got = os::reserve_addresses(size);
	if (got == nullptr)
		return Error::system("mmap of addresses to share");
	base_ = reinterpret_cast<uintptr_t>(got);
	size_ = size;
	std::lock_guard lock(mutex_);
	free_[base_] = size;
	return {};
}

Error Mirror::map(int fd, size_t size, uint8_t*& data)
{
	std::lock_guard lock(mutex_);
	const auto room = std::find_if(free_.begin(), free_.end(),
				       [size](const auto& f) { return f.second >= size; });
	if (size == 0 || room == free_.end())
		return {ENOMEM, "no addresses left for memory that is shared with hosts"};
	const auto [at, length] = *room;
	void* got = ::mmap(reinterpret_cast<void*>(at), size, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED, fd, 0);
	if (got == MAP_FAILED)
		return Error::system("mmap of shared memory");
	free_.erase(room);
	if (length > size)
		free_[at + size] = length - size;
	data = reinterpret_cast<uint8_t*>(at);
	const Change change{kMap, 0, at, size, fd};
	mapped_[at] = change;
	change_locked(change);
	return {};
}

void Mirror::unmap(uint8_t* data, size_t size)
{
	std::lock_guard lock(mutex_);
	auto at = reinterpret_cast<uintptr_t>(data);
	os::reserve_again(data, size);
	mapped_.erase(at);
	change_locked({kUnmap, 0, at, size, -1});
	const auto next = free_.find(at + size);
	if (next != free_.end()) {
		size += next->second;
		free_.erase(next);
	}
	const auto after = free_.lower_bound(at);
	if (after != free_.begin()) {
		const auto before = std::prev(after);
		if (before->first + before->second == at) {
			before->second += size;
			return;
		}
	}
	free_[at] = size;
}

void Mirror::add(uint32_t slot, int fd)
{
	std::lock_guard lock(mutex_);
	const Change change{kDescriptor, slot, 0, 0, fd};
	slots_[slot] = change;
	change_locked(change);
}

void Mirror::remove(uint32_t slot)
{
	std::lock_guard lock(mutex_);
	slots_.erase(slot);
	change_locked({kNoDescriptor, slot, 0, 0, -1});
}

/* The end of what no process was told of takes both messages back: the descriptor is closed now. */
void Mirror::change_locked(const Change& change)
{
	const uint32_t begun = change.kind == kUnmap ? uint32_t{kMap} : uint32_t{kDescriptor};
	for (auto& peer : peers_) {
		if (carries_descriptor(change.kind)) {
			peer->changes.push_back(change);
			continue;
		}
		const auto unsent = std::find_if(
			peer->changes.begin(), peer->changes.end(), [&](const auto& c) {
				return c.kind == begun && c.slot == change.slot &&
				       c.address == change.address;
			});
		if (unsent != peer->changes.end())
			peer->changes.erase(unsent);
		else
			peer->changes.push_back(change);
	}
}

uint32_t Mirror::join(int socket)
{
	std::lock_guard lock(mutex_);
	auto peer = std::make_unique<Peer>();
	uint32_t id = 2; /* 1 is the owner of the memory, in locks */
	while (std::any_of(peers_.begin(), peers_.end(),
			   [id](const auto& p) { return p->id == id; }))
		id++;
	peer->id = id;
	peer->socket = socket;
	for (const auto& m : mapped_)
		peer->changes.push_back(m.second);
	for (const auto& s : slots_)
		peer->changes.push_back(s.second);
	peer->wanted = ++syncs_;
	peers_.push_back(std::move(peer));
	return id;
}

size_t Mirror::count()
{
	std::lock_guard lock(mutex_);
	return peers_.size();
}

void Mirror::set_on_left(std::function<void(uint32_t, int)> on_left)
{
	std::lock_guard lock(mutex_);
	on_left_ = std::move(on_left);
}

/* @return whether there may be room for more */
bool Mirror::send_some(Peer& peer)
{
	WireMessage message{};
	int fds[kChangesAtOnce];
	size_t fd_count = 0;
	const size_t count = std::min(peer.changes.size(), kChangesAtOnce);
	for (size_t i = 0; i < count; i++) {
		const Change& c = peer.changes[i];
		message.changes[i] = {c.kind, c.slot, c.address, c.size};
		if (carries_descriptor(c.kind))
			fds[fd_count++] = c.fd;
	}
	message.count = count;
	if (count == peer.changes.size())
		message.sync = peer.wanted;
	iovec iov{&message, kHeader + count * sizeof(WireChange)};
	msghdr header{};
	header.msg_iov = &iov;
	header.msg_iovlen = 1;
	alignas(cmsghdr) char control[CMSG_SPACE(sizeof(fds))] = {};
	if (fd_count != 0) {
		header.msg_control = control;
		header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		cmsghdr* cmsg = CMSG_FIRSTHDR(&header);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		std::memcpy(CMSG_DATA(cmsg), fds, fd_count * sizeof(int));
	}
	/* A process that is gone is found when its answers are looked for. */
	if (os::send_message(peer.socket, header, MSG_DONTWAIT) < 0)
		return false;
	peer.changes.erase(peer.changes.begin(),
			   peer.changes.begin() + static_cast<ptrdiff_t>(count));
	peer.sent = message.sync != 0 ? message.sync : peer.sent;
	return true;
}

bool Mirror::pump(Peer& peer)
{
	for (;;) {
		uint64_t answer = 0;
		const ssize_t n =
			os::receive_message(peer.socket, &answer, sizeof(answer), MSG_DONTWAIT);
		if (n == sizeof(answer)) {
			peer.answered = std::max(peer.answered, std::min(answer, peer.sent));
			continue;
		}
		if (n >= 0 || (errno != EAGAIN && errno != EINTR))
			return false;
		break;
	}
	while ((!peer.changes.empty() || peer.sent != peer.wanted) && send_some(peer))
		;
	return true;
}

void Mirror::pump_all_locked(std::vector<Left>& left)
{
	std::erase_if(peers_, [&](const auto& peer) {
		if (pump(*peer))
			return false;
		left.push_back({peer->id, peer->socket});
		return true;
	});
}

void Mirror::tell(const std::vector<Left>& left)
{
	for (const Left& l : left) {
		std::function<void(uint32_t, int)> on_left;
		{
			std::lock_guard lock(mutex_);
			on_left = on_left_;
		}
		if (on_left)
			on_left(l.id, l.socket);
		::close(l.socket);
	}
}

void Mirror::dispatch()
{
	std::vector<Left> left;
	{
		std::lock_guard lock(mutex_);
		pump_all_locked(left);
	}
	tell(left);
}

void Mirror::notify()
{
	{
		std::lock_guard lock(mutex_);
		syncs_++;
		for (auto& peer : peers_)
			peer->wanted = syncs_;
	}
	dispatch();
}

void Mirror::sync(std::chrono::milliseconds timeout)
{
	const auto deadline = std::chrono::steady_clock::now() + timeout;
	uint64_t wanted;
	{
		std::lock_guard lock(mutex_);
		if (peers_.empty())
			return;
		wanted = ++syncs_;
		for (auto& peer : peers_)
			peer->wanted = wanted;
	}
	for (;;) {
		std::vector<Left> left;
		bool all = true;
		{
			std::lock_guard lock(mutex_);
			pump_all_locked(left);
			const bool late = std::chrono::steady_clock::now() >= deadline;
			std::erase_if(peers_, [&](const auto& peer) {
				if (peer->answered >= wanted || !late) {
					all &= peer->answered >= wanted;
					return false;
				}
				left.push_back({peer->id, peer->socket});
				return true;
			});
		}
		tell(left);
		if (all)
			return;
		/* Another thread may take an answer in: hence short sleeps instead of poll(). */
		std::this_thread::sleep_for(std::chrono::microseconds(100));
	}
}

MirrorClient::~MirrorClient()
{
	disconnect();
	for (const auto& [slot, fd] : slots_) {
		descriptor_table.set(slot, -1);
		::close(fd);
	}
	if (base_ != 0)
		::munmap(reinterpret_cast<void*>(base_), size_);
}

Error MirrorClient::reserve(uintptr_t base, size_t size)
{
	if (base == base_ && size == size_)
		return {}; /* joins again */
	if (base_ != 0 || base == 0 ||
	    !os::reserve_addresses_at(reinterpret_cast<void*>(base), size)) {
		char text[128];
		std::snprintf(text, sizeof(text),
			      "this process has something else at the addresses from 0x%zx (%zu "
			      "bytes) that the primary shares",
			      static_cast<size_t>(base), size);
		return {EADDRINUSE, text};
	}
	base_ = base;
	size_ = size;
	return {};
}

void MirrorClient::connect(int socket)
{
	disconnect();
	socket_ = socket;
}

void MirrorClient::disconnect()
{
	if (socket_ >= 0)
		::close(socket_);
	socket_ = -1;
}

Error MirrorClient::take(const uint8_t* data, size_t size, const int* fds, size_t fd_count,
			 uint64_t& sync)
{
	WireMessage message{};
	if (size < kHeader || size > sizeof(message))
		return {EPROTO, "a message of impossible length"};
	std::memcpy(&message, data, size);
	if (message.count > kChangesAtOnce || size != kHeader + message.count * sizeof(WireChange))
		return {EPROTO, "a message of impossible length"};
	sync = message.sync;
	size_t used = 0;
	for (size_t i = 0; i < message.count; i++) {
		const WireChange& c = message.changes[i];
		const bool in_range = c.address >= base_ && c.size != 0 && c.size <= size_ &&
				      c.address - base_ <= size_ - c.size;
		if (carries_descriptor(c.kind) && used == fd_count)
			return {EPROTO, "a message without its descriptors"};
		if ((c.kind == kMap || c.kind == kUnmap) && !in_range)
			return {EPROTO, "memory outside of the shared addresses"};
		if ((c.kind == kDescriptor || c.kind == kNoDescriptor) &&
		    (c.slot == 0 || c.slot >= kDescriptorSlots))
			return {EPROTO, "a descriptor for an impossible slot"};
		if (c.kind == kMap) {
			if (::mmap(reinterpret_cast<void*>(c.address), c.size,
				   PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fds[used++],
				   0) == MAP_FAILED)
				return Error::system("mmap of the primary's memory");
		} else if (c.kind == kUnmap) {
			os::reserve_again(reinterpret_cast<void*>(c.address), c.size);
		} else {
			const int fresh = c.kind == kDescriptor ? ::dup(fds[used++]) : -1;
			descriptor_table.set(c.slot, fresh);
			const auto old = slots_.find(c.slot);
			if (old != slots_.end()) {
				::close(old->second);
				slots_.erase(old);
			}
			if (fresh >= 0)
				slots_[c.slot] = fresh;
		}
	}
	return {};
}

Error MirrorClient::dispatch(const std::function<void()>& refresh)
{
	for (;;) {
		if (socket_ < 0)
			return {ENOTCONN, "the primary process is gone"};
		WireMessage message;
		iovec iov{&message, sizeof(message)};
		alignas(cmsghdr) char control[CMSG_SPACE(kChangesAtOnce * sizeof(int))];
		msghdr header{};
		header.msg_iov = &iov;
		header.msg_iovlen = 1;
		header.msg_control = control;
		header.msg_controllen = sizeof(control);
		const ssize_t n = os::receive_message(socket_, header, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return {};
		if (n <= 0) {
			disconnect();
			return {ENOTCONN, "the primary process is gone"};
		}
		int fds[kChangesAtOnce];
		size_t fd_count = 0;
		for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c))
			if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
				fd_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
				std::memcpy(fds, CMSG_DATA(c), fd_count * sizeof(int));
			}
		uint64_t sync = 0;
		Error error = take(reinterpret_cast<const uint8_t*>(&message),
				   static_cast<size_t>(n), fds, fd_count, sync);
		for (size_t i = 0; i < fd_count; i++)
			::close(fds[i]); /* mappings and copies stay */
		if (error) {
			disconnect(); /* the primary must not take this process for up to date */
			return error;
		}
		if (sync != 0) {
			refresh();
			answered_++;
		}
		/* Also where nothing is asked: the owner may have more, and had no room for it. */
		[[maybe_unused]] const ssize_t sent =
			os::send_message(socket_, &sync, sizeof(sync), MSG_DONTWAIT);
	}
}

} // namespace vmbus
