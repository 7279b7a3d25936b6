/* SPDX-License-Identifier: ISC */
/*
 * Clients of /live, each an EventSource of a page.  mcrelay-web only.
 *
 * Nobody is waited for.  Histories are shared, and each client has a place in
 * each of its streams': what it is sent is made when its connection takes it.
 * One that falls behind by more than LIVE_LAG_MAX goes on at the newest, and is
 * told how many datums it missed.
 */
#ifndef MCRELAY_WEB_LIVE_H
#define MCRELAY_WEB_LIVE_H

#include <ev.h>
#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "metrics/document.h"

/* So many at a time: the other connections are for who asks once. */
#define LIVE_CLIENTS_MAX	32U
#define LIVE_LAG_MAX		(256U * 1024)
/* One that takes nothing for so long is hung up on. */
#define LIVE_BLOCKED_NS		(30 * NS_PER_S)

struct live;

/* `run' lets libmicrohttpd do what there is to do, `ask' asks for the status,
 * which comes to live_status(). */
void	live_start(struct ev_loop *loop, void (*run)(void), void (*ask)(void))
	    ATTR_NONNULL;
/* All are to end: libmicrohttpd is stopped next. */
void	live_end(void);

/* A client with what its URL and headers ask for.  NULL, and *wrong says why:
 * *code is the status. */
struct live	*live_new(struct MHD_Connection *connection,
		    const char **wrong, unsigned *code) ATTR_NONNULL
		    ATTR_UNUSED_RESULT;
/* The response has it from then on. */
struct MHD_Response	*live_response(struct live *live) ATTR_NONNULL;
void	live_free(struct live *live);		/* NULL is allowed */

/* The supervisor has answered; NULL: not with a status. */
void	live_status(const struct node *status);
/* What the supervisor says of the streams; `socket' is where they are seen. */
void	live_streams(const json_t *document, int socket);

#endif /* MCRELAY_WEB_LIVE_H */
