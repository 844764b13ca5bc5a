/*-
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * hv_uio(4): takes a network adapter from the VMBus when it is told to, and
 * gives it to user space.
 */
#include "hv_uio_var.h"

#include <sys/module.h>
#include <sys/proc.h>
#include <sys/sysctl.h>

#include "vmbus_if.h"

static SYSCTL_NODE(_hw, OID_AUTO, hv_uio, CTLFLAG_RD | CTLFLAG_MPSAFE, NULL,
    "Hyper-V network adapters for user space");

static u_int hv_uio_ring_pages = 512;
SYSCTL_UINT(_hw_hv_uio, OID_AUTO, ring_pages, CTLFLAG_RWTUN,
    &hv_uio_ring_pages, 0, "pages of each of a channel's two rings");

static uint64_t hv_uio_recv_size = 31 << 20;
SYSCTL_U64(_hw_hv_uio, OID_AUTO, recv_size, CTLFLAG_RWTUN, &hv_uio_recv_size,
    0, "bytes of a receive buffer");

static uint64_t hv_uio_send_size = 16 << 20;
SYSCTL_U64(_hw_hv_uio, OID_AUTO, send_size, CTLFLAG_RWTUN, &hv_uio_send_size,
    0, "bytes of a send buffer");

static int hv_uio_map_pages = 0;
SYSCTL_INT(_hw_hv_uio, OID_AUTO, map_pages, CTLFLAG_RWTUN, &hv_uio_map_pages,
    0, "whether the interrupt and monitor pages of the bus can be mapped");

/* {f8615163-df3e-46c5-913f-f2d2f965ed0e} */
static const struct hyperv_guid hv_uio_nic_guid = {
	.hv_guid = { 0x63, 0x51, 0x61, 0xf8, 0x3e, 0xdf, 0xc5, 0x46,
	    0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e }
};

/* Only for whom "devctl set driver" names: hn(4) keeps all other NICs. */
static int
hv_uio_probe(device_t dev)
{

	if (VMBUS_PROBE_GUID(device_get_parent(dev), dev,
	    &hv_uio_nic_guid) != 0)
		return (ENXIO);
	device_set_desc(dev, "Hyper-V network adapter for user space");
	return (BUS_PROBE_NOWILDCARD);
}

/* Takes less where so much cannot be had in one piece. */
static int
hv_uio_buffer_make(struct hv_uio_softc *sc, struct hv_uio_buffer *buffer,
    uint64_t asked, const char *what)
{
	uint64_t size;
	int error;

	for (size = hv_uio_buffer_size(asked); ; size = hv_uio_buffer_size(
	    size / 2)) {
		buffer->mem = hv_uio_mem_alloc(sc->dev, size);
		if (buffer->mem != NULL)
			break;
		if (size == hv_uio_buffer_size(0)) {
			device_printf(sc->dev,
			    "no contiguous memory for the %s\n", what);
			return (ENOMEM);
		}
	}
	if (size < asked)
		device_printf(sc->dev, "the %s has %ju bytes\n", what,
		    (uintmax_t)size);
	error = vmbus_chan_gpadl_connect(sc->prichan, buffer->mem->pa, size,
	    &buffer->gpadl);
	if (error != 0)
		device_printf(sc->dev, "the host does not take the %s: %d\n",
		    what, error);
	return (error);
}

static void
hv_uio_buffer_free(struct hv_uio_softc *sc, struct hv_uio_buffer *buffer,
    const char *what)
{

	if (buffer->gpadl != 0 && vmbus_chan_gpadl_disconnect(sc->prichan,
	    buffer->gpadl) != 0)
		hv_uio_mem_leak(sc->dev, buffer->mem, what);
	else
		hv_uio_mem_disown(buffer->mem);
	buffer->gpadl = 0;
	buffer->mem = NULL;
}

static void
hv_uio_free(struct hv_uio_softc *sc)
{

	hv_uio_buffer_free(sc, &sc->send, "send buffer");
	hv_uio_buffer_free(sc, &sc->recv, "receive buffer");
	hv_uio_chan_free(sc);
	hv_uio_mem_disown(sc->interrupt_page);
	hv_uio_mem_disown(sc->monitor_page);
	mtx_destroy(&sc->event_lock);
	rw_destroy(&sc->chan_lock);
	sx_destroy(&sc->lock);
}

/* dev.hv_uio.N.REGION.{size,gpadl} */
static void
hv_uio_sysctl_region(struct hv_uio_softc *sc, const char *name,
    vm_size_t *size, uint32_t *gpadl)
{
	struct sysctl_ctx_list *ctx;
	struct sysctl_oid_list *list;

	ctx = device_get_sysctl_ctx(sc->dev);
	list = SYSCTL_CHILDREN(SYSCTL_ADD_NODE(ctx,
	    SYSCTL_CHILDREN(device_get_sysctl_tree(sc->dev)), OID_AUTO, name,
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, ""));
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "size", CTLFLAG_RD, size, 0,
	    "bytes");
	if (gpadl != NULL)
		SYSCTL_ADD_U32(ctx, list, OID_AUTO, "gpadl", CTLFLAG_RD, gpadl,
		    0, "what the host calls it");
}

