/* SPDX-License-Identifier: ISC */
/*
 * What the files of a decimator share.  Supervisor, for decimator*.c.
 */
#ifndef MCRELAY_DECIMATOR_PROCESS_PRIV_H
#define MCRELAY_DECIMATOR_PROCESS_PRIV_H

#include <stdbool.h>
#include <stddef.h>

#include "common/compiler.h"

struct channel;
struct decimator;
struct message;

/* False: it cannot be sent now. */
bool	decimator_send(struct decimator *decimator,
	    const struct message *message, const int *fds, size_t fd_count);
/* Tells it of a channel as it is now.  False: it has to be told later. */
bool	decimator_serve(struct decimator *decimator,
	    const struct channel *channel) ATTR_NONNULL;

#endif /* MCRELAY_DECIMATOR_PROCESS_PRIV_H */
