/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What several processes of one application (DPDK's primary and secondaries) have alike: memory,
 * mapped at the same addresses, and descriptors, in the same slots of their descriptor_table.
 *
 * The Mirror is the owner's side. It sets a range of addresses aside, from which all memory that is
 * shared with a host comes. Processes join with one end of a socket pair, over which descriptors
 * travel; the other end closing says that a process ended, however it did. Nothing here waits for
 * ever for a process that was stopped: such are given up, and may join again.
 */
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "error.hpp"

namespace vmbus {

class Mirror {
      public:
	Mirror() = default;
	~Mirror();
	Mirror(const Mirror&) = delete;
	Mirror& operator=(const Mirror&) = delete;

	/** Sets addresses aside: at `hint`, behind it, or anywhere. Nothing is mapped there yet. */
	Error reserve(uintptr_t hint, size_t size);
	uintptr_t base() const { return base_; }
	size_t size() const { return size_; }

	/** Maps a whole number of pages of `fd`, which stays open until unmap(). */
	Error map(int fd, size_t size, uint8_t*& data);
	void unmap(uint8_t* data, size_t size);
	/** `fd` is in this slot, until remove(). */
	void add(uint32_t slot, int fd);
	void remove(uint32_t slot);

	/**
	 * @param socket of a pair whose other end the process has; closed when the process left
	 * @return what it is called from now on: 2 and up, never as another living one
	 */
	uint32_t join(int socket);
	/**
	 * Has every process take over what changed, and look at what else concerns it. Processes
	 * that did not by the deadline are given up.
	 */
	void sync(std::chrono::milliseconds timeout);
	/** The same without waiting. */
	void notify();
	/** Looks at what processes answer; when a socket of theirs is readable. */
	void dispatch();
	/** Called by whoever finds that a process left, without locks held. */
	void set_on_left(std::function<void(uint32_t id, int socket)> on_left);
	size_t count();

      private:
	struct Change {
		uint32_t kind;
		uint32_t slot;
		uint64_t address;
		uint64_t size;
		int fd;
	};
	struct Peer {
		uint32_t id;
		int socket;
		std::vector<Change> changes; /* not yet sent */
		uint64_t wanted = 0;	     /* number of the last sync() that it takes part in */
		uint64_t sent = 0;
		uint64_t answered = 0;
	};
	struct Left {
		uint32_t id;
		int socket;
	};

	void change_locked(const Change& change);
	/** @return false: the process is gone */
	static bool pump(Peer& peer);
	static bool send_some(Peer& peer);
	void pump_all_locked(std::vector<Left>& left);
	void tell(const std::vector<Left>& left);

	uintptr_t base_ = 0;
	size_t size_ = 0;

	std::mutex mutex_; /* guards what follows */
	std::map<uintptr_t, size_t> free_;
	std::map<uintptr_t, Change> mapped_;
	std::map<uint32_t, Change> slots_;
	std::vector<std::unique_ptr<Peer>> peers_;
	uint64_t syncs_ = 0;
	std::function<void(uint32_t, int)> on_left_;
};

/** The side of a process that joins. One thread at a time. */
class MirrorClient {
      public:
	MirrorClient() = default;
	~MirrorClient();
	MirrorClient(const MirrorClient&) = delete;
	MirrorClient& operator=(const MirrorClient&) = delete;

	/** Sets the owner's addresses aside in this process. */
	Error reserve(uintptr_t base, size_t size);
	/** @param socket of a pair whose other end the owner joined; this object's from now on */
	void connect(int socket);
	int socket() const { return socket_; }
	/**
	 * Takes over what the owner sent, without waiting.
	 * @param refresh called when everything before a sync() of the owner's is taken over,
	 * before the owner is answered
	 */
	Error dispatch(const std::function<void()>& refresh);
	/** How many sync()s of the owner's were answered. */
	uint64_t answered() const { return answered_; }
	/** Gives the socket up. What was mapped stays. */
	void disconnect();

      private:
	Error take(const uint8_t* message, size_t size, const int* fds, size_t fd_count,
		   uint64_t& sync);

	uintptr_t base_ = 0;
	size_t size_ = 0;
	int socket_ = -1;
	uint64_t answered_ = 0;
	std::map<uint32_t, int> slots_; /* of descriptors that are this object's */
};

} // namespace vmbus
