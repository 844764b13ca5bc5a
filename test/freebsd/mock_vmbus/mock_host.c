/*-
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * /dev/mock_vmbus, and the queue of what the guest tells the host.
 */
#include "mock_var.h"

#include <sys/file.h>
#include <sys/filio.h>
#include <sys/poll.h>
#include <sys/proc.h>
#include <sys/uio.h>

/*
 * A request of which the host says nothing, about a channel that it has taken
 * away, is given up after so many ticks, as vmbus(4) does.
 */
#define	MOCK_LINGER	100

static void
mock_put(struct mock_softc *sc, struct mock_entry *entry)
{

	mtx_assert(&sc->lock, MA_OWNED);
	entry->state = MOCK_UNREAD;
	TAILQ_INSERT_TAIL(&sc->unread, entry, link);
	selwakeup(&sc->sel);
}

void
mock_host_tell(struct mock_softc *sc, enum mock_vmbus_type type,
    uint32_t relid)
{
	struct mock_entry *entry;

	entry = malloc(sizeof(*entry), M_MOCK_VMBUS, M_WAITOK | M_ZERO);
	entry->allocated = true;
	entry->msg.type = type;
	entry->msg.relid = relid;
	mtx_lock(&sc->lock);
	if (sc->host) {
		mock_put(sc, entry);
		entry = NULL;
	}
	mtx_unlock(&sc->lock);
	free(entry, M_MOCK_VMBUS);
}

/*
 * Sleeps until the host has answered; about a channel that may be taken away,
 * not much longer than it is there.
 * @return the status, 0 = success
 */
int
mock_host_ask(struct mock_softc *sc, const struct mock_vmbus_msg *msg,
    const struct vmbus_channel *revocable)
{
	struct mock_entry entry = { .msg = *msg, .status = UINT32_MAX };
	int ticks_left;

	ticks_left = MOCK_LINGER;
	mtx_lock(&sc->lock);
	if (!sc->host) {
		mtx_unlock(&sc->lock);
		return (ENXIO);
	}
	if (++sc->last_request == 0)
		sc->last_request = 1;
	entry.msg.request = sc->last_request;
	mock_put(sc, &entry);
	while (entry.state != MOCK_DONE && ticks_left > 0) {
		mtx_sleep(&entry, &sc->lock, 0, "mockrq",
		    revocable != NULL ? 1 : 0);
		if (revocable != NULL && vmbus_chan_is_revoked(revocable))
			ticks_left--;
	}
	if (entry.state == MOCK_UNREAD)
		TAILQ_REMOVE(&sc->unread, &entry, link);
	else if (entry.state == MOCK_UNANSWERED)
		TAILQ_REMOVE(&sc->unanswered, &entry, link);
	mtx_unlock(&sc->lock);
	return (entry.status);
}

/* One signal waits for the host at most, as with the real one. */
void
mock_host_signal(struct mock_softc *sc, struct mock_channel *mc)
{

	mtx_lock(&sc->lock);
	if (sc->host && mc->signal.state == MOCK_IDLE) {
		mc->signal.msg.type = MOCK_VMBUS_SIGNAL;
		mc->signal.msg.relid = mc->chan.ch_id;
		mock_put(sc, &mc->signal);
	}
	mtx_unlock(&sc->lock);
}

void
mock_host_forget_signal(struct mock_softc *sc, struct mock_channel *mc)
{

	mtx_lock(&sc->lock);
	if (mc->signal.state == MOCK_UNREAD) {
		TAILQ_REMOVE(&sc->unread, &mc->signal, link);
		mc->signal.state = MOCK_IDLE;
	}
	mtx_unlock(&sc->lock);
}

/* Takes the message out and leaves the entry as one that the host has read. */
static bool
mock_take(struct mock_softc *sc, struct mock_vmbus_msg *msg)
{
	struct mock_entry *entry;

	mtx_lock(&sc->lock);
	entry = TAILQ_FIRST(&sc->unread);
	if (entry == NULL) {
		mtx_unlock(&sc->lock);
		return (false);
	}
	TAILQ_REMOVE(&sc->unread, entry, link);
	*msg = entry->msg;
	if (msg->request != 0) {
		entry->state = MOCK_UNANSWERED;
		TAILQ_INSERT_TAIL(&sc->unanswered, entry, link);
	} else if (!entry->allocated)
		entry->state = MOCK_IDLE;
	if (msg->request != 0 || !entry->allocated)
		entry = NULL;
	mtx_unlock(&sc->lock);
	free(entry, M_MOCK_VMBUS);
	return (true);
}

static void
mock_answer(struct mock_softc *sc, const struct mock_vmbus_answer *answer)
{
	struct mock_entry *entry;

	mtx_lock(&sc->lock);
	TAILQ_FOREACH(entry, &sc->unanswered, link) {
		if (entry->msg.request == answer->request)
			break;
	}
	/* Whoever asked may have given up. */
	if (entry != NULL) {
		TAILQ_REMOVE(&sc->unanswered, entry, link);
		entry->status = answer->status;
		entry->state = MOCK_DONE;
		wakeup(entry);
	}
	mtx_unlock(&sc->lock);
}

