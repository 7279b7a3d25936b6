/* SPDX-License-Identifier: ISC */
/*
 * A channel takes over what was inherited for it.  Supervisor only.
 */
#ifndef MCRELAY_ADOPT_H
#define MCRELAY_ADOPT_H

#include "common/compiler.h"
#include "supervisor/channel.h"
#include "supervisor/conf/conf.h"
#include "supervisor/inheritance.h"

/*
 * Gives the new channel the inherited segment, input and worker, as far as
 * they are of use.  The worker goes on if the channel's configuration is the
 * one in the segment; else it stores all it has and a successor follows in a
 * new segment.
 */
void	adopt_channel(struct channel *channel, const struct conf *conf,
	    struct inherited *from, struct conf_problems *problems)
	    ATTR_NONNULL;

/* Its input sockets alone, known by what they are bound to, unless it has
 * some. */
void	adopt_inputs(struct channel *channel, struct inherited *from)
	    ATTR_NONNULL;

/* The same for a channel that is in the configuration no more, and will
 * only be ended. */
void	adopt_leaving(struct channel *channel, struct inherited *from)
	    ATTR_NONNULL;

#endif /* MCRELAY_ADOPT_H */
