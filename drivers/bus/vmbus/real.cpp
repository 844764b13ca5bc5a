/* SPDX-License-Identifier: BSD-3-Clause */
#include "real.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "log.hpp"
#include "system.hpp"
#include "vmbus/guid.hpp"

namespace vmbus::bus::real {

namespace {

constexpr size_t kControlMemorySize = 4 * kPageSize;

struct RealDevice {
	rte_device eal{};
	rte_driver eal_driver{};
	FoundDevice found;
	std::string name;
	bool blocked = false;

	/* while a driver has it */
	std::optional<BusDevice> bus_device;
	rte_intr_handle* interrupt = nullptr;

	uio::KernelDevice& device() { return static_cast<uio::KernelDevice&>(*bus_device->device); }
	bool probed() const { return eal.driver != nullptr; }
};

/* Never destroyed: EAL cleans buses up at its own end, after static destructors of plugins. */
std::vector<std::unique_ptr<RealDevice>>& all()
{
	static auto* list = new std::vector<std::unique_ptr<RealDevice>>;
	return *list;
}

RealDevice* device_of(const rte_device* device)
{
	for (auto& d : all())
		if (&d->eal == device)
			return d.get();
	return nullptr;
}

rte_devargs* find_devargs(const Guid& instance)
{
	rte_devargs* args;
	Guid guid;
	RTE_EAL_DEVARGS_FOREACH("vmbus", args)
	{
		if (parse_guid(args->name, guid) && guid == instance)
			return args;
	}
	return nullptr;
}

bool is_blocked(const rte_bus& bus, const rte_devargs* args)
{
	if (bus.conf.scan_mode == RTE_BUS_SCAN_ALLOWLIST)
		return args == nullptr || args->policy != RTE_DEV_ALLOWED;
	return args != nullptr && args->policy == RTE_DEV_BLOCKED;
}

/* "timeout" is the bus's, as it is for emulated hosts; the rest is the driver's. */
Error parse_args(const char* text, BusDevice& device)
{
	if (text == nullptr || *text == '\0')
		return {};
	rte_kvargs* list = rte_kvargs_parse(text, nullptr);
	if (list == nullptr)
		return {EINVAL, std::string("cannot parse '") + text + "': want key=value,..."};
	Error error;
	for (uint32_t i = 0; i < list->count && !error; i++) {
		const std::string key = list->pairs[i].key;
		const char* given = list->pairs[i].value;
		const std::string value = given != nullptr ? given : "";
		if (key != "timeout") {
			device.args += (device.args.empty() ? "" : ",") + key + "=" + value;
			continue;
		}
		uint32_t ms = 0;
		const char* end = value.data() + value.size();
		const auto [stop, rc] = std::from_chars(value.data(), end, ms);
		if (rc != std::errc() || stop != end || ms < 10 || ms > 600000)
			error = {EINVAL, "timeout=" + value + ": want 10 to 600000 milliseconds"};
		device.timeout = Milliseconds(ms);
	}
	rte_kvargs_free(list);
	return error;
}

/* The host reads control messages from here by guest-physical address. */
Error make_control_memory(int numa_node, Region& region, uint64_t& gpa)
{
	static unsigned int count; /* names must be unique; memory may outlive its device */
	char name[RTE_MEMZONE_NAMESIZE];
	std::snprintf(name, sizeof(name), "vmbus_control_%u", count++);
	const int socket =
		rte_malloc_heap_socket_is_external(numa_node) == 0 ? numa_node : SOCKET_ID_ANY;
	const rte_memzone* zone = rte_memzone_reserve_aligned(name, kControlMemorySize, socket,
							      RTE_MEMZONE_IOVA_CONTIG, kPageSize);
	if (zone == nullptr && socket != SOCKET_ID_ANY)
		zone = rte_memzone_reserve_aligned(name, kControlMemorySize, SOCKET_ID_ANY,
						   RTE_MEMZONE_IOVA_CONTIG, kPageSize);
	if (zone == nullptr)
		return {ENOMEM,
			std::string("no memory for control messages: ") + rte_strerror(rte_errno)};
	std::memset(zone->addr, 0, zone->len);
	region.data = static_cast<uint8_t*>(zone->addr);
	region.size = zone->len;
	region.keep = std::shared_ptr<void>(zone->addr, [zone](void*) { rte_memzone_free(zone); });
	gpa = zone->iova;
	return {};
}

/* Applications are told on the interrupt thread, where no lock of anybody's is held. */
void on_alarm(void* arg)
{
	BusDevice& device = *static_cast<RealDevice*>(arg)->bus_device;
	VMBUS_LOG(NOTICE, "%s: the host took the device away", device.name.c_str());
	device.driver->gone(device); /* may unplug it */
}

void on_event(void* arg)
{
	auto* device = static_cast<RealDevice*>(arg);
	if (!device->device().take_event())
		return;
	/* The node stays readable from now on (a poll of it fails, or there is EV_EOF): EAL would
	 * call for ever. */
	rte_intr_callback_unregister_pending(device->interrupt, on_event, device, nullptr);
	if (rte_eal_alarm_set(1, on_alarm, device) != 0)
		VMBUS_LOG(ERR, "cannot tell the application that a device is gone");
}

/* EAL panics when it finds a closed descriptor among those it waits for. */
void stop_events(RealDevice& device)
{
	if (rte_intr_fd_get(device.interrupt) < 0)
		return;
	rte_intr_callback_unregister_sync(device.interrupt, on_event, &device);
	rte_intr_fd_set(device.interrupt, -1);
}

uio::EventHooks make_hooks(RealDevice& device)
{
	uio::EventHooks hooks;
	hooks.opened = [d = &device](int fd) -> Error {
		rte_intr_fd_set(d->interrupt, fd);
		rte_intr_type_set(d->interrupt, RTE_INTR_HANDLE_EXT);
		const int rc = rte_intr_callback_register(d->interrupt, on_event, d);
		if (rc >= 0)
			return {};
		rte_intr_fd_set(d->interrupt, -1);
		return {-rc, "EAL takes no interrupt callback"};
	};
	hooks.closing = [d = &device] { stop_events(*d); };
	return hooks;
}

/*
 * The host reads and writes mbufs at guest-physical addresses: there is no IOMMU between. EAL knows
 * none without hugepages, whatever the mode is.
 */
bool has_addresses()
{
	return rte_eal_iova_mode() == RTE_IOVA_PA && rte_eal_has_hugepages() != 0;
}

void release(RealDevice& device)
{
	device.bus_device.reset();
	rte_intr_instance_free(device.interrupt);
	device.interrupt = nullptr;
	device.eal.driver = nullptr;
}

Error attach(RealDevice& device)
{
	const Driver* driver = find_driver(device.found.class_id);
	if (driver == nullptr)
		return {ENODEV,
			"no driver for devices of class " + to_string(device.found.class_id)};
	BusDevice& b = device.bus_device.emplace();
	b.parent = &device.eal;
	b.name = device.name;
	b.driver = driver;
	b.copies_only = !has_addresses();
	const rte_devargs* args = device.eal.devargs;
	if (Error error = parse_args(args != nullptr ? args->args : nullptr, b))
		return error;
	Region control;
	uint64_t gpa = kGpaUnknown;
	if (!b.copies_only)
		if (Error error = make_control_memory(device.found.numa_node, control, gpa))
			return error;
	device.interrupt = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (device.interrupt == nullptr)
		return {ENOMEM, "no memory for an interrupt handle"};
	b.device = device.found.make(std::move(control), gpa);
	device.device().set_event_hooks(make_hooks(device));
	/* Applications may ask for the driver's name as soon as there is a port. */
	device.eal_driver.name = driver->name;
	device.eal.driver = &device.eal_driver;
	if (const int rc = driver->probe(b); rc != 0)
		return {-rc, std::string(driver->name) + " did not take the device"};
	return {};
}

int probe_one(RealDevice& device)
{
	Error error = attach(device);
	if (!error) {
		VMBUS_LOG(INFO, "%s: %s, NUMA node %d", device.name.c_str(),
			  device.found.node.c_str(), device.found.numa_node);
		return 0;
	}
	VMBUS_LOG(ERR, "%s: %s", device.name.c_str(), error.what.c_str());
	if (device.bus_device && device.bus_device->device != nullptr)
		device.bus_device->device->close();
	rte_eal_alarm_cancel(on_alarm, &device);
	release(device);
	return -error.code;
}

void detach(RealDevice& device)
{
	if (!device.probed())
		return;
	/* First, that nobody tells the application of the device while it goes. */
	stop_events(device);
	rte_eal_alarm_cancel(on_alarm, &device); /* waits, unless this is called by the alarm */
	BusDevice& b = *device.bus_device;
	b.driver->remove(b);
	b.device->close();
	release(device);
}

void add(const rte_bus& bus, FoundDevice&& found)
{
	auto device = std::make_unique<RealDevice>();
	device->name = to_string(found.instance_id);
	device->found = std::move(found);
	device->eal.name = device->name.c_str();
	device->eal.bus = &bus;
	device->eal.numa_node = device->found.numa_node;
	all().push_back(std::move(device));
}

} // namespace

void scan(const rte_bus& bus)
{
	std::vector<std::string> errors;
	std::vector<FoundDevice> found = find_devices(errors);
	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		for (const FoundDevice& device : found)
			VMBUS_LOG(NOTICE, "%s: real devices are for the primary process only",
				  to_string(device.instance_id).c_str());
		return;
	}
	for (const std::string& error : errors)
		VMBUS_LOG(WARNING, "%s", error.c_str());
	std::erase_if(all(), [](const auto& d) { return !d->probed(); });
	for (FoundDevice& fresh : found) {
		const bool known = std::any_of(all().begin(), all().end(), [&](const auto& d) {
			return d->found.instance_id == fresh.instance_id;
		});
		if (!known)
			add(bus, std::move(fresh));
	}
	for (auto& d : all()) {
		d->eal.devargs = find_devargs(d->found.instance_id);
		d->blocked = is_blocked(bus, d->eal.devargs);
	}
	rte_devargs* args;
	RTE_EAL_DEVARGS_FOREACH("vmbus", args)
	{
		Guid guid;
		const bool valid = parse_guid(args->name, guid);
		const bool there = std::any_of(all().begin(), all().end(), [&](const auto& d) {
			return valid && d->found.instance_id == guid;
		});
		if (!there && args->policy == RTE_DEV_ALLOWED)
			VMBUS_LOG(WARNING, "vmbus:%s is no network adapter that is bound to %s",
				  args->name, wanted_driver().c_str());
	}
}

