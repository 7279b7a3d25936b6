/* SPDX-License-Identifier: ISC */
/*
 * Inputs that are paths of one stream (`merge: sequence'): the first datagram
 * of each number goes on into the ring, in order; others are counted as merged.
 * Worker, relay thread only.  Must not allocate.
 *
 * A datagram whose number is not the next one waits in the pool of the segment
 * (common/merge_area.h) until those before it have come, by whatever path, but
 * no longer than merge_window; then, once the sockets have been emptied, what
 * is missing is given up.  One that comes after that still goes on, late.  So
 * does, at once, what has no number.  When the pool has no room the first gap
 * is given up early.
 *
 * What is known of the numbers, what waits and what has gone on is put in
 * force by the commit of the batch that changes it: a killed worker's successor
 * judges the datagrams that were in flight as it would have done.
 *
 * WHERE A SENDER BEGINS ANEW its numbers jump, on one path earlier than on
 * others.  So there are two numberings, and each path is in one of them.  A
 * path whose number is far from its numbering, or was passed by the same path
 * restart_ns ago, goes over to the other one when the number fits there, and
 * otherwise begins the next; what waits then goes on.  The first number of a
 * numbering waits for merge_window, as paths may be ahead of one another.  A
 * path that goes on in the numbering that it has just left has brought a stray.
 */
#ifndef MCRELAY_MERGE_H
#define MCRELAY_MERGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/log.h"
#include "common/segment.h"

struct ingest;

struct merge {
	struct merge_area	*area;	/* NULL: not merged */
	uint8_t			*pool;
	uint64_t		 pool_size;
	uint64_t		 window_ns;
	/* Who passes a number again after so long has begun anew... */
	uint64_t		 restart_ns;
	/* ...and who was silent for so long is where the others are. */
	uint64_t		 silent_ns;
	unsigned		 bits;	/* of the numbers */
	uint64_t		 mask;
	size_t			 places;	/* of merge_numbers.by in use */
	int64_t			 far;	/* numbers known on either side */
	/* Between begin and commit: the copy that is filled, what of the pool
	 * the other one has, and when it is; CLOCK_MONOTONIC. */
	struct merge_state	*state;
	uint64_t		 floor;
	uint64_t		 now_ns;
	struct log_limit	 limit_full;
	struct log_limit	 limit_anew;
};

/* Finds what waits in the segment.  Needs ingest->sender_sequence. */
void	merge_init(struct ingest *ingest) ATTR_NONNULL;

/* With ingest_begin(): `state' is the copy that is being filled. */
void	merge_begin(struct ingest *ingest, struct ingest_state *state)
	    ATTR_NONNULL;
/* Each datagram of a message that has come by record->input. */
void	merge_message(struct ingest *ingest, struct ingest_state *state,
	    const struct ring_record *record, const uint8_t *payload)
	    ATTR_NONNULL;
enum merge_release {
	MERGE_WAIT,		/* what has waited goes on waiting */
	MERGE_RELEASE_DUE,	/* unless it has waited for merge_window */
	MERGE_RELEASE_ALL,
};

/* Before the commit: gives up what has been waited for. */
void	merge_end(struct ingest *ingest, struct ingest_state *state,
	    enum merge_release release) ATTR_NONNULL;

/* When something has waited long enough, CLOCK_MONOTONIC; 0: nothing waits. */
uint64_t	merge_due_ns(const struct ingest *ingest) ATTR_NONNULL;
/* The most that what waits takes in the ring. */
uint64_t	merge_held_bytes(const struct ingest *ingest) ATTR_NONNULL;

#endif /* MCRELAY_MERGE_H */
