/* SPDX-License-Identifier: ISC */
/*
 * Standard deviations and means of angles, against straightforward computation:
 * long doubles in two passes, 128-bit integers, sums of sines and cosines.
 */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/datum.h"
#include "common/util.h"
#include "decimator/reduce.h"
#include "schema/schema.h"
#include "tests/unit/avro_random.h"
#include "tests/unit/reduce_support.h"

__extension__ typedef __int128 i128;

#define N(a)		(a), NITEMS(a)
#define DOUBLES(...)	N(((double[]){ __VA_ARGS__ }))
#define LONGS(...)	N(((int64_t[]){ __VA_ARGS__ }))
#define TURN		6.283185307179586

/* The schema with this method for all numbers. */
static struct schema_result
planned(const char *text, enum decimate_method method, double range)
{
	struct schema_plan plan = { .arrays = DATUM_ARRAY,
	    .method = (uint8_t)(1 + method), .range = range };
	struct schema_result result;

	if (!schema_plan(text, strlen(text), NULL, &plan, &result))
		fail_msg("%s", result.error);
	assert_true(plan.differs);
	/* What comes out has the channel's schema. */
	assert_null(result.derived);
	schema_plan_free(&plan);
	return result;
}

static void
window(const char *text, enum decimate_method method, double range,
    const struct avro_bytes *data, size_t n)
{
	struct schema_result schema = planned(text, method, range);
	struct reducer *r = reducer_new(schema.program, METHOD_PICK, n);

	reduce_window(r, data);
	assert_int_equal(reducer_outputs(r), 1);
	reducer_free(r);
	schema_result_free(&schema);
}

static double
of_doubles(enum decimate_method method, double range, const double *values,
    size_t n)
{
	struct avro_bytes data = { 0 };
	double result;

	avro_bytes_add(&data, values, n * sizeof(*values));
	window("\"double\"", method, range, &data, n);
	assert_int_equal(reduce_size[0], sizeof(result));
	memcpy(&result, reduce_output[0], sizeof(result));
	avro_bytes_free(&data);
	return result;
}

static int64_t
of_integers(const char *type, enum decimate_method method, double range,
    const int64_t *values, size_t n)
{
	const uint8_t *at = reduce_output[0];
	struct avro_bytes data = { 0 };
	int64_t result = 0;
	size_t i;

	for (i = 0; i < n; i++)
		avro_bytes_add_long(&data, values[i]);
	window(type, method, range, &data, n);
	assert_int_equal(datum_get_long(&at, at + reduce_size[0], &result),
	    DATUM_OK);
	avro_bytes_free(&data);
	return result;
}

/*** Standard deviation. ***/

static double
deviation(const double *values, size_t n)
{
	return of_doubles(METHOD_STDDEV, 0.0, values, n);
}

static int64_t
whole(const int64_t *values, size_t n)
{
	return of_integers("\"long\"", METHOD_STDDEV, 0.0, values, n);
}

/* In two passes, with what the first has lost. */
static long double
two_passes(const double *values, size_t n)
{
	long double mean = 0, lost = 0, squares = 0, d;
	size_t i;

	for (i = 0; i < n; i++)
		mean += (long double)values[i];
	mean /= (long double)n;
	for (i = 0; i < n; i++) {
		d = (long double)values[i] - mean;
		lost += d;
		squares += d * d;
	}
	return sqrtl((squares - lost * lost / (long double)n) /
	    (long double)n);
}

static void
near(double result, long double wanted)
{
	if (!(fabsl((long double)result - wanted) <=
	    4 * (long double)DBL_EPSILON * fabsl(wanted) +
	    (long double)DBL_TRUE_MIN))
		fail_msg("%.17g, wanted %.17Lg", result, wanted);
}

static void
check(const double *values, size_t n)
{
	near(deviation(values, n), two_passes(values, n));
}

