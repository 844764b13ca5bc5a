/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A device that the Linux kernel's uio_hv_generic driver gave to user space.
 *
 * The kernel makes buffers and rings when the device is bound, opens the primary channel when the
 * first process opens the device node, and closes all channels when the last one lets go of it: of
 * the descriptor and of every mapping.
 */
#pragma once

#include <atomic>
#include <functional>
#include <mutex>

#include "device.hpp"
#include "sysfs.hpp"

namespace vmbus::uio {

/** The device node exists while the device is open only; these are called around that time. */
struct EventHooks {
	/** The descriptor becomes readable when take_event() is due. An error fails open(). */
	std::function<Error(int fd)> opened;
	/** The descriptor is about to be closed: on return nobody calls take_event() any more. */
	std::function<void()> closing;
};

class UioDevice final : public Device {
      public:
	/**
	 * @param control memory for control messages, at the guest-physical address `control_gpa`:
	 *        the kernel has none to offer. Its `keep` frees it.
	 * @param dev where device nodes are
	 */
	UioDevice(const SysfsDevice& info, Region control, uint64_t control_gpa,
		  Os& os = Os::system(), std::string dev = "/dev");
	~UioDevice() override;

	/** Before open(). */
	void set_event_hooks(EventHooks hooks) { hooks_ = std::move(hooks); }

	const Guid& class_id() const override { return info_.class_id; }
	const Guid& instance_id() const override { return info_.instance_id; }
	const std::string& name() const override { return name_; }
	int numa_node() const override { return info_.numa_node; }

	/** The kernel waits for the host without a deadline: the timeout has no effect. */
	Error open(Milliseconds timeout) override;
	void close() override;
	bool is_open() const override { return open_; }
	Channel& primary() override { return channels_.front()->channel; }
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
	bool take_event();
	/**
	 * For a handler of SIGBUS: the kernel takes rings out of the address space when the host
	 * took the device away.
	 * @return whether the address was in a ring of this device, and can be accessed now
	 */
	bool repair(const void* address);

      private:
	struct OpenedChannel {
		~OpenedChannel();
		void take_event();
		Channel channel;
		std::shared_ptr<Mapping> rings;
		RingControl* receive_control = nullptr;
	};
	struct Buffer {
		Region region;
		std::shared_ptr<Mapping> mapping;
	};

	Error open_node();
	Error map(uint32_t index, std::shared_ptr<Mapping>& out, UioMap& info);
	Error map_buffer(uint32_t index, Buffer& out);
	Error map_page(uint32_t index, std::shared_ptr<Mapping>& out, uint8_t*& page);
	Error open_primary();
	Error check_rings(const std::string& what, uint64_t size) const;
	Error add_channel(const SysfsChannel& info, std::shared_ptr<Mapping> rings);
	Error open_subchannel_now(const SysfsChannel& info);
	void unmap_buffer(Buffer& buffer);
	Doorbell doorbell(const SysfsChannel& info) const;

	const SysfsDevice info_;
	const std::string name_;
	const std::string dev_;
	const Region control_;
	const uint64_t control_gpa_;
	Os& os_;
	EventHooks hooks_;
	bool hooked_ = false;
	bool open_ = false;

	/* Guards what take_event() and repair() use, against the thread that opens and closes. */
	std::mutex mutex_;
	Fd fd_;
	std::vector<std::unique_ptr<OpenedChannel>> channels_;

	std::shared_ptr<Mapping> interrupt_mapping_, monitor_mapping_;
	uint8_t* interrupt_page_ = nullptr;
	uint8_t* monitor_page_ = nullptr;
	Buffer receive_, send_;

	mutable std::atomic<bool> gone_{false};
	mutable std::atomic<int64_t> next_look_{0};
};

} // namespace vmbus::uio
