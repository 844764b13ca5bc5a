/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asks hv_uio(4) for what it must refuse, and uses what it gives: a mapping is
 * touched from end to end, as one that is not all there ends this program.
 *
 *	fuzz NODE random SEED COUNT	random calls, and what each may do
 *	fuzz NODE cycles COUNT		open, map, close
 *	fuzz NODE hold SECONDS		open and map, say so, wait, close
 */
#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv_uio.h"

static uint64_t state;

static uint64_t
rnd(void)
{

	/* xorshift64* */
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 0x2545f4914f6cdd1d);
}

/* Numbers at which something could break, more often than others. */
static uint64_t
odd(void)
{
	static const uint64_t edge[] = { 0, 1, 2, 255, 256, 4095, 4096, 4097,
	    INT32_MAX, UINT32_MAX, 1ull << 32, INT64_MAX, UINT64_MAX };

	switch (rnd() % 3) {
	case 0:
		return (edge[rnd() % (sizeof(edge) / sizeof(edge[0]))]);
	case 1:
		return (rnd() >> rnd() % 64);
	default:
		return (rnd() % 1024);
	}
}

static int
open_node(const char *node)
{
	int fd;

	fd = open(node, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", node);
	return (fd);
}

static struct hv_uio_info
get_info(int fd)
{
	struct hv_uio_info info;

	memset(&info, 0, sizeof(info));
	info.version = HV_UIO_VERSION;
	if (ioctl(fd, HV_UIO_INFO, &info) != 0)
		err(1, "HV_UIO_INFO");
	return (info);
}

/* Reads and writes back a word of each page. */
static void
touch(void *at, size_t size, bool write)
{
	volatile uint32_t *word;
	size_t i;

	for (i = 0; i < size; i += HV_UIO_PAGE_SIZE) {
		/* Past the indices, which are the host's, too. */
		word = (volatile uint32_t *)((char *)at + i + 2048);
		if (write)
			*word = *word;
		else
			(void)*word;
	}
}

static void
map_all(int fd, bool keep)
{
	struct hv_uio_info info;
	void *at;
	uint32_t i;

	info = get_info(fd);
	for (i = 0; i < HV_UIO_MAPS; i++) {
		if (info.region[i].size == 0)
			continue;
		at = mmap(NULL, info.region[i].size, PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, HV_UIO_OFFSET(0, i));
		if (at == MAP_FAILED)
			err(1, "mmap of region %u", i);
		touch(at, info.region[i].size, false);
		if (!keep && rnd() % 2 == 0)
			munmap(at, info.region[i].size);
	}
}

static void
fuzz_map(int fd, const struct hv_uio_info *info)
{
	uint64_t offset, size, within;
	uint32_t map, relid;
	void *at;
	int prot;

	map = rnd() % 8;
	relid = rnd() % 4 == 0 ? odd() : rnd() % 2 * info->relid;
	offset = HV_UIO_OFFSET(relid, map);
	if (rnd() % 8 == 0)
		offset = odd() * (rnd() % 2 == 0 ? 1 : HV_UIO_PAGE_SIZE);
	size = map < HV_UIO_MAPS && rnd() % 2 == 0 ? info->region[map].size :
	    rnd() % (1 << 26);
	size += (int)(rnd() % 3 - 1) * (rnd() % 2 * HV_UIO_PAGE_SIZE);
	if (size == 0 || size > 1 << 30)
		size = HV_UIO_PAGE_SIZE;
	prot = rnd() % 8;
	at = mmap(NULL, size, prot, rnd() % 8 == 0 ? MAP_PRIVATE : MAP_SHARED,
	    fd, offset);
	if (at == MAP_FAILED)
		return;
	/* mmap(2) itself makes whole pages of them. */
	within = offset % HV_UIO_PAGE_SIZE;
	offset -= within;
	size += within;
	at = (char *)at - within;
	map = offset / HV_UIO_PAGE_SIZE & 0xff;
	if (map >= HV_UIO_MAPS || (size + HV_UIO_PAGE_SIZE - 1) /
	    HV_UIO_PAGE_SIZE * HV_UIO_PAGE_SIZE > info->region[map].size ||
	    (prot & PROT_EXEC) != 0)
		errx(1, "mmap gave %ju bytes at 0x%jx, protection %d",
		    (uintmax_t)size, (uintmax_t)offset, prot);
	/* Only the buffers: the host looks into the others. */
	if (map >= HV_UIO_MAP_RECEIVE && (prot & PROT_READ) != 0)
		touch(at, size, (prot & PROT_WRITE) != 0);
	if (rnd() % 2 == 0)
		mprotect(at, HV_UIO_PAGE_SIZE, PROT_READ);
	munmap(at, size);
}

static void
fuzz_ioctl(int fd, uint32_t relid)
{
	static const unsigned long known[] = { HV_UIO_INFO,
	    HV_UIO_SUBCHAN_OPEN, HV_UIO_SIGNAL, HV_UIO_SUBCHAN_OPEN_ALL };
	union {
		struct hv_uio_info info;
		struct hv_uio_subchan subchan;
		uint32_t number;
		uint64_t words[512];
	} arg;
	unsigned long command;
	size_t i;
	int error;

	memset(&arg, 0, sizeof(arg));
	for (i = 0; i < sizeof(arg) / sizeof(arg.words[0]); i++)
		arg.words[i] = odd();
	command = known[rnd() % 4];
	if (rnd() % 4 == 0)
		command ^= 1ul << rnd() % 32;
	if (rnd() % 2 == 0)
		arg.number = HV_UIO_VERSION;
	if (rnd() % 2 == 0 && command == HV_UIO_SIGNAL)
		arg.number = rnd() % 2 * relid;
	if (rnd() % 2 == 0 && command == HV_UIO_SUBCHAN_OPEN)
		arg.subchan.reserved = 0;
	/* What there may be is waited for, 5 seconds long. */
	if (command == HV_UIO_SUBCHAN_OPEN_ALL && arg.number != 0 &&
	    arg.number <= HV_UIO_SUBCHANNELS)
		arg.number = HV_UIO_SUBCHANNELS + 1;
	/* Socket and descriptor flags are the kernel's own business. */
	if ((command >> 8 & 0xff) == 'f')
		return;
	if (rnd() % 32 == 0)
		error = ioctl(fd, command, (void *)(uintptr_t)odd());
	else {
		const uint32_t version = arg.number;

		error = ioctl(fd, command, &arg);
		if (error == 0 && version != HV_UIO_VERSION && (command ==
		    HV_UIO_INFO || command == HV_UIO_SUBCHAN_OPEN))
			errx(1, "version %u was taken", version);
		if (error == 0 && command == HV_UIO_SUBCHAN_OPEN)
			errx(1, "a subchannel that nobody asked for");
		if (error == 0 && command == HV_UIO_SUBCHAN_OPEN_ALL &&
		    version != 0)
			errx(1, "%u subchannels that nobody asked for",
			    version);
	}
}

static void
fuzz_rw(int fd)
{
	char buffer[64];
	struct pollfd p = { .fd = fd, .events = rnd(), .revents = 0 };
	uint32_t value;
	ssize_t n;
	size_t size;

	switch (rnd() % 4) {
	case 0:
		size = rnd() % sizeof(buffer);
		n = read(fd, buffer, size);
		if (n > 0 && n != 4)
			errx(1, "read gave %zd bytes", n);
		break;
	case 1:
		size = rnd() % sizeof(buffer);
		memset(buffer, rnd(), sizeof(buffer));
		n = write(fd, buffer, size);
		if (n > 0 && (n != 4 || (buffer[0] != 0 && buffer[0] != 1)))
			errx(1, "write took %zd bytes of %d", n, buffer[0]);
		break;
	case 2:
		value = rnd() % 3;
		n = write(fd, &value, sizeof(value));
		if ((n == 4) != (value <= 1))
			errx(1, "write of %u: %zd", value, n);
		break;
	default:
		poll(&p, 1, 0);
		break;
	}
}

static void
fuzz(const char *node, uint64_t count)
{
	struct hv_uio_info info;
	uint64_t i;
	int fd, other;

	fd = open_node(node);
	info = get_info(fd);
	for (i = 0; i < count; i++) {
		switch (rnd() % 4) {
		case 0:
			fuzz_map(fd, &info);
			break;
		case 1:
			fuzz_rw(fd);
			break;
		default:
			fuzz_ioctl(fd, info.relid);
			break;
		}
		if (i % 1024 == 0) {
			other = open(node, O_RDWR);
			if (other >= 0 || errno != EBUSY)
				errx(1, "a second process may open it");
		}
	}
	other = open(node, O_RDONLY);
	if (other >= 0)
		errx(1, "it can be opened for reading only");
	info = get_info(fd);
	if (info.open != 0)
		errx(1, "%u subchannels are open", info.open);
	close(fd);
}

int
main(int argc, char **argv)
{
	uint64_t count;
	int fd;

	if (argc < 4)
		errx(2, "usage: fuzz NODE random SEED COUNT | cycles COUNT | "
		    "hold SECONDS");
	count = strtoull(argv[argc - 1], NULL, 0);
	state = 1;
	if (strcmp(argv[2], "random") == 0) {
		state = strtoull(argv[3], NULL, 0) | 1;
		fuzz(argv[1], count);
	} else if (strcmp(argv[2], "cycles") == 0) {
		while (count-- > 0) {
			pid_t child = fork();
			int status;

			/* Half of them leave it to the end of the process. */
			if (child == 0) {
				state += count << 8;
				fd = open_node(argv[1]);
				map_all(fd, false);
				if (count % 2 == 0)
					close(fd);
				_exit(0);
			}
			if (waitpid(child, &status, 0) < 0 || status != 0)
				errx(1, "cycle: status 0x%x", status);
		}
	} else {
		fd = open_node(argv[1]);
		map_all(fd, true);
		puts("held");
		fflush(stdout);
		sleep(count);
		close(fd);
	}
	return (0);
}
