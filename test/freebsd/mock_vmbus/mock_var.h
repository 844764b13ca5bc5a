/*-
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef _MOCK_VAR_H_
#define	_MOCK_VAR_H_

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/conf.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/mutex.h>
#include <sys/queue.h>
#include <sys/selinfo.h>
#include <sys/taskqueue.h>

#include <dev/hyperv/include/hyperv.h>
#include <dev/hyperv/include/vmbus.h>
#include <dev/hyperv/vmbus/vmbus_reg.h>
#include <dev/hyperv/vmbus/vmbus_var.h>
#include <dev/hyperv/vmbus/vmbus_chanvar.h>

#include "mock_vmbus.h"

MALLOC_DECLARE(M_MOCK_VMBUS);

enum mock_state {
	MOCK_IDLE,		/* a signal that nobody gave */
	MOCK_UNREAD,		/* in the queue */
	MOCK_UNANSWERED,	/* read by the host, who must answer */
	MOCK_DONE,
};

/* What the guest tells the host. */
struct mock_entry {
	TAILQ_ENTRY(mock_entry)	link;
	struct mock_vmbus_msg	msg;
	enum mock_state		state;
	bool			allocated;	/* to be freed when read */
	uint32_t		status;
};
TAILQ_HEAD(mock_queue, mock_entry);

/* The bus's own channel comes first: drivers have pointers to it. */
struct mock_channel {
	struct vmbus_channel	chan;
	struct mock_entry	signal;
};

/*
 * The bus's own softc comes first: drivers that look at private fields find
 * what they expect.
 */
struct mock_softc {
	struct vmbus_softc	bus;
	struct cdev		*cdev;
	struct mtx		lock;		/* what follows, and the map */
	bool			host;		/* there is one */
	u_int			channels;	/* not freed yet */
	u_int			files;		/* of the machine's memory */
	uint32_t		last_request;
	struct mock_queue	unread;
	struct mock_queue	unanswered;
	struct selinfo		sel;
};

#define	MOCK_SOFTC(chan)	((struct mock_softc *)(chan)->ch_vmbus)
#define	MOCK_CHANNEL(chan)	((struct mock_channel *)(chan))

/* mock_bus.c */
int	mock_bus_add(struct vmbus_channel *);
void	mock_bus_delete(struct vmbus_channel *);

/* mock_offer.c, mock_chan.c: what the host does to channels */
int	mock_chan_offer(struct mock_softc *, const struct mock_vmbus_offer *);
int	mock_chan_rescind(struct mock_softc *, uint32_t relid);
void	mock_chan_rescind_all(struct mock_softc *);
void	mock_chan_interrupt(struct mock_softc *, uint32_t relid);
void	mock_chan_unref(struct vmbus_channel *);

/* mock_host.c: what the guest tells the host */
int	mock_host_attach(struct mock_softc *);
int	mock_host_detach(struct mock_softc *);
void	mock_host_tell(struct mock_softc *, enum mock_vmbus_type,
	    uint32_t relid);
int	mock_host_ask(struct mock_softc *, const struct mock_vmbus_msg *,
	    const struct vmbus_channel *revocable);
void	mock_host_signal(struct mock_softc *, struct mock_channel *);
void	mock_host_forget_signal(struct mock_softc *, struct mock_channel *);

/* mock_memory.c */
int	mock_memory_get(struct mock_softc *, struct thread *,
	    struct mock_vmbus_memory *);
d_mmap_t mock_memory_mmap;

#endif /* !_MOCK_VAR_H_ */
