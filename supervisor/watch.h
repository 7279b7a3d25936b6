/* SPDX-License-Identifier: ISC */
/*
 * Do workers, decimators, mcrelay-web and forwarders get anywhere?
 * Supervisor only.
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
 *  - The decimator: the ring holds datagrams for it, and for a second it has
 *    not published anything in its page.  That is only a suspicion, since
 *    what it goes by is memory that a hostile worker can write to, and a
 *    decimator is many channels': so it is asked to look.  One that leaves
 *    this, or anything else that it was asked, unanswered for WATCH_CHECKS
 *    seconds is ended and replaced.  One that has nothing to do is never
 *    asked, and so never woken.
 *
 *  - mcrelay-web: somebody waits to be accepted.  It is asked as a decimator
 *    is, for it accepts nobody while all its places are taken.
 *
 *  - mcrelay-forwarder: asked whenever it has answered, since how far it is
 *    depends on servers and disks.  It answers as long as each of its threads
 *    comes back from what it asks of a server.
 *
 * Counted are checks, not time: what stops the supervisor as well, such as a
 * suspended machine, is no reason to kill anybody.
 */
#ifndef MCRELAY_WATCH_H
#define MCRELAY_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/log.h"
#include "supervisor/child.h"

/* Checks in a row, one a second. */
#define WATCH_CHECKS	10U

struct channel;
struct decimator;
struct forwarder;
struct message;
struct web;

struct watch {
	uint64_t	relay_mark;	/* of the last check */
	uint64_t	archive_mark;
	unsigned	relay_checks;	/* without progress, in a row */
	unsigned	archive_checks;
	bool		archive_stuck;
};

/* Of a channel's decimator. */
struct stream_watch {
	uint64_t	mark;
	unsigned	checks;
};

/* Of a decimator, of mcrelay-web, of a forwarder, of who asks for leases. */
struct child_watch {
	unsigned	unanswered;	/* checks, in a row */
};

/* Once a second. */
void	watch_check(struct channel *channel) ATTR_NONNULL;
/* Once a second, after the channels. */
void	watch_check_decimator(struct decimator *decimator) ATTR_NONNULL;
/* Once a second. */
void	watch_check_web(struct web *web) ATTR_NONNULL;
/* Once a second, of one that is asked whenever it has answered: `look' while it
 * was, and has not. */
void	watch_check_asked(struct child_watch *watch, struct child *child,
	    bool *look) ATTR_NONNULL;
/* What such a one has sent: the answer, or nonsense. */
enum child_said	watch_answer(const struct message *message, bool *look)
		    ATTR_NONNULL;
/* Once a second. */
void	watch_check_forwarder(struct forwarder *forwarder) ATTR_NONNULL;
/* For longer than that the decimator has not taken what there is, although it
 * may answer: it has given the channel up. */
bool	watch_streams_idle(const struct channel *channel) ATTR_NONNULL;

#endif /* MCRELAY_WATCH_H */
