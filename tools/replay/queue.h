/* SPDX-License-Identifier: ISC */
/*
 * Which of many channels has the record that is due first.  mcrelay-replay.
 *
 * Each channel has a time of its own that never goes back, as pace.c has it:
 * where its clock was set back, what follows keeps its distance.  Of records
 * that are due together, and of those without times, the channel that has had
 * fewer of them is the first.
 */
#ifndef MCRELAY_REPLAY_QUEUE_H
#define MCRELAY_REPLAY_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "tools/replay/source.h"

/* What they are compared by is at hand, whatever is in the cache of a thousand
 * sources. */
struct queue_place {
	int64_t		 due_ns;
	uint64_t	 played;
	struct source	*source;
};

/* A heap; all zero is an empty one. */
struct queue {
	struct queue_place	*place;		/* the first is due first */
	size_t			 sources;
};

/* The source has found a record. */
void	queue_add(struct queue *queue, struct source *source) ATTR_NONNULL;
/* The first has found another one, and stays the first, whoever is due: until
 * queue_again() or queue_drop_first(). */
void	queue_stay(struct queue *queue) ATTR_NONNULL;
/* The first has found another one. */
void	queue_again(struct queue *queue) ATTR_NONNULL;
void	queue_drop_first(struct queue *queue) ATTR_NONNULL;
void	queue_free(struct queue *queue) ATTR_NONNULL;

#endif /* MCRELAY_REPLAY_QUEUE_H */
