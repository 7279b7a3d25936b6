/* SPDX-License-Identifier: ISC */
/*
 * The reducers' arithmetic, against straightforward computation: long double
 * sums, 128-bit integers.
 */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/datum.h"
#include "schema/schema.h"
#include "decimator/reduce.h"
#include "tests/unit/avro_random.h"
#include "tests/unit/reduce_support.h"

__extension__ typedef __int128 i128;

/*** One field, of doubles. ***/

static void
reduce_doubles(enum decimate_method method, const double *values, size_t n,
    double *result)
{
	struct schema_result schema = reduce_compile("\"double\"");
	struct reducer *r = reducer_new(schema.program, method, n);
	struct avro_bytes data = { 0 };
	unsigned i;

	avro_bytes_add(&data, values, n * sizeof(*values));
	reduce_window(r, &data);
	for (i = 0; i < reducer_outputs(r); i++) {
		assert_int_equal(reduce_size[i], sizeof(double));
		memcpy(&result[i], reduce_output[i], sizeof(double));
	}
	avro_bytes_free(&data);
	reducer_free(r);
	schema_result_free(&schema);
}

static double
one(enum decimate_method method, const double *values, size_t n)
{
	double result[2];

	reduce_doubles(method, values, n, result);
	return result[0];
}

static double
mean_of(const double *values, size_t n)
{
	return one(METHOD_MEAN, values, n);
}

static double
rms_of(const double *values, size_t n)
{
	return one(METHOD_RMS, values, n);
}

#define N(a)	(a), NITEMS(a)

static void
near(double result, long double wanted, long double scale)
{
	if (fabsl((long double)result - wanted) >
	    4 * (long double)DBL_EPSILON * scale)
		fail_msg("%.17g, wanted %.17Lg", result, wanted);
}

static void
test_special(void **state ATTR_UNUSED)
{
	const double nan = (double)NAN, inf = (double)INFINITY, d[] = { 1, 2 };
	double r[2];

	assert_true(mean_of(d, 2) == 1.5);

	/* NaN takes no part, unless there is nothing else. */
	assert_true(mean_of(N(((double[]){ nan, 1, nan, 3 }))) == 2);
	assert_true(rms_of(N(((double[]){ nan, -3, 3, nan }))) == 3);
	reduce_doubles(METHOD_MINMAX, N(((double[]){ nan, 5, -7, nan, 1 })), r);
	assert_true(r[0] == -7 && r[1] == 5);
	assert_true(isnan(mean_of(N(((double[]){ nan, nan })))));
	assert_true(isnan(rms_of(N(((double[]){ nan, nan })))));
	reduce_doubles(METHOD_MINMAX, N(((double[]){ nan })), r);
	assert_true(isnan(r[0]) && isnan(r[1]));

	/* Infinities. */
	assert_true(mean_of(N(((double[]){ 1, inf, 2, 3, nan }))) == inf);
	assert_true(mean_of(N(((double[]){ 1, -inf, 2, -inf }))) == -inf);
	assert_true(isnan(mean_of(N(((double[]){ inf, -inf, 1 })))));
	assert_true(rms_of(N(((double[]){ 1, -inf, 2, inf }))) == inf);
	reduce_doubles(METHOD_MINMAX, N(((double[]){ inf, 1, -inf })), r);
	assert_true(r[0] == -inf && r[1] == inf);
	reduce_doubles(METHOD_MINMAX, N(((double[]){ inf, inf })), r);
	assert_true(r[0] == inf && r[1] == inf);
	reduce_doubles(METHOD_MINMAX, N(((double[]){ -inf })), r);
	assert_true(r[0] == -inf && r[1] == -inf);
}

static void
test_range(void **state ATTR_UNUSED)
{
	double many[1000];
	size_t i;

	/* Sums and squares that leave the range of doubles. */
	for (i = 0; i < NITEMS(many); i++)
		many[i] = DBL_MAX;
	assert_true(mean_of(N(many)) == DBL_MAX);
	assert_true(rms_of(N(many)) == DBL_MAX);
	for (i = 0; i < NITEMS(many); i += 2)
		many[i] = -DBL_MAX;
	assert_true(mean_of(N(many)) == 0);
	assert_true(rms_of(N(many)) == DBL_MAX);
	for (i = 0; i < NITEMS(many); i++)
		many[i] = 3e-320;
	assert_true(rms_of(N(many)) == 3e-320);
	for (i = 0; i < NITEMS(many); i++)
		many[i] = 3e-300;
	assert_true(mean_of(N(many)) == 3e-300);
	/* All three ranges in one window. */
	near(rms_of(N(((double[]){ 3e150, 1e-200, 4e150 }))),
	    sqrtl(25.0L / 3) * 1e150L, 3e150L);
	near(rms_of(N(((double[]){ 3e-160, 4e-160, 0 }))),
	    sqrtl(25.0L / 3) * 1e-160L, 3e-160L);
	near(rms_of(N(((double[]){ 3e-154, 4e-154, 1e-155 }))),
	    sqrtl(25.01L / 3) * 1e-154L, 3e-154L);
	/* What a plain sum forgets. */
	many[0] = 1e17;
	for (i = 1; i < NITEMS(many); i++)
		many[i] = 1;
	near(mean_of(N(many)), (1e17L + 999) / 1000, 1e14L);
	many[999] = -1e17;
	assert_true(mean_of(N(many)) == 0.998);
}