static void
test_deviation(void **state ATTR_UNUSED)
{
	const double nan = (double)NAN, inf = (double)INFINITY;

	assert_true(deviation(DOUBLES(5)) == 0);
	assert_true(deviation(DOUBLES(1, 3)) == 1);
	assert_true(deviation(DOUBLES(0.1, 0.1, 0.1, 0.1, 0.1)) == 0);
	assert_true(deviation(DOUBLES(0, 0, 0)) == 0);
	/* Of all that there are, not an estimate from a sample. */
	assert_true(deviation(DOUBLES(2, 4, 4, 4, 5, 5, 7, 9)) == 2);

	/* NaN takes no part, unless there is nothing else. */
	assert_true(deviation(DOUBLES(nan, 1, nan, 3)) == 1);
	assert_true(isnan(deviation(DOUBLES(nan, nan))));
	assert_true(isnan(deviation(DOUBLES(1, inf, 2))));
	assert_true(isnan(deviation(DOUBLES(-inf, 1))));

	/* Small beside the mean, at both ends of the range, with an outlier. */
	check(DOUBLES(1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16));
	check(DOUBLES(1e15, 1e15 + 1, 1e15 + 2, 1e15 + 1));
	check(DOUBLES(DBL_MAX, -DBL_MAX));
	check(DOUBLES(1e300, -1e-300, 3e307, 2));
	check(DOUBLES(1e-300, 3e-300, 4e-300));
	check(DOUBLES(0, 1e-310, 3e-310));
	check(DOUBLES(1e-200, 1e200, 1e-200, 3e200));
	check(DOUBLES(0, 0, 1e-180, 7, 8));
	check(DOUBLES(1e12, 1, 2, 3, 2, 1, 3, 2, 1, 1.5));
}

static void
test_deviations(void **state ATTR_UNUSED)
{
	static const double offsets[] = { 0, 1, -1e3, 1e6, -1e9, 1e12 };
	static const double sizes[] = { 1e-3, 1, 1e6, 1e100, 1e-100 };
	struct avro_random random;
	double values[300];
	unsigned i, o, s, n;

	avro_random_init(&random, 3, true);
	for (o = 0; o < NITEMS(offsets); o++)
		for (s = 0; s < NITEMS(sizes); s++)
			for (n = 2; n <= NITEMS(values); n += n / 2) {
				for (i = 0; i < n; i++)
					values[i] = offsets[o] + sizes[s] *
					    (double)(int64_t)avro_random_next(
					    &random) * 0x1p-63;
				check(values, n);
			}
}

/* Whether r is the root of v / n^2 as near as integers are, halves up. */
static bool
is_nearest(int64_t r, const int64_t *values, int64_t n)
{
	i128 sum = 0, squares = 0, v, low = (2 * (i128)r - 1) * n;
	i128 high = (2 * (i128)r + 1) * n;
	int64_t i;

	for (i = 0; i < n; i++) {
		sum += values[i] - values[0];
		squares += (i128)(values[i] - values[0]) *
		    (values[i] - values[0]);
	}
	v = 4 * (n * squares - sum * sum);
	return (r == 0 || low * low <= v) && v < high * high;
}

static void
test_whole(void **state ATTR_UNUSED)
{
	static const int64_t sizes[] = { 2, 100, 1000000, INT64_C(1) << 45 };
	struct avro_random random;
	int64_t values[200], origin;
	unsigned i, s, n;

	assert_int_equal(whole(LONGS(7)), 0);
	assert_int_equal(whole(LONGS(1, 3)), 1);
	assert_int_equal(whole(LONGS(1, 2)), 1);		/* 0.5 */
	assert_int_equal(whole(LONGS(0, 0, 0, 1)), 0);		/* 0.43 */
	assert_int_equal(whole(LONGS(-10, 10)), 10);
	assert_int_equal(whole(LONGS(INT64_MAX, INT64_MAX)), 0);
	assert_int_equal(whole(LONGS(INT64_MIN, INT64_MIN)), 0);
	assert_int_equal(whole(LONGS(INT64_MIN, INT64_MIN + 2)), 1);
	assert_int_equal(whole(LONGS(INT64_MIN, INT64_MAX - 1)), INT64_MAX);
	assert_int_equal(whole(LONGS(INT64_MIN, INT64_MAX)), INT64_MAX);
	assert_int_equal(whole(LONGS(INT64_MIN, INT64_MAX - 3)),
	    INT64_MAX - 1);
	assert_int_equal(of_integers("\"int\"", METHOD_STDDEV, 0.0,
	    LONGS(INT32_MIN, INT32_MAX)), INT32_MAX);

	avro_random_init(&random, 4, true);
	for (s = 0; s < NITEMS(sizes); s++)
		for (n = 1; n <= NITEMS(values); n++) {
			origin = (int64_t)avro_random_next(&random) / 2;
			for (i = 0; i < n; i++)
				values[i] = origin + (int64_t)(
				    avro_random_next(&random) %
				    (uint64_t)sizes[s]);
			assert_true(is_nearest(whole(values, n), values,
			    (int64_t)n));
		}
}

