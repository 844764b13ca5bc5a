/*-
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * The machine's memory as a file, as a hypervisor has it.  It is no device,
 * but says that it is a regular file with a length: programs that take memory
 * from others look at that before they map it.
 */
#include "mock_var.h"

#include <sys/fcntl.h>
#include <sys/file.h>
#include <sys/filedesc.h>
#include <sys/mman.h>
#include <sys/proc.h>
#include <sys/rwlock.h>
#include <sys/stat.h>
#include <sys/user.h>

#include <vm/vm_dumpset.h>
#include <vm/vm_map.h>
#include <vm/vm_object.h>
#include <vm/vm_page.h>
#include <vm/vm_pager.h>

static bool
mock_is_memory(vm_paddr_t pa)
{
	u_int i;

	for (i = 0; dump_avail[i + 1] != 0; i += 2) {
		if (pa >= dump_avail[i] && pa < dump_avail[i + 1])
			return (true);
	}
	return (false);
}

static vm_paddr_t
mock_memory_end(void)
{
	u_int i;

	for (i = 0; dump_avail[i + 1] != 0; i += 2)
		;
	return (i == 0 ? 0 : dump_avail[i - 1]);
}

int
mock_memory_mmap(struct cdev *dev __unused, vm_ooffset_t offset,
    vm_paddr_t *pa, int prot __unused, vm_memattr_t *attr __unused)
{

	if (!mock_is_memory(offset))
		return (EFAULT);
	*pa = offset;
	return (0);
}

static int
mock_memory_stat(struct file *fp __unused, struct stat *st,
    struct ucred *cred __unused)
{

	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFREG | 0600;
	st->st_size = mock_memory_end();
	st->st_blksize = PAGE_SIZE;
	return (0);
}

static int
mock_memory_close(struct file *fp, struct thread *td __unused)
{
	struct mock_softc *sc;

	sc = fp->f_data;
	mtx_lock(&sc->lock);
	sc->files--;
	mtx_unlock(&sc->lock);
	return (0);
}

static int
mock_memory_kinfo(struct file *fp __unused, struct kinfo_file *kif,
    struct filedesc *fdp __unused)
{

	kif->kf_type = KF_TYPE_DEV;
	return (0);
}

static int
mock_memory_fo_mmap(struct file *fp, vm_map_t map, vm_offset_t *addr,
    vm_size_t size, vm_prot_t prot, vm_prot_t maxprot, int flags,
    vm_ooffset_t offset, struct thread *td)
{
	struct mock_softc *sc;
	vm_object_t object;
	int error;

	sc = fp->f_data;
	if ((flags & MAP_SHARED) == 0)
		return (EINVAL);
	maxprot &= VM_PROT_READ | VM_PROT_WRITE;
	object = vm_pager_allocate(OBJT_DEVICE, sc->cdev, size, prot, offset,
	    td->td_ucred);
	if (object == NULL)
		return (EINVAL);
	error = vm_mmap_object(map, addr, size, prot, maxprot, flags, object,
	    offset, FALSE, td);
	if (error != 0)
		vm_object_deallocate(object);
	return (error);
}

static const struct fileops mock_memory_ops = {
	.fo_read =	invfo_rdwr,
	.fo_write =	invfo_rdwr,
	.fo_truncate =	invfo_truncate,
	.fo_ioctl =	invfo_ioctl,
	.fo_poll =	invfo_poll,
	.fo_kqfilter =	invfo_kqfilter,
	.fo_stat =	mock_memory_stat,
	.fo_close =	mock_memory_close,
	.fo_chmod =	invfo_chmod,
	.fo_chown =	invfo_chown,
	.fo_sendfile =	invfo_sendfile,
	.fo_fill_kinfo = mock_memory_kinfo,
	.fo_mmap =	mock_memory_fo_mmap,
	.fo_flags =	DFLAG_PASSABLE,
};

int
mock_memory_get(struct mock_softc *sc, struct thread *td,
    struct mock_vmbus_memory *memory)
{
	struct file *fp;
	u_int i;
	int error, fd;

	error = falloc(td, &fp, &fd, O_CLOEXEC);
	if (error != 0)
		return (error);
	mtx_lock(&sc->lock);
	sc->files++;
	mtx_unlock(&sc->lock);
	finit(fp, FREAD | FWRITE, DTYPE_DEV, sc, &mock_memory_ops);
	fdrop(fp, td);

	memory->fd = fd;
	memory->ranges = 0;
	memory->monitor_page = pmap_kextract((vm_offset_t)sc->bus.vmbus_mnf2);
	for (i = 0; dump_avail[i + 1] != 0 &&
	    memory->ranges < MOCK_VMBUS_RANGES; i += 2) {
		memory->range[memory->ranges].start =
		    round_page(dump_avail[i]);
		memory->range[memory->ranges].size =
		    trunc_page(dump_avail[i + 1]) - round_page(dump_avail[i]);
		memory->ranges++;
	}
	return (0);
}
