/* SPDX-License-Identifier: ISC */
/*
 * Private to worker/ingest.c and worker/merge.c.
 */
#ifndef MCRELAY_INGEST_PRIV_H
#define MCRELAY_INGEST_PRIV_H

#include "worker/ingest.h"

/* A datagram that inputs are merged for goes into the ring, at state->head. */
void	ingest_append(struct ingest *ingest, struct ingest_state *state,
	    const struct ring_record *record, const uint8_t *payload)
	    ATTR_NONNULL;

#endif /* MCRELAY_INGEST_PRIV_H */
