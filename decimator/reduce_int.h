/* SPDX-License-Identifier: ISC */
/*
 * Integers under reduction, exactly.  Private to decimator/reduce*.c; what is
 * computed: reduce.h.
 */
#ifndef MCRELAY_REDUCE_INT_H
#define MCRELAY_REDUCE_INT_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/control.h"

/* One field. */
struct reduce_int {
	/* mean: the sum.  rms: the lower 128 bits of the sum of squares;
	 * a long's square has 126 bits. */
	__extension__ __int128	sum;
	uint64_t		carry;		/* rms: the bits above */
	int64_t			low, high;	/* minmax */
	uint64_t		nulls;
};

void	reduce_int_reset(struct reduce_int *field, size_t count);

/* Takes one value. */
static inline void
reduce_int_add(struct reduce_int *field, enum decimate_method method,
    int64_t value)
{
	__extension__ typedef unsigned __int128 wide;
	wide square, sum;

	if (method == METHOD_MEAN)
		field->sum += value;
	else if (method == METHOD_RMS) {
		square = value < 0 ? -(wide)value : (wide)value;
		square *= square;
		sum = (wide)field->sum + square;
		field->carry += sum < square;
		field->sum = (__typeof__(field->sum))sum;
	} else {
		field->low = value < field->low ? value : field->low;
		field->high = value > field->high ? value : field->high;
	}
}

/*
 * The result over `samples' (at least 1) values, rounded to nearest and not
 * beyond `highest'.  `output' tells minimum (0) from maximum (1).
 */
int64_t	reduce_int_result(const struct reduce_int *field,
	    enum decimate_method method, uint64_t samples, unsigned output,
	    int64_t highest) ATTR_NONNULL;

#endif /* MCRELAY_REDUCE_INT_H */
