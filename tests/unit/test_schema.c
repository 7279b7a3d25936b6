/* SPDX-License-Identifier: ISC */
/*
 * The schema compiler: what it refuses and says, what it warns of, and which
 * fields and runs it finds.
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

#define RECORD(fields) \
	"{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define INNER(name, fields) \
	"{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"
#define FIELD(name, type)	"{\"name\":\"" name "\",\"type\":" type "}"
#define ENUM(symbols, more)	"{\"type\":\"enum\",\"name\":\"E\"," \
				"\"symbols\":" symbols more "}"
#define TYPED(type, logical)	"{\"type\":\"" type "\"," \
				"\"logicalType\":\"" logical "\"}"
#define ITEMS(type)		"{\"type\":\"array\",\"items\":" type "}"

static const struct {
	const char	*schema;
	const char	*error;
} errors[] = {
	/* Not JSON, or not a type. */
	{ "", "line 1, column 0: unexpected token near end of file" },
	{ "{\n  \"type\": }",
	    "line 2, column 11: unexpected token near '}'" },
	{ "{\"type\":\"int\",\"type\":\"int\"}",
	    "line 1, column 20: duplicate object key near '\"type\"'" },
	{ "\"int\" x", "line 1, column 7: end of file expected near 'x'" },
	{ "17", "top level: a type must be a string, an object or an array" },
	{ "{}", "top level: an object without a \"type\"" },
	{ "{\"type\":{\"type\":\"int\"}}",
	    "top level: the \"type\" inside a type must be a string" },
	{ "\"flaot\"", "top level: unknown type \"flaot\"" },
	{ "\"record\"",
	    "top level: type record must be an object with its parts" },
	{ "{\"type\":\"error\",\"name\":\"R\",\"fields\":[]}",
	    "top level: unknown type \"error\"" },
	/* Names. */
	{ "{\"type\":\"record\",\"fields\":[]}",
	    "top level: record without a \"name\"" },
	{ "{\"type\":\"record\",\"name\":\"1x\",\"fields\":[]}",
	    "top level: \"1x\" is not a valid name" },
	{ "{\"type\":\"record\",\"name\":\"a..b\",\"fields\":[]}",
	    "top level: \"a..b\" is not a valid name" },
	{ "{\"type\":\"record\",\"name\":\"\",\"fields\":[]}",
	    "top level: \"\" is not a valid name" },
	{ "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"a-b\","
	    "\"fields\":[]}",
	    "top level: the \"namespace\" of R is not a valid one" },
	{ "{\"type\":\"record\",\"name\":\"R\",\"namespace\":7,\"fields\":[]}",
	    "top level: the \"namespace\" of R is not a valid one" },
	{ "{\"type\":\"record\",\"name\":\"int\",\"fields\":[]}",
	    "top level: int is the name of a type of Avro" },
	{ RECORD(FIELD("a", INNER("S", FIELD("x", "\"int\""))) ","
	    FIELD("b", INNER("S", FIELD("x", "\"int\"")))),
	    "field b: \"S\" is defined twice" },
	{ RECORD(FIELD("a", INNER("b.S", FIELD("x", "\"int\""))) ","
	    FIELD("b", "\"S\"")), "field b: unknown type \"S\"" },
	/* Records and their fields. */
	{ "{\"type\":\"record\",\"name\":\"R\"}",
	    "top level: record R without an array of \"fields\"" },
	{ RECORD("7"), "top level: a field of R is not an object" },
	{ RECORD("{\"type\":\"int\"}"),
	    "top level: a field of R has no \"name\"" },
	{ RECORD(FIELD("a.b", "\"int\"")),
	    "top level: \"a.b\" is not a valid name" },
	{ RECORD("{\"name\":\"x\"}"), "field x: field without a \"type\"" },
	{ RECORD(FIELD("x", "\"int\"") "," FIELD("x", "\"int\"")),
	    "field x: the record has two fields of this name" },
	{ RECORD(FIELD("pos", INNER("P", FIELD("x", "\"flaot\"")))),
	    "field pos.x: unknown type \"flaot\"" },
	{ RECORD(FIELD("a", ITEMS(INNER("P", FIELD("x", "\"flaot\""))))),
	    "field a[].x: unknown type \"flaot\"" },
	{ RECORD(FIELD("m", "{\"type\":\"map\",\"values\":\"X\"}")),
	    "field m{}: unknown type \"X\"" },
	/* The other types. */
	{ RECORD(FIELD("e", ENUM("[]", ""))),
	    "field e: enum E without an array of \"symbols\"" },
	{ RECORD(FIELD("e", ENUM("[7]", ""))),
	    "field e: a symbol of enum E is not a string" },
	{ RECORD(FIELD("e", ENUM("[\"A-B\"]", ""))),
	    "field e: symbol \"A-B\" is not a valid name" },
	{ RECORD(FIELD("e", ENUM("[\"A\",\"A\"]", ""))),
	    "field e: symbol A occurs twice" },
	{ RECORD(FIELD("e", ENUM("[\"A\"]", ",\"default\":\"B\""))),
	    "field e: the default of enum E is not one of its symbols" },
	{ RECORD(FIELD("f", "{\"type\":\"fixed\",\"name\":\"F\"}")),
	    "field f: fixed F without a \"size\"" },
	{ RECORD(FIELD("f", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}")),
	    "field f: fixed F without a \"size\"" },
	{ RECORD(FIELD("f",
	    "{\"type\":\"fixed\",\"name\":\"F\",\"size\":70000}")),
	    "field f: fixed F is larger than a datagram (65535 bytes)" },
	{ RECORD(FIELD("a", "{\"type\":\"array\"}")),
	    "field a: array without \"items\"" },
	{ RECORD(FIELD("m", "{\"type\":\"map\"}")),
	    "field m: map without \"values\"" },
	{ RECORD(FIELD("u", "[]")), "field u: union without branches" },
	{ RECORD(FIELD("u", "[\"int\",\"int\"]")),
	    "field u: int occurs twice in a union" },
	{ RECORD(FIELD("u", "[" ITEMS("\"int\"") "," ITEMS("\"long\"") "]")),
	    "field u: array occurs twice in a union" },
	{ RECORD(FIELD("u", "[\"null\",[\"int\"]]")),
	    "field u: union directly inside a union" },
	/* No datums. */
	{ "\"null\"", "top level: a datum of this schema has no bytes" },
	{ RECORD(""), "top level: a datum of this schema has no bytes" },
	{ RECORD(FIELD("a", "\"null\"") "," FIELD("b", INNER("S", ""))),
	    "top level: a datum of this schema has no bytes" },
	{ RECORD(FIELD("r", "\"R\"")), "top level: record R contains itself "
	    "without end; only a union with another branch, an array or a map "
	    "can end it" },
	{ RECORD(FIELD("s", INNER("S", FIELD("u", "[\"R\",\"S\"]")))),
	    "top level: record R contains itself without end; only a union "
	    "with another branch, an array or a map can end it" },
	{ RECORD(FIELD("a", ITEMS(INNER("S", FIELD("s", "\"S\""))))),
	    "top level: record S contains itself without end; only a union "
	    "with another branch, an array or a map can end it" },
	{ RECORD(FIELD("a", "{\"type\":\"fixed\",\"name\":\"F\","
	    "\"size\":40000}") "," FIELD("b", "\"F\"")),
	    "top level: no datum of this schema fits into a datagram: the "
	    "smallest has 80000 bytes" },
};

