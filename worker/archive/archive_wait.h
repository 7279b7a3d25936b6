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
/* Until the ring has enough for a block, or something else is due, or somebody
 * writes to the eventfd. */
void	archive_sleep(struct archive *archive) ATTR_NONNULL;

#endif /* MCRELAY_ARCHIVE_WAIT_H */
