/* SPDX-License-Identifier: ISC */
/*
 * Arrays of numbers are walked eight bytes at a time: against a walk byte by
 * byte, for numbers of all lengths, good and bad, at all offsets and ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/datum.h"
#include "schema/schema.h"

#define NUMBERS_MAX	40
#define ROUNDS		40000

static uint64_t	random_state = 1;

static unsigned
random_below(unsigned limit)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1;
	return (unsigned)(random_state >> 33) % limit;
}

static struct datum_program *
compile(const char *schema)
{
	struct datum_program *program;
	struct schema_result result;

	assert_true(schema_compile(schema, strlen(schema), NULL, &result));
	program = result.program;
	result.program = NULL;
	schema_result_free(&result);
	return program;
}

/* A number of up to `longest' bytes, now and then of one more, and with any
 * last byte. */
static size_t
put_number(uint8_t *out, unsigned longest)
{
	unsigned size = 1, i;

	switch (random_below(4)) {
	case 0:
		size += random_below(longest);
		break;
	case 1:
		size += random_below(3);
		break;
	case 2:
		if (random_below(40) == 0)
			size = longest + random_below(2);
		break;
	}
	for (i = 0; i + 1 < size; i++)
		out[i] = (uint8_t)(0x80 | random_below(128));
	out[i] = (uint8_t)random_below(random_below(20) == 0 ? 128 : 2);
	return size;
}

/* One number, byte by byte: its size, or 0 with what is wrong. */
static size_t
number_size(const uint8_t *data, size_t size, bool is_int,
    enum datum_error *error)
{
	size_t most = is_int ? 5 : 10, i;

	for (i = 0; i < most; i++) {
		*error = DATUM_SHORT;
		if (i == size)
			return 0;
		*error = is_int ? DATUM_INT_RANGE : DATUM_VARINT;
		if (data[i] >= 0x80)
			continue;
		if (i + 1 == most && data[i] > (is_int ? 15 : 1))
			return 0;
		return i + 1;
	}
	return 0;
}

static enum datum_error
expected(const uint8_t *data, size_t size, unsigned count, bool is_int)
{
	enum datum_error error;
	size_t at = 0, used;

	if (count > size)
		return DATUM_SHORT;
	while (count-- > 0) {
		used = number_size(data + at, size - at, is_int, &error);
		if (used == 0)
			return error;
		at += used;
	}
	if (at == size)
		return DATUM_SHORT;
	return at + 1 == size && data[at] == 0 ? DATUM_OK : DATUM_PROGRAM;
}

/* An array of one block; what it says it holds may be wrong. */
static bool
run_round(const struct datum_program *program, bool is_int)
{
	uint8_t data[NUMBERS_MAX * 11 + 2], *copy;
	unsigned numbers = 1 + random_below(NUMBERS_MAX), i;
	enum datum_error want, got;
	size_t size = 1;
	uint32_t datums;

	data[0] = (uint8_t)(numbers << 1);
	for (i = 0; i < numbers; i++)
		size += put_number(data + size, is_int ? 5 : 10);
	data[size++] = 0;
	if (random_below(4) == 0)
		size -= random_below((unsigned)size - 1);
	want = expected(data + 1, size - 1, numbers, is_int);
	/* Of its own size, for the sanitizer. */
	copy = malloc(size);
	memcpy(copy, data, size);
	got = datum_validate(program, copy, size, &datums);
	free(copy);
	/* What follows a whole array is not this test's subject. */
	if (want != DATUM_PROGRAM)
		assert_int_equal(got, want);
	return want == DATUM_OK;
}

static void
run(const char *schema, bool is_int)
{
	struct datum_program *program = compile(schema);
	unsigned round, good = 0;

	for (round = 0; round < ROUNDS; round++)
		good += run_round(program, is_int);
	assert_in_range(good, ROUNDS / 10, ROUNDS - ROUNDS / 10);
	free(program);
}

static void
test_longs(void **state ATTR_UNUSED)
{
	run("{\"type\":\"array\",\"items\":\"long\"}", false);
}

static void
test_ints(void **state ATTR_UNUSED)
{
	run("{\"type\":\"array\",\"items\":\"int\"}", true);
}

/* A block's size, where it is given, is still that of its items. */
static void
test_block_size(void **state ATTR_UNUSED)
{
	struct datum_program *program =
	    compile("{\"type\":\"array\",\"items\":\"long\"}");
	/* -9 items, in 9 bytes, and the end. */
	uint8_t data[] = { 17, 18, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0 };
	uint32_t datums;

	assert_int_equal(datum_validate(program, data, sizeof(data), &datums),
	    DATUM_OK);
	data[1] = 16;
	assert_int_equal(datum_validate(program, data, sizeof(data), &datums),
	    DATUM_BLOCK);
	data[1] = 20;
	assert_int_equal(datum_validate(program, data, sizeof(data), &datums),
	    DATUM_BLOCK);
	free(program);
}

/* Good numbers, also those with more bytes than they need, read with room
 * behind them and without. */
static void
test_good_longs(void **state ATTR_UNUSED)
{
	uint8_t *data = malloc(DATUM_LONG_SIZE_MAX + 9);
	unsigned round, room;
	int64_t wanted, got;
	const uint8_t *at;
	size_t size;

	for (round = 0; round < ROUNDS; round++) {
		memset(data, (int)random_below(256), DATUM_LONG_SIZE_MAX + 9);
		size = put_number(data, DATUM_LONG_SIZE_MAX);
		at = data;
		if (size > DATUM_LONG_SIZE_MAX ||
		    datum_get_long(&at, data + size, &wanted) != DATUM_OK)
			continue;
		for (room = 0; room < 9; room++) {
			at = data;
			got = datum_good_long(&at, data + size + room);
			assert_true(got == wanted);
			assert_ptr_equal(at, data + size);
		}
	}
	free(data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longs),
		cmocka_unit_test(test_ints),
		cmocka_unit_test(test_block_size),
		cmocka_unit_test(test_good_longs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