static void
test_errors(void **state ATTR_UNUSED)
{
	struct schema_result result;
	size_t i;

	for (i = 0; i < NITEMS(errors); i++) {
		if (schema_compile(errors[i].schema, strlen(errors[i].schema),
		    NULL, &result))
			fail_msg("row %zu is accepted: %s", i,
			    errors[i].schema);
		assert_null(result.program);
		assert_string_equal(result.error, errors[i].error);
		schema_result_free(&result);
	}
}

static const struct {
	const char	*type;		/* of field x */
	const char	*more;		/* of the field */
	const char	*warning;	/* NULL: none */
} warnings[] = {
	{ TYPED("long", "timestamp-micros"), "", NULL },
	{ TYPED("string", "uuid"), "", NULL },
	{ "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4}",
	    "", NULL },
	{ TYPED("long", "timestamp-nanos"), "", "field x: logical type "
	    "timestamp-nanos: many readers do not know it (fastavro), refuse "
	    "the file (DuckDB) or fail at values beyond 2^53 (avsc); -micros "
	    "is understood by all" },
	{ TYPED("long", "fortnights"), "", "field x: unknown logical type "
	    "fortnights: some readers (DuckDB) refuse files that have one" },
	{ "{\"type\":\"long\",\"logicalType\":7}", "", "field x: unknown "
	    "logical type: some readers (DuckDB) refuse files that have one" },
	{ TYPED("int", "timestamp-micros"), "", "field x: logical type "
	    "timestamp-micros does not apply to type int: readers ignore or "
	    "refuse it" },
	{ "\"long\"", ",\"logicalType\":\"timestamp-micros\"", "field x: "
	    "\"logicalType\" beside \"type\" has no effect: write \"type\": "
	    "{\"type\": \"long\", \"logicalType\": \"timestamp-micros\"}" },
#define ORDER_WARNING	"field x: \"order\" is not ascending, descending or " \
			"ignore: some readers (avsc, Java, Python) refuse " \
			"such a schema"
#define FAR_WARNING	"top level: the default of field x of record R is " \
			"2^53 or beyond: some readers (avsc) refuse such a " \
			"schema"
#define DEFAULT_WARNING	"top level: the default of field x of record R is " \
			"not of its type: some readers (avsc, Java) refuse " \
			"such a schema"
#define ALIAS_WARNING	"field x: \"aliases\" is no array of valid names: " \
			"some readers (avsc, Java) refuse such a schema"
	/* Of what readers refuse. */
	{ "\"int\"", ",\"order\":\"descending\"", NULL },
	{ "\"int\"", ",\"order\":\"up\"", ORDER_WARNING },
	{ "\"int\"", ",\"order\":7", ORDER_WARNING },
	{ "[\"null\",{\"type\":\"R\"}]", "", "field x: {\"type\": "
	    "\"R\"}: some readers (avsc, Java, Python) refuse a name in an "
	    "object: write \"R\"" },
	{ "\"int\"", ",\"aliases\":[\"a\", \"b.c\"]", NULL },
	{ "\"int\"", ",\"aliases\":\"a\"", ALIAS_WARNING },
	{ "\"int\"", ",\"aliases\":[\"a b\"]", ALIAS_WARNING },
	{ "\"int\"", ",\"aliases\":[7]", ALIAS_WARNING },
	{ "{\"type\":\"int\"}", "", NULL },
	{ "\"long\"", ",\"default\":9007199254740991", NULL },
	{ "\"long\"", ",\"default\":9007199254740992", FAR_WARNING },
	{ "\"long\"", ",\"default\":-9007199254740992", FAR_WARNING },
	{ ITEMS("\"long\""), ",\"default\":[1, 9007199254740992]",
	    FAR_WARNING },
	{ "{\"type\":\"map\",\"values\":\"long\"}",
	    ",\"default\":{\"a\":9007199254740992}", FAR_WARNING },
	{ INNER("S", FIELD("y", "\"long\"")),
	    ",\"default\":{\"y\":9007199254740992}", FAR_WARNING },
	{ "[\"long\",\"null\"]", ",\"default\":9007199254740993",
	    FAR_WARNING },
	{ "\"double\"", ",\"default\":9007199254740993", NULL },
	{ "\"int\"", ",\"default\":1", NULL },
	{ "\"int\"", ",\"default\":2147483648", DEFAULT_WARNING },
	{ "\"int\"", ",\"default\":\"1\"", DEFAULT_WARNING },
	{ "\"long\"", ",\"default\":2147483648", NULL },
	{ "\"double\"", ",\"default\":1", NULL },
	{ "\"double\"", ",\"default\":null", DEFAULT_WARNING },
	{ "[\"null\",\"int\"]", ",\"default\":null", NULL },
	{ "[\"int\",\"null\"]", ",\"default\":null", DEFAULT_WARNING },
	{ "\"boolean\"", ",\"default\":0", DEFAULT_WARNING },
	{ "\"string\"", ",\"default\":\"\"", NULL },
	{ "\"bytes\"", ",\"default\":\"\\u00ff\"", NULL },
	{ "\"bytes\"", ",\"default\":\"\\u0100\"", DEFAULT_WARNING },
	{ "{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}",
	    ",\"default\":\"\\u00ffx\"", NULL },
	{ "{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}",
	    ",\"default\":\"x\"", DEFAULT_WARNING },
	{ ENUM("[\"A\"]", ""), ",\"default\":\"A\"", NULL },
	{ ENUM("[\"A\"]", ""), ",\"default\":\"B\"", DEFAULT_WARNING },
	{ ITEMS("\"int\""), ",\"default\":[]", NULL },
	{ ITEMS("\"int\""), ",\"default\":[1,\"2\"]", DEFAULT_WARNING },
	{ "{\"type\":\"map\",\"values\":\"int\"}", ",\"default\":{\"a\":1}",
	    NULL },
	{ "{\"type\":\"map\",\"values\":\"int\"}", ",\"default\":[]",
	    DEFAULT_WARNING },
	{ INNER("S", FIELD("y", "\"int\"")), ",\"default\":{\"y\":1}", NULL },
	{ INNER("S", FIELD("y", "\"int\"")), ",\"default\":{}",
	    DEFAULT_WARNING },
};

