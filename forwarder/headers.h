/* SPDX-License-Identifier: ISC */
/*
 * The headers of a channel's messages.  mcrelay-forwarder, a lane.
 */
#ifndef MCRELAY_FORWARDER_HEADERS_H
#define MCRELAY_FORWARDER_HEADERS_H

#include "forwarder/forwarder.h"
#include "forwarder/pack.h"

/* Of one message, at the most. */
#define HEADERS_SIZE	2048U

/* `text' becomes lines of "KEY: VALUE", with "\r\n" between, and a NUL: as
 * they go to the server, which stores the message as its stream's number
 * expected + 1 or not at all; `guarded': only if number `expected' is there. */
void	headers_compose(struct growing *text, const struct lane_spec *lane,
	    const struct piece *piece, uint64_t expected, bool guarded)
	    ATTR_NONNULL;

/* Whether libnats is known to take lines as one key. */
bool	headers_can_join(void);

/* `text' is written to.  False: libnats has no memory. */
bool	headers_set(natsMsg *message, struct growing *text, bool join)
	    ATTR_NONNULL;

#endif /* MCRELAY_FORWARDER_HEADERS_H */
