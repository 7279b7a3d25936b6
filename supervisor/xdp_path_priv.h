/* SPDX-License-Identifier: ISC */
/*
 * What xdp_path.c and xdp_open.c share.  Supervisor only.
 */
#ifndef MCRELAY_XDP_PATH_PRIV_H
#define MCRELAY_XDP_PATH_PRIV_H

#include "supervisor/xdp_path.h"

static inline bool
xdp_has_socket(const struct channel *channel)
{
	return channel->xdp.socket.socket != -1;
}

/* What the channel is to receive by AF_XDP; NULL: nothing. */
const struct listen_config	*xdp_wanted_by(const struct channel *channel)
				    ATTR_NONNULL;
/* But for the interface's number, which may be gone, and its VLAN's. */
void	xdp_fill_key(const struct listen_config *listen, struct xdp_key *key)
	    ATTR_NONNULL;
/* A place is free again, and what was steered to it goes where it went. */
void	xdp_free_place(struct xdp_use *place) ATTR_NONNULL;
/* NULL: the interface has not our program. */
struct xdp_link	*xdp_find_link(const struct xdp_path *path, uint32_t ifindex)
		    ATTR_NONNULL;
/* Gives a channel that wants it all that it takes, whatever of it there is.
 * False: not now, and what that one lacks is said and in `why'. */
bool	xdp_open(struct channel *channel) ATTR_NONNULL;
/* For people: what of an AF_XDP socket could not be had, with errno; false. */
bool	xdp_explain(const char *what, char why[XDP_WHY_SIZE]) ATTR_NONNULL;

#endif /* MCRELAY_XDP_PATH_PRIV_H */
