/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernel.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "../netvsp/report.hpp"

namespace uio_host {

namespace {

constexpr const char* kPagemap = "/proc/self/pagemap";
constexpr auto kTimeout = vmbus::Milliseconds(60000);

std::atomic<Kernel*> instance{nullptr};
thread_local bool starting = false;

/* The host may run on all CPUs that the process began with; EAL pins threads later. */
const std::vector<int> cpus = [] {
	std::vector<int> out;
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
			if (CPU_ISSET(cpu, &set))
				out.push_back(cpu);
	return out;
}();

std::string environment(const char* name)
{
	const char* value = std::getenv(name);
	return value != nullptr ? value : "";
}

[[noreturn]] void die(const std::string& what)
{
	std::fprintf(stderr, "uio-host: %s\n", what.c_str());
	std::_Exit(1);
}

} // namespace

Kernel* Kernel::started()
{
	return instance.load(std::memory_order_acquire);
}

Kernel* Kernel::for_path(const char* path)
{
	if (path == nullptr || starting)
		return nullptr;
	const bool bus = std::strncmp(path, SysfsTree::kBus, std::strlen(SysfsTree::kBus)) == 0;
	const bool node = std::strncmp(path, "/dev/uio", 8) == 0;
	if (!bus && !node && std::strcmp(path, kPagemap) != 0)
		return nullptr;
	static std::mutex mutex;
	std::lock_guard lock(mutex);
	if (started() == nullptr) {
		starting = true;
		/* Never destroyed: other threads use it until the process is gone. */
		instance.store(new Kernel, std::memory_order_release);
		starting = false;
	}
	return started();
}

Kernel::Kernel()
{
	const std::string folder = environment("UIO_HOST_DIR");
	const std::string name = environment("UIO_HOST_KERNEL");
	if (folder.empty())
		die("UIO_HOST_DIR is not set: run the program by tools/uio-host");
	const Generation* generation = name.empty() ? &newest_generation() : find_generation(name);
	if (generation == nullptr)
		die("UIO_HOST_KERNEL=" + name + ": want one of " + generation_names());
	try {
		machine_ = std::make_unique<Machine>(*generation,
						     folder + "/" + std::to_string(getpid()));
	} catch (const std::exception& e) {
		die(e.what());
	}
	if (const std::string nics = environment("UIO_HOST_NICS"); !nics.empty())
		start_host(nics);
	if (host_ && !environment("UIO_HOST_REPORT").empty())
		std::atexit([] { started()->report(); });
}

void Kernel::start_host(const std::string& nics)
{
	host_ = std::make_unique<netvsp::Host>();
	host_->set_log([](const std::string& text) {
		std::fprintf(stderr, "uio-host: %s\n", text.c_str());
	});
	std::istringstream lines(nics);
	for (std::string line; std::getline(lines, line);) {
		netvsp::NicConfig config;
		std::istringstream options(line);
		for (std::string option; std::getline(options, option, ',');) {
			const size_t equals = option.find('=');
			if (equals == std::string::npos)
				die("--nic " + line + ": '" + option + "' is not key=value");
			const std::string wrong = netvsp::parse_nic_option(
				option.substr(0, equals), option.substr(equals + 1), config);
			if (!wrong.empty())
				die("--nic " + line + ": " + wrong);
		}
		vmbus::Guid guid{};
		std::string error;
		if (!host_->add_nic(config, guid, error))
			die("--nic " + line + ": " + error);
		nics_.emplace_back(config.name, guid);
	}
	int ends[2];
	std::string error;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
		die("socketpair: " + std::string(std::strerror(errno)));
	if (!host_->adopt(ends[0], error))
		die(error);
	host_->start(cpus);
	if (vmbus::Error failure = add_bus(ends[1], ""))
		die(failure.what);
}

vmbus::Error Kernel::add_bus(int fd, const std::string& socket)
{
	std::shared_ptr<vmbus::user::Connection> connection;
	if (vmbus::Error error = vmbus::user::Connection::adopt(fd, true, kTimeout, connection))
		return error;
	buses_[socket] = std::make_unique<Bus>(*machine_, std::move(connection));
	return {};
}

void Kernel::disconnect(const std::string& socket)
{
	buses_.erase(socket);
}

vmbus::Error Kernel::connect(const std::string& path)
{
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	if (path.size() >= sizeof(address.sun_path))
		return {ENAMETOOLONG, path};
	path.copy(address.sun_path, path.size());
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return vmbus::Error::system("socket");
	if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0)
		return add_bus(fd, path);
	vmbus::Error error = vmbus::Error::system(path);
	::close(fd);
	return error;
}

