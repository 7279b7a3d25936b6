/* SPDX-License-Identifier: ISC */
/*
 * The last datums of a stream: a ring of bytes that grows up to the stream's
 * share, and forgets the oldest.  mcrelay-web only.
 *
 * All together never take more than HISTORY_MAX.
 */
#ifndef MCRELAY_WEB_HISTORY_H
#define MCRELAY_WEB_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

#define HISTORY_MAX	((size_t)12 * 1024 * 1024)

/* All zero: empty. */
struct history {
	uint8_t		*data;
	size_t		 room;
	uint64_t	 head;		/* bytes ever added */
	uint64_t	 tail;		/* ...and forgotten */
	uint64_t	 count;		/* datums ever added */
	uint64_t	 forgotten;
};

/* A datum; its bytes follow. */
struct history_entry {
	uint64_t	number;		/* increasing, over all histories */
	uint64_t	time_ns;
	uint64_t	missed;
	uint64_t	lost;
	uint32_t	size;
	uint32_t	reserved;
};

/* The next one of somebody who reads it. */
struct history_place {
	uint64_t	position;
	uint64_t	index;
};

/* What each of so many may take, bytes. */
size_t	history_share(size_t histories);
/* False: there is no place for it, not even after forgetting all others. */
bool	history_add(struct history *history, size_t share,
	    const struct history_entry *entry, const uint8_t *data)
	    ATTR_NONNULL;
/* Its share is a smaller one now: the oldest go. */
void	history_fit(struct history *history, size_t share) ATTR_NONNULL;
void	history_free(struct history *history) ATTR_NONNULL;

/* Moves a place that was forgotten to the oldest; returns how many were there
 * in between. */
uint64_t	history_catch_up(const struct history *history,
		    struct history_place *place) ATTR_NONNULL;
/* The datum at the place, which was caught up; false: there is none yet. */
bool	history_look(const struct history *history,
	    const struct history_place *place, struct history_entry *entry)
	    ATTR_NONNULL;
/* The bytes of the one that history_look() gave, and behind it. */
void	history_take(const struct history *history,
	    struct history_place *place, const struct history_entry *entry,
	    uint8_t *data) ATTR_NONNULL;
void	history_skip(struct history_place *place,
	    const struct history_entry *entry) ATTR_NONNULL;

#endif /* MCRELAY_WEB_HISTORY_H */
