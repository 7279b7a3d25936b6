/* SPDX-License-Identifier: ISC */
/*
 * Mean, rms, minimum and maximum of floats and doubles.  Decimator only.  The
 * loop over a datum is reduce_loop.c's; what is rare (NaN, values whose square
 * leaves the range) it leaves out, and a second pass looks after it.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "decimator/reduce_loop.h"

/* Scales for Blue's thresholds (reduce_loop.h). */
#define LARGE_SCALE	0x1p-538
#define SMALL_SCALE	0x1p537

static double *
array(const struct reals *r, bool wanted)
{
	return wanted ? xcalloc(r->room, sizeof(double)) : NULL;
}

static int64_t *
times(const struct reals *r, bool wanted)
{
	return wanted ? xcalloc(r->room, sizeof(int64_t)) : NULL;
}

void
reals_init(struct reals *r, size_t count, enum decimate_method method)
{
	bool all = method == METHOD_SUMMARY;
	bool mean = all || method == METHOD_MEAN;
	bool rms = all || method == METHOD_RMS;
	bool minmax = all || method == METHOD_MINMAX;

	memset(r, 0, sizeof(*r));
	r->count = count;
	r->room = ROUND_UP(count, (size_t)REDUCE_LANES);
	r->loop = reduce_loop(method);
	r->sum = array(r, mean);
	r->sum_rest = array(r, mean);
	r->large_sum = array(r, mean);
	r->large_rest = array(r, mean);
	r->square = array(r, rms);
	r->squares = array(r, rms);
	r->squares_rest = array(r, rms);
	r->large = array(r, rms);
	r->large_excess = array(r, rms);
	r->small = array(r, rms);
	r->small_excess = array(r, rms);
	r->low = array(r, minmax);
	r->high = array(r, minmax);
	r->low_time = times(r, all);
	r->high_time = times(r, all);
	r->left_out = xcalloc(r->room, sizeof(*r->left_out));
	r->nulls = xcalloc(r->room, sizeof(*r->nulls));
	reals_reset(r);
}

void
reals_free(struct reals *r)
{
	free(r->sum);
	free(r->sum_rest);
	free(r->large_sum);
	free(r->large_rest);
	free(r->square);
	free(r->squares);
	free(r->squares_rest);
	free(r->large);
	free(r->large_excess);
	free(r->small);
	free(r->small_excess);
	free(r->low);
	free(r->high);
	free(r->low_time);
	free(r->high_time);
	free(r->left_out);
	free(r->nulls);
}

static void
clear(const struct reals *r, void *array)
{
	if (array != NULL)
		memset(array, 0, r->room * sizeof(double));
}

void
reals_reset(struct reals *r)
{
	size_t i;

	r->hot = 0;
	clear(r, r->sum);
	clear(r, r->sum_rest);
	clear(r, r->square);
	clear(r, r->squares);
	clear(r, r->squares_rest);
	for (i = 0; r->low != NULL && i < r->room; i++) {
		r->low[i] = (double)INFINITY;
		r->high[i] = -(double)INFINITY;
	}
	if (!r->rare)
		return;
	r->rare = false;
	clear(r, r->large_sum);
	clear(r, r->large_rest);
	clear(r, r->large);
	clear(r, r->large_excess);
	clear(r, r->small);
	clear(r, r->small_excess);
	clear(r, r->left_out);
	clear(r, r->nulls);
}

void
reals_grow(struct reals *r, size_t count, enum decimate_method method)
{
	struct reals fresh;

	reals_init(&fresh, count, method);
	fresh.hot = r->hot;
	fresh.rare = r->rare;
#define MOVE(member)							\
	if (r->member != NULL)						\
		memcpy(fresh.member, r->member,				\
		    r->count * sizeof(*r->member))
	MOVE(sum);
	MOVE(sum_rest);
	MOVE(large_sum);
	MOVE(large_rest);
	MOVE(square);
	MOVE(squares);
	MOVE(squares_rest);
	MOVE(large);
	MOVE(large_excess);
	MOVE(small);
	MOVE(small_excess);
	MOVE(low);
	MOVE(high);
	MOVE(low_time);
	MOVE(high_time);
	MOVE(left_out);
	MOVE(nulls);
#undef MOVE
	reals_free(r);
	*r = fresh;
}

/*
 * Neumaier's sum, whose true value is *sum + *rest.  A sum that is infinite
 * stays what IEEE 754 makes of it; its rest would be NaN.
 */
static void
compensated(double *sum, double *rest, double x)
{
	double s = *sum + x, b = s - *sum;

	if (isfinite(s))
		*rest += (*sum - (s - b)) + (x - b);
	*sum = s;
}

