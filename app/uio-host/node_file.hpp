/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * An open device node. Its descriptor is one end of a socket pair, for poll() and epoll() to work
 * by themselves; what the other calls do is here, as in drivers/uio/uio.c of Linux.
 *
 * A node is open as long as its descriptor or one of its mappings: whoever holds a reference.
 */
#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>

#include "device.hpp"

namespace uio_host {

class NodeFile {
      public:
	/** @return null with errno set; the descriptor, which the caller closes, is in `fd` */
	static std::shared_ptr<NodeFile> open(std::shared_ptr<HvUioDevice> device, int flags,
					      int& fd);
	~NodeFile();
	NodeFile(const NodeFile&) = delete;
	NodeFile& operator=(const NodeFile&) = delete;

	/* As the system calls, errno included. */
	ssize_t read(void* data, size_t size);
	ssize_t write(const void* data, size_t size);
	/** @return the descriptor to map instead, from its beginning; -1 with errno set */
	int map(size_t size, off_t offset);

	/** There was an interrupt, or the device is gone. */
	void notify();

	const HvUioDevice& device() const { return *device_; }

      private:
	NodeFile(std::shared_ptr<HvUioDevice> device, int guest_end, int kernel_end)
		: device_(std::move(device)), guest_end_(guest_end), kernel_end_(kernel_end)
	{
	}

	const std::shared_ptr<HvUioDevice> device_;
	const int guest_end_; /* the descriptor; not ours to close */
	const int kernel_end_;
	std::atomic<int32_t> events_{0};
};

} // namespace uio_host
