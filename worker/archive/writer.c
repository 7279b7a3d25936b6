/* SPDX-License-Identifier: ISC */
/*
 * The ways to write to an open file.  Worker, archive thread.  Must not
 * change what lies before the file's end.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/archive/file.h"
#include "worker/archive/writer.h"

/* Less than this is not worth a write that waits for the disk. */
#define DIRECT_MIN	((size_t)64 << 10)
/* The more in one write, the less often is the disk idle between two. */
#define DIRECT_BUFFER	((size_t)4 << 20)
/* What file systems allocate; to write less of it costs them a read. */
#define DIRECT_ALIGN	4096U

static bool
buffered_open(struct writer *writer ATTR_UNUSED)
{
	return true;
}

static int
buffered_append(struct writer *writer, struct iovec *iov, unsigned count,
    size_t size)
{
	if (file_write(writer->fd, iov, count, writer->end) == -1)
		return -1;
	writer->end += size;
	return 0;
}

static int
buffered_flush(struct writer *writer ATTR_UNUSED)
{
	return 0;
}

static int
buffered_back(struct writer *writer, uint64_t end)
{
	writer->end = end;
	return 0;
}

static void
buffered_close(struct writer *writer ATTR_UNUSED)
{
}

static const struct writer_ops buffered_ops = {
	.open = buffered_open,
	.append = buffered_append,
	.flush = buffered_flush,
	.back = buffered_back,
	.close = buffered_close,
	.worth = 0,
};

/* Asks the file system: some take the flag and copy all the same. */
static uint32_t
direct_alignment(int fd)
{
#ifdef STATX_DIOALIGN
	struct statx st;
	uint32_t align;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) == -1 ||
	    (st.stx_mask & STATX_DIOALIGN) == 0 ||
	    st.stx_dio_offset_align == 0)
		return 0;
	align = MAX_OF(st.stx_dio_offset_align, st.stx_dio_mem_align);
	align = MAX_OF(align, DIRECT_ALIGN);
	return align <= DIRECT_MIN && (align & (align - 1)) == 0 ? align : 0;
#else
	(void)fd;
	return 0;
#endif
}

static int
set_unbuffered(struct writer *writer, bool unbuffered)
{
	int flags;

	if (writer->unbuffered == unbuffered)
		return 0;
	flags = fcntl(writer->fd, F_GETFL);
	if (flags == -1 || fcntl(writer->fd, F_SETFL, unbuffered ?
	    flags | O_DIRECT : flags & ~O_DIRECT) == -1)
		return -1;
	writer->unbuffered = unbuffered;
	return 0;
}

/* Fetches what the file has of its last sector. */
static int
direct_back(struct writer *writer, uint64_t end)
{
	uint64_t begin = writer->end - writer->used;
	size_t tail = end & (writer->align - 1);
	ssize_t got;

	writer->end = end;
	if (end >= begin && end - begin <= writer->used) {
		writer->used = end - begin;
		writer->written = MIN_OF(writer->written, writer->used);
		return 0;
	}
	writer->used = writer->written = tail;
	if (tail == 0)
		return 0;
	if (set_unbuffered(writer, false) == -1)
		return -1;
	got = pread(writer->fd, writer->buffer, tail, (off_t)(end - tail));
	if (got != -1 && got != (ssize_t)tail)
		errno = EIO;
	return got == (ssize_t)tail ? 0 : -1;
}

static bool
direct_open(struct writer *writer)
{
	uint64_t end = writer->end;

	writer->unbuffered = false;
	writer->align = direct_alignment(writer->fd);
	if (writer->align == 0 || writer->refused)
		return false;
	if (writer->buffer == NULL) {
		/* Pages that are never written to do not exist. */
		writer->buffer = mmap(NULL, DIRECT_BUFFER,
		    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
		if (writer->buffer == MAP_FAILED)
			writer->buffer = NULL;
	}
	/* As if it were empty, and nothing at hand. */
	writer->end = writer->used = writer->written = 0;
	return writer->buffer != NULL && direct_back(writer, end) == 0;
}

/* Writes the first `size' bytes of the buffer. */
static int
put_sectors(struct writer *writer, size_t size)
{
	struct iovec iov = {writer->buffer, size};
	uint64_t at = writer->end - writer->used;

	if (!writer->refused) {
		if (set_unbuffered(writer, true) == 0 &&
		    file_write(writer->fd, &iov, 1, at) == 0)
			return 0;
		if (errno != EINVAL)
			return -1;
		log_warnx("the file system refuses direct I/O after all: "
		    "archiving through the page cache");
		writer->refused = true;
		iov = (struct iovec){writer->buffer, size};
	}
	if (set_unbuffered(writer, false) == -1)
		return -1;
	return file_write(writer->fd, &iov, 1, at);
}

/* What is written is needed no more, but for the last sector. */
static void
drop_sectors(struct writer *writer)
{
	size_t tail = writer->used & (writer->align - 1);

	if (writer->used != tail)
		memmove(writer->buffer, writer->buffer + writer->used - tail,
		    tail);
	writer->used = writer->written = tail;
}

static int
direct_append(struct writer *writer, struct iovec *iov, unsigned count,
    size_t size ATTR_UNUSED)
{
	size_t done, n;
	unsigned i;

	for (i = 0; i < count; i++) {
		for (done = 0; done < iov[i].iov_len; done += n) {
			n = MIN_OF(iov[i].iov_len - done,
			    DIRECT_BUFFER - writer->used);
			memcpy(writer->buffer + writer->used,
			    (const uint8_t *)iov[i].iov_base + done, n);
			writer->used += n;
			writer->end += n;
			if (writer->used < DIRECT_BUFFER)
				continue;
			if (put_sectors(writer, writer->used) == -1)
				return -1;
			drop_sectors(writer);
		}
	}
	return 0;
}

static int
direct_flush(struct writer *writer)
{
	size_t left = writer->used - writer->written;
	size_t size = (writer->used + writer->align - 1) &
	    ~(size_t)(writer->align - 1);
	struct iovec iov = {writer->buffer + writer->written, left};
	int result;

	if (left == 0)
		return 0;
	if (left >= DIRECT_MIN) {
		memset(writer->buffer + writer->used, 0,
		    size - writer->used);
		result = put_sectors(writer, size);
	} else {
		result = set_unbuffered(writer, false);
		if (result == 0)
			result = file_write(writer->fd, &iov, 1,
			    writer->end - left);
	}
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

static const struct writer_ops direct_ops = {
	.open = direct_open,
	.append = direct_append,
	.flush = direct_flush,
	.back = direct_back,
	.close = direct_close,
	.worth = DIRECT_BUFFER - DIRECT_MIN,
};

static const struct writer_ops *const ways[] = {
	[WRITE_BUFFERED] = &buffered_ops,
	[WRITE_DIRECT] = &direct_ops,
};

void
writer_open(struct writer *writer, enum archive_write how, int fd,
    uint64_t end)
{
	writer->fd = fd;
	writer->end = end;
	writer->ops = ways[how];
	if (writer->ops->open(writer))
		return;
	writer->end = end;
	writer->ops = &buffered_ops;
}

void
writer_close(struct writer *writer)
{
	writer->ops->close(writer);
	writer->fd = -1;
}

void
writer_free(struct writer *writer)
{
	if (writer->buffer != NULL)
		munmap(writer->buffer, DIRECT_BUFFER);
	writer->buffer = NULL;
}
