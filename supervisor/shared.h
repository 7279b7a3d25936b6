/* SPDX-License-Identifier: ISC */
/*
 * Workers that channels share.  Supervisor only.
 *
 * Each is a process that is there as long as it has channels: the first that is
 * to be started starts it, and when the last has ended it is told to end.  To
 * its channels' children (child.h) it is their process: each of them notices
 * when it dies, and is started again as if it had been its own.  What they are
 * told goes by messages, and one that ends by itself says so.
 *
 * One that is told to end, whoever tells it, takes no channel any more: those
 * that follow are another's.  So are all after an upgrade, as the next image
 * does not know how to reach it.
 */
#ifndef MCRELAY_SHARED_H
#define MCRELAY_SHARED_H

#include <sys/queue.h>
#include <sys/types.h>
#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/channel_config.h"
#include "common/compiler.h"
#include "supervisor/voice.h"

struct channel;
struct supervisor;

struct shared_worker {
	TAILQ_ENTRY(shared_worker) link;
	struct supervisor	*supervisor;
	char			 name[CHANNEL_NAME_MAX + 1];
	pid_t			 pid;
	int			 door;		/* -1: no channel is sent */
	int			 log_target;	/* of its channels */
	uint64_t		 ready_ns;	/* a channel was, lately */
	bool			 killed;
	struct voice		 voice;
	ev_child		 reaper;
	ev_timer		 deadline;	/* of its end */
};

TAILQ_HEAD(shared_list, shared_worker);

/* So often a channel may end it by faults: then it has a process of its own. */
#define SHARED_FAULTS	3U

/* Whether that is so, until it is restarted or changed. */
bool	shared_is_quarantined(const struct channel *channel) ATTR_NONNULL;
void	shared_pardon(struct channel *channel) ATTR_NONNULL;
/* Whether the channel is to be started in a worker that it shares. */
bool	shared_is_for(const struct channel *channel) ATTR_NONNULL;
/* Has one take the channel, with these descriptors; returns the process, or -1
 * after having logged why not. */
pid_t	shared_spawn(struct channel *channel, int image, int *fds,
	    size_t count, int stderr_fd) ATTR_NONNULL;
/* The channel is ready. */
void	shared_note_ready(struct channel *channel) ATTR_NONNULL;
/* Of a channel (child.h): whether others have become ready lately. */
bool	shared_gets_on(void *owner) ATTR_NONNULL;
/* A channel's part of one has ended. */
void	shared_settle(struct supervisor *supervisor) ATTR_NONNULL;
/* Replaces the one that has the channel, with all that it has. */
void	shared_restart(struct channel *channel) ATTR_NONNULL;
/* Whether all have ended, or are not waited for any more. */
bool	shared_gone(const struct supervisor *supervisor) ATTR_NONNULL;
void	shared_done(struct supervisor *supervisor) ATTR_NONNULL;

#endif /* MCRELAY_SHARED_H */
