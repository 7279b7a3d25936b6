/* SPDX-License-Identifier: ISC */
/*
 * Where the frames of an input by AF_XDP come in, and of which VLAN they are.
 * Supervisor only.  Knows nothing of channels.
 *
 * A program at the interface of a VLAN would get all frames copied, behind what
 * AF_XDP is to spare them.  So it is put where they come in with their tags.
 */
#ifndef MCRELAY_XDP_WHERE_H
#define MCRELAY_XDP_WHERE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "supervisor/xdp_program.h"

struct xdp_where {
	uint32_t	ifindex;	/* the interface; of a VLAN, whose... */
	char		name[IF_NAMESIZE];	/* ...it is */
	uint32_t	vlan;		/* 0: what has no tag */
	uint8_t		mac[6];		/* the interface's own... */
	bool		up;		/* ...and whether it is */
};

/* False: it is not there, or the program would not see there of which VLAN a
 * frame is; `why' says so. */
bool	xdp_where(const char *interface, struct xdp_where *where,
	    char why[XDP_WHY_SIZE]) ATTR_NONNULL;

#endif /* MCRELAY_XDP_WHERE_H */
