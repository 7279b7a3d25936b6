/* SPDX-License-Identifier: ISC */
/*
 * Which numbers of a stream have arrived: lost, doubled, reordered.
 *
 * A bitmap remembers the last WINDOW_SIZE numbers below the highest seen.
 * Within it all counts are exact.  A number that comes later than that can
 * not be told from a double: it counts as stale only, and stays in `lost' if
 * it had not come before.
 */
#ifndef MCRELAY_GEN_WINDOW_H
#define MCRELAY_GEN_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

#define WINDOW_SIZE	(UINT64_C(1) << 20)

struct window {
	bool		 from_start;	/* number 0 is expected */
	bool		 begun;
	uint64_t	 first;		/* lowest number expected or seen */
	uint64_t	 next;		/* highest number seen + 1 */
	uint64_t	 distinct;	/* numbers that arrived */
	uint64_t	 doubled;
	uint64_t	 reordered;	/* came after a higher number */
	uint64_t	 stale;
	uint64_t	*bitmap;
};

/*
 * With `from_start' everything from number 0 on is expected, else from the
 * first number that arrives (or lower ones that arrive within the window).
 */
void	window_init(struct window *window, bool from_start) ATTR_NONNULL;
void	window_free(struct window *window) ATTR_NONNULL;
void	window_add(struct window *window, uint64_t number) ATTR_NONNULL;

/* Numbers that are missing below the highest seen. */
static inline uint64_t
window_lost(const struct window *window)
{
	return window->next - window->first - window->distinct;
}

#endif /* MCRELAY_GEN_WINDOW_H */
