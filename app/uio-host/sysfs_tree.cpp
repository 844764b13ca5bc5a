/* SPDX-License-Identifier: BSD-3-Clause */
#include "sysfs_tree.hpp"

#include <cstring>
#include <filesystem>
#include <fstream>

namespace uio_host {

namespace fs = std::filesystem;

SysfsTree::SysfsTree(std::string root) : root_(std::move(root))
{
	fs::remove_all(root_); /* of a program that this process was before exec() */
	fs::create_directories(at(kDevices));
	fs::create_directories(at(std::string(kBus) + "/drivers/uio_hv_generic"));
	fs::create_directories(at(std::string(kBus) + "/drivers/hv_netvsc"));
	fs::create_directories(at("/dev"));
}

SysfsTree::~SysfsTree()
{
	std::error_code ignored; /* the folder is in a temporary one that somebody else removes */
	fs::remove_all(root_, ignored);
}

std::string SysfsTree::redirect(const char* path) const
{
	const size_t length = std::strlen(kBus);
	if (std::strncmp(path, kBus, length) == 0 && (path[length] == '/' || path[length] == '\0'))
		return root_ + path;
	if (std::strncmp(path, "/dev/uio", 8) == 0)
		return root_ + path;
	return {};
}

void SysfsTree::write(const std::string& path, const std::string& text)
{
	fs::create_directories(fs::path(at(path)).parent_path());
	/* Whoever reads it sees all of it, or nothing. */
	const std::string whole = at(path);
	const std::string part = whole + ".new";
	std::ofstream(part) << text << "\n";
	fs::rename(part, whole);
}

void SysfsTree::link(const std::string& path, const std::string& target)
{
	fs::create_directories(fs::path(at(path)).parent_path());
	fs::create_symlink(target, at(path));
}

void SysfsTree::remove(const std::string& path)
{
	fs::remove_all(at(path));
}

} // namespace uio_host
