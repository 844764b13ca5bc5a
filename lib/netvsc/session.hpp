/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The control conversation with a netvsp host: versions, buffers, RNDIS, queries and settings.
 *
 * A session owns the device's channels while it is connected, and has a Queue (both pipelines) for
 * each. Control calls may come from any thread and are made one after another; each that waits for
 * the host has a deadline, and survives whatever else the host sends meanwhile.
 */
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "offload.hpp"
#include "rss.hpp"
#include "rx.hpp"
#include "tx.hpp"
#include "vmbus/device.hpp"

namespace netvsc {

using vmbus::Error;
using vmbus::Milliseconds;

inline constexpr uint32_t kEthernetHeader = 14;
inline constexpr uint32_t kVlanTag = 4;
inline constexpr uint32_t kMinMtu = 68;
/** Hyper-V takes frames of up to 9216 bytes, Ethernet header included. */
inline constexpr uint32_t kMaxMtu = 9216 - kEthernetHeader;

struct SessionConfig {
	uint32_t mtu = 1500;		      /**< asked for; the host may grant less */
	uint32_t max_nvsp = nvsp::kVersion61; /**< newest version to offer */
	Milliseconds timeout =
		Milliseconds(60000); /**< of each command: hosts under load are slow */
	/** The host can be told no address of the guest's memory: control messages travel in the
	 *  send buffer, and so must frames. */
	bool copies_only = false;
};

/** What the host said. */
struct HostInfo {
	uint32_t nvsp_version = 0;
	uint32_t ndis_major = 0;
	uint32_t ndis_minor = 0;
	std::array<uint8_t, 6> mac{};
	uint32_t mtu = 0;	    /**< granted, read back from the host */
	uint32_t max_mtu = kMaxMtu; /**< no other will be granted, or could be sent */
	uint32_t receive_begin = 0;
	uint32_t receive_end = 0;
	uint32_t receive_suballocations = 0;
	uint32_t section_size = 0;
	uint32_t section_count = 0; /**< for frames */
	uint32_t max_frames_per_packet = 1;
	uint32_t max_transfer = 0;
	uint32_t alignment = 1;
	RssCapabilities rss;
	OffloadCapabilities offload;
};

/** The virtual function that the host has for this NIC, as far as the host told. */
struct VfAssociation {
	bool allocated = false;
	uint32_t serial = 0; /**< how the guest finds the PCI device */
	/** Times the host told something of it, so that one that went and came back is noticed. */
	uint32_t news = 0;
};

/**
 * One channel with its pipelines, which share nothing with those of other channels. The queue and
 * its pipelines stay where they are, whatever becomes of the channel: without one, they are inert.
 */
struct Queue {
	vmbus::Channel* channel = nullptr; /**< null: it is not open */
	vmbus::Channel place;		   /**< where the device puts its channel */
	/* Two lcores may receive and transmit: each has its cache lines. */
	alignas(64) vmbus::SpinLock rx_lock;
	Rx rx;
	alignas(64) vmbus::SpinLock tx_lock;
	Tx tx;

	/** @return false: somebody is in a burst, in whatever process */
	bool idle()
	{
		for (vmbus::SpinLock* lock : {&rx_lock, &tx_lock}) {
			if (!lock->try_lock())
				return false;
			lock->unlock();
		}
		return true;
	}

	/** A pipeline in the old one's place. Nobody is in it: see OpenGate. */
	template <class... Arguments> void make_rx(Arguments&&... arguments)
	{
		std::destroy_at(&rx);
		std::construct_at(&rx, std::forward<Arguments>(arguments)...);
	}
	template <class... Arguments> void make_tx(Arguments&&... arguments)
	{
		std::destroy_at(&tx);
		std::construct_at(&tx, std::forward<Arguments>(arguments)...);
	}
};

/** What bursts use of a session. Other processes may look at it. */
struct SessionState {
	std::array<Queue, nvsp::kMaxChannels> queues;
	Inbox inbox;
};

class Session final {
      public:
	enum class Event {
		kLink,	  /**< up, down, or of another speed */
		kNetwork, /**< the link stayed up, but leads elsewhere: addresses may be stale */
		kOffload, /**< the host does no longer what set_offload() asked for */
		kVf,
	};

	explicit Session(vmbus::Device& device);
	/** @param state and what `memory` gives may be shared by several processes */
	Session(vmbus::Device& device, SessionState& state, std::pmr::memory_resource& memory);
	~Session();
	Session(const Session&) = delete;
	Session& operator=(const Session&) = delete;

	/** Opens the device and negotiates. On error everything is undone. */
	Error connect(const SessionConfig& config);
	/** Ends the conversation, as far as the host still takes part, and closes the device. */
	void disconnect();
	bool connected() const { return connected_; }
	vmbus::Device& device() { return device_; }
	const HostInfo& info() const { return info_; }
	const SessionConfig& config() const { return config_; }

	/**
	 * Makes the number of open channels `count`, or as many as the host grants.
	 * Never fewer than before: channels close with the session.
	 */
	Error open_queues(uint32_t count);
	uint32_t queue_count() const { return queue_count_; }
	Queue& queue(uint32_t i) { return state_.queues[i]; }
	/** For what belongs to its queues. */
	std::pmr::memory_resource& memory() { return memory_; }

