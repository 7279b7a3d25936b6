/* SPDX-License-Identifier: ISC */
/*
 * The messages of a stream, one after the other, whatever happens to the
 * connection meanwhile.  Tools: the part of remote.c that speaks with servers.
 */
#ifndef MCRELAY_TOOLS_FETCH_H
#define MCRELAY_TOOLS_FETCH_H

#include <nats/nats.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

/* How many are asked for at once. */
#define FETCH_MESSAGES	16

struct fetch {
	natsConnection	*connection;
	jsCtx		*js;
	natsSubscription *messages;	/* NULL: not asked yet */
	natsSubscription *former;	/* to be destroyed */
	natsInbox	*inbox;		/* where they come */
	char		*consumer;	/* where they are asked for */
	unsigned	 wanted;	/* asked for, and not come yet */
	uint64_t	 until_ns;	/* they may come */
	char		*stream;
	uint64_t	 next;		/* the number wanted, or a later one */
	uint64_t	 last;		/* of the stream, at the beginning */
	uint64_t	 delivered;	/* to `messages' */
	natsMsg		*current;
	bool		 behind;	/* no more were there behind it */
	uint64_t	 answered_ns;	/* a server, last */
	uint64_t	 asked_ns;	/* or the consumer was made */
	uint64_t	 reconnects;	/* until it was made */
	char		 why[320];	/* when it fails */
};

/* server: with its scheme.  False: fetch->why.  fetch_close() in any case. */
bool	fetch_open(struct fetch *fetch, const char *server, const char *stream)
	    ATTR_NONNULL;
void	fetch_close(struct fetch *fetch) ATTR_NONNULL;

enum fetch_status {
	FETCH_MESSAGE,
	FETCH_NOTHING,
	FETCH_END,
	FETCH_FAILED,
};

/* fetch->current is the next one, until the next call. */
enum fetch_status	fetch_next(struct fetch *fetch, bool follow)
			    ATTR_NONNULL;
/* This one, to be destroyed, or NULL: there is none.  False: no answer. */
bool			fetch_one(struct fetch *fetch, uint64_t number,
			    natsMsg **message) ATTR_NONNULL;

#endif /* MCRELAY_TOOLS_FETCH_H */
