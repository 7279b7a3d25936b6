/* SPDX-License-Identifier: ISC */
/*
 * A script of what comes by which path of a channel that merges its inputs,
 * played to the worker's ingest: instead of the kernel a function here stores
 * it in the in-flight area, message by message, as recvmmsg does; all else is
 * the worker's.
 */
#ifndef MCRELAY_TEST_MERGE_SCRIPT_H
#define MCRELAY_TEST_MERGE_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/segment.h"
#include "worker/ingest.h"
#include "worker/relay.h"

#define RING_SIZE	(UINT64_C(4) << 20)
#define DATAGRAM_SIZE	12U
#define NUMBERS_MAX	70000U
#define SHORT		(-1)	/* a datagram without a number */
#define END		(-2)

/* A message: `count' numbers from the first one on, coalesced. */
struct message_script {
	int	input;
	int	number;
	int	count;
};

struct world {
	struct segment	segment;
	struct ingest	ingest;
	struct relay	relay;
};

/* The script, until another is set. */
void	script_set(const struct message_script *messages, unsigned count);
/* With numbers of this type: with small ones there is less to look through. */
void	script_make(struct segment *segment, uint32_t type);
/* A worker.  With `at_once' a number that a path passes again is a new
 * beginning, however soon. */
void	script_start(struct world *world, bool at_once);
/* The rest of the script, and what waits at its end. */
void	script_go_through(struct world *world);
/* The numbers in the ring, in order; how many. */
unsigned	script_result(const struct segment *segment, int *numbers);
/* Asserts that all that was sent is accounted for. */
void	script_check(const struct segment *segment);

#endif /* MCRELAY_TEST_MERGE_SCRIPT_H */
