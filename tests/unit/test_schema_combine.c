/* SPDX-License-Identifier: ISC */
/*
 * Several schema texts as one: where definitions and names stand.
 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "schema/combine.h"
#include "schema/schema.h"

#define RECORD(name, fields) \
	"{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"
#define IN(space, name, fields) "{\"type\":\"record\",\"name\":\"" name \
	"\",\"namespace\":\"" space "\",\"fields\":[" fields "]}"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define N(name) "\"" name "\""

static const struct {
	const char	*part[4];
	const char	*expected;	/* or a part of the error */
} table[] = {
	/* Once in full, then by name. */
	{ { RECORD("P", FIELD("x", N("int"))),
	    RECORD("W", FIELD("a", N("P")) "," FIELD("b", N("P"))) },
	    RECORD("W", FIELD("a", RECORD("P", FIELD("x", N("int")))) ","
	    FIELD("b", N("P"))) },
	/* In another namespace, and names in it. */
	{ { IN("g", "P", FIELD("x", N("int"))),
	    IN("g", "T", FIELD("p", N("P"))),
	    IN("l", "W", FIELD("t", N("g.T")) "," FIELD("p", N("g.P"))) },
	    IN("l", "W", FIELD("t", IN("g", "T", FIELD("p", RECORD("P",
	    FIELD("x", N("int")))))) "," FIELD("p", N("g.P"))) },
	/* Of none, in one. */
	{ { RECORD("P", FIELD("x", N("int"))),
	    IN("l", "W", FIELD("p", N("P"))) },
	    IN("l", "W", FIELD("p", IN("", "P", FIELD("x", N("int"))))) },
	/* An inner definition that is used before the outer one. */
	{ { RECORD("O", FIELD("i", RECORD("I", FIELD("x", N("int"))))),
	    RECORD("W", FIELD("i", N("I")) "," FIELD("o", N("O"))) },
	    RECORD("W", FIELD("i", RECORD("I", FIELD("x", N("int")))) ","
	    FIELD("o", RECORD("O", FIELD("i", N("I"))))) },
	/* Recursion; what nobody uses is left out; a name in an object. */
	{ { RECORD("L", FIELD("next", "[\"null\",\"L\"]")),
	    RECORD("U", FIELD("x", N("int"))),
	    RECORD("W", FIELD("l", "{\"type\":\"array\",\"items\":\"L\"}")) },
	    RECORD("W", FIELD("l", "{\"type\":\"array\",\"items\":"
	    RECORD("L", FIELD("next", "[\"null\",\"L\"]")) "}")) },
	/* The last one is but a name. */
	{ { RECORD("P", FIELD("x", N("int"))), N("P") },
	    RECORD("P", FIELD("x", N("int"))) },
	/* What is wrong. */
	{ { RECORD("P", FIELD("x", N("int"))),
	    RECORD("P", FIELD("x", N("int"))) },
	    "1: \"P\" is defined in 0, too" },
	{ { "{", "\"int\"" }, "0: line 1, column" },
};

static const char *const names[] = {"0", "1", "2", "3"};

static void
test_table(void **state ATTR_UNUSED)
{
	struct schema_part part[4];
	json_t *made, *expected;
	char *text, *error;
	size_t parts;

	for (size_t i = 0; i < NITEMS(table); i++) {
		for (parts = 0; table[i].part[parts] != NULL; parts++)
			part[parts] = (struct schema_part){ names[parts],
			    table[i].part[parts],
			    strlen(table[i].part[parts]) };
		text = schema_combine(part, parts, &error);
		if (text == NULL) {
			if (strstr(error, table[i].expected) == NULL)
				fail_msg("%zu: %s", i, error);
			free(error);
			continue;
		}
		made = json_loads(text, JSON_DECODE_ANY, NULL);
		expected = json_loads(table[i].expected, JSON_DECODE_ANY,
		    NULL);
		assert_non_null(expected);
		if (!json_equal(made, expected))
			fail_msg("%zu: %s", i, text);
		json_decref(made);
		json_decref(expected);
		free(text);
	}
}

/* Types within types, as many as there are: an end, with a message. */
static void
test_deep(void **state ATTR_UNUSED)
{
	enum { DEPTH = 1000 };
	struct schema_part part = { "deep", NULL, 2 * DEPTH };
	char *text = xmalloc(2 * DEPTH), *error = NULL;

	memset(text, '[', DEPTH);
	memset(text + DEPTH, ']', DEPTH);
	part.text = text;
	assert_null(schema_combine(&part, 1, &error));
	assert_non_null(strstr(error, "too many types inside types"));
	free(error);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
