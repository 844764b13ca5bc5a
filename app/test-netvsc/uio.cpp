/* SPDX-License-Identifier: BSD-3-Clause */
#include "uio.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>

#include <rte_dev.h>

namespace scenario {

static int call(const char* function, const std::string& socket)
{
	using Function = int (*)(const char*);
	return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, function))(socket.c_str());
}

static std::set<std::string> devices()
{
	std::set<std::string> names;
	for (const auto& entry : std::filesystem::directory_iterator("/sys/bus/vmbus/devices"))
		names.insert(entry.path().filename());
	return names;
}

bool UioDevices::there()
{
	return dlsym(RTLD_DEFAULT, "uio_host_connect") != nullptr;
}

bool UioDevices::monitored()
{
	return std::getenv("TEST_MONITOR") != nullptr;
}

int UioDevices::plug(const std::string& args)
{
	netvsp::NicConfig config;
	config.monitor = monitored();
	std::string rest; /* for the bus and the driver */
	std::istringstream pairs(args);
	for (std::string pair; std::getline(pairs, pair, ',');) {
		const size_t equals = std::min(pair.find('='), pair.size() - 1);
		const std::string key = pair.substr(0, equals);
		const std::string value = pair.substr(equals + 1);
		if (key == "socket")
			socket_ = value;
		else if (key != "ring_kb" && key != "recv_kb" && key != "send_kb" &&
			 key != "copies_only" &&
			 !netvsp::parse_nic_option(key, value, config).empty())
			rest += (rest.empty() ? "" : ",") + pair;
	}
	if (socket_.empty()) {
		static int number;
		socket_ = "/tmp/test-netvsc-uio-" + std::to_string(getpid()) + "-" +
			  std::to_string(number++);
		own_ = std::make_unique<netvsp::Host>();
		vmbus::Guid guid{};
		std::string error;
		if (!own_->add_nic(config, guid, error) || !own_->listen(socket_, error))
			return -EINVAL;
		own_->start();
	}
	const std::set<std::string> before = devices();
	if (call("uio_host_connect", socket_) != 0)
		return -ECONNREFUSED;
	for (const std::string& name : devices()) {
		if (before.count(name) != 0)
			continue;
		if (const int rc = rte_eal_hotplug_add("vmbus", name.c_str(), rest.c_str())) {
			unplug();
			return rc;
		}
		names_.push_back(name);
	}
	if (!names_.empty())
		return 0;
	unplug();
	return -ENODEV;
}

int UioDevices::unplug()
{
	int result = 0;
	for (const std::string& name : names_)
		if (const int rc = rte_eal_hotplug_remove("vmbus", name.c_str()))
			result = rc;
	names_.clear();
	call("uio_host_disconnect", socket_);
	own_.reset();
	return result;
}

} // namespace scenario
