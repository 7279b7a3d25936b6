/* SPDX-License-Identifier: ISC */
/*
 * What parts.c and parts_input.c share.  Supervisor only, for these two.
 */
#ifndef MCRELAY_PARTS_PRIV_H
#define MCRELAY_PARTS_PRIV_H

#include "supervisor/parts.h"

/* Notes in parts->lack, with errno, that a socket could not be had. */
void	parts_leave_socket(struct parts *parts,
	    const struct channel_conf *conf,
	    const struct sockaddr_storage *address, const char *interface,
	    const char *what, struct conf_problems *problems)
	    __attribute__((__nonnull__(1, 2, 3, 4, 5)));

/* Opens those that are not there. */
void	parts_open_inputs(struct parts *parts,
	    const struct channel_conf *conf, struct conf_problems *problems)
	    __attribute__((__nonnull__(1, 2)));
/* Whether a worker can begin with them. */
bool	parts_inputs_complete(const struct parts *parts) ATTR_NONNULL;
void	parts_close_inputs(struct parts *parts) ATTR_NONNULL;

#endif /* MCRELAY_PARTS_PRIV_H */
