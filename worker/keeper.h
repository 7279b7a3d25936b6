/* SPDX-License-Identifier: ISC */
/*
 * Keeps house in the channel's archive directory: a thread of its own, since
 * what it does may take long and nothing waits for it.  At the start it
 * finishes what an earlier run left over and completes the catalogue; then it
 * sees to retention, after each new file and now and then.  Worker.
 */
#ifndef MCRELAY_KEEPER_H
#define MCRELAY_KEEPER_H

#include <pthread.h>
#include <stdbool.h>

#include "common/log.h"
#include "common/segment.h"
#include "worker/catalog.h"
#include "worker/recover.h"

struct keeper {
	pthread_t			 thread;
	pthread_mutex_t			 mutex;
	pthread_cond_t			 changed;
	bool				 stop;
	bool				 asked;	/* to look at the limits */
	const struct channel_config	*config;
	int				 directory;	/* not owned */
	struct catalog			*catalog;	/* not owned */
	struct leftovers		 leftovers;
	struct archive_state		 found;		/* at the start */
	uint64_t			 started_ns;	/* CLOCK_REALTIME */
	struct log_limit		 limit;
};

/* Before the archive opens a file that is not in `state'. */
void	keeper_start(struct keeper *keeper,
	    const struct channel_config *config, int directory,
	    struct catalog *catalog, const struct archive_state *state)
	    ATTR_NONNULL;
/* This .part could not be finished: tries again now and then. */
void	keeper_leave(struct keeper *keeper, const char *name) ATTR_NONNULL;
/* There is a new finished file, or no space left: applies the limits of
 * retention soon. */
void	keeper_ask(struct keeper *keeper) ATTR_NONNULL;
/* Ends the thread after the file that it has in hand. */
void	keeper_stop(struct keeper *keeper) ATTR_NONNULL;

#endif /* MCRELAY_KEEPER_H */
