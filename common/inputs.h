/* SPDX-License-Identifier: ISC */
/*
 * A channel's inputs, as its segment has them: what is configured of each, and
 * what is counted of each.  Every process.
 *
 * The counts belong to the ingest domain, but are not copied with it where
 * there is nothing to copy: who changes that begins by inputs_begin().
 */
#ifndef MCRELAY_INPUTS_H
#define MCRELAY_INPUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "common/compiler.h"
#include "common/segment.h"
#include "common/util.h"

/* Of that state, the inputs; as many as the segment has. */
static inline struct input_state *
inputs_of(const struct segment *segment, const struct ingest_state *state)
{
	struct worker_state *shared = segment->state;

	return shared->input[state - shared->ingest.copy];
}

/* ingest_begin(), with what it says of each input. */
static inline struct ingest_state *
inputs_begin(const struct segment *segment)
{
	struct worker_state *shared = segment->state;
	struct ingest_state *state = ingest_begin(&shared->ingest);
	size_t to = (size_t)(state - shared->ingest.copy);

	memcpy(shared->input[to], shared->input[to ^ 1],
	    segment->inputs * sizeof(shared->input[to][0]));
	return state;
}

/* What an input has for io_uring; only where the segment has that. */
static inline struct uring_input *
inputs_uring(const struct segment *segment, uint32_t input)
{
	return (void *)(segment->uring + input * uring_input_size(
	    uring_buffers(&segment->config->uring, segment->rx_slots)));
}

/* The buffer of an input's message `n'. */
static inline uint8_t *
inputs_uring_buffer(const struct segment *segment, uint32_t input, uint64_t n)
{
	uint32_t buffers = uring_buffers(&segment->config->uring,
	    segment->rx_slots);

	return (uint8_t *)(inputs_uring(segment, input) + 1) +
	    (n & (buffers - 1)) * URING_BUFFER_SIZE;
}

/* Messages that have come by io_uring and that nobody has committed; whoever
 * received them has ended. */
uint32_t	inputs_uring_left(const struct segment *segment,
		    uint32_t input) ATTR_NONNULL;

/* For everybody else: true, and a whole copy in `inputs', which has room for
 * as many as there are; or false, and it is what it was. */
bool	inputs_read(const struct segment *segment, struct input_state *inputs)
	    ATTR_NONNULL ATTR_UNUSED_RESULT;

/*
 * Which of the old inputs each of the new ones is, -1: none.  By address, port
 * and interface; then, of what is left, one for which an interface is named
 * that was not, or the other way round.
 */
void	inputs_match(const struct listen_config *fresh, size_t inputs,
	    const struct listen_config *old, size_t olds,
	    int map[static INPUTS_MAX]);

/* `address:port%interface' as configured, or without the latter. */
#define INPUT_TEXT_SIZE	(ADDRESS_TEXT_SIZE + IF_NAMESIZE)
size_t	inputs_text(const struct listen_config *input,
	    char text[static INPUT_TEXT_SIZE]);

#endif /* MCRELAY_INPUTS_H */
