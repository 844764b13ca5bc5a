/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A network adapter that is bound to uio_hv_generic: what drivers/uio/uio_hv_generic.c and uio.c of
 * Linux do for it, with a vmbus-user host in place of the hypervisor.
 *
 * Locks: calls come from any thread of the process, and from the bus's own.
 */
#pragma once

#include <sys/types.h>

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "generation.hpp"
#include "sysfs_tree.hpp"
#include "vmbus/user_connection.hpp"

namespace uio_host {

/** One channel of a device, as the kernel keeps it. */
struct Channel {
	vmbus::user::OfferChannel offer{};
	std::string path; /**< in sysfs */
	int ring_file = -1;
	uint8_t* rings = nullptr;
	uint64_t gpa = 0;
	uint32_t gpadl = 0;
	int kick = -1; /**< eventfd: the guest signals */
	int call = -1; /**< eventfd: the host signals */
	bool open = false;
};

/** An open file description of the device node. */
class NodeFile;

class HvUioDevice : public std::enable_shared_from_this<HvUioDevice> {
      public:
	static constexpr uint32_t kRingSize = 512 * vmbus::kPageSize; /* one direction */

	/**
	 * @param shown the instance GUID that sysfs shows
	 * @param number of the device node /dev/uioN
	 */
	HvUioDevice(std::shared_ptr<vmbus::user::Connection> connection,
		    const vmbus::user::OfferChannel& offer, const vmbus::Guid& shown, int number,
		    const Generation& generation, SysfsTree& tree);
	~HvUioDevice();

	/** hv_uio_probe(): makes what there is before anybody opens the node. */
	vmbus::Error bind();
	int number() const { return number_; }
	uint32_t relid() const { return primary_.offer.relid; }
	const vmbus::Guid& instance() const { return primary_.offer.instance_id; }
	const std::string& name() const { return name_; }

	/** The host offers a subchannel; opened now, or when the node is. */
	void add_subchannel(const vmbus::user::OfferChannel& offer);
	/** The host takes a channel back. @return whether it was one of this device's */
	bool rescind(uint32_t relid);
	/** The host signalled this channel. */
	void interrupt(uint32_t relid);
	/** Descriptors by which the host signals, with their channels. */
	void signals(std::vector<std::pair<int, uint32_t>>& out);

	/* The node. */
	vmbus::Error open();
	void release();
	/** hv_uio_irqcontrol(): a write to the node. @return 0 or an error number */
	int irq_control(bool on);
	bool gone() const { return gone_.load(); }
	/** What map `index` is made of. @return a descriptor, or -1: there is no such map */
	int map(uint64_t index, uint64_t& size) const;
	/** Whether the rings in this file of sysfs may be mapped. */
	bool ring_is_open(const std::string& path);

	void add_file(NodeFile* file);
	void remove_file(NodeFile* file);

      private:
	void remove();
	vmbus::Error make_rings(Channel& channel);
	vmbus::Error open_channel(Channel& channel);
	void close_channel(Channel& channel);
	void free_rings(Channel& channel);
	void free_channel(Channel& channel);
	void show_channel(const Channel& channel);
	void open_subchannel(Channel& channel);
	vmbus::Error make_buffer(const char* name, uint32_t size,
				 std::shared_ptr<vmbus::SharedMemory>& memory, uint64_t& gpa,
				 uint32_t& gpadl);
	void show();
	void notify();
	uint32_t* receive_mask(const Channel& channel) const;

	const std::shared_ptr<vmbus::user::Connection> connection_;
	const int number_;
	const Generation& generation_;
	SysfsTree& tree_;
	const std::string name_;
	const std::string path_; /* in sysfs */

	std::shared_ptr<vmbus::SharedMemory> receive_, send_, interrupt_page_;
	uint64_t receive_gpa_ = 0, send_gpa_ = 0;
	uint32_t receive_gpadl_ = 0, send_gpadl_ = 0;

	std::atomic<bool> gone_{false};
	std::recursive_mutex mutex_; /* guards what follows */
	Channel primary_;
	std::vector<std::unique_ptr<Channel>> subchannels_;
	uint32_t users_ = 0;
	std::set<NodeFile*> files_;
	bool removed_ = false;
};

} // namespace uio_host
