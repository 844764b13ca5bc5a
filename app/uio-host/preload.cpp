/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The calls of the C library by which a DPDK process reaches its kernel, in the forms that programs
 * are compiled to (large files, _FORTIFY_SOURCE). What is not about the VMBus goes on as it is.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernel.hpp"

#define EXPORT extern "C" __attribute__((visibility("default")))

using uio_host::File;
using uio_host::Kernel;

namespace {

template <class F> F next(const char* name)
{
	return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

/* A path, with ours in place of the kernel's. */
class Path {
      public:
	explicit Path(const char* path) : path_(path)
	{
		if (Kernel* kernel = Kernel::for_path(path)) {
			other_ = kernel->redirect(path);
			if (!other_.empty())
				path_ = other_.c_str();
		}
	}
	const char* c_str() const { return path_; }

      private:
	const char* path_;
	std::string other_;
};

std::shared_ptr<File> file_of(int fd)
{
	Kernel* kernel = Kernel::started();
	return kernel != nullptr ? kernel->file(fd) : nullptr;
}

using OpenFunction = int (*)(const char*, int, ...);

int open_path(const char* path, int flags, mode_t mode)
{
	static const auto real = next<OpenFunction>("open64");
	if (Kernel* kernel = Kernel::for_path(path))
		return kernel->open(path, flags);
	return real(path, flags, mode);
}

ssize_t read_file(int fd, void* data, size_t size)
{
	static const auto real = next<ssize_t (*)(int, void*, size_t)>("read");
	const std::shared_ptr<File> file = file_of(fd);
	if (!file || (!file->node && !file->ring.empty()))
		return real(fd, data, size);
	if (file->node)
		return file->node->read(data, size);
	const off_t at = lseek(fd, 0, SEEK_CUR);
	const ssize_t n = Kernel::started()->read_pagemap(data, size, at);
	lseek(fd, at + n, SEEK_SET);
	return n;
}

ssize_t read_file_at(int fd, void* data, size_t size, off_t offset)
{
	static const auto real = next<ssize_t (*)(int, void*, size_t, off_t)>("pread64");
	const std::shared_ptr<File> file = file_of(fd);
	if (!file || file->node || !file->ring.empty())
		return real(fd, data, size, offset);
	return Kernel::started()->read_pagemap(data, size, offset);
}

/* Called by everything that maps memory: no call of ours may end up here again for ever. */
void* map_memory(void* address, size_t size, int protection, int flags, int fd, off_t offset)
{
	static const auto real = next<void* (*)(void*, size_t, int, int, int, off_t)>("mmap64");
	if (Kernel* kernel = Kernel::started()) {
		if ((flags & MAP_FIXED) != 0)
			kernel->unmapped(address, size);
		if (fd >= 0)
			if (const std::shared_ptr<File> file = kernel->file(fd);
			    file && (file->node || !file->ring.empty())) {
				const auto plain = [&](int other, off_t at) {
					return real(address, size, protection, flags, other, at);
				};
				return kernel->map(*file, fd, size, offset, plain);
			}
	}
	return real(address, size, protection, flags, fd, offset);
}

} // namespace

EXPORT int open64(const char* path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return open_path(path, flags, mode);
}

EXPORT int open(const char* path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return open_path(path, flags, mode);
}

EXPORT int __open_2(const char* path, int flags)
{
	return open_path(path, flags, 0);
}

EXPORT int __open64_2(const char* path, int flags)
{
	return open_path(path, flags, 0);
}

EXPORT int openat(int folder, const char* path, int flags, ...)
{
	static const auto real = next<int (*)(int, const char*, int, ...)>("openat64");
	va_list args;
	va_start(args, flags);
	const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return path[0] == '/' ? open_path(path, flags, mode) : real(folder, path, flags, mode);
}

EXPORT FILE* fopen64(const char* path, const char* mode)
{
	static const auto real = next<FILE* (*)(const char*, const char*)>("fopen64");
	return real(Path(path).c_str(), mode);
}

EXPORT FILE* fopen(const char* path, const char* mode)
{
	return fopen64(path, mode);
}

EXPORT DIR* opendir(const char* path)
{
	static const auto real = next<DIR* (*)(const char*)>("opendir");
	return real(Path(path).c_str());
}

EXPORT int access(const char* path, int mode)
{
	static const auto real = next<int (*)(const char*, int)>("access");
	return real(Path(path).c_str(), mode);
}

EXPORT int stat64(const char* path, struct stat64* out)
{
	static const auto real = next<int (*)(const char*, struct stat64*)>("stat64");
	return real(Path(path).c_str(), out);
}

EXPORT int stat(const char* path, struct stat* out)
{
	static const auto real = next<int (*)(const char*, struct stat*)>("stat");
	return real(Path(path).c_str(), out);
}

EXPORT int lstat64(const char* path, struct stat64* out)
{
	static const auto real = next<int (*)(const char*, struct stat64*)>("lstat64");
	return real(Path(path).c_str(), out);
}

EXPORT int lstat(const char* path, struct stat* out)
{
	static const auto real = next<int (*)(const char*, struct stat*)>("lstat");
	return real(Path(path).c_str(), out);
}

EXPORT int statx(int folder, const char* path, int flags, unsigned int mask, struct statx* out)
{
	static const auto real =
		next<int (*)(int, const char*, int, unsigned int, struct statx*)>("statx");
	return real(folder, Path(path).c_str(), flags, mask, out);
}

EXPORT ssize_t readlink(const char* path, char* data, size_t size)
{
	static const auto real = next<ssize_t (*)(const char*, char*, size_t)>("readlink");
	return real(Path(path).c_str(), data, size);
}

EXPORT ssize_t __readlink_chk(const char* path, char* data, size_t size, size_t)
{
	return readlink(path, data, size);
}

EXPORT char* realpath(const char* path, char* out)
{
	static const auto real = next<char* (*)(const char*, char*)>("realpath");
	return real(Path(path).c_str(), out);
}

EXPORT char* __realpath_chk(const char* path, char* out, size_t)
{
	return realpath(path, out);
}

EXPORT int close(int fd)
{
	static const auto real = next<int (*)(int)>("close");
	if (Kernel* kernel = Kernel::started())
		kernel->forget(fd);
	return real(fd);
}

EXPORT ssize_t read(int fd, void* data, size_t size)
{
	return read_file(fd, data, size);
}

EXPORT ssize_t __read_chk(int fd, void* data, size_t size, size_t)
{
	return read_file(fd, data, size);
}

EXPORT ssize_t pread64(int fd, void* data, size_t size, off_t offset)
{
	return read_file_at(fd, data, size, offset);
}

EXPORT ssize_t pread(int fd, void* data, size_t size, off_t offset)
{
	return read_file_at(fd, data, size, offset);
}

EXPORT ssize_t __pread64_chk(int fd, void* data, size_t size, off_t offset, size_t)
{
	return read_file_at(fd, data, size, offset);
}

EXPORT ssize_t write(int fd, const void* data, size_t size)
{
	static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
	const std::shared_ptr<File> file = file_of(fd);
	return file && file->node ? file->node->write(data, size) : real(fd, data, size);
}

EXPORT void* mmap64(void* address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return map_memory(address, size, protection, flags, fd, offset);
}

EXPORT void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return map_memory(address, size, protection, flags, fd, offset);
}

