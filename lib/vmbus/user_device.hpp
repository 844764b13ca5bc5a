/* SPDX-License-Identifier: BSD-3-Clause */
/** A device that a vmbus-user host offered. */
#pragma once

#include <vector>

#include "user_connection.hpp"

namespace vmbus::user {

/** Sizes of what the guest shares with the host, all multiples of the page size. */
struct BufferSizes {
	uint32_t ring = 1u << 20;     /**< each direction, control page included */
	uint32_t receive = 31u << 20; /**< as the Linux kernel's uio_hv_generic has it */
	uint32_t send = 16u << 20;
};

class UserDevice final : public Device {
      public:
	UserDevice(std::shared_ptr<Connection> connection, const OfferChannel& offer,
		   const BufferSizes& sizes);
	~UserDevice() override;

	const Guid& class_id() const override { return offer_.class_id; }
	const Guid& instance_id() const override { return offer_.instance_id; }
	const std::string& name() const override { return name_; }
	int numa_node() const override { return -1; }

	/** Waits as long as the connection does, whatever `timeout` says. */
	Error open(Milliseconds timeout) override;
	void close() override;
	bool is_open() const override { return open_; }
	Channel& primary() override { return *channels_.front()->channel; }
	Error open_subchannel(uint16_t index, Milliseconds timeout, Channel*& channel) override;
	const Region& receive_buffer() const override { return receive_.region; }
	Error limit_receive_buffer(size_t size) override;
	const Region& send_buffer() const override { return send_.region; }
	const Region& control_memory() const override { return control_.region; }
	uint64_t gpa(const void* address) const override;
	bool gone() const override;

	uint32_t relid() const { return offer_.relid; }
	/** The host took the offer back. The caller calls close() and release() afterwards. */
	void mark_rescinded() { rescinded_.store(true, std::memory_order_release); }
	/** Tells the host that its rescinded channels are forgotten here. */
	void release();
	/** A subchannel of this device was offered. */
	void add_subchannel(const OfferChannel& offer);
	/**
	 * The host took a channel back that is not the primary of any device.
	 * @return whether this device has it open, and releases it when it closes
	 */
	bool drop_subchannel(uint32_t relid);

      private:
	struct SharedRegion {
		Region region;
		std::shared_ptr<SharedMemory> memory;
		uint64_t gpa = 0;
		uint32_t relid = 0;
	};
	struct Subchannel {
		OfferChannel offer;
		bool opened = false;
		bool rescinded = false; /* while it was open */
	};
	struct OpenedChannel {
		std::unique_ptr<Channel> own;
		Channel* channel = nullptr;
		SharedRegion rings;
		int guest_signals = -1;
		int host_signals = -1;
		DescriptorSlot slot; /* of guest_signals */
	};

	Error make_region(const char* name, size_t size, uint32_t relid, bool gpadl,
			  SharedRegion& out);
	void free_region(SharedRegion& region);
	Error open_channel(const OfferChannel& offer);
	void close_channel(OpenedChannel& channel);

	const std::shared_ptr<Connection> connection_;
	const OfferChannel offer_;
	const BufferSizes sizes_;
	const std::string name_;
	std::atomic<bool> rescinded_{false};
	bool open_ = false;
	SharedRegion receive_, send_, control_;
	std::vector<std::unique_ptr<OpenedChannel>> channels_;

	std::mutex offers_mutex_;
	std::vector<Subchannel> subchannels_;
};

} // namespace vmbus::user
