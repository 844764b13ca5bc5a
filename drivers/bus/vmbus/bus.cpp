/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registers "vmbus" with EAL. DPDK has a bus of that name for Linux; where both are loaded, this
 * one takes the other's place before it probes anything, so that no device gets two drivers.
 */
#include "bus.hpp"

#include <vector>

#include "log.hpp"
#include "processes.hpp"
#include "real.hpp"
#include "vmbus/guid.hpp"

RTE_LOG_REGISTER(vmbus_bus_logtype, bus.vmbus, NOTICE)

namespace vmbus::bus {

static std::vector<const Driver*>& drivers()
{
	static std::vector<const Driver*> list; /* drivers register before main() */
	return list;
}

void register_driver(const Driver& driver)
{
	drivers().push_back(&driver);
}

const Driver* find_driver(const Guid& class_id)
{
	for (const Driver* driver : drivers())
		if (driver->class_id == class_id)
			return driver;
	return nullptr;
}

void for_each_driver(const std::function<void(const Driver&)>& what)
{
	for (const Driver* driver : drivers())
		what(*driver);
}

static int scan();

/* The host knows guest-physical addresses only. */
static rte_iova_mode iommu_class()
{
	return real::any() ? RTE_IOVA_PA : RTE_IOVA_DC;
}

/* Called at the end of rte_eal_cleanup(). */
static int cleanup()
{
	if (rte_eal_process_type() == RTE_PROC_SECONDARY)
		leave_primary();
	real::remove_all();
	return 0;
}

/* A device of this bus is named by its instance GUID. */
static int parse(const char* name, void* address)
{
	Guid guid;
	if (!parse_guid(name, guid))
		return -1;
	if (address != nullptr)
		std::memcpy(address, &guid, sizeof(guid));
	return 0;
}

static constexpr rte_bus make_bus()
{
	rte_bus bus{};
	bus.scan = scan;
	bus.parse = parse;
	bus.get_iommu_class = iommu_class;
	bus.sigbus_handler = real::repair; /* after rte_dev_hotplug_handle_enable() */
	set_bus_operations<real::probe, real::find, real::plug, real::unplug, cleanup>(bus);
	return bus;
}

/* Registered by a constructor that runs before dynamic initialisation. */
static constinit rte_bus vmbus_bus = make_bus();

/* EAL scans all buses before it probes any: the moment to take over. */
static int scan()
{
	rte_bus* other = rte_bus_find(
		nullptr,
		[](const rte_bus* bus, const void* own) {
			return bus == own || std::strcmp(rte_bus_name(bus), "vmbus") != 0 ? 1 : 0;
		},
		&vmbus_bus);
	if (other != nullptr) {
		/* -a and -b have reached the one that registered first. */
		if (vmbus_bus.conf.scan_mode == RTE_BUS_SCAN_UNDEFINED)
			vmbus_bus.conf = other->conf;
		rte_bus_unregister(other);
		VMBUS_LOG(NOTICE, "this driver takes the vmbus bus over from DPDK's own");
	}
	add_bus_driver(vmbus_bus, "net_netvsc");
	real::scan(vmbus_bus);
	return 0;
}

} // namespace vmbus::bus

using vmbus::bus::vmbus_bus;
RTE_REGISTER_BUS(vmbus, vmbus_bus)
