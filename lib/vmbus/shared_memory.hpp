/* SPDX-License-Identifier: BSD-3-Clause */
/** Anonymous memory that can be passed to another process as a file descriptor. */
#pragma once

#include <memory>

#include "error.hpp"
#include "mirror.hpp"

namespace vmbus {

class SharedMemory {
      public:
	/**
	 * @param size in bytes, rounded up to the page size; pages are taken when first touched
	 * @param mirror has other processes map it, too; null = nobody else
	 */
	static Error create(const char* name, size_t size, std::shared_ptr<SharedMemory>& out,
			    Mirror* mirror = nullptr);
	~SharedMemory();
	SharedMemory(const SharedMemory&) = delete;
	SharedMemory& operator=(const SharedMemory&) = delete;

	uint8_t* data() const { return data_; }
	size_t size() const { return size_; }
	int fd() const { return fd_; }

      private:
	SharedMemory() = default;
	Mirror* mirror_ = nullptr;
	uint8_t* data_ = nullptr;
	size_t size_ = 0;
	int fd_ = -1;
};

} // namespace vmbus
