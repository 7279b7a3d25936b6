/* SPDX-License-Identifier: ISC */
/*
 * The reducers on datums of random schemas.  avro-c reads what goes in and
 * what comes out; its values say what the numbers must be, and that
 * everything else is as in the last datum.
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

#include "schema/schema.h"
#include "decimator/reduce.h"
#include "tests/unit/avro_random.h"
#include "tests/unit/reduce_support.h"

#define LEAVES_MAX	4096
#define DATUMS_MAX	6

struct leaf {
	avro_type_t	type;
	bool		null;
	int64_t		integer;
	double		real;
};

struct leaves {
	struct leaf	leaf[LEAVES_MAX];
	size_t		count;
};

static bool
is_number(avro_type_t type)
{
	return type == AVRO_INT32 || type == AVRO_INT64 ||
	    type == AVRO_FLOAT || type == AVRO_DOUBLE;
}

/* Takes a number, and puts a 0 in its place. */
static void
collect_number(struct leaf *leaf, avro_value_t *value)
{
	int32_t i = 0;
	float f = 0;

	leaf->type = avro_value_get_type(value);
	switch (leaf->type) {
	case AVRO_INT32:
		avro_value_get_int(value, &i);
		leaf->integer = i;
		avro_value_set_int(value, 0);
		break;
	case AVRO_INT64:
		avro_value_get_long(value, &leaf->integer);
		avro_value_set_long(value, 0);
		break;
	case AVRO_FLOAT:
		avro_value_get_float(value, &f);
		leaf->real = (double)f;
		avro_value_set_float(value, 0);
		break;
	default:
		avro_value_get_double(value, &leaf->real);
		avro_value_set_double(value, 0);
	}
}

/* A union of null and a number: which of its branches is the null? */
static int
null_branch(avro_value_t *value)
{
	avro_schema_t schema = avro_value_get_schema(value), a, b;

	if (avro_schema_union_size(schema) != 2)
		return -1;
	a = avro_schema_union_branch(schema, 0);
	b = avro_schema_union_branch(schema, 1);
	if (avro_typeof(a) == AVRO_NULL && is_number(avro_typeof(b)))
		return 0;
	if (avro_typeof(b) == AVRO_NULL && is_number(avro_typeof(a)))
		return 1;
	return -1;
}

static void
collect(struct leaves *l, avro_value_t *value)
{
	struct leaf *leaf = &l->leaf[l->count];
	avro_value_t child;
	int branch = 0, null;
	size_t i, n = 0;

	assert_true(l->count < LEAVES_MAX);
	switch (avro_value_get_type(value)) {
	case AVRO_RECORD:
		avro_value_get_size(value, &n);
		for (i = 0; i < n; i++) {
			avro_value_get_by_index(value, i, &child, NULL);
			collect(l, &child);
		}
		break;
	case AVRO_UNION:
		if ((null = null_branch(value)) < 0)
			break;
		memset(leaf, 0, sizeof(*leaf));
		l->count++;
		avro_value_get_discriminant(value, &branch);
		avro_value_get_current_branch(value, &child);
		leaf->null = branch == null;
		if (!leaf->null)
			collect_number(leaf, &child);
		avro_value_set_branch(value, null, &child);
		break;
	default:
		if (!is_number(avro_value_get_type(value)))
			break;
		memset(leaf, 0, sizeof(*leaf));
		l->count++;
		collect_number(leaf, value);
	}
}

/* Reads a datum; what is left of it without its numbers goes to *rest. */
static void
read_leaves(avro_value_t *value, const uint8_t *data, size_t size,
    struct leaves *l, struct avro_bytes *rest)
{
	avro_reader_t reader = avro_reader_memory((const char *)data,
	    (int64_t)size);
	avro_writer_t writer;
	size_t n = 0;

	l->count = 0;
	avro_value_reset(value);
	assert_int_equal(avro_value_read(reader, value), 0);
	assert_int_not_equal(avro_skip(reader, 1), 0);	/* all of it */
	avro_reader_free(reader);
	collect(l, value);
	avro_value_sizeof(value, &n);
	free(rest->data);
	rest->data = malloc(n);
	rest->size = n;
	writer = avro_writer_memory((char *)rest->data, (int64_t)n);
	assert_int_equal(avro_value_write(writer, value), 0);
	avro_writer_free(writer);
}

