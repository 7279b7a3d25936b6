/* SPDX-License-Identifier: ISC */
/*
 * Receiving by io_uring: the ring.  Worker, relay thread.
 */
#ifndef MCRELAY_INGEST_URING_H
#define MCRELAY_INGEST_URING_H

#include "common/segment.h"
#include "common/uring.h"

struct ingest_ring;	/* a channel's part of it */

/*
 * Makes the ring of a channel, before its sandbox: it can do nothing but
 * receive from `sockets', one for each input, into the segment's buffers.
 * Nothing is received yet.  Must be called by the thread that receives.  NULL,
 * with a reason in *why, when it cannot be had.
 */
struct ingest_ring	*ingest_ring_open(const struct segment *segment,
			    const int *sockets, char why[static URING_WHY_SIZE])
			    ATTR_NONNULL;
/* NULL: -1. */
int	ingest_ring_fd(const struct ingest_ring *ring);

/* It has left, and nobody has it any more. */
void	ingest_ring_free(struct ingest_ring *ring);

/* So that whoever comes next finds nothing that came by io_uring; once all of
 * it is committed. */
void	ingest_ring_forget(const struct segment *segment) ATTR_NONNULL;

#endif /* MCRELAY_INGEST_URING_H */
