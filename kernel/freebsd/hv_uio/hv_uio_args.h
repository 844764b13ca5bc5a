/*-
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Checks of what comes from user space and from tunables.  They know nothing
 * of the kernel, and are tested in user space.
 */
#ifndef _HV_UIO_ARGS_H_
#define	_HV_UIO_ARGS_H_

#ifdef _KERNEL
#include <sys/param.h>
#include <sys/systm.h>
#else
#include <stdbool.h>
#include <stdint.h>
#endif

#include "hv_uio.h"

/*
 * The control page of a ring, by 32-bit words (struct vmbus_bufring in
 * sys/dev/hyperv/vmbus/vmbus_reg.h).
 */
#define	HV_UIO_RING_IN		0
#define	HV_UIO_RING_OUT		1
#define	HV_UIO_RING_MASK	2

/*
 * Pages of one GPADL: vmbus_chan_gpadl_connect() describes it by one range,
 * whose length in bytes is told in 16 bits.
 */
#define	HV_UIO_GPADL_PAGES	8190

int		hv_uio_decode_offset(uint64_t offset, uint32_t *relid,
		    uint32_t *map);
int		hv_uio_check_map(uint64_t region, uint64_t size, int prot);
int		hv_uio_check_version(uint32_t version);
int		hv_uio_check_subchan(const struct hv_uio_subchan *request,
		    uint32_t cpus);
int		hv_uio_check_mask(uint32_t value);
bool		hv_uio_ring_unread(uint32_t in, uint32_t out, uint64_t size);
uint64_t	hv_uio_ring_size(uint32_t pages);
uint64_t	hv_uio_buffer_size(uint64_t asked);

#endif /* !_HV_UIO_ARGS_H_ */
