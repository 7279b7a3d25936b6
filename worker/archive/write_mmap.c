/* SPDX-License-Identifier: ISC */
/*
 * Writing by a map of the file, straight from where the data lies.  Worker,
 * archive thread.  Must not end when somebody else makes the file shorter.
 *
 * The kernel writes pages when it likes, also half filled ones, and in any
 * order: only what a sync has covered is known to be on the disk.  The file
 * says how much that is (synced.h).
 *
 *	   writer->end, behind the last whole block
 *	                 v
 *	[header|block|block|0000000]........(reserved, beyond the file's size)
 *	              ^ window      ^ room
 *
 * Who reads the file meanwhile sees zeros or a whole block, nothing between:
 * of a block the first byte, which is never zero, comes last.
 */
#include <sys/mman.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/archive/file.h"
#include "worker/archive/writer.h"
#include "worker/last_words.h"

/* Of addresses; of memory only what has been written. */
#define WINDOW		((size_t)64 << 20)
/* How much longer than what is in it the file may be: what readers take for
 * filled up. */
#define GROW		((uint64_t)64 << 10)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23	/* Linux 5.14 */
#endif

struct mapping {
	uint8_t		*window;	/* owned; NULL: none */
	uint64_t	 begins;	/* where in the file it does */
	size_t		 size;		/* of the window */
	uint64_t	 room;		/* so long is the file, all allocated */
	uint64_t	 old;		/* and so long it had been before */
	uint64_t	 flushed;
	uint64_t	 page;		/* bytes */
	bool		 populates;	/* the kernel knows how */
};

/* The window that the thread writes to just now. */
static _Thread_local struct {
	uint8_t			*volatile begin;	/* NULL: none */
	size_t			 size;
	volatile sig_atomic_t	 hit;
} guarded;

/* In the signal handler: there is no file at that place any more, or no room
 * for it.  Memory comes there instead, so that the copy comes to its end. */
