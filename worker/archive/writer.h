/* SPDX-License-Identifier: ISC */
/*
 * Appends to an open file of an archive, in one of several ways: a table of
 * operations each, chosen when the file is opened (archive.write).  Worker,
 * archive thread.  Files are created, synced and finished through file.h.
 *
 * buffered: through the page cache, from where the data lies.
 *
 * direct: gathered in an aligned buffer, from there to the disk past the page
 * cache (O_DIRECT): a copy to memory that is there already instead of one to
 * pages that have to be found, filled, kept and written later by somebody
 * else.  What is less than DIRECT_MIN when it has to be written, as of a slow
 * kind, goes through the page cache.  The last sector is filled up with
 * zeros, so while it is open the file can be longer than what is in it.
 *
 * Functions that return int: 0, or -1 with errno; then anything may lie
 * behind the end that the file had before, and writer_back() is due.
 */
#ifndef MCRELAY_WRITER_H
#define MCRELAY_WRITER_H

#include <sys/uio.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/segment.h"

struct writer_ops;

struct writer {
	const struct writer_ops	*ops;
	int		 fd;		/* not owned; -1: closed */
	uint64_t	 end;		/* of the file with what was appended */
	/* Of direct: */
	bool		 unbuffered;	/* what the descriptor is set to */
	bool		 refused;	/* by the file system, for good */
	uint32_t	 align;		/* bytes, for memory, size and offset */
	uint8_t		*buffer;	/* owned; stays from file to file */
	size_t		 used;		/* bytes in it, the last ones the
					 * file's end... */
	size_t		 written;	/* ...of which the file has these */
};

/* A way to write.  Another one is another table in writer.c. */
struct writer_ops {
	/* False: this file cannot be written so. */
	bool	(*open)(struct writer *writer);
	int	(*append)(struct writer *writer, struct iovec *iov,
		    unsigned count, size_t size);
	int	(*flush)(struct writer *writer);
	int	(*back)(struct writer *writer, uint64_t end);
	/* Leaves the descriptor as it was. */
	void	(*close)(struct writer *writer);
	/* How much may be appended before it is worth a flush. */
	size_t	worth;
};

/* Begins to write to `fd' at `end'; buffered, where `how' is not possible. */
void	writer_open(struct writer *writer, enum archive_write how, int fd,
	    uint64_t end) ATTR_NONNULL;

/* All of the iovecs, which it may change, `size' bytes together. */
static inline int
writer_append(struct writer *writer, struct iovec *iov, unsigned count,
    size_t size)
{
	return writer->ops->append(writer, iov, count, size);
}

/* All that was appended is in the file then. */
static inline int
writer_flush(struct writer *writer)
{
	return writer->ops->flush(writer);
}

/* The file ends at `end' again, where it ended before; what lies behind may
 * stay there until it is overwritten. */
static inline int
writer_back(struct writer *writer, uint64_t end)
{
	return writer->ops->back(writer, end);
}

/* Before others use the descriptor.  What was not flushed is lost. */
void	writer_close(struct writer *writer) ATTR_NONNULL;
/* Frees what stays from file to file. */
void	writer_free(struct writer *writer) ATTR_NONNULL;

#endif /* MCRELAY_WRITER_H */
