/* SPDX-License-Identifier: ISC */
/*
 * Threads that relay, of a process that channels share: for one channel, or for
 * all.  Worker.  Orders come from its first thread.
 */
#ifndef MCRELAY_WORKER_HOST_LOOP_H
#define MCRELAY_WORKER_HOST_LOOP_H

#include <sys/queue.h>

#include "common/util.h"
#include "worker/worker.h"

struct host_loop;

/* How long a batch may form while other channels wait for their turn, of those
 * that do not say. */
#define HOST_WAIT_NS	(100 * NS_PER_US)

struct host_channel {
	TAILQ_ENTRY(host_channel) link;		/* all */
	TAILQ_ENTRY(host_channel) relayed;	/* by its loop, whose it is */
	uint64_t		 wait_ns;	/* that it bears; the loop's */
	STAILQ_ENTRY(host_channel) gone;	/* those that have ended */
	struct worker		 worker;
	struct host_loop	*loop;		/* NULL: none yet */
	uint32_t		 parts;		/* of the sandbox, of its
						 * archive */
	bool			 ended;		/* under the loop's mutex */
	int			 status;
};

/* Starts one, for all that are given to it, which may receive by `hub', or for
 * `only' this, without. */
struct host_loop	*host_loop_start(bool syslog, struct ingest_hub *hub,
			    struct host_channel *only);
struct ev_loop	*host_loop_ev(struct host_loop *loop) ATTR_NONNULL;
/* A channel's relay begins: how long the loop waits is for it to say, too. */
void	host_begin(struct worker *worker) ATTR_NONNULL;
/* How long its loop may wait for more to come: as none of its channels bears
 * less. */
uint64_t	host_wait_ns(const struct worker *worker) ATTR_NONNULL;
/* Has the loop do something with a channel that has not ended. */
void	host_loop_order(struct host_channel *channel,
	    void (*act)(struct worker *worker)) ATTR_NONNULL;
/* The channel has ended: nothing is ordered any more, and a loop of its own is
 * over. */
void	host_loop_leave(struct host_channel *channel) ATTR_NONNULL;

#endif /* MCRELAY_WORKER_HOST_LOOP_H */
