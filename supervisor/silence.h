/* SPDX-License-Identifier: ISC */
/*
 * A channel that hears nothing.  It is said; and a group is left and joined
 * again, since a switch that snoops may have forgotten who wants it.
 * Supervisor only.
 */
#ifndef MCRELAY_SILENCE_H
#define MCRELAY_SILENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

struct channel;
struct supervisor;

/* When a group is to be joined again; of zeros: it is not silent.  All times
 * are CLOCK_MONOTONIC. */
struct rejoin {
	uint64_t	next_ns;
	uint64_t	distance_ns;	/* from that one to the next */
	unsigned	count;		/* in this silence */
};

struct silence {
	bool		stale;
	uint64_t	seen_ns;	/* the last datagram's time then... */
	uint64_t	seen_at_ns;	/* CLOCK_MONOTONIC, new since */
	struct rejoin	rejoin;
};

/* Its worker is running: what it has not heard before is no silence. */
void	silence_begin(struct silence *silence) ATTR_NONNULL;
/* The channel's input is another one, or none. */
void	silence_end(struct silence *silence) ATTR_NONNULL;
/* Once a second, for all channels; also whether somebody asks for them. */
void	silence_second(struct supervisor *supervisor, uint64_t now_ns)
	    ATTR_NONNULL;

/*
 * Whether a silent group is to be joined again now; asked once a second.  At
 * once; then at a distance that begins with `stale_after_ns' and doubles, up
 * to five minutes or that, if it is more.  While the interface is not `up' it
 * waits, and begins anew.
 */
bool	rejoin_due(struct rejoin *rejoin, uint64_t stale_after_ns, bool up,
	    uint64_t now_ns) ATTR_NONNULL;

#endif /* MCRELAY_SILENCE_H */
