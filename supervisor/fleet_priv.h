/* SPDX-License-Identifier: ISC */
/*
 * What the files of the fleet share.  For these only.
 */
#ifndef MCRELAY_FLEET_PRIV_H
#define MCRELAY_FLEET_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/fleet.h"

static inline uint64_t
fleet_load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void
fleet_store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

/* fleet_page.c: the page is the next process's: what it says is kept with the
 * channels. */
void	fleet_page_take(struct fleet *fleet) ATTR_NONNULL;

/* fleet_turns.c: has the worker look at what it is told. */
void	fleet_tell_worker(const struct channel *channel) ATTR_NONNULL;
/* fleet_turns.c: passes an order on to the worker, which is good for so long,
 * and its answer to who has given it.  True: there is one. */
bool	fleet_mirror(struct channel *channel, uint64_t order,
	    uint64_t until_ns) ATTR_NONNULL;
/* The order that is in force goes on, in a page that begins. */
void	fleet_resume(struct channel *channel) ATTR_NONNULL;

/* fleet_cold.c: starts a worker that is needed, for its turn or to get ready
 * for it, and ends one of a cold standby that has not been for a lease. */
void	fleet_wake(struct channel *channel, bool ordered) ATTR_NONNULL;

#endif /* MCRELAY_FLEET_PRIV_H */
