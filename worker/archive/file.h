/* SPDX-License-Identifier: ISC */
/*
 * The files of an archive: names, opening, finishing.  Worker; the archive
 * thread opens and writes, the closer thread syncs and finishes.
 *
 * While open:	<channel>_<UTC start>_<first sequence>.avro.part
 * Finished:	the same without ".part"
 * with <channel>.rejected for the rejected datagrams.  Only whole files end
 * in ".avro".
 *
 * All functions return 0, or -1 with errno.
 */
#ifndef MCRELAY_FILE_H
#define MCRELAY_FILE_H

#include <sys/types.h>
#include <sys/uio.h>
#include <dirent.h>
#include <stdbool.h>

#include "common/archive_names.h"
#include "common/segment.h"

#define FILE_NAME_SIZE	ARCHIVE_NAME_SIZE
#define FILE_SUFFIX	ARCHIVE_AVRO
#define FILE_PART	ARCHIVE_PART

/* The file's final name; add ".part" while it is open. */
void	file_name(char name[static FILE_NAME_SIZE], const char *channel,
	    enum archive_kind kind, const struct archive_file *file);

/*
 * Creates the .part file for writing: a new one, or, with `again', one that
 * may be there already and is emptied.  Returns the descriptor.  EEXIST when
 * a file of either name is there.
 */
int	file_create(int directory, const char *name, bool again);

/* Opens a regular file whose name is `name' and `suffix'. */
int	file_open(int directory, const char *name, const char *suffix);
/* Bytes; -1 when it is no regular file. */
off_t	file_size(int fd);

/* Whether to reserve room for it takes memory: thousands of pages at once,
 * which is milliseconds, for no faster write. */
bool	file_in_memory(int fd);

/* Opens the .part file of a predecessor and cuts it to `size'; ENODATA when it
 * is shorter. */
int	file_reopen(int directory, const char *name, uint64_t size);

/* Writes all of the iovecs at `offset'; changes them. */
int	file_write(int fd, struct iovec *iov, unsigned count, uint64_t offset);

/*
 * fdatasync().  When it fails, the kernel takes the pages that it could not
 * write for written, and would show them to a reader until it needs the
 * memory: they are dropped, so that what is read is what the disk has.
 */
int	file_sync(int fd);
/* The same of an fdatasync() that somebody else has made: 0, or an errno. */
int	file_synced(int fd, int error);

/* Cuts the file to `size', syncs it, gives it its final name, syncs the
 * directory.  Closes `fd' in any case. */
int	file_finish(int directory, const char *name, int fd, uint64_t size);

/* Closes `fd', and passes on `result' and its errno unless close() fails. */
int	file_close(int fd, int result);
/* Removes what is no use to anybody; a failure is none. */
void	file_remove(int directory, const char *name);

/* Reads the directory from its beginning; closedir() it.  NULL: errno. */
DIR	*file_list(int directory);
/* Whether the name is exactly one that file_name() writes for the channel, but
 * for its ending, which is as told; and of which kind. */
bool	file_is(const char *name, const char *channel, const char *ending,
	    enum archive_kind *kind);
/* The name without `suffix', which it ends in; returns `stem'. */
const char	*file_stem(char stem[static FILE_NAME_SIZE],
		    const char *name, const char *suffix);

#endif /* MCRELAY_FILE_H */
