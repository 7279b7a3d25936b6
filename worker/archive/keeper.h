/* SPDX-License-Identifier: ISC */
/*
 * Keeps house in the channel's archive directory: a duty of its own, since
 * what it does may take long and nothing waits for it.  At the start it
 * finishes what an earlier run left over and completes the catalogue; then it
 * sees to retention, after each new file and now and then.  Worker.
 */
#ifndef MCRELAY_KEEPER_H
#define MCRELAY_KEEPER_H

#include <sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/log.h"
#include "common/segment.h"
#include "worker/archive/catalog.h"
#include "worker/archive/duty.h"
#include "worker/archive/recover.h"

/* A file of this run that could not be finished. */
struct unfinished {
	STAILQ_ENTRY(unfinished) entry;
	char			 name[FILE_NAME_SIZE];
	enum archive_kind	 kind;
	struct archive_file	 file;		/* what was committed */
	bool			 memory;	/* recover_file() */
};

/* What could not be read back of such files. */
struct keeper_loss {
	uint64_t	datagrams;
	uint64_t	payload;	/* bytes */
};

struct keeper {
	struct duty			 duty;
	pthread_mutex_t			 mutex;
	bool				 stop;
	bool				 asked;	/* to look at the limits */
	const struct channel_config	*config;
	int				 directory;	/* not owned */
	struct duty			*client;
	uint64_t			 look_at_ns;	/* if nobody asks */
	struct catalog			*catalog;	/* not owned */
	struct room			*room;		/* in the segment */
	struct leftovers		 leftovers;
	time_t				 retry_s;	/* of leftovers */
	STAILQ_HEAD(, unfinished)	 unfinished;	/* of the leftovers */
	unsigned			 unfinished_count;
	_Atomic int			 error;	/* errno of the last try */
	struct keeper_loss		 loss[ARCHIVE_KINDS];
	struct archive_state		 found;		/* at the start */
	/* What the archive thread has begun, until the catalogue is
	 * complete. */
	struct leftovers		 begun;
	bool				 completed;
	struct log_limit		 limit;
};

/* Before the archive opens a file that is not in `state'.  `client' is
 * posted when there is something to collect. */
void	keeper_start(struct keeper *keeper,
	    const struct channel_config *config, int directory,
	    struct catalog *catalog, const struct archive_state *state,
	    struct room *room, struct duty *client, struct crew *crew);
/* A file of this name is about to be begun. */
void	keeper_begun(struct keeper *keeper, const char *name) ATTR_NONNULL;
/* This .part could not be finished: tries again now and then.  `memory': no
 * sync of it has failed. */
void	keeper_leave(struct keeper *keeper, const char *name,
	    enum archive_kind kind, const struct archive_file *file,
	    bool memory) ATTR_NONNULL;
/* 0, or, while so many files could not be finished that no more should be
 * begun, the errno of the last try; asks for another. */
int	keeper_behind(struct keeper *keeper) ATTR_NONNULL;
/*
 * What was lost since the last call: datagrams that were committed, but were
 * not whole on the disk when their file was finished after all.  Exact when
 * each is a record of the file, in proportion when some are several.
 */
struct keeper_loss	keeper_collect(struct keeper *keeper,
			    enum archive_kind kind) ATTR_NONNULL;
/* There is a new finished file, or no space left: applies the limits of
 * retention soon. */
void	keeper_ask(struct keeper *keeper) ATTR_NONNULL;
/* Ends it after the file that it has in hand. */
void	keeper_stop(struct keeper *keeper) ATTR_NONNULL;
/* After that, and the last keeper_collect(). */
void	keeper_done(struct keeper *keeper) ATTR_NONNULL;

#endif /* MCRELAY_KEEPER_H */
