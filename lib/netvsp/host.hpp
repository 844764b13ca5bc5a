/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * An emulated Hyper-V host: offers NICs over vmbus-user, speaks NVSP and RNDIS with the guest, and
 * moves frames between the guest's rings and the NICs' endpoints.
 *
 * A Host serves one guest at a time. It runs in a thread of its own (start()), or is stepped by its
 * owner (poll()) where a test or benchmark wants lockstep. With the thread running, every public
 * call may come from any other thread and is carried out by the host's thread.
 */
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vmbus/packet.hpp"

#include "endpoints/endpoint.hpp"
#include "offload.hpp"
#include "rss.hpp"

namespace netvsp {

/** What is left open is as in hosts of the profile (profile.hpp). */
struct NicConfig {
	std::string name; /**< for people; empty = "nicN" */
	std::string endpoint = "null";
	std::string profile;	      /**< which host this is; empty = the newest Hyper-V */
	std::array<uint8_t, 6> mac{}; /**< zero = 00:15:5d:... derived from the NIC's number */
	std::optional<uint32_t> mtu;  /**< largest MTU the host grants, 68..9202 */
	uint32_t queues = 1;	      /**< channels the host grants, 1..64 */
	std::optional<uint32_t> nvsp; /**< highest NVSP version accepted */
	uint32_t section_size = 6144; /**< of a send section */
	uint32_t max_packets = 8;     /**< RNDIS messages per packet, INITIALIZE reply */
	uint32_t alignment_shift = 3;
	uint64_t speed_mbps = 40000;
	bool monitor = false;		   /**< channels have a monitor id */
	uint32_t spin_us = 50;		   /**< how long the host looks for work before it sleeps */
	bool link = true;		   /**< medium connected at start */
	std::optional<bool> set_mac;	   /**< the guest may change its address */
	std::optional<uint32_t> rss_types; /**< beside IPv4 and IPv6, which go without saying */
	uint32_t rss_table = 128;	   /**< entries of the indirection table, 1..128 */
	std::optional<uint32_t> tx_csum;   /**< Checksum bits that the host computes */
	std::optional<uint32_t> rx_csum;   /**< and verifies, for guests that ask for it */
	std::optional<uint32_t> lso_max;   /**< TCP payload of a large send, 0 = no LSO */
	std::optional<bool> rsc; /**< received segments are joined for guests that ask for it */
	std::string vf; /**< the interface that is its virtual function; empty = set_vf() tells */
	std::vector<std::string> faults; /**< fault script, see fault.hpp */
};

/** Parses one "key=value" (the vdev argument and --nic syntax). @return empty, or what is wrong. */
std::string parse_nic_option(const std::string& key, const std::string& value, NicConfig& config);

struct NicStats {
	EndpointStats endpoint;
	uint64_t tx_packets = 0;     /**< VMBus data packets from the guest */
	uint64_t tx_frames = 0;	     /**< RNDIS frames in them */
	uint64_t tx_errors = 0;	     /**< frames or packets refused as malformed */
	uint64_t tx_csum = 0;	     /**< frames whose checksums the host computed */
	uint64_t tx_csum_undone = 0; /**< could not, by what it offers or what the frame was */
	uint64_t tx_lso = 0;	     /**< large sends */
	uint64_t tx_segments =
		0; /**< frames made of them, where the network takes them not whole */
	uint64_t tx_lso_oversize = 0; /**< large sends beyond lso_max; done all the same */
	uint64_t tx_vlan = 0;	      /**< frames that the host tagged */
	uint64_t tx_not_enabled = 0;  /**< asked for what was not turned on; done all the same */
	/** Frames whose layer 4 checksum was not the pseudo header's sum (with length zero for a
	 *  large send). This host does without; others send such frames with a wrong checksum. */
	uint64_t tx_unseeded = 0;
	uint64_t rx_packets = 0; /**< transfer-page packets to the guest */
	uint64_t rx_frames = 0;
	uint64_t rx_filtered = 0;   /**< frames that the packet filter kept from the guest */
	uint64_t rx_to_vf = 0;	    /**< frames that the VF got, as the data path is there */
	uint64_t rx_csum_bad = 0;   /**< frames told to have a bad checksum */
	uint64_t rx_rsc = 0;	    /**< packets made of several frames */
	uint64_t rx_rsc_frames = 0; /**< of which they were made */
	uint64_t rx_vlan = 0;	    /**< frames whose tag went into the info for it */
	uint64_t rx_no_buffer = 0;  /**< times the receive buffer or the ring was full */
	uint64_t rx_dropped = 0;    /**< frames for a channel that the guest does not serve */
	uint64_t interrupts = 0;    /**< signals to the guest */
	uint64_t busy_ns = 0;	    /**< time in which the host moved frames */
	uint64_t idle_ns = 0; /**< between such times: it had none to move, or the guest no room */
	uint64_t protocol_errors = 0;	    /**< violations after which a channel went silent */
	uint32_t suballocations_in_use = 0; /**< of the receive buffer: sent, not yet completed */
	uint32_t channels_open = 0;
	uint32_t nvsp_version = 0; /**< negotiated; 0 = none */
	uint32_t packet_filter = 0;
	bool vf_told = false;	      /**< the guest knows of a VF */
	bool data_path_vf = false;    /**< and has chosen it */
	std::array<uint8_t, 6> mac{}; /**< current address */
	uint32_t ndis_version = 0;    /**< ndis::version(); 0 = the guest told none */
	uint64_t capabilities = 0;    /**< nvsp::kCap... of the guest's NDIS_CONFIG */
	uint32_t mtu = 0;	      /**< in force, without the Ethernet header */
	uint32_t latency_hint = 0;    /**< of the primary channel's monitor, in units of 100 ns */
	Offloads offloads;	      /**< in force: turned on by the guest */
	uint64_t offload_sets = 0;    /**< times the guest changed them since it opened the NIC */
	std::string last_error;	      /**< the newest protocol error, for people */
};

class Host {
      public:
	Host();
	~Host(); /**< stops the thread, closes the connection and the socket */
	Host(const Host&) = delete;
	Host& operator=(const Host&) = delete;

