/* SPDX-License-Identifier: ISC */
/*
 * Mean, rms, minimum and maximum of floats and doubles.  Decimator only.
 *
 * The loops over a run are flat vector code without branches; what is rare
 * (NaN, values whose square leaves the range) is left out there and noted, and
 * a second pass over the run looks after it.
 */
#include <endian.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "decimator/reduce_real.h"

/*
 * Blue's constants for doubles: squares of magnitudes between the thresholds
 * can be added 2^50 times without leaving the range; larger and smaller ones
 * are scaled first.
 */
#define LARGE		0x1p486
#define LARGE_SCALE	0x1p-538
#define SMALL		0x1p-511
#define SMALL_SCALE	0x1p537

/* With one more entry than fields, because loops take two at once. */
static double *
array(size_t count, bool wanted)
{
	return wanted ? xcalloc(count + 1, sizeof(double)) : NULL;
}

void
reals_init(struct reals *r, size_t count, enum decimate_method method,
    uint64_t every)
{
	bool rms = method == METHOD_RMS;
	bool any = method != METHOD_PICK;
	int k = 0;

	memset(r, 0, sizeof(*r));
	r->count = any ? count : 0;
	r->method = method;
	if (r->count == 0)
		return;
	while (k < 64 && every >> k > 1)
		k++;
	r->scale = ldexp(1.0, -(k + 1));
	r->a = array(count, any);
	r->b = array(count, any);
	r->large = array(count, rms);
	r->large_excess = array(count, rms);
	r->small = array(count, rms);
	r->small_excess = array(count, rms);
	r->left_out = xcalloc(count, sizeof(*r->left_out));
	r->nulls = xcalloc(count, sizeof(*r->nulls));
	reals_reset(r);
}

void
reals_free(struct reals *r)
{
	free(r->a);
	free(r->b);
	free(r->large);
	free(r->large_excess);
	free(r->small);
	free(r->small_excess);
	free(r->left_out);
	free(r->nulls);
}

static void
fill(double *array, size_t count, double value)
{
	size_t i;

	for (i = 0; array != NULL && i < count; i++)
		array[i] = value;
}

void
reals_reset(struct reals *r)
{
	bool minmax = r->method == METHOD_MINMAX;

	if (r->count == 0)
		return;
	fill(r->a, r->count, minmax ? (double)INFINITY : 0.0);
	fill(r->b, r->count, minmax ? -(double)INFINITY : 0.0);
	fill(r->large, r->count, 0.0);
	fill(r->large_excess, r->count, 0.0);
	fill(r->small, r->count, 0.0);
	fill(r->small_excess, r->count, 0.0);
	memset(r->left_out, 0, r->count * sizeof(*r->left_out));
	memset(r->nulls, 0, r->count * sizeof(*r->nulls));
}

