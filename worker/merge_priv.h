/* SPDX-License-Identifier: ISC */
/*
 * Private to worker/merge.c and worker/merge_pool.c.
 */
#ifndef MCRELAY_MERGE_PRIV_H
#define MCRELAY_MERGE_PRIV_H

#include "worker/ingest.h"
#include "worker/merge.h"

/* How far `a' is ahead of `b', modulo the numbers' range. */
static inline int64_t
merge_distance(const struct merge *merge, uint64_t a, uint64_t b)
{
	unsigned shift = 64 - merge->bits;

	return (int64_t)((a - b) << shift) >> shift;
}

static inline unsigned
merge_index(const struct merge *merge, uint64_t number)
{
	return (unsigned)(number & merge->mask & (MERGE_NUMBERS - 1));
}

/* The numbering in which datagrams wait: that in use. */
static inline struct merge_numbers *
merge_now(const struct merge *merge)
{
	return &merge->state->numbers[merge->state->now & 1];
}

/* The entry at or after *position, which is moved to it; NULL: none up to
 * `head', and *position is that. */
const struct merge_entry	*merge_entry_at(const struct merge *merge,
				    uint64_t *position, uint64_t head);
/* Lets a datagram wait; false: there is no room. */
bool	merge_hold(struct merge *merge, const struct ring_record *record,
	    const uint8_t *payload, uint64_t number, uint32_t numbers);
/* The datagram of this number, if it waits; it does no more. */
const struct merge_entry	*merge_take(struct merge *merge,
				    uint64_t number);
/* Moves the tail over what does not wait; the first that does, or NULL. */
const struct merge_entry	*merge_oldest(struct merge *merge);
/* What waits, as the segment says. */
void	merge_find(struct merge *merge, const struct merge_state *state);

#endif /* MCRELAY_MERGE_PRIV_H */