static void
test_warnings(void **state ATTR_UNUSED)
{
	struct schema_result result;
	char text[1024];
	size_t i;

	for (i = 0; i < NITEMS(warnings); i++) {
		snprintf(text, sizeof(text),
		    RECORD("{\"name\":\"x\",\"type\":%s%s}"),
		    warnings[i].type, warnings[i].more);
		if (!schema_compile(text, strlen(text), NULL, &result))
			fail_msg("row %zu: %s", i, result.error);
		assert_null(result.error);
		if (result.warnings != (warnings[i].warning != NULL))
			fail_msg("row %zu: %zu warnings", i, result.warnings);
		if (result.warnings > 0)
			assert_string_equal(result.warning[0],
			    warnings[i].warning);
		schema_result_free(&result);
	}
}

static struct schema_result
compile(const char *text, const char *time_field)
{
	struct schema_result result;

	if (!schema_compile(text, strlen(text), time_field, &result))
		fail_msg("%s", result.error);
	assert_null(datum_program_check(result.program, result.program_size));
	return result;
}

#define TIME	TYPED("long", "timestamp-micros")
#define SAMPLE	RECORD(							\
	FIELD("n", "\"int\"") ","					\
	FIELD("s", "\"string\"") ","					\
	FIELD("pos", INNER("P", FIELD("x", "\"double\"") ","		\
	    FIELD("y", "\"double\""))) ","				\
	FIELD("vel", "\"P\"") ","					\
	FIELD("at", TIME) ","						\
	FIELD("day", TYPED("int", "date")) ","				\
	FIELD("o", "[\"null\",\"float\"]") ","				\
	FIELD("p", "[\"float\",\"null\"]") ","				\
	FIELD("q", "[\"null\",\"float\",\"int\"]") ","			\
	FIELD("a", ITEMS("\"P\"")))

