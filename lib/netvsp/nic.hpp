/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * One emulated NIC: its settings, its endpoint, and what a guest has made of it so far.
 *
 * nic.cpp            channels opening and closing, the pass over them, errors
 * nvsp_control.cpp   NVSP: versions, buffers, subchannels
 * vf.cpp             the virtual function: whether there is one, and the data path
 * rndis_control.cpp  RNDIS requests and indications
 * oid.cpp            what OIDs read and write
 * tx.cpp             frames from the guest; tx_offload.cpp is what it does to them
 * rx.cpp             frames for the guest; rx_offload.cpp is what it finds out about them
 */
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "netvsc/nvsp.hpp"
#include "netvsc/rndis.hpp"

#include "endpoints/vf_interface.hpp"
#include "fault.hpp"
#include "guest_memory.hpp"
#include "host.hpp"
#include "profile.hpp"
#include "receive_buffer.hpp"
#include "ring.hpp"
#include "rsc.hpp"
#include "rss.hpp"
#include "tx_offload.hpp"

namespace netvsp {

using Log = std::function<void(const std::string&)>;

class Nic;

/** A buffer that the guest described by a GPADL. */
struct Gpadl {
	uint32_t id = 0;
	uint32_t relid = 0;
	uint8_t* base = nullptr;
	uint64_t size = 0;
	std::vector<vmbus::user::GpaRun> runs;
};

/** What a NIC asks of the connection to its guest. */
class GuestLink {
      public:
	virtual ~GuestLink() = default;
	virtual GuestMemory& memory() = 0;
	/** @return null if the guest has no such GPADL for this channel */
	virtual const Gpadl* gpadl(uint32_t id, uint32_t relid) = 0;
	/** Offers the channel at this index of the NIC. */
	virtual void offer(Nic& nic, uint32_t index) = 0;
	/** Takes an offer back; the guest will release the id. */
	virtual void rescind(Nic& nic, uint32_t index) = 0;
};

/** A frame, or a part of a packet, in a sub-allocation of the receive buffer. */
struct RxFrame {
	uint32_t index = ReceiveBuffer::kNone; /* of the sub-allocation */
	uint32_t offset = 0;		       /* in it */
	uint32_t length = 0;
	uint32_t checksum = 0; /* if verified */
	uint16_t tag = 0;
	bool verified = false;
	bool tagged = false;
	bool part = false;
	ndis::PacketId id{}; /* of the packet that it is a part of */
	Rss::Result rss{0, 0, 0};
};

struct Channel {
	uint32_t index = 0;
	uint32_t relid = 0; /**< 0 = not offered */
	uint8_t monitor_id = vmbus::kMonitorIdNone;
	uint16_t latency_hint = 0; /**< of the monitor page, when it was looked at last */
	bool open = false;
	bool silent = false;	/**< the guest broke the protocol: not served until it reopens */
	bool signal = false;	/**< the guest is to be signalled at the end of the pass */
	bool bad_index = false; /**< fault bad-ring-index happens at the end of the pass */
	bool triggered = false; /**< the guest set the monitor bit */
	uint32_t ring_gpadl = 0;
	int kick_fd = -1; /**< the guest signals */
	int call_fd = -1; /**< the host signals */
	InRing in;
	OutRing out;
	uint32_t packets = 0; /**< from the guest since it opened the channel */

	/* Where a transmit packet is to be resumed that the endpoint had no room for. */
	uint32_t tx_offset = 0;
	uint32_t tx_messages = 0;
	uint32_t tx_segments = 0; /* of the large send at tx_offset */

	/* The frames of the transfer-page packet being put together. */
	uint32_t rx_count = 0;
	std::array<uint32_t, nvsp::kMaxFramesPerReceive> rx_index;
	std::array<vmbus::TransferPageRange, nvsp::kMaxFramesPerReceive> rx_range;

	/* Frames that the guest has no room for yet. */
	std::deque<RxFrame> held;
	uint64_t held_since = 0; /* when the first began to wait, or one last could go */

	/* The packet that the newest of them may be joined with. */
	RscPacket rsc;
	RxFrame rsc_first;
	RxFrame rsc_last;
	uint16_t rsc_id = 0;
};

class Nic {
      public:
	Nic(const NicSettings& settings, const vmbus::Guid& guid,
	    std::unique_ptr<Endpoint> endpoint, FaultScript faults, const Log& log);
	~Nic();

	const NicSettings& settings() const { return settings_; }
	const vmbus::Guid& guid() const { return guid_; }
	Endpoint& endpoint() { return *endpoint_; }
	FaultScript& faults() { return faults_; }
	std::vector<std::unique_ptr<Channel>>& channels() { return channels_; }
	void stats(NicStats& out) const;

