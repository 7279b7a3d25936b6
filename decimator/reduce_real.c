/* SPDX-License-Identifier: ISC */
/*
 * Mean, rms, minimum and maximum of floats and doubles.  Decimator only.  The
 * loop over what has been gathered is reduce_loop.c's; what is rare (NaN,
 * values whose square leaves the range) it leaves out, and a second pass looks
 * after it.
 */
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "decimator/reduce_loop.h"

/* Scales for Blue's thresholds (reduce_loop.h). */
#define LARGE_SCALE	0x1p-538
#define SMALL_SCALE	0x1p537

/* Of the field's row, and its place in there. */
#define ROW(i)		((i) / REALS_LANES)
#define LANE(i)		((i) % REALS_LANES)
#define ROWS(count)	(((count) + REALS_LANES - 1) / REALS_LANES)

static bool
reals_own(const struct reals *r)
{
	return (r->needs & NEED_OWN) != 0;
}

void
reals_init(struct reals *r, size_t count, bool wide,
    enum decimate_method method, double range)
{
	memset(r, 0, sizeof(*r));
	r->count = count;
	r->method = method;
	r->needs = decimate_needs(method, true);
	r->range = range;
	r->wide = wide;
	r->loops = reduce_loops(method);
	r->lanes = aligned_alloc(CACHE_LINE, ROWS(count) * sizeof(*r->lanes));
	if (r->lanes == NULL)
		fatal("cannot allocate %zu times %zu bytes", ROWS(count),
		    sizeof(*r->lanes));
	r->rare = xcalloc(ROWS(count), sizeof(*r->rare));
	if (reals_own(r))
		r->own = xcalloc(count, sizeof(*r->own));
	reals_reset(r);
}

void
reals_free(struct reals *r)
{
	free(r->lanes);
	free(r->rare);
	free(r->own);
}

static void
clear_lanes(struct reals *r, size_t count)
{
	size_t i, k;

	memset(r->lanes, 0, ROWS(count) * sizeof(*r->lanes));
	for (i = 0; i < ROWS(count); i++)
		for (k = 0; k < REALS_LANES; k++) {
			r->lanes[i].low[k] = (double)INFINITY;
			r->lanes[i].high[k] = -(double)INFINITY;
		}
}

void
reals_reset_first(struct reals *r, size_t count)
{
	r->rows = 0;
	r->hot = 0;
	clear_lanes(r, count);
	if (reals_own(r))
		memset(r->own, 0, count * sizeof(*r->own));
	if (r->is_rare)
		memset(r->rare, 0, ROWS(count) * sizeof(*r->rare));
	r->is_rare = false;
}

void
reals_reset(struct reals *r)
{
	reals_reset_first(r, r->count);
}

