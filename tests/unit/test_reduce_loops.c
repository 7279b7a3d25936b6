/* SPDX-License-Identifier: ISC */
/*
 * The loops over floats and doubles, one for each kind of processor, and with
 * any number of datums at once: they all give the same bits.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "decimator/reduce_loop.h"

#define LOOP_FIELDS	27
#define LOOP_ROWS	100

static uint64_t
next_random(void)
{
	static uint64_t x = UINT64_C(0x9e3779b97f4a7c15);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* One value of one field, unless it is rare. */
static void
scalar_add(struct reals_lanes *l, size_t k, unsigned needs,
    double x, int64_t time)
{
	double size = fabs(x), s = l->sum[k] + x, b = s - l->sum[k];

	if (x < l->low[k]) {
		l->low[k] = x;
		l->low_time[k] = time;
	}
	if (x > l->high[k]) {
		l->high[k] = x;
		l->high_time[k] = time;
	}
	if (!(size <= REDUCE_LARGE))
		return;
	if ((needs & NEED_SUM) != 0) {
		l->sum_rest[k] += (l->sum[k] - (s - b)) + (x - b);
		l->sum[k] = s;
	}
	if (size >= REDUCE_SMALL)
		l->square[k] += x * x;
}

/* One field, value after value; all may have something rare. */
static size_t
scalar_run(const struct reals *r, size_t i)
{
	struct reals_lanes *l;
	size_t k = i % REALS_LANES;
	double s, b;
	unsigned n;

	if (i >= r->count)
		return i;
	l = &r->lanes[i / REALS_LANES];
	for (n = 0; n < r->rows; n++)
		scalar_add(l, k, r->needs, reduce_load(r->row[n], i, r->wide),
		    r->time[n]);
	if (r->hot + r->rows < REALS_ROWS)
		return i;
	s = l->squares[k] + l->square[k];
	b = s - l->squares[k];
	l->squares_rest[k] += (l->squares[k] - (s - b)) + (l->square[k] - b);
	l->squares[k] = s;
	l->square[k] = 0;
	return i;
}

static bool
no_finish(const struct reals_lanes *lanes ATTR_UNUSED,
    double samples ATTR_UNUSED, int64_t first_time ATTR_UNUSED,
    struct reals_results *results ATTR_UNUSED)
{
	return false;
}

static const struct reduce_loops one_by_one = { 1, scalar_run, no_finish };

/* Field 7 is sometimes something rare, 9 always; with neighbours of which that
 * cannot be said, 17 and 18 are constant, 19, 21 and 25 small. */
static double
loop_value(unsigned field, unsigned row)
{
	static const double rare[] = { (double)NAN, (double)INFINITY,
	    -(double)INFINITY, 1e200, -1e300, 1e-200, -1e-310, -0.0 };

	if (field == 9 || (field == 7 && row % 9 == 0))
		return rare[next_random() % NITEMS(rare)];
	if (field == 17 || field == 18)
		return field == 17 ? 0 : 0.1;
	if (field == 19 || field == 25)
		return (double)(int)(next_random() % 9) *
		    (field == 19 ? 1e-162 : 1e-158);
	if (field == 21)
		return row % 20 == 3 ? 1e-100 :
		    (double)(int)(next_random() % 9) * 1e-170;
	return (double)(int64_t)next_random() *
	    (field % 2 == 0 ? 1 : 1e-30);
}

static void
loop_rows(bool wide, uint8_t data[LOOP_ROWS][LOOP_FIELDS * sizeof(double)])
{
	unsigned i, k;
	double d;
	float f;

	for (k = 0; k < LOOP_ROWS; k++)
		for (i = 0; i < LOOP_FIELDS; i++) {
			d = loop_value(i, k);
			f = (float)d;
			if (wide)
				memcpy(data[k] + i * sizeof(d), &d, sizeof(d));
			else
				memcpy(data[k] + i * sizeof(f), &f, sizeof(f));
		}
}

/* `rows' rows, gathered `batch' at a time; 0: any number at a time. */
static void
loop_results(struct reals *r, const struct reduce_loops *loops,
    enum decimate_method method, bool wide,
    uint8_t data[LOOP_ROWS][LOOP_FIELDS * sizeof(double)], unsigned rows,
    unsigned batch)
{
	unsigned k;

	reals_init(r, LOOP_FIELDS, wide, method, 0.0);
	r->loops = loops;
	for (k = 0; k < rows; k++) {
		reals_add(r, data[k], 1000 + k);
		if (batch > 0 ? k % batch == batch - 1 : k * k % 7 < 2)
			reals_settle(r);
	}
	reals_settle(r);
}

#define ASSERT_SAME(a, b, member)					\
	if (memcmp(&(a)->member[i % REALS_LANES],			\
	    &(b)->member[i % REALS_LANES], sizeof((a)->member[0])) != 0) \
		fail_msg("field %u: " #member " differs", i)

static void
same_results(const struct reals *a, const struct reals *b, unsigned rows)
{
	struct reals_results x, y;
	unsigned i;

	for (i = 0; i < LOOP_FIELDS; i++) {
		if (i % REALS_LANES == 0) {
			reals_results(a, i / REALS_LANES, rows, 999, &x);
			reals_results(b, i / REALS_LANES, rows, 999, &y);
		}
		if ((a->needs & NEED_SUM) != 0)
			ASSERT_SAME(&x, &y, mean);
		if ((a->needs & NEED_SQUARES) != 0)
			ASSERT_SAME(&x, &y, rms);
		if ((a->needs & NEED_RANGE) == 0)
			continue;
		ASSERT_SAME(&x, &y, low);
		ASSERT_SAME(&x, &y, high);
		if ((a->needs & NEED_TIMES) == 0)
			continue;
		ASSERT_SAME(&x, &y, low_time);
		ASSERT_SAME(&x, &y, high_time);
	}
}

/* Whatever the processor has, and however many are taken at once: the bits are
 * those of one value after the other. */
static void
test_loops(void **state ATTR_UNUSED)
{
	static const enum decimate_method methods[] = { METHOD_MEAN,
	    METHOD_RMS, METHOD_MINMAX, METHOD_SUMMARY };
	uint8_t data[LOOP_ROWS][LOOP_FIELDS * sizeof(double)];
	const struct reduce_loops *loops;
	unsigned m, kind, rows, batch;
	struct reals r, oracle;
	int wide;

	for (m = 0; m < 2 * NITEMS(methods); m++) {
		wide = m % 2;
		loop_rows(wide, data);
		for (rows = 1; rows <= LOOP_ROWS; rows += 1 + rows / 8) {
			loop_results(&oracle, &one_by_one, methods[m / 2], wide,
			    data, rows, 1);
			for (kind = 0; (loops = reduce_loops_of(kind,
			    methods[m / 2])) != NULL; kind++)
				for (batch = 0; batch <= REALS_ROWS; batch++) {
					loop_results(&r, loops,
					    methods[m / 2], wide, data, rows,
					    batch);
					same_results(&r, &oracle, rows);
					reals_free(&r);
				}
			reals_free(&oracle);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
