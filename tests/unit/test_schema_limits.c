/* SPDX-License-Identifier: ISC */
/*
 * The schema compiler's limits: schemas that grow without bound, that nest too
 * deeply, that are too long.
 */
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

/* Schemas that grow without bound when they are written out. */
static char *
doubling(int levels, const char *leaf)
{
	char *text;
	size_t size;
	FILE *f;
	int i;

	f = open_memstream(&text, &size);
	fputs("{\"type\":\"record\",\"name\":\"R\",\"fields\":[", f);
	fprintf(f, "{\"name\":\"l0\",\"type\":{\"type\":\"array\",\"items\":"
	    "{\"type\":\"record\",\"name\":\"L0\",\"fields\":["
	    "{\"name\":\"x\",\"type\":%s}]}}}", leaf);
	for (i = 1; i <= levels; i++)
		fprintf(f, ",{\"name\":\"l%d\",\"type\":{\"type\":\"array\","
		    "\"items\":{\"type\":\"record\",\"name\":\"L%d\","
		    "\"fields\":[{\"name\":\"a\",\"type\":\"L%d\"},"
		    "{\"name\":\"b\",\"type\":\"L%d\"}]}}}", i, i, i - 1,
		    i - 1);
	fprintf(f, ",{\"name\":\"top\",\"type\":\"L%d\"}]}", levels);
	fclose(f);
	return text;
}

static void
test_doubling(void **state ATTR_UNUSED)
{
	struct schema_result result;
	char *text;

	text = doubling(6, "\"string\"");
	assert_true(schema_compile(text, strlen(text), NULL, &result));
	schema_result_free(&result);
	free(text);

	text = doubling(30, "\"string\"");
	assert_false(schema_compile(text, strlen(text), NULL, &result));
	assert_string_equal(result.error, "top level: no datum of this schema "
	    "fits into a datagram: the smallest has 1073741855 bytes");
	schema_result_free(&result);
	free(text);

	/* 2^63 of nothing are still nothing. */
	text = doubling(63, "\"null\"");
	assert_true(schema_compile(text, strlen(text), NULL, &result));
	schema_result_free(&result);
	free(text);

	text = doubling(66, "\"int\"");
	assert_false(schema_compile(text, strlen(text), NULL, &result));
	assert_string_equal(result.error, "top level: no datum of this schema "
	    "fits into a datagram: the smallest has more than 4294967296 "
	    "bytes");
	schema_result_free(&result);
	free(text);
}

/* `open' n times, then `middle', then `close' n times. */
static void
refused_nest(const char *open, const char *middle, const char *close, int n,
    const char *error)
{
	struct schema_result result;
	char *text;
	size_t size;
	FILE *f;
	int i;

	f = open_memstream(&text, &size);
	for (i = 0; i < n; i++)
		fputs(open, f);
	fputs(middle, f);
	for (i = 0; i < n; i++)
		fputs(close, f);
	fclose(f);
	assert_false(schema_compile(text, size, NULL, &result));
	if (strstr(result.error, error) == NULL)
		fail_msg("%s", result.error);
	schema_result_free(&result);
	free(text);
}

static void
test_limits(void **state ATTR_UNUSED)
{
	struct schema_result result;
	char *text;

	refused_nest("{\"type\":\"array\",\"items\":", "\"int\"", "}", 65,
	    "types nested more than 64 deep");
	refused_nest("{\"type\":\"array\",\"items\":", "\"int\"", "}", 1000,
	    "types nested more than 64 deep");
	refused_nest("[", "\"int\"", "]", 100000, "maximum parsing depth");
	refused_nest("[", "\"int\"", "]", 65, "types nested");

	text = malloc(SCHEMA_SIZE_MAX + 1);
	memset(text, ' ', SCHEMA_SIZE_MAX + 1);
	memcpy(text, "\"int\"", 5);
	assert_true(schema_compile(text, SCHEMA_SIZE_MAX, NULL, &result));
	schema_result_free(&result);
	assert_false(schema_compile(text, SCHEMA_SIZE_MAX + 1, NULL, &result));
	assert_string_equal(result.error,
	    "top level: the schema is larger than 1048576 bytes");
	schema_result_free(&result);
	free(text);
}

/*
 * A record R1 in a record R2 ... in a record R`depth', each used twice, which
 * is what an array has: only the first can be walked without a frame.
 */
static char *
deep_items(int depth)
{
	char *text = malloc((size_t)depth * 120 + 200), *p = text;
	int i;

	p += sprintf(p, "{\"type\":\"record\",\"name\":\"T\",\"fields\":[");
	for (i = 1; i <= depth; i++) {
		p += sprintf(p, "{\"name\":\"f%d\",\"type\":[\"null\","
		    "{\"type\":\"record\",\"name\":\"R%d\",\"fields\":["
		    "{\"name\":\"r\",\"type\":", i, i);
		p += i == 1 ? sprintf(p, "\"boolean\"") :
		    sprintf(p, "\"R%d\"", i - 1);
		p += sprintf(p, "}]}]},");
	}
	sprintf(p, "{\"name\":\"a\",\"type\":{\"type\":\"array\","
	    "\"items\":\"R%d\"}}]}", depth);
	return text;
}

/* Either refused, or good for an array that is not empty. */
static void
test_deep_items(void **state ATTR_UNUSED)
{
	uint8_t datum[64 + 3] = {0};
	struct schema_result result;
	uint32_t datums;
	char *text;

	text = deep_items(63);
	assert_true(schema_compile(text, strlen(text), NULL, &result));
	datum[63] = 2;		/* an item, false, and the end */
	assert_int_equal(datum_validate(result.program, datum, 63 + 3,
	    &datums), DATUM_OK);
	schema_result_free(&result);
	free(text);
	text = deep_items(64);
	assert_false(schema_compile(text, strlen(text), NULL, &result));
	assert_string_equal(result.error, "top level: records nested more "
	    "than 63 deep in an array, map or union: R64");
	schema_result_free(&result);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubling),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_deep_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
