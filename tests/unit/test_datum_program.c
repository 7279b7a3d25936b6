/* SPDX-License-Identifier: ISC */
/*
 * Damaged and hostile datum programs: the check refuses them, or the
 * interpreter keeps within its bounds and ends.
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
#include "tests/unit/avro_random.h"

#define ENUMERATION	"{\"type\":\"enum\",\"name\":\"E\"," \
			"\"symbols\":[\"A\",\"B\"]}"
#define ARRAY(items)	"{\"type\":\"array\",\"items\":" items "}"
#define TWO_TO_60	"\x80\x80\x80\x80\x80\x80\x80\x80\x20"

#define RICH	"{\"type\":\"record\",\"name\":\"R\",\"fields\":["	\
	"{\"name\":\"t\",\"type\":{\"type\":\"long\","			\
	"\"logicalType\":\"timestamp-micros\"}},"			\
	"{\"name\":\"x\",\"type\":\"double\"},"				\
	"{\"name\":\"n\",\"type\":[\"null\",\"int\"]},"			\
	"{\"name\":\"s\",\"type\":\"string\"},"				\
	"{\"name\":\"b\",\"type\":\"boolean\"},"			\
	"{\"name\":\"e\",\"type\":" ENUMERATION "},"			\
	"{\"name\":\"a\",\"type\":" ARRAY("\"float\"") "},"		\
	"{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":\"bytes\"}}," \
	"{\"name\":\"r\",\"type\":{\"type\":\"array\",\"items\":\"R\"}}," \
	"{\"name\":\"u\",\"type\":[\"null\",\"R\",\"string\"]}]}"

/* What passes the check must keep within its bounds, and end. */
static bool
survives(const void *blob, size_t size, const struct avro_bytes *datum)
{
	struct datum_program *program;
	const char *why;
	uint32_t *offset, datums, i;
	uint8_t *data;

	if ((program = datum_program_load(blob, size, &why)) == NULL) {
		assert_non_null(why);
		return false;
	}
	offset = calloc((size_t)program->runs + 1, sizeof(*offset));
	/* Of exactly this size, so that sanitizers see a byte too many. */
	data = malloc(datum->size);
	memcpy(data, datum->data, datum->size);
	(void)datum_validate(program, data, datum->size, &datums);
	(void)datum_split(program, data, datum->size, offset);
	for (i = 0; i < program->fields; i++)
		assert_true(strlen(datum_field_name(program, i)) < size);
	free(data);
	free(offset);
	free(program);
	return true;
}

static void
test_damaged(void **state ATTR_UNUSED)
{
	struct avro_bytes datum = { 0 };
	struct avro_random r;
	struct schema_result result;
	avro_schema_t schema;
	uint8_t *blob;
	unsigned round, bits, passed = 0;
	size_t size;

	avro_random_init(&r, 1, false);
	assert_true(schema_compile(RICH, strlen(RICH), NULL, &result));
	assert_int_equal(avro_schema_from_json_length(RICH, strlen(RICH),
	    &schema), 0);
	size = result.program_size;
	blob = malloc(size);
	for (round = 0; round < 60000; round++) {
		if (round % 100 == 0) {
			datum.size = 0;
			avro_random_datum(&r, schema, &datum);
		}
		memcpy(blob, result.program, size);
		for (bits = 1 + avro_random_below(&r, 4); bits > 0; bits--)
			blob[avro_random_below(&r, (uint32_t)size)] ^=
			    (uint8_t)(1 << avro_random_below(&r, 8));
		passed += survives(blob, size, &datum);
	}
	/* The interpreter was really at work on damaged programs. */
	assert_true(passed > 1000);
	for (size = 0; size < result.program_size; size++)
		assert_false(survives(result.program, size, &datum));
	free(blob);
	avro_bytes_free(&datum);
	avro_schema_decref(schema);
	schema_result_free(&result);
}

/* A program made by hand, of steps and one run of them. */
static struct datum_program *
handmade(const struct datum_step *steps, uint32_t count)
{
	static const struct datum_run run = { .type = DATUM_OTHER };
	struct datum_program *p;
	size_t size = sizeof(*p) + count * sizeof(*steps) + sizeof(run);

	p = calloc(1, size);
	*p = (struct datum_program){ .magic = DATUM_MAGIC,
	    .size = (uint32_t)size, .steps = count, .runs = 1, .smallest = 1,
	    .time_field = DATUM_NONE };
	memcpy(p + 1, steps, count * sizeof(*steps));
	memcpy((uint8_t *)(p + 1) + count * sizeof(*steps), &run, sizeof(run));
	return p;
}

