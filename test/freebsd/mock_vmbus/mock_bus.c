/*-
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * A bus named vmbus where there is no Hyper-V, for a kernel without
 * "device hyperv".  To a driver it looks like the bus of that name.
 */
#include "mock_var.h"

#include <sys/cpuset.h>
#include <sys/sbuf.h>
#include <sys/smp.h>

#include "vmbus_if.h"

MALLOC_DEFINE(M_MOCK_VMBUS, "mock_vmbus", "VMBus without Hyper-V");

static const char mock_digits[] = "0123456789abcdef";

/* The first three groups are little-endian numbers. */
static void
mock_guid_string(const struct hyperv_guid *guid, char *text)
{
	static const uint8_t order[] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11,
	    12, 13, 14, 15 };
	u_int i;

	for (i = 0; i < nitems(order); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = mock_digits[guid->hv_guid[order[i]] >> 4];
		*text++ = mock_digits[guid->hv_guid[order[i]] & 15];
	}
	*text = '\0';
}

int
mock_bus_add(struct vmbus_channel *chan)
{
	device_t bus;

	bus = chan->ch_vmbus->vmbus_dev;
	bus_topo_lock();
	chan->ch_dev = device_add_child(bus, NULL, DEVICE_UNIT_ANY);
	if (chan->ch_dev != NULL) {
		device_set_ivars(chan->ch_dev, chan);
		device_probe_and_attach(chan->ch_dev);
	}
	bus_topo_unlock();
	return (chan->ch_dev == NULL ? ENXIO : 0);
}

void
mock_bus_delete(struct vmbus_channel *chan)
{

	bus_topo_lock();
	if (chan->ch_dev != NULL) {
		device_delete_child(chan->ch_vmbus->vmbus_dev, chan->ch_dev);
		chan->ch_dev = NULL;
	}
	bus_topo_unlock();
}

static void
mock_identify(driver_t *driver __unused, device_t parent)
{

	if (device_find_child(parent, "vmbus", DEVICE_UNIT_ANY) == NULL)
		BUS_ADD_CHILD(parent, 0, "vmbus", 0);
}

static int
mock_probe(device_t dev)
{

	device_set_desc(dev, "VMBus without Hyper-V");
	return (BUS_PROBE_NOWILDCARD);
}

static void
mock_free(struct vmbus_softc *bus)
{
	int cpu;

	CPU_FOREACH(cpu) {
		if (bus->vmbus_pcpu[cpu].event_tq != NULL)
			taskqueue_free(bus->vmbus_pcpu[cpu].event_tq);
	}
	taskqueue_free(bus->vmbus_subchtq);
	taskqueue_free(bus->vmbus_devtq);
	free(bus->vmbus_mnf2, M_MOCK_VMBUS);
	free(bus->vmbus_evtflags, M_MOCK_VMBUS);
	free(__DEVOLATILE(void *, bus->vmbus_chmap), M_MOCK_VMBUS);
	mtx_destroy(&bus->vmbus_chan_lock);
	mtx_destroy(&bus->vmbus_prichan_lock);
}

static void
mock_start_taskqueues(struct vmbus_softc *bus)
{
	struct taskqueue **tq;
	cpuset_t set;
	int cpu;

	bus->vmbus_devtq = taskqueue_create("vmbus dev", M_WAITOK,
	    taskqueue_thread_enqueue, &bus->vmbus_devtq);
	taskqueue_start_threads(&bus->vmbus_devtq, 1, PI_NET, "vmbusdev");
	bus->vmbus_subchtq = taskqueue_create("vmbus subch", M_WAITOK,
	    taskqueue_thread_enqueue, &bus->vmbus_subchtq);
	taskqueue_start_threads(&bus->vmbus_subchtq, 1, PI_NET, "vmbussch");
	CPU_FOREACH(cpu) {
		tq = &bus->vmbus_pcpu[cpu].event_tq;
		*tq = taskqueue_create_fast("vmbus event", M_WAITOK,
		    taskqueue_thread_enqueue, tq);
		CPU_SETOF(cpu, &set);
		taskqueue_start_threads_cpuset(tq, 1, PI_NET, &set,
		    "vmbusev%d", cpu);
	}
}