static void
test_fields(void **state ATTR_UNUSED)
{
	static const struct datum_field wanted[] = {
		{ .type = DATUM_INT, .run = 0 },
		{ .type = DATUM_DOUBLE, .run = 2 },
		{ .type = DATUM_DOUBLE, .run = 2 },
		{ .type = DATUM_DOUBLE, .run = 2 },
		{ .type = DATUM_DOUBLE, .run = 2 },
		{ .type = DATUM_LONG, .flags = DATUM_INSTANT | DATUM_TIME,
		    .run = 3 },
		{ .type = DATUM_INT, .flags = DATUM_INSTANT, .run = 4 },
		{ .type = DATUM_FLOAT, .flags = DATUM_NULLABLE, .run = 5 },
		{ .type = DATUM_FLOAT,
		    .flags = DATUM_NULLABLE | DATUM_NULL_SECOND, .run = 6 },
	};
	static const char *const names[] = { "n", "pos.x", "pos.y", "vel.x",
	    "vel.y", "at", "day", "o", "p" };
	struct schema_result result = compile(SAMPLE, NULL);
	const struct datum_program *p = result.program;
	uint32_t i;

	assert_int_equal(p->fields, NITEMS(wanted));
	assert_int_equal(p->runs, 8);
	assert_int_equal(p->time_field, 5);
	/* int, string, 4 doubles, long, int, three unions, array */
	assert_int_equal(p->smallest, 1 + 1 + 32 + 1 + 1 + 1 + 1 + 1 + 1);
	for (i = 0; i < p->fields; i++) {
		assert_int_equal(datum_fields(p)[i].type, wanted[i].type);
		assert_int_equal(datum_fields(p)[i].flags, wanted[i].flags);
		assert_int_equal(datum_fields(p)[i].run, wanted[i].run);
		assert_string_equal(datum_field_name(p, i), names[i]);
	}
	schema_result_free(&result);
}

