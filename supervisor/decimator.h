/* SPDX-License-Identifier: ISC */
/*
 * The decimator processes: which channel is whose (spread.c), and what each
 * is told (decimator.c).  One runs while it has a channel.  Supervisor only.
 *
 * A channel with streams is given to the process with the least to do, and
 * stays there until it has no streams any more or the number of processes
 * changes.  It is never in two hands: whoever may have it still is asked to
 * let go, and only when it has answered or ended is another one told.
 */
#ifndef MCRELAY_DECIMATOR_PROCESS_H
#define MCRELAY_DECIMATOR_PROCESS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/live.h"
#include "supervisor/child.h"
#include "supervisor/watch.h"

struct channel;
struct supervisor;

struct decimator {
	struct supervisor	*supervisor;
	struct child		 child;
	unsigned		 number;	/* from 0 */
	uint64_t		 load;		/* spread.c's */
	ev_timer		 retry;		/* its socket was full */
	uint32_t		*forget;	/* channels to be taken back */
	size_t			 forgets;
	size_t			 answers;	/* that it owes */
	uint64_t		 foreign; /* layout that it can read; 0: ours */
	bool			 look;		/* has yet to be asked that */
	bool			 log_told;
	/* Each has a socket to show it streams by; and the one there is, or
	 * none. */
	bool			 live[LIVE_VIEWERS];
	bool			 live_told[LIVE_VIEWERS];
	struct child_watch	 watch;
	pid_t			 old_process;	/* of an older image; 0 */
	const char		*told_state;	/* as an event; NULL: none */
};

/*** All processes. ***/

void	decimators_init(struct supervisor *supervisor) ATTR_NONNULL;
void	decimators_done(struct supervisor *supervisor) ATTR_NONNULL;
/* Gives channels to processes, starts and ends these as the channels need
 * them, and tells them what they do not know yet. */
void	decimators_update(struct supervisor *supervisor) ATTR_NONNULL;
/* Asks all to end; true when there is none left. */
bool	decimators_stop(struct supervisor *supervisor) ATTR_NONNULL
	    ATTR_UNUSED_RESULT;
/* The log level is another one. */
void	decimators_log_level(struct supervisor *supervisor) ATTR_NONNULL;

/* A socket to show streams by is another one. */
void	decimators_live(struct supervisor *supervisor) ATTR_NONNULL;

/*** One process. ***/

void	decimator_init(struct decimator *decimator,
    struct supervisor *supervisor,
	    unsigned number) ATTR_NONNULL;
void	decimator_done(struct decimator *decimator) ATTR_NONNULL;
/* Goes on with a process of an older image, which has its channels already
 * and so many answers to give; takes its control socket over. */
void	decimator_adopt(struct decimator *decimator, struct child_image *image,
	    size_t answers, const char *told_state);
/* Sends what it does not know yet. */
void	decimator_update(struct decimator *decimator) ATTR_NONNULL;
/* Asks it to look at its rings, and to answer. */
void	decimator_look(struct decimator *decimator) ATTR_NONNULL;
/* Which of the supervisor's it is; -1 for NULL. */
int	decimator_number(const struct decimator *decimator);

/*** A channel. ***/

/* Its streams or its segment are other ones. */
void	decimator_tell(struct channel *channel) ATTR_NONNULL;
/* What feeds it is another socket, or there is nothing to be fed; does
 * nothing for a channel that archives no stream. */
void	decimator_tell_parent(const struct channel *channel) ATTR_NONNULL;
/* It has no streams any more. */
void	decimator_forget(struct channel *channel) ATTR_NONNULL;
/* It is for another process now; NULL: for nobody. */
void	decimator_give(struct channel *channel, struct decimator *to);
/* Once a second: how much comes in? */
void	decimator_measure(struct channel *channel) ATTR_NONNULL;

#endif /* MCRELAY_DECIMATOR_PROCESS_H */
