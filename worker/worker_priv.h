/* SPDX-License-Identifier: ISC */
/*
 * What the files of the relay thread's loop share: start, inputs.  For these
 * only.
 */
#ifndef MCRELAY_WORKER_PRIV_H
#define MCRELAY_WORKER_PRIV_H

#include "worker/worker.h"

/* Attaches to what the supervisor has prepared.  0, or an exit status. */
int	worker_attach(struct worker *worker) ATTR_NONNULL;
/* Takes up what a predecessor had in hand. */
void	worker_recover(struct worker *worker) ATTR_NONNULL;
/* On the CPU and with the priority that are configured.  The threads of the
 * archive have been started, and stay where they are. */
void	worker_schedule(const struct channel_config *config) ATTR_NONNULL;

/* Sends what is in the ring; tells its readers that there is more of it. */
void	worker_run_outputs(struct worker *worker) ATTR_NONNULL;
void	worker_wake_readers(struct worker *worker) ATTR_NONNULL;

/* receive.c: the watchers of the inputs, and of their drops. */
void	worker_init_inputs(struct worker *worker) ATTR_NONNULL;
void	worker_start_inputs(struct worker *worker) ATTR_NONNULL;
void	worker_stop_inputs(struct worker *worker) ATTR_NONNULL;
/* Of what has been received, what waits in memory. */
void	worker_receive_held(struct worker *worker) ATTR_NONNULL;
/* Has what waits for other inputs go on in time. */
void	worker_await_merge(struct worker *worker) ATTR_NONNULL;
/* A turn of each input. */
enum ingest_status	worker_receive_all(struct worker *worker) ATTR_NONNULL;
/* Takes up an order of whose turn it is, or goes on with it. */
void	worker_take_turn(struct worker *worker) ATTR_NONNULL;

#endif /* MCRELAY_WORKER_PRIV_H */
