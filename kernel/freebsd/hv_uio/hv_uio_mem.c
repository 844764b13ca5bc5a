/*-
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Memory for the host and a process.  A process maps it through a device
 * pager whose handle is the memory itself: an offset into the VM object is one
 * into this memory, and can name nothing else.
 */
#include "hv_uio_var.h"

#include <sys/domainset.h>
#include <sys/proc.h>
#include <sys/refcount.h>

#include <vm/pmap.h>
#include <vm/vm_page.h>
#include <vm/vm_pager.h>

MALLOC_DEFINE(M_HV_UIO, "hv_uio", "Hyper-V network adapters for user space");

static u_int	hv_uio_orphans;

static void
hv_uio_mem_release(struct hv_uio_mem *mem)
{

	if (!refcount_release(&mem->refs))
		return;
	if (!mem->borrowed)
		contigfree(mem->va, mem->size, M_HV_UIO);
	if (mem->orphan)
		atomic_subtract_int(&hv_uio_orphans, 1);
	free(mem, M_HV_UIO);
}

struct hv_uio_mem *
hv_uio_mem_alloc(device_t dev, vm_size_t size)
{
	struct hv_uio_mem *mem;
	int domain;

	mem = malloc(sizeof(*mem), M_HV_UIO, M_WAITOK | M_ZERO);
	if (bus_get_domain(dev, &domain) != 0)
		domain = 0;
	mem->va = contigmalloc_domainset(size, M_HV_UIO,
	    DOMAINSET_PREF(domain), M_WAITOK | M_ZERO, 0, ~(vm_paddr_t)0,
	    PAGE_SIZE, 0);
	if (mem->va == NULL) {
		free(mem, M_HV_UIO);
		return (NULL);
	}
	mem->pa = pmap_kextract((vm_offset_t)mem->va);
	mem->size = size;
	refcount_init(&mem->refs, 1);
	return (mem);
}

/* One page that is somebody else's, and stays. */
struct hv_uio_mem *
hv_uio_mem_borrow(void *va)
{
	struct hv_uio_mem *mem;

	mem = malloc(sizeof(*mem), M_HV_UIO, M_WAITOK | M_ZERO);
	mem->borrowed = true;
	mem->va = va;
	mem->pa = pmap_kextract((vm_offset_t)va);
	mem->size = PAGE_SIZE;
	refcount_init(&mem->refs, 1);
	return (mem);
}

bool
hv_uio_mem_mapped(const struct hv_uio_mem *mem)
{

	return (mem != NULL && refcount_load(&mem->refs) > 1);
}

/* The device is done with it, processes need not be. */
void
hv_uio_mem_disown(struct hv_uio_mem *mem)
{

	if (mem == NULL)
		return;
	atomic_add_int(&hv_uio_orphans, 1);
	mem->orphan = true;
	hv_uio_mem_release(mem);
}

/*
 * The host may still write to it: it must never be used for anything else.
 * As it may be mapped for ever, this module's code has to stay, too.
 */
void
hv_uio_mem_leak(device_t dev, struct hv_uio_mem *mem, const char *what)
{

	device_printf(dev, "the host keeps the %s: %ju bytes are lost\n", what,
	    (uintmax_t)mem->size);
	atomic_add_int(&hv_uio_orphans, 1);
}

u_int
hv_uio_mem_orphans(void)
{

	return (atomic_load_acq_int(&hv_uio_orphans));
}

static int
hv_uio_mem_ctor(void *handle, vm_ooffset_t size __unused,
    vm_prot_t prot __unused, vm_ooffset_t foff __unused,
    struct ucred *cred __unused, u_short *color)
{
	struct hv_uio_mem *mem;

	mem = handle;
	refcount_acquire(&mem->refs);
	*color = 0;
	return (0);
}

static void
hv_uio_mem_dtor(void *handle)
{

	hv_uio_mem_release(handle);
}

static int
hv_uio_mem_fault(vm_object_t object, vm_ooffset_t offset, int prot __unused,
    vm_page_t *mres)
{
	struct hv_uio_mem *mem;
	vm_page_t page;

	mem = object->handle;
	if (offset >= mem->size)
		return (VM_PAGER_FAIL);
	if (((*mres)->flags & PG_FICTITIOUS) != 0) {
		vm_page_updatefake(*mres, mem->pa + offset, object->memattr);
	} else {
		/* Instead of the page that the VM system has for this. */
		VM_OBJECT_WUNLOCK(object);
		page = vm_page_getfake(mem->pa + offset, object->memattr);
		VM_OBJECT_WLOCK(object);
		vm_page_replace(page, object, (*mres)->pindex, *mres);
		*mres = page;
	}
	vm_page_valid(*mres);
	return (VM_PAGER_OK);
}

static const struct cdev_pager_ops hv_uio_mem_ops = {
	.cdev_pg_ctor =	hv_uio_mem_ctor,
	.cdev_pg_dtor =	hv_uio_mem_dtor,
	.cdev_pg_fault = hv_uio_mem_fault,
};

/* @return the object with a reference for the caller */
int
hv_uio_mem_object(struct hv_uio_mem *mem, vm_size_t size, int prot,
    struct ucred *cred, vm_object_t *object)
{

	*object = cdev_pager_allocate(mem, OBJT_DEVICE, &hv_uio_mem_ops, size,
	    prot, 0, cred);
	return (*object == NULL ? ENOMEM : 0);
}
