/* SPDX-License-Identifier: ISC */
/*
 * The decimated streams: what the supervisor says of them, and the datums that
 * decimators show.  mcrelay-web only.
 *
 * Who shows datums need not be believed: what makes no sense is counted and
 * left out.
 */
#ifndef MCRELAY_WEB_STREAMS_H
#define MCRELAY_WEB_STREAMS_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/segment.h"
#include "web/history.h"
#include "web/layout.h"

struct stream {
	uint64_t	 key;		/* live_key() */
	uint32_t	 id;		/* for clients */
	/* CHANNEL/STREAM */
	char		 name[2 * (CHANNEL_NAME_MAX + 1)];
	bool		 summary;
	uint64_t	 interval_ns;	/* 0: by datums */
	uint64_t	 every;
	struct layout	*layout;
	struct history	 history;
	uint64_t	 number;	/* of its last datum */
};

/* What came in and was left out. */
struct streams_counts {
	uint64_t	datums;		/* ...and these were not */
	uint64_t	bad_packets;
	uint64_t	unknown;	/* of no stream that there is */
	uint64_t	bad_datums;
	uint64_t	no_room;
};

/* What the supervisor says, in the place of what it said before; anything else
 * is left out.  Whoever has a stream must look for it again, by its name.
 * False: nothing is new. */
bool	streams_load(const json_t *document);
/* Whether it has said anything. */
bool	streams_known(void);

struct stream	*streams_find(const char *name) ATTR_NONNULL;
/* The document of /streams. */
json_t	*streams_json(void);

/* What a packet holds goes into the histories. */
void	streams_packet(const void *data, size_t size) ATTR_NONNULL;
/* A round is over: what comes is behind all that has come. */
void	streams_next(void);
/* What the numbers of this round, or of an earlier one, begin with. */
uint64_t	streams_rounds_ago(uint64_t rounds);
const struct streams_counts	*streams_count(void);
/* For tests: none is left. */
void	streams_end(void);

/*** watching.c: the socket. ***/

/* There is something new in histories. */
typedef void	streams_came(void);

/* Looks at it from now on: once the streams are known, or it would know none
 * of what waits there.  Once is enough. */
void	watching_start(struct ev_loop *loop, int socket, streams_came *came)
	    ATTR_NONNULL;

#endif /* MCRELAY_WEB_STREAMS_H */
