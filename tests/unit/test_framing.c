/* SPDX-License-Identifier: ISC */
/*
 * Headers before datums: what is taken, what is refused and why, and where
 * the datums behind them end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/datum.h"
#include "common/util.h"
#include "schema/schema.h"

#define SINGLE	"\xc3\x01" "fingrprt"
#define OTHER	"\xc3\x01" "fingrprT"
#define TEXT(s)	"\x04" s	/* a string of two characters */

static const struct datum_framing single = { 10, 2, SINGLE };
static const struct datum_framing confluent = { 5, 1, { 0, 0, 0, 1, 7 } };

#define CASE(bytes, error, ...) \
	{ bytes, sizeof(bytes) - 1, error, { __VA_ARGS__ } }

static const struct framed {
	const char		*data;
	size_t			 size;
	enum datum_error	 error;
	uint32_t		 end[4];	/* 0: no more */
} cases[] = {
	CASE(SINGLE TEXT("ab"), DATUM_OK, 13),
	CASE(SINGLE TEXT("ab") SINGLE TEXT("cd") SINGLE "\0", DATUM_OK, 13,
	    26, 37),
	CASE("", DATUM_NO_DATUM, 0),
	CASE(TEXT("ab"), DATUM_UNFRAMED, 0),
	CASE("\xc3\x02" "fingrprt" TEXT("ab"), DATUM_UNFRAMED, 0),
	CASE("\xc3", DATUM_SHORT, 0),
	CASE("\xc3\x01" "fingrpr", DATUM_SHORT, 0),
	CASE(SINGLE, DATUM_SHORT, 0),
	CASE(SINGLE "\x04" "a", DATUM_SHORT, 0),
	CASE(OTHER TEXT("ab"), DATUM_OTHER_SCHEMA, 0),
	CASE(SINGLE "\x01", DATUM_LENGTH, 0),
	/* One header, two datums: the second has none. */
	CASE(SINGLE TEXT("ab") TEXT("cd"), DATUM_UNFRAMED, 13),
	CASE(SINGLE TEXT("ab") OTHER TEXT("cd"), DATUM_OTHER_SCHEMA, 13),
};

static struct datum_program *
compile(const char *schema, const struct datum_framing *framing)
{
	struct datum_program *program;
	struct schema_result result;

	assert_true(schema_compile(schema, strlen(schema), NULL, &result));
	program = result.program;
	result.program = NULL;
	program->framing = *framing;
	assert_null(datum_program_check(program, program->size));
	schema_result_free(&result);
	return program;
}

static void
check_case(const struct datum_program *program, const struct framed *c)
{
	static uint32_t end[DATUM_FRAMED_MAX];
	/* Of its own size, for the sanitizer. */
	uint8_t *copy = malloc(c->size > 0 ? c->size : 1);
	uint32_t expected = 0, datums, i;

	memcpy(copy, c->data, c->size);
	while (expected < NITEMS(c->end) && c->end[expected] != 0)
		expected++;
	assert_int_equal(datum_validate(program, copy, c->size, &datums),
	    c->error);
	assert_int_equal(datums, expected);
	assert_int_equal(datum_locate(program, copy, c->size, end, &datums),
	    c->error);
	assert_int_equal(datums, expected);
	for (i = 0; i < datums; i++)
		assert_int_equal(end[i], c->end[i]);
	free(copy);
}

static void
test_cases(void **state ATTR_UNUSED)
{
	struct datum_program *program = compile("\"string\"", &single);
	size_t i;

	for (i = 0; i < NITEMS(cases); i++)
		check_case(program, &cases[i]);
	free(program);
}

static void
test_confluent(void **state ATTR_UNUSED)
{
	struct datum_program *program = compile("\"string\"", &confluent);
	const struct framed good = CASE("\0\0\0\1\7" TEXT("ab")
	    "\0\0\0\1\7" "\0", DATUM_OK, 8, 14);
	const struct framed other = CASE("\0\0\0\2\7" TEXT("ab"),
	    DATUM_OTHER_SCHEMA, 0);
	const struct framed magic = CASE("\1\0\0\1\7" TEXT("ab"),
	    DATUM_UNFRAMED, 0);

	check_case(program, &good);
	check_case(program, &other);
	check_case(program, &magic);
	free(program);
}

/* As many datums as fit into the largest datagram. */
static void
test_most(void **state ATTR_UNUSED)
{
	struct datum_program *program = compile("\"boolean\"", &confluent);
	static uint32_t end[DATUM_FRAMED_MAX];
	static uint8_t data[65536];
	uint32_t datums, i;

	for (i = 0; i + 6 <= sizeof(data); i += 6)
		memcpy(data + i, "\0\0\0\1\7\1", 6);
	assert_int_equal(datum_locate(program, data, i, end, &datums),
	    DATUM_OK);
	assert_int_equal(datums, DATUM_FRAMED_MAX);
	assert_int_equal(end[datums - 1], i);
	free(program);
}

/* A blob cannot make the interpreter look beyond its framing. */
static void
test_program(void **state ATTR_UNUSED)
{
	static const struct datum_framing bad[] = {
		{ 11, 2, SINGLE }, { 4, 1, { 0 } }, { 0, 1, { 0 } },
		{ 5, 6, { 0 } }, { 255, 255, { 0 } },
	};
	struct datum_program *program = compile("\"string\"", &single);
	size_t i;

	for (i = 0; i < NITEMS(bad); i++) {
		program->framing = bad[i];
		assert_string_equal(datum_program_check(program,
		    program->size), "its framing is out of range");
	}
	free(program);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_confluent),
		cmocka_unit_test(test_most),
		cmocka_unit_test(test_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
