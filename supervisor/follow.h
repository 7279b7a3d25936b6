/* SPDX-License-Identifier: ISC */
/*
 * One who follows the events (events.h): where it is, and what is for it.
 * Supervisor only.  Knows nothing of sockets.
 */
#ifndef MCRELAY_FOLLOW_H
#define MCRELAY_FOLLOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/segment.h"

struct events;
struct supervisor;

struct follower {
	uint64_t	 next;		/* number of the next event */
	bool		 stranger;	/* it comes from another instance */
	size_t		 channels;	/* 0: all, and what is of none */
	char		(*channel)[CHANNEL_NAME_MAX + 1];
};

/*
 * What the request asks to follow: "channels", an array of names, and "since",
 * the id of the last event that it has ("INSTANCE:NUMBER"), or "0" for all that
 * are there; without it those to come.  With the id of one of ours a channel
 * may have gone since.  Returns the answer, which is the caller's; if it is
 * yes, *follower is as well.
 */
json_t	*follow_request(const struct supervisor *supervisor,
	    const json_t *request, struct follower **follower) ATTR_NONNULL;
/* NULL is allowed. */
void	 follow_free(struct follower *follower);

/*
 * The next lines for it, malloc()ed, of *size bytes; 0 when none has been found
 * so far.  NULL: there are none now.  The first says how many it has missed, if
 * any.
 */
char	*follow_take(const struct events *events, struct follower *follower,
	    size_t *size) ATTR_NONNULL;

#endif /* MCRELAY_FOLLOW_H */