/* Calls that double at each of 60 levels: 2^60 steps, if they were taken. */
static void
test_endless(void **state ATTR_UNUSED)
{
	struct datum_step step[3 * 60 + 1];
	struct datum_program *p;
	uint32_t i, datums;

	for (i = 0; i < 60; i++) {
		step[3 * i] = (struct datum_step){ DATUM_OP_CALL, 0,
		    3 * (i + 1) };
		step[3 * i + 1] = step[3 * i];
		step[3 * i + 2] = (struct datum_step){ DATUM_OP_RETURN, 0, 0 };
	}
	step[180] = step[2];
	p = handmade(step, 181);
	assert_null(datum_program_check(p, p->size));
	assert_int_equal(datum_validate(p, (const uint8_t *)"0123456789", 10,
	    &datums), DATUM_PROGRAM);
	free(p);

	/* A datum of no bytes. */
	step[0] = (struct datum_step){ DATUM_OP_RETURN, 0, 0 };
	p = handmade(step, 1);
	assert_null(datum_program_check(p, p->size));
	assert_int_equal(datum_validate(p, (const uint8_t *)"0", 1, &datums),
	    DATUM_PROGRAM);
	free(p);

	/* Items without bytes, in a loop that expects some. */
	step[0] = (struct datum_step){ DATUM_OP_ITEMS, 0, 2 };
	step[1] = (struct datum_step){ DATUM_OP_NEXT, 0, 0 };
	step[2] = (struct datum_step){ DATUM_OP_RETURN, 0, 0 };
	p = handmade(step, 3);
	assert_null(datum_program_check(p, p->size));
	assert_int_equal(datum_validate(p, (const uint8_t *)TWO_TO_60 "\0", 10,
	    &datums), DATUM_SHORT);
	free(p);
}

/* What the interpreter relies on, one by one. */
static void
test_refused(void **state ATTR_UNUSED)
{
	static const struct {
		struct datum_step	 step[2];
		const char		*why;
	} rows[] = {
		{ { { DATUM_OP_SKIP, 8, 0 }, { DATUM_OP_RETURN, 0, 0 } },
		    NULL },
		{ { { DATUM_OP_SKIP, 8, 0 }, { DATUM_OP_SKIP, 8, 0 } },
		    "its last step is not an end" },
		{ { { DATUM_OP_SKIP, 0, 0 }, { DATUM_OP_RETURN, 0, 0 } },
		    "a step does nothing" },
		{ { { DATUM_OP_SKIP, 65536, 0 }, { DATUM_OP_RETURN, 0, 0 } },
		    "a step is larger than a datum" },
		{ { { DATUM_OPS, 1, 0 }, { DATUM_OP_RETURN, 0, 0 } },
		    "it has an unknown step" },
		{ { { DATUM_OP_JUMP, 0, 1 }, { DATUM_OP_RETURN, 0, 0 } },
		    NULL },
		{ { { DATUM_OP_JUMP, 0, 0 }, { DATUM_OP_RETURN, 0, 0 } },
		    "a jump leads nowhere" },
		{ { { DATUM_OP_JUMP, 0, 2 }, { DATUM_OP_RETURN, 0, 0 } },
		    "a jump leads nowhere" },
		{ { { DATUM_OP_ITEMS, 0, 0 }, { DATUM_OP_RETURN, 0, 0 } },
		    "an array leads nowhere" },
		{ { { DATUM_OP_ITEMS, 0, 2 }, { DATUM_OP_RETURN, 0, 0 } },
		    "an array leads nowhere" },
		{ { { DATUM_OP_CALL, 0, 2 }, { DATUM_OP_RETURN, 0, 0 } },
		    "a call leads nowhere" },
		{ { { DATUM_OP_UNION, 2, 0 }, { DATUM_OP_RETURN, 0, 0 } },
		    "a union has no steps for its branches" },
		{ { { DATUM_OP_UNION, 0, 0 }, { DATUM_OP_RETURN, 0, 0 } },
		    "a union has no steps for its branches" },
		{ { { DATUM_OP_UNION, 1, 0 }, { DATUM_OP_RETURN, 0, 0 } },
		    "a branch of a union does not jump" },
	};
	struct datum_program *p;
	const char *why;
	size_t i;

	for (i = 0; i < NITEMS(rows); i++) {
		p = handmade(rows[i].step, 2);
		why = datum_program_check(p, p->size);
		if (rows[i].why == NULL)
			assert_null(why);
		else
			assert_string_equal(why, rows[i].why);
		free(p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_endless),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
