/* SPDX-License-Identifier: BSD-3-Clause */
/** What a guest may ask for with a frame, and how the host does it. */
#pragma once

#include <cstdint>

#include "endpoints/endpoint.hpp"

namespace netvsp {

/**
 * What the per-packet infos of one frame ask for. The host goes by the info and not by what the
 * frame looks like: the Ethernet header is taken to have 14 bytes, the guest tells where layer 4
 * is.
 */
struct TxRequest {
	uint32_t checksums = 0; /**< Checksum bits to compute */
	uint32_t l4 = 0;	/**< offset of the TCP or UDP header */
	bool large = false;	/**< a large send: checksums go without saying */
	bool v6 = false;
	uint32_t mss = 0;
	bool tagged = false;
	uint16_t tag = 0; /**< as on the wire */

	void read_checksum(uint32_t info);
	void read_lso(uint32_t info);
	void read_vlan(uint32_t info);
	/** Whether the layer 4 offset can be true of a frame of this length; fills in one that the
	 *  guest left out. */
	bool complete(uint32_t frame_length);
};

/** Whether it is UDP over IPv4, of more bytes than this, and may be cut into fragments. */
bool is_long_datagram(const uint8_t* frame, uint32_t length, uint32_t most);

/**
 * Computes the request's checksums into a frame.
 *
 * @param left if given, a layer 4 checksum is left to do for who takes the frame
 * @param seeded cleared if the layer 4 field did not hold the pseudo header's sum: this host does
 *        not need it, others hand the frame to somebody who does
 * @return false if the frame is not what the request says; then it was not changed
 */
bool compute_checksums(uint8_t* frame, uint32_t length, const TxRequest& request, bool& seeded,
		       FrameOffload* left = nullptr);

/** Inserts an 802.1Q tag; there must be 4 bytes of room before the frame. @return its new start */
uint8_t* insert_tag(uint8_t* frame, uint16_t tag);

/** Cuts a large send into frames. */
class Segmenter {
      public:
	/**
	 * @param frame stays the caller's, and must stay
	 * @return false if the headers cannot be
	 */
	bool start(const uint8_t* frame, uint32_t length, const TxRequest& request);
	uint32_t count() const { return count_; }
	uint32_t payload() const { return payload_; }
	/** Of the longest of them, without a tag. */
	uint32_t frame_length() const;
	bool seeded() const { return seeded_; }
	/** Writes the frame of this number. @return its length */
	uint32_t build(uint32_t number, uint8_t* to) const;
	/** Whether whole() can be: not of what is longer than an IP packet. */
	bool can_be_whole() const;
	/** Makes the frame, which it was started with, one for somebody else to cut. */
	void whole(uint8_t* frame, FrameOffload& left) const;

      private:
	const uint8_t* frame_ = nullptr;
	bool v6_ = false;
	bool seeded_ = false;
	uint32_t l4_ = 0;
	uint32_t headers_ = 0;
	uint32_t payload_ = 0;
	uint32_t mss_ = 0;
	uint32_t count_ = 0;
};

} // namespace netvsp
