/* SPDX-License-Identifier: ISC */
/*
 * Writing by io_uring, through the page cache or past it.  Worker, archive
 * thread.  Must not change what lies before the file's end.
 *
 * What is appended is gathered in the chunks of a lane (disk_ring.h), one after
 * the other: a full one is given to the kernel while the next is filled.  A
 * flush waits for all that are in flight, so what is committed has completed,
 * and a failed write in the middle of others is one of the whole; the first
 * chunk is next then.  What the kernel has done a part of is done by a system
 * call, and so is what a shared ring has no room for, and all, from then on,
 * when the ring does not work any more.
 *
 * A sync is linked behind the last write, before which all others have
 * completed; the flush does not wait for it.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/archive/disk_ring.h"
#include "worker/archive/file.h"
#include "worker/archive/unbuffered.h"
#include "worker/archive/writer.h"

struct uring_file {
	const struct disk_ring *ring;	/* of which it has this memory */
	uint8_t		*lane;
	bool		 direct;	/* past the page cache... */
	bool		 refused;	/* ...which it is not, after all */
	bool		 unbuffered;	/* what the descriptor is set to */
	uint32_t	 align;
	uint64_t	 begins_at;	/* not past it before that */
	unsigned	 filling;	/* the chunk */
	uint64_t	 base;		/* where in the file it begins */
	size_t		 used;		/* bytes in it, the last ones the
					 * file's end... */
	size_t		 written;	/* ...of which the file has these */
	/* Of each chunk, if it is busy: its write, and from where on that is
	 * of bytes that the file did not have. */
	bool		 busy[DISK_CHUNKS];
	struct disk_write write[DISK_CHUNKS];
	uint64_t	 begins[DISK_CHUNKS];
	struct disk_sync sync;
	bool		 syncs;		/* it follows what was put last */
	int		 error;		/* 0: none */
	uint64_t	 failed_at;
};

static uint8_t *
chunk(const struct writer *writer)
{
	const struct uring_file *file = writer->state;

	return file->lane + file->filling * DISK_CHUNK;
}

/* By a system call. */
static int
put_plainly(struct writer *writer, const uint8_t *data, size_t size,
    uint64_t at)
{
	struct uring_file *file = writer->state;
	struct iovec iov = {(void *)(uintptr_t)data, size};

	if (file_write(writer->fd, &iov, 1, at) == 0)
		return 0;
	if (errno != EINVAL || !file->unbuffered)
		return -1;
	/* It may have met a limit that is in the middle of a sector. */
	if (unbuffered_set(writer->fd, false) == -1)
		return -1;
	file->unbuffered = false;
	iov = (struct iovec){(void *)(uintptr_t)data, size};
	if (file_write(writer->fd, &iov, 1, at) == -1)
		return -1;
	writer_refused(writer);
	file->refused = true;
	return 0;
}

static void
without_ring(struct writer *writer)
{
	const struct uring_file *file = writer->state;

	writer_fall_back(writer, file->direct && !file->refused ?
	    WRITE_DIRECT : WRITE_BUFFERED);
}

/* What is not the file's fault, and has to be done in another way. */
static bool
is_of_ring(int error)
{
	return error == EACCES || error == EOPNOTSUPP || error == ECANCELED ||
	    error == EFAULT;
}

/* Does what a write has left. */
static int
complete(struct writer *writer, const struct disk_write *write)
{
	size_t done = write->result > 0 ? (size_t)write->result : 0;
	int error = write->result < 0 ? -write->result : 0;

	if (write->result == 0)
		error = ENOSPC;
	if (is_of_ring(error)) {
		if (error != ECANCELED)
			disk_ring_give_up(writer->ring, error);
		if (!disk_ring_works(writer->ring))
			without_ring(writer);
	} else if (error != 0 && error != EINTR && error != EAGAIN &&
	    error != EINVAL) {
		errno = error;
		return -1;
	}
	return put_plainly(writer, write->data + done, write->size - done,
	    write->at + done);
}

static void
collect(struct writer *writer, unsigned i)
{
	struct uring_file *file = writer->state;
	const struct disk_write *write = &file->write[i];

	if (!file->busy[i])
		return;
	disk_ring_wait(writer->ring, write);
	file->busy[i] = false;
	if (!write->reserved)
		writer->reserved = write->result == -ECANCELED ? 0 :
		    UINT64_MAX;
	if (write->result == (int)write->size || complete(writer, write) == 0)
		return;
	if (file->error == 0 || file->begins[i] < file->failed_at)
		file->failed_at = file->begins[i];
	file->error = errno;
}

/* Waits for all; 0, or -1 with the errno of one that has failed. */
static int
settle(struct writer *writer)
{
	struct uring_file *file = writer->state;
	unsigned i;

	for (i = 1; i <= DISK_CHUNKS; i++)
		collect(writer, (file->filling + i) % DISK_CHUNKS);
	errno = file->error;
	return file->error == 0 ? 0 : -1;
}

