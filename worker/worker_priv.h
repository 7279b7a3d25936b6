/* SPDX-License-Identifier: ISC */
/*
 * What the files of the relay thread's loop share: start, inputs.  For these
 * only.
 */
#ifndef MCRELAY_WORKER_PRIV_H
#define MCRELAY_WORKER_PRIV_H

#include "common/message.h"
#include "worker/worker.h"

/* Attaches to what the supervisor has prepared.  0, or an exit status. */
int	worker_attach(struct worker *worker) ATTR_NONNULL;
/* Takes up what a predecessor had in hand. */
void	worker_recover(struct worker *worker) ATTR_NONNULL;
/* Receives by the io_uring of its loop, if it is to; false: it cannot, and must
 * not do without. */
bool	worker_join_ring(struct worker *worker) ATTR_NONNULL;
/* Its archive is written by this ring, which is of all channels of its worker,
 * if it is to be written by one; NULL: there is none, and *why.  False: as
 * above. */
bool	worker_share_disk_ring(struct worker *worker, struct disk_ring *ring,
	    const char *why) ATTR_UNUSED_RESULT;
/* When that does not write any more, and nothing else will do for the channel,
 * it fails. */
void	worker_look_at_disk_ring(struct worker *worker) ATTR_NONNULL;
/* On the CPU and with the priority that are configured.  The threads of the
 * archive have been started, and stay where they are. */
void	worker_schedule(const struct channel_config *config) ATTR_NONNULL;

/* The channel's descriptor `which'. */
static inline int
worker_fd(const struct worker *worker, enum worker_fd which)
{
	return worker->fd[which - WORKER_FD_MESSAGES];
}

/* What each callback begins with: whose work it does. */
static inline void
worker_enter(struct worker *worker)
{
	if (worker->hosted != NULL)
		whose_enter(&worker->whose);
}

/* From then on it receives; what is in the ring is sent.  Of the thread that
 * is its relay's. */
void	worker_begin(struct worker *worker) ATTR_NONNULL;
/* After that, nothing of it is called any more. */
void	worker_stop_watchers(struct worker *worker) ATTR_NONNULL;
/* Starts its archive, if it has one, with threads of its own or as work of
 * `crews'.  Its loop is known. */
void	worker_start_archive(struct worker *worker,
	    const struct archive_crews *crews);
/* Says so to the supervisor; -1: it does not listen. */
int	worker_tell(const struct worker *worker, enum message_type type,
	    uint32_t body) ATTR_NONNULL;
/* A process of this name begins to be a worker. */
void	worker_begin_process(const char *name);
/* Finishes its files, then ends; finishes them and goes on; says what it has
 * counted. */
void	worker_roll(struct worker *worker) ATTR_NONNULL;
void	worker_rotate(struct worker *worker) ATTR_NONNULL;
void	worker_log_ledger(struct worker *worker) ATTR_NONNULL;

/* It cannot go on as it is configured, and has said so. */
void	worker_fail(struct worker *worker) ATTR_NONNULL;

/* Sends what is in the ring; tells its readers that there is more of it. */
void	worker_run_outputs(struct worker *worker) ATTR_NONNULL;
void	worker_wake_readers(struct worker *worker) ATTR_NONNULL;

/* receive.c: the watchers of the inputs, and of their drops. */
void	worker_init_inputs(struct worker *worker) ATTR_NONNULL;
void	worker_start_inputs(struct worker *worker) ATTR_NONNULL;
void	worker_stop_inputs(struct worker *worker) ATTR_NONNULL;
/* A turn of what has come by the io_uring of its loop. */
void	worker_receive_ready(struct worker *worker) ATTR_NONNULL;
/* Of what has been received, what waits in memory. */
void	worker_receive_held(struct worker *worker) ATTR_NONNULL;
/* Has what waits for other inputs go on in time. */
void	worker_await_merge(struct worker *worker) ATTR_NONNULL;
/* A turn of each input. */
enum ingest_status	worker_receive_all(struct worker *worker) ATTR_NONNULL;
/* Takes up an order of whose turn it is, or goes on with it. */
void	worker_take_turn(struct worker *worker) ATTR_NONNULL;

#endif /* MCRELAY_WORKER_PRIV_H */
