/* SPDX-License-Identifier: ISC */
/*
 * Recording or relaying that is paused for a while: the channel's worker goes
 * on receiving, and counts what it does not archive or relay.  Supervisor only.
 *
 * What is paused stands in the segment, which outlives worker and upgrade, and
 * in the channel, which may have no segment.  What is to outlive the supervisor
 * stands in run_dir, in CHANNEL.paused, as the words that commands have.
 */
#ifndef MCRELAY_PAUSE_H
#define MCRELAY_PAUSE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/compiler.h"

struct channel;

/* A channel that is new: what outlived the last supervisor. */
void	pause_load(struct channel *channel) ATTR_NONNULL;
/* After the segment was made: says so in it. */
void	pause_apply(struct channel *channel) ATTR_NONNULL;
/* Goes on with what an attached segment says. */
void	pause_adopt(struct channel *channel) ATTR_NONNULL;
/* The channel is removed: its next namesake is not paused. */
void	pause_forget(const struct channel *channel) ATTR_NONNULL;

#define PAUSE_ERROR_SIZE	256

/*
 * Pauses `part' ("archive", "relay"; NULL: all that the channel has) or, not
 * `on', resumes it.  `lasting': until it is resumed, also by the next
 * supervisor.  0; or -1 with what is wrong in `error', and nothing has changed.
 */
int	pause_set(struct channel *channel, const char *part, bool on,
	    bool lasting, char error[static PAUSE_ERROR_SIZE])
	    ATTR_UNUSED_RESULT;

#endif /* MCRELAY_PAUSE_H */
