/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The guest's end of a vmbus-user connection (docs/vmbus-user.md): requests with their answers,
 * the guest's memory table, and the channels that the host offers.
 *
 * Thread-safe. Requests wait for their answer up to a deadline, and whoever waits also takes in
 * what else arrives: events are collected and handed out by take_events().
 */
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "device.hpp"
#include "shared_memory.hpp"
#include "user_proto.hpp"

namespace vmbus::user {

using Deadline = std::chrono::steady_clock::time_point;

struct Event {
	enum Kind { kOffer, kRescind, kDisconnected } kind;
	OfferChannel offer{}; /**< kOffer */
	uint32_t relid = 0;   /**< kRescind */
};

class Connection {
      public:
	/**
	 * Connects to the host's socket, agrees on a version and asks for the offers; the first of
	 * them are waiting in take_events() on return.
	 * @param same_address_space the host lives in this process: memory is passed by address
	 * @param by_address such a host may listen at `path`, too
	 * @param mirror has other processes share what is shared with the host; outlives it all
	 */
	static Error connect(const std::string& path, Milliseconds timeout,
			     std::shared_ptr<Connection>& out, Mirror* mirror = nullptr,
			     bool by_address = false);
	static Error adopt(int fd, bool same_address_space, Milliseconds timeout,
			   std::shared_ptr<Connection>& out, Mirror* mirror = nullptr);
	~Connection();
	Connection(const Connection&) = delete;
	Connection& operator=(const Connection&) = delete;

	/** Readable when dispatch() has something to do. */
	int fd() const { return fd_; }
	bool same_address_space() const { return same_address_space_; }
	bool disconnected() const { return disconnected_.load(std::memory_order_acquire); }
	Milliseconds timeout() const { return timeout_; }
	Mirror* mirror() const { return mirror_; }

	/** Takes in what has arrived, without waiting. */
	void dispatch();
	/** Takes over what happened since the last call, oldest first. */
	std::vector<Event> take_events();
	/** Called, on any thread and without locks held, when take_events() has something new. */
	void set_notify(std::function<void()> notify);

	/** Tells the host of guest memory. `fd` is duplicated; unused in the same address space. */
	Error add_memory(uint64_t gpa, void* address, uint64_t size, int fd, uint64_t offset);
	/** Returns once the host no longer touches it. */
	Error remove_memory(uint64_t gpa, uint64_t size);
	/** A range of guest-physical addresses for memory that has none of its own. */
	uint64_t allocate_gpa(uint64_t size);

	Error create_gpadl(uint32_t relid, uint64_t gpa, uint64_t size, uint32_t& gpadl);
	void teardown_gpadl(uint32_t relid, uint32_t gpadl);
	Error open_channel(uint32_t relid, uint32_t ring_gpadl, uint32_t ring_offset_pages,
			   int guest_signals, int host_signals);
	void close_channel(uint32_t relid);
	void release_relid(uint32_t relid);

	/** The page in which monitored channels are signalled. */
	MonitorPage* monitor_page() const
	{
		return reinterpret_cast<MonitorPage*>(monitor_->data());
	}
	/** Its file, for somebody else to map. */
	int monitor_fd() const { return monitor_->fd(); }

      private:
	Connection(int fd, bool same_address_space, Milliseconds timeout, Mirror* mirror);
	Error handshake();
	Error send(const void* message, size_t size, const int* fds = nullptr, int fd_count = 0);
	/** Waits for a message that `match` takes; it is called with the lock held. */
	Error wait(const char* what, const std::function<bool(const Header&)>& match);
	bool receive_locked();
	void handle_locked(const uint8_t* data, size_t size);
	void add_event_locked(const Event& event);
	void disconnect_locked();
	void notify_if_events();

	const int fd_;
	const bool same_address_space_;
	const Milliseconds timeout_;
	Mirror* const mirror_;
	std::atomic<bool> disconnected_{false};
	std::atomic<uint32_t> next_gpadl_{1};
	std::atomic<uint32_t> next_open_{1};
	std::atomic<uint64_t> next_gpa_;
	std::shared_ptr<SharedMemory> monitor_;

	std::mutex mutex_; /* guards what follows */
	std::deque<std::vector<uint8_t>> answers_;
	std::vector<Event> events_;
	bool events_announced_ = false;
	std::function<void()> notify_;
};

} // namespace vmbus::user
