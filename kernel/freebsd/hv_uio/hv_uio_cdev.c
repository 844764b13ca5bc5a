/*-
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * The device node: what hv_uio.h says.
 */
#include "hv_uio_var.h"

#include <sys/event.h>
#include <sys/fcntl.h>
#include <sys/filio.h>
#include <sys/poll.h>
#include <sys/priv.h>
#include <sys/proc.h>
#include <sys/rwlock.h>
#include <sys/smp.h>
#include <sys/uio.h>

/* How long HV_UIO_SUBCHAN_OPEN_ALL waits for offers. */
#define	HV_UIO_OFFERS_MS	5000

/* For how long a process whose device is gone is told so by EIO. */
#define	HV_UIO_GRACE_MS		1000

static d_open_t		hv_uio_open;
static d_read_t		hv_uio_read;
static d_write_t	hv_uio_write;
static d_ioctl_t	hv_uio_ioctl;
static d_poll_t		hv_uio_poll;
static d_kqfilter_t	hv_uio_kqfilter;
static d_mmap_single_t	hv_uio_mmap_single;

static struct cdevsw hv_uio_cdevsw = {
	.d_version =	D_VERSION,
	.d_name =	"hv_uio",
	.d_open =	hv_uio_open,
	.d_read =	hv_uio_read,
	.d_write =	hv_uio_write,
	.d_ioctl =	hv_uio_ioctl,
	.d_poll =	hv_uio_poll,
	.d_kqfilter =	hv_uio_kqfilter,
	.d_mmap_single = hv_uio_mmap_single,
};

static void	hv_uio_kqdetach(struct knote *);
static int	hv_uio_kqevent(struct knote *, long);

