/*-
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "hv_uio_args.h"

#include <sys/mman.h>
#ifdef _KERNEL
#include <sys/errno.h>
#else
#include <errno.h>
#endif

/*
 * Takes an offset of mmap(2) to pieces, see HV_UIO_OFFSET().  Only rings may
 * be a subchannel's.
 */
int
hv_uio_decode_offset(uint64_t offset, uint32_t *relid, uint32_t *map)
{
	uint64_t page;

	page = offset / HV_UIO_PAGE_SIZE;
	if (offset % HV_UIO_PAGE_SIZE != 0 || page >> 8 > UINT32_MAX)
		return (EINVAL);
	*map = page & 0xff;
	*relid = page >> 8;
	if (*map >= HV_UIO_MAPS)
		return (EINVAL);
	if (*map != HV_UIO_MAP_RINGS && *relid != 0)
		return (EINVAL);
	return (0);
}

/* Whether so much of a region may be mapped, from its start. */
int
hv_uio_check_map(uint64_t region, uint64_t size, int prot)
{

	if (region == 0)
		return (ENXIO);
	if (size == 0 || size > region)
		return (EINVAL);
	if ((prot & PROT_EXEC) != 0)
		return (EACCES);
	return (0);
}

int
hv_uio_check_version(uint32_t version)
{

	return (version == HV_UIO_VERSION ? 0 : EINVAL);
}

int
hv_uio_check_subchan(const struct hv_uio_subchan *request, uint32_t cpus)
{

	if (hv_uio_check_version(request->version) != 0)
		return (EINVAL);
	if (request->index == 0 || request->index > HV_UIO_SUBCHANNELS)
		return (EINVAL);
	if (request->cpu != HV_UIO_ANY_CPU && request->cpu >= cpus)
		return (EINVAL);
	if (request->reserved != 0)
		return (EINVAL);
	return (0);
}

/* What write(2) takes. */
int
hv_uio_check_mask(uint32_t value)
{

	return (value <= 1 ? 0 : EINVAL);
}

/*
 * Whether a ring has something to read.  Both indices are in memory that the
 * host and a process write: nonsense counts as something to look at.
 */
bool
hv_uio_ring_unread(uint32_t in, uint32_t out, uint64_t size)
{

	return (in != out || in >= size);
}

/*
 * Bytes of one ring, its control page included.  Two of them make one GPADL,
 * and a ring needs a page of data.
 */
uint64_t
hv_uio_ring_size(uint32_t pages)
{

	if (pages < 2)
		pages = 2;
	if (pages > HV_UIO_GPADL_PAGES / 2)
		pages = HV_UIO_GPADL_PAGES / 2;
	return ((uint64_t)pages * HV_UIO_PAGE_SIZE);
}

/* Bytes of a receive or send buffer: what one GPADL can name, whole pages. */
uint64_t
hv_uio_buffer_size(uint64_t asked)
{
	uint64_t pages;

	pages = asked / HV_UIO_PAGE_SIZE;
	if (pages < 16)
		pages = 16;
	if (pages > HV_UIO_GPADL_PAGES)
		pages = HV_UIO_GPADL_PAGES;
	return (pages * HV_UIO_PAGE_SIZE);
}
