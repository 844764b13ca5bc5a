/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A virtual function that a program can have: a TAP interface with the NIC's address. Whatever
 * drives it (DPDK's net_af_packet, for one) plays the driver of the VF.
 *
 * The NIC has the VF while the interface is up, so that "ip link set NAME down" is the host taking
 * it away. All calls come from the thread that serves the host. No call blocks.
 */
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "endpoint.hpp"

namespace netvsp {

class VfInterface {
      public:
	/**
	 * Makes the interface, or attaches to one that is there, with this address, and up.
	 * @return null on error, with the reason in `error`
	 */
	static std::unique_ptr<VfInterface> create(const std::string& name,
						   const std::array<uint8_t, 6>& mac,
						   std::string& error);
	VfInterface(const VfInterface&) = delete;
	VfInterface& operator=(const VfInterface&) = delete;
	~VfInterface();

	/** Whether the interface is up: as of the last pump(). */
	bool present() const { return present_; }
	/**
	 * A frame of the network's for the guest.
	 * @return false: the NIC delivers it, as Hyper-V does with what has a group address
	 */
	bool send(const uint8_t* frame, uint32_t length);
	/** Looks after the interface, and gives what came from it to the network. @return whether
	 * there was something */
	bool pump(Endpoint& network);
	/** Whether a frame waits for the network. */
	bool waits() const { return waiting_ != 0; }
	/** A descriptor that polls readable when pump() has something to do; -1 = none. */
	int frames_fd() const { return tap_->wait_fd(); }
	/** Another such descriptor. */
	int changes_fd() const { return netlink_; }

      private:
	VfInterface(std::string name, std::unique_ptr<Endpoint> tap, int netlink);
	void follow_state();

	std::string name_;
	std::unique_ptr<Endpoint> tap_;
	int netlink_;
	bool present_ = true;
	std::vector<uint8_t> frame_; /* from the interface */
	uint32_t waiting_ = 0;	     /* its length, while the network has no room for it */
	uint64_t next_look_ns_ = 0;
};

} // namespace netvsp
