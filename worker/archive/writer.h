/* SPDX-License-Identifier: ISC */
/*
 * Appends to an open file of an archive, in one of several ways (archive.write,
 * ARCHIVE_WRITE_TABLE of common/channel_config.h), chosen when the file is
 * opened.  Worker, archive thread.  Files are created, synced and finished
 * through file.h.
 *
 * buffered: through the page cache, from where the data lies.
 *
 * direct: gathered in an aligned buffer, from there to the disk past the page
 * cache (O_DIRECT): a copy to memory that is there already instead of one to
 * pages that have to be found, filled, kept and written later by somebody
 * else.  What is less than 64 KiB when it has to be written, as of a slow
 * kind, goes through the page cache.  The last sector is filled up with
 * zeros, so while it is open the file can be longer than what is in it.
 *
 * buffered_io_uring, direct_io_uring: the same, gathered in chunks, several of
 * which are in flight while the next one is filled.
 *
 * mmap: straight into a map of the file, whose room is on the disk before.
 * While it is open the file is longer than what is in it by up to 64 KiB of
 * zeros.
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

/* So much of the disk is reserved ahead of what is written, or the size at
 * which files are rotated, if that is less. */
#define WRITER_RESERVE		(UINT64_C(16) << 20)

/* At least what the kernel keeps files in. */
#define WRITER_PAGE		4096U

struct disk_ring;
struct duty;
struct writer_ops;

/* All zero: has not been opened yet. */
struct writer {
	const struct writer_ops	*ops;
	enum archive_write	 way;	/* in use */
	int			 fd;	/* not owned; -1: closed */
	uint64_t		 end;	/* of the file with what was appended */
	uint64_t		 limit;	/* at which it is rotated; 0: none */
	uint64_t		 step;	/* to reserve */
	uint64_t		 reserved; /* on the disk, up to here */
	/* Of the way that was asked for, which alone knows what it is: stays
	 * from file to file. */
	const struct writer_ops	*wanted;
	void			*state;
	bool			 told;	/* that it was not possible */
	/* Set before it is opened: old data lie behind the end... */
	bool			 recycled;
	/* ...and what writes it by io_uring; NULL: nothing does. */
	struct disk_ring	*ring;
	enum archive_kind	 lane;		/* in that */
	/* Is posted when a sync has come, if nobody else would notice. */
	struct duty		*client;
};

/* A way to write: worker/archive/write_NAME.c. */
struct writer_ops {
	/* False, with errno: this file cannot be written so. */
	bool	(*open)(struct writer *writer);
	int	(*append)(struct writer *writer, struct iovec *iov,
		    unsigned count, size_t size);
	/* Begins what the flush waits for, and with `sync' an fdatasync()
	 * behind it, if it can: whether it has.  NULL: it cannot. */
	bool	(*push)(struct writer *writer, bool sync);
	int	(*flush)(struct writer *writer);
	int	(*back)(struct writer *writer, uint64_t end);
	/* Of a sync that was begun; as writer_synced(). */
	int	(*synced)(struct writer *writer, bool wait);
	/* Leaves the descriptor as it was. */
	void	(*close)(struct writer *writer);
	/* Frees the state; NULL: there is none. */
	void	(*free)(void *state);
	/* How much may be appended before it is worth a flush. */
	size_t	worth;
	/* A page may reach the disk while it is being filled: the file has to
	 * say how much of it is there (synced.h). */
	bool	notes;
};

#define WRITER_WAY(constant, word)					\
	extern const struct writer_ops writer_##word;
ARCHIVE_BACK_END_TABLE(WRITER_WAY)
#undef WRITER_WAY

/* Whether a file that is to be written so is begun with a header that says how
 * much of it is on the disk (synced.h). */
bool	writer_notes(enum archive_write how);

/* The back end that a file is opened with, as far as that is possible. */
enum archive_write	writer_back_end(const struct writer *writer,
			    enum archive_write how) ATTR_NONNULL;
/* Begins to write to `fd' at `end'; buffered, where `how' is not possible, as
 * the log says once.  The file is rotated at about `limit' bytes; 0: never. */
void	writer_open(struct writer *writer, enum archive_write how, int fd,
	    uint64_t end, uint64_t limit) ATTR_NONNULL;

/* All of the iovecs, which it may change, `size' bytes together. */
static inline int
writer_append(struct writer *writer, struct iovec *iov, unsigned count,
    size_t size)
{
	return writer->ops->append(writer, iov, count, size);
}

/* Before the flush: those of several files go on at the same time.  Whether it
 * is followed by a sync, of which writer_synced() tells, as it was asked for;
 * if not, others have to do that. */
static inline bool
writer_push(struct writer *writer, bool sync)
{
	return writer->ops->push != NULL && writer->ops->push(writer, sync);
}

/* What has become of that sync: 0, or an errno; ECANCELED: it was not done;
 * EINPROGRESS: it is not known yet, unless it is to `wait'. */
static inline int
writer_synced(struct writer *writer, bool wait)
{
	return writer->ops->synced(writer, wait);
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

/*** For the ways. ***/

/* Keeps room on the disk for what comes next, and the file in one piece.  The
 * size stays: nobody sees zeros.  Where it is not possible, or nothing is
 * left, the write itself will tell. */
void	writer_reserve(struct writer *writer, uint64_t end) ATTR_NONNULL;
/* Whether there is something to reserve for a write up to `end', and what: then
 * it counts as reserved.  What comes at last, beyond the size at which the file
 * is rotated, is not worth it: the rest would be given back at once. */
bool	writer_lacks(struct writer *writer, uint64_t end, uint64_t *at,
	    uint64_t *size) ATTR_NONNULL;
/* What went past the page cache goes through it from now on. */
void	writer_refused(struct writer *writer) ATTR_NONNULL;
/* From now on it is written so. */
void	writer_fall_back(struct writer *writer, enum archive_write way)
	    ATTR_NONNULL;

#endif /* MCRELAY_WRITER_H */
