/* SPDX-License-Identifier: ISC */
/*
 * Rules of a card that bring a stream to one of its queues, as `ethtool -N'
 * puts them, by the same calls.  Supervisor only.  Knows nothing of channels.
 *
 * A rule outlives who has put it.  One that is there already for the same
 * stream and queue, as of a mcrelayd that was killed, is taken over.
 */
#ifndef MCRELAY_XDP_STEER_H
#define MCRELAY_XDP_STEER_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/xdp_program.h"

/* Whether an interface takes rules at all; if not, `why' says so. */
bool	xdp_steer_possible(const char *interface, char why[XDP_WHY_SIZE])
	    ATTR_NONNULL;
/* Its place at the interface is in *location.  False: `why' says why not. */
bool	xdp_steer(const char *interface, const struct xdp_key *key,
	    uint32_t queue, uint32_t *location, char why[XDP_WHY_SIZE])
	    ATTR_NONNULL;
/* Whether there is a rule at that place: cards lose them, as when they are
 * reset, and people take them away. */
bool	xdp_steer_lasts(const char *interface, uint32_t location)
	    ATTR_NONNULL;
void	xdp_steer_no_more(uint32_t ifindex, uint32_t location);

#endif /* MCRELAY_XDP_STEER_H */
