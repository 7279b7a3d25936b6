/* SPDX-License-Identifier: ISC */
/*
 * What a datum costs is bounded by what it brings: a short array after a long
 * one, in whatever window, method and shape.  Counted in elements that are
 * looked at, not in time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "decimator/fir.h"
#include "decimator/reduce_priv.h"
#include "tests/unit/reduce_support.h"

#define LONG_ARRAY	60000U
#define SHORT_ARRAYS	20000U

/* Two arrays in a record, beside what is carried along. */
#define RECORD "{\"type\":\"record\",\"name\":\"R\",\"fields\":["	\
	"{\"name\":\"n\",\"type\":\"int\"},"				\
	"{\"name\":\"a\",\"type\":{\"type\":\"array\",\"items\":\"%s\"}}," \
	"{\"name\":\"u\",\"type\":[\"null\",\"string\"]},"		\
	"{\"name\":\"b\",\"type\":{\"type\":\"array\",\"items\":\"%s\"}}," \
	"{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":\"int\"}}]}"

static uint64_t
steps_of(const struct reducer *r)
{
	uint64_t steps = 0;
	uint32_t i;

	for (i = 0; i < r->program->runs; i++)
		if (r->run[i].array != NULL)
			steps += r->run[i].array->steps;
	return steps;
}

/* `first' elements in one array, `second' in the other. */
static void
make(struct avro_bytes *data, bool real, size_t first, size_t second)
{
	static const uint8_t zeros[4 * LONG_ARRAY];
	size_t i, count;

	data->size = 0;
	avro_bytes_add_long(data, 7);
	for (i = 0; i < 2; i++) {
		count = i == 0 ? first : second;
		if (count > 0) {
			avro_bytes_add_long(data, (int64_t)count);
			avro_bytes_add(data, zeros, count * (real ? 4 : 1));
		}
		avro_bytes_add_long(data, 0);
		avro_bytes_add_long(data, 0);	/* null, then no map */
	}
}

static void
take(struct reducer *r, const struct avro_bytes *data, uint64_t *bytes)
{
	size_t used;

	assert_int_not_equal(reducer_push(r, data->data, data->size, &used),
	    REDUCER_INVALID);
	assert_int_equal(used, data->size);
	*bytes += used;
}

static void
costs(const char *type, bool real, enum decimate_method method, bool samples,
    uint64_t every)
{
	struct schema_plan plan = { .arrays = (uint8_t)(DATUM_ARRAY |
	    (samples ? DATUM_SAMPLES : 0)), .summary = decimate_yields(method,
	    YIELD_SUMMARY) };
	struct avro_bytes data = { 0 };
	struct schema_result schema;
	struct reducer *r;
	uint64_t bytes = 0;
	char text[1000];
	unsigned i;

	snprintf(text, sizeof(text), RECORD, type, type);
	assert_true(schema_plan(text, strlen(text), NULL, &plan, &schema));
	r = reducer_new(schema.program, method, every);
	make(&data, real, real ? LONG_ARRAY / 4 : LONG_ARRAY, 0);
	take(r, &data, &bytes);
	for (i = 0; i < SHORT_ARRAYS; i++) {
		make(&data, real, i % 3 == 1, i % 5 == 4);
		take(r, &data, &bytes);
	}
	/* Each element is taken, and cleared behind its window; samples have
	 * one group to clear in each of the two arrays. */
	assert_true(steps_of(r) <= 2 * bytes);
	avro_bytes_free(&data);
	reducer_free(r);
	schema_plan_free(&plan);
	schema_result_free(&schema);
}

static void
test_arrays(void **state ATTR_UNUSED)
{
	static const uint64_t windows[] = { 1, 2, 1000, 1000000 };
	unsigned m, w, samples;

	for (m = 0; m < METHODS; m++)
		for (w = 0; w < NITEMS(windows) &&
		    (decimate_rows[m].where & FOR_FIELDS) != 0; w++)
			for (samples = 0; samples < 2; samples++) {
				costs("int", false, (enum decimate_method)m,
				    samples, windows[w]);
				costs("float", true, (enum decimate_method)m,
				    samples, windows[w]);
			}
}

/* A gap in each datagram makes a filter begin anew with each. */
static void
test_filter(void **state ATTR_UNUSED)
{
	const double frame[] = { 3, 4 };
	struct fir fir;
	unsigned i;

	fir_init(&fir, 1000, 2);
	for (i = 0; i < 100; i++) {
		fir_push(&fir, frame);
		fir_push(&fir, frame);
		/* Nothing else has been filled in yet. */
		assert_int_equal(fir.filled, 2);
		fir_reset(&fir);
	}
	fir_push(&fir, frame);
	assert_true(fir_output(&fir, 1) > 3.999999 &&
	    fir_output(&fir, 1) < 4.000001);
	assert_int_equal(fir.filled, fir.length);
	fir_free(&fir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
