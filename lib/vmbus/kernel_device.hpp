/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A device that a kernel gave to user space by a device node: what the kernels' drivers for that
 * have in common. Opening the node opens the primary channel, reading it takes events, and rings
 * and buffers are mapped, as the kernel made them.
 */
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <vector>

#include "device.hpp"
#include "uio_os.hpp"

namespace vmbus::uio {

/** The device node exists while the device is open only; these are called around that time. */
struct EventHooks {
	/** The descriptor becomes readable when take_event() is due. An error fails open(). */
	std::function<Error(int fd)> opened;
	/** The descriptor is about to be closed: on return nobody calls take_event() any more. */
	std::function<void()> closing;
};

class KernelDevice : public Device {
      public:
	~KernelDevice() override;

	/** Before open(). */
	void set_event_hooks(EventHooks hooks) { hooks_ = std::move(hooks); }

	const Guid& class_id() const override { return identity_.class_id; }
	const Guid& instance_id() const override { return identity_.instance_id; }
	const std::string& name() const override { return name_; }
	int numa_node() const override { return identity_.numa_node; }

	/** Kernels wait for the host as long as they like, whatever the timeout is. */
	Error open(Milliseconds timeout) override;
	void close() override;
	bool is_open() const override { return open_; }
	Channel& primary() override { return *channels_.front()->channel; }
	Error open_subchannel(uint16_t index, Milliseconds timeout, Channel*& channel) override;
	const Region& receive_buffer() const override { return receive_.region; }
	const Region& send_buffer() const override { return send_.region; }
	const Region& control_memory() const override { return control_; }
	uint64_t gpa(const void* address) const override;
	bool gone() const override;

	/** The node's descriptor, or -1 when the device is not open. */
	int event_fd() const { return fd_.get(); }
	/**
	 * Takes what made the descriptor readable, which says nothing of the channel; never
	 * blocks. Armed channels that have something to read are woken, the others stay armed.
	 * The rings of the rest are masked afterwards.
	 * @return whether the host took the device away
	 */
	bool take_event() const;
	/**
	 * For a handler of SIGBUS: a kernel may take rings out of the address space when the host
	 * took the device away.
	 * @return whether the address was in a ring of this device, and can be accessed now
	 */
	bool repair(const void* address);

      protected:
	struct Identity {
		Guid class_id{};
		Guid instance_id{};
		int numa_node = -1;
	};
	struct Buffer {
		Region region;
		std::shared_ptr<Mapping> mapping;
	};

	/**
	 * @param control memory for control messages, at the guest-physical address `control_gpa`:
	 *        kernels have none to offer. Its `keep` frees it. May be none.
	 */
	KernelDevice(const Identity& identity, Region control, uint64_t control_gpa, Os& os);

	/** Opens the node, maps what there is, and adds the primary channel. After an error,
	 *  close() follows. */
	virtual Error connect(Milliseconds timeout) = 0;
	/** Adds this channel if it is there: ENODEV, ENOENT or EAGAIN if it may come yet. */
	virtual Error try_subchannel(uint16_t index) = 0;
	/** Whether the host took the device away. Asked every few milliseconds at most. */
	virtual bool vanished() const = 0;

	/** The node is open: the device has its descriptor now. */
	Error adopt_node(int fd);
	/** Maps memory of the node. @param populate every page of it now, not when it is touched */
	Error map(const std::string& what, off_t offset, uint64_t size, bool populate,
		  std::shared_ptr<Mapping>& out) const;
	Error map_buffer(const std::string& what, off_t offset, uint64_t size, uint64_t gpadl,
			 Buffer& out) const;
	Error check_rings(const std::string& what, uint64_t size) const;
	/** @return EAGAIN if the rings are in use by somebody else */
	Error add_channel(uint32_t relid, uint16_t index, std::shared_ptr<Mapping> rings,
			  const Doorbell& doorbell);
	uint32_t node_slot() const { return slot_.number(); }
	/** Keeps a mapping until the device is closed. */
	void keep_mapped(std::shared_ptr<Mapping> page) { pages_.push_back(std::move(page)); }

	Os& os_;
	Buffer receive_, send_;

      private:
	struct OpenedChannel {
		~OpenedChannel();
		void take_event();
		std::unique_ptr<Channel> own;
		Channel* channel = nullptr;
		std::shared_ptr<Mapping> rings;
		RingControl* receive_control = nullptr;
	};

	void unmap_buffer(Buffer& buffer);

	const Identity identity_;
	const std::string name_;
	const Region control_;
	const uint64_t control_gpa_;
	EventHooks hooks_;
	bool hooked_ = false;
	bool open_ = false;

	/* Guards what take_event() and repair() use, against the thread that opens and closes. */
	mutable std::mutex mutex_;
	Fd fd_;
	DescriptorSlot slot_; /* of fd_ */
	std::vector<std::unique_ptr<OpenedChannel>> channels_;
	std::vector<std::shared_ptr<Mapping>> pages_;

	mutable std::atomic<bool> gone_{false};
	mutable std::atomic<int64_t> next_look_{0};
};

} // namespace vmbus::uio
