/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A kernel for tests: sysfs is a directory of real files, a device node is a socket whose other end
 * the test holds, and what the node maps is anonymous memory.
 */
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>

#include "vmbus/guid.hpp"
#include "vmbus/uio_device.hpp"

namespace vmbus::test {

inline constexpr const char* kNicClass = "{f8615163-df3e-46c5-913f-f2d2f965ed0e}";
inline constexpr const char* kNic = "ed963694-e847-4b2a-85af-bc9cfc11d6f3";

class FakeOs : public uio::Os {
      public:
	FakeOs()
	{
		char name[] = "/tmp/vmbus-uio-XXXXXX";
		root = ::mkdtemp(name);
	}
	~FakeOs() override
	{
		for (auto& [index, fd] : maps)
			::close(fd);
		if (kernel_end >= 0)
			::close(kernel_end);
		std::filesystem::remove_all(root);
	}

	std::string root;	      /**< of sysfs, and the directory of nodes */
	std::map<uint32_t, int> maps; /**< memory behind the maps of the node */
	int kernel_end = -1;	      /**< of the node */
	int fail_open = -1;	      /**< opens of anything until one fails */
	int fail_map = -1;
	int fail_errno = EMFILE;
	bool rescinded = false;
	size_t page = 4096;
	std::set<std::string> closed_rings; /**< of channels that are not open yet */
	std::set<std::string> hidden;	    /**< what exists() denies */

	size_t open_files()
	{
		std::lock_guard lock(mutex_);
		return files_.size();
	}
	size_t mapped_bytes()
	{
		std::lock_guard lock(mutex_);
		return mapped_;
	}

	int open(const std::string& path, int flags) override
	{
		std::lock_guard lock(mutex_);
		if (fail_open >= 0 && fail_open-- == 0) {
			errno = fail_errno;
			return -1;
		}
		int fd;
		if (path.rfind(root + "/uio", 0) == 0 && std::filesystem::exists(path)) {
			int ends[2];
			const int type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;
			if (::socketpair(AF_UNIX, type, 0, ends) != 0)
				return -1;
			if (kernel_end >= 0)
				::close(kernel_end);
			fd = ends[0];
			kernel_end = ends[1];
			node_ = fd;
		} else {
			fd = ::open(path.c_str(), flags);
		}
		if (fd >= 0)
			files_[fd] = path;
		return fd;
	}

	int close(int fd) override
	{
		std::lock_guard lock(mutex_);
		EXPECT_EQ(files_.erase(fd), 1u) << "closed twice";
		if (fd == node_)
			node_ = -1;
		return ::close(fd);
	}

	ssize_t read(int fd, void* data, size_t size) override
	{
		if (fd == node_ && rescinded) {
			errno = EIO;
			return -1;
		}
		return ::read(fd, data, size);
	}

	void* mmap(void* address, size_t size, int protection, int flags, int fd,
		   off_t offset) override
	{
		std::lock_guard lock(mutex_);
		if (fail_map >= 0 && fail_map-- == 0) {
			errno = fail_errno;
			return MAP_FAILED;
		}
		if (fd >= 0 && fd == node_) {
			fd = maps.at(static_cast<uint32_t>(static_cast<size_t>(offset) / page));
			offset = 0;
		} else if (fd >= 0 && closed_rings.count(files_.at(fd)) != 0) {
			errno = ENODEV;
			return MAP_FAILED;
		}
		void* p = ::mmap(address, size, protection, flags, fd, offset);
		if (p != MAP_FAILED && (flags & MAP_FIXED) == 0)
			mapped_ += size;
		return p;
	}

	int munmap(void* address, size_t size) override
	{
		std::lock_guard lock(mutex_);
		mapped_ -= size;
		return ::munmap(address, size);
	}

	int memory_file(size_t size) override
	{
		std::lock_guard lock(mutex_);
		const int fd = Os::memory_file(size);
		if (fd >= 0)
			files_[fd] = "";
		return fd;
	}

	bool exists(const std::string& path) override
	{
		return hidden.count(path) == 0 && Os::exists(path);
	}

	size_t page_size() override { return page; }

	/* What the kernel shows. */

	std::string devices() const { return root + "/bus/vmbus/devices"; }
	std::string path(const std::string& name) const { return devices() + "/" + name; }
	std::string maps_path() const { return path(kNic) + "/uio/uio3/maps/map"; }

	static void write(const std::string& file, const std::string& text)
	{
		std::filesystem::create_directories(std::filesystem::path(file).parent_path());
		std::ofstream(file) << text << "\n";
	}

	/** A network adapter that is bound to uio_hv_generic as /dev/uio3. */
	void add_device(const std::string& name = kNic)
	{
		const std::string d = path(name);
		write(d + "/class_id", kNicClass);
		write(d + "/device_id", "{" + name + "}");
		write(d + "/id", "17");
		write(d + "/monitor_id", "35");
		write(d + "/numa_node", "1");
		bind(name, "uio_hv_generic");
		std::filesystem::create_directories(d + "/uio/uio3");
		write(root + "/uio3", "");
	}

	void bind(const std::string& name, const std::string& driver)
	{
		std::filesystem::remove(path(name) + "/driver");
		std::filesystem::create_symlink("../../drivers/" + driver, path(name) + "/driver");
	}

	void add_map(uint32_t index, const std::string& name, uint64_t size)
	{
		char text[32];
		std::snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(size));
		write(maps_path() + std::to_string(index) + "/name", name);
		write(maps_path() + std::to_string(index) + "/size", text);
		if (maps.count(index) != 0)
			return;
		const int fd = ::memfd_create("map", MFD_CLOEXEC);
		EXPECT_EQ(::ftruncate(fd, 1 << 20), 0);
		maps[index] = fd;
	}

	void add_maps()
	{
		add_map(0, "txrx_rings", 64 << 10);
		add_map(1, "int_page", 4096);
		add_map(2, "monitor_page", 4096);
		add_map(3, "recv:57005", 128 << 10);
		add_map(4, "send:48879", 64 << 10);
	}

	/** @param monitor "" for a channel without */
	void add_channel(uint32_t relid, uint16_t index, const std::string& monitor,
			 size_t size = 32 << 10)
	{
		const std::string c = path(kNic) + "/channels/" + std::to_string(relid);
		write(c + "/ring", "");
		std::filesystem::resize_file(c + "/ring", 0);
		std::filesystem::resize_file(c + "/ring", size);
		if (!monitor.empty())
			write(c + "/monitor_id", monitor);
		write(c + "/subchannel_id", std::to_string(index));
	}

	/** The memory of a map, as the kernel sees it. */
	template <class T = uint8_t> T* look(uint32_t index, size_t offset = 0)
	{
		if (views_.count(index) == 0)
			views_[index] = static_cast<uint8_t*>(
				::mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED,
				       maps.at(index), 0));
		return reinterpret_cast<T*>(views_[index] + offset);
	}

	/** What user space wrote to the node, or -1. */
	int32_t written()
	{
		int32_t value = 0;
		return ::recv(kernel_end, &value, sizeof(value), 0) == sizeof(value) ? value : -1;
	}

	void notify()
	{
		const int32_t count = 1;
		EXPECT_EQ(::send(kernel_end, &count, sizeof(count), 0), 4);
	}

      private:
	std::mutex mutex_;
	std::map<int, std::string> files_;
	std::map<uint32_t, uint8_t*> views_;
	size_t mapped_ = 0;
	int node_ = -1;
};

} // namespace vmbus::test