	/** The guest came; the channels are offered through the link from now on. */
	void connect(GuestLink& link) { link_ = &link; }
	/** The guest went, by itself or not: everything it set up is forgotten. */
	void disconnect();
	/** Takes back every offer, closing what is open. */
	void rescind_all();

	/** Opens a channel over this ring buffer; takes the descriptors if it succeeds. */
	vmbus::user::Status open(Channel& channel, const Gpadl& ring, uint32_t ring_offset_pages,
				 int kick_fd, int call_fd);
	void close(Channel& channel);
	bool uses(uint32_t gpadl) const;
	/** The guest took back a buffer in use: what needs it stops. */
	void buffer_lost(uint32_t gpadl);

	void set_link(bool up);
	void set_speed(uint64_t mbps);
	/** What the host offers from now on; the guest loses what is not among it. */
	void set_offered(const Offloads& offered);
	/** Sends any status indication; what is behind it must fit a sub-allocation. */
	void send_indication(uint32_t status, const void* payload, uint32_t length);
	/** A virtual function for this NIC comes or goes. */
	void set_vf(bool present, uint32_t serial);
	/** From now on that is for this interface to say, which also moves the VF's frames. */
	void use_vf_interface(std::unique_ptr<VfInterface> interface);
	const VfInterface* vf_interface() const { return vf_interface_.get(); }

	/** One pass over the channels and the endpoint. @return whether there was work */
	bool pass();
	/** Before sleeping: asks for signals. @return whether there is work all the same */
	bool unmask();
	void mask();
	/** Whether receive() may be called as soon as there is a frame. */
	bool can_receive() const;
	/** Whether a received frame waits until the guest has room for it. */
	bool held() const;
	/** Whether a frame from the guest waits for the endpoint. */
	bool endpoint_full() const { return endpoint_full_; }

      private:
	/* nic.cpp */
	void violation(Channel& channel, const std::string& what);
	void reset();
	bool take_completions_behind(Channel& channel, const Packet& waiting);
	void prefetch_behind(Channel& channel, const Packet& packet);
	bool serve(Channel& channel);
	void check_blocked(Channel& channel);
	void finish(Channel& channel);
	void count_time(uint64_t begin);
	void note(const std::string& text);

	/* nvsp_control.cpp */
	void send_completion(Channel& channel, uint64_t transaction, const void* data,
			     uint32_t length);
	void send_nvsp(Channel& channel, const nvsp::Message& message, const void* more = nullptr,
		       uint32_t more_length = 0);
	bool reply_room(Channel& channel);
	void ask_nvsp(Channel& channel, const nvsp::Message& message, uint64_t transaction);
	void handle_nvsp(Channel& channel, const Packet& packet, const nvsp::Message& message,
			 uint32_t length);
	void nvsp_init(Channel& channel, const Packet& packet, const nvsp::Message& message);
	void nvsp_ndis_config(Channel& channel, const nvsp::Message& message);
	void nvsp_receive_buffer(Channel& channel, const Packet& packet,
				 const nvsp::Message& message);
	void nvsp_send_buffer(Channel& channel, const Packet& packet, const nvsp::Message& message);
	void nvsp_revoke(Channel& channel, const nvsp::Message& message, bool receive);
	void nvsp_subchannels(Channel& channel, const Packet& packet, const nvsp::Message& message);
	void send_indirection_table();

	/* vf.cpp */
	bool completes_vf_message(uint64_t transaction) const;
	void tell_vf();
	void switch_data_path(bool to_vf);
	bool to_vf(const uint8_t* frame, uint32_t length);
	bool pump_vf();

	/* rndis_control.cpp */
	void handle_rndis_control(Channel& channel, const Packet& packet, const uint8_t* data,
				  uint32_t length);
	void rndis_query(Channel& channel, const rndis::OidRequest& request, const uint8_t* input,
			 uint32_t input_length);
	bool rndis_send(Channel& channel, const void* message, uint32_t length, bool answer = true);
	void indicate(uint32_t status, const void* payload = nullptr, uint32_t length = 0);
	void indicate_offloads();
	void send_indications();

	/* oid.cpp */
	uint32_t link_speed() const;
	Offloads offered() const;
	bool has_rss() const { return settings_.profile->nvsp >= nvsp::kVersion5; }
	uint8_t offload_revision() const;
	ndis::Offload offload_message(const Offloads& offloads, uint8_t revision) const;
	void append_offload(std::vector<uint8_t>& out, const Offloads& offloads,
			    const uint8_t* input, uint32_t input_length) const;
	uint32_t query_oid(uint32_t oid, const uint8_t* input, uint32_t input_length,
			   std::vector<uint8_t>& out) const;
	uint32_t set_oid(uint32_t oid, const uint8_t* data, uint32_t length);
	uint32_t set_offloads(const uint8_t* data, uint32_t length);
	uint32_t set_parameter(const uint8_t* data, uint32_t length);
	uint32_t set_rss(const uint8_t* data, uint32_t length);

