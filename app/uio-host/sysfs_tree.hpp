/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The files that the process is shown in place of the kernel's: a folder of this machine with
 * "sys/bus/vmbus" and "dev" in it.
 */
#pragma once

#include <string>

namespace uio_host {

class SysfsTree {
      public:
	/** Makes the folder, with an empty bus in it. Throws std::filesystem::filesystem_error. */
	explicit SysfsTree(std::string root);
	~SysfsTree();
	SysfsTree(const SysfsTree&) = delete;
	SysfsTree& operator=(const SysfsTree&) = delete;

	/** Where a path of the kernel's is, if it is one that this tree has; else empty. */
	std::string redirect(const char* path) const;
	/** Path in the tree of a path of the kernel's. */
	std::string at(const std::string& path) const { return root_ + path; }

	/** One value and a newline, as files of sysfs have. Makes the folders. */
	void write(const std::string& path, const std::string& text);
	void link(const std::string& path, const std::string& target);
	void remove(const std::string& path);

	static constexpr const char* kBus = "/sys/bus/vmbus";
	static constexpr const char* kDevices = "/sys/bus/vmbus/devices";

      private:
	const std::string root_;
};

} // namespace uio_host