	/** Spreads received frames over channels, all of which are open. */
	Error set_rss(const RssConfig& config);
	/** Turns on what the configuration says, and off what it does not. */
	Error set_offload(const OffloadConfig& config);
	/** Asks the host to deliver frames for this address. info().mac is what it then says. */
	Error set_mac(const std::array<uint8_t, 6>& mac);
	Error set_packet_filter(uint32_t filter);
	/** Asks the host, and remembers: the link() of the moment. */
	Error query_link();
	/** Takes in waiting control messages, without waiting for any, or for another command. */
	void poll();
	/** The same for messages that others have found in the ring. Any thread. */
	void take_messages();
	/** @param slot of an eventfd that says when take_messages() has something; 0 = none */
	void set_wake(uint32_t slot) { state_.inbox.set_wake(slot); }

	VfAssociation vf() const
	{
		std::lock_guard lock(inbox_);
		return vf_;
	}
	/**
	 * Has the host deliver frames for the guest by the virtual function, or by this NIC again.
	 * When it returns, the host has switched. Waits for at most kDataPathTimeout.
	 */
	Error switch_data_path(bool to_vf);
	static constexpr Milliseconds kDataPathTimeout{5000};
	/**
	 * For a timer: as poll(), but leaves a ring alone that somebody reads. What the host says
	 * is so noticed by the second call at the latest, although nobody receives.
	 */
	void tend();

	/** Calls `look` while nothing of the session changes. @return false: it is busy, or ended
	 */
	template <class Look> bool inspect(Look&& look)
	{
		std::unique_lock lock(control_, std::try_to_lock);
		if (!lock || !connected_)
			return false;
		look();
		return true;
	}

	bool link_up() const { return link_up_.load(std::memory_order_relaxed); }
	uint64_t speed_bps() const { return speed_bps_.load(std::memory_order_relaxed); }

	/**
	 * Called when the host changed something, on a thread that is in one of this class's
	 * functions: it must only take note.
	 */
	void set_on_event(std::function<void(Event)> on_event);

	/**
	 * RNDIS query.
	 * @param length room at `out`, then what the host sent: at least `minimum`
	 */
	Error query(uint32_t oid, void* out, uint32_t& length, uint32_t minimum);
	Error set(uint32_t oid, const void* data, uint32_t length);

      private:
	/* What has come. With inbox_ held; events are told when it is not any more. */
	void on_completion(const Inbox::Entry& entry);
	void on_message(const Inbox::Entry& entry);
	void on_rndis(const Inbox::Entry& entry);
	void indication(const uint8_t* message, uint32_t length);
	void offload_indication(const uint8_t* data, uint32_t length);
	void tell(Event event) { events_.push_back(event); }

	void end();
	Error open_queue(uint32_t index, vmbus::Channel& channel);
	void close_queues();
	Error negotiate();
	Error negotiate_version();
	Error connect_buffers();
	Error initialize_rndis();
	Error query_identity();
	Error query_mac();
	Error query_rss();
	Error query_offload();
	Error query_link_locked();
	/** @param input what goes along, `length` bytes; null: zeros */
	Error query_locked(uint32_t oid, void* out, uint32_t& length, uint32_t minimum,
			   const void* input = nullptr);

	/** Where a control message lies until the host has read it. */
	struct ControlPlace {
		uint8_t* data = nullptr;
		uint32_t size = 0;
		uint32_t section = nvsp::kNoSection; /**< none: it has an address */
	};
	/* An answer to a keepalive does not wait until a request is read: each has its place. */
	enum : uint32_t { kRequestPlace, kKeepalivePlace, kControlPlaces };
	ControlPlace control_place(uint32_t number) const;

	uint32_t message_size() const { return nvsp::message_size(info_.nvsp_version); }
	Error send_message(const nvsp::Message& message, uint64_t id);
	/** @param length bytes of the place */
	Error send_rndis(const ControlPlace& place, uint32_t length, uint64_t id);
	bool try_send_packet(const void* packet, uint32_t length);
	Error send_packet(const void* packet, uint32_t length, const char* what);
	/**
	 * Sends a message that the host answers in its completion.
	 * @param minimum bytes that the answer has
	 */
	Error exchange(const char* what, const nvsp::Message& message, nvsp::Message& answer,
		       uint32_t minimum = kShortestAnswer);
	/* Every answer but the subchannel's (12 bytes) and the shortest ones fills a message. */
	static constexpr uint32_t kShortestAnswer = 12;
	/** Sends an RNDIS request and waits for its answer, which is then in answer_. */
	Error exchange_rndis(const char* what, void* request, uint32_t length, uint32_t minimum);
	Error wait(const char* what, const std::function<bool()>& done);
	void answer_keepalive(uint32_t request_id);

	vmbus::Device& device_;
	std::unique_ptr<SessionState> own_state_;
	SessionState& state_;
	std::pmr::memory_resource& memory_;
	SessionConfig config_;
	HostInfo info_;
	std::atomic<bool> connected_{false};
	bool initialized_ = false; /* RNDIS */
	bool rss_enabled_ = false;
	uint64_t next_id_ = 1;
	uint32_t next_request_ = 1;
	uint32_t queue_count_ = 0;
	std::atomic<bool> link_up_{false};
	std::atomic<uint64_t> speed_bps_{0};
	std::mutex control_; /* one command at a time */
	uint32_t tended_at_ = 0;

	mutable std::mutex inbox_; /* guards what follows; never held while waiting for the host */
	std::function<void(Event)> on_event_;
	std::vector<Event> events_; /* yet to be told */
	uint64_t awaited_id_ = 0;
	bool completed_ = false;
	nvsp::Message completion_{};
	uint32_t completion_length_ = 0;
	uint32_t awaited_request_ = 0;
	uint32_t awaited_type_ = 0;
	bool answered_ = false;
	bool link_indicated_ = false; /* since the last answer */
	VfAssociation vf_;
	OffloadConfig offload_; /* that the host agreed to */
	std::vector<uint8_t> answer_;
};

} // namespace netvsc