int probe()
{
	size_t tried = 0;
	size_t failed = 0;
	for (auto& d : all()) {
		if (d->blocked || d->probed())
			continue;
		tried++;
		if (probe_one(*d) != 0)
			failed++;
	}
	return tried != 0 && tried == failed ? -1 : 0;
}

int plug(rte_device* device)
{
	RealDevice* d = device_of(device);
	if (d == nullptr)
		return -ENODEV;
	if (d->probed())
		return -EEXIST;
	const int rc = probe_one(*d);
	if (rc != 0)
		d->eal.devargs = nullptr; /* EAL frees them now */
	return rc;
}

int unplug(rte_device* device)
{
	RealDevice* d = device_of(device);
	if (d == nullptr)
		return -ENODEV;
	detach(*d);
	if (d->eal.devargs != nullptr)
		rte_devargs_remove(d->eal.devargs);
	std::erase_if(all(), [d](const auto& other) { return other.get() == d; });
	return 0;
}

void remove_all()
{
	while (!all().empty()) {
		detach(*all().back());
		all().pop_back();
	}
}

rte_device* find(const rte_device* start, rte_dev_cmp_t compare, const void* data)
{
	bool started = start == nullptr;
	for (auto& d : all()) {
		if (!started) {
			started = &d->eal == start;
			continue;
		}
		if (compare(&d->eal, data) == 0)
			return &d->eal;
	}
	return nullptr;
}

bool any()
{
	return std::any_of(all().begin(), all().end(), [](const auto& d) { return !d->blocked; });
}

int repair(const void* address)
{
	for (auto& d : all())
		if (d->probed() && d->device().repair(address))
			return 0;
	return 1;
}

} // namespace vmbus::bus::real
