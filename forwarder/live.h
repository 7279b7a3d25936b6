/* SPDX-License-Identifier: ISC */
/*
 * Decimated streams, datum by datum as decimators show them (common/live.h), on
 * core NATS: whoever listens just then gets them, nobody waits for anybody.
 * mcrelay-forwarder.
 *
 * A thread takes datums from the socket and sends them by a connection of its
 * own, which no archive is ahead on; what cannot be sent is counted.  Another
 * sees to it that their schemas are on the servers.
 */
#ifndef MCRELAY_FORWARDER_LIVE_H
#define MCRELAY_FORWARDER_LIVE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

/* Of a stream's datums. */
struct live_schema {
	char		*text;
	char		 fingerprint[17];	/* in hexadecimal; "": none */
};

struct live_stream {
	uint64_t	 key;		/* live_key() */
	char		*channel;
	char		*stream;
	char		*subject;
	size_t		 schema;
	/* Since the last datum that was sent. */
	uint64_t	 missed;
	uint64_t	 lost;
};

struct live_list {
	struct live_stream	*stream;	/* by their keys */
	size_t			 streams;
	struct live_schema	*schema;
	size_t			 schemas;
};

/* What the supervisor says of them. */
void	live_list_read(struct live_list *list, const json_t *document,
	    const char *host) ATTR_NONNULL;
void	live_list_free(struct live_list *list) ATTR_NONNULL;
/* NULL: it is not known. */
struct live_stream	*live_list_find(const struct live_list *list,
			    uint64_t key) ATTR_NONNULL;

/* The first thread: the supervisor's document, by its descriptor, and the
 * socket, which is ours from now on. */
void	live_streams(int document, int socket);

/*** schemas.c ***/

/* These are on the servers from now on, if not yet; copies them. */
void	schemas_want(const struct live_list *list) ATTR_NONNULL;

#endif /* MCRELAY_FORWARDER_LIVE_H */
