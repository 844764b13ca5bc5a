/* SPDX-License-Identifier: BSD-3-Clause */
#include "host.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "endpoints/switch.hpp"
#include "os/thread.hpp"

#include "connection.hpp"
#include "listener.hpp"
#include "profile.hpp"

namespace netvsp {

namespace {

constexpr size_t kMaxIndicationPayload = 256;
constexpr uint32_t kAnyMtu = 1500;
constexpr uint32_t kControlInterval = 64; /* passes between looks at the sockets */
constexpr int64_t kRetryNs = 100'000;	  /* until the endpoint is asked again for room */
constexpr int64_t kHeldNs = 50'000'000;	  /* until a frame without room is looked at again */

bool guid_equal(const Nic& nic, const vmbus::Guid& guid)
{
	return nic.guid() == guid;
}

} // namespace

struct Host::Impl {
	Impl() : command_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
	~Impl() { close(command_fd); }

	template <class F> auto run(F&& work) -> decltype(work());
	bool pass(bool control);
	bool service_sockets();
	void sleep(int64_t timeout_ns);
	void loop();
	void run_commands();
	Nic* find(const vmbus::Guid& guid);
	template <class F> bool with(const vmbus::Guid& guid, F&& work);
	bool add(const NicConfig& config, std::unique_ptr<Endpoint> endpoint, vmbus::Guid& instance,
		 std::string& error);

	Log log;
	std::vector<std::unique_ptr<Nic>> nics;
	uint64_t spin_ns =
		0; /* without work before the thread sleeps: the most that a NIC wanted */
	std::unique_ptr<Connection> connection; /* after the NICs, which it disconnects */
	Listener listener;
	std::shared_ptr<Switch> vswitch = std::make_shared<Switch>();
	uint32_t nic_number = 0;
	int64_t monitor_ns = -1; /* until the next look at the monitor page; -1 = never */
	std::vector<pollfd> fds; /* of sleep(), kept for its memory */
	std::vector<Channel*> fd_channels;