int Kernel::open(const char* path, int flags)
{
	auto file = std::make_shared<File>();
	int fd = -1;
	if (std::strcmp(path, kPagemap) == 0) {
		fd = memfd_create("pagemap", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
	} else if (std::strncmp(path, "/dev/uio", 8) == 0) {
		std::shared_ptr<HvUioDevice> device;
		{
			std::lock_guard lock(machine_->mutex);
			char* end = nullptr;
			const long number = std::strtol(path + 8, &end, 10);
			const auto it = machine_->devices.find(int(number));
			if (end != path + 8 && *end == '\0' && it != machine_->devices.end())
				device = it->second;
		}
		if (!device) {
			errno = ENOENT;
			return -1;
		}
		file->node = NodeFile::open(device, flags, fd);
	} else {
		file->ring = redirect(path);
		fd = ::open(file->ring.c_str(), flags);
		if (file->ring.size() < 5 || file->ring.substr(file->ring.size() - 5) != "/ring")
			return fd;
	}
	if (fd < 0)
		return -1;
	if (size_t(fd) >= marks_.size()) {
		::close(fd);
		errno = EMFILE;
		return -1;
	}
	std::lock_guard lock(mutex_);
	files_[fd] = std::move(file);
	marks_[size_t(fd)] = true;
	return fd;
}

std::shared_ptr<File> Kernel::find(int fd)
{
	std::lock_guard lock(mutex_);
	const auto it = files_.find(fd);
	return it != files_.end() ? it->second : nullptr;
}

void Kernel::drop(int fd)
{
	std::shared_ptr<File> last; /* dropped without the lock: its device closes channels */
	std::lock_guard lock(mutex_);
	if (const auto it = files_.find(fd); it != files_.end()) {
		last = std::move(it->second);
		files_.erase(it);
		marks_[size_t(fd)] = false;
	}
}

ssize_t Kernel::read_pagemap(void* data, size_t size, off_t offset)
{
	const size_t count = size / sizeof(uint64_t);
	auto* out = static_cast<uint8_t*>(data);
	for (size_t i = 0; i < count; i++) {
		const uint64_t page = uint64_t(offset) / sizeof(uint64_t) + i;
		const uint64_t entry = machine_->pages.pagemap_entry(page * vmbus::kPageSize);
		std::memcpy(out + i * sizeof(entry), &entry, sizeof(entry));
	}
	return ssize_t(count * sizeof(uint64_t));
}

void* Kernel::map(const File& file, int fd, size_t size, off_t offset,
		  const std::function<void*(int, off_t)>& plain)
{
	if (!file.node) {
		bool open = false;
		{
			std::lock_guard lock(machine_->mutex);
			for (const auto& [number, device] : machine_->devices)
				open |= device->ring_is_open(file.ring);
		}
		if (open)
			return plain(fd, offset);
		errno = ENODEV;
		return MAP_FAILED;
	}
	const int other = file.node->map(size, offset);
	if (other < 0)
		return MAP_FAILED;
	void* p = plain(other, 0);
	if (p != MAP_FAILED) {
		std::lock_guard lock(mutex_);
		mappings_[static_cast<uint8_t*>(p)] = {size, file.node};
	}
	return p;
}

/* A mapping that is taken away in part keeps its node: no driver does that. */
void Kernel::unmapped(void* address, size_t size)
{
	machine_->pages.unmapped(reinterpret_cast<uint64_t>(address), size);
	std::vector<std::shared_ptr<NodeFile>> last; /* as in drop() */
	auto* begin = static_cast<uint8_t*>(address);
	std::lock_guard lock(mutex_);
	for (auto it = mappings_.lower_bound(begin);
	     it != mappings_.end() && it->first + it->second.size <= begin + size;) {
		last.push_back(std::move(it->second.node));
		it = mappings_.erase(it);
	}
}

void Kernel::report()
{
	FILE* out = std::fopen(environment("UIO_HOST_REPORT").c_str(), "we");
	if (out == nullptr)
		return std::perror("uio-host: the report");
	netvsp::app::Report counters(*host_, true, out);
	for (const auto& [name, guid] : nics_)
		counters.add(name, guid);
	counters.totals(true);
	std::fclose(out);
}

} // namespace uio_host