EXPORT int munmap(void* address, size_t size)
{
	static const auto real = next<int (*)(void*, size_t)>("munmap");
	if (Kernel* kernel = Kernel::started())
		kernel->unmapped(address, size);
	return real(address, size);
}

EXPORT void* mremap(void* from, size_t old_size, size_t size, int flags, ...)
{
	static const auto real = next<void* (*)(void*, size_t, size_t, int, ...)>("mremap");
	va_list args;
	va_start(args, flags);
	void* to = flags & MREMAP_FIXED ? va_arg(args, void*) : nullptr;
	va_end(args);
	Kernel* kernel = Kernel::started();
	if (kernel != nullptr && to != nullptr)
		kernel->unmapped(to, size);
	return real(from, old_size, size, flags, to);
}

/* For a program that has its hosts in itself. @return 0, or -1 with the reason on stderr */
EXPORT int uio_host_connect(const char* socket)
{
	Kernel* kernel = Kernel::for_path(uio_host::SysfsTree::kBus);
	const vmbus::Error error = kernel->connect(socket);
	if (!error)
		return 0;
	std::fprintf(stderr, "uio-host: %s\n", error.what.c_str());
	return -1;
}

EXPORT int uio_host_disconnect(const char* socket)
{
	Kernel::for_path(uio_host::SysfsTree::kBus)->disconnect(socket);
	return 0;
}