	/* tx.cpp */
	struct Piece {
		const uint8_t* data;
		uint32_t length;
	};
	enum class Tx { kDone, kRetry, kBad };
	bool handle_data(Channel& channel, const Packet& packet, const nvsp::Message& message);
	bool gather(Channel& channel, const Packet& packet, const nvsp::Message& message,
		    uint32_t& total, bool& bad);
	Tx transmit(Channel& channel, uint32_t total);
	Tx transmit_message(Channel& channel, const rndis::PacketMessage& header, uint32_t at);
	bool read_infos(const rndis::PacketMessage& header, uint32_t at, TxRequest& request) const;
	bool send_changed(const TxRequest& request, uint8_t* frame, uint32_t length,
			  FrameOffload& left);
	Tx transmit_changed(const TxRequest& request, uint32_t at, uint32_t length);
	Tx transmit_large(Channel& channel, const TxRequest& request, uint32_t at, uint32_t length);
	void count_request(const TxRequest& request, bool seeded);
	bool network_there() const { return link_up_ && endpoint_->connected(); }
	void complete_tx(Channel& channel, uint64_t transaction, uint32_t status);
	bool copy_from_pieces(uint32_t offset, void* to, uint32_t length) const;

	/* rx.cpp */
	void handle_rx_completion(Channel& channel, const Packet& packet);
	bool receiving() const;
	bool receive_pass();
	bool passes_filter(const uint8_t* frame, uint32_t length) const;
	RxFrame inspect(uint32_t index, uint32_t length);
	uint32_t range_length(const RxFrame& frame) const;
	void write_headers(const RxFrame& frame);
	void write_infos(uint8_t* at, const RxFrame& frame);
	bool rsc_wanted(bool v6) const;
	RxFrame coalesce(Channel& channel, RxFrame frame);
	uint32_t share() const;
	bool full(const Channel& channel) const;
	bool stuck(const Channel& channel) const;
	bool network_waits() const;
	uint32_t most_held() const;
	bool queue_frame(Channel& channel, const RxFrame& frame);
	void add_range(Channel& channel, const RxFrame& frame);
	void flush_rx(Channel& channel);
	void rx_faults(Channel& channel);
	bool deliver(const RxFrame& frame);
	bool deliver_held(Channel& channel);
	void forget_frames();

	NicSettings settings_;
	vmbus::Guid guid_;
	std::unique_ptr<Endpoint> endpoint_;
	FaultScript faults_;
	const Log& log_;
	GuestLink* link_ = nullptr;
	std::vector<std::unique_ptr<Channel>> channels_; /* the primary and what it was granted */
	NicStats stats_;
	Offloads offered_;
	bool link_up_;
	bool endpoint_full_ = false;
	uint64_t last_moved_ = 0;		    /* when the last pass ended that moved frames */
	bool moving_ = false;			    /* that was the last pass of all */
	uint32_t tx_count_ = 0;			    /* for the fault tx-fail */
	std::unique_ptr<VfInterface> vf_interface_; /* if there is one for it */
	bool vf_present_ = false;
	uint32_t vf_serial_ = 0;
	bool data_path_vf_ = false;

	/* What the guest negotiated. */
	uint32_t version_ = 0;
	uint32_t ndis_version_ = 0;
	uint64_t capabilities_ = 0; /* of NDIS_CONFIG */
	uint32_t mtu_ = 1514;	    /* with the Ethernet header */
	bool have_ndis_config_ = false;
	bool rndis_ready_ = false;
	bool table_sent_ = false;
	bool vf_told_ = false; /* the guest knows of a VF */
	uint32_t vf_told_serial_ = 0;
	bool data_path_lost_ = false; /* the guest is to be told that its VF took the data path */
	uint32_t filter_ = 0;
	std::array<uint8_t, 6> mac_; /* current address */
	Rss rss_;
	Offloads enabled_;
	uint64_t offload_sets_ = 0;
	bool offloads_changed_ = false;		       /* the guest is to be told */
	std::deque<std::vector<uint8_t>> indications_; /* that wait for room */
	ReceiveBuffer receive_buffer_;
	uint16_t receive_buffer_id_ = 0;
	uint32_t receive_gpadl_ = 0;
	uint8_t* send_buffer_ = nullptr;
	uint32_t send_sections_ = 0;
	uint32_t send_gpadl_ = 0;

	/* A transmit packet's bytes, in the order in which the guest listed them. */
	std::vector<Piece> pieces_;
	std::vector<uint32_t> range_ends_; /* cumulative; for where headers may lie */
	std::vector<uint8_t> scratch_;
	std::vector<uint8_t> large_send_;
};

uint64_t monotonic_ns();

} // namespace netvsp
