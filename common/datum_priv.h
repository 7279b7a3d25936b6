/* SPDX-License-Identifier: ISC */
/*
 * A walk over datums, and its steps over numbers: private to common/datum*.c.
 */
#ifndef MCRELAY_DATUM_PRIV_H
#define MCRELAY_DATUM_PRIV_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "common/datum.h"

/*
 * Steps that may be taken for each byte of data.  A program of the schema
 * compiler consumes a byte at the latest after going DATUM_DEPTH_MAX calls
 * down and coming up from as many, with a jump each; a hostile one ends here.
 */
#define STEPS_PER_BYTE	256

struct frame {
	uint64_t	 remaining;	/* items of this block; 0: a call */
	const uint8_t	*block_end;	/* NULL: not told */
	uint32_t	 item;		/* first step of an item */
	uint32_t	 after;		/* where to go on after the frame */
};

struct walk {
	const struct datum_step	*steps;
	const uint8_t		*at;
	const uint8_t		*end;
	uint64_t		 budget;	/* steps left */
	uint32_t		 empty_items;	/* left */
	uint32_t		 depth;
	struct frame		 frame[DATUM_DEPTH_MAX];
};

static inline void
walk_init(struct walk *w, const struct datum_program *program,
    const uint8_t *data, size_t size)
{
	w->steps = datum_steps(program);
	w->at = data;
	w->end = data + size;
	w->budget = ((uint64_t)size + 1) * STEPS_PER_BYTE;
	w->empty_items = DATUM_EMPTY_ITEMS_MAX;
	w->depth = 0;
}

static inline size_t
left(const struct walk *w)
{
	return (size_t)(w->end - w->at);
}

/* Ints, enum numbers and union numbers: 32 bits in at most 5 bytes. */
static inline enum datum_error
get_int(struct walk *w, int32_t *value)
{
	const uint8_t *p = w->at;
	uint32_t v = 0;
	unsigned shift;
	uint8_t byte;

	for (shift = 0; shift < 35; shift += 7) {
		if (UNLIKELY(p == w->end))
			return DATUM_SHORT;
		byte = __atomic_load_n(p++, __ATOMIC_RELAXED);
		v |= (uint32_t)(byte & 0x7f) << shift;
		if (LIKELY(byte < 0x80)) {
			if (UNLIKELY(shift == 28 && byte > 0x0f))
				return DATUM_INT_RANGE;
			w->at = p;
			*value = (int32_t)(v >> 1) ^ -(int32_t)(v & 1);
			return DATUM_OK;
		}
	}
	return DATUM_INT_RANGE;
}

static inline enum datum_error
skip(struct walk *w, size_t size)
{
	if (UNLIKELY(size > left(w)))
		return DATUM_SHORT;
	w->at += size;
	return DATUM_OK;
}

/*
 * Steps over the numbers that lie whole in the next eight bytes, when there
 * are to be that many; returns how many, or 0.  None of them is too large:
 * they have at most `longest' bytes, 4 or 8.
 */
static inline uint64_t
skip_small(struct walk *w, uint64_t count, unsigned longest)
{
	uint64_t word, more, ends;

	if (left(w) < sizeof(word) || count < sizeof(word))
		return 0;
	memcpy(&word, w->at, sizeof(word));
	/* It is loaded once, whatever the compiler thinks of memcpy(). */
	__asm__("" : "+r" (word));
	more = le64toh(word) & UINT64_C(0x8080808080808080);
	if (more == 0) {	/* what follows need not wait for a count */
		w->at += sizeof(word);
		return sizeof(word);
	}
	ends = ~more & UINT64_C(0x8080808080808080);
	if (ends == 0 || (longest == 4 &&
	    (more & more >> 8 & more >> 16 & more >> 24) != 0))
		return 0;
	w->at += 8 - (unsigned)__builtin_clzll(ends) / 8;
	/* How many of its bytes are numbers' ends. */
	return (ends >> 7) * UINT64_C(0x0101010101010101) >> 56;
}

static inline enum datum_error
skip_ints(struct walk *w, uint64_t count)
{
	enum datum_error error;
	uint64_t small;
	int32_t value;

	for (; count > 0; count -= small) {
		if ((small = skip_small(w, count, 4)) > 0)
			continue;
		small = 1;
		if ((error = get_int(w, &value)) != DATUM_OK)
			return error;
	}
	return DATUM_OK;
}

static inline enum datum_error
skip_longs(struct walk *w, uint64_t count)
{
	enum datum_error error;
	uint64_t small;
	int64_t value;

	for (; count > 0; count -= small) {
		if ((small = skip_small(w, count, 8)) > 0)
			continue;
		small = 1;
		if ((error = datum_get_long(&w->at, w->end, &value)) !=
		    DATUM_OK)
			return error;
	}
	return DATUM_OK;
}

/* An enum's or a union's number, below `count'. */
static inline enum datum_error
get_index(struct walk *w, uint32_t count, enum datum_error range, uint32_t *i)
{
	enum datum_error error;
	int32_t value;

	if ((error = get_int(w, &value)) != DATUM_OK)
		return error;
	if (value < 0 || (uint32_t)value >= count)
		return range;
	*i = (uint32_t)value;
	return DATUM_OK;
}

/* Walks the entry at step `pc', up to its own RETURN. */
enum datum_error	datum_walk_entry(struct walk *w, uint32_t pc);
/* The head of a block of an array or map: how many items, 0 at the end, and
 * where it ends, or NULL. */
enum datum_error	datum_walk_block(struct walk *w, uint64_t *items,
			    const uint8_t **block_end);
/* Steps over a datum's header. */
enum datum_error	datum_walk_framing(struct walk *w,
			    const struct datum_framing *framing);

#endif /* MCRELAY_DATUM_PRIV_H */