	/**
	 * Adds a NIC, and offers it if a guest is connected.
	 * @return its instance GUID; false in `ok` and a reason in `error` where it cannot be
	 */
	bool add_nic(const NicConfig& config, vmbus::Guid& instance, std::string& error);
	/** The same with an endpoint of the caller's; config.endpoint is not looked at. */
	bool add_nic(const NicConfig& config, std::unique_ptr<Endpoint> endpoint,
		     vmbus::Guid& instance, std::string& error);
	/** Takes a NIC away as Hyper-V does: rescinds its channels, then forgets it. */
	bool remove_nic(const vmbus::Guid& instance);
	/** Rescinds the channels and, after the guest released them, offers the NIC again. */
	bool reoffer_nic(const vmbus::Guid& instance);
	/** Connects or disconnects the medium; the guest gets an RNDIS indication. */
	bool set_link(const vmbus::Guid& instance, bool up);
	/** Changes the link speed, 1..400000 Mbit/s; the guest gets an RNDIS indication of it. */
	bool set_speed(const vmbus::Guid& instance, uint64_t mbps);
	/** Tells the guest that the network behind the NIC is another one (after a migration). */
	bool change_network(const vmbus::Guid& instance);
	/** Changes what the host offers; a guest that loses something gets an indication. */
	bool set_offloads(const vmbus::Guid& instance, const Offloads& offered);
	/** Sends any RNDIS status indication, with at most 256 bytes behind it. */
	bool indicate(const vmbus::Guid& instance, uint32_t status,
		      const std::vector<uint8_t>& payload = {});
	/**
	 * Gives the NIC a virtual function or takes it away. The guest is told by NVSP if it can
	 * have one (NVSP 4, SR-IOV in NDIS_CONFIG), now or when it comes; a VF that goes takes the
	 * data path back to the NIC. The PCI device itself is somebody else's.
	 * @param serial how the guest finds the PCI device
	 */
	bool set_vf(const vmbus::Guid& instance, bool present, uint32_t serial);
	bool stats(const vmbus::Guid& instance, NicStats& out);
	std::vector<vmbus::Guid> nics();

	/** Serves the guest on this connected SEQPACKET socket, which it then owns. */
	bool adopt(int fd, std::string& error);
	/** Listens at a path; serves one guest after another, a second one at a time is refused. */
	bool listen(const std::string& path, std::string& error);
	bool guest_connected();

	/** Runs the host in a thread on these CPUs (empty = inherit). */
	void start(const std::vector<int>& cpus = {});
	void stop();

	/** One pass over sockets, channels and endpoints. @return whether there was work */
	bool poll();
	/** Sleeps until there is work or the time is over, interrupts unmasked meanwhile. */
	void wait(int timeout_ms);

	/** Where events worth a line go (guest connected, protocol error, ...); default: nowhere.
	 */
	void set_log(std::function<void(const std::string&)> log);

      private:
	struct Impl;
	std::unique_ptr<Impl> impl_;
};

} // namespace netvsp
