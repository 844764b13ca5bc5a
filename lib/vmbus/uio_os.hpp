/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The system calls that real devices need, behind a seam for tests, and owners of their results.
 */
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "error.hpp"

namespace vmbus::uio {

/** Each function behaves like the system call of its name, errno included. */
class Os {
      public:
	virtual ~Os() = default;
	virtual int open(const std::string& path, int flags);
	virtual int close(int fd);
	virtual ssize_t read(int fd, void* data, size_t size);
	virtual int ioctl(int fd, unsigned long request, void* data);
	virtual void* mmap(void* address, size_t size, int protection, int flags, int fd,
			   off_t offset);
	virtual int munmap(void* address, size_t size);
	/** A file of this size that has no name. @return -1 on error */
	virtual int memory_file(size_t size);
	virtual ssize_t readlink(const std::string& path, char* data, size_t size);
	/** Names in a directory, sorted, without "." and "..". @return 0 or -1 */
	virtual int list(const std::string& directory, std::vector<std::string>& names);
	virtual bool exists(const std::string& path);
	/** Size of an open file. @return -1 on error */
	virtual off_t file_size(int fd);
	virtual size_t page_size();
	/**
	 * FreeBSD's. Linux has none: ENOENT.
	 * @param more numbers behind the ones that the name stands for
	 * @param size room at `data`, then what the kernel has
	 */
	virtual int sysctl(const std::string& name, const std::vector<int>& more, void* data,
			   size_t& size);
	/** Whether FreeBSD's kernel has a module of this name. */
	virtual bool has_module(const std::string& name);

	static Os& system();
};

/** Closes a descriptor at the end of its scope. */
class Fd {
      public:
	Fd() = default;
	Fd(Os& os, int fd) : os_(&os), fd_(fd) {}
	Fd(const Fd&) = delete;
	Fd& operator=(const Fd&) = delete;
	Fd& operator=(Fd&& other) noexcept
	{
		std::swap(os_, other.os_);
		std::swap(fd_, other.fd_);
		return *this;
	}
	~Fd() { reset(); }

	int get() const { return fd_; }
	void reset()
	{
		if (fd_ >= 0)
			os_->close(fd_);
		fd_ = -1;
	}

      private:
	Os* os_ = nullptr;
	int fd_ = -1;
};

/** Shared memory of an open file. */
class Mapping {
      public:
	static Error create(Os& os, const std::string& what, int fd, off_t offset, size_t size,
			    bool populate, std::shared_ptr<Mapping>& out);
	~Mapping();
	Mapping(const Mapping&) = delete;
	Mapping& operator=(const Mapping&) = delete;

	uint8_t* data() const { return data_; }
	size_t size() const { return size_; }
	bool contains(const void* address) const
	{
		const auto* p = static_cast<const uint8_t*>(address);
		return p >= data_ && p < data_ + size_;
	}

	/**
	 * Puts zeroed private memory in the mapping's place, for threads that still look into it.
	 * May run in a signal handler.
	 * @return whether that worked
	 */
	bool isolate();
	/** Puts a private copy in the mapping's place: it does not hold the file open any more. */
	bool make_private();

      private:
	Mapping(Os& os, uint8_t* data, size_t size) : os_(os), data_(data), size_(size) {}
	Os& os_;
	uint8_t* const data_;
	const size_t size_;
};

} // namespace vmbus::uio
