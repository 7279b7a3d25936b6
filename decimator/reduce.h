/* SPDX-License-Identifier: ISC */
/*
 * Reducers: windows of datums become one datum (two for minmax) of the same
 * schema.  Decimator only; does no input or output.
 *
 * A window is `every' datums.  Of the numbers of the datum program each is
 * reduced over the window; everything else has the value of the window's last
 * datum.  Instants (the channel's time field, other fields of a timestamp,
 * date or time logical type) are never calculated with: they are those of one
 * sample, so that no time is shown at which nothing happened.
 *
 *	method	outputs	numbers				instants of
 *	pick	1	the last datum verbatim		the last datum
 *	mean	1	arithmetic mean			datum every / 2 (from 0)
 *	rms	1	root of the mean square		datum every / 2 (from 0)
 *	minmax	2	minima, then maxima		first, then last datum
 *
 * Integers are accumulated exactly, in 128 or 192 bits.  The result is rounded
 * to nearest, halves away from zero, and clamped to the type (only the rms of
 * nothing but the most negative number needs it).
 *
 * Floats are accumulated in doubles.  mean: Kahan's compensated sum of the
 * values scaled down by a power of two >= every, so that it cannot overflow
 * where the mean does not; error of a few ulp of the mean of magnitudes
 * (and of 2^-1074 * every).  rms: Blue's three ranges (large, usual, small
 * squares apart, scaled), each a compensated sum; no overflow or underflow
 * where the result has none.  NaN is left out of mean, rms, minimum and
 * maximum; a window of nothing but NaN gives NaN.  Infinities follow IEEE 754:
 * the mean of +inf and -inf is NaN, the rms of either is +inf.
 *
 * Null is not a number: it is left out as well, and the result is null only
 * when the whole window was null.  Null and NaN only gives NaN.
 */
#ifndef MCRELAY_REDUCE_H
#define MCRELAY_REDUCE_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/control.h"
#include "common/datum.h"

#define REDUCER_OUTPUTS_MAX	2

struct reducer;

enum reducer_status {
	REDUCER_MORE,		/* taken; the window is not full yet */
	REDUCER_FULL,		/* taken, and the window is full: emit */
	REDUCER_INVALID,	/* no datum there; nothing changed */
};

/*
 * `program' has passed datum_program_check(), belongs to the caller and must
 * outlive the reducer.  `every' is at least 1.  Allocates everything that it
 * will ever need; fatal when out of memory.
 */
struct reducer	*reducer_new(const struct datum_program *program,
		    enum decimate_method method, uint64_t every)
		    ATTR_NONNULL ATTR_UNUSED_RESULT;
void	reducer_free(struct reducer *reducer);

/*
 * Takes the first datum of `data'; *used is its size in bytes.  To take a
 * whole datagram or none of it, datum_validate() it before the first push:
 *
 *	if (datum_validate(program, data, size, &datums) != DATUM_OK)
 *		...;
 *	for (; size > 0; data += used, size -= used)
 *		if (reducer_push(r, data, size, &used) == REDUCER_FULL)
 *			for (i = 0; i < reducer_outputs(r); i++)
 *				n = reducer_emit(r, i, buffer, sizeof(buffer));
 *
 * After REDUCER_FULL `data' must stay as it is until the window's outputs have
 * been taken.  The next push begins a new window.  After REDUCER_INVALID,
 * *used is not set: leave the loop.
 */
enum reducer_status	reducer_push(struct reducer *reducer,
			    const uint8_t *data, size_t size, size_t *used)
			    ATTR_NONNULL ATTR_UNUSED_RESULT;

/* How many datums come out of a window: 1, or 2 for minmax. */
unsigned	reducer_outputs(const struct reducer *reducer) ATTR_NONNULL;

/*
 * After REDUCER_FULL: writes output datum `i'.  Returns its size, or 0 when
 * it is larger than `capacity' (an output may be larger than every input,
 * because integers take as many bytes as they need).
 */
size_t	reducer_emit(const struct reducer *reducer, unsigned i, uint8_t *out,
	    size_t capacity) ATTR_NONNULL;

/* How many datums are in the window that is being filled. */
uint64_t	reducer_count(const struct reducer *reducer) ATTR_NONNULL;
/* Forgets them, so that the next push begins a new window. */
void	reducer_reset(struct reducer *reducer) ATTR_NONNULL;

#endif /* MCRELAY_REDUCE_H */
