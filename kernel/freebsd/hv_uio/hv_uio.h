/*-
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * hv_uio(4): Hyper-V network adapters for user space.
 *
 * A device node belongs to one opener at a time, and to one process that
 * maps its memory.  Opening it opens the primary channel, the last close
 * closes all channels; both rings of a channel start empty.
 *
 * read(2)	4 bytes, the number of events so far.  Sleeps until there was
 *		one since the last read, unless O_NONBLOCK is set (EAGAIN).
 *		EIO once the host took the device away.
 * write(2)	4 bytes: 1 has the host signal the primary channel, 0 has it
 *		not.  The same as interrupt_mask in the receive ring, but what
 *		is unread already counts as an event.
 * poll(2), kevent(2) with EVFILT_READ
 *		when a read would not sleep; EV_EOF and EIO in fflags once the
 *		host took the device away.
 * mmap(2)	at HV_UIO_OFFSET().
 *
 * An event is a signal from the host, for whichever channel; it masks the
 * channel's receive ring.
 */
#ifndef _HV_UIO_H_
#define	_HV_UIO_H_

#ifdef _KERNEL
#include <sys/types.h>
#include <sys/ioccom.h>
#else
#include <sys/types.h>
#include <sys/ioctl.h>
#include <stdint.h>
#endif

#define	HV_UIO_VERSION		1

/* Memory that can be mapped. */
#define	HV_UIO_MAP_RINGS	0	/* guest to host, then host to guest */
#define	HV_UIO_MAP_INTERRUPT	1	/* the bus's, see HV_UIO_INFO_PAGES */
#define	HV_UIO_MAP_MONITOR	2	/* the bus's, see HV_UIO_INFO_PAGES */
#define	HV_UIO_MAP_RECEIVE	3
#define	HV_UIO_MAP_SEND		4
#define	HV_UIO_MAPS		5

/*
 * Where mmap(2) finds it.  The relid is a subchannel's for that subchannel's
 * rings, else 0.
 */
#define	HV_UIO_PAGE_SIZE	4096
#define	HV_UIO_OFFSET(relid, map)					\
	((off_t)((uint64_t)(relid) << 8 | (map)) * HV_UIO_PAGE_SIZE)

/* Subchannels of a device, at most. */
#define	HV_UIO_SUBCHANNELS	255

#define	HV_UIO_NO_MONITOR	255
#define	HV_UIO_ANY_CPU		UINT32_MAX

struct hv_uio_region {
	uint64_t	size;		/* bytes; 0 = cannot be mapped */
	uint32_t	gpadl;		/* names it to the host, or 0 */
	uint32_t	reserved;	/* 0 */
};

/* HV_UIO_INFO: what there is. */
struct hv_uio_info {
	uint32_t	version;	/* in: HV_UIO_VERSION; else EINVAL */
	uint32_t	flags;		/* HV_UIO_INFO_* */
	uint32_t	relid;		/* of the primary channel */
	uint32_t	monitor_id;	/* of it, or HV_UIO_NO_MONITOR */
	uint32_t	offered;	/* subchannels that the host has offered */
	uint32_t	open;		/* subchannels that are open */
	uint8_t		class_id[16];	/* as on the bus */
	uint8_t		instance_id[16];
	struct hv_uio_region region[HV_UIO_MAPS]; /* rings: of each channel */
};
#define	HV_UIO_INFO_PAGES	0x1	/* the bus's pages can be mapped */

/* HV_UIO_SUBCHAN_OPEN: EAGAIN until the host has offered it. */
struct hv_uio_subchan {
	uint32_t	version;	/* in: HV_UIO_VERSION; else EINVAL */
	uint32_t	index;		/* in: from 1, as the host counts them */
	uint32_t	cpu;		/* in: takes its interrupts; or HV_UIO_ANY_CPU */
	uint32_t	relid;
	uint32_t	monitor_id;	/* or HV_UIO_NO_MONITOR */
	uint32_t	reserved;	/* 0 */
	uint64_t	size;		/* of its two rings */
};

#define	HV_UIO_INFO		_IOWR('h', 32, struct hv_uio_info)
#define	HV_UIO_SUBCHAN_OPEN	_IOWR('h', 33, struct hv_uio_subchan)
/*
 * Tells the host that rings of a channel changed: its relid, or 0 for the
 * primary channel.
 */
#define	HV_UIO_SIGNAL		_IOW('h', 34, uint32_t)
/*
 * Opens subchannels 1 to the given number, for which it waits up to five
 * seconds (ETIMEDOUT).  As in the hv_uio that was published for FreeBSD.
 */
#define	HV_UIO_SUBCHAN_OPEN_ALL	_IOW('h', 14, uint32_t)

#endif /* !_HV_UIO_H_ */
