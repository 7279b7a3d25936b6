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

/*
 * Of a page of old data that is written to in part the kernel would read the
 * rest from the disk first: zeros are there at once.  What was appended before
 * may lie in the page where it begins, never in another.
 */
static int
blot_last_page(const struct writer *writer, size_t size)
{
	static const uint8_t zeros[WRITER_PAGE];
	uint64_t end = writer->end + size, page = end - end % WRITER_PAGE;
	struct iovec iov = {(void *)(uintptr_t)zeros, sizeof(zeros)};

	return page < writer->end || page == end ? 0 :
	    file_write(writer->fd, &iov, 1, page);
}

static int
buffered_append(struct writer *writer, struct iovec *iov, unsigned count,
    size_t size)
{
	writer_reserve(writer, writer->end + size);
	if (writer->recycled && blot_last_page(writer, size) == -1)
		return -1;
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
