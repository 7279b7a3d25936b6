/* SPDX-License-Identifier: ISC */
/*
 * Parts of the test that kills a worker after every instruction.
 */
#ifndef MCRELAY_STEP_PARTS_H
#define MCRELAY_STEP_PARTS_H

#include "worker/ingest.h"
#include "worker/ingest_hub.h"

/* Slots for all of it in one call. */
#define RING_SIZE	(UINT64_C(1) << 20)
/* Of io_uring, for all of it as well. */
#define BUFFERS		8

/* All that the test uses of a segment: slots and ring only in part. */
void	step_copy(const struct segment *to, const struct segment *from);

/* In a child: an io_uring that channels share, and one that joins it. */
struct ingest_hub	*step_hub(void);
void	step_join(struct ingest_hub *hub, struct ingest *ingest,
	    const int *sockets);
/* All comes by one call, the next gives the buffers back; then the channel
 * leaves and goes on by sockets. */
void	step_take(struct ingest_hub *hub, struct ingest *ingest,
	    struct relay *relay);

#endif /* MCRELAY_STEP_PARTS_H */