/* Equal values have themselves as their mean. */
static void
test_equal(void **state ATTR_UNUSED)
{
	struct avro_random random;
	double values[97];
	size_t i, n;

	avro_random_init(&random, 3, true);
	for (n = 1; n <= NITEMS(values); n++) {
		values[0] = (double)(int64_t)avro_random_next(&random) / 3e9;
		for (i = 1; i < n; i++)
			values[i] = values[0];
		assert_true(mean_of(values, n) == values[0]);
		near(rms_of(values, n), fabsl((long double)values[0]),
		    fabsl((long double)values[0]));
	}
}

/*** Many fields: doubles and floats, odd and even runs. ***/

#define WINDOW	40

static double
get_real(const uint8_t *data, bool wide, size_t i)
{
	double d;
	float f;

	if (wide) {
		memcpy(&d, data + i * sizeof(d), sizeof(d));
		return d;
	}
	memcpy(&f, data + i * sizeof(f), sizeof(f));
	return (double)f;
}

static void
check_real(const struct avro_bytes *data, enum decimate_method method,
    bool wide, unsigned fields, unsigned field)
{
	long double sum = 0, squares = 0, size = 0, x, unit;
	double low = (double)INFINITY, high = -low, result[2];
	unsigned i, n = 0;

	for (i = 0; i < WINDOW; i++) {
		x = (long double)get_real(data->data, wide, i * fields + field);
		if (isnan(x))
			continue;
		n++;
		sum += x;
		squares += x * x;
		size += fabsl(x);
		low = (double)x < low ? (double)x : low;
		high = (double)x > high ? (double)x : high;
	}
	result[0] = get_real(reduce_output[0], wide, field);
	result[1] = get_real(reduce_output[1], wide, field);
	if (n == 0) {
		assert_true(isnan(result[0]));
		return;
	}
	unit = wide ? 1 : (long double)FLT_EPSILON / (long double)DBL_EPSILON;
	if (method == METHOD_MEAN)
		near(result[0], sum / n, size / n * unit);
	else if (method == METHOD_RMS)
		near(result[0], sqrtl(squares / n), sqrtl(squares / n) * unit);
	else
		assert_true(result[0] == low && result[1] == high);
}

static void
run_of(struct avro_random *random, bool wide, unsigned fields)
{
	static const enum decimate_method methods[] = { METHOD_MEAN,
	    METHOD_RMS, METHOD_MINMAX };
	char *text = reduce_schema(wide ? "double" : "float", fields);
	struct schema_result schema = reduce_compile(text);
	struct avro_bytes data = { 0 };
	struct reducer *r;
	unsigned i, m;
	double d;
	float f;

	for (m = 0; m < NITEMS(methods); m++) {
		data.size = 0;
		for (i = 0; i < WINDOW * fields; i++) {
			d = (double)(int64_t)avro_random_next(random) * 1e-13;
			if (avro_random_below(random, 200) == 0)
				d = (double)NAN;
			if (i % fields == fields / 2)	/* nothing else */
				d = (double)NAN;
			f = (float)d;
			avro_bytes_add(&data, wide ? (void *)&d : &f,
			    wide ? sizeof(d) : sizeof(f));
		}
		r = reducer_new(schema.program, methods[m], WINDOW);
		reduce_window(r, &data);
		for (i = 0; i < fields; i++)
			check_real(&data, methods[m], wide, fields, i);
		reducer_free(r);
	}
	avro_bytes_free(&data);
	schema_result_free(&schema);
	free(text);
}

static void
test_runs(void **state ATTR_UNUSED)
{
	struct avro_random random;
	unsigned fields;

	avro_random_init(&random, 1, true);
	for (fields = 1; fields < 12; fields++) {
		run_of(&random, true, fields);
		run_of(&random, false, fields);
	}
	run_of(&random, true, 1000);
	run_of(&random, false, 1001);
}

