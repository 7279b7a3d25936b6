/* SPDX-License-Identifier: ISC */
/*
 * Retention: removes finished files of the channel, the oldest first, one at
 * a time, until the limits are kept and never one more.  Worker, keeper
 * thread.  Only files whose names are those of finished files of the channel
 * are ever looked at; what is held (hold/NAME/) has a link of its own there
 * and stays.
 *
 * The limits hold for the channel's own files and for its rejected datagrams
 * each: a flood of garbage does not push good data out.  `min_free' counts
 * for both together; it spares the newest file, and files that are held,
 * since removing those would free nothing.  Which channel's files go for it
 * the supervisor says (struct room).
 *
 * With `recycle' some of them become spares (recycle.h), whose room counts as
 * free: that of the channel's next files.
 *
 * With `keep_unforwarded' the limits spare files that are not forwarded yet, as
 * far as is known; `min_free' does not: nobody who lies about it, and no server
 * that is away, fills the disk.
 */
#ifndef MCRELAY_RETAIN_H
#define MCRELAY_RETAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/segment.h"

/* Whether anything is to be removed, ever. */
bool	retain_wanted(const struct channel_config *config) ATTR_NONNULL;
/*
 * `now_ns' is CLOCK_REALTIME.  Of files that were finished after
 * room->until_ns none goes for `min_free'; the rest of *room is filled in.
 * Returns how many files are removed.
 */
unsigned	retain_run(const struct channel_config *config, int directory,
		    uint64_t now_ns, struct room *room) ATTR_NONNULL;
/* Only fills in how much is free. */
void	retain_look(int directory, struct room *room) ATTR_NONNULL;

#endif /* MCRELAY_RETAIN_H */
