/*-
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * What drivers call: the part of vmbus(4)'s functions that a driver needs
 * which leaves the rings to somebody else.  Misuse that vmbus(4) asserts
 * against is asserted against here, too.
 */
#include "mock_var.h"

#include <sys/smp.h>

/* Once a callback has run and the ring has more, it runs again. */
static void
mock_chan_task_batch(void *arg, int pending __unused)
{
	struct vmbus_channel *chan;
	struct vmbus_bufring *ring;

	chan = arg;
	ring = chan->ch_rxbr.rxbr.vbr;
	for (;;) {
		chan->ch_cb(chan, chan->ch_cbarg);
		ring->br_imask = 0;
		mb();
		if (ring->br_windex == ring->br_rindex)
			break;
		ring->br_imask = 1;
		mb();
	}
}

static void
mock_chan_task(void *arg, int pending __unused)
{
	struct vmbus_channel *chan;

	chan = arg;
	chan->ch_cb(chan, chan->ch_cbarg);
}

/* The host's interrupt for a channel; for a closed one it is lost. */
void
mock_chan_interrupt(struct mock_softc *sc, uint32_t relid)
{
	struct vmbus_channel *chan;

	if (relid >= VMBUS_CHAN_MAX)
		return;
	mtx_lock(&sc->lock);
	chan = sc->bus.vmbus_chmap[relid];
	if (chan != NULL) {
		if ((chan->ch_flags & VMBUS_CHAN_FLAG_BATCHREAD) != 0)
			chan->ch_rxbr.rxbr_imask = 1;
		taskqueue_enqueue(chan->ch_tq, &chan->ch_task);
	}
	mtx_unlock(&sc->lock);
}

static void
mock_chan_install(struct vmbus_channel *chan, bool on)
{
	struct mock_softc *sc;

	sc = MOCK_SOFTC(chan);
	mtx_lock(&sc->lock);
	sc->bus.vmbus_chmap[chan->ch_id] = on ? chan : NULL;
	mtx_unlock(&sc->lock);
	if (!on)
		taskqueue_drain(chan->ch_tq, &chan->ch_task);
}

int
vmbus_chan_gpadl_connect(struct vmbus_channel *chan, bus_addr_t paddr,
    int size, uint32_t *gpadl)
{
	struct mock_softc *sc;
	struct mock_vmbus_msg msg = { .type = MOCK_VMBUS_GPADL };

	KASSERT(*gpadl == 0, ("a GPADL is there"));
	KASSERT((size & PAGE_MASK) == 0 && (paddr & PAGE_MASK) == 0,
	    ("no whole pages: %d bytes at 0x%jx", size, (uintmax_t)paddr));
	/* The list of pages has a length of 16 bits in the host's message. */
	if (__offsetof(struct vmbus_gpa_range, gpa_page[atop(size)]) >
	    UINT16_MAX)
		return (EOPNOTSUPP);
	sc = MOCK_SOFTC(chan);
	/* It keeps clear of 0, and starts high so that none is a relid. */
	do {
		msg.gpadl = atomic_fetchadd_int(&sc->bus.vmbus_gpadl, 1) +
		    0xe1e10;
	} while (msg.gpadl == 0);
	msg.relid = chan->ch_id;
	msg.gpa = paddr;
	msg.size = size;
	if (mock_host_ask(sc, &msg, NULL) != 0)
		return (EIO);
	*gpadl = msg.gpadl;
	return (0);
}

int
vmbus_chan_gpadl_disconnect(struct vmbus_channel *chan, uint32_t gpadl)
{
	struct mock_vmbus_msg msg = { .type = MOCK_VMBUS_GPADL_TEARDOWN };

	KASSERT(gpadl != 0, ("no GPADL"));
	msg.relid = chan->ch_id;
	msg.gpadl = gpadl;
	/* The answer says nothing; without a host nobody uses the memory. */
	mock_host_ask(MOCK_SOFTC(chan), &msg, NULL);
	return (0);
}

static void
mock_chan_setup_rings(struct vmbus_channel *chan,
    const struct vmbus_chan_br *cbr)
{

	memset(cbr->cbr, 0, cbr->cbr_txsz + cbr->cbr_rxsz);
	chan->ch_txbr.txbr.vbr = cbr->cbr;
	chan->ch_txbr.txbr_dsize =
	    cbr->cbr_txsz - sizeof(struct vmbus_bufring);
	chan->ch_rxbr.rxbr.vbr =
	    (void *)((uint8_t *)cbr->cbr + cbr->cbr_txsz);
	chan->ch_rxbr.rxbr_dsize =
	    cbr->cbr_rxsz - sizeof(struct vmbus_bufring);
}

