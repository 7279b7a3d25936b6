/* SPDX-License-Identifier: ISC */
/*
 * Writing past the page cache (O_DIRECT), from a buffer.  Worker, archive
 * thread.  Must not change what lies before the file's end.
 */
#include <sys/mman.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/archive/file.h"
#include "worker/archive/unbuffered.h"
#include "worker/archive/writer.h"

/* The more in one write, the less often is the disk idle between two. */
#define DIRECT_BUFFER	((size_t)4 << 20)

struct direct {
	bool		 unbuffered;	/* what the descriptor is set to */
	bool		 refused;	/* by the file system, for good */
	uint32_t	 align;		/* bytes, for memory, size and offset */
	uint64_t	 begin;		/* not so before that */
	uint8_t		*buffer;	/* owned; stays from file to file */
	size_t		 used;		/* bytes in it, the last ones the
					 * file's end... */
	size_t		 written;	/* ...of which the file has these */
};

static int
set_unbuffered(struct writer *writer, bool unbuffered)
{
	struct direct *direct = writer->state;

	if (direct->unbuffered == unbuffered)
		return 0;
	if (unbuffered_set(writer->fd, unbuffered) == -1)
		return -1;
	direct->unbuffered = unbuffered;
	return 0;
}

/* Fetches what the file has of its last sector. */
static int
direct_back(struct writer *writer, uint64_t end)
{
	struct direct *direct = writer->state;
	uint64_t begin = writer->end - direct->used;
	size_t tail = end & (direct->align - 1);
	ssize_t got;

	writer->end = end;
	if (end >= begin && end - begin <= direct->used) {
		direct->used = end - begin;
		direct->written = MIN_OF(direct->written, direct->used);
		return 0;
	}
	direct->used = direct->written = tail;
	if (tail == 0)
		return 0;
	if (set_unbuffered(writer, false) == -1)
		return -1;
	got = pread(writer->fd, direct->buffer, tail, (off_t)(end - tail));
	if (got != -1 && got != (ssize_t)tail)
		errno = EIO;
	return got == (ssize_t)tail ? 0 : -1;
}

static bool
direct_open(struct writer *writer)
{
	struct direct *direct = writer->state;
	uint64_t end = writer->end;

	if (direct == NULL)
		writer->state = direct = xcalloc(1, sizeof(*direct));
	direct->unbuffered = false;
	direct->align = unbuffered_alignment(writer->fd);
	direct->begin = unbuffered_begin(direct->align);
	if (direct->align == 0 || direct->refused) {
		errno = EINVAL;
		return false;
	}
	if (direct->buffer == NULL) {
		/* Pages that are never written to do not exist. */
		direct->buffer = mmap(NULL, DIRECT_BUFFER,
		    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
		if (direct->buffer == MAP_FAILED)
			direct->buffer = NULL;
	}
	/* As if it were empty, and nothing at hand. */
	writer->end = direct->used = direct->written = 0;
	return direct->buffer != NULL && direct_back(writer, end) == 0;
}

/* What is new of the buffer's first `size' bytes, through the page cache. */
static int
put_plainly(struct writer *writer, size_t size)
{
	struct direct *direct = writer->state;
	uint64_t at = writer->end - direct->used;
	size_t from = direct->written;
	struct iovec iov = {direct->buffer + from, size - from};

	if (size <= from)
		return 0;
	if (set_unbuffered(writer, false) == -1 ||
	    file_write(writer->fd, &iov, 1, at + from) == -1)
		return -1;
	direct->written = size;
	return 0;
}

/* Writes the first `size' bytes of the buffer. */
static int
put_sectors(struct writer *writer, size_t size)
{
	struct direct *direct = writer->state;
	uint64_t at = writer->end - direct->used;
	size_t first = at >= direct->begin ? 0 :
	    MIN_OF(direct->begin - at, (uint64_t)size);
	struct iovec iov = {direct->buffer + first, size - first};

	if (put_plainly(writer, MIN_OF(first, direct->used)) == -1)
		return -1;
	if (iov.iov_len == 0)
		return 0;
	at += first;
	if (!direct->refused && set_unbuffered(writer, true) == 0 &&
	    file_write(writer->fd, &iov, 1, at) == 0)
		return 0;
	if (!direct->refused && errno != EINVAL)
		return -1;
	/* It may have met a limit that is in the middle of a sector. */
	iov = (struct iovec){direct->buffer + first, size - first};
	if (set_unbuffered(writer, false) == -1 ||
	    file_write(writer->fd, &iov, 1, at) == -1)
		return -1;
	if (!direct->refused)
		writer_refused(writer);
	direct->refused = true;
	return 0;
}

/* What is written is needed no more, but for the last sector. */
static void
drop_sectors(struct writer *writer)
{
	struct direct *direct = writer->state;
	size_t tail = direct->used & (direct->align - 1);

	if (direct->used != tail)
		memmove(direct->buffer, direct->buffer + direct->used - tail,
		    tail);
	direct->used = direct->written = tail;
}

static int
direct_append(struct writer *writer, struct iovec *iov, unsigned count,
    size_t size)
{
	struct direct *direct = writer->state;
	size_t done, n;
	unsigned i;

	writer_reserve(writer, writer->end + size);
	for (i = 0; i < count; i++) {
		for (done = 0; done < iov[i].iov_len; done += n) {
			n = MIN_OF(iov[i].iov_len - done,
			    DIRECT_BUFFER - direct->used);
			memcpy(direct->buffer + direct->used,
			    (const uint8_t *)iov[i].iov_base + done, n);
			direct->used += n;
			writer->end += n;
			if (direct->used < DIRECT_BUFFER)
				continue;
			if (put_sectors(writer, direct->used) == -1)
				return -1;
			drop_sectors(writer);
		}
	}
	return 0;
}

static int
direct_flush(struct writer *writer)
{
	struct direct *direct = writer->state;
	size_t left = direct->used - direct->written;
	size_t size = (direct->used + direct->align - 1) &
	    ~(size_t)(direct->align - 1);
	int result;

	if (left == 0)
		return 0;
	if (left >= UNBUFFERED_MIN) {
		memset(direct->buffer + direct->used, 0,
		    size - direct->used);
		result = put_sectors(writer, size);
	} else
		result = put_plainly(writer, direct->used);
	if (result == 0)
		drop_sectors(writer);
	return result;
}

static void
direct_close(struct writer *writer)
{
	if (set_unbuffered(writer, false) == -1)
		log_warn("fcntl");
}

static void
direct_free(void *state)
{
	struct direct *direct = state;

	if (direct->buffer != NULL)
		munmap(direct->buffer, DIRECT_BUFFER);
	free(direct);
}

const struct writer_ops writer_direct = {
	.open = direct_open,
	.append = direct_append,
	.flush = direct_flush,
	.back = direct_back,
	.close = direct_close,
	.free = direct_free,
	.worth = DIRECT_BUFFER - UNBUFFERED_MIN,
};
