/* SPDX-License-Identifier: ISC */
/*
 * The files that a store has open: opening and losing them.  For store.c
 * only.  Worker, archive thread.
 */
#ifndef MCRELAY_STORE_FILES_H
#define MCRELAY_STORE_FILES_H

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

/* 0, or -1 after store_failed(). */
int	store_open_file(struct store *store, enum archive_kind kind,
	    uint64_t first_sequence) ATTR_NONNULL;
/* Once the kind has a descriptor. */
void	store_begin_writing(struct store *store, enum archive_kind kind)
	    ATTR_NONNULL;
/* Keeps room on the disk for what comes next, and the file in one piece.  The
 * size stays: nobody sees zeros. */
void	store_reserve(struct store *store, enum archive_kind kind,
	    uint64_t end) ATTR_NONNULL;
/* Datagrams that were committed are not in a file any more: in one commit,
 * counts them as shed. */
void	store_count_loss(struct store *store, enum archive_kind kind,
	    uint64_t datagrams, uint64_t payload) ATTR_NONNULL;
/* An open file that has been removed takes writes all the same: finds that
 * out. */
void	store_look(struct store *store) ATTR_NONNULL;
/* Closes an open file and takes it out of the state, whatever is in it. */
void	store_forget(struct store *store, enum archive_kind kind)
	    ATTR_NONNULL;
/* The same, and removes it: without records it is no use to anybody. */
void	store_discard(struct store *store, enum archive_kind kind)
	    ATTR_NONNULL;

#endif /* MCRELAY_STORE_FILES_H */