static uint32_t
time_of(const char *text, const char *time_field)
{
	struct schema_result result = compile(text, time_field);
	uint32_t field;

	field = ((struct datum_program *)result.program)->time_field;
	schema_result_free(&result);
	return field;
}

static void
refused_time(const char *time_field, const char *error)
{
	struct schema_result result;

	assert_false(schema_compile(SAMPLE, strlen(SAMPLE), time_field,
	    &result));
	assert_string_equal(result.error, error);
	schema_result_free(&result);
}

static void
test_time_field(void **state ATTR_UNUSED)
{
	assert_int_equal(time_of(SAMPLE, "n"), 0);
	assert_int_equal(time_of(SAMPLE, "vel.x"), 3);
	assert_int_equal(time_of(SAMPLE, "o"), 7);
	/* A date is not a time; one in an array is not once per datum. */
	assert_int_equal(time_of(RECORD(FIELD("d", TYPED("int", "date")) ","
	    FIELD("a", ITEMS(TIME))), NULL), DATUM_NONE);
	assert_int_equal(time_of(RECORD(FIELD("d", TYPED("int", "date")) ","
	    FIELD("h", INNER("H", FIELD("t", "[\"null\"," TIME "]")))), NULL),
	    1);
	refused_time("pos.z",
	    "time field \"pos.z\": the schema has no such field: did you mean "
	    "`pos.x'?");
	refused_time("pos", "time field \"pos\": not an int, long, float or "
	    "double that occurs once in every datum");
	refused_time("s", "time field \"s\": not an int, long, float or double "
	    "that occurs once in every datum");
	refused_time("q", "time field \"q\": not an int, long, float or double "
	    "that occurs once in every datum");
	refused_time("", "time field \"\": the schema has no such field");
}

/* A thousand doubles are one step and one run. */
static void
test_merging(void **state ATTR_UNUSED)
{
	struct schema_result result;
	const struct datum_program *p;
	char *text;
	size_t size;
	FILE *f;
	int i;

	f = open_memstream(&text, &size);
	fputs("{\"type\":\"record\",\"name\":\"R\",\"fields\":[", f);
	for (i = 0; i < 1000; i++)
		fprintf(f, "%s{\"name\":\"f%d\",\"type\":\"double\"}",
		    i > 0 ? "," : "", i);
	fputs("]}", f);
	fclose(f);
	result = compile(text, NULL);
	p = result.program;
	assert_int_equal(p->steps, 2);
	assert_int_equal(datum_steps(p)[0].op, DATUM_OP_SKIP);
	assert_int_equal(datum_steps(p)[0].count, 8000);
	assert_int_equal(p->runs, 1);
	assert_int_equal(datum_runs(p)[0].count, 1000);
	schema_result_free(&result);
	free(text);
}

/* A text cut anywhere, or with any byte changed: a program or an error. */
static void
test_garbage(void **state ATTR_UNUSED)
{
	struct schema_result result;
	char text[sizeof(SAMPLE)];
	size_t i;
	int byte;

	for (i = 0; i < strlen(SAMPLE); i++) {
		assert_false(schema_compile(SAMPLE, i, NULL, &result));
		assert_non_null(result.error);
		schema_result_free(&result);
		for (byte = 0; byte < 256; byte += 5) {
			strcpy(text, SAMPLE);
			text[i] = (char)byte;
			if (schema_compile(text, strlen(SAMPLE), NULL,
			    &result))
				assert_null(datum_program_check(result.program,
				    result.program_size));
			else
				assert_non_null(result.error);
			schema_result_free(&result);
		}
	}
}

/* As everybody reads it: one that is not there. */
static void
test_null_namespace(void **state ATTR_UNUSED)
{
	static const char text[] = "{\"type\":\"record\",\"name\":\"R\","
	    "\"namespace\":\"a.b\",\"fields\":["
	    FIELD("x", "{\"type\":\"fixed\",\"name\":\"F\","
	    "\"namespace\":null,\"size\":2}") ","
	    FIELD("y", "\"a.b.F\"") "]}";
	struct schema_result result;

	assert_true(schema_compile(text, strlen(text), NULL, &result));
	assert_non_null(strstr(result.canonical, "\"a.b.F\""));
	schema_result_free(&result);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_null_namespace),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_time_field),
		cmocka_unit_test(test_merging),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
