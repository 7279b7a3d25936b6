/* SPDX-License-Identifier: ISC */
/*
 * A few threads that do the steps of many duties (duty.h), first come, first
 * served.  Worker.
 *
 * Those that are ready wait for a thread as long as one of `size' gets on.  One
 * that has been at a step for CREW_HUNG_NS is left to it, as its disk does not
 * answer, say, and another takes its place: so any number of duties that hang
 * hold the others up for that time and no longer.  When it comes back, there is
 * one too many, and it ends.
 *
 *	any thread: crew_post --> posted --+
 *	                                   v         a step
 *	            its time has come --> ready --> running --> timer, or over
 *	                                   ^            |
 *	                                   +-- at once -+
 */
#ifndef MCRELAY_CREW_H
#define MCRELAY_CREW_H

#include "common/util.h"
#include "worker/archive/duty.h"

#define CREW_HUNG_NS	(200 * NS_PER_MS)

/* Of so many threads, each of which calls `enter' first, if that is not NULL.
 * For as long as the process lives. */
struct crew	*crew_new(unsigned size, void (*enter)(void))
		    ATTR_UNUSED_RESULT;
/* From now on of so many. */
void	crew_resize(struct crew *crew, unsigned size) ATTR_NONNULL;

/* For duty.c only. */
void	crew_post(struct crew *crew, struct duty *duty) ATTR_NONNULL;
void	crew_join(struct crew *crew, struct duty *duty) ATTR_NONNULL;

#endif /* MCRELAY_CREW_H */
