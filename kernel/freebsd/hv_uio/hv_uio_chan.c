/*-
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Channels: opened one by one for a process, closed together after it.
 */
#include "hv_uio_var.h"

#include <sys/proc.h>
#include <sys/smp.h>

#include <machine/atomic.h>

/* How long a close waits for the host to take its subchannels back. */
#define	HV_UIO_DRAIN_MS		5000

static volatile uint32_t *
hv_uio_receive_ring(const struct hv_uio_chan *c)
{

	return ((volatile uint32_t *)(c->rings->va + c->rings->size / 2));
}

void
hv_uio_chan_mask(struct hv_uio_chan *c, bool masked)
{

	atomic_store_rel_32(&hv_uio_receive_ring(c)[HV_UIO_RING_MASK], masked);
	atomic_thread_fence_seq_cst();
}

bool
hv_uio_chan_unread(const struct hv_uio_chan *c)
{
	volatile uint32_t *ring;

	ring = hv_uio_receive_ring(c);
	return (hv_uio_ring_unread(atomic_load_acq_32(&ring[HV_UIO_RING_IN]),
	    atomic_load_acq_32(&ring[HV_UIO_RING_OUT]),
	    c->rings->size / 2 - PAGE_SIZE));
}

/*
 * The host signalled.  Nobody reads the ring here: it is masked, lest the host
 * signals again for each packet until the process comes round to it.
 */
static void
hv_uio_chan_callback(struct vmbus_channel *chan __unused, void *arg)
{
	struct hv_uio_chan *c;

	c = arg;
	hv_uio_chan_mask(c, true);
	hv_uio_event(c->sc);
}

static int
hv_uio_chan_open(struct hv_uio_softc *sc, struct hv_uio_chan *c,
    struct vmbus_channel *chan)
{
	struct vmbus_chan_br br;
	int error;

	if (vmbus_chan_is_revoked(chan))
		return (EIO);
	if (c->rings == NULL)
		c->rings = hv_uio_mem_alloc(sc->dev, 2 * sc->ring_size);
	if (c->rings == NULL) {
		device_printf(sc->dev, "no %ju contiguous bytes for the rings "
		    "of a channel; set hw.hv_uio.ring_pages to less\n",
		    (uintmax_t)(2 * sc->ring_size));
		return (ENOMEM);
	}
	c->sc = sc;
	br.cbr = c->rings->va;
	br.cbr_paddr = c->rings->pa;
	br.cbr_txsz = sc->ring_size;
	br.cbr_rxsz = sc->ring_size;
	/* With it, the kernel would call back until the ring is empty. */
	vmbus_chan_set_readbatch(chan, false);
	error = vmbus_chan_open_br(chan, &br, NULL, 0, hv_uio_chan_callback,
	    c);
	if (error == EISCONN) {
		hv_uio_mem_leak(sc->dev, c->rings, "rings of a channel");
		c->rings = NULL;
	}
	if (error != 0)
		return (error);
	hv_uio_chan_mask(c, true);
	rw_wlock(&sc->chan_lock);
	c->chan = chan;
	c->relid = vmbus_chan_id(chan);
	rw_wunlock(&sc->chan_lock);
	return (0);
}

/* Afterwards a subchannel is not ours any more, opened or not. */
static void
hv_uio_chan_close(struct hv_uio_softc *sc, struct hv_uio_chan *c,
    struct vmbus_channel *chan)
{

	if (c != NULL) {
		rw_wlock(&sc->chan_lock);
		c->chan = NULL;
		rw_wunlock(&sc->chan_lock);
	}
	if (vmbus_chan_close_direct(chan) == EISCONN && c != NULL) {
		hv_uio_mem_leak(sc->dev, c->rings, "rings of a channel");
		c->rings = NULL;
	}
}

int
hv_uio_chan_open_primary(struct hv_uio_softc *sc)
{

	if (hv_uio_vmbus_subchans(sc->prichan) != 0) {
		device_printf(sc->dev,
		    "the host has not taken back all subchannels yet\n");
		return (EBUSY);
	}
	return (hv_uio_chan_open(sc, &sc->chans[0], sc->prichan));
}

