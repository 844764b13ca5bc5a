/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What stands behind an emulated NIC: the network side of a virtual switch port.
 *
 * All calls come from the thread that serves the host. No call blocks.
 */
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace netvsp {

struct EndpointStats {
	uint64_t sent_frames = 0; /**< guest → network */
	uint64_t sent_bytes = 0;
	uint64_t received_frames = 0; /**< network → guest */
	uint64_t received_bytes = 0;
	uint64_t sent_large = 0;     /**< of those, large sends in one piece */
	uint64_t received_large = 0; /**< large frames, received as what they were made into */
	uint64_t dropped = 0;	     /**< frames the endpoint could not take or keep */
	uint64_t errors = 0;	     /**< frames that failed verification, failed writes */
	/* Of the frames the guest sent to a generator; zero elsewhere. */
	uint64_t verified = 0;	/**< intact and in order */
	uint64_t lost = 0;	/**< gaps in the numbers of those that came back */
	uint64_t reordered = 0; /**< late or twice; also in errors */
	uint64_t corrupted = 0; /**< also in errors */
	uint64_t foreign = 0;	/**< no generator's */
	/* Of a generator with one frame on its way at a time: from the host to the guest and back.
	 */
	uint64_t round_trips = 0;
	uint64_t rtt_p50_ns = 0;
	uint64_t rtt_p99_ns = 0;
	uint64_t rtt_p999_ns = 0;
};

/** What is left to do with a frame, by who takes it. */
struct FrameOffload {
	/* The Internet checksum from here on, in a field that holds the pseudo header's sum. */
	bool checksum = false;
	uint32_t checksum_start = 0;  /**< in the frame */
	uint32_t checksum_offset = 0; /**< of the field, from there */
	/* A large send of TCP, whose checksum this then is. */
	uint32_t mss = 0; /**< payload of a segment; 0 = the frame is one already */
	bool v6 = false;
	uint32_t headers = 0; /**< bytes before the payload */
};

class Endpoint {
      public:
	virtual ~Endpoint() = default;

	/**
	 * Takes one frame (without FCS) from the guest. The bytes are valid during the call only.
	 * @return false: no room now; the host leaves the frame in the ring and asks again later.
	 */
	virtual bool send(const uint8_t* frame, uint32_t length) = 0;

	/** Whether frames may come with work left to do, by send_offload(). */
	virtual bool takes_offloads() const { return false; }
	/** send() for those frames, to who takes them. */
	virtual bool send_offload(const uint8_t* /* frame */, uint32_t /* length */,
				  const FrameOffload&)
	{
		return false;
	}

	/**
	 * Writes the next frame for the guest to `room`.
	 * @return its length, at most `capacity`; 0 if there is none now. A frame that is longer
	 * than `capacity` is dropped and counted, never cut.
	 */
	virtual uint32_t receive(uint8_t* room, uint32_t capacity) = 0;

	/**
	 * Takes a frame for the guest that receive() gave, while the data path is the NIC's virtual
	 * function: for whoever plays that.
	 * @return false: the NIC delivers it, as Hyper-V does with broadcasts
	 */
	virtual bool to_vf(const uint8_t* frame, uint32_t length)
	{
		(void)frame;
		(void)length;
		return true;
	}

	/**
	 * Drops, and counts, what came from the network while the guest received nothing: it is
	 * not for the guest that begins to receive now. Captures and generators wait instead.
	 */
	virtual void discard_waiting() {}

	/** Ends a batch of send() calls; the place for writes that are better made in bulk. */
	virtual void flush() {}

	/** Descriptor that polls readable when receive() may have something; -1 = none. */
	virtual int wait_fd() const { return -1; }

	/**
	 * How long the host may sleep before it must call receive() again.
	 * @return nanoseconds, 0 = do not sleep, -1 = until wait_fd() or another event.
	 */
	virtual int64_t wait_ns() const { return -1; }

	/** Whether the medium is there (a TAP that was deleted is not). */
	virtual bool connected() const { return true; }

	virtual EndpointStats stats() const { return stats_; }

      protected:
	EndpointStats stats_;
};

class Switch;

/**
 * Makes an endpoint from its text form:
 *
 *   null                takes every frame, gives none
 *   generator[:size=N][:flows=N][:rate=N][:count=N][:window=N][:dst=MAC][:proto=udp|tcp]
 *                       makes frames and verifies those that come back, see generator.cpp
 *   loopback            what the guest sends comes back to it
 *   tap:NAME            a TAP interface of this machine
 *   pcap:IN:OUT         replays the capture IN once, writes what the guest sends to OUT; either
 *                       may be empty, a ':' in a path is written '\:' and a '\' is written '\\'
 *   switch              a port of the host's learning switch
 *
 * @param vswitch the host's learning switch, for "switch"
 * @return null on error, with the reason and the accepted forms in `error`
 */
std::unique_ptr<Endpoint> make_endpoint(const std::string& spec, std::shared_ptr<Switch> vswitch,
					std::string& error);

} // namespace netvsp
