/* SPDX-License-Identifier: ISC */
/*
 * Does a channel's worker get anywhere?  Supervisor only.
 *
 * The heartbeat is progress, not a timer, which would tick in a process that
 * hangs as well: how far the worker's cursors are, as they lie in the segment.
 *
 *  - The relay thread: datagrams wait in the input socket, or in the ring for
 *    an output that could take them, and for WATCH_CHECKS seconds not one
 *    batch was received or sent.  Its worker is ended and replaced.
 *  - The archive thread: the ring holds datagrams for it, and for as long,
 *    beyond the flush interval, nothing was stored or given up.  That is said
 *    in the log and in the status, and nothing else is done: it waits for a
 *    disk that is dead, which holds its process, too (one that waits for a
 *    disk cannot be killed), and would hold a successor; the relay works.
 *
 * Counted are checks, not time: what stops the supervisor as well, such as a
 * suspended machine, is no reason to kill a worker.
 */
#ifndef MCRELAY_WATCH_H
#define MCRELAY_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/log.h"

/* Checks in a row, one a second. */
#define WATCH_CHECKS	10U

struct channel;

struct watch {
	uint64_t	relay_mark;	/* of the last check */
	uint64_t	archive_mark;
	unsigned	relay_checks;	/* without progress, in a row */
	unsigned	archive_checks;
	bool		archive_stuck;
	struct log_limit limit_directory;
};

/* Once a second. */
void	watch_check(struct channel *channel) ATTR_NONNULL;
/* The worker misses its archive's directory, which it may not make itself:
 * makes it again and passes it on, if the segment says so, too. */
void	watch_directory(struct channel *channel) ATTR_NONNULL;

#endif /* MCRELAY_WATCH_H */
