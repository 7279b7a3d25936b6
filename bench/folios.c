/* SPDX-License-Identifier: ISC */
/*
 * What it is worth to write blocks from a multiple of a large size on, for
 * which a file system takes fewer and larger folios:
 *
 *	folios DIRECTORY [MIB [ROUNDS]]
 *
 * Blocks of an archive end where their records do.  "As they come" each is
 * written where the one before has ended; "held back" what lies beyond a
 * multiple of 64 KiB is copied, and written with the next one.  Files are new,
 * or written over while they are in memory.  Prints microseconds of processor
 * time for a MiB: the median of all rounds, which take turns, and the minimum.
 */
#include <sys/uio.h>
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/util.h"

#define MIB		((size_t)1 << 20)
#define RING		(8 * MIB)
#define MULTIPLE	(MIB / 16)
#define DATAGRAM	1424U		/* a record */
#define ROUNDS_MAX	99U

static const size_t sizes[] = {MIB / 16, MIB / 4, MIB};

enum way {
	AS_THEY_COME,
	HELD_BACK,
	WAYS,
};

struct file {
	int		 fd;
	char		*path;
	uint64_t	 end;
	size_t		 held;		/* bytes of `tail' */
	uint8_t		 tail[MULTIPLE];
};

static uint8_t	ring[2 * RING];
static struct file file;

static double
processor_us(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == -1)
		err(1, "clock_gettime");
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void
put(struct iovec *iov, int count, size_t size)
{
	ssize_t done = pwritev(file.fd, iov, count, (off_t)file.end);

	if (done != (ssize_t)size)
		err(1, "%s", file.path);
	file.end += size;
}

/* The tail of the last one comes before it. */
static void
put_block(enum way way, const uint8_t *data, size_t length)
{
	struct iovec iov[2] = {{file.tail, file.held},
	    {(void *)(uintptr_t)data, length}};
	size_t all = file.held + length;
	size_t rest = way == HELD_BACK ? all % MULTIPLE : 0;

	/* Both together are less than a multiple: it waits. */
	if (rest == all) {
		memcpy(file.tail + file.held, data, length);
		file.held += length;
		return;
	}
	iov[1].iov_len = length - rest;
	put(iov, 2, all - rest);
	memcpy(file.tail, data + length - rest, rest);
	file.held = rest;
}

/* Whole records, as many as make up a block. */
static double
write_file(enum way way, size_t block, size_t bytes)
{
	size_t length = (block + DATAGRAM - 1) / DATAGRAM * DATAGRAM, at = 0;
	double before = processor_us();
	struct iovec rest;

	file.end = file.held = 0;
	while (file.end + file.held < bytes) {
		put_block(way, ring + at, length);
		at = (at + length) % RING;
	}
	rest = (struct iovec){file.tail, file.held};
	if (file.held > 0)
		put(&rest, 1, file.held);
	return (processor_us() - before) / ((double)file.end / (double)MIB);
}

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
open_file(const char *directory, const char *name)
{
	file.path = xasprintf("%s/folios-%s", directory, name);
	file.fd = open(file.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file.fd == -1)
		err(1, "%s", file.path);
}

static void
close_file(void)
{
	close(file.fd);
	if (unlink(file.path) == -1)
		err(1, "%s", file.path);
	free(file.path);
}

/* Each way its own file, so that its folios are what that way has made. */
static void
run_size(const char *directory, size_t block, size_t bytes, unsigned rounds)
{
	static double us[2][WAYS][ROUNDS_MAX];
	unsigned i, way, again;

	for (i = 0; i < rounds; i++)
		for (way = 0; way < WAYS; way++) {
			open_file(directory, way == HELD_BACK ? "held" :
			    "come");
			for (again = 0; again < 2; again++)
				us[again][way][i] = write_file(way, block,
				    bytes);
			close_file();
		}
	for (again = 0; again < 2; again++) {
		for (way = 0; way < WAYS; way++)
			qsort(us[again][way], rounds, sizeof(double),
			    compare);
		printf("%4zu KiB, %s: as they come %.0f (%.0f), held back "
		    "%.0f (%.0f): %.2f (%.2f)\n", block >> 10, again ?
		    "over" : "new ", us[again][0][rounds / 2], us[again][0][0],
		    us[again][1][rounds / 2], us[again][1][0],
		    us[again][1][rounds / 2] / us[again][0][rounds / 2],
		    us[again][1][0] / us[again][0][0]);
	}
}

int
main(int argc, char *argv[])
{
	size_t mib = argc > 2 ? (size_t)atoi(argv[2]) : 256, i;
	unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 9;

	if (argc < 2 || argc > 4 || mib == 0 || rounds == 0 ||
	    rounds > ROUNDS_MAX)
		errx(2, "usage: folios DIRECTORY [MIB [ROUNDS]]");
	for (i = 0; i < sizeof(ring); i++)
		ring[i] = (uint8_t)(i * 2654435761u >> 11);
	for (i = 0; i < NITEMS(sizes); i++)
		run_size(argv[1], sizes[i], mib * MIB, rounds);
	return 0;
}
