/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A guest of the first network adapter: NVSP and RNDIS as drivers speak them, step by step. Each
 * step throws where the host's part of it is not as it must be.
 */
#pragma once

#include <map>
#include <set>

#include "netvsc/nvsp.hpp"
#include "netvsc/rndis.hpp"

#include "channel.hpp"

namespace check {

inline constexpr const char* kNvspSection = "NVSP";
inline constexpr const char* kRndisSection = "RNDIS";
inline constexpr uint32_t kMtu = 1500;
inline constexpr uint32_t kReceiveGpadl = 50, kSendGpadl = 51;

class Session {
      public:
	/** Connects and opens the adapter's primary channel. */
	explicit Session(Run& run, const Rings& rings = {}, bool monitor = false);

	/** INIT with the newest version that the host takes. */
	void init();
	/** @return INIT_COMPLETE for these two versions; the status may be a refusal */
	nvsp::InitComplete try_init(uint32_t least, uint32_t most);
	/** NDIS_CONFIG (from NVSP 2 on) and NDIS_VERSION. */
	void ndis(bool wants_completion = false);
	void receive_buffer();
	/** @return SEND_SEND_BUFFER_COMPLETE's section size */
	uint32_t send_buffer();
	/** All of this, and RNDIS INITIALIZE. */
	void up();

	/** Sends an NVSP message. @return its transaction id */
	uint64_t send(const nvsp::Message& message, bool wants_completion);
	/** Waits for the completion of this transaction. */
	Packet completion(uint64_t id, const char* what);
	/** The same for a message that is answered in its completion. */
	nvsp::Message answer(const nvsp::Message& message, uint32_t type, size_t body,
			     const char* request, const char* name);

	void rndis_initialize();
	/** Sends an RNDIS request and waits for its completion and its answer. */
	std::vector<uint8_t> request(std::vector<uint8_t> message, const char* name);
	/** Queries an OID. @return the status */
	uint32_t query(uint32_t oid, std::vector<uint8_t>& info);
	uint32_t query_u32(uint32_t oid, const char* name);
	uint32_t set(uint32_t oid, const void* info, size_t size);
	void halt();

	/** Sends frames by GPA-direct packets in one batch.
	 *  @param room_for_signal pending_send_size of the guest → host ring */
	std::vector<uint64_t> transmit(uint32_t count, Channel* on = nullptr,
				       uint64_t room_for_signal = 0);
	/** Waits until each of them was completed with success. */
	void transmitted(const std::vector<uint64_t>& ids, Channel* on = nullptr);
	/** An RNDIS packet message with a frame that means nothing to anybody. */
	static std::vector<uint8_t> frame_message();
	uint64_t send_section(uint32_t section, const std::vector<uint8_t>& message);

	/** Looks at one packet of the host, if it comes: whatever nobody waits for. */
	bool take_one(int timeout_ms, Channel* on = nullptr);

	Guest guest;
	vu::OfferChannel offer;
	Channel channel;
	uint32_t version = 0;
	std::vector<std::vector<uint8_t>> answers; /**< RNDIS messages that answer something */
	uint64_t frames_received = 0;
	int timeout() { return guest.wire().timeout(); }

      private:
	static const vu::OfferChannel& find(Guest& guest, bool monitor);
	uint64_t gpa_packet(const std::vector<uint8_t>& message, uint32_t channel_type, uint64_t at,
			    Channel& on);
	void took_transfer_pages(const Packet& packet, Channel& on);
	void took_rndis(const uint8_t* at, uint32_t size);

	std::set<uint64_t> open_;	  /* transactions under way */
	std::map<uint64_t, Packet> done_; /* completions that nobody has waited for yet */
	uint64_t next_id_ = 0x1000;
	uint32_t next_request_ = 1;
};

} // namespace check