/*** Integers. ***/

static int64_t
reduce_longs(const char *type, enum decimate_method method,
    const int64_t *values, size_t n, unsigned i)
{
	struct schema_result schema = reduce_compile(type);
	struct reducer *r = reducer_new(schema.program, method, n);
	struct avro_bytes data = { 0 };
	const uint8_t *at = reduce_output[i];
	int64_t result = 0;
	size_t k;

	for (k = 0; k < n; k++)
		avro_bytes_add_long(&data, values[k]);
	reduce_window(r, &data);
	assert_int_equal(datum_get_long(&at, at + reduce_size[i], &result),
	    DATUM_OK);
	assert_ptr_equal(at, reduce_output[i] + reduce_size[i]);
	avro_bytes_free(&data);
	reducer_free(r);
	schema_result_free(&schema);
	return result;
}

#define LONGS(method, i, ...) \
	reduce_longs("\"long\"", method, N(((int64_t[]){ __VA_ARGS__ })), i)
#define INTS(method, i, ...) \
	reduce_longs("\"int\"", method, N(((int64_t[]){ __VA_ARGS__ })), i)

static void
test_extremes(void **state ATTR_UNUSED)
{
	int64_t many[5000];
	size_t i;

	/* Nearest, halves away from zero. */
	assert_int_equal(LONGS(METHOD_MEAN, 0, 1, 2), 2);
	assert_int_equal(LONGS(METHOD_MEAN, 0, -1, -2), -2);
	assert_int_equal(LONGS(METHOD_MEAN, 0, 1, 1, 2), 1);
	assert_int_equal(LONGS(METHOD_MEAN, 0, -1, -1, -2), -1);
	assert_int_equal(LONGS(METHOD_MEAN, 0, 1, 2, 2), 2);
	assert_int_equal(LONGS(METHOD_MEAN, 0, INT64_MIN, INT64_MAX), -1);
	assert_int_equal(LONGS(METHOD_MEAN, 0, 5), 5);
	assert_int_equal(LONGS(METHOD_RMS, 0, -5), 5);
	assert_int_equal(LONGS(METHOD_RMS, 0, 0, 0), 0);
	assert_int_equal(LONGS(METHOD_RMS, 0, 0, 1), 1);	/* 0.71 */
	assert_int_equal(LONGS(METHOD_RMS, 0, 0, 0, 0, 1), 1);	/* 0.5 */
	assert_int_equal(LONGS(METHOD_RMS, 0, 0, 0, 0, 0, 1), 0);
	assert_int_equal(LONGS(METHOD_MINMAX, 0, 3, INT64_MIN, 4), INT64_MIN);
	assert_int_equal(LONGS(METHOD_MINMAX, 1, 3, INT64_MAX, 4), INT64_MAX);
	assert_int_equal(LONGS(METHOD_MINMAX, 1, INT64_MIN), INT64_MIN);
	assert_int_equal(INTS(METHOD_MEAN, 0, INT32_MIN, INT32_MIN), INT32_MIN);
	assert_int_equal(INTS(METHOD_RMS, 0, INT32_MIN, INT32_MIN), INT32_MAX);
	assert_int_equal(INTS(METHOD_RMS, 0, INT32_MAX, INT32_MAX), INT32_MAX);

	/* Squares whose sum takes more than 128 bits. */
	for (i = 0; i < NITEMS(many); i++)
		many[i] = INT64_MAX;
	assert_int_equal(reduce_longs("\"long\"", METHOD_MEAN, N(many), 0),
	    INT64_MAX);
	assert_int_equal(reduce_longs("\"long\"", METHOD_RMS, N(many), 0),
	    INT64_MAX);
	for (i = 0; i < NITEMS(many); i++)
		many[i] = INT64_MIN;
	assert_int_equal(reduce_longs("\"long\"", METHOD_MEAN, N(many), 0),
	    INT64_MIN);
	assert_int_equal(reduce_longs("\"long\"", METHOD_RMS, N(many), 0),
	    INT64_MAX);
	/* Half of them 0: 2^63 / sqrt(2). */
	for (i = 0; i < NITEMS(many); i += 2)
		many[i] = 0;
	assert_int_equal(reduce_longs("\"long\"", METHOD_RMS, N(many), 0),
	    INT64_C(6521908912666391106));
}