static struct hv_uio_chan *
hv_uio_chan_find(struct hv_uio_softc *sc, struct vmbus_channel *chan)
{
	uint32_t i;

	for (i = 0; i <= HV_UIO_SUBCHANNELS; i++) {
		if (sc->chans[i].chan == chan)
			return (&sc->chans[i]);
	}
	return (NULL);
}

int
hv_uio_chan_open_sub(struct hv_uio_softc *sc, uint32_t index, uint32_t cpu)
{
	struct vmbus_channel **list, *chan;
	int count, error, i;

	if (sc->chans[index].chan != NULL)
		return (EEXIST);
	count = hv_uio_vmbus_subchans(sc->prichan);
	if (count == 0)
		return (EAGAIN);
	chan = NULL;
	list = vmbus_subchan_get(sc->prichan, count); /* cannot sleep */
	for (i = 0; i < count; i++) {
		if (vmbus_chan_subidx(list[i]) == index)
			chan = list[i];
	}
	vmbus_subchan_rel(list, count);
	if (chan == NULL)
		return (EAGAIN);
	vmbus_chan_cpu_set(chan,
	    cpu == HV_UIO_ANY_CPU ? index % mp_ncpus : cpu);
	error = hv_uio_chan_open(sc, &sc->chans[index], chan);
	if (error == 0)
		sc->subchans_open++;
	return (error);
}

/*
 * Every subchannel that was offered has to be closed once, opened or not: only
 * then is it let go, and the host can take it back (which it does when the
 * primary channel is closed).  The host may offer more of them meanwhile.
 */
void
hv_uio_chan_close_all(struct hv_uio_softc *sc)
{
	struct vmbus_channel *closed[HV_UIO_SUBCHANNELS], **list;
	int count, i, j, nclosed, waited;

	nclosed = 0;
	for (waited = 0; ; waited++) {
		count = hv_uio_vmbus_subchans(sc->prichan);
		if (count > HV_UIO_SUBCHANNELS)
			count = HV_UIO_SUBCHANNELS;
		list = count > 0 ? vmbus_subchan_get(sc->prichan, count) : NULL;
		for (i = 0; i < count; i++) {
			for (j = 0; j < nclosed && closed[j] != list[i]; j++)
				;
			if (j == nclosed)
				hv_uio_chan_close(sc, hv_uio_chan_find(sc,
				    list[i]), list[i]);
		}
		/* What is gone from the list may come again, as another. */
		nclosed = count;
		for (i = 0; i < count; i++)
			closed[i] = list[i];
		if (list != NULL)
			vmbus_subchan_rel(list, count);
		if (sc->chans[0].chan != NULL)
			hv_uio_chan_close(sc, &sc->chans[0], sc->prichan);
		if (count == 0 || waited == HV_UIO_DRAIN_MS)
			break;
		pause_sbt("hvuiodr", SBT_1MS, 0, 0);
	}
	if (count != 0)
		device_printf(sc->dev,
		    "the host keeps %d subchannels of a closed channel\n",
		    count);
	sc->subchans_open = 0;
}

/* Open channels come first in the list, as the host counts subchannels. */
int
hv_uio_chan_signal(struct hv_uio_softc *sc, uint32_t relid)
{
	struct hv_uio_chan *c;
	int error;

	error = ENOENT;
	rw_rlock(&sc->chan_lock);
	for (c = sc->chans; c <= &sc->chans[HV_UIO_SUBCHANNELS]; c++) {
		if (c->chan != NULL && (relid == 0 || c->relid == relid)) {
			vmbus_chan_write_signal(c->chan, -1);
			error = 0;
			break;
		}
	}
	rw_runlock(&sc->chan_lock);
	return (error);
}

void
hv_uio_chan_free(struct hv_uio_softc *sc)
{
	uint32_t i;

	for (i = 0; i <= HV_UIO_SUBCHANNELS; i++) {
		hv_uio_mem_disown(sc->chans[i].rings);
		sc->chans[i].rings = NULL;
	}
}