static int
mock_attach(device_t dev)
{
	struct mock_softc *sc;
	struct vmbus_softc *bus;
	uint8_t *flags;
	int error;

	sc = device_get_softc(dev);
	bus = &sc->bus;
	bus->vmbus_dev = dev;
	bus->vmbus_version = VMBUS_VERSION_WIN10;
	mtx_init(&bus->vmbus_prichan_lock, "vmbus prichan", NULL, MTX_DEF);
	mtx_init(&bus->vmbus_chan_lock, "vmbus channel", NULL, MTX_DEF);
	TAILQ_INIT(&bus->vmbus_prichans);
	TAILQ_INIT(&bus->vmbus_chans);
	bus->vmbus_chmap = malloc(sizeof(bus->vmbus_chmap[0]) * VMBUS_CHAN_MAX,
	    M_MOCK_VMBUS, M_WAITOK | M_ZERO);
	flags = contigmalloc(PAGE_SIZE, M_MOCK_VMBUS, M_WAITOK | M_ZERO, 0,
	    ~(vm_paddr_t)0, PAGE_SIZE, 0);
	bus->vmbus_evtflags = flags;
	bus->vmbus_rx_evtflags = (u_long *)flags;
	bus->vmbus_tx_evtflags = (u_long *)(flags + PAGE_SIZE / 2);
	bus->vmbus_mnf2 = contigmalloc(PAGE_SIZE, M_MOCK_VMBUS,
	    M_WAITOK | M_ZERO, 0, ~(vm_paddr_t)0, PAGE_SIZE, 0);
	mock_start_taskqueues(bus);
	error = mock_host_attach(sc);
	if (error != 0)
		mock_free(bus);
	return (error);
}

static int
mock_detach(device_t dev)
{
	struct mock_softc *sc;
	int error;

	sc = device_get_softc(dev);
	error = mock_host_detach(sc);
	if (error == 0)
		mock_free(&sc->bus);
	return (error);
}

static int
mock_child_pnpinfo(device_t bus __unused, device_t child, struct sbuf *sb)
{
	struct vmbus_channel *chan;
	char text[HYPERV_GUID_STRLEN];

	chan = vmbus_get_channel(child);
	mock_guid_string(&chan->ch_guid_type, text);
	sbuf_printf(sb, "classid=%s", text);
	mock_guid_string(&chan->ch_guid_inst, text);
	sbuf_printf(sb, " deviceid=%s", text);
	return (0);
}

static uint32_t
mock_get_version(device_t bus, device_t dev __unused)
{
	struct mock_softc *sc;

	sc = device_get_softc(bus);
	return (sc->bus.vmbus_version);
}

static int
mock_probe_guid(device_t bus __unused, device_t dev,
    const struct hyperv_guid *guid)
{
	struct vmbus_channel *chan;

	chan = vmbus_get_channel(dev);
	return (memcmp(&chan->ch_guid_type, guid, sizeof(*guid)) == 0 ? 0 :
	    ENXIO);
}

static uint32_t
mock_get_vcpu_id(device_t bus __unused, device_t dev __unused, int cpu)
{

	return (cpu);
}

static struct taskqueue *
mock_get_event_taskq(device_t bus, device_t dev __unused, int cpu)
{
	struct mock_softc *sc;

	sc = device_get_softc(bus);
	return (sc->bus.vmbus_pcpu[cpu].event_tq);
}

static device_method_t mock_methods[] = {
	DEVMETHOD(device_identify,	mock_identify),
	DEVMETHOD(device_probe,		mock_probe),
	DEVMETHOD(device_attach,	mock_attach),
	DEVMETHOD(device_detach,	mock_detach),

	DEVMETHOD(bus_add_child,	bus_generic_add_child),
	DEVMETHOD(bus_print_child,	bus_generic_print_child),
	DEVMETHOD(bus_child_pnpinfo,	mock_child_pnpinfo),
	DEVMETHOD(bus_get_cpus,		bus_generic_get_cpus),

	DEVMETHOD(vmbus_get_version,	mock_get_version),
	DEVMETHOD(vmbus_probe_guid,	mock_probe_guid),
	DEVMETHOD(vmbus_get_vcpu_id,	mock_get_vcpu_id),
	DEVMETHOD(vmbus_get_event_taskq, mock_get_event_taskq),

	DEVMETHOD_END
};

static driver_t mock_driver = {
	"vmbus",
	mock_methods,
	sizeof(struct mock_softc)
};

DRIVER_MODULE(vmbus, nexus, mock_driver, NULL, NULL);
MODULE_VERSION(vmbus, 1);
