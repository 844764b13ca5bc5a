/*-
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * What vmbus(4) tells no driver: the only file that includes its private
 * headers.
 */
#include "hv_uio_var.h"

#include <dev/hyperv/vmbus/vmbus_reg.h>
#include <dev/hyperv/vmbus/vmbus_chanvar.h>
#include <dev/hyperv/vmbus/vmbus_var.h>

/*
 * Subchannels that were offered and not closed.  vmbus_subchan_get() and
 * vmbus_subchan_drain() sleep until there are enough or none, for ever if need
 * be, and cannot be killed: who knows the number need not wait.
 */
int
hv_uio_vmbus_subchans(struct vmbus_channel *prichan)
{
	int count;

	mtx_lock(&prichan->ch_subchan_lock);
	count = prichan->ch_subchan_cnt;
	mtx_unlock(&prichan->ch_subchan_lock);
	return (count);
}

/* @return the number of its bit in the monitor page, or HV_UIO_NO_MONITOR */
uint32_t
hv_uio_vmbus_monitor(const struct vmbus_channel *chan)
{
	const struct vmbus_mnf *page;
	uint32_t group;

	if ((chan->ch_txflags & VMBUS_CHAN_TXF_HASMNF) == 0)
		return (HV_UIO_NO_MONITOR);
	page = chan->ch_vmbus->vmbus_mnf2;
	for (group = 0; group < VMBUS_MONTRIGS_MAX; group++) {
		if (chan->ch_montrig == &page->mnf_trigs[group].mt_pending)
			return (group * VMBUS_MONTRIG_LEN +
			    ffs(chan->ch_montrig_mask) - 1);
	}
	return (HV_UIO_NO_MONITOR);
}

void
hv_uio_vmbus_pages(struct vmbus_channel *chan, void **interrupt,
    void **monitor)
{

	*interrupt = chan->ch_vmbus->vmbus_evtflags;
	*monitor = chan->ch_vmbus->vmbus_mnf2;
}
