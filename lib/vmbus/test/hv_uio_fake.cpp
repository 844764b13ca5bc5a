/* SPDX-License-Identifier: BSD-3-Clause */
#include "hv_uio_fake.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "vmbus/guid.hpp"

namespace vmbus::test {

namespace {
FakeFreeBsd* kernel; /* of this program */

int fail(int code)
{
	errno = code;
	return -1;
}
} // namespace

/*
 * The program's ioctl(): doorbells make requests without asking an Os, which does not lie in memory
 * that processes share.
 */
extern "C" int program_ioctl(int fd, unsigned long request, void* data) __asm__("ioctl");
extern "C" int program_ioctl(int fd, unsigned long request, void* data)
{
	static const auto real =
		reinterpret_cast<int (*)(int, unsigned long, ...)>(dlsym(RTLD_NEXT, "ioctl"));
	const bool ours = kernel != nullptr && request == HV_UIO_SIGNAL;
	return ours ? kernel->ioctl(fd, request, data) : real(fd, request, data);
}

FakeFreeBsd::FakeFreeBsd()
{
	kernel = this;
	devices = {{"nexus0", "nexus", ""}, {"hv_uio0", "hv_uio", kNicPnpInfo}};
	std::memset(&info, 0, sizeof(info));
	info.version = HV_UIO_VERSION;
	info.relid = 17;
	info.monitor_id = HV_UIO_NO_MONITOR;
	std::memcpy(info.class_id, kNetvscClass.bytes, 16);
	Guid instance;
	EXPECT_TRUE(parse_guid("ed963694-e847-4b2a-85af-bc9cfc11d6f3", instance));
	std::memcpy(info.instance_id, instance.bytes, 16);
	info.region[HV_UIO_MAP_RINGS].size = 64 << 10;
	info.region[HV_UIO_MAP_RECEIVE] = {128 << 10, 0xdead, 0};
	info.region[HV_UIO_MAP_SEND] = {64 << 10, 0xbeef, 0};
}

FakeFreeBsd::~FakeFreeBsd()
{
	kernel = nullptr;
	for (auto& [key, m] : memory_) {
		::munmap(m.view, kMemory);
		::close(m.fd);
	}
	if (kernel_end_ >= 0)
		::close(kernel_end_);
}

FakeFreeBsd::Memory& FakeFreeBsd::memory(uint32_t relid, uint32_t map)
{
	Memory& m = memory_[{relid, map}];
	if (m.fd < 0) {
		m.fd = ::memfd_create("map", MFD_CLOEXEC);
		EXPECT_EQ(::ftruncate(m.fd, kMemory), 0);
		m.view = static_cast<uint8_t*>(
			::mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd, 0));
	}
	return m;
}

void FakeFreeBsd::reset_rings(uint32_t relid, uint64_t size)
{
	for (const uint64_t at : {uint64_t{0}, size / 2})
		if (at + sizeof(RingControl) <= kMemory) {
			*look<RingControl>(relid, HV_UIO_MAP_RINGS, at) = {};
			look<RingControl>(relid, HV_UIO_MAP_RINGS, at)->in = stale_rings ? 64 : 0;
		}
}

void FakeFreeBsd::rescind()
{
	std::lock_guard lock(mutex_);
	rescinded_ = true;
	if (kernel_end_ >= 0)
		::shutdown(kernel_end_, SHUT_RDWR);
}

void FakeFreeBsd::notify()
{
	const int32_t count = 1;
	EXPECT_EQ(::send(kernel_end_, &count, sizeof(count), 0), 4);
}

int FakeFreeBsd::open(const std::string& path, int)
{
	std::lock_guard lock(mutex_);
	if (!module || path != "/dev/hv_uio0")
		return fail(ENOENT);
	if (!permitted)
		return fail(EACCES);
	if (rescinded_)
		return fail(EIO);
	if (node_ >= 0 || !node_maps_.empty())
		return fail(EBUSY);
	if (busy_opens > 0) {
		busy_opens--;
		return fail(EBUSY);
	}
	int ends[2];
	const int type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;
	if (::socketpair(AF_UNIX, type, 0, ends) != 0)
		return -1;
	if (kernel_end_ >= 0)
		::close(kernel_end_);
	node_ = ends[0];
	kernel_end_ = ends[1];
	files_++;
	reset_rings(0, info.region[HV_UIO_MAP_RINGS].size);
	return node_;
}

int FakeFreeBsd::close(int fd)
{
	std::lock_guard lock(mutex_);
	files_--;
	if (fd == node_) {
		node_ = -1;
		rings_.clear();
	}
	return ::close(fd);
}

ssize_t FakeFreeBsd::read(int fd, void* data, size_t size)
{
	if (rescinded_)
		return fail(EIO);
	return ::read(fd, data, size);
}

int FakeFreeBsd::get_info(hv_uio_info& out) const
{
	if (out.version != version)
		return fail(EINVAL);
	out = info;
	out.offered = static_cast<uint32_t>(offered.size());
	out.open = static_cast<uint32_t>(rings_.size());
	return 0;
}

