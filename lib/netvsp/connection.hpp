/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The host's end of vmbus-user: the control plane of one guest.
 *
 * A message that is malformed gets an error status where it has an answer; one that has none, and
 * anything that shows that the two ends disagree about the protocol, ends the connection.
 *
 * Taking a GPADL back that is in use is answered like any other, because the answer has no room
 * for a refusal and the guest may reuse the memory: what used it stops, as after a protocol error.
 */
#pragma once

#include <deque>
#include <map>

#include "nic.hpp"

namespace netvsp {

class Connection : public GuestLink {
      public:
	using Nics = std::vector<std::unique_ptr<Nic>>;

	/** Owns the descriptor. */
	Connection(int fd, Nics& nics, const Log& log);
	~Connection() override;

	/** Handles what the guest sent, a bounded number of messages. @return whether any */
	bool service();
	/** False once the guest went or broke the protocol; then destroy it. */
	bool alive() const { return alive_; }
	int fd() const { return fd_; }
	bool wants_write() const { return !queue_.empty(); }

	/** Offers a NIC that was added meanwhile. */
	void nic_added(Nic& nic);
	/** Takes the NIC's channels back and offers it again once the guest released them. */
	void reoffer(Nic& nic);
	/**
	 * Collects the monitor page's triggers.
	 * @return nanoseconds until the next look that open channels ask for; -1: none does
	 */
	int64_t poll_monitor();

	GuestMemory& memory() override { return memory_; }
	const Gpadl* gpadl(uint32_t id, uint32_t relid) override;
	void offer(Nic& nic, uint32_t index) override;
	void rescind(Nic& nic, uint32_t index) override;

      private:
	struct Relid {
		Nic* nic; /* null once rescinded */
		uint32_t index;
		vmbus::Guid guid;
		uint8_t monitor_id;
	};
	struct Message {
		const uint8_t* data;
		uint32_t size;
		std::vector<int>& fds; /* what a handler keeps it sets to -1 */
	};

	bool receive_one();
	void handle(const Message& message);
	void drop(const std::string& why);
	void send(const void* message, uint32_t size);
	void flush();
	template <class T> bool read(const Message& message, T& to);
	template <class T> void reply(vmbus::user::Type type, T message);

	void initiate(const Message& message);
	void request_offers(const Message& message);
	void mem_add(const Message& message);
	void mem_remove(const Message& message);
	void gpadl_create(const Message& message);
	void gpadl_teardown(const Message& message);
	void open_channel(const Message& message);
	void close_channel(const Message& message);
	void relid_released(const Message& message);
	void unload();
	void release_all();

	vmbus::user::Status build_gpadl(const vmbus::user::GpadlHeader& header,
					const Message& message);
	vmbus::user::Status try_open(const vmbus::user::OpenChannel& request,
				     const Message& message);
	Channel* channel(uint32_t relid, Nic** nic = nullptr);
	bool memory_in_use(uint64_t gpa, uint64_t size) const;
	uint8_t take_monitor_id();
	void offer_if_released(const vmbus::Guid& guid);

	int fd_;
	Nics& nics_;
	const Log& log_;
	bool alive_ = true;
	bool contacted_ = false;
	bool offers_requested_ = false;
	bool same_process_ = false;
	uint32_t last_relid_ = 0;
	GuestMemory memory_;
	std::map<uint32_t, Gpadl> gpadls_;
	std::map<uint32_t, Relid> relids_;
	std::vector<vmbus::Guid> reoffer_;
	uint64_t monitor_gpa_ = 0;
	vmbus::MonitorPage* monitor_ = nullptr;
	uint32_t monitor_used_[4] = {};
	std::deque<std::vector<uint8_t>> queue_;
	std::vector<uint8_t> buffer_;
};

} // namespace netvsp