static void
hv_uio_sysctl_create(struct hv_uio_softc *sc)
{

	hv_uio_sysctl_region(sc, "recv_buf", &sc->recv.mem->size,
	    &sc->recv.gpadl);
	hv_uio_sysctl_region(sc, "send_buf", &sc->send.mem->size,
	    &sc->send.gpadl);
	if (sc->monitor_page != NULL) {
		hv_uio_sysctl_region(sc, "int_page",
		    &sc->interrupt_page->size, NULL);
		hv_uio_sysctl_region(sc, "monitor_page",
		    &sc->monitor_page->size, NULL);
	}
	SYSCTL_ADD_U64(device_get_sysctl_ctx(sc->dev),
	    SYSCTL_CHILDREN(device_get_sysctl_tree(sc->dev)), OID_AUTO,
	    "ring_size", CTLFLAG_RD, &sc->ring_size, 0,
	    "bytes of each of a channel's two rings");
	SYSCTL_ADD_U32(device_get_sysctl_ctx(sc->dev),
	    SYSCTL_CHILDREN(device_get_sysctl_tree(sc->dev)), OID_AUTO,
	    "subchan_cnt", CTLFLAG_RD, &sc->subchans_open, 0,
	    "subchannels that are open");
}

static int
hv_uio_attach(device_t dev)
{
	struct hv_uio_softc *sc;
	void *interrupt_page, *monitor_page;
	int error;

	sc = device_get_softc(dev);
	sc->dev = dev;
	sc->prichan = vmbus_get_channel(dev);
	sc->ring_size = hv_uio_ring_size(hv_uio_ring_pages);
	sx_init(&sc->lock, "hv_uio");
	rw_init(&sc->chan_lock, "hv_uio channels");
	mtx_init(&sc->event_lock, "hv_uio events", NULL, MTX_DEF);
	error = hv_uio_buffer_make(sc, &sc->recv, hv_uio_recv_size,
	    "receive buffer");
	if (error == 0)
		error = hv_uio_buffer_make(sc, &sc->send, hv_uio_send_size,
		    "send buffer");
	if (error != 0) {
		hv_uio_free(sc);
		return (error);
	}
	if (hv_uio_map_pages != 0) {
		hv_uio_vmbus_pages(sc->prichan, &interrupt_page,
		    &monitor_page);
		sc->interrupt_page = hv_uio_mem_borrow(interrupt_page);
		sc->monitor_page = hv_uio_mem_borrow(monitor_page);
	}
	hv_uio_sysctl_create(sc);
	error = hv_uio_cdev_create(sc);
	if (error != 0) {
		device_printf(dev, "no device node: %d\n", error);
		hv_uio_set_gone(sc);
		hv_uio_cdev_destroy(sc);
		hv_uio_free(sc);
	}
	return (error);
}

/* Where the host took the NIC away there is nothing to refuse. */
static int
hv_uio_detach(device_t dev)
{
	struct hv_uio_softc *sc;
	bool refuse;

	sc = device_get_softc(dev);
	sx_xlock(&sc->lock);
	refuse = hv_uio_in_use(sc) && !vmbus_chan_is_revoked(sc->prichan);
	if (!refuse)
		hv_uio_set_gone(sc);
	sx_xunlock(&sc->lock);
	if (refuse)
		return (EBUSY);
	hv_uio_cdev_destroy(sc);
	/* vmbus(4) frees the primary channel next, which no subchannel may
	 * survive; the host took them away, too. */
	if (vmbus_chan_is_revoked(sc->prichan))
		vmbus_subchan_drain(sc->prichan);
	hv_uio_free(sc);
	return (0);
}

static int
hv_uio_modevent(module_t module __unused, int what, void *arg __unused)
{

	switch (what) {
	case MOD_LOAD:
	case MOD_SHUTDOWN:
		return (0);
	case MOD_QUIESCE:
	case MOD_UNLOAD:
		/* The pager of what is mapped is in here. */
		if (hv_uio_mem_orphans() != 0)
			return (EBUSY);
		/* Who released the last may be on its way out. */
		pause("hvuioun", hz / 10);
		return (0);
	default:
		return (EOPNOTSUPP);
	}
}

static device_method_t hv_uio_methods[] = {
	DEVMETHOD(device_probe,		hv_uio_probe),
	DEVMETHOD(device_attach,	hv_uio_attach),
	DEVMETHOD(device_detach,	hv_uio_detach),
	DEVMETHOD_END
};

static driver_t hv_uio_driver = {
	"hv_uio",
	hv_uio_methods,
	sizeof(struct hv_uio_softc)
};

DRIVER_MODULE(hv_uio, vmbus, hv_uio_driver, hv_uio_modevent, NULL);
MODULE_VERSION(hv_uio, 1);
MODULE_DEPEND(hv_uio, vmbus, 1, 1, 1);
