/* SPDX-License-Identifier: ISC */
/*
 * What a channel lacks, and waits for; see also channel_retry().  Supervisor
 * only.
 */
#ifndef MCRELAY_WAITING_H
#define MCRELAY_WAITING_H

#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/channel.h"

/* Opens what is not open yet, if there is no process.  False: something is
 * not there, and the child is held. */
bool	waiting_open(struct channel *channel, struct conf_problems *problems)
	    ATTR_NONNULL;
/* Holds the child, unless the next worker would have all that it needs. */
void	waiting_hold(struct channel *channel) ATTR_NONNULL;
/* Says what it waits for, if that is news. */
void	waiting_say(struct channel *channel) ATTR_NONNULL;

#endif /* MCRELAY_WAITING_H */
