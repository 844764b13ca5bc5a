/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --vdev=netvspN: NICs of an emulated host.
 *
 *   endpoint=...      a NIC of the host inside this process, with the host's options for it
 *   socket=PATH       all NICs of the host that listens there (netvsp --socket=PATH)
 *
 * All vdevs without a socket are NICs of one host. Options of the driver may follow in either form.
 */
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "link.hpp"
#include "log.hpp"
#include "memory_table.hpp"
#include "netvsp/host.hpp"
#include "processes.hpp"
#include "vmbus/guid.hpp"

namespace vmbus::bus {

namespace {

/* The host inside this process, and the connection to it: made by the first NIC. */
struct LocalHost {
	netvsp::Host host;
	std::unique_ptr<Link> link;
	uint32_t nics = 0;
};

struct Emulated {
	rte_vdev_device* vdev = nullptr;
	Guid nic{};		    /* of the local host */
	std::unique_ptr<Link> link; /* to a host elsewhere */
};

struct Arguments {
	netvsp::NicConfig nic;
	std::string nic_keys; /* which were given, for messages */
	std::string socket;
	std::string driver;
	user::BufferSizes sizes;
	uint32_t timeout_ms = 60000;
	bool copies_only = false;
};

/* Never destroyed: EAL removes the vdevs at its own end, after static destructors of plugins. */
LocalHost* local;
std::vector<std::unique_ptr<Emulated>>& all()
{
	static auto* list = new std::vector<std::unique_ptr<Emulated>>;
	return *list;
}

Error parse_number(const std::string& key, const std::string& value, uint32_t low, uint32_t high,
		   uint32_t& out)
{
	uint32_t n = 0;
	const auto [end, rc] = std::from_chars(value.data(), value.data() + value.size(), n);
	if (rc != std::errc() || end != value.data() + value.size() || n < low || n > high)
		return {EINVAL, key + "=" + value + ": must be a number from " +
					std::to_string(low) + " to " + std::to_string(high)};
	out = n;
	return {};
}

bool is_driver_key(const std::string& key)
{
	const Driver* driver = find_driver(kNetvscClass);
	if (driver == nullptr)
		return false;
	for (const char* const* k = driver->arg_keys; *k != nullptr; k++)
		if (key == *k)
			return true;
	return false;
}

Error parse_pair(const std::string& key, const std::string& value, Arguments& args)
{
	uint32_t n = 0;
	if (key == "socket") {
		if (value.empty())
			return {EINVAL, "socket= needs a path"};
		args.socket = value;
	} else if (key == "timeout") {
		if (Error e = parse_number(key, value, 10, 600000, n))
			return e;
		args.timeout_ms = n;
	} else if (key == "copies_only") {
		if (Error e = parse_number(key, value, 0, 1, n))
			return e;
		args.copies_only = n != 0;
	} else if (key == "ring_kb") {
		if (Error e = parse_number(key, value, 32, 16384, n))
			return e;
		args.sizes.ring = n / 4 * 4096;
	} else if (key == "recv_kb") {
		if (Error e = parse_number(key, value, 256, 32768, n))
			return e;
		args.sizes.receive = n / 4 * 4096;
	} else if (key == "send_kb") {
		if (Error e = parse_number(key, value, 64, 32768, n))
			return e;
		args.sizes.send = n / 4 * 4096;
	} else if (is_driver_key(key)) {
		args.driver += (args.driver.empty() ? "" : ",") + key + "=" + value;
	} else {
		const std::string wrong = netvsp::parse_nic_option(key, value, args.nic);
		if (!wrong.empty())
			return {EINVAL, wrong};
		args.nic_keys += (args.nic_keys.empty() ? "" : ", ") + key;
	}
	return {};
}

/* Not EAL's parser: values have '=' in them (endpoint=generator:size=64), which it does not take.
 */
Error parse(const std::string& text, Arguments& args)
{
	for (size_t at = 0; at < text.size();) {
		const size_t end = std::min(text.find(',', at), text.size());
		const std::string pair = text.substr(at, end - at);
		const size_t equals = pair.find('=');
		if (equals == 0 || equals == std::string::npos)
			return {EINVAL, "'" + pair + "': want key=value"};
		if (Error e = parse_pair(pair.substr(0, equals), pair.substr(equals + 1), args))
			return e;
		at = end + 1;
	}
	if (!args.socket.empty() && !args.nic_keys.empty())
		return {EINVAL, args.nic_keys + ": the host behind socket= decides that"};
	return {};
}

/* CPUs without an lcore; all if there is none: the host is a neighbour, not part of the guest. */
std::vector<int> host_cpus()
{
	std::vector<int> cpus;
	for (int cpu = 0; cpu < ::sysconf(_SC_NPROCESSORS_CONF); cpu++) {
		bool taken = false;
		for (unsigned int lcore = 0; lcore < RTE_MAX_LCORE; lcore++) {
			const rte_cpuset_t set = rte_lcore_cpuset(lcore);
			taken |= rte_lcore_is_enabled(lcore) && CPU_ISSET(cpu, &set);
		}
		if (!taken)
			cpus.push_back(cpu);
	}
	if (cpus.empty())
		for (int cpu = 0; cpu < ::sysconf(_SC_NPROCESSORS_CONF); cpu++)
			cpus.push_back(cpu);
	return cpus;
}

Error start_local(Milliseconds timeout)
{
	int ends[2];
	if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return Error::system("socketpair");
	auto fresh = std::make_unique<LocalHost>();
	fresh->host.set_log(
		[](const std::string& line) { VMBUS_LOG(INFO, "netvsp: %s", line.c_str()); });
	std::string wrong;
	if (!fresh->host.adopt(ends[1], wrong)) {
		::close(ends[0]);
		return {EIO, "the emulated host does not start: " + wrong};
	}
	fresh->host.start(host_cpus());
	std::shared_ptr<user::Connection> connection;
	if (Error error = user::Connection::adopt(ends[0], true, timeout, connection, &mirror()))
		return error;
	if (Error error = Link::create(std::move(connection), true, fresh->link))
		return error;
	local = fresh.release();
	return {};
}

void release_local()
{
	if (local->nics == 0)
		delete std::exchange(local, nullptr);
}

std::unique_ptr<BusDevice> make_device(rte_vdev_device* vdev, const Arguments& args,
				       const std::string& name)
{
	auto device = std::make_unique<BusDevice>();
	device->parent = &vdev->device;
	device->name = name;
	device->args = args.driver;
	device->timeout = Milliseconds(args.timeout_ms);
	device->copies_only = args.copies_only;
	return device;
}

Error probe_local(Emulated& emulated, const Arguments& args)
{
	const std::string name = rte_vdev_device_name(emulated.vdev);
	if (local == nullptr)
		if (Error error = start_local(Milliseconds(args.timeout_ms)))
			return error;
	netvsp::NicConfig config = args.nic;
	if (config.name.empty())
		config.name = name;
	std::string wrong;
	if (!local->host.add_nic(config, emulated.nic, wrong)) {
		release_local();
		return {EINVAL, wrong};
	}
	local->nics++;
	user::OfferChannel offer{};
	Error error = local->link->wait_for_offer(emulated.nic, offer);
	if (!error)
		error = local->link->attach(offer, args.sizes,
					    make_device(emulated.vdev, args, name));
	if (error) {
		local->host.remove_nic(emulated.nic);
		local->nics--;
		release_local();
	}
	return error;
}

/* Of a host's NICs, the first has the vdev's name, the others that and a number. */
std::string free_name(rte_vdev_device* vdev)
{
	const std::string base = rte_vdev_device_name(vdev);
	std::string name = base;
	uint16_t port;
	for (int n = 1; rte_eth_dev_get_port_by_name(name.c_str(), &port) == 0; n++)
		name = base + "_" + std::to_string(n);
	return name;
}

Error probe_socket(Emulated& emulated, const Arguments& args)
{
	std::shared_ptr<user::Connection> connection;
	if (Error error = user::Connection::connect(args.socket, Milliseconds(args.timeout_ms),
						    connection, &mirror(), !memory_has_files()))
		return error;
	if (Error error = Link::create(std::move(connection), !args.copies_only, emulated.link))
		return error;
	const auto offers = emulated.link->offers();
	if (offers.empty())
		return {ENODEV, "the host at " + args.socket + " offers no NIC"};
	const auto attach = [&link = *emulated.link, vdev = emulated.vdev,
			     args](const user::OfferChannel& offer) {
		return link.attach(offer, args.sizes, make_device(vdev, args, free_name(vdev)));
	};
	for (const user::OfferChannel& offer : offers)
		if (Error error = attach(offer))
			return error;
	emulated.link->follow_offers([attach](const user::OfferChannel& offer) {
		if (Error error = attach(offer))
			VMBUS_LOG(ERR, "a NIC that the host added: %s", error.what.c_str());
	});
	return {};
}

/* A secondary process has the ports that the primary made of this vdev. */
int probe_secondary(rte_vdev_device& vdev)
{
	const char* name = rte_vdev_device_name(&vdev);
	const Driver* driver = find_driver(kNetvscClass);
	uint32_t id = 0;
	Error error;
	if (driver == nullptr)
		error = {ENODEV, "there is no driver for it"};
	else
		error = join_primary(id);
	if (!error) {
		driver->joined(id);
		const int ports = driver->attach(vdev.device);
		if (ports > 0)
			return 0;
		error = ports < 0 ? Error{-ports, "its ports cannot be taken over"}
				  : Error{ENODEV, "the primary process has no ports of it"};
	}
	VMBUS_LOG(ERR, "%s: %s", name, error.what.c_str());
	return -error.code;
}

int probe(rte_vdev_device* vdev)
{
	const char* name = rte_vdev_device_name(vdev);
	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return probe_secondary(*vdev);
	Arguments args;
	auto emulated = std::make_unique<Emulated>();
	emulated->vdev = vdev;
	Error error = parse(rte_vdev_device_args(vdev), args);
	if (!error)
		error = open_to_processes();
	if (!error)
		error = args.socket.empty() ? probe_local(*emulated, args)
					    : probe_socket(*emulated, args);
	if (error) {
		VMBUS_LOG(ERR, "%s: %s", name, error.what.c_str());
		return -error.code;
	}
	all().push_back(std::move(emulated));
	return 0;
}

int remove(rte_vdev_device* vdev)
{
	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		find_driver(kNetvscClass)->detach(vdev->device);
		return 0;
	}
	auto& list = all();
	const auto it = std::find_if(list.begin(), list.end(),
				     [&](const auto& e) { return e->vdev == vdev; });
	if (it == list.end())
		return -ENODEV;
	std::unique_ptr<Emulated> emulated = std::move(*it);
	list.erase(it);
	if (emulated->link == nullptr) {
		local->link->detach(&vdev->device);
		local->host.remove_nic(emulated->nic);
		local->nics--;
		release_local();
	}
	return 0;
}

constexpr rte_vdev_driver make_driver()
{
	rte_vdev_driver driver{};
	driver.probe = probe;
	driver.remove = remove;
	return driver;
}

constinit rte_vdev_driver netvsp_driver = make_driver();

} // namespace

} // namespace vmbus::bus

using vmbus::bus::netvsp_driver;
RTE_PMD_REGISTER_VDEV(netvsp, netvsp_driver);
RTE_PMD_REGISTER_PARAM_STRING(netvsp,
			      "endpoint=<null|generator|loopback|tap:NAME|pcap:IN:OUT|switch> "
			      "socket=<path> mac=<xx:xx:xx:xx:xx:xx> mtu=<68-9202> "
			      "profile=<hyperv2008r2|hyperv2012r2|hyperv2019|hyperv2022|azure|openvmm> "
			      "queues=<1-64> nvsp=<1|2|4|5|6|6.1> timeout=<ms> "
			      "ring_kb=<n> recv_kb=<n> send_kb=<n> copies_only=<0|1>");
