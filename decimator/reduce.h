/* SPDX-License-Identifier: ISC */
/*
 * Reducers: windows of datums become one datum (two with minmax) of the same
 * schema, or a summary.  Decimator only; does no input or output.
 *
 * A window is `every' datums, or what the caller says.  Of the numbers of the
 * datum program each is reduced over the window; everything else has the value
 * of the window's last datum.  Instants (the channel's time field, other fields
 * of a timestamp, date or time logical type) are never calculated with: they
 * are those of one sample, so that no time is shown at which nothing happened.
 *
 *	method	outputs	numbers				instants of
 *	pick	1	the last datum verbatim		the last datum
 *	mean	1	arithmetic mean			the middle datum
 *	rms	1	root of the mean square		the middle datum
 *	stddev	1	standard deviation		the middle datum
 *	circular 1	mean of angles			the middle datum
 *	minmax	2	minima, then maxima		first, then last datum
 *	summary	1	all of it, in a schema of its own (below)
 *
 * Runs of the program may have methods of their own.  There are two outputs
 * when one of them is minmax; the numbers of other methods are in both.  The
 * middle datum is number every / 2 (from 0), or in windows by time the last
 * of the first half.
 *
 * Integers are accumulated exactly, in 128 or 192 bits.  The result is rounded
 * to nearest, halves away from zero, and clamped to the type (only the rms of
 * nothing but the most negative number needs it).
 *
 * Floats are accumulated in doubles.  mean: Neumaier's compensated sum; the
 * error is at most one ulp of the mean and n * 2^-104 of the mean of
 * magnitudes.  rms: squares are added eight at a time, the eights by a
 * compensated sum; large and small ones apart and scaled, so that nothing
 * leaves the range that the result does not leave; the relative error is at
 * most 2^-50.  stddev (of all values, divided by n): sums, in pairs of doubles,
 * of the differences from the window's first value; the relative error is at
 * most 2^-50 in windows of up to 2^26 values.  circular: the direction of the
 * sum of directions, in [0, range), or NaN (of integers 0) where they cancel
 * out to 2^-48 of their number; an integer beyond its type is a turn less.
 *
 * NaN is left out of all of them but pick; a window of nothing but NaN gives
 * NaN.  Infinities follow IEEE 754: the mean of +inf and -inf is NaN, the rms
 * of either is +inf; stddev and circular are NaN.
 *
 * Null is not a number: it is left out as well, and the result is null only
 * when the whole window was null.  Null and NaN only gives NaN.
 *
 * A summary is a datum of the schema that schema/schema.h derives:
 *
 *	first_time, last_time	of the window's first and last datum
 *	count			long: datums
 *	missed			long: datagrams, see reducer_missed()
 *	fields			for each number that is no instant:
 *		min, min_time, max, max_time	of the first that is so small
 *		mean, rms			doubles
 *		nulls		long; only for unions with null, where the
 *				other six are unions with null as well
 *		samples		long; only for arrays that are samples: how
 *				many there were; the other six as above
 *
 * Times are those of the time field, in its type; without one, microseconds
 * of the time received.
 */
#ifndef MCRELAY_REDUCE_H
#define MCRELAY_REDUCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/message.h"
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
 * outlive the reducer.  With `every' 0 windows end when the caller says so.
 * Allocates everything that it will ever need; fatal when out of memory.
 */
struct reducer	*reducer_new(const struct datum_program *program,
		    enum decimate_method method, uint64_t every)
		    ATTR_NONNULL ATTR_UNUSED_RESULT;
void	reducer_free(struct reducer *reducer);

/*
 * Looks at the first datum of `data'; *used is its size in bytes.  False: there
 * is none, and *used is not set.  To take a whole datagram or none of it,
 * datum_validate() it first.
 */
bool	reducer_look(struct reducer *reducer, const uint8_t *data, size_t size,
	    size_t *used) ATTR_NONNULL ATTR_UNUSED_RESULT;
/* The time field of the datum looked at, as ns since 1970; false: it has none
 * that can be read so. */
bool	reducer_time(const struct reducer *reducer, const uint8_t *data,
	    uint64_t *time_ns) ATTR_NONNULL ATTR_UNUSED_RESULT;
/*
 * Takes the datum looked at, whose bytes must stay as they are until the next
 * reducer_settle(), reducer_emit() or reducer_reset().  With `every' 0, `early'
 * says that it is in the first half of the window.  After REDUCER_FULL (never
 * with `every' 0) the next one begins a new window.
 */
enum reducer_status	reducer_take(struct reducer *reducer,
			    const uint8_t *data, uint64_t received_ns,
			    bool early) ATTR_NONNULL ATTR_UNUSED_RESULT;

/* Has done with all datums taken: their memory may go.  The fewer calls, the
 * more of them are calculated with at once. */
void	reducer_settle(struct reducer *reducer) ATTR_NONNULL;

/* So many datagrams are missing from the window under way. */
void	reducer_missed(struct reducer *reducer, uint64_t datagrams)
	    ATTR_NONNULL;

/* How many datums come out of a window: 1 or 2. */
unsigned	reducer_outputs(const struct reducer *reducer) ATTR_NONNULL;

/*
 * At the end of a window, which holds a datum at least: writes output datum
 * `i'.  Returns its size, or 0 when it is larger than `capacity' (an output may
 * be larger than every input, because integers take as many bytes as they
 * need).
 */
size_t	reducer_emit(struct reducer *reducer, unsigned i, uint8_t *out,
	    size_t capacity) ATTR_NONNULL;

/* How many datums are in the window that is being filled. */
uint64_t	reducer_count(const struct reducer *reducer) ATTR_NONNULL;
/* Forgets them, so that the next one begins a new window. */
void	reducer_reset(struct reducer *reducer) ATTR_NONNULL;

#endif /* MCRELAY_REDUCE_H */
