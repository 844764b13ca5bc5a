/*-
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * The module's own: a device, its channels, and memory that processes map.
 */
#ifndef _HV_UIO_VAR_H_
#define	_HV_UIO_VAR_H_

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/conf.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <sys/rwlock.h>
#include <sys/selinfo.h>
#include <sys/sx.h>

#include <vm/vm.h>
#include <vm/vm_object.h>

#include <dev/hyperv/include/hyperv.h>
#include <dev/hyperv/include/vmbus.h>

#include "hv_uio.h"
#include "hv_uio_args.h"

MALLOC_DECLARE(M_HV_UIO);

/*
 * Physically contiguous memory.  The device has a reference, and so has every
 * VM object that maps it: it stays for as long as anybody sees it.
 */
struct hv_uio_mem {
	u_int		refs;
	bool		borrowed;	/* the bus's: not ours to free */
	bool		orphan;		/* the device is gone */
	uint8_t		*va;
	vm_paddr_t	pa;
	vm_size_t	size;
};

struct hv_uio_softc;

struct hv_uio_chan {
	struct hv_uio_softc	*sc;
	struct vmbus_channel	*chan;	/* while it is open, else NULL */
	struct hv_uio_mem	*rings;	/* kept from open to open */
	uint32_t		relid;
};

struct hv_uio_buffer {
	struct hv_uio_mem	*mem;
	uint32_t		gpadl;
};

struct hv_uio_softc {
	device_t		dev;
	struct cdev		*cdev;
	struct vmbus_channel	*prichan;

	/* Opening, closing and mapping; held while the host is waited for. */
	struct sx		lock;
	bool			open;
	struct hv_uio_buffer	recv;
	struct hv_uio_buffer	send;
	struct hv_uio_mem	*interrupt_page;
	struct hv_uio_mem	*monitor_page;
	uint64_t		ring_size;	/* of one ring */

	/* Who signals looks at the open channels; who changes them has lock. */
	struct rwlock		chan_lock;
	struct hv_uio_chan	chans[1 + HV_UIO_SUBCHANNELS];
	uint32_t		subchans_open;

	/* Events. */
	struct mtx		event_lock;
	struct selinfo		sel;
	uint32_t		events;
	uint32_t		events_read;
	bool			gone;
};

/* hv_uio_cdev.c */
int	hv_uio_cdev_create(struct hv_uio_softc *);
void	hv_uio_cdev_destroy(struct hv_uio_softc *);
void	hv_uio_event(struct hv_uio_softc *);
void	hv_uio_set_gone(struct hv_uio_softc *);
bool	hv_uio_in_use(const struct hv_uio_softc *);

/* hv_uio_chan.c: the caller has the lock, exclusively */
int	hv_uio_chan_open_primary(struct hv_uio_softc *);
int	hv_uio_chan_open_sub(struct hv_uio_softc *, uint32_t index,
	    uint32_t cpu);
void	hv_uio_chan_close_all(struct hv_uio_softc *);
int	hv_uio_chan_signal(struct hv_uio_softc *, uint32_t relid);
void	hv_uio_chan_mask(struct hv_uio_chan *, bool masked);
bool	hv_uio_chan_unread(const struct hv_uio_chan *);
void	hv_uio_chan_free(struct hv_uio_softc *);

/* hv_uio_mem.c */
struct hv_uio_mem *
	hv_uio_mem_alloc(device_t, vm_size_t size);
struct hv_uio_mem *
	hv_uio_mem_borrow(void *va);
bool	hv_uio_mem_mapped(const struct hv_uio_mem *);
void	hv_uio_mem_disown(struct hv_uio_mem *);
void	hv_uio_mem_leak(device_t, struct hv_uio_mem *, const char *what);
int	hv_uio_mem_object(struct hv_uio_mem *, vm_size_t size, int prot,
	    struct ucred *, vm_object_t *object);
u_int	hv_uio_mem_orphans(void);

/* hv_uio_vmbus.c */
int	hv_uio_vmbus_subchans(struct vmbus_channel *);
uint32_t hv_uio_vmbus_monitor(const struct vmbus_channel *);
void	hv_uio_vmbus_pages(struct vmbus_channel *, void **interrupt,
	    void **monitor);

#endif /* !_HV_UIO_VAR_H_ */
