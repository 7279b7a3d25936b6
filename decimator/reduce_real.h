/* SPDX-License-Identifier: ISC */
/*
 * A run of floats or doubles under reduction: flat arrays, one entry a field,
 * so that a datum is one loop over vectors.  Private to decimator/reduce*.c;
 * what is computed and how exactly: reduce.h.
 */
#ifndef MCRELAY_REDUCE_REAL_H
#define MCRELAY_REDUCE_REAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/control.h"

struct reals;

/* The loops, for doubles or floats; whether all values could be taken. */
typedef bool	reals_loop(const struct reals *reals, const uint8_t *data,
		    bool wide, int64_t time);

/* Arrays that the method does not need are NULL.  All have `room' entries. */
struct reals {
	size_t		 count;		/* fields */
	size_t		 room;		/* a multiple of the vector's lanes */
	reals_loop	*loop;
	unsigned	 hot;		/* datums in `square' */
	/* Whether the arrays of what is rare (large, small, left out) are
	 * in use. */
	bool		 rare;
	/* mean */
	double		*sum;
	double		*sum_rest;	/* what the sum lacks */
	double		*large_sum;	/* of large values, scaled */
	double		*large_rest;
	/* rms: squares of the last few datums, and all before */
	double		*square;
	double		*squares;
	double		*squares_rest;
	double		*large;		/* of large values, scaled */
	double		*large_excess;
	double		*small;
	double		*small_excess;
	/* minmax */
	double		*low;
	double		*high;
	int64_t		*low_time;	/* summary only */
	int64_t		*high_time;
	/* Samples that did not take part: null or NaN; null. */
	uint64_t	*left_out;
	uint64_t	*nulls;
};

void	reals_init(struct reals *reals, size_t count,
	    enum decimate_method method) ATTR_NONNULL;
void	reals_free(struct reals *reals) ATTR_NONNULL;
void	reals_reset(struct reals *reals) ATTR_NONNULL;

/* For more fields than before (which is not 0); the new ones are empty. */
void	reals_grow(struct reals *reals, size_t count,
	    enum decimate_method method) ATTR_NONNULL;

/* Takes a value for each field, in Avro's encoding; doubles if `wide', else
 * floats.  `data' need not be aligned. */
void	reals_add(struct reals *reals, const uint8_t *data, bool wide,
	    int64_t time) ATTR_NONNULL;
/* Takes a value for one field; returns its size in bytes. */
size_t	reals_add_one(struct reals *reals, size_t field, const uint8_t *data,
	    bool wide, int64_t time) ATTR_NONNULL;
/* So many samples of the field take no part; a null is one of them. */
void	reals_leave_out(struct reals *reals, size_t field, uint64_t samples)
	    ATTR_NONNULL;
void	reals_add_null(struct reals *reals, size_t field) ATTR_NONNULL;

/* The result over `samples' samples; NaN when none took part.  `output'
 * tells minimum (0) from maximum (1). */
double	reals_result(const struct reals *reals, size_t field,
	    enum decimate_method method, uint64_t samples, unsigned output)
	    ATTR_NONNULL;
/* When the minimum or maximum was; `otherwise' when there is none, or nothing
 * but +inf or -inf, respectively. */
int64_t	reals_time(const struct reals *reals, size_t field, unsigned output,
	    int64_t otherwise) ATTR_NONNULL;

#endif /* MCRELAY_REDUCE_REAL_H */