int
vmbus_chan_open_br(struct vmbus_channel *chan, const struct vmbus_chan_br *cbr,
    const void *udata __unused, int udlen __unused, vmbus_chan_callback_t cb,
    void *cbarg)
{
	struct mock_vmbus_msg msg = { .type = MOCK_VMBUS_OPEN };
	int error;

	KASSERT((cbr->cbr_txsz & PAGE_MASK) == 0 &&
	    (cbr->cbr_rxsz & PAGE_MASK) == 0 &&
	    (cbr->cbr_paddr & PAGE_MASK) == 0, ("rings are not whole pages"));
	KASSERT((chan->ch_stflags & VMBUS_CHAN_ST_OPENED) == 0,
	    ("channel %u is open", chan->ch_id));
	atomic_set_int(&chan->ch_stflags, VMBUS_CHAN_ST_OPENED);
	mock_chan_setup_rings(chan, cbr);
	chan->ch_cb = cb;
	chan->ch_cbarg = cbarg;
	chan->ch_tq = chan->ch_vmbus->vmbus_pcpu[chan->ch_cpuid].event_tq;
	TASK_INIT(&chan->ch_task, 0,
	    (chan->ch_flags & VMBUS_CHAN_FLAG_BATCHREAD) != 0 ?
	    mock_chan_task_batch : mock_chan_task, chan);

	chan->ch_bufring_gpadl = 0;
	error = vmbus_chan_gpadl_connect(chan, cbr->cbr_paddr,
	    cbr->cbr_txsz + cbr->cbr_rxsz, &chan->ch_bufring_gpadl);
	if (error == 0) {
		mock_chan_install(chan, true);
		msg.relid = chan->ch_id;
		msg.gpadl = chan->ch_bufring_gpadl;
		msg.tx_pages = atop(cbr->cbr_txsz);
		msg.vcpu = chan->ch_vcpuid;
		if (mock_host_ask(MOCK_SOFTC(chan), &msg, chan) == 0)
			return (0);
		error = ENXIO;
		mock_chan_install(chan, false);
		vmbus_chan_gpadl_disconnect(chan, chan->ch_bufring_gpadl);
		chan->ch_bufring_gpadl = 0;
	}
	mock_host_forget_signal(MOCK_SOFTC(chan), MOCK_CHANNEL(chan));
	atomic_clear_int(&chan->ch_stflags, VMBUS_CHAN_ST_OPENED);
	return (error);
}

static void
mock_chan_assert_alone(struct vmbus_channel *pri)
{
#ifdef INVARIANTS
	struct vmbus_channel *chan;

	mtx_lock(&pri->ch_subchan_lock);
	TAILQ_FOREACH(chan, &pri->ch_subchans, ch_sublink) {
		KASSERT((chan->ch_stflags & VMBUS_CHAN_ST_OPENED) == 0,
		    ("channel %u closed before its subchannel %u", pri->ch_id,
		    chan->ch_subidx));
	}
	mtx_unlock(&pri->ch_subchan_lock);
#endif
}

int
vmbus_chan_close_direct(struct vmbus_channel *chan)
{
	struct mock_softc *sc;

	sc = MOCK_SOFTC(chan);
	if (VMBUS_CHAN_ISPRIMARY(chan))
		mock_chan_assert_alone(chan);
	/* A subchannel may be closed that never was open. */
	if ((atomic_load_int(&chan->ch_stflags) & VMBUS_CHAN_ST_OPENED) != 0) {
		atomic_clear_int(&chan->ch_stflags, VMBUS_CHAN_ST_OPENED);
		mock_chan_install(chan, false);
		chan->ch_tq = NULL;
		mock_host_forget_signal(sc, MOCK_CHANNEL(chan));
		mock_host_tell(sc, MOCK_VMBUS_CLOSE, chan->ch_id);
		vmbus_chan_gpadl_disconnect(chan, chan->ch_bufring_gpadl);
		chan->ch_bufring_gpadl = 0;
	}
	if (!VMBUS_CHAN_ISPRIMARY(chan))
		mock_chan_unref(chan);
	return (0);
}