/*** Means of angles. ***/

static double
degrees(const double *values, size_t n)
{
	return of_doubles(METHOD_CIRCULAR, 360.0, values, n);
}

static int64_t
around(double range, const int64_t *values, size_t n)
{
	return of_integers("\"long\"", METHOD_CIRCULAR, range, values, n);
}

static void
test_circular(void **state ATTR_UNUSED)
{
	const double nan = (double)NAN, inf = (double)INFINITY;
	double r;

	assert_true(degrees(DOUBLES(350, 10)) == 0);
	assert_true(degrees(DOUBLES(0, 0)) == 0);
	near(degrees(DOUBLES(0, 90)), 45);
	near(degrees(DOUBLES(-10, -20)), 345);
	near(degrees(DOUBLES(3600 + 20, 40, -720 + 30)), 30);
	near(degrees(DOUBLES(nan, 10, nan, 20)), 15);
	r = of_doubles(METHOD_CIRCULAR, TURN, DOUBLES(TURN - 0.25, 0.25));
	assert_true(fabs(remainder(r, TURN)) < 1e-15);
	near(of_doubles(METHOD_CIRCULAR, TURN, DOUBLES(1, 2)), 1.5L);

	/* No direction at all. */
	assert_true(isnan(degrees(DOUBLES(0, 180))));
	assert_true(isnan(degrees(DOUBLES(10, 130, 250))));
	assert_true(isnan(degrees(DOUBLES(nan))));
	assert_true(isnan(degrees(DOUBLES(10, inf))));
	assert_int_equal(around(360, LONGS(0, 180)), 0);

	assert_int_equal(around(360, LONGS(350, 10)), 0);
	assert_int_equal(around(360, LONGS(359, 0, 359, 0)), 0); /* 359.5 */
	assert_int_equal(around(360, LONGS(358, 359)), 359);
	assert_int_equal(around(360, LONGS(-10, -30)), 340);
	assert_int_equal(around(4096, LONGS(4095, 1, 4090)), 4094);
	/* Beyond what doubles tell apart. */
	assert_int_equal(around(10, LONGS(INT64_C(9000000000000000003))), 3);
	/* Where the type ends, a turn goes on. */
	assert_int_equal(of_integers("\"int\"", METHOD_CIRCULAR, 0x1p32,
	    LONGS(INT32_MAX, INT32_MIN, INT32_MIN + 10)), INT32_MIN + 3);
}

static void
test_angles(void **state ATTR_UNUSED)
{
	static const double ranges[] = { 360, TURN, 1, 24, 0.1, 65536 };
	struct avro_random random;
	long double x, y, turn = 2 * acosl(-1), wanted;
	double values[200], result;
	unsigned i, k, n;

	avro_random_init(&random, 5, true);
	for (k = 0; k < NITEMS(ranges); k++)
		for (n = 1; n <= NITEMS(values); n++) {
			x = y = 0;
			for (i = 0; i < n; i++) {
				values[i] = ranges[k] * (0.8 +
				    (double)avro_random_below(&random, 1000) /
				    1800);
				x += cosl((long double)values[i] /
				    (long double)ranges[k] * turn);
				y += sinl((long double)values[i] /
				    (long double)ranges[k] * turn);
			}
			wanted = atan2l(y, x) / turn * (long double)ranges[k];
			result = of_doubles(METHOD_CIRCULAR, ranges[k], values,
			    n);
			assert_true(result >= 0 && result < ranges[k]);
			assert_true(fabsl(remainderl((long double)result -
			    wanted, (long double)ranges[k])) <
			    1e-14L * (long double)ranges[k]);
		}
}

