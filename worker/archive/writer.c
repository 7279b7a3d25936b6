/* SPDX-License-Identifier: ISC */
/*
 * Which way to write to an open file, and what all ways share.  Worker, archive
 * thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/archive/disk_ring.h"
#include "worker/archive/file.h"
#include "worker/archive/writer.h"

static const struct {
	const char		*name;
	const struct writer_ops	*ops;
} ways[] = {
#define WAY(constant, word)	[constant] = {#word, &writer_##word},
	ARCHIVE_BACK_END_TABLE(WAY)
#undef WAY
};

static void
begin(struct writer *writer, enum archive_write way, int fd, uint64_t end)
{
	writer->way = way;
	writer->ops = ways[way].ops;
	writer->fd = fd;
	writer->end = end;
	/* What an old file had is there. */
	writer->reserved = writer->recycled ?
	    (uint64_t)MAX_OF(file_size(fd), (off_t)0) : 0;
}

enum archive_write
writer_back_end(const struct writer *writer, enum archive_write how)
{
	return archive_back_end(how, writer->ring != NULL &&
	    disk_ring_works(writer->ring));
}

void
writer_open(struct writer *writer, enum archive_write how, int fd,
    uint64_t end, uint64_t limit)
{
	enum archive_write way = writer_back_end(writer, how);

	writer->limit = limit;
	writer->step = limit == 0 ? WRITER_RESERVE :
	    MIN_OF(limit, WRITER_RESERVE);
	if (writer->wanted != ways[way].ops)
		writer_free(writer);
	writer->wanted = ways[way].ops;
	begin(writer, way, fd, end);
	if (writer->ops->open(writer))
		return;
	if (!writer->told)
		log_info("the archive cannot be written by `write: %s' here "
		    "(%s): it is written buffered", ways[how].name,
		    strerror(errno));
	writer->told = true;
	begin(writer, WRITE_BUFFERED, fd, end);
}

bool
writer_notes(enum archive_write how)
{
	return ways[how].ops->notes;
}

void
writer_fall_back(struct writer *writer, enum archive_write way)
{
	writer->way = way;
	writer->told = true;
}

void
writer_refused(struct writer *writer)
{
	log_warnx("the file system refuses direct I/O after all: archiving "
	    "through the page cache");
	writer_fall_back(writer, WRITE_BUFFERED);
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
	if (writer->state != NULL)
		writer->wanted->free(writer->state);
	writer->state = NULL;
}

bool
writer_lacks(struct writer *writer, uint64_t end, uint64_t *at, uint64_t *size)
{
	if (end <= writer->reserved ||
	    (writer->limit > 0 && end > writer->limit))
		return false;
	*at = end - end % writer->step;
	*size = writer->limit == 0 ? writer->step :
	    MIN_OF(writer->step, writer->limit - *at);
	writer->reserved = *at + *size;
	return true;
}

void
writer_reserve(struct writer *writer, uint64_t end)
{
	uint64_t at, size;

	if (writer_lacks(writer, end, &at, &size) &&
	    (file_in_memory(writer->fd) || fallocate(writer->fd,
	    FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)size) == -1))
		writer->reserved = UINT64_MAX;
}