int FakeFreeBsd::open_subchannel(hv_uio_subchan& subchan)
{
	if (subchan.version != version || subchan.index == 0 || subchan.index > HV_UIO_SUBCHANNELS)
		return fail(EINVAL);
	const auto it = offered.find(subchan.index);
	if (it == offered.end())
		return fail(EAGAIN);
	if (rings_.count(it->second.relid) != 0)
		return fail(EEXIST);
	subchan.relid = it->second.relid;
	subchan.monitor_id = it->second.monitor_id;
	subchan.size = it->second.size;
	reset_rings(subchan.relid, subchan.size);
	rings_[subchan.relid] = subchan.size;
	opened.push_back(subchan.index);
	return 0;
}

int FakeFreeBsd::request(unsigned long request, void* data)
{
	if (published) /* knows HV_UIO_SUBCHAN_OPEN_ALL only */
		return fail(EINVAL);
	if (rescinded_)
		return fail(EIO);
	if (fail_ioctl >= 0 && fail_ioctl-- == 0)
		return fail(fail_errno);
	switch (request) {
	case HV_UIO_INFO:
		return get_info(*static_cast<hv_uio_info*>(data));
	case HV_UIO_SUBCHAN_OPEN:
		return open_subchannel(*static_cast<hv_uio_subchan*>(data));
	case HV_UIO_SIGNAL: {
		const uint32_t relid = *static_cast<uint32_t*>(data);
		if (relid != 0 && relid != info.relid && rings_.count(relid) == 0)
			return fail(ENOENT);
		signals.push_back(relid);
		return 0;
	}
	default:
		return fail(ENOTTY);
	}
}

int FakeFreeBsd::ioctl(int fd, unsigned long number, void* data)
{
	std::lock_guard lock(mutex_);
	return fd == node_ && fd >= 0 ? request(number, data) : fail(EBADF);
}

uint64_t FakeFreeBsd::size_of(uint32_t relid, uint32_t map) const
{
	if (relid == 0)
		return map < HV_UIO_MAPS ? info.region[map].size : 0;
	const auto it = rings_.find(relid);
	return map == HV_UIO_MAP_RINGS && it != rings_.end() ? it->second : 0;
}

void* FakeFreeBsd::mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset)
{
	std::lock_guard lock(mutex_);
	if (fail_map >= 0 && fail_map-- == 0) {
		errno = fail_errno;
		return MAP_FAILED;
	}
	const bool of_node = fd >= 0 && fd == node_;
	if (of_node) {
		const auto number = static_cast<uint64_t>(offset) / HV_UIO_PAGE_SIZE;
		const auto relid = static_cast<uint32_t>(number >> 8);
		const auto map = static_cast<uint32_t>(number & 0xff);
		const uint64_t most = rescinded_ ? 0 : size_of(relid, map);
		if (size > most || (flags & MAP_SHARED) == 0) {
			errno = most == 0 ? ENXIO : EINVAL;
			return MAP_FAILED;
		}
		fd = memory(relid, map).fd;
		offset = 0;
	}
	void* p = ::mmap(address, size, protection, flags, fd, offset);
	if (p == MAP_FAILED)
		return p;
	auto* at = static_cast<uint8_t*>(p);
	if ((flags & MAP_FIXED) == 0)
		mapped_ += size;
	node_maps_.erase(at);
	if (of_node)
		node_maps_[at] = size;
	return p;
}

int FakeFreeBsd::munmap(void* address, size_t size)
{
	std::lock_guard lock(mutex_);
	mapped_ -= size;
	node_maps_.erase(static_cast<uint8_t*>(address));
	return ::munmap(address, size);
}

int FakeFreeBsd::memory_file(size_t size)
{
	std::lock_guard lock(mutex_);
	const int fd = Os::memory_file(size);
	files_ += fd >= 0;
	return fd;
}

bool FakeFreeBsd::exists(const std::string& path)
{
	return module && !rescinded_ && path == "/dev/hv_uio0";
}

/* struct u_device */
int FakeFreeBsd::describe(int index, void* data, size_t& size)
{
	if (static_cast<size_t>(index) >= devices.size())
		return fail(ENOENT);
	const BsdDevice& d = devices[static_cast<size_t>(index)];
	std::string bytes(28, '\0');
	std::memcpy(&bytes[24], &d.state, sizeof(d.state));
	for (const std::string& field :
	     {d.name, std::string("a device"), d.driver, d.pnpinfo, std::string("")})
		bytes += field + '\0';
	bytes.resize(std::max(device_size, bytes.size()), '\0');
	bytes.resize(device_size);
	size = std::min(size, device_size);
	std::memcpy(data, bytes.data(), size);
	return size == device_size ? 0 : fail(ENOMEM);
}

int FakeFreeBsd::sysctl(const std::string& name, const std::vector<int>& more, void* data,
			size_t& size)
{
	const auto give = [&](const void* from, size_t n) {
		size = n;
		std::memcpy(data, from, n);
		return 0;
	};
	if (name == "hw.bus.info") {
		const int32_t bus[2] = {bus_version, generation};
		return give(bus, sizeof(bus));
	}
	if (name == "hw.bus.devices") {
		if (more.size() != 2 || more[0] != generation)
			return fail(EINVAL);
		if (more[1] == 1 && changes > 0) {
			changes--;
			generation++;
		}
		return more[0] == generation ? describe(more[1], data, size) : fail(EINVAL);
	}
	const auto it = integers.find(name);
	return it != integers.end() ? give(&it->second, sizeof(it->second)) : fail(ENOENT);
}

bool FakeFreeBsd::has_module(const std::string& name)
{
	return module && name == "vmbus/hv_uio";
}

} // namespace vmbus::test