/* A float's result does not round to the range itself. */
static void
test_floats(void **state ATTR_UNUSED)
{
	const float values[] = { 359.99997F, 0, 359.99997F, 0, 0 };
	struct avro_bytes data = { 0 };
	float result;

	avro_bytes_add(&data, values, sizeof(values));
	window("\"float\"", METHOD_CIRCULAR, 360.0, &data, NITEMS(values));
	memcpy(&result, reduce_output[0], sizeof(result));
	assert_true(result == 0.0F);
	avro_bytes_free(&data);
}

/*** Datums. ***/

#define RECORD "{\"type\":\"record\",\"name\":\"R\",\"fields\":["	\
	"{\"name\":\"heading\",\"type\":[\"null\",\"int\"]},"		\
	"{\"name\":\"wind\",\"type\":[\"double\",\"null\"]},"		\
	"{\"name\":\"list\",\"type\":{\"type\":\"array\",\"items\":"	\
	"\"double\"}}]}"

static void
add_record(struct avro_bytes *data, int64_t heading, double wind,
    const double *list, size_t count)
{
	avro_bytes_add_long(data, 1);
	avro_bytes_add_long(data, heading);
	avro_bytes_add_long(data, 0);
	avro_bytes_add(data, &wind, sizeof(wind));
	if (count > 0)
		avro_bytes_add_long(data, (int64_t)count);
	avro_bytes_add(data, list, count * sizeof(*list));
	avro_bytes_add_long(data, 0);
}

static void
add_nulls(struct avro_bytes *data)
{
	avro_bytes_add_long(data, 0);
	avro_bytes_add_long(data, 1);
	avro_bytes_add_long(data, 0);
}

/* Fields have ranges of their own; null takes no part; arrays go element by
 * element. */
static void
test_fields(void **state ATTR_UNUSED)
{
	struct schema_name names[] = {
		{ .path = "heading", .method = 1 + METHOD_CIRCULAR,
		    .range = 360 },
		{ .path = "wind", .method = 1 + METHOD_CIRCULAR,
		    .range = TURN },
	};
	struct schema_plan plan = { .arrays = DATUM_ARRAY, .field = names,
	    .fields = NITEMS(names) };
	struct avro_bytes data = { 0 }, wanted = { 0 };
	struct schema_result schema;
	struct reducer *r;

	assert_true(schema_plan(RECORD, strlen(RECORD), NULL, &plan, &schema));
	r = reducer_new(schema.program, METHOD_STDDEV, 3);
	add_record(&data, 350, 0.5, DOUBLES(1, 5));
	add_nulls(&data);
	add_record(&data, 12, TURN - 0.5, DOUBLES(3));
	reduce_window(r, &data);
	add_record(&wanted, 1, 0, DOUBLES(1, 0));
	assert_int_equal(reduce_size[0], wanted.size);
	assert_memory_equal(reduce_output[0], wanted.data, 3);
	assert_memory_equal(reduce_output[0] + 12, wanted.data + 12,
	    wanted.size - 12);
	avro_bytes_free(&data);
	avro_bytes_free(&wanted);
	reducer_free(r);
	schema_plan_free(&plan);
	schema_result_free(&schema);
}

/* What a decimator is given may be damaged. */
static void
test_program(void **state ATTR_UNUSED)
{
	struct schema_result schema = planned("\"double\"", METHOD_CIRCULAR,
	    360);
	struct datum_program *program = schema.program;
	struct datum_run *run = (struct datum_run *)(uintptr_t)datum_runs(
	    program);
	static const double bad[] = { 0, -1, (double)INFINITY, (double)NAN };
	unsigned i;

	assert_null(datum_program_check(program, program->size));
	for (i = 0; i < NITEMS(bad); i++) {
		datum_run_set_range(run, bad[i]);
		assert_non_null(datum_program_check(program, program->size));
	}
	datum_run_set_range(run, 1);
	run->method = 1 + METHOD_MEAN;
	assert_non_null(datum_program_check(program, program->size));
	datum_run_set_range(run, 0);
	assert_null(datum_program_check(program, program->size));
	run->method = 1 + METHOD_FIR;
	assert_non_null(datum_program_check(program, program->size));
	run->method = 1 + METHOD_SUMMARY;
	assert_non_null(datum_program_check(program, program->size));
	schema_result_free(&schema);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deviation),
		cmocka_unit_test(test_deviations),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_circular),
		cmocka_unit_test(test_angles),
		cmocka_unit_test(test_floats),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
