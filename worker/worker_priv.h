/* SPDX-License-Identifier: ISC */
/*
 * A worker's start.  For worker.c only.  Relay thread.
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

#endif /* MCRELAY_WORKER_PRIV_H */
