/* SPDX-License-Identifier: ISC */
/*
 * What the files of the store share: store.c (transactions), store_files.c
 * (opening and losing files), store_end.c (finishing them), store_sync.c (what
 * is on the disk).  Worker, archive thread.
 */
#ifndef MCRELAY_STORE_PRIV_H
#define MCRELAY_STORE_PRIV_H

#include "worker/archive/file.h"
#include "worker/archive/store.h"

/* What is in force. */
const struct archive_state	*store_state(const struct store *store)
				    ATTR_NONNULL;
void	store_name(const struct store *store, enum archive_kind kind,
	    const struct archive_file *file,
	    char name[static FILE_NAME_SIZE]);

void	store_count_error(struct store *store) ATTR_NONNULL;
/* Counts an error (errno) and says so when it is the first in a row... */
void	store_failed(struct store *store, const char *what,
	    const char *name) ATTR_NONNULL;
/* ... and that it is over. */
void	store_works(struct store *store) ATTR_NONNULL;
/* The disk has lost data, or refuses to name them. */
void	store_distrust(struct store *store) ATTR_NONNULL;

/* It is rotated after the next commit. */
bool	store_is_full(const struct store *store, enum archive_kind kind)
	    ATTR_NONNULL;
/* One that begins with this span.  0, or -1 after store_failed(). */
int	store_open_file(struct store *store, enum archive_kind kind,
	    const struct span *span) ATTR_NONNULL;
/* Once the kind has a descriptor. */
void	store_begin_writing(struct store *store, enum archive_kind kind)
	    ATTR_NONNULL;
/* A file that was announced, and perhaps made, but not opened: as if it never
 * had been. */
void	store_forget_created(struct store *store, enum archive_kind kind)
	    ATTR_NONNULL;
/* Datagrams that were committed are not in a file any more: in one commit,
 * counts them as shed. */
void	store_count_loss(struct store *store, enum archive_kind kind,
	    uint64_t datagrams, uint64_t payload) ATTR_NONNULL;
/* An open file that has been removed, or cut, takes writes all the same: finds
 * that out. */
void	store_look(struct store *store) ATTR_NONNULL;
/* Closes an open file and takes it out of the state, whatever is in it. */
void	store_forget(struct store *store, enum archive_kind kind)
	    ATTR_NONNULL;
/* The same, and removes it: without records it is no use to anybody. */
void	store_discard(struct store *store, enum archive_kind kind)
	    ATTR_NONNULL;

/* Puts the state in force and tells the relay thread's gate. */
void	store_commit_state(struct store *store) ATTR_NONNULL;
/* Cuts off what was written behind the committed sizes: no transaction is open
 * any more. */
void	store_roll_back(struct store *store) ATTR_NONNULL;

/* It is for what has been committed now, and for all that has to be synced. */
void	store_sync_committed(struct store *store) ATTR_NONNULL;
/* Before the descriptor is closed: the closer has to do with what has become of
 * such a sync. */
void	store_await_sync(struct store *store, enum archive_kind kind)
	    ATTR_NONNULL;

/* What the closer thread has done since the last time: a file is finished or
 * stays unfinished... */
void	store_collect_finish(struct store *store, enum archive_kind kind)
	    ATTR_NONNULL;
/* ... or is synced.  True: a sync has failed, and the archive has gone back. */
bool	store_collect_sync(struct store *store) ATTR_NONNULL;
/* What a disk has lost of files that are finished is shed after all. */
void	store_collect_loss(struct store *store, enum archive_kind kind)
	    ATTR_NONNULL;
/* A line in the catalogue for what was lost after the last file: that of a file
 * which would have held it, and has no records. */
void	store_note_loss(struct store *store, const struct span *lost)
	    ATTR_NONNULL;
/* A predecessor was finishing this file: the rename may have happened. */
void	store_resume_closing(struct store *store, enum archive_kind kind)
	    ATTR_NONNULL;

#endif /* MCRELAY_STORE_PRIV_H */