	/* With the thread running, everything above is the thread's. */
	std::thread thread;
	std::atomic<bool> stopping{false};
	int command_fd;
	std::mutex mutex;
	std::condition_variable done;
	std::deque<std::function<void()>> commands;
	std::atomic<bool> have_commands{false};
};

/* Runs `work` where the state may be touched: in the thread if there is one, else here. */
template <class F> auto Host::Impl::run(F&& work) -> decltype(work())
{
	using Result = decltype(work());
	if (!thread.joinable() || thread.get_id() == std::this_thread::get_id())
		return work();
	std::unique_lock lock(mutex);
	bool finished = false;
	std::conditional_t<std::is_void_v<Result>, char, Result> result{};
	commands.push_back([&] {
		if constexpr (std::is_void_v<Result>)
			work();
		else
			result = work();
		std::lock_guard guard(mutex);
		finished = true;
		done.notify_all();
	});
	have_commands.store(true, std::memory_order_release);
	uint64_t one = 1;
	if (write(command_fd, &one, sizeof(one)) < 0) {
		/* The counter is full: the thread is awake in any case. */
	}
	done.wait(lock, [&] { return finished; });
	if constexpr (!std::is_void_v<Result>)
		return result;
}

/* Does something with a NIC, where its state may be touched. @return whether there is that NIC */
template <class F> bool Host::Impl::with(const vmbus::Guid& guid, F&& work)
{
	return run([&] {
		Nic* nic = find(guid);
		if (nic)
			work(*nic);
		return nic != nullptr;
	});
}

void Host::Impl::run_commands()
{
	if (!have_commands.load(std::memory_order_acquire))
		return;
	std::deque<std::function<void()>> batch;
	{
		std::lock_guard guard(mutex);
		batch.swap(commands);
		have_commands.store(false, std::memory_order_relaxed);
	}
	for (auto& command : batch)
		command();
}

Nic* Host::Impl::find(const vmbus::Guid& guid)
{
	for (auto& nic : nics)
		if (guid_equal(*nic, guid))
			return nic.get();
	return nullptr;
}

bool Host::Impl::service_sockets()
{
	bool work = false;
	auto service = [&] {
		if (connection) {
			work |= connection->service();
			if (!connection->alive())
				connection.reset();
		}
	};
	service();
	for (int fd; (fd = listener.accept()) >= 0;) {
		work = true;
		service(); /* the one before may have hung up already */
		if (connection) {
			if (log)
				log("refused a second guest");
			close(fd);
		} else {
			connection = std::make_unique<Connection>(fd, nics, log);
		}
	}
	return work;
}

bool Host::Impl::pass(bool control)
{
	bool work = control && service_sockets();
	if (!connection) {
		monitor_ns = -1;
		return work;
	}
	monitor_ns = connection->poll_monitor();
	for (auto& nic : nics)
		work |= nic->pass();
	return work;
}

void Host::Impl::sleep(int64_t timeout_ns)
{
	fds.clear();
	fd_channels.clear();
	auto watch = [&](int fd, short events, Channel* channel = nullptr) {
		if (fd < 0)
			return;
		fds.push_back({fd, events, 0});
		fd_channels.push_back(channel);
	};
	auto at_most = [&](int64_t ns) {
		if (timeout_ns < 0 || ns < timeout_ns)
			timeout_ns = ns;
	};
	watch(command_fd, POLLIN);
	watch(listener.fd(), POLLIN);
	if (connection)
		watch(connection->fd(), short(POLLIN | (connection->wants_write() ? POLLOUT : 0)));
	bool work = false;
	for (auto& nic : nics) {
		work |= nic->unmask();
		for (auto& channel : nic->channels())
			if (channel->open)
				watch(channel->kick_fd, POLLIN, channel.get());
		if (nic->endpoint_full())
			at_most(kRetryNs);
		if (nic->held())
			at_most(kHeldNs);
		if (const VfInterface* vf = connection ? nic->vf_interface() : nullptr) {
			watch(vf->changes_fd(), POLLIN);
			if (vf->waits())
				at_most(kRetryNs);
			else
				watch(vf->frames_fd(), POLLIN);
		}
		if (nic->can_receive()) {
			watch(nic->endpoint().wait_fd(), POLLIN);
			int64_t ns = nic->endpoint().wait_ns();
			if (ns >= 0)
				at_most(ns);
		}
	}
	if (monitor_ns >= 0)
		at_most(monitor_ns);
	if (work)
		timeout_ns = 0;
	timespec timeout{timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
	int ready = ppoll(fds.data(), fds.size(), timeout_ns < 0 ? nullptr : &timeout, nullptr);
	for (size_t i = 0; ready > 0 && i < fds.size(); i++) {
		uint64_t count;
		if (fds[i].revents == 0)
			continue;
		if (fds[i].fd == command_fd) {
			if (read(command_fd, &count, sizeof(count)) < 0)
				continue;
		} else if (fd_channels[i]) {
			if (read(fds[i].fd, &count, sizeof(count)) > 0)
				fd_channels[i]->triggered = true;
		}
	}
	for (auto& nic : nics)
		nic->mask();
}

void Host::Impl::loop()
{
	uint32_t n = 0;
	uint64_t idle_since = 0;
	while (!stopping.load(std::memory_order_acquire)) {
		run_commands();
		bool work = pass(n++ % kControlInterval == 0);
		if (work) {
			idle_since = 0;
			continue;
		}
		uint64_t now = monotonic_ns();
		if (idle_since == 0) {
			idle_since = now;
		} else if (now - idle_since >= spin_ns || !connection) {
			/* The sockets were perhaps not looked at yet: sleep() sees them. */
			sleep(-1);
			n = 0;
			idle_since = 0;
		}
	}
	run_commands();
}

bool Host::Impl::add(const NicConfig& config, std::unique_ptr<Endpoint> endpoint,
		     vmbus::Guid& instance, std::string& error)
{
	FaultScript faults;
	error = faults.parse(config.faults);
	if (!error.empty())
		return false;
	/* What parse_nic_option() refuses is refused here too. */
	const std::pair<const char*, uint64_t> kNumbers[] = {
		{"queues", config.queues},
		{"section_size", config.section_size},
		{"max_packets", config.max_packets},
		{"alignment", config.alignment_shift},
		{"speed", config.speed_mbps},
		{"mtu", config.mtu.value_or(kAnyMtu)},
		{"lso_max", config.lso_max.value_or(0)},
		{"rss_table", config.rss_table},
		{"spin", config.spin_us},
	};
	for (const auto& [key, value] : kNumbers) {
		NicConfig unused;
		error = parse_nic_option(key, std::to_string(value), unused);
		if (!error.empty())
			return false;
	}
	NicSettings settings;
	error = settle(config, settings);
	if (!error.empty())
		return false;
	if (!endpoint)
		endpoint = make_endpoint(config.endpoint, vswitch, error);
	if (!endpoint)
		return false;
	uint32_t number = nic_number++;
	if (settings.name.empty())
		settings.name = "nic" + std::to_string(number);
	if (settings.mac == std::array<uint8_t, 6>{})
		settings.mac = {
			0x00,		0x15, 0x5d, uint8_t(number >> 16), uint8_t(number >> 8),
			uint8_t(number)};
	/* 4e565350-0000-4000-8000-, then the NIC's number and the end of its MAC */
	vmbus::Guid guid = {{0x50, 0x53, 0x56, 0x4e, 0x00, 0x00, 0x00, 0x40, 0x80, 0x00,
			     uint8_t(number >> 16), uint8_t(number >> 8), uint8_t(number),
			     settings.mac[3], settings.mac[4], settings.mac[5]}};
	std::unique_ptr<VfInterface> vf;
	if (!config.vf.empty() && !(vf = VfInterface::create(config.vf, settings.mac, error))) {
		error = "vf=" + config.vf + ": " + error;
		return false;
	}
	nics.push_back(std::make_unique<Nic>(settings, guid, std::move(endpoint), faults, log));
	if (vf)
		nics.back()->use_vf_interface(std::move(vf));
	spin_ns = std::max(spin_ns, uint64_t{config.spin_us} * 1000);
	instance = guid;
	if (connection)
		connection->nic_added(*nics.back());
	return true;
}

Host::Host() : impl_(std::make_unique<Impl>()) {}

Host::~Host()
{
	stop();
	impl_->connection.reset();
}

bool Host::add_nic(const NicConfig& config, vmbus::Guid& instance, std::string& error)
{
	return add_nic(config, nullptr, instance, error);
}

bool Host::add_nic(const NicConfig& config, std::unique_ptr<Endpoint> endpoint,
		   vmbus::Guid& instance, std::string& error)
{
	return impl_->run([&] { return impl_->add(config, std::move(endpoint), instance, error); });
}

bool Host::remove_nic(const vmbus::Guid& instance)
{
	return impl_->run([&] {
		auto it = std::find_if(impl_->nics.begin(), impl_->nics.end(),
				       [&](auto& nic) { return guid_equal(*nic, instance); });
		if (it == impl_->nics.end())
			return false;
		(*it)->rescind_all();
		impl_->nics.erase(it);
		return true;
	});
}

bool Host::reoffer_nic(const vmbus::Guid& instance)
{
	return impl_->run([&] {
		Nic* nic = impl_->find(instance);
		if (nic && impl_->connection)
			impl_->connection->reoffer(*nic);
		return nic != nullptr;
	});
}

bool Host::set_link(const vmbus::Guid& instance, bool up)
{
	return impl_->with(instance, [&](Nic& nic) { nic.set_link(up); });
}

bool Host::set_speed(const vmbus::Guid& instance, uint64_t mbps)
{
	NicConfig checked;
	if (!parse_nic_option("speed", std::to_string(mbps), checked).empty())
		return false;
	return impl_->with(instance, [&](Nic& nic) { nic.set_speed(mbps); });
}

bool Host::change_network(const vmbus::Guid& instance)
{
	return indicate(instance, rndis::kStatusNetworkChange);
}

bool Host::set_offloads(const vmbus::Guid& instance, const Offloads& offered)
{
	return impl_->with(instance, [&](Nic& nic) { nic.set_offered(offered); });
}

bool Host::indicate(const vmbus::Guid& instance, uint32_t status,
		    const std::vector<uint8_t>& payload)
{
	if (payload.size() > kMaxIndicationPayload)
		return false;
	return impl_->with(instance, [&](Nic& nic) {
		nic.send_indication(status, payload.data(), uint32_t(payload.size()));
	});
}

bool Host::set_vf(const vmbus::Guid& instance, bool present, uint32_t serial)
{
	return impl_->with(instance, [&](Nic& nic) { nic.set_vf(present, serial); });
}

bool Host::stats(const vmbus::Guid& instance, NicStats& out)
{
	return impl_->with(instance, [&](Nic& nic) { nic.stats(out); });
}

std::vector<vmbus::Guid> Host::nics()
{
	return impl_->run([&] {
		std::vector<vmbus::Guid> guids;
		for (auto& nic : impl_->nics)
			guids.push_back(nic->guid());
		return guids;
	});
}

bool Host::adopt(int fd, std::string& error)
{
	int type = 0;
	socklen_t length = sizeof(type);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_SEQPACKET) {
		error = "not a SEQPACKET socket";
		return false;
	}
	return impl_->run([&] {
		if (impl_->connection) {
			error = "a guest is connected already";
			return false;
		}
		impl_->connection = std::make_unique<Connection>(fd, impl_->nics, impl_->log);
		return true;
	});
}

bool Host::listen(const std::string& path, std::string& error)
{
	return impl_->run([&] { return impl_->listener.open(path, error); });
}

bool Host::guest_connected()
{
	return impl_->run([&] { return impl_->connection != nullptr; });
}

void Host::start(const std::vector<int>& cpus)
{
	if (impl_->thread.joinable())
		return;
	impl_->stopping = false;
	impl_->thread = std::thread([this] { impl_->loop(); });
	pthread_t handle = impl_->thread.native_handle();
	pthread_setname_np(handle, "netvsp");
	if (!cpus.empty() && !os::run_on(handle, cpus))
		impl_->run([&] {
			if (impl_->log)
				impl_->log("cannot run on the CPUs asked for");
		});
}

void Host::stop()
{
	if (!impl_->thread.joinable())
		return;
	impl_->stopping.store(true, std::memory_order_release);
	uint64_t one = 1;
	if (write(impl_->command_fd, &one, sizeof(one)) < 0) {
		/* The counter is full: the thread is awake in any case. */
	}
	impl_->thread.join();
	impl_->thread = std::thread();
}

bool Host::poll()
{
	return impl_->run([&] { return impl_->pass(true); });
}

void Host::wait(int timeout_ms)
{
	if (impl_->thread.joinable()) {
		std::this_thread::sleep_for(std::chrono::milliseconds(std::max(timeout_ms, 0)));
		return;
	}
	impl_->sleep(timeout_ms < 0 ? -1 : int64_t(timeout_ms) * 1'000'000);
}

void Host::set_log(std::function<void(const std::string&)> log)
{
	impl_->run([&] { impl_->log = std::move(log); });
}

} // namespace netvsp
