/*-
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Channels come and go as the host says.  As with vmbus(4):
 *
 * - A channel has a reference while it is offered; a subchannel has another
 *   one, which is dropped when it is closed.  When the last one is gone its
 *   number is released to the host.
 * - Devices are attached and detached by one thread, subchannels by another.
 */
#include "mock_var.h"

#include <sys/smp.h>

static void
mock_chan_free(struct vmbus_channel *chan)
{
	struct mock_softc *sc;

	sc = MOCK_SOFTC(chan);
	KASSERT(TAILQ_EMPTY(&chan->ch_subchans),
	    ("channel %u has subchannels when it goes", chan->ch_id));
	KASSERT((chan->ch_stflags & (VMBUS_CHAN_ST_OPENED |
	    VMBUS_CHAN_ST_ONPRIL | VMBUS_CHAN_ST_ONSUBL |
	    VMBUS_CHAN_ST_ONLIST)) == 0,
	    ("channel %u is in use when it goes: 0x%x", chan->ch_id,
	    chan->ch_stflags));
	mtx_destroy(&chan->ch_subchan_lock);
	free(chan, M_MOCK_VMBUS);
	mtx_lock(&sc->lock);
	sc->channels--;
	mtx_unlock(&sc->lock);
}

static void
mock_pri_attach(void *arg, int pending __unused)
{

	mock_bus_add(arg);
}

static void
mock_pri_detach(void *arg, int pending __unused)
{
	struct vmbus_channel *chan;

	chan = arg;
	mock_bus_delete(chan);
	mock_host_tell(MOCK_SOFTC(chan), MOCK_VMBUS_RELEASE, chan->ch_id);
	mock_chan_free(chan);
}

static void
mock_sub_detach(void *arg, int pending __unused)
{
	struct vmbus_channel *chan, *pri;

	chan = arg;
	pri = chan->ch_prichan;
	mock_host_tell(MOCK_SOFTC(chan), MOCK_VMBUS_RELEASE, chan->ch_id);
	mtx_lock(&pri->ch_subchan_lock);
	TAILQ_REMOVE(&pri->ch_subchans, chan, ch_sublink);
	pri->ch_subchan_cnt--;
	atomic_clear_int(&chan->ch_stflags, VMBUS_CHAN_ST_ONSUBL);
	mtx_unlock(&pri->ch_subchan_lock);
	wakeup(pri);
	mock_chan_free(chan);
}

static struct vmbus_channel *
mock_chan_alloc(struct mock_softc *sc, const struct mock_vmbus_offer *offer)
{
	struct vmbus_channel *chan;
	struct vmbus_softc *bus;

	bus = &sc->bus;
	/* Its type wants more alignment than a zone of that size has. */
	chan = malloc_aligned(sizeof(struct mock_channel),
	    _Alignof(struct mock_channel), M_MOCK_VMBUS, M_WAITOK | M_ZERO);
	chan->ch_vmbus = bus;
	chan->ch_id = offer->relid;
	chan->ch_subidx = offer->subidx;
	memcpy(&chan->ch_guid_type, offer->class_id, sizeof(offer->class_id));
	memcpy(&chan->ch_guid_inst, offer->instance_id,
	    sizeof(offer->instance_id));
	chan->ch_flags = VMBUS_CHAN_FLAG_BATCHREAD;
	chan->ch_refs = 1;
	mtx_init(&chan->ch_subchan_lock, "vmbus subchan", NULL, MTX_DEF);
	TAILQ_INIT(&chan->ch_subchans);
	if (offer->monitor_id != MOCK_VMBUS_NO_MONITOR) {
		chan->ch_txflags = VMBUS_CHAN_TXF_HASMNF;
		chan->ch_montrig = &bus->vmbus_mnf2->mnf_trigs[
		    offer->monitor_id / VMBUS_MONTRIG_LEN].mt_pending;
		chan->ch_montrig_mask =
		    1u << offer->monitor_id % VMBUS_MONTRIG_LEN;
	}
	chan->ch_evtflag =
	    &bus->vmbus_tx_evtflags[chan->ch_id / VMBUS_EVTFLAG_LEN];
	chan->ch_evtflag_mask = 1ul << (chan->ch_id & VMBUS_EVTFLAG_MASK);
	if (VMBUS_CHAN_ISPRIMARY(chan)) {
		chan->ch_mgmt_tq = bus->vmbus_devtq;
		TASK_INIT(&chan->ch_attach_task, 0, mock_pri_attach, chan);
		TASK_INIT(&chan->ch_detach_task, 0, mock_pri_detach, chan);
	} else {
		chan->ch_mgmt_tq = bus->vmbus_subchtq;
		TASK_INIT(&chan->ch_detach_task, 0, mock_sub_detach, chan);
	}
	mtx_lock(&sc->lock);
	sc->channels++;
	mtx_unlock(&sc->lock);
	return (chan);
}

static struct vmbus_channel *
mock_find_primary(struct vmbus_softc *bus, const struct vmbus_channel *like)
{
	struct vmbus_channel *pri;

	mtx_assert(&bus->vmbus_prichan_lock, MA_OWNED);
	TAILQ_FOREACH(pri, &bus->vmbus_prichans, ch_prilink) {
		if (memcmp(&pri->ch_guid_type, &like->ch_guid_type,
		    sizeof(like->ch_guid_type)) == 0 &&
		    memcmp(&pri->ch_guid_inst, &like->ch_guid_inst,
		    sizeof(like->ch_guid_inst)) == 0)
			break;
	}
	return (pri);
}