static bool
forgive(const void *address)
{
	uint8_t *begin = guarded.begin;
	const uint8_t *at = address;
	int saved = errno;

	if (begin == NULL || at < begin || at >= begin + guarded.size)
		return false;
	guarded.hit = 1;
	begin = mmap(begin, guarded.size, PROT_READ | PROT_WRITE, MAP_FIXED |
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	errno = saved;
	return begin != MAP_FAILED;
}

static void
drop_window(struct mapping *map)
{
	int saved = errno;

	if (map->window != NULL)
		munmap(map->window, map->size);
	map->window = NULL;
	errno = saved;
}

/* The window holds `size' bytes behind the end. */
static int
move_window(struct writer *writer, size_t size)
{
	struct mapping *map = writer->state;
	uint64_t begins = writer->end - writer->end % map->page;
	void *window;

	if (map->window != NULL &&
	    writer->end - map->begins + size <= map->size)
		return 0;
	drop_window(map);
	map->begins = begins;
	map->size = MAX_OF(WINDOW, (size_t)(writer->end - begins) + size);
	window = mmap(NULL, map->size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    writer->fd, (off_t)begins);
	if (window == MAP_FAILED)
		return -1;
	map->window = window;
	return 0;
}

static int
allocate(int fd, uint64_t from, uint64_t to)
{
	while (fallocate(fd, 0, (off_t)from, (off_t)(to - from)) == -1)
		if (errno != EINTR)
			return -1;
	return 0;
}

/* Room that is on the disk, up to `end' at least: when there is none, that is
 * an error here, and no signal later. */
static int
make_room(struct writer *writer, uint64_t end)
{
	struct mapping *map = writer->state;
	uint64_t to = (end + GROW - 1) / GROW * GROW;

	if (end <= map->room)
		return 0;
	writer_reserve(writer, end);
	/* What had been there before need not be asked for so often. */
	if (to < map->old)
		to = MIN_OF(map->old, to + writer->step);
	if (allocate(writer->fd, map->room, to) == -1) {
		/* A limit of the file's size, or of the disk's: the last of
		 * it may be enough. */
		if (allocate(writer->fd, map->room, end) == -1)
			return -1;
		to = end;
	}
	map->room = to;
	return 0;
}

static bool
mmap_open(struct writer *writer)
{
	struct mapping *map = writer->state;

	if (map == NULL) {
		writer->state = map = xcalloc(1, sizeof(*map));
		map->page = (uint64_t)sysconf(_SC_PAGESIZE);
		map->populates = true;
		last_words_forgive(forgive);
	}
	map->room = map->flushed = writer->end;
	map->old = (uint64_t)MAX_OF(file_size(writer->fd), (off_t)0);
	if (move_window(writer, 1) == -1)
		return false;
	/* A disk that is full is another matter. */
	if (make_room(writer, writer->end + 1) == 0 ||
	    (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL))
		return true;
	drop_window(map);
	return false;
}

/* All pages at once are cheaper than one by one, and what cannot be had is an
 * error instead of a signal. */
static int
populate(struct writer *writer, size_t size)
{
	struct mapping *map = writer->state;
	uint64_t from = writer->end - map->begins, to = from + size;

	from -= from % map->page;
	if (!map->populates || to - from <= map->page)
		return 0;
	if (madvise(map->window + from, to - from, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno == EINVAL)
		map->populates = false;
	else if (errno == EFAULT) {
		errno = EIO;
		return -1;
	}
	return 0;
}

static void
fill(uint8_t *out, const struct iovec *iov, unsigned count)
{
	const uint8_t *head = iov->iov_base;
	uint8_t *at = out + iov->iov_len;
	unsigned i;

	for (i = 1; i < count; i++)
		at = mempcpy(at, iov[i].iov_base, iov[i].iov_len);
	if (iov->iov_len == 0)
		return;
	memcpy(out + 1, head + 1, iov->iov_len - 1);
	/* Partner: whoever reads the file, first byte first. */
	atomic_thread_fence(memory_order_release);
	*(volatile uint8_t *)out = *head;
}

static int
mmap_append(struct writer *writer, struct iovec *iov, unsigned count,
    size_t size)
{
	struct mapping *map = writer->state;

	if (make_room(writer, writer->end + size) == -1 ||
	    move_window(writer, size) == -1 || populate(writer, size) == -1)
		return -1;
	guarded.hit = 0;
	guarded.size = map->size;
	guarded.begin = map->window;
	atomic_signal_fence(memory_order_seq_cst);
	fill(map->window + (writer->end - map->begins), iov, count);
	atomic_signal_fence(memory_order_seq_cst);
	guarded.begin = NULL;
	if (guarded.hit != 0) {
		drop_window(map);
		errno = EIO;
		return -1;
	}
	writer->end += size;
	return 0;
}

/* What was written to a page of which somebody has cut off the end is nowhere,
 * and no signal tells. */
static int
mmap_flush(struct writer *writer)
{
	struct mapping *map = writer->state;

	if (map->flushed == writer->end)
		return 0;
	if (msync(map->window, writer->end - map->begins, MS_ASYNC) == -1)
		return -1;
	if (file_size(writer->fd) < (off_t)writer->end) {
		errno = EIO;
		return -1;
	}
	map->flushed = writer->end;
	return 0;
}

/* Behind the end there are zeros again. */
static int
mmap_back(struct writer *writer, uint64_t end)
{
	struct mapping *map = writer->state;

	drop_window(map);
	writer->end = map->room = map->old = map->flushed = end;
	writer->reserved = 0;
	return ftruncate(writer->fd, (off_t)end);
}

static void
mmap_close(struct writer *writer)
{
	drop_window(writer->state);
}

const struct writer_ops writer_mmap = {
	.open = mmap_open,
	.append = mmap_append,
	.flush = mmap_flush,
	.back = mmap_back,
	.close = mmap_close,
	.free = free,
	.worth = 0,
	.notes = true,
};