void
vmbus_chan_intr_drain(struct vmbus_channel *chan)
{

	taskqueue_drain(chan->ch_tq, &chan->ch_task);
}

static uint32_t
mock_ring_available(const struct vmbus_br *br)
{
	uint32_t read, written;

	read = br->vbr_rindex;
	written = br->vbr_windex;
	return (written >= read ? br->vbr_dsize - (written - read) :
	    read - written);
}

bool
vmbus_chan_write_signal(struct vmbus_channel *chan, int32_t min_signal_size)
{
	const struct vmbus_br *br;

	br = &chan->ch_txbr.txbr;
	if (min_signal_size >= 0 &&
	    mock_ring_available(br) > (uint32_t)min_signal_size)
		return (false);
	if (br->vbr_imask != 0)
		return (false);
	br->vbr_intrcnt++;
	atomic_set_long(chan->ch_evtflag, chan->ch_evtflag_mask);
	if ((chan->ch_txflags & VMBUS_CHAN_TXF_HASMNF) != 0)
		atomic_set_int(chan->ch_montrig, chan->ch_montrig_mask);
	else
		mock_host_signal(MOCK_SOFTC(chan), MOCK_CHANNEL(chan));
	return (true);
}

void
vmbus_chan_cpu_set(struct vmbus_channel *chan, int cpu)
{

	KASSERT(cpu >= 0 && cpu < mp_ncpus, ("no CPU %d", cpu));
	chan->ch_cpuid = cpu;
	chan->ch_vcpuid = cpu;
}

void
vmbus_chan_set_readbatch(struct vmbus_channel *chan, bool on)
{

	if (on)
		chan->ch_flags |= VMBUS_CHAN_FLAG_BATCHREAD;
	else
		chan->ch_flags &= ~VMBUS_CHAN_FLAG_BATCHREAD;
}

struct vmbus_channel **
vmbus_subchan_get(struct vmbus_channel *pri, int count)
{
	struct vmbus_channel **list, *chan;
	int i;

	KASSERT(count > 0, ("%d subchannels wanted", count));
	list = malloc(count * sizeof(list[0]), M_TEMP, M_WAITOK);
	mtx_lock(&pri->ch_subchan_lock);
	while (pri->ch_subchan_cnt < count)
		mtx_sleep(pri, &pri->ch_subchan_lock, 0, "subch", 0);
	chan = TAILQ_FIRST(&pri->ch_subchans);
	for (i = 0; i < count; i++) {
		list[i] = chan;
		chan = TAILQ_NEXT(chan, ch_sublink);
	}
	mtx_unlock(&pri->ch_subchan_lock);
	return (list);
}

void
vmbus_subchan_rel(struct vmbus_channel **list, int count __unused)
{

	free(list, M_TEMP);
}

void
vmbus_subchan_drain(struct vmbus_channel *pri)
{

	mtx_lock(&pri->ch_subchan_lock);
	while (pri->ch_subchan_cnt > 0)
		mtx_sleep(pri, &pri->ch_subchan_lock, 0, "dsubch", 0);
	mtx_unlock(&pri->ch_subchan_lock);
}

uint32_t
vmbus_chan_id(const struct vmbus_channel *chan)
{

	return (chan->ch_id);
}

uint32_t
vmbus_chan_subidx(const struct vmbus_channel *chan)
{

	return (chan->ch_subidx);
}

bool
vmbus_chan_is_primary(const struct vmbus_channel *chan)
{

	return (VMBUS_CHAN_ISPRIMARY(chan));
}

bool
vmbus_chan_is_revoked(const struct vmbus_channel *chan)
{

	return ((atomic_load_acq_int(&chan->ch_stflags) &
	    VMBUS_CHAN_ST_REVOKED) != 0);
}

struct hyperv_guid *
vmbus_chan_guid_type(struct vmbus_channel *chan)
{

	return (&chan->ch_guid_type);
}

struct hyperv_guid *
vmbus_chan_guid_inst(struct vmbus_channel *chan)
{

	return (&chan->ch_guid_inst);
}

bool
vmbus_chan_rx_empty(const struct vmbus_channel *chan)
{

	return (chan->ch_rxbr.rxbr_windex == chan->ch_rxbr.rxbr_rindex);
}

struct taskqueue *
vmbus_chan_mgmt_tq(const struct vmbus_channel *chan)
{

	return (chan->ch_mgmt_tq);
}