static void
test_integers(void **state ATTR_UNUSED)
{
	struct avro_random random;
	int64_t values[300], r;
	i128 sum, squares, n;
	unsigned round, shift;
	size_t i;

	avro_random_init(&random, 1, true);
	for (round = 0; round < 300; round++) {
		n = 1 + (i128)avro_random_below(&random, NITEMS(values));
		shift = 10 + avro_random_below(&random, 54);
		sum = squares = 0;
		for (i = 0; i < (size_t)n; i++) {
			values[i] = (int64_t)avro_random_next(&random) >> shift;
			sum += values[i];
			squares += (i128)values[i] * values[i];
		}
		/* r - 1/2 <= the exact value <= r + 1/2 */
		r = reduce_longs("\"long\"", METHOD_MEAN, values, (size_t)n, 0);
		assert_true((2 * (i128)r - 1) * n <= 2 * sum);
		assert_true((2 * (i128)r + 1) * n >= 2 * sum);
		r = reduce_longs("\"long\"", METHOD_RMS, values, (size_t)n, 0);
		assert_true(r == 0 || (2 * (i128)r - 1) * (2 * (i128)r - 1) *
		    n <= 4 * squares);
		assert_true((2 * (i128)r + 1) * (2 * (i128)r + 1) * n >
		    4 * squares);
	}
}

/*** Nulls. ***/

static void
add_nullable(struct avro_bytes *data, const double *value, bool null_second)
{
	avro_bytes_add_long(data, (value == NULL) == null_second);
	if (value != NULL)
		avro_bytes_add(data, value, sizeof(*value));
}

/* Reduces doubles of which those that are DBL_MAX stand for null. */
static double
reduce_nullable(enum decimate_method method, const double *values, size_t n,
    bool null_second)
{
	struct schema_result schema = reduce_compile(null_second ?
	    "[\"double\",\"null\"]" : "[\"null\",\"double\"]");
	struct reducer *r = reducer_new(schema.program, method, n);
	struct avro_bytes data = { 0 };
	double result = DBL_MAX;
	size_t i;

	for (i = 0; i < n; i++)
		add_nullable(&data, values[i] == DBL_MAX ? NULL : &values[i],
		    null_second);
	reduce_window(r, &data);
	if (reduce_size[0] == 1)
		assert_int_equal(reduce_output[0][0], null_second ? 2 : 0);
	else {
		assert_int_equal(reduce_size[0], 9);
		assert_int_equal(reduce_output[0][0], null_second ? 0 : 2);
		memcpy(&result, reduce_output[0] + 1, sizeof(result));
	}
	avro_bytes_free(&data);
	reducer_free(r);
	schema_result_free(&schema);
	return result;
}

static void
test_nulls(void **state ATTR_UNUSED)
{
	const double null = DBL_MAX, nan = (double)NAN;
	int second;

	for (second = 0; second < 2; second++) {
		assert_true(reduce_nullable(METHOD_MEAN,
		    N(((double[]){ null, 4, null, 8 })), second) == 6);
		assert_true(reduce_nullable(METHOD_RMS,
		    N(((double[]){ -5, null, 5 })), second) == 5);
		assert_true(reduce_nullable(METHOD_MINMAX,
		    N(((double[]){ null, 5, 7 })), second) == 5);
		assert_true(reduce_nullable(METHOD_MEAN,
		    N(((double[]){ null, null })), second) == null);
		assert_true(isnan(reduce_nullable(METHOD_MEAN,
		    N(((double[]){ null, nan, null })), second)));
		assert_true(reduce_nullable(METHOD_MEAN,
		    N(((double[]){ null, nan, 3 })), second) == 3);
	}
}

static void
test_null_integers(void **state ATTR_UNUSED)
{
	static const uint8_t some[] = { 2, 6, 0, 2, 8 }; /* 3, null, 4 */
	static const uint8_t none[] = { 0, 0, 0 };
	static const uint8_t wanted[] = { 2, 8 };	/* 3.5 rounded */
	struct schema_result schema = reduce_compile("[\"null\",\"int\"]");
	struct reducer *r = reducer_new(schema.program, METHOD_MEAN, 3);
	struct avro_bytes data = { 0 };

	avro_bytes_add(&data, some, sizeof(some));
	reduce_window(r, &data);
	assert_int_equal(reduce_size[0], 2);
	assert_memory_equal(reduce_output[0], wanted, 2);
	data.size = 0;
	avro_bytes_add(&data, none, sizeof(none));
	reduce_window(r, &data);
	assert_int_equal(reduce_size[0], 1);
	assert_int_equal(reduce_output[0][0], 0);
	avro_bytes_free(&data);
	reducer_free(r);
	schema_result_free(&schema);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_special),
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_nulls),
		cmocka_unit_test(test_null_integers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
