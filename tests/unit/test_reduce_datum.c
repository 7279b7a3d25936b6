/* SPDX-License-Identifier: ISC */
/*
 * The reducers on whole datums: what is reduced, carried and copied, and where
 * windows begin and end.
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

#include "common/datum.h"
#include "schema/schema.h"
#include "decimator/reduce.h"
#include "tests/unit/avro_random.h"
#include "tests/unit/reduce_support.h"

#define RECORD(fields) \
	"{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define FIELD(name, type)	"{\"name\":\"" name "\",\"type\":" type "}"
#define TIME	"{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}"
#define DATE	"{\"type\":\"int\",\"logicalType\":\"date\"}"

#define FLIGHT	RECORD(							\
	FIELD("time", TIME) "," FIELD("n", "\"int\"") ","		\
	FIELD("status", "\"string\"") ","				\
	FIELD("pos", RECORD_P) "," FIELD("day", "[\"null\"," DATE "]") ","\
	FIELD("marks", "{\"type\":\"array\",\"items\":\"long\"}"))
#define RECORD_P "{\"type\":\"record\",\"name\":\"P\",\"fields\":["	\
	FIELD("x", "\"float\"") "," FIELD("y", "\"double\"") "]}"

static void
flight(struct avro_bytes *data, int64_t time, int32_t n, const char *status,
    float x, double y, int32_t day)
{
	avro_bytes_add_long(data, time);
	avro_bytes_add_long(data, n);
	avro_bytes_add_long(data, (int64_t)strlen(status));
	avro_bytes_add(data, status, strlen(status));
	avro_bytes_add(data, &x, sizeof(x));
	avro_bytes_add(data, &y, sizeof(y));
	avro_bytes_add_long(data, day != 0);
	if (day != 0)
		avro_bytes_add_long(data, day);
	avro_bytes_add_long(data, 1);	/* one mark: n */
	avro_bytes_add_long(data, n);
	avro_bytes_add_long(data, 0);
}

static void
expect_flight(unsigned i, int64_t time, int32_t n, const char *status, float x,
    double y, int32_t day, int32_t mark)
{
	struct avro_bytes data = { 0 };

	flight(&data, time, n, status, x, y, day);
	data.size -= 2;		/* another mark */
	avro_bytes_add_long(&data, mark);
	avro_bytes_add_long(&data, 0);
	assert_int_equal(reduce_size[i], data.size);
	assert_memory_equal(reduce_output[i], data.data, data.size);
	avro_bytes_free(&data);
}

static void
test_datums(void **state ATTR_UNUSED)
{
	const int64_t t = INT64_C(1795212345678901);
	struct schema_result schema = reduce_compile(FLIGHT);
	struct avro_bytes data = { 0 };
	struct reducer *r;
	int again;

	flight(&data, t, 10, "one", 1, -1, 5);
	flight(&data, t + 1, 20, "two", 2, 3, 6);
	flight(&data, t + 4, 30, "three", 6, 10, 7);
	flight(&data, t + 9, 40, "four", -1, 0, 0);

	r = reducer_new(schema.program, METHOD_PICK, 4);
	for (again = 0; again < 2; again++) {
		reduce_window(r, &data);
		expect_flight(0, t + 9, 40, "four", -1, 0, 0, 40);
	}
	reducer_free(r);

	r = reducer_new(schema.program, METHOD_MEAN, 4);
	for (again = 0; again < 2; again++) {
		reduce_window(r, &data);
		expect_flight(0, t + 4, 25, "four", 2, 3, 7, 40);
	}
	reducer_free(r);

	r = reducer_new(schema.program, METHOD_RMS, 4);
	reduce_window(r, &data);
	expect_flight(0, t + 4, 27, "four", sqrtf(10.5F), sqrt(27.5), 7, 40);
	reducer_free(r);

	r = reducer_new(schema.program, METHOD_MINMAX, 4);
	for (again = 0; again < 2; again++) {
		reduce_window(r, &data);
		expect_flight(0, t, 10, "four", -1, -1, 5, 40);
		expect_flight(1, t + 9, 40, "four", 6, 10, 0, 40);
	}
	reducer_free(r);
	avro_bytes_free(&data);
	schema_result_free(&schema);
}

/* Output may be larger than any input, and says so when there is no room. */
static void
test_capacity(void **state ATTR_UNUSED)
{
	char *text = reduce_schema("long", 2000);
	struct schema_result schema = reduce_compile(text);
	struct reducer *r = reducer_new(schema.program, METHOD_MINMAX, 2);
	struct avro_bytes data = { 0 };
	size_t size, largest = 0;
	uint8_t *exact;
	int i, k;

	for (k = 0; k < 2; k++) {
		size = data.size;
		for (i = 0; i < 2000; i++)
			avro_bytes_add_long(&data, i % 2 == k ? INT64_MAX : 0);
		size = data.size - size;
		largest = size > largest ? size : largest;
	}
	reduce_window(r, &data);
	assert_true(reduce_size[1] > largest);
	assert_int_equal(reduce_size[1], 20000);
	exact = malloc(20000);
	assert_int_equal(reducer_emit(r, 1, exact, 20000), 20000);
	assert_memory_equal(exact, reduce_output[1], 20000);
	assert_int_equal(reducer_emit(r, 1, exact, 19999), 0);
	assert_int_equal(reducer_emit(r, 1, exact, 0), 0);
	free(exact);
	avro_bytes_free(&data);
	reducer_free(r);
	schema_result_free(&schema);
	free(text);
}

static void
test_windows(void **state ATTR_UNUSED)
{
	static const uint8_t values[] = { 2, 4, 6, 8 };	/* 1, 2, 3, 4 */
	static const uint8_t bad[] = { 0x80 };
	struct schema_result schema = reduce_compile("\"long\"");
	struct reducer *r = reducer_new(schema.program, METHOD_MEAN, 2);
	size_t used;
	uint8_t out[16];

	assert_int_equal(reducer_outputs(r), 1);
	assert_int_equal(reducer_count(r), 0);
	assert_int_equal(reducer_push(r, values, 4, &used), REDUCER_MORE);
	assert_int_equal(used, 1);
	assert_int_equal(reducer_count(r), 1);
	/* What is no datum changes nothing. */
	assert_int_equal(reducer_push(r, bad, 1, &used), REDUCER_INVALID);
	assert_int_equal(reducer_push(r, bad, 0, &used), REDUCER_INVALID);
	assert_int_equal(reducer_count(r), 1);
	assert_int_equal(reducer_push(r, values + 2, 2, &used), REDUCER_FULL);
	assert_int_equal(reducer_count(r), 0);
	assert_int_equal(reducer_emit(r, 0, out, sizeof(out)), 1);
	assert_int_equal(out[0], 4);		/* (1 + 3) / 2 */
	/* A new window; begun twice. */
	assert_int_equal(reducer_push(r, values, 4, &used), REDUCER_MORE);
	reducer_reset(r);
	assert_int_equal(reducer_count(r), 0);
	assert_int_equal(reducer_push(r, values + 1, 3, &used), REDUCER_MORE);
	assert_int_equal(reducer_push(r, values + 3, 1, &used), REDUCER_FULL);
	assert_int_equal(reducer_emit(r, 0, out, sizeof(out)), 1);
	assert_int_equal(out[0], 6);		/* (2 + 4) / 2 */
	reducer_free(r);
	reducer_free(NULL);
	schema_result_free(&schema);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_datums),
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
