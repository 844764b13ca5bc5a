/* SPDX-License-Identifier: BSD-3-Clause */
#include "node_file.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace uio_host {

std::shared_ptr<NodeFile> NodeFile::open(std::shared_ptr<HvUioDevice> device, int flags, int& fd)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return nullptr;
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	if (flags & O_NONBLOCK)
		fcntl(ends[0], F_SETFL, O_NONBLOCK);
	if (!(flags & O_CLOEXEC))
		fcntl(ends[0], F_SETFD, 0);
	if (vmbus::Error error = device->open()) {
		std::fprintf(stderr, "uio-host: /dev/uio%d: %s\n", device->number(),
			     error.what.c_str());
		close(ends[0]);
		close(ends[1]);
		errno = error.code;
		return nullptr;
	}
	std::shared_ptr<NodeFile> file(new NodeFile(std::move(device), ends[0], ends[1]));
	file->device_->add_file(file.get());
	fd = ends[0];
	return file;
}

NodeFile::~NodeFile()
{
	device_->remove_file(this);
	close(kernel_end_);
	device_->release();
}

/* What the socket holds only makes it readable: one datagram, whatever the number of events. */
void NodeFile::notify()
{
	const int32_t count = events_.fetch_add(1) + 1;
	if (device_->gone())
		shutdown(kernel_end_, SHUT_RDWR); /* readable from now on */
	char waiting[64];
	if (recv(guest_end_, waiting, sizeof(waiting), MSG_PEEK | MSG_DONTWAIT) <= 0)
		send(kernel_end_, &count, sizeof(count), MSG_NOSIGNAL);
}

/* uio_read() */
ssize_t NodeFile::read(void* data, size_t size)
{
	if (device_->gone()) {
		errno = EIO;
		return -1;
	}
	if (size != sizeof(int32_t)) {
		errno = EINVAL;
		return -1;
	}
	int32_t count = 0;
	const ssize_t n = recv(guest_end_, &count, sizeof(count), 0);
	if (device_->gone()) {
		errno = EIO;
		return -1;
	}
	if (n != sizeof(count)) {
		errno = n < 0 ? errno : EIO;
		return -1;
	}
	count = events_.load();
	std::memcpy(data, &count, sizeof(count));
	return sizeof(count);
}

/* uio_write() */
ssize_t NodeFile::write(const void* data, size_t size)
{
	int32_t on = 0;
	int error = 0;
	if (size != sizeof(on))
		error = EINVAL;
	else if (device_->gone())
		error = EIO;
	else {
		std::memcpy(&on, data, sizeof(on));
		error = device_->irq_control(on != 0);
	}
	if (error == 0)
		return sizeof(on);
	errno = error;
	return -1;
}

/* uio_mmap(): the offset is the number of a map, in pages. */
int NodeFile::map(size_t size, off_t offset)
{
	uint64_t actual = 0;
	const int fd =
		device_->gone() ? -1 : device_->map(uint64_t(offset) / vmbus::kPageSize, actual);
	if (fd >= 0 && size <= actual)
		return fd;
	errno = EINVAL;
	return -1;
}

} // namespace uio_host
