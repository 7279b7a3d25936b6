/* SPDX-License-Identifier: ISC */
/*
 * What udp.c asks the system's own part for.
 */
#ifndef MCRELAY_UDP_PRIV_H
#define MCRELAY_UDP_PRIV_H

#include "common/udp.h"

/* What one control message says. */
void	udp_read_control(const struct cmsghdr *cmsg,
	    struct udp_arrival *arrival) ATTR_NONNULL;

#endif /* MCRELAY_UDP_PRIV_H */
