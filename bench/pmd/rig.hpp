/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The host, its NICs, and the ports that the driver makes of them. Where the process runs under
 * tools/uio-host, they are devices of the (emulated) Linux kernel, else vdevs of this project.
 *
 * The host runs in its own thread while ports are configured, and is stepped while something is
 * measured.
 */
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <rte_ethdev.h>

#include "netvsp/host.hpp"
#include "traffic.hpp"

namespace bench {

struct RigOptions {
	std::string plugin;	 /* path of the driver; empty = the one that DPDK installed */
	std::string driver_args; /* of each device */
	std::string eal = "--in-memory -m 1024"; /**< more arguments of EAL */
	uint32_t ports = 1;
};

/** One queue of one port. */
struct Path {
	uint16_t port;
	uint16_t queue;
};

class Rig {
      public:
	/** Starts EAL, which can be done once. @throw std::runtime_error */
	explicit Rig(const RigOptions& options);
	~Rig();

	/**
	 * Configures and starts what the case uses, where it is not so already: DPDK's own driver
	 * asks for channels once. The host is to be stepped then.
	 * @return empty, or why the driver cannot
	 */
	std::string configure(const Case& c);

	/**
	 * Flows by queue, `each` for every queue of every port, found by trying.
	 * @return empty, or what was wrong
	 */
	std::string learn(const Case& c, uint32_t each, std::vector<std::vector<uint16_t>>& flows);

	const std::vector<Path>& paths() const { return paths_; }
	Feed& feed(uint16_t port) { return *feeds_[port]; }
	rte_mempool* pool() { return pool_; }
	/** The host works until it has nothing to do. */
	void step();
	/** Errors that the host saw since configure(). @return empty, or what */
	std::string complaints();
	netvsp::NicStats stats(uint16_t port);
	/** Bytes of DPDK's heap that the first configure() took, for all of its queues. */
	size_t heap_bytes() const { return heap_bytes_; }
	std::string driver_name() const;

      private:
	void start_eal(const RigOptions& options);
	std::string configure_port(const Case& c, uint16_t port);

	netvsp::Host host_;
	std::string socket_;
	std::vector<Feed*> feeds_; /* of the host's NICs */
	std::vector<vmbus::Guid> nics_;
	std::vector<uint16_t> port_of_; /* port number by NIC */
	rte_mempool* pool_ = nullptr;
	std::vector<Path> paths_;
	uint32_t ports_ = 0; /* that are started */
	size_t heap_bytes_ = 0;
	std::string configured_; /* what configure() did last */
};

} // namespace bench