static void
check_integer(enum decimate_method method, struct leaves **in, size_t n,
    size_t k, const struct leaf *out, unsigned output_number)
{
	long double sum = 0, r = (long double)out->integer, exact;
	long double highest = out->type == AVRO_INT32 ? (long double)INT32_MAX :
	    (long double)INT64_MAX;
	int64_t low = INT64_MAX, high = INT64_MIN, v;
	size_t i, count = 0;

	for (i = 0; i < n; i++) {
		if (in[i]->leaf[k].null)
			continue;
		count++;
		v = in[i]->leaf[k].integer;
		low = v < low ? v : low;
		high = v > high ? v : high;
		sum += method == METHOD_RMS ? (long double)v * (long double)v :
		    (long double)v;
	}
	if (method == METHOD_MINMAX) {
		assert_true(out->integer == (output_number == 0 ? low : high));
		return;
	}
	exact = sum / (long double)count;
	if (method == METHOD_RMS)
		exact = sqrtl(exact);
	exact = exact > highest ? highest : exact;
	assert_true(fabsl(r - exact) <= 0.5L + 8 * LDBL_EPSILON * fabsl(exact) +
	    8 * LDBL_EPSILON * (fabsl((long double)low) +
	    fabsl((long double)high)));
}

static void
check_float(enum decimate_method method, struct leaves **in, size_t n, size_t k,
    const struct leaf *out, unsigned output_number)
{
	double low = (double)INFINITY, high = -low, v;
	long double sum = 0, size = 0, exact, unit;
	size_t i, count = 0;

	for (i = 0; i < n; i++) {
		if (in[i]->leaf[k].null)
			continue;
		count++;
		v = in[i]->leaf[k].real;
		low = v < low ? v : low;
		high = v > high ? v : high;
		sum += method == METHOD_RMS ? (long double)v * (long double)v :
		    (long double)v;
		size += fabsl((long double)v);
	}
	if (method == METHOD_MINMAX) {
		assert_true(out->real == (output_number == 0 ? low : high));
		return;
	}
	exact = sum / (long double)count;
	if (method == METHOD_RMS)
		exact = sqrtl(exact);
	unit = out->type == AVRO_DOUBLE ? (long double)DBL_EPSILON :
	    (long double)FLT_EPSILON;
	assert_true(fabsl((long double)out->real - exact) <=
	    4 * unit * size / (long double)count);
}

static void
check_leaf(enum decimate_method method, struct leaves **in, size_t n, size_t k,
    const struct leaf *out, unsigned output_number)
{
	size_t i, nulls = 0;

	for (i = 0; i < n; i++)
		nulls += in[i]->leaf[k].null;
	assert_int_equal(out->null, nulls == n);
	if (out->null)
		return;
	if (out->type == AVRO_INT32 || out->type == AVRO_INT64)
		check_integer(method, in, n, k, out, output_number);
	else
		check_float(method, in, n, k, out, output_number);
}

static void
random_window(struct avro_random *random, avro_schema_t schema,
    const struct datum_program *program, avro_value_t *value,
    struct leaves **in, struct leaves *out)
{
	enum decimate_method method = (enum decimate_method)
	    (METHOD_MEAN + (int)avro_random_below(random, 3));
	size_t n = 1 + avro_random_below(random, DATUMS_MAX), i, k, before;
	struct reducer *r = reducer_new(program, method, n);
	struct avro_bytes data = { 0 }, last = { 0 }, rest = { 0 };

	for (i = 0; i < n; i++) {
		before = data.size;
		avro_random_datum(random, schema, &data);
		read_leaves(value, data.data + before, data.size - before,
		    in[i], &last);
	}
	assert_int_equal(program->fields, in[0]->count);
	reduce_window(r, &data);
	for (i = 0; i < reducer_outputs(r); i++) {
		read_leaves(value, reduce_output[i], reduce_size[i], out,
		    &rest);
		assert_int_equal(rest.size, last.size);
		assert_memory_equal(rest.data, last.data, rest.size);
		assert_int_equal(out->count, in[0]->count);
		for (k = 0; k < out->count; k++)
			check_leaf(method, in, n, k, &out->leaf[k],
			    (unsigned)i);
	}
	avro_bytes_free(&data);
	avro_bytes_free(&last);
	avro_bytes_free(&rest);
	reducer_free(r);
}

static void
test_random(void **state ATTR_UNUSED)
{
	struct leaves *in[DATUMS_MAX], *out = malloc(sizeof(*out));
	avro_value_iface_t *class;
	struct schema_result result;
	struct avro_random random;
	avro_schema_t schema;
	avro_value_t value;
	int round, i;
	char *text;

	for (i = 0; i < DATUMS_MAX; i++)
		in[i] = malloc(sizeof(*in[i]));
	avro_random_init(&random, 7, true);
	for (round = 0; round < 1000; round++) {
		text = avro_random_schema(&random);
		result = reduce_compile(text);
		assert_int_equal(avro_schema_from_json_length(text,
		    strlen(text), &schema), 0);
		class = avro_generic_class_from_schema(schema);
		assert_int_equal(avro_generic_value_new(class, &value), 0);
		for (i = 0; i < 4; i++)
			random_window(&random, schema, result.program, &value,
			    in, out);
		avro_value_decref(&value);
		avro_value_iface_decref(class);
		avro_schema_decref(schema);
		schema_result_free(&result);
		free(text);
	}
	for (i = 0; i < DATUMS_MAX; i++)
		free(in[i]);
	free(out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
