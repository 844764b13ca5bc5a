/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * FreeBSD's kernel for tests, as far as hv_uio(4) goes: it lists devices, has one node, and does
 * what kernel/freebsd/hv_uio/hv_uio.h says of it. The node is a socket whose other end is here, and
 * what it maps is anonymous memory.
 */
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "hv_uio.h"
#include "vmbus/channel.hpp"
#include "vmbus/uio_os.hpp"

namespace vmbus::test {

inline constexpr const char* kNicPnpInfo = "classid=f8615163-df3e-46c5-913f-f2d2f965ed0e "
					   "deviceid=ed963694-e847-4b2a-85af-bc9cfc11d6f3";

/** A device as hw.bus.devices has it. */
struct BsdDevice {
	std::string name;
	std::string driver;
	std::string pnpinfo;
	uint32_t state = 30; /* DS_ATTACHED */
};

struct FakeSubchannel {
	uint32_t relid = 0;
	uint32_t monitor_id = HV_UIO_NO_MONITOR;
	uint64_t size = 32 << 10;
};

class FakeFreeBsd : public uio::Os {
      public:
	FakeFreeBsd();
	~FakeFreeBsd() override;

	/* What the kernel is like. */
	std::vector<BsdDevice> devices;		 /**< in its order */
	std::map<std::string, int32_t> integers; /**< other sysctls */
	int32_t bus_version = 2;
	int changes = 0; /**< times that the devices change while they are listed */
	int32_t generation = 7;
	size_t device_size = 3104; /**< of struct u_device */
	bool module = true;	   /**< is loaded */
	bool permitted = true;
	bool published = false; /**< it is the hv_uio that others published */
	uint32_t version = HV_UIO_VERSION;
	hv_uio_info info;			    /**< what HV_UIO_INFO says */
	bool stale_rings = false;		    /**< they are not empty when they are opened */
	std::map<uint32_t, FakeSubchannel> offered; /**< by index */
	int busy_opens = 0;			    /**< until the host took subchannels back */
	int fail_ioctl = -1;			    /**< requests until one fails */
	int fail_map = -1;
	int fail_errno = ENOMEM;

	/* What was done to it. */
	std::vector<uint32_t> signals; /**< relids */
	std::vector<uint32_t> opened;  /**< indices of subchannels */
	size_t open_files() { return files_; }
	size_t mapped_bytes() { return mapped_; }

	/** The host took the device away. */
	void rescind();
	/** The host offers a subchannel, while others ask for it. */
	void offer(uint32_t index, const FakeSubchannel& subchannel)
	{
		std::lock_guard lock(mutex_);
		offered[index] = subchannel;
	}
	/** The host signalled. */
	void notify();
	/** Memory as the kernel sees it. */
	template <class T = uint8_t> T* look(uint32_t relid, uint32_t map, size_t offset = 0)
	{
		return reinterpret_cast<T*>(memory(relid, map).view + offset);
	}

	/* Os */
	int open(const std::string& path, int flags) override;
	int close(int fd) override;
	ssize_t read(int fd, void* data, size_t size) override;
	int ioctl(int fd, unsigned long request, void* data) override;
	void* mmap(void* address, size_t size, int protection, int flags, int fd,
		   off_t offset) override;
	int munmap(void* address, size_t size) override;
	int memory_file(size_t size) override;
	bool exists(const std::string& path) override;
	int sysctl(const std::string& name, const std::vector<int>& more, void* data,
		   size_t& size) override;
	bool has_module(const std::string& name) override;

      private:
	struct Memory {
		int fd = -1;
		uint8_t* view = nullptr;
	};
	static constexpr size_t kMemory = 1 << 20;

	Memory& memory(uint32_t relid, uint32_t map);
	void reset_rings(uint32_t relid, uint64_t size);
	uint64_t size_of(uint32_t relid, uint32_t map) const;
	int request(unsigned long request, void* data);
	int get_info(hv_uio_info& out) const;
	int open_subchannel(hv_uio_subchan& out);
	int describe(int index, void* data, size_t& size);

	std::mutex mutex_;
	std::map<std::pair<uint32_t, uint32_t>, Memory> memory_;
	std::map<uint32_t, uint64_t> rings_; /* of open subchannels: size by relid */
	size_t files_ = 0;
	size_t mapped_ = 0;
	std::map<uint8_t*, size_t> node_maps_;
	int node_ = -1;
	int kernel_end_ = -1;
	bool rescinded_ = false;
};

} // namespace vmbus::test