void
reals_grow(struct reals *r, size_t count)
{
	struct reals fresh;

	assert(r->rows == 0);
	reals_init(&fresh, count, r->wide, r->method, r->range);
	fresh.hot = r->hot;
	fresh.is_rare = r->is_rare;
	memcpy(fresh.lanes, r->lanes, ROWS(r->count) * sizeof(*r->lanes));
	memcpy(fresh.rare, r->rare, ROWS(r->count) * sizeof(*r->rare));
	if (reals_own(r))
		memcpy(fresh.own, r->own, r->count * sizeof(*r->own));
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

/* One value that cannot be calculated with as it is. */
static void
add_rare(struct reals *r, size_t i, double x)
{
	struct reals_rare *rare = &r->rare[ROW(i)];
	bool large = fabs(x) > REDUCE_LARGE;
	size_t k = LANE(i);

	r->is_rare = true;
	if (isnan(x)) {
		rare->left_out[k]++;
		return;
	}
	if ((r->needs & NEED_SUM) != 0 && large)
		compensated(&rare->large_sum[k], &rare->large_rest[k],
		    x * LARGE_SCALE);
	if ((r->needs & NEED_SQUARES) == 0)
		return;
	if (large)
		compensated(&rare->large[k], &rare->large_excess[k],
		    (x * LARGE_SCALE) * (x * LARGE_SCALE));
	else
		compensated(&rare->small[k], &rare->small_excess[k],
		    (x * SMALL_SCALE) * (x * SMALL_SCALE));
}

static bool
is_rare(const struct reals *r, double x)
{
	double size = fabs(x);

	if ((r->needs & (NEED_SUM | NEED_SQUARES)) == 0)
		return false;
	return !(size <= REDUCE_LARGE) || (size < REDUCE_SMALL && x != 0.0 &&
	    (r->needs & NEED_SQUARES) != 0);
}

void
reals_add(struct reals *r, const uint8_t *data, int64_t time)
{
	r->row[r->rows] = data;
	r->time[r->rows] = time;
	if (r->hot + ++r->rows == REALS_ROWS)
		reals_settle(r);
}

static void
add_own(struct reals *r, size_t i, double x)
{
	if (isnan(x)) {
		reals_leave_out(r, i, 1);
		return;
	}
	reduce_own_methods[r->method].add(&r->own[i], x, r->range);
}

static void
settle_own(struct reals *r)
{
	unsigned k;
	size_t i;

	for (i = 0; i < r->count; i++)
		for (k = 0; k < r->rows; k++)
			add_own(r, i, reduce_load(r->row[k], i, r->wide));
	r->rows = 0;
}

/* What the loop has left out of this field. */
static void
add_rares(struct reals *r, size_t i)
{
	unsigned k;
	double x;

	for (k = 0; k < r->rows; k++) {
		x = reduce_load(r->row[k], i, r->wide);
		if (is_rare(r, x))
			add_rare(r, i, x);
	}
}

void
reals_settle(struct reals *r)
{
	size_t i, k, lanes = r->loops->lanes;

	if (r->rows == 0)
		return;
	if (reals_own(r)) {
		settle_own(r);
		return;
	}
	for (i = 0; (i = r->loops->run(r, i)) < r->count; i += lanes)
		for (k = i; k < i + lanes && k < r->count; k++)
			add_rares(r, k);
	if ((r->needs & NEED_SQUARES) != 0)
		r->hot = (r->hot + r->rows) % REALS_ROWS;
	r->rows = 0;
}

size_t
reals_add_one(struct reals *r, size_t i, const uint8_t *data, int64_t time)
{
	struct reals_lanes *l = &r->lanes[ROW(i)];
	double x = reduce_load(data, 0, r->wide);
	size_t k = LANE(i), size = r->wide ? sizeof(double) : sizeof(float);

	if (reals_own(r)) {
		add_own(r, i, x);
		return size;
	}
	if (x < l->low[k]) {
		l->low[k] = x;
		l->low_time[k] = time;
	}
	if (x > l->high[k]) {
		l->high[k] = x;
		l->high_time[k] = time;
	}
	if ((r->needs & NEED_SUM) != 0 && fabs(x) <= REDUCE_LARGE)
		compensated(&l->sum[k], &l->sum_rest[k], x);
	if (is_rare(r, x))
		add_rare(r, i, x);
	else if ((r->needs & NEED_SQUARES) != 0)
		compensated(&l->squares[k], &l->squares_rest[k], x * x);
	return size;
}

void
reals_leave_out(struct reals *r, size_t i, uint64_t samples)
{
	r->is_rare = true;
	r->rare[ROW(i)].left_out[LANE(i)] += samples;
}

void
reals_add_null(struct reals *r, size_t i)
{
	reals_leave_out(r, i, 1);
	r->rare[ROW(i)].nulls[LANE(i)]++;
}

uint64_t
reals_nulls(const struct reals *r, size_t i)
{
	return r->rare[ROW(i)].nulls[LANE(i)];
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
	const struct reals_lanes *l = &r->lanes[ROW(i)];
	const struct reals_rare *rare = &r->rare[ROW(i)];
	size_t k = LANE(i);
	double sum = l->squares[k], rest = l->squares_rest[k], result;

	compensated(&sum, &rest, l->square[k]);
	result = root_mean(sum, rest, n);
	if (rare->large[k] > 0.0)
		result = hypot(result, root_mean(rare->large[k],
		    rare->large_excess[k], n) / LARGE_SCALE);
	if (rare->small[k] > 0.0)
		result = hypot(result, root_mean(rare->small[k],
		    rare->small_excess[k], n) / SMALL_SCALE);
	return result;
}

static double
mean(const struct reals *r, size_t i, double n)
{
	const struct reals_lanes *l = &r->lanes[ROW(i)];
	const struct reals_rare *rare = &r->rare[ROW(i)];
	size_t k = LANE(i);
	double result = quotient(l->sum[k], l->sum_rest[k], n);

	if (rare->large_sum[k] != 0.0 || rare->large_rest[k] != 0.0)
		result += quotient(rare->large_sum[k], rare->large_rest[k],
		    n) / LARGE_SCALE;
	return result;
}

static double
extreme(const struct reals *r, size_t i, unsigned output)
{
	double low = r->lanes[ROW(i)].low[LANE(i)];
	double high = r->lanes[ROW(i)].high[LANE(i)];

	return low > high ? (double)NAN : output == 0 ? low : high;
}

/* Of so many values, what only doubles show: a float may round to the range. */
static double
own_result(const struct reals *r, size_t i, double n)
{
	double x = reduce_own_methods[r->method].result(&r->own[i], n,
	    r->range);

	return !r->wide && r->range > 0.0 && (double)(float)x >= r->range ?
	    0.0 : x;
}

double
reals_result(const struct reals *r, size_t i, uint64_t samples,
    unsigned output)
{
	uint64_t left_out = r->rare[ROW(i)].left_out[LANE(i)];
	double n = (double)(samples - left_out);

	assert(r->rows == 0);
	if (decimate_yields(r->method, YIELD_EXTREMES))
		return extreme(r, i, output);
	if (left_out >= samples)
		return (double)NAN;
	if (reals_own(r))
		return own_result(r, i, n);
	return decimate_yields(r->method, YIELD_RMS) ? rms(r, i, n) :
	    mean(r, i, n);
}

/* Of one field of a row. */
static void
results_of(const struct reals *r, size_t i, uint64_t samples,
    int64_t first_time, struct reals_results *out)
{
	const struct reals_lanes *l = &r->lanes[ROW(i)];
	uint64_t left_out = r->rare[ROW(i)].left_out[LANE(i)];
	bool none = left_out >= samples;
	double n = (double)(samples - left_out);
	size_t k = LANE(i);

	/* Nothing is below +inf and above -inf, with which the search began. */
	out->low_time[k] = isinf(l->low[k]) > 0 ? first_time : l->low_time[k];
	out->high_time[k] = isinf(l->high[k]) < 0 ? first_time :
	    l->high_time[k];
	out->low[k] = extreme(r, i, 0);
	out->high[k] = extreme(r, i, 1);
	out->mean[k] = none ? (double)NAN : mean(r, i, n);
	out->rms[k] = none ? (double)NAN : rms(r, i, n);
	/* Rounding must not put it below the mean. */
	if ((~r->needs & (NEED_SUM | NEED_SQUARES)) == 0)
		out->rms[k] = fmax(out->rms[k], fabs(out->mean[k]));
}

void
reals_results(const struct reals *r, size_t row, uint64_t samples,
    int64_t first_time, struct reals_results *out)
{
	size_t i, end = MIN_OF((row + 1) * REALS_LANES, r->count);

	assert(r->rows == 0);
	if (!r->is_rare && r->loops->finish(&r->lanes[row], (double)samples,
	    first_time, out))
		return;
	for (i = row * REALS_LANES; i < end; i++)
		results_of(r, i, samples, first_time, out);
}