/* One value that the loop has left out. */
static void
add_rare(struct reals *r, size_t i, double x)
{
	double size = fabs(x);
	bool large = size > REDUCE_LARGE;

	r->rare = true;
	if (isnan(x)) {
		r->left_out[i]++;
		return;
	}
	if (r->sum != NULL) {
		if (large)
			compensated(&r->large_sum[i], &r->large_rest[i],
			    x * LARGE_SCALE);
		else
			compensated(&r->sum[i], &r->sum_rest[i], x);
	}
	if (r->square == NULL)
		return;
	if (large)
		compensated(&r->large[i], &r->large_excess[i],
		    (x * LARGE_SCALE) * (x * LARGE_SCALE));
	else
		compensated(&r->small[i], &r->small_excess[i],
		    (x * SMALL_SCALE) * (x * SMALL_SCALE));
}

static void
add_rares(struct reals *r, const uint8_t *data, bool wide)
{
	double x, size;
	size_t i;

	for (i = 0; i < r->count; i++) {
		x = reduce_load(data, i, wide);
		size = fabs(x);
		/* What the loop takes, it takes for all methods. */
		if (!(size <= REDUCE_LARGE) || (r->square != NULL &&
		    size < REDUCE_SMALL && x != 0.0))
			add_rare(r, i, x);
	}
}

/* The squares of the last few datums join those before. */
static void
fold(struct reals *r)
{
	size_t i;

	for (i = 0; i < r->room; i++) {
		compensated(&r->squares[i], &r->squares_rest[i], r->square[i]);
		r->square[i] = 0.0;
	}
	r->hot = 0;
}

void
reals_add(struct reals *r, const uint8_t *data, bool wide, int64_t time)
{
	if (UNLIKELY(!r->loop(r, data, wide, time)))
		add_rares(r, data, wide);
	if (r->square != NULL && ++r->hot == REDUCE_HOT)
		fold(r);
}

size_t
reals_add_one(struct reals *r, size_t i, const uint8_t *data, bool wide,
    int64_t time)
{
	double x = reduce_load(data, 0, wide), size = fabs(x);

	if (!(size <= REDUCE_LARGE) || (r->square != NULL &&
	    size < REDUCE_SMALL && x != 0.0))
		add_rare(r, i, x);
	else {
		if (r->sum != NULL)
			compensated(&r->sum[i], &r->sum_rest[i], x);
		if (r->square != NULL)
			compensated(&r->squares[i], &r->squares_rest[i], x * x);
	}
	if (r->low != NULL && x < r->low[i]) {
		r->low[i] = x;
		if (r->low_time != NULL)
			r->low_time[i] = time;
	}
	if (r->low != NULL && x > r->high[i]) {
		r->high[i] = x;
		if (r->high_time != NULL)
			r->high_time[i] = time;
	}
	return wide ? sizeof(double) : sizeof(float);
}

void
reals_leave_out(struct reals *r, size_t i, uint64_t samples)
{
	r->rare = true;
	r->left_out[i] += samples;
}

void
reals_add_null(struct reals *r, size_t i)
{
	reals_leave_out(r, i, 1);
	r->nulls[i]++;
}

/* (sum + rest) / n, with the division's remainder put to use, so that the mean
 * of equal values is that value. */
static double
quotient(double sum, double rest, double n)
{
	double total = sum + rest, q = total / n;

	if (!isfinite(q))
		return q;
	rest += sum - total;
	return q + (fma(-q, n, total) + rest) / n;
}

static double
root_mean(double sum, double rest, double n)
{
	double q = isfinite(sum) ? (sum + rest) / n : sum;

	return q > 0.0 || isnan(q) ? sqrt(q) : 0.0;
}

static double
rms(const struct reals *r, size_t i, double n)
{
	double sum = r->squares[i], rest = r->squares_rest[i], result;

	compensated(&sum, &rest, r->square[i]);
	result = root_mean(sum, rest, n);
	if (r->large[i] > 0.0)
		result = hypot(result, root_mean(r->large[i],
		    r->large_excess[i], n) / LARGE_SCALE);
	if (r->small[i] > 0.0)
		result = hypot(result, root_mean(r->small[i],
		    r->small_excess[i], n) / SMALL_SCALE);
	return result;
}

double
reals_result(const struct reals *r, size_t i, enum decimate_method method,
    uint64_t samples, unsigned output)
{
	double n, mean;

	if (method == METHOD_MINMAX)
		return r->low[i] > r->high[i] ? (double)NAN :
		    output == 0 ? r->low[i] : r->high[i];
	if (r->left_out[i] >= samples)
		return (double)NAN;
	n = (double)(samples - r->left_out[i]);
	if (method == METHOD_RMS)
		return rms(r, i, n);
	mean = quotient(r->sum[i], r->sum_rest[i], n);
	if (r->large_sum[i] != 0.0 || r->large_rest[i] != 0.0)
		mean += quotient(r->large_sum[i], r->large_rest[i], n) /
		    LARGE_SCALE;
	return mean;
}

int64_t
reals_time(const struct reals *r, size_t i, unsigned output,
    int64_t otherwise)
{
	/* Nothing is below +inf and above -inf, with which the search began. */
	if (isinf(output == 0 ? r->low[i] : -r->high[i]) > 0)
		return otherwise;
	return output == 0 ? r->low_time[i] : r->high_time[i];
}
