/* SPDX-License-Identifier: ISC */
/*
 * What an archive does with a record of the ring: its datagrams are validated
 * and go to the blocks of archive->gathering, and into the numbers of its
 * transaction.
 * For archive.c only.  Worker, archive thread.
 */
#ifndef MCRELAY_GATHER_H
#define MCRELAY_GATHER_H

#include "worker/archive/archive.h"

/* The reader stands behind the record. */
void	gather_record(struct archive *archive, const struct ring_view *view)
	    ATTR_NONNULL;
/* Whether a block has its size, or no room for another record. */
bool	gather_full(const struct archive *archive) ATTR_NONNULL;

#endif /* MCRELAY_GATHER_H */
