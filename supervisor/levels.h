/* SPDX-License-Identifier: ISC */
/*
 * Of a channel's status, what is no counter: how full its ring, its socket and
 * its disk are, and how long it was away.  Supervisor only.
 */
#ifndef MCRELAY_LEVELS_H
#define MCRELAY_LEVELS_H

#include "common/compiler.h"
#include "common/growing.h"

struct channel;

/* The members io, last_datagram_ns, away_ms, ring, socket, storage and files,
 * as far as they are known.  channel->counts must have been read. */
void	levels_print(struct growing *out, const struct channel *channel)
	    ATTR_NONNULL;

#endif /* MCRELAY_LEVELS_H */
