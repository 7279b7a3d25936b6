/* SPDX-License-Identifier: ISC */
/*
 * Work that goes on in steps beside the relay: a channel's archive, its closer,
 * its keeper.  Worker, any thread.
 *
 * A duty has a thread of its own, or a crew (crew.h) does its steps, one at a
 * time, in whatever thread.  A step says when the next one is due; a post has
 * it come at once, and one that comes during a step has another follow.
 */
#ifndef MCRELAY_DUTY_H
#define MCRELAY_DUTY_H

#include <sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

struct crew;
struct whose;

/* What a step returns, but for a time (CLOCK_MONOTONIC). */
#define DUTY_AGAIN	UINT64_C(0)
#define DUTY_POSTED	(UINT64_MAX - 1)	/* when it is posted */
#define DUTY_OVER	UINT64_MAX

struct duty {
	uint64_t		(*step)(void *argument);
	void			*argument;
	struct crew		*crew;	/* NULL: a thread of its own */

	/* Its own thread's. */
	pthread_t		 thread;
	int			 wake;	/* eventfd */
	/* What else it is woken by when it can be read, as if posted; -1:
	 * nothing.  Set by a step. */
	int			 also;

	/* Its crew's: under the mutex, but for `posted'. */
	_Atomic bool		 posted; /* on the crew's list */
	struct duty		*posted_before;
	STAILQ_ENTRY(duty)	 entry;	/* ready */
	TAILQ_ENTRY(duty)	 at_work; /* running */
	struct whose		*whose;
	bool			 ready;
	bool			 running;
	bool			 again;	/* posted while it was running */
	bool			 over;
	uint64_t		 since_ns; /* its step has been running */
	uint64_t		 at_ns;	/* of its timer */
	size_t			 timer;	/* its place, plus 1; 0: none */
};

/* Begins with a first step soon, for whom the caller works.  0, or an errno:
 * there is no thread for it. */
int	duty_start(struct duty *duty, struct crew *crew,
	    uint64_t (*step)(void *argument), void *argument)
	    ATTR_UNUSED_RESULT;
/* Cheap, and never waits. */
void	duty_post(struct duty *duty) ATTR_NONNULL;
/* Until it is over.  A step of a crew's duty that nobody has begun is done by
 * the caller, which may be of the crew itself.  Nobody posts any more. */
void	duty_join(struct duty *duty) ATTR_NONNULL;

#endif /* MCRELAY_DUTY_H */
