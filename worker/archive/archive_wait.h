/* SPDX-License-Identifier: ISC */
/*
 * When the archive thread has something to do.  For archive.c only.  Worker,
 * archive thread.
 */
#ifndef MCRELAY_ARCHIVE_WAIT_H
#define MCRELAY_ARCHIVE_WAIT_H

#include "worker/archive/archive.h"

/* Whether what is gathered has to be committed now. */
bool	archive_flush_due(struct archive *archive) ATTR_NONNULL;
/* Whether what is committed has to be synced... */
bool	archive_sync_due(const struct archive *archive) ATTR_NONNULL;
/* ...together with being written... */
bool	archive_sync_behind(const struct archive *archive) ATTR_NONNULL;
/* ...which has been begun. */
void	archive_synced(struct archive *archive) ATTR_NONNULL;
/* Whether it has to do without its io_uring now: once. */
bool	archive_lost_ring(struct archive *archive) ATTR_NONNULL;
/* Nothing is to be done until the ring has enough for a block, which posts the
 * duty, or what is returned (duty.h)... */
uint64_t	archive_rest(struct archive *archive) ATTR_NONNULL;
/* ...and that is over. */
void	archive_rested(struct archive *archive) ATTR_NONNULL;

#endif /* MCRELAY_ARCHIVE_WAIT_H */