/* What is in flight goes by what the descriptor is set to. */
static int
set_unbuffered(struct writer *writer, bool unbuffered)
{
	struct uring_file *file = writer->state;

	if (file->unbuffered == unbuffered)
		return 0;
	if (settle(writer) == -1 ||
	    unbuffered_set(writer->fd, unbuffered) == -1)
		return -1;
	file->unbuffered = unbuffered;
	return 0;
}

/* Room for what comes next, as in writer_reserve(). */
static void
reserve(struct writer *writer, struct disk_write *write)
{
	uint64_t at, size;

	if (!writer_lacks(writer, write->at + write->size, &at, &size))
		return;
	if (file_in_memory(writer->fd)) {
		writer->reserved = UINT64_MAX;
		return;
	}
	write->reserve_at = at;
	write->reserve_size = size;
}

/* Bytes of the chunk, which may begin before those that are new. */
static int
put(struct writer *writer, size_t from, size_t to, struct disk_sync *sync)
{
	struct uring_file *file = writer->state;
	struct disk_write *write = &file->write[file->filling];
	uint64_t reserved = writer->reserved;

	assert(!file->busy[file->filling]);
	*write = (struct disk_write){.fd = writer->fd,
	    .data = chunk(writer) + from, .size = to - from,
	    .at = file->base + from, .sync = sync};
	file->begins[file->filling] = file->base + file->written;
	if (!disk_ring_works(writer->ring))
		without_ring(writer);
	else {
		reserve(writer, write);
		if (disk_ring_write(writer->ring, write)) {
			file->busy[file->filling] = true;
			file->written = file->used;
			file->syncs = write->sync != NULL;
			return 0;
		}
		writer->reserved = reserved;
	}
	writer_reserve(writer, write->at + write->size);
	if (put_plainly(writer, write->data, write->size, write->at) == -1)
		return -1;
	file->written = file->used;
	return 0;
}

/* What is new of the file's beginning, which never goes past the page cache. */
static int
put_beginning(struct writer *writer)
{
	struct uring_file *file = writer->state;
	size_t from = file->written, to;

	if (file->base + from >= file->begins_at)
		return 0;
	to = MIN_OF(file->used, (size_t)(file->begins_at - file->base));
	if (set_unbuffered(writer, false) == -1 || put_plainly(writer,
	    chunk(writer) + from, to - from, file->base + from) == -1)
		return -1;
	file->written = to;
	return 0;
}

/* What of the chunk the file does not have; `sync' NULL: nothing behind it. */
static int
put_rest(struct writer *writer, struct disk_sync *sync)
{
	struct uring_file *file = writer->state;
	size_t left = file->used - file->written, mask, from;
	bool unbuffered = file->direct && !file->refused &&
	    (left >= UNBUFFERED_MIN || file->used == DISK_CHUNK);
	size_t to = file->used;

	if (unbuffered && put_beginning(writer) == -1)
		return -1;
	from = file->written;
	if (from == to)
		return 0;
	if (set_unbuffered(writer, unbuffered) == -1)
		return -1;
	/* Of a page of old data the kernel would read the rest from the disk
	 * first, if it were written to in part. */
	if (unbuffered || writer->recycled) {
		mask = file->align - 1;
		to = (to + mask) & ~mask;
		memset(chunk(writer) + file->used, 0, to - file->used);
		if (unbuffered)
			from &= ~mask;
	}
	return put(writer, from, to, sync);
}

/* An empty chunk, but for what the file has of a last sector. */
static int
begin_at(struct writer *writer, uint64_t end)
{
	struct uring_file *file = writer->state;
	size_t tail = end & (file->align - 1);
	ssize_t got;

	writer->end = end;
	file->base = end - tail;
	file->used = file->written = tail;
	if (tail == 0 || !file->direct)
		return 0;
	if (set_unbuffered(writer, false) == -1)
		return -1;
	got = pread(writer->fd, chunk(writer), tail, (off_t)file->base);
	if (got != -1 && got != (ssize_t)tail)
		errno = EIO;
	return got == (ssize_t)tail ? 0 : -1;
}

static bool
begin(struct writer *writer, bool direct)
{
	struct uring_file *file = writer->state;

	if (file == NULL) {
		writer->state = file = xcalloc(1, sizeof(*file));
		file->ring = writer->ring;
		file->lane = disk_ring_lane(writer->ring, writer->lane);
	}
	if (file->lane == NULL)
		return false;
	file->direct = direct;
	file->unbuffered = false;
	file->error = 0;
	file->align = direct ? unbuffered_alignment(writer->fd) : WRITER_PAGE;
	file->begins_at = unbuffered_begin(file->align);
	if (file->align == 0 || file->refused) {
		errno = EINVAL;
		return false;
	}
	return begin_at(writer, writer->end) == 0;
}

