/* SPDX-License-Identifier: ISC */
/*
 * Why a channel is not, or not only, running: what does not do its job.  From
 * facts, in this one place.  Supervisor only.
 */
#ifndef MCRELAY_REASONS_H
#define MCRELAY_REASONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/reason_table.h"

struct channel;

/* Seconds for which a counter of losses must not rise for its reason to go. */
#define REASON_HOLD_S	10U

/* Seconds in which all that a worker does not do has been noticed again, after
 * another took its place. */
#define REASON_SETTLE_S	15U

enum reason {
#define REASON_CONSTANT(constant, ...)	REASON_##constant,
	REASON_TABLE(REASON_CONSTANT)
#undef REASON_CONSTANT
	REASONS
};

/* The worst one makes the state of a channel whose worker runs. */
enum severity {
	SEVERITY_NOTE,		/* it does its job */
	SEVERITY_PAUSED,	/* as somebody wants */
	SEVERITY_STALE,
	SEVERITY_DEGRADED,
	SEVERITY_WAITING,	/* there is no worker */
};

struct reason_info {
	const char	*name;
	enum severity	 severity;
	const char	*meaning;
};

extern const struct reason_info reason_table[REASONS];

struct reasons {
	struct {
		bool		holds;
		bool		lasts;		/* since then, as far as
						 * could be told */
		uint64_t	since_ns;	/* CLOCK_REALTIME */
		unsigned	hold;		/* seconds; counters only */
		uint64_t	seen;		/* the counter's value */
	} of[REASONS];
	bool	known;		/* the counters' values are */
	/* Seconds for which one that does not hold may be back at once: its
	 * worker was replaced, or the supervisor. */
	unsigned unsettled;
};

/* Once a second: which counters of losses rise? */
void	reasons_tick(struct channel *channel) ATTR_NONNULL;
/* Looks at the facts: channel->reasons holds now. */
void	reasons_update(struct channel *channel) ATTR_NONNULL;
/* What there is to say of one that holds; until the next call. */
const char	*reasons_detail(const struct channel *channel,
		    enum reason reason) ATTR_NONNULL;
/* The worst that holds, at least SEVERITY_NOTE. */
enum severity	reasons_worst(const struct channel *channel) ATTR_NONNULL;

#endif /* MCRELAY_REASONS_H */