static inline double
load_double(const uint8_t *data, size_t i)
{
	uint64_t bits;
	double value;

	memcpy(&bits, data + i * sizeof(bits), sizeof(bits));
	bits = le64toh(bits);
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static inline double
load_float(const uint8_t *data, size_t i)
{
	uint32_t bits;
	float value;

	memcpy(&bits, data + i * sizeof(bits), sizeof(bits));
	bits = le32toh(bits);
	memcpy(&value, &bits, sizeof(value));
	return (double)value;
}

#define LOAD(wide, data, i) \
	((wide) ? load_double((data), (i)) : load_float((data), (i)))

/*
 * Two fields at once.  Written as vectors because gcc 12 leaves such loops
 * scalar, at -O2 for their unknown length, at -O3 for their conditions.
 */
typedef double pair __attribute__((__vector_size__(16)));
typedef int64_t pair_mask __attribute__((__vector_size__(16)));

#define INLINE		static inline __attribute__((__always_inline__))
#define PAIR(value)	((pair){ (value), (value) })

INLINE pair
get(const double *array)
{
	pair p;

	memcpy(&p, array, sizeof(p));
	return p;
}

INLINE void
set(double *array, pair p)
{
	memcpy(array, &p, sizeof(p));
}

/* The value, or 0.0. */
INLINE pair
pair_if(pair_mask condition, pair value)
{
	return (pair)((pair_mask)value & condition);
}

INLINE pair
select_pair(pair_mask condition, pair yes, pair no)
{
	return (pair)(((pair_mask)yes & condition) |
	    ((pair_mask)no & ~condition));
}

INLINE pair
magnitude(pair value)
{
	return (pair)((pair_mask)value & INT64_MAX);
}

/*
 * Kahan's sum.  A sum that is infinite stays what IEEE 754 makes of it; its
 * excess would be NaN.
 */
INLINE void
kahan(double *sum, double *excess, pair value)
{
	pair s = get(sum), y = value - get(excess), t = s + y;

	set(excess, pair_if((pair_mask)(magnitude(t) <= PAIR(DBL_MAX)),
	    (t - s) - y));
	set(sum, t);
}

/* Each takes a pair of values; true in the mask for what is taken care of. */
INLINE pair_mask
step_mean(struct reals *r, size_t slot, pair x)
{
	pair_mask number = (pair_mask)(x == x);

	kahan(r->a + slot, r->b + slot, pair_if(number, x) * PAIR(r->scale));
	return number;
}

INLINE pair_mask
step_rms(struct reals *r, size_t slot, pair x)
{
	pair usual;

	/* One comparison at a time: gcc 12 leaves vectors for more. */
	x = magnitude(x);
	usual = pair_if((pair_mask)(x <= PAIR(LARGE)), x);
	usual = pair_if((pair_mask)(usual >= PAIR(SMALL)), usual);
	kahan(r->a + slot, r->b + slot, usual * usual);
	return (pair_mask)(usual == x);
}

INLINE pair_mask
step_minmax(struct reals *r, size_t slot, pair x)
{
	pair low = get(r->a + slot), high = get(r->b + slot);

	/* Comparisons with NaN are false. */
	set(r->a + slot, select_pair((pair_mask)(x < low), x, low));
	set(r->b + slot, select_pair((pair_mask)(x > high), x, high));
	return (pair_mask)(x == x);
}

INLINE pair_mask
step(struct reals *r, enum decimate_method method, size_t slot, pair x)
{
	if (method == METHOD_MEAN)
		return step_mean(r, slot, x);
	if (method == METHOD_RMS)
		return step_rms(r, slot, x);
	return step_minmax(r, slot, x);
}

/* Whether all values of a run could be taken care of. */
INLINE bool
add_run(struct reals *r, enum decimate_method method, size_t slot,
    const uint8_t *data, size_t n, bool wide)
{
	pair_mask all = { -1, -1 };
	size_t i;

	for (i = 0; i + 1 < n; i += 2)
		all &= step(r, method, slot + i,
		    (pair){ LOAD(wide, data, i), LOAD(wide, data, i + 1) });
	/* An odd one goes with a NaN, which leaves as it is what belongs to
	 * the field behind the run. */
	if (i < n)
		all[0] &= step(r, method, slot + i,
		    (pair){ LOAD(wide, data, i), (double)NAN })[0];
	return (all[0] & all[1]) != 0;
}

static void
add_rare_square(double *sum, double *excess, double x)
{
	kahan(sum, excess, (pair){ x * x, 0.0 });
}

/* The second pass, for NaN and squares out of range. */
static void
add_rare(struct reals *r, size_t slot, const uint8_t *data, size_t n, bool wide)
{
	double x;
	size_t i;

	for (i = 0; i < n; i++, slot++) {
		x = fabs(LOAD(wide, data, i));
		if (isnan(x))
			r->left_out[slot]++;
		else if (r->method == METHOD_RMS && x > LARGE)
			add_rare_square(r->large + slot, r->large_excess + slot,
			    x * LARGE_SCALE);
		else if (r->method == METHOD_RMS && x < SMALL)
			add_rare_square(r->small + slot, r->small_excess + slot,
			    x * SMALL_SCALE);
	}
}

INLINE void
add(struct reals *r, size_t slot, const uint8_t *data, size_t n, bool wide)
{
	bool all;

	if (r->method == METHOD_MEAN)
		all = add_run(r, METHOD_MEAN, slot, data, n, wide);
	else if (r->method == METHOD_RMS)
		all = add_run(r, METHOD_RMS, slot, data, n, wide);
	else
		all = add_run(r, METHOD_MINMAX, slot, data, n, wide);
	if (UNLIKELY(!all))
		add_rare(r, slot, data, n, wide);
}

void
reals_add_floats(struct reals *r, size_t slot, const uint8_t *data, size_t n)
{
	add(r, slot, data, n, false);
}

void
reals_add_doubles(struct reals *r, size_t slot, const uint8_t *data, size_t n)
{
	add(r, slot, data, n, true);
}

void
reals_add_null(struct reals *r, size_t slot)
{
	r->left_out[slot]++;
	r->nulls[slot]++;
}

/* (sum - excess) / n, with the division's remainder put to use, so that the
 * mean of equal values is that value. */
static double
quotient(double sum, double excess, double n)
{
	double q = sum / n;

	if (!isfinite(q))
		return q;
	return q + (fma(-q, n, sum) - excess) / n;
}

static double
root_mean(double sum, double excess, double n)
{
	double q = quotient(sum, excess, n);

	return q > 0.0 || isnan(q) ? sqrt(q) : 0.0;
}

double
reals_result(const struct reals *r, size_t slot, uint64_t samples,
    unsigned output)
{
	double n, result;

	if (r->left_out[slot] >= samples)
		return (double)NAN;
	n = (double)(samples - r->left_out[slot]);
	if (r->method == METHOD_MINMAX)
		return output == 0 ? r->a[slot] : r->b[slot];
	result = quotient(r->a[slot], r->b[slot], n);
	if (r->method == METHOD_MEAN)
		return result / r->scale;
	result = root_mean(r->a[slot], r->b[slot], n);
	if (r->large[slot] > 0.0)
		result = hypot(result, root_mean(r->large[slot],
		    r->large_excess[slot], n) / LARGE_SCALE);
	if (r->small[slot] > 0.0)
		result = hypot(result, root_mean(r->small[slot],
		    r->small_excess[slot], n) / SMALL_SCALE);
	return result;
}
