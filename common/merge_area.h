/* SPDX-License-Identifier: ISC */
/*
 * Of the segment (segment.h): what a channel that merges its inputs knows of
 * the numbers that have come, and the datagrams that wait for a gap to be
 * filled (worker/merge.h).  Written by the worker's relay thread only, and by
 * the supervisor between two segments.
 *
 *	+------+------+--------------------------------------------+
 *	| copy | copy |    pool:  ... | entry | entry | ...        |
 *	+------+------+---------------^-----------------^----------+
 *			             tail              head
 *
 * The state has two copies: ingest_state.merge_copy says which is in force, so
 * that the commit of a batch puts numbers, pool and ring in force together.
 * Entries are written where neither copy has any.
 */
#ifndef MCRELAY_MERGE_AREA_H
#define MCRELAY_MERGE_AREA_H

#include <stdint.h>

#include "common/channel_config.h"
#include "common/ring.h"

/* Numbers that are known at a time: half of them before the next one to go on,
 * half behind it.  A power of two. */
#define MERGE_NUMBERS	16384U
#define MERGE_FAR	(MERGE_NUMBERS / 2)
/* Of the ring's size, the pool's. */
#define MERGE_POOL_PART	4
/* In merge_numbers.by: another input has brought it as well. */
#define MERGE_SHARED	0x80U

/* A sender's numbering, from one beginning to the next. */
struct merge_numbers {
	uint64_t	next;		/* all before it has gone on, or not
					 * come in time */
	uint64_t	top;		/* after the highest that has come */
	uint32_t	began;		/* 0: not in use */
	uint32_t	reserved;
	/* By number: 0, not come; else the input that brought it, plus 1. */
	uint8_t		by[MERGE_NUMBERS];
};

/* A path: what came by one input. */
struct merge_path {
	uint64_t	highest;	/* its own, in its numbering */
	uint64_t	last_ns;	/* when something came; MONOTONIC */
	uint64_t	mark;		/* its highest at mark_ns... */
	uint64_t	mark_ns;
	uint64_t	older;		/* ...and at the mark before, */
	uint32_t	marks;		/* if there are two */
	uint8_t		numbering;	/* which of merge_state.numbers[] */
	uint8_t		began;		/* 0: nothing has come of it */
	uint16_t	reserved;
	uint64_t	left;		/* highest in the other numbering */
	uint32_t	has_left;
	uint32_t	reserved2;
};

struct merge_state {
	uint64_t	tail;		/* pool positions; never wrap */
	uint64_t	head;
	uint32_t	now;		/* the numbering in use */
	uint32_t	waiting;	/* entries of the pool that wait */
	struct merge_path path[INPUTS_MAX];
	/* That in use, and the one before: paths that are behind have not
	 * come to its end when another one brings the next's beginning. */
	struct merge_numbers numbers[2];
};

struct merge_area {
	struct merge_state	copy[2];
	/* Of what waits, by number: pool position plus 1.  A worker's own:
	 * its successor finds it out anew. */
	uint64_t		at[MERGE_NUMBERS];
};

/* In the pool, followed by the payload; never across the pool's end. */
struct merge_entry {
	uint32_t		size;	/* with payload; 0: none to the end */
	uint32_t		numbers; /* how many, from `number' */
	uint64_t		number;
	uint64_t		came_ns;	/* CLOCK_MONOTONIC */
	struct ring_record	record;
};

#endif /* MCRELAY_MERGE_AREA_H */
