/* SPDX-License-Identifier: BSD-3-Clause */
#include "uio_os.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

/* FreeBSD has another name for it. */
#ifndef MAP_POPULATE
#define MAP_POPULATE MAP_PREFAULT_READ
#endif

namespace vmbus::uio {

int Os::open(const std::string& path, int flags)
{
	return ::open(path.c_str(), flags);
}

int Os::close(int fd)
{
	return ::close(fd);
}

ssize_t Os::read(int fd, void* data, size_t size)
{
	return ::read(fd, data, size);
}

int Os::ioctl(int fd, unsigned long request, void* data)
{
	return ::ioctl(fd, request, data);
}

void* Os::mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return ::mmap(address, size, protection, flags, fd, offset);
}

int Os::munmap(void* address, size_t size)
{
	return ::munmap(address, size);
}

int Os::memory_file(size_t size)
{
	const int fd = ::memfd_create("vmbus-copy", MFD_CLOEXEC);
	if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(size)) == 0)
		return fd;
	::close(fd);
	return -1;
}

ssize_t Os::readlink(const std::string& path, char* data, size_t size)
{
	return ::readlink(path.c_str(), data, size);
}

int Os::list(const std::string& directory, std::vector<std::string>& names)
{
	names.clear();
	DIR* dir = ::opendir(directory.c_str());
	if (dir == nullptr)
		return -1;
	while (const dirent* entry = ::readdir(dir))
		if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
			names.emplace_back(entry->d_name);
	::closedir(dir);
	std::sort(names.begin(), names.end());
	return 0;
}

bool Os::exists(const std::string& path)
{
	return ::access(path.c_str(), F_OK) == 0;
}

off_t Os::file_size(int fd)
{
	struct stat status;
	return ::fstat(fd, &status) == 0 ? status.st_size : -1;
}

size_t Os::page_size()
{
	return static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

Os& Os::system()
{
	static Os os;
	return os;
}

Error Mapping::create(Os& os, const std::string& what, int fd, off_t offset, size_t size,
		      bool populate, std::shared_ptr<Mapping>& out)
{
	const int flags = MAP_SHARED | (populate ? MAP_POPULATE : 0);
	void* p = os.mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, offset);
	if (p == MAP_FAILED)
		return Error::system("mmap of " + what);
	out.reset(new Mapping(os, static_cast<uint8_t*>(p), size));
	return {};
}

Mapping::~Mapping()
{
	os_.munmap(data_, size_);
}

bool Mapping::isolate()
{
	return os_.mmap(data_, size_, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

/* Readers see the same bytes before and after: one mapping takes the other's place at once. */
bool Mapping::make_private()
{
	const Fd file(os_, os_.memory_file(size_));
	if (file.get() < 0)
		return false;
	void* copy = os_.mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
	if (copy == MAP_FAILED)
		return false;
	std::memcpy(copy, data_, size_);
	const bool replaced = os_.mmap(data_, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				       file.get(), 0) != MAP_FAILED;
	os_.munmap(copy, size_);
	return replaced;
}

} // namespace vmbus::uio
