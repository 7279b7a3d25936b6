/* SPDX-License-Identifier: ISC */
/*
 * How long ago that was written which is to be stored next.  mcrelay-forwarder.
 *
 * Kept are moments at which so much had been written, fewer the more there are:
 * so the age may be too small, by the distance of two of them.
 */
#ifndef MCRELAY_FORWARDER_BEHIND_H
#define MCRELAY_FORWARDER_BEHIND_H

#include <stdint.h>

#include "common/compiler.h"

#define BEHIND_MARKS	128U

struct behind {
	struct {
		uint64_t	written;	/* bytes */
		uint64_t	ns;		/* CLOCK_MONOTONIC */
	} mark[BEHIND_MARKS];
	unsigned marks;
};

/* Begins with zeros.  So many bytes had been written then; later ones are
 * noted later. */
void	behind_note(struct behind *behind, uint64_t written, uint64_t ns)
	    ATTR_NONNULL;
/* When what follows these bytes was written, or later; 0: nothing does. */
uint64_t	behind_since(struct behind *behind, uint64_t stored)
		    ATTR_NONNULL;

#endif /* MCRELAY_FORWARDER_BEHIND_H */
