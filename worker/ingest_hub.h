/* SPDX-License-Identifier: ISC */
/*
 * An io_uring by which channels that share a loop receive: one call takes what
 * has come for all of them.  Worker; of the loop's thread, but for what is said
 * to be another's.
 *
 * Each channel has a part of it (struct ingest_ring), with buffers in its own
 * segment (ingest_uring.c), and comes and goes.  A descriptor tells the loop
 * that something has come; while that comes fast, the loop waits for more in
 * the call that takes it.
 */
#ifndef MCRELAY_INGEST_HUB_H
#define MCRELAY_INGEST_HUB_H

#include "common/segment.h"
#include "common/uring.h"
#include "worker/ingest_uring.h"

struct ingest_hub;

/* Before the sandbox, by any thread.  Where there can be none, that is said to
 * those who want to join. */
struct ingest_hub	*ingest_hub_new(void);
/* By the loop's thread, before its sandbox. */
void	ingest_hub_enable(struct ingest_hub *hub) ATTR_NONNULL;

/* -1: there is none. */
int	ingest_hub_fd(const struct ingest_hub *hub) ATTR_NONNULL;
/* Readable when there is something to be taken; -1: there is none. */
int	ingest_hub_event(const struct ingest_hub *hub) ATTR_NONNULL;

/* Takes what has come, waiting for `count' of it up to wait_ns; how many
 * messages. */
unsigned	ingest_hub_take(struct ingest_hub *hub, unsigned count,
		    uint64_t wait_ns) ATTR_NONNULL;
/* Whose turn it is: the owner of one for whom something has come; NULL: of
 * none.  It has to ask for more by ingest_ring_again(). */
void	*ingest_hub_next(struct ingest_hub *hub) ATTR_NONNULL;
/* Whether somebody has done what it has to be rested, or taken, for. */
bool	ingest_hub_stirs(const struct ingest_hub *hub) ATTR_NONNULL;
/* Before the loop sleeps: what comes from now on, or is left to be done, makes
 * the descriptor readable. */
void	ingest_hub_rest(struct ingest_hub *hub) ATTR_NONNULL;

/* From the next begin of its ingest on; nothing is received yet.  NULL, with a
 * reason in *why, when that cannot be had. */
struct ingest_ring	*ingest_hub_join(struct ingest_hub *hub,
			    const struct segment *segment, const int *sockets,
			    void *owner, char why[static URING_WHY_SIZE])
			    ATTR_NONNULL;
/* Nothing comes by it any more; what has come is there to be committed. */
void	ingest_ring_leave(struct ingest_ring *ring) ATTR_NONNULL;
/* The owner has not taken all. */
void	ingest_ring_again(struct ingest_ring *ring) ATTR_NONNULL;

#endif /* MCRELAY_INGEST_HUB_H */
