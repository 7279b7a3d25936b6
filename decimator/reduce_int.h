/* SPDX-License-Identifier: ISC */
/*
 * Integers under reduction, exactly.  Private to decimator/reduce*.c; what is
 * computed: reduce.h.
 */
#ifndef MCRELAY_REDUCE_INT_H
#define MCRELAY_REDUCE_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "decimator/reduce_own.h"

/* One field. */
struct reduce_int {
	union {
		struct {
			__extension__ __int128	sum;
			/* Of the squares, the lower 128 bits; a long's square
			 * has 126. */
			__extension__ unsigned __int128 squares;
			uint64_t	carry;		/* the bits above */
			int64_t		low_time, high_time;
			int64_t		low, high;
			uint64_t	nulls;
		};
		/* Instead of the sums. */
		struct reduce_own	own;
	};
};

void	reduce_int_reset(struct reduce_int *field, size_t count);

/* Takes one value, of a sample of that time, as `needs' (but NEED_OWN) say. */
static inline void
reduce_int_add(struct reduce_int *field, unsigned needs, int64_t value,
    int64_t time)
{
	__extension__ typedef unsigned __int128 wide;
	wide square;

	if ((needs & NEED_SUM) != 0)
		field->sum += value;
	if ((needs & NEED_SQUARES) != 0) {
		square = value < 0 ? -(wide)value : (wide)value;
		square *= square;
		field->squares += square;
		field->carry += field->squares < square;
	}
	if ((needs & NEED_RANGE) == 0)
		return;
	/* The first value is both, also where it is an extreme of its type. */
	if (value < field->low || field->high == INT64_MIN) {
		field->low = value;
		field->low_time = time;
	}
	if (value > field->high) {
		field->high = value;
		field->high_time = time;
	}
}

/* The same with all that the method needs. */
static inline void
reduce_int_take(struct reduce_int *field, enum decimate_method method,
    double range, int64_t value, int64_t time)
{
	unsigned needs = decimate_needs(method, false);

	if ((needs & NEED_OWN) != 0)
		reduce_own_methods[method].add(&field->own,
		    reduce_own_integer(value, range), range);
	else
		reduce_int_add(field, needs, value, time);
}

/*
 * The result over `samples' (at least 1) values, rounded to nearest and not
 * beyond `highest'.  `output' tells minimum (0) from maximum (1).
 */
int64_t	reduce_int_result(const struct reduce_int *field,
	    enum decimate_method method, double range, uint64_t samples,
	    unsigned output, int64_t highest) ATTR_NONNULL;
/* Mean and rms of a summary, as doubles within 2^-51 of themselves. */
double	reduce_int_mean(const struct reduce_int *field, uint64_t samples)
	    ATTR_NONNULL;
double	reduce_int_rms(const struct reduce_int *field, uint64_t samples)
	    ATTR_NONNULL;

#endif /* MCRELAY_REDUCE_INT_H */