static void
mock_fail_all(struct mock_softc *sc)
{
	struct mock_vmbus_answer answer = { .status = UINT32_MAX };
	struct mock_vmbus_msg msg;

	while (mock_take(sc, &msg))
		;
	for (;;) {
		mtx_lock(&sc->lock);
		answer.request = TAILQ_EMPTY(&sc->unanswered) ? 0 :
		    TAILQ_FIRST(&sc->unanswered)->msg.request;
		mtx_unlock(&sc->lock);
		if (answer.request == 0)
			break;
		mock_answer(sc, &answer);
	}
}

static void
mock_host_gone(void *arg)
{
	struct mock_softc *sc;

	sc = arg;
	/*
	 * A hypervisor does not die.  This one's helper, which has the memory
	 * mapped, gets a moment to notice before the guest takes it back.
	 */
	pause("mockgo", hz / 2);
	mtx_lock(&sc->lock);
	sc->host = false;
	mtx_unlock(&sc->lock);
	mock_fail_all(sc);
	mock_chan_rescind_all(sc);
}

static int
mock_open(struct cdev *dev, int flags __unused, int type __unused,
    struct thread *td __unused)
{
	struct mock_softc *sc;
	int error;

	sc = dev->si_drv1;
	mtx_lock(&sc->lock);
	if (sc->host || sc->channels != 0) {
		mtx_unlock(&sc->lock);
		return (EBUSY);
	}
	sc->host = true;
	mtx_unlock(&sc->lock);
	error = devfs_set_cdevpriv(sc, mock_host_gone);
	if (error != 0)
		mock_host_gone(sc);
	return (error);
}

static int
mock_read(struct cdev *dev, struct uio *uio, int flags __unused)
{
	struct mock_softc *sc;
	struct mock_vmbus_msg msg;
	int error;
	bool some;

	sc = dev->si_drv1;
	some = false;
	while (uio->uio_resid >= (ssize_t)sizeof(msg) && mock_take(sc, &msg)) {
		some = true;
		error = uiomove(&msg, sizeof(msg), uio);
		if (error != 0)
			return (error);
	}
	return (some ? 0 : EAGAIN);
}

static int
mock_poll(struct cdev *dev, int events, struct thread *td)
{
	struct mock_softc *sc;
	int revents;

	sc = dev->si_drv1;
	revents = 0;
	mtx_lock(&sc->lock);
	if ((events & (POLLIN | POLLRDNORM)) != 0) {
		if (!TAILQ_EMPTY(&sc->unread))
			revents = events & (POLLIN | POLLRDNORM);
		else
			selrecord(td, &sc->sel);
	}
	mtx_unlock(&sc->lock);
	return (revents);
}

static int
mock_ioctl(struct cdev *dev, u_long command, caddr_t data, int flags __unused,
    struct thread *td)
{
	struct mock_softc *sc;

	sc = dev->si_drv1;
	switch (command) {
	case MOCK_VMBUS_GET_MEMORY:
		return (mock_memory_get(sc, td,
		    (struct mock_vmbus_memory *)data));
	case MOCK_VMBUS_OFFER:
		return (mock_chan_offer(sc, (struct mock_vmbus_offer *)data));
	case MOCK_VMBUS_RESCIND:
		return (mock_chan_rescind(sc, *(uint32_t *)data));
	case MOCK_VMBUS_ANSWER:
		mock_answer(sc, (struct mock_vmbus_answer *)data);
		return (0);
	case MOCK_VMBUS_INTERRUPT:
		mock_chan_interrupt(sc, *(uint32_t *)data);
		return (0);
	case FIONBIO:
		return (0);
	default:
		return (ENOTTY);
	}
}

static struct cdevsw mock_cdevsw = {
	.d_version =	D_VERSION,
	.d_name =	MOCK_VMBUS_DEVICE,
	.d_open =	mock_open,
	.d_read =	mock_read,
	.d_poll =	mock_poll,
	.d_ioctl =	mock_ioctl,
	.d_mmap =	mock_memory_mmap,
};

int
mock_host_attach(struct mock_softc *sc)
{
	struct make_dev_args args;
	int error;

	mtx_init(&sc->lock, "mock_vmbus", NULL, MTX_DEF);
	TAILQ_INIT(&sc->unread);
	TAILQ_INIT(&sc->unanswered);
	make_dev_args_init(&args);
	args.mda_devsw = &mock_cdevsw;
	args.mda_uid = UID_ROOT;
	args.mda_gid = GID_WHEEL;
	args.mda_mode = 0600;
	args.mda_si_drv1 = sc;
	error = make_dev_s(&args, &sc->cdev, MOCK_VMBUS_DEVICE);
	if (error != 0)
		mtx_destroy(&sc->lock);
	return (error);
}

int
mock_host_detach(struct mock_softc *sc)
{
	bool busy;

	mtx_lock(&sc->lock);
	busy = sc->host || sc->channels != 0 || sc->files != 0;
	mtx_unlock(&sc->lock);
	if (busy)
		return (EBUSY);
	destroy_dev(sc->cdev);
	seldrain(&sc->sel);
	mtx_destroy(&sc->lock);
	return (0);
}
