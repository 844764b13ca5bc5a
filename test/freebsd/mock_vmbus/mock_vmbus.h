/*-
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * /dev/mock_vmbus: the hypervisor's side of a VMBus, for one process.  Who has
 * it open is the host; when it is closed, all devices are taken away.
 *
 * read(2)	whole messages of the guest, oldest first; EAGAIN if there is
 *		none, it never sleeps.
 * poll(2)	readable when there is a message.
 */
#ifndef _MOCK_VMBUS_H_
#define	_MOCK_VMBUS_H_

#include <sys/types.h>
#include <sys/ioccom.h>

#define	MOCK_VMBUS_DEVICE	"mock_vmbus"
#define	MOCK_VMBUS_NO_MONITOR	255

enum mock_vmbus_type {
	MOCK_VMBUS_SIGNAL = 1,		/* look at the rings of relid */
	MOCK_VMBUS_OPEN,		/* wants an answer */
	MOCK_VMBUS_CLOSE,
	MOCK_VMBUS_GPADL,		/* wants an answer */
	MOCK_VMBUS_GPADL_TEARDOWN,	/* wants an answer */
	MOCK_VMBUS_RELEASE,		/* the end of a rescind */
};

struct mock_vmbus_msg {
	uint32_t	type;
	uint32_t	relid;
	uint32_t	request;	/* names it in the answer; 0 = none */
	uint32_t	gpadl;		/* GPADL*; OPEN: the rings' */
	uint64_t	gpa;		/* GPADL */
	uint64_t	size;		/* GPADL */
	uint32_t	tx_pages;	/* OPEN: of the guest's sending ring */
	uint32_t	vcpu;		/* OPEN */
};

struct mock_vmbus_offer {
	uint8_t		class_id[16];
	uint8_t		instance_id[16];
	uint32_t	relid;
	uint16_t	subidx;		/* 0 = primary */
	uint16_t	monitor_id;	/* or MOCK_VMBUS_NO_MONITOR */
};

struct mock_vmbus_answer {
	uint32_t	request;
	uint32_t	status;		/* 0 = success */
};

#define	MOCK_VMBUS_RANGES	16

/*
 * The machine's memory: a file of which offsets are physical addresses.  It
 * can be passed to another process, which maps it shared.
 */
struct mock_vmbus_memory {
	int32_t		fd;		/* a new descriptor */
	uint32_t	ranges;
	uint64_t	monitor_page;	/* where the guest signals */
	struct {
		uint64_t	start;
		uint64_t	size;
	} range[MOCK_VMBUS_RANGES];
};

#define	MOCK_VMBUS_GET_MEMORY	_IOR('v', 1, struct mock_vmbus_memory)
#define	MOCK_VMBUS_OFFER	_IOW('v', 2, struct mock_vmbus_offer)
#define	MOCK_VMBUS_RESCIND	_IOW('v', 3, uint32_t)
#define	MOCK_VMBUS_ANSWER	_IOW('v', 4, struct mock_vmbus_answer)
#define	MOCK_VMBUS_INTERRUPT	_IOW('v', 5, uint32_t)

#endif /* !_MOCK_VMBUS_H_ */
