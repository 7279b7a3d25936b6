/* SPDX-License-Identifier: ISC */
/*
 * A domain: state that one thread changes and others read, in memory that
 * outlives a killed writer.  Every process; segment.h says which there are.
 *
 * There are two copies of the state.  The one whose number has the lowest bit
 * of `generation' is in force; begin() fills the other, commit() adds one to
 * the generation.  So the copy that was in force at generation g is overwritten
 * only by the begin() after the commit of g + 1, which first stores g + 2 in
 * `begun': a reader that finds no more than g + 1 there, after it has copied,
 * has a whole copy.  As long as it takes no longer than from one commit to the
 * next begin(), that succeeds however fast the writer is.
 */
#ifndef MCRELAY_DOMAIN_H
#define MCRELAY_DOMAIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

/* How often a reader tries: a hostile writer must not hold it. */
#define DOMAIN_TRIES	1000

/*
 * Declares struct NAME_domain and
 *	NAME_begin(d)	the copy to fill, preset with the state in force
 *	NAME_commit(d)	puts it in force
 *	NAME_current(d)	the state in force, for the domain's own writer
 *	NAME_read(d, s)	for everybody else: true, and a whole copy in *s; or
 *			false, and *s is what it was: the writer is faster
 *			than this reader, or hostile
 */
#define SEGMENT_DOMAIN(NAME)						\
struct NAME##_domain {							\
	_Atomic uint64_t generation ATTR_ALIGNED(CACHE_LINE);		\
	_Atomic uint64_t begun;	/* the generation that begin() is for */ \
	struct NAME##_state copy[2] ATTR_ALIGNED(CACHE_LINE);		\
};									\
static inline const struct NAME##_state *				\
NAME##_current(const struct NAME##_domain *d)				\
{									\
	return &d->copy[atomic_load_explicit(&d->generation,		\
	    memory_order_relaxed) & 1];					\
}									\
static inline struct NAME##_state *					\
NAME##_begin(struct NAME##_domain *d)					\
{									\
	uint64_t generation = atomic_load_explicit(&d->generation,	\
	    memory_order_relaxed);					\
	struct NAME##_state *spare = &d->copy[(generation + 1) & 1];	\
									\
	atomic_store_explicit(&d->begun, generation + 1,		\
	    memory_order_relaxed);					\
	/* Partner: the acquire fence in read: whoever sees the copy	\
	 * change also sees that it has been begun. */			\
	atomic_thread_fence(memory_order_release);			\
	*spare = d->copy[generation & 1];				\
	return spare;							\
}									\
static inline void							\
NAME##_commit(struct NAME##_domain *d)					\
{									\
	/* Partner: the acquire load in read, and process death. */	\
	atomic_store_explicit(&d->generation,				\
	    atomic_load_explicit(&d->generation,			\
	    memory_order_relaxed) + 1, memory_order_release);		\
}									\
ATTR_UNUSED_RESULT static inline bool					\
NAME##_read(const struct NAME##_domain *d, struct NAME##_state *state)	\
{									\
	struct NAME##_state copy;					\
	uint64_t generation, begun;					\
	int tries = DOMAIN_TRIES;					\
									\
	do {								\
		generation = atomic_load_explicit(&d->generation,	\
		    memory_order_acquire);				\
		copy = d->copy[generation & 1];				\
		atomic_thread_fence(memory_order_acquire);		\
		begun = atomic_load_explicit(&d->begun,			\
		    memory_order_relaxed);				\
	} while (begun - generation > 1 && --tries > 0);		\
	if (tries == 0)							\
		return false;						\
	*state = copy;							\
	return true;							\
}									\
struct NAME##_domain

#endif /* MCRELAY_DOMAIN_H */
