/* SPDX-License-Identifier: ISC */
/*
 * What becomes an event (events.h) of what happens to channels and processes.
 * Supervisor only.  What is told of once, where it happens, calls events_add()
 * there; this is what has to be compared, looked for, or put together.
 */
#ifndef MCRELAY_TELL_H
#define MCRELAY_TELL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "supervisor/events.h"

struct channel;
struct child_obituary;
struct conf_problems;
struct decimator;
struct reload_summary;
struct supervisor;

/* What has been told of a channel. */
struct told {
	const char		*state;		/* NULL: nothing yet */
	uint64_t		 reasons;	/* bits: those that held */
	struct event_budget	 budget;
	struct event_budget	 files;		/* the same of files alone */
};

/* mcrelayd runs: first of all, unless it has taken over. */
void	tell_start(struct supervisor *supervisor) ATTR_NONNULL;
/* What the image before has told of its state, or NULL. */
void	tell_adopt(struct channel *channel, const char *state);
/* It goes on with what a killed mcrelayd left: logs it, too. */
void	tell_take_over(struct channel *channel) ATTR_NONNULL;
/* Compares state and reasons with what was told. */
void	tell_state(struct channel *channel) ATTR_NONNULL;
/* The worker of a struct channel has ended (child_ops.died). */
void	tell_death(void *owner, const struct child_obituary *obituary)
	    ATTR_NONNULL;
/* Looks for finished files that its worker has told of. */
void	tell_files(struct channel *channel) ATTR_NONNULL;
/* The same of the lines of an account (account.h). */
void	tell_files_of(struct channel *channel, const json_t *lines)
	    ATTR_NONNULL;
/* Its segment goes: what has not been told is counted as suppressed. */
void	tell_files_end(struct channel *channel) ATTR_NONNULL;
/* What it was told may have been lost with its supervisor: tells it again. */
void	tell_files_again(struct channel *channel) ATTR_NONNULL;
/* Compares a struct decimator's state with what was told. */
void	tell_decimator(struct decimator *decimator) ATTR_NONNULL;
void	tell_decimator_death(void *owner,
	    const struct child_obituary *obituary) ATTR_NONNULL;
void	tell_reload(struct supervisor *supervisor, bool done,
	    const struct conf_problems *problems,
	    const struct reload_summary *summary) ATTR_NONNULL;
/* It is this host's turn at the channel now, or, not `speaks', it is over;
 * `lost': because its lease was not renewed. */
void	tell_turn(struct channel *channel, bool speaks, bool lost)
	    ATTR_NONNULL;
/* The host is drained, or no more. */
void	tell_drain(struct supervisor *supervisor, bool on) ATTR_NONNULL;
/* The channel goes: what it has not told. */
void	tell_end(struct channel *channel) ATTR_NONNULL;
/* It is not in the configuration any more, and has ended. */
void	tell_removed(struct channel *channel) ATTR_NONNULL;

#endif /* MCRELAY_TELL_H */
