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

/* What a server stores a message behind, or else not at all. */
struct predecessor {
	uint64_t	 number;	/* the last of its stream */
	uint64_t	 ahead;		/* which it counts more (stream.h) */
	bool		 by_subject;	/* which has to be there */
	const char	*stem;		/* NULL: whatever it is */
	uint64_t	 first_record;
	uint64_t	 records;
};

/* `text' becomes lines of "KEY: VALUE", with "\r\n" between, and a NUL: as
 * they go to the server. */
void	headers_compose(struct growing *text, const struct lane_spec *lane,
	    const struct piece *piece, const struct predecessor *before)
	    ATTR_NONNULL;

/* Whether libnats is known to take lines as one key. */
bool	headers_can_join(void);

/* `text' is written to.  False: libnats has no memory. */
bool	headers_set(natsMsg *message, struct growing *text, bool join)
	    ATTR_NONNULL;

#endif /* MCRELAY_FORWARDER_HEADERS_H */
