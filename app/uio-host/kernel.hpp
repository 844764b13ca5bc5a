/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What stands between the process and its kernel: paths and descriptors that are not the real
 * kernel's are answered here. preload.cpp brings the C library's calls here.
 *
 * It begins when the process first looks at the VMBus, from the environment:
 *   UIO_HOST_DIR     folder for the files that are shown, and removed with it
 *   UIO_HOST_KERNEL  generation
 *   UIO_HOST_NICS    NICs of the host in this process, one per line: key=value,...
 *   UIO_HOST_REPORT  file that gets the NICs' counters at the end, as JSON
 */
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bus.hpp"
#include "netvsp/host.hpp"
#include "node_file.hpp"

namespace uio_host {

/** A descriptor of the process that is not what it seems. */
struct File {
	std::shared_ptr<NodeFile> node; /**< an open device node, or */
	std::string ring;		/**< an open ring file, or else the page map */
};

class Kernel {
      public:
	/** Of this process. @param path that it looks at. @return null: not one of ours */
	static Kernel* for_path(const char* path);
	/** @return null: nothing was asked for yet */
	static Kernel* started();

	/** @return the path to use instead; empty: as it is */
	std::string redirect(const char* path) const { return machine_->tree.redirect(path); }
	/** open() of a path of ours. @return a descriptor, or -1 with errno set */
	int open(const char* path, int flags);

	std::shared_ptr<File> file(int fd) { return is_marked(fd) ? find(fd) : nullptr; }
	/** The descriptor is about to be closed. */
	void forget(int fd)
	{
		if (is_marked(fd))
			drop(fd);
	}
	ssize_t read_pagemap(void* data, size_t size, off_t offset);
	/** mmap() of it. @param plain maps another descriptor, or the same */
	void* map(const File& file, int fd, size_t size, off_t offset,
		  const std::function<void*(int fd, off_t offset)>& plain);
	/** The process unmaps this, or maps something else there. */
	void unmapped(void* address, size_t size);

	/** A host in this process that listens there has devices, too. */
	vmbus::Error connect(const std::string& socket);
	void disconnect(const std::string& socket);

      private:
	Kernel();
	/* Nearly all descriptors are others: those cost no lock. */
	bool is_marked(int fd) const
	{
		return size_t(fd) < marks_.size() && marks_[size_t(fd)].load();
	}
	std::shared_ptr<File> find(int fd);
	void drop(int fd);
	vmbus::Error add_bus(int fd, const std::string& socket);
	void start_host(const std::string& nics);
	void report();

	struct Mapping {
		size_t size;
		std::shared_ptr<NodeFile> node;
	};

	std::unique_ptr<Machine> machine_;
	std::unique_ptr<netvsp::Host> host_;
	std::vector<std::pair<std::string, vmbus::Guid>> nics_;
	std::map<std::string, std::unique_ptr<Bus>> buses_; /* by socket */

	std::array<std::atomic<bool>, 65536> marks_{};
	std::mutex mutex_; /* guards what follows */
	std::map<int, std::shared_ptr<File>> files_;
	std::map<uint8_t*, Mapping> mappings_;
};

} // namespace uio_host
