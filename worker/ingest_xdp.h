/* SPDX-License-Identifier: ISC */
/*
 * Receiving by AF_XDP.  Worker, relay thread.
 */
#ifndef MCRELAY_INGEST_XDP_H
#define MCRELAY_INGEST_XDP_H

#include "worker/ingest.h"

#define INGEST_XDP_WHY_SIZE	160

/*
 * Maps the socket's rings and, to be read only, the memory that packets land
 * in, before the sandbox.  `beside' is the ordinary socket.  NULL, with a
 * reason in *why, when it cannot be used.
 */
struct ingest_frames	*ingest_frames_open(const struct segment *segment,
			    int socket, int memory, int beside,
			    char why[static INGEST_XDP_WHY_SIZE]) ATTR_NONNULL;
/* NULL is allowed. */
void	ingest_frames_close(struct ingest_frames *frames);

#endif /* MCRELAY_INGEST_XDP_H */
