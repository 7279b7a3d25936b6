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
#include <stdbool.h>

#include "common/segment.h"

#define FILE_NAME_SIZE	(CHANNEL_NAME_MAX + 64)

/* The file's final name; add ".part" while it is open. */
void	file_name(char name[static FILE_NAME_SIZE], const char *channel,
	    enum archive_stream stream, const struct archive_file *file);

/*
 * Creates the .part file for writing: a new one, or, with `again', one that
 * may be there already and is emptied.  Returns the descriptor.  EEXIST when
 * a file of either name is there.
 */
int	file_create(int directory, const char *name, bool again);

/* Opens the .part file of a predecessor and cuts it to `size'. */
int	file_reopen(int directory, const char *name, uint64_t size);

/* Writes all of the iovecs at `offset'; changes them. */
int	file_write(int fd, struct iovec *iov, unsigned count, uint64_t offset);

/* Cuts the file to `size', syncs it, gives it its final name, syncs the
 * directory.  Closes `fd' in any case. */
int	file_finish(int directory, const char *name, int fd, uint64_t size);

#endif /* MCRELAY_FILE_H */