static struct vmbus_channel *
mock_find_offered(struct vmbus_softc *bus, uint32_t relid)
{
	struct vmbus_channel *chan;

	mtx_assert(&bus->vmbus_chan_lock, MA_OWNED);
	TAILQ_FOREACH(chan, &bus->vmbus_chans, ch_link) {
		if (chan->ch_id == relid)
			break;
	}
	return (chan);
}

/* Called by one thread at a time: the host's. */
int
mock_chan_offer(struct mock_softc *sc, const struct mock_vmbus_offer *offer)
{
	struct vmbus_channel *chan, *pri;
	struct vmbus_softc *bus;
	bool known;

	bus = &sc->bus;
	if (offer->relid == 0 || offer->relid >= VMBUS_CHAN_MAX ||
	    (offer->monitor_id != MOCK_VMBUS_NO_MONITOR && offer->monitor_id >=
	    VMBUS_MONTRIGS_MAX * VMBUS_MONTRIG_LEN))
		return (EINVAL);
	mtx_lock(&bus->vmbus_chan_lock);
	known = mock_find_offered(bus, offer->relid) != NULL;
	mtx_unlock(&bus->vmbus_chan_lock);
	if (known)
		return (EEXIST);

	chan = mock_chan_alloc(sc, offer);
	mtx_lock(&bus->vmbus_prichan_lock);
	pri = mock_find_primary(bus, chan);
	if (VMBUS_CHAN_ISPRIMARY(chan) && pri == NULL) {
		chan->ch_stflags |= VMBUS_CHAN_ST_ONPRIL;
		TAILQ_INSERT_TAIL(&bus->vmbus_prichans, chan, ch_prilink);
		pri = chan;
	} else if (VMBUS_CHAN_ISPRIMARY(chan))
		pri = NULL;
	mtx_unlock(&bus->vmbus_prichan_lock);
	if (pri == NULL) {
		mock_chan_free(chan);
		return (VMBUS_CHAN_ISPRIMARY(chan) ? EEXIST : ENOENT);
	}
	if (!VMBUS_CHAN_ISPRIMARY(chan)) {
		chan->ch_refs++;
		chan->ch_prichan = pri;
		chan->ch_dev = pri->ch_dev;
		mtx_lock(&pri->ch_subchan_lock);
		atomic_set_int(&chan->ch_stflags, VMBUS_CHAN_ST_ONSUBL);
		TAILQ_INSERT_TAIL(&pri->ch_subchans, chan, ch_sublink);
		pri->ch_subchan_cnt++;
		mtx_unlock(&pri->ch_subchan_lock);
		wakeup(pri);
	}
	mtx_lock(&bus->vmbus_chan_lock);
	atomic_set_int(&chan->ch_stflags, VMBUS_CHAN_ST_ONLIST);
	TAILQ_INSERT_TAIL(&bus->vmbus_chans, chan, ch_link);
	mtx_unlock(&bus->vmbus_chan_lock);
	if (VMBUS_CHAN_ISPRIMARY(chan))
		taskqueue_enqueue(chan->ch_mgmt_tq, &chan->ch_attach_task);
	return (0);
}

/* The channel has been taken from the list of those offered. */
static void
mock_chan_revoke(struct vmbus_channel *chan)
{
	struct vmbus_softc *bus;

	bus = chan->ch_vmbus;
	if (VMBUS_CHAN_ISPRIMARY(chan)) {
		mtx_lock(&bus->vmbus_prichan_lock);
		TAILQ_REMOVE(&bus->vmbus_prichans, chan, ch_prilink);
		atomic_clear_int(&chan->ch_stflags, VMBUS_CHAN_ST_ONPRIL);
		mtx_unlock(&bus->vmbus_prichan_lock);
	}
	atomic_set_int(&chan->ch_stflags, VMBUS_CHAN_ST_REVOKED);
	mock_chan_unref(chan);
}

int
mock_chan_rescind(struct mock_softc *sc, uint32_t relid)
{
	struct vmbus_channel *chan;
	struct vmbus_softc *bus;

	bus = &sc->bus;
	mtx_lock(&bus->vmbus_chan_lock);
	chan = mock_find_offered(bus, relid);
	if (chan != NULL) {
		TAILQ_REMOVE(&bus->vmbus_chans, chan, ch_link);
		atomic_clear_int(&chan->ch_stflags, VMBUS_CHAN_ST_ONLIST);
	}
	mtx_unlock(&bus->vmbus_chan_lock);
	if (chan == NULL)
		return (ENOENT);
	mock_chan_revoke(chan);
	return (0);
}

/* Subchannels first: a device waits for them when it is detached. */
void
mock_chan_rescind_all(struct mock_softc *sc)
{
	struct vmbus_channel *chan;
	uint32_t relid;
	bool primary;

	for (primary = false;; ) {
		mtx_lock(&sc->bus.vmbus_chan_lock);
		TAILQ_FOREACH(chan, &sc->bus.vmbus_chans, ch_link) {
			if (VMBUS_CHAN_ISPRIMARY(chan) == primary)
				break;
		}
		relid = chan != NULL ? chan->ch_id : 0;
		mtx_unlock(&sc->bus.vmbus_chan_lock);
		if (relid != 0)
			mock_chan_rescind(sc, relid);
		else if (primary)
			break;
		else
			primary = true;
	}
}

void
mock_chan_unref(struct vmbus_channel *chan)
{
	int refs;

	refs = atomic_fetchadd_int(&chan->ch_refs, -1);
	KASSERT(refs > 0, ("channel %u: %d references", chan->ch_id, refs));
	KASSERT(refs == 1 || !VMBUS_CHAN_ISPRIMARY(chan),
	    ("primary channel %u: %d references", chan->ch_id, refs));
	if (refs == 1)
		taskqueue_enqueue(chan->ch_mgmt_tq, &chan->ch_detach_task);
}