static bool
buffered_open(struct writer *writer)
{
	return begin(writer, false);
}

static bool
direct_open(struct writer *writer)
{
	return begin(writer, true);
}

/*
 * The next chunk is filled while this one is in flight, unless it is to be
 * `alone': of a block with whole chunks in its middle these must not be missing
 * when its end is there, if the power fails, as nothing would tell.
 */
static int
next_chunk(struct writer *writer, bool alone)
{
	struct uring_file *file = writer->state;

	if (put_rest(writer, NULL) == -1 || (alone && settle(writer) == -1))
		return -1;
	disk_ring_submit(writer->ring);
	file->filling = (file->filling + 1) % DISK_CHUNKS;
	file->base += DISK_CHUNK;
	file->used = file->written = 0;
	collect(writer, file->filling);
	errno = file->error;
	return file->error == 0 ? 0 : -1;
}

static int
uring_append(struct writer *writer, struct iovec *iov, unsigned count,
    size_t size)
{
	struct uring_file *file = writer->state;
	size_t done, n;
	unsigned i;

	for (i = 0; i < count; i++) {
		for (done = 0; done < iov[i].iov_len; done += n) {
			n = MIN_OF(iov[i].iov_len - done,
			    DISK_CHUNK - file->used);
			memcpy(chunk(writer) + file->used,
			    (const uint8_t *)iov[i].iov_base + done, n);
			file->used += n;
			writer->end += n;
			if (file->used == DISK_CHUNK &&
			    next_chunk(writer, size > DISK_CHUNK) == -1)
				return -1;
		}
	}
	return 0;
}

static bool
uring_push(struct writer *writer, bool sync)
{
	struct uring_file *file = writer->state;

	/* What has failed the flush says. */
	if (sync && settle(writer) == -1)
		return false;
	file->syncs = false;
	file->sync.client = writer->client;
	(void)put_rest(writer, sync ? &file->sync : NULL);
	return file->syncs;
}

/* Nothing is in flight: goes on in the first chunk, so that a slow file touches
 * no more memory than it needs. */
static void
begin_again(struct writer *writer)
{
	struct uring_file *file = writer->state;
	size_t tail = file->used & (file->align - 1);

	memmove(file->lane, chunk(writer) + file->used - tail, tail);
	file->filling = 0;
	file->base += file->used - tail;
	file->used = file->written = tail;
}

static int
uring_flush(struct writer *writer)
{
	if (put_rest(writer, NULL) == -1) {
		(void)settle(writer);
		return -1;
	}
	if (settle(writer) == -1)
		return -1;
	begin_again(writer);
	return 0;
}

static int
uring_synced(struct writer *writer, bool wait)
{
	struct uring_file *file = writer->state;
	int error;

	if (!disk_ring_synced(writer->ring, &file->sync, wait))
		return EINPROGRESS;
	error = -file->sync.result;
	return is_of_ring(error) || error == EINTR || error == EAGAIN ||
	    error == EINVAL ? ECANCELED : error;
}

static int
uring_back(struct writer *writer, uint64_t end)
{
	struct uring_file *file = writer->state;

	(void)settle(writer);
	/* What was appended before may have failed as well. */
	if (end <= file->failed_at)
		file->error = 0;
	if (end < file->base || end - file->base > file->used)
		return begin_at(writer, end);
	writer->end = end;
	file->used = end - file->base;
	file->written = MIN_OF(file->written, file->used);
	return 0;
}

static void
uring_close(struct writer *writer)
{
	struct uring_file *file = writer->state;

	(void)settle(writer);
	(void)uring_synced(writer, true);
	file->error = 0;
	if (set_unbuffered(writer, false) == -1)
		log_warn("fcntl");
}

static void
uring_free(void *state)
{
	struct uring_file *file = state;

	disk_ring_lane_end(file->ring, file->lane);
	free(file);
}

#define URING_WORTH	((DISK_CHUNKS - 1) * DISK_CHUNK - UNBUFFERED_MIN)

const struct writer_ops writer_buffered_io_uring = {
	.open = buffered_open,
	.append = uring_append,
	.push = uring_push,
	.flush = uring_flush,
	.synced = uring_synced,
	.back = uring_back,
	.close = uring_close,
	.free = uring_free,
	.worth = URING_WORTH,
};

const struct writer_ops writer_direct_io_uring = {
	.open = direct_open,
	.append = uring_append,
	.push = uring_push,
	.flush = uring_flush,
	.synced = uring_synced,
	.back = uring_back,
	.close = uring_close,
	.free = uring_free,
	.worth = URING_WORTH,
};
