/* SPDX-License-Identifier: ISC */
/*
 * Writing through the page cache, from where the data lies.  Worker, archive
 * thread.
 */
#include "worker/archive/file.h"
#include "worker/archive/writer.h"

static bool
buffered_open(struct writer *writer ATTR_UNUSED)
{
	return true;
}

static int
buffered_append(struct writer *writer, struct iovec *iov, unsigned count,
    size_t size)
{
	writer_reserve(writer, writer->end + size);
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

const struct writer_ops writer_buffered = {
	.open = buffered_open,
	.append = buffered_append,
	.flush = buffered_flush,
	.back = buffered_back,
	.close = buffered_close,
	.worth = 0,
};