#if __FreeBSD_version >= 1500000
static const struct filterops hv_uio_filterops = {
#else
static struct filterops hv_uio_filterops = {
#endif
	.f_isfd =	1,
	.f_detach =	hv_uio_kqdetach,
	.f_event =	hv_uio_kqevent,
};

static bool
hv_uio_ready(const struct hv_uio_softc *sc)
{

	mtx_assert(&sc->event_lock, MA_OWNED);
	return (sc->gone || sc->events != sc->events_read);
}

static void
hv_uio_wakeup(struct hv_uio_softc *sc)
{

	mtx_assert(&sc->event_lock, MA_OWNED);
	wakeup(&sc->events);
	selwakeup(&sc->sel);
	KNOTE_LOCKED(&sc->sel.si_note, 0);
}

void
hv_uio_event(struct hv_uio_softc *sc)
{

	mtx_lock(&sc->event_lock);
	sc->events++;
	hv_uio_wakeup(sc);
	mtx_unlock(&sc->event_lock);
}

static bool
hv_uio_is_gone(struct hv_uio_softc *sc)
{
	bool gone;

	mtx_lock(&sc->event_lock);
	gone = sc->gone;
	mtx_unlock(&sc->event_lock);
	return (gone);
}

/* Buffers and rings are the next opener's only when nobody else sees them. */
static bool
hv_uio_is_mapped(const struct hv_uio_softc *sc)
{
	uint32_t i;

	if (hv_uio_mem_mapped(sc->recv.mem) || hv_uio_mem_mapped(sc->send.mem))
		return (true);
	for (i = 0; i <= HV_UIO_SUBCHANNELS; i++) {
		if (hv_uio_mem_mapped(sc->chans[i].rings))
			return (true);
	}
	return (false);
}

/* Whether a process has the device, or still has its memory. */
bool
hv_uio_in_use(const struct hv_uio_softc *sc)
{

	sx_assert(&sc->lock, SA_LOCKED);
	return (sc->open || hv_uio_is_mapped(sc));
}

/* The last descriptor is closed, however the process came to its end. */
static void
hv_uio_closed(void *arg)
{
	struct hv_uio_softc *sc;

	sc = arg;
	sx_xlock(&sc->lock);
	hv_uio_chan_close_all(sc);
	sc->open = false;
	wakeup(&sc->open);
	sx_xunlock(&sc->lock);
}

/*
 * Who has a channel can have the host read and write any memory of the machine
 * (GPA-direct packets): the same privileges are asked for as by mem(4) and
 * io(4), which a jail does not have.
 */
static int
hv_uio_open(struct cdev *cdev, int oflags, int devtype __unused,
    struct thread *td)
{
	struct hv_uio_softc *sc;
	int error;

	sc = cdev->si_drv1;
	if ((oflags & (FREAD | FWRITE)) != (FREAD | FWRITE))
		return (EACCES);
	error = priv_check(td, PRIV_IO);
	if (error == 0)
		error = securelevel_gt(td->td_ucred, 0);
	if (error != 0)
		return (error);
	sx_xlock(&sc->lock);
	if (hv_uio_is_gone(sc)) {
		error = EIO;
		goto out;
	}
	if (hv_uio_in_use(sc)) {
		error = EBUSY;
		goto out;
	}
	/* Not what the process before left there. */
	memset(sc->recv.mem->va, 0, sc->recv.mem->size);
	memset(sc->send.mem->va, 0, sc->send.mem->size);
	mtx_lock(&sc->event_lock);
	sc->events_read = sc->events;
	mtx_unlock(&sc->event_lock);
	error = hv_uio_chan_open_primary(sc);
	if (error != 0)
		goto out;
	sc->open = true;
	error = devfs_set_cdevpriv(sc, hv_uio_closed);
	if (error != 0) {
		hv_uio_chan_close_all(sc);
		sc->open = false;
	}
out:
	sx_xunlock(&sc->lock);
	return (error);
}

static int
hv_uio_read(struct cdev *cdev, struct uio *uio, int ioflag)
{
	struct hv_uio_softc *sc;
	uint32_t events;
	int error;

	sc = cdev->si_drv1;
	if (uio->uio_resid < (ssize_t)sizeof(events))
		return (EINVAL);
	error = 0;
	mtx_lock(&sc->event_lock);
	while (!hv_uio_ready(sc) && error == 0) {
		if ((ioflag & O_NONBLOCK) != 0)
			error = EAGAIN;
		else
			error = mtx_sleep(&sc->events, &sc->event_lock, PCATCH,
			    "hvuioev", 0);
	}
	if (sc->gone)
		error = EIO;
	if (error == 0)
		sc->events_read = sc->events;
	events = sc->events;
	mtx_unlock(&sc->event_lock);
	if (error == 0)
		error = uiomove(&events, sizeof(events), uio);
	return (error);
}

static int
hv_uio_write(struct cdev *cdev, struct uio *uio, int ioflag __unused)
{
	struct hv_uio_softc *sc;
	uint32_t value;
	bool unread;
	int error;

	sc = cdev->si_drv1;
	if (uio->uio_resid != sizeof(value))
		return (EINVAL);
	error = uiomove(&value, sizeof(value), uio);
	if (error == 0)
		error = hv_uio_check_mask(value);
	if (error != 0)
		return (error);
	unread = false;
	sx_slock(&sc->lock);
	if (hv_uio_is_gone(sc) || sc->chans[0].chan == NULL) {
		error = EIO;
	} else {
		hv_uio_chan_mask(&sc->chans[0], value == 0);
		/* The host does not signal for what was there before. */
		unread = value != 0 && hv_uio_chan_unread(&sc->chans[0]);
	}
	sx_sunlock(&sc->lock);
	if (unread)
		hv_uio_event(sc);
	return (error);
}

static int
hv_uio_poll(struct cdev *cdev, int events, struct thread *td)
{
	struct hv_uio_softc *sc;
	int revents;

	sc = cdev->si_drv1;
	revents = events & (POLLOUT | POLLWRNORM);
	mtx_lock(&sc->event_lock);
	if (sc->gone)
		revents |= POLLHUP;
	if (hv_uio_ready(sc))
		revents |= events & (POLLIN | POLLRDNORM);
	else if ((events & (POLLIN | POLLRDNORM)) != 0)
		selrecord(td, &sc->sel);
	mtx_unlock(&sc->event_lock);
	return (revents);
}

static int
hv_uio_kqfilter(struct cdev *cdev, struct knote *kn)
{
	struct hv_uio_softc *sc;

	sc = cdev->si_drv1;
	if (kn->kn_filter != EVFILT_READ)
		return (EINVAL);
	kn->kn_fop = &hv_uio_filterops;
	kn->kn_hook = sc;
	knlist_add(&sc->sel.si_note, kn, 0);
	return (0);
}

static void
hv_uio_kqdetach(struct knote *kn)
{
	struct hv_uio_softc *sc;

	sc = kn->kn_hook;
	knlist_remove(&sc->sel.si_note, kn, 0);
}

static int
hv_uio_kqevent(struct knote *kn, long hint __unused)
{
	struct hv_uio_softc *sc;

	sc = kn->kn_hook;
	kn->kn_data = sc->events - sc->events_read;
	if (sc->gone) {
		kn->kn_flags |= EV_EOF;
		kn->kn_fflags = EIO;
	}
	return (hv_uio_ready(sc));
}

static void
hv_uio_info(struct hv_uio_softc *sc, struct hv_uio_info *info)
{
	const struct hv_uio_chan *primary;

	primary = &sc->chans[0];
	memset(info, 0, sizeof(*info));
	info->version = HV_UIO_VERSION;
	info->relid = vmbus_chan_id(sc->prichan);
	info->monitor_id = hv_uio_vmbus_monitor(sc->prichan);
	info->offered = hv_uio_vmbus_subchans(sc->prichan);
	info->open = sc->subchans_open;
	memcpy(info->class_id, vmbus_chan_guid_type(sc->prichan),
	    sizeof(info->class_id));
	memcpy(info->instance_id, vmbus_chan_guid_inst(sc->prichan),
	    sizeof(info->instance_id));
	info->region[HV_UIO_MAP_RINGS].size = primary->rings->size;
	info->region[HV_UIO_MAP_RECEIVE].size = sc->recv.mem->size;
	info->region[HV_UIO_MAP_RECEIVE].gpadl = sc->recv.gpadl;
	info->region[HV_UIO_MAP_SEND].size = sc->send.mem->size;
	info->region[HV_UIO_MAP_SEND].gpadl = sc->send.gpadl;
	if (sc->monitor_page != NULL) {
		info->flags |= HV_UIO_INFO_PAGES;
		info->region[HV_UIO_MAP_INTERRUPT].size =
		    sc->interrupt_page->size;
		info->region[HV_UIO_MAP_MONITOR].size = sc->monitor_page->size;
	}
}

static int
hv_uio_subchan_open(struct hv_uio_softc *sc, struct hv_uio_subchan *request)
{
	struct hv_uio_chan *c;
	int error;

	error = hv_uio_check_subchan(request, mp_ncpus);
	if (error == 0)
		error = hv_uio_chan_open_sub(sc, request->index, request->cpu);
	if (error != 0)
		return (error);
	c = &sc->chans[request->index];
	request->relid = c->relid;
	request->monitor_id = hv_uio_vmbus_monitor(c->chan);
	request->size = c->rings->size;
	return (0);
}

/* Without the lock while it waits, and killed like anything else. */
static int
hv_uio_subchan_open_all(struct hv_uio_softc *sc, uint32_t count)
{
	uint32_t i, waited;
	int error;

	if (count > HV_UIO_SUBCHANNELS)
		return (EINVAL);
	for (i = 1, waited = 0; i <= count; ) {
		sx_xlock(&sc->lock);
		if (hv_uio_is_gone(sc))
			error = EIO;
		else
			error = hv_uio_chan_open_sub(sc, i, HV_UIO_ANY_CPU);
		sx_xunlock(&sc->lock);
		if (error == 0 || error == EEXIST) {
			i++;
			continue;
		}
		if (error != EAGAIN)
			return (error);
		if (waited++ == HV_UIO_OFFERS_MS)
			return (ETIMEDOUT);
		error = tsleep_sbt(&sc->subchans_open, PCATCH, "hvuiosc",
		    SBT_1MS, 0, 0);
		if (error != EWOULDBLOCK && error != 0)
			return (error);
	}
	return (0);
}

static int
hv_uio_ioctl(struct cdev *cdev, u_long cmd, caddr_t data, int fflag __unused,
    struct thread *td __unused)
{
	struct hv_uio_softc *sc;
	int error;

	sc = cdev->si_drv1;
	switch (cmd) {
	case HV_UIO_SIGNAL:
		/* In the data path of who transmits: no lock but the list's. */
		return (hv_uio_chan_signal(sc, *(uint32_t *)data));
	case HV_UIO_SUBCHAN_OPEN_ALL:
		return (hv_uio_subchan_open_all(sc, *(uint32_t *)data));
	case HV_UIO_INFO:
	case HV_UIO_SUBCHAN_OPEN:
		break;
	case FIONBIO:
	case FIOASYNC:
		return (0);	/* devfs keeps the former for read(2) */
	default:
		return (ENOTTY);
	}
	sx_xlock(&sc->lock);
	if (hv_uio_is_gone(sc)) {
		error = EIO;
	} else if (cmd == HV_UIO_INFO) {
		error = hv_uio_check_version(
		    ((struct hv_uio_info *)data)->version);
		if (error == 0)
			hv_uio_info(sc, (struct hv_uio_info *)data);
	} else {
		error = hv_uio_subchan_open(sc, (struct hv_uio_subchan *)data);
	}
	sx_xunlock(&sc->lock);
	return (error);
}

static struct hv_uio_mem *
hv_uio_region(struct hv_uio_softc *sc, uint32_t relid, uint32_t map)
{
	struct hv_uio_chan *c;

	switch (map) {
	case HV_UIO_MAP_RINGS:
		for (c = sc->chans; c <= &sc->chans[HV_UIO_SUBCHANNELS]; c++) {
			if (c->chan != NULL && (relid == 0 ||
			    c->relid == relid))
				return (c->rings);
		}
		return (NULL);
	case HV_UIO_MAP_INTERRUPT:
		return (sc->interrupt_page);
	case HV_UIO_MAP_MONITOR:
		return (sc->monitor_page);
	case HV_UIO_MAP_RECEIVE:
		return (sc->recv.mem);
	default:
		return (sc->send.mem);
	}
}

/* Never ENODEV: the kernel would then map the node by other means. */
static int
hv_uio_mmap_single(struct cdev *cdev, vm_ooffset_t *offset, vm_size_t size,
    struct vm_object **object, int prot)
{
	struct hv_uio_softc *sc;
	struct hv_uio_mem *mem;
	uint32_t relid, map;
	int error;

	sc = cdev->si_drv1;
	error = hv_uio_decode_offset((uint64_t)*offset, &relid, &map);
	if (error != 0)
		return (error);
	sx_slock(&sc->lock);
	mem = hv_uio_is_gone(sc) ? NULL : hv_uio_region(sc, relid, map);
	error = hv_uio_check_map(mem == NULL ? 0 : mem->size, size, prot);
	if (error == 0)
		error = hv_uio_mem_object(mem, size, prot,
		    curthread->td_ucred, object);
	sx_sunlock(&sc->lock);
	if (error == 0)
		*offset = 0;
	return (error);
}

int
hv_uio_cdev_create(struct hv_uio_softc *sc)
{
	struct make_dev_args args;

	make_dev_args_init(&args);
	args.mda_devsw = &hv_uio_cdevsw;
	args.mda_uid = UID_ROOT;
	args.mda_gid = GID_WHEEL;
	args.mda_mode = 0600;
	args.mda_unit = device_get_unit(sc->dev);
	args.mda_si_drv1 = sc;
	knlist_init_mtx(&sc->sel.si_note, &sc->event_lock);
	return (make_dev_s(&args, &sc->cdev, "hv_uio%d",
	    device_get_unit(sc->dev)));
}

/* From now on nobody can open the device, and who has it knows. */
void
hv_uio_set_gone(struct hv_uio_softc *sc)
{

	mtx_lock(&sc->event_lock);
	sc->gone = true;
	hv_uio_wakeup(sc);
	mtx_unlock(&sc->event_lock);
}

/*
 * A process that has the device open was told that it is gone, and is not
 * waited for much longer: what it has mapped stays, its descriptor is dead.
 */
void
hv_uio_cdev_destroy(struct hv_uio_softc *sc)
{
	sbintime_t end;

	end = sbinuptime() + HV_UIO_GRACE_MS * SBT_1MS;
	sx_xlock(&sc->lock);
	while (sc->open && sbinuptime() < end)
		sx_sleep(&sc->open, &sc->lock, 0, "hvuiogo", hz / 10);
	sx_xunlock(&sc->lock);
	if (sc->cdev != NULL)
		destroy_dev(sc->cdev); /* calls hv_uio_closed() if it must */
	knlist_clear(&sc->sel.si_note, 0);
	knlist_destroy(&sc->sel.si_note);
	seldrain(&sc->sel);
}
