/* SPDX-License-Identifier: BSD-3-Clause */
#include "shared_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "packet.hpp"

namespace vmbus {

Error SharedMemory::create(const char* name, size_t size, std::shared_ptr<SharedMemory>& out,
			   Mirror* mirror)
{
	std::shared_ptr<SharedMemory> memory(new SharedMemory);
	size = (size + kPageSize - 1) / kPageSize * kPageSize;
	memory->fd_ = ::memfd_create(name, MFD_CLOEXEC);
	if (memory->fd_ < 0)
		return Error::system("memfd_create");
	if (::ftruncate(memory->fd_, static_cast<off_t>(size)) != 0)
		return Error::system("ftruncate of shared memory");
	if (mirror != nullptr) {
		if (Error error = mirror->map(memory->fd_, size, memory->data_))
			return error;
		memory->mirror_ = mirror;
		memory->size_ = size;
		out = std::move(memory);
		return {};
	}
	void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd_, 0);
	if (data == MAP_FAILED)
		return Error::system("mmap of shared memory");
	memory->data_ = static_cast<uint8_t*>(data);
	memory->size_ = size;
	out = std::move(memory);
	return {};
}

SharedMemory::~SharedMemory()
{
	if (mirror_ != nullptr)
		mirror_->unmap(data_, size_);
	else if (data_ != nullptr)
		::munmap(data_, size_);
	if (fd_ >= 0)
		::close(fd_);
}

} // namespace vmbus
