/* SPDX-License-Identifier: ISC */
/*
 * Numbers as text: against the C library's, which reads back what is written,
 * and tells whether a digit less would have done.
 */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/cat/decimal.h"

/* The same numbers in each run. */
static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint64_t
bits_of(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static unsigned
digits_in(const char *text)
{
	char digit[64];
	unsigned digits = 0;

	for (; *text != '\0' && *text != 'e'; text++)
		if (*text >= '0' && *text <= '9' &&
		    (digits > 0 || *text != '0'))
			digit[digits++] = *text;
	while (digits > 0 && digit[digits - 1] == '0')
		digits--;
	return digits;
}

/* The fewest digits that are read back, of those nearest to the value. */
static unsigned
fewest(double value, char text[64])
{
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, 64, "%.*e", digits - 1, value);
		if (bits_of(strtod(text, NULL)) == bits_of(value))
			return digits_in(text);
	}
	fail_msg("%a is not read back", value);
	return 0;
}

static void
try_double(double value)
{
	uint8_t raw[DECIMAL_DOUBLE_SIZE];
	char text[DECIMAL_DOUBLE_SIZE + 1], other[64];
	size_t size = decimal_double(raw, value);

	assert_in_range(size, 3, 24);
	memcpy(text, raw, size);
	text[size] = '\0';
	if (bits_of(strtod(text, NULL)) != bits_of(value))
		fail_msg("%a became %s", value, text);
	if (value == 0)
		return;
	/* The nearest of so many digits is read back, or one of fewer. */
	if (digits_in(text) > fewest(value, other))
		fail_msg("%s is longer than %s", text, other);
	if (strpbrk(text, ".e") == NULL)
		fail_msg("%s looks like an integer", text);
}

static void
test_random(void **state)
{
	uint64_t seed = 88172645463325252U, bits;
	double value;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		bits = next_random(&seed);
		memcpy(&value, &bits, sizeof(value));
		if (isfinite(value))
			try_double(value);
		try_double((double)(int64_t)(bits >> (bits & 63)));
		try_double((double)(bits >> 40) / 1000.0);
	}
}

/* Powers of two and their neighbours, where the distance changes. */
static void
test_powers(void **state)
{
	(void)state;
	for (int e = -1074; e < 1024; e++) {
		try_double(ldexp(1, e));
		try_double(nextafter(ldexp(1, e), 0));
		try_double(-nextafter(ldexp(1, e), INFINITY));
	}
}

static void
expect(double value, const char *text)
{
	uint8_t raw[DECIMAL_DOUBLE_SIZE];
	size_t size = decimal_double(raw, value);

	if (size != strlen(text) || memcmp(raw, text, size) != 0)
		fail_msg("%.*s, not %s", (int)size, (const char *)raw, text);
}

/* As Python's repr(). */
static void
test_form(void **state)
{
	(void)state;
	expect(0.0, "0.0");
	expect(-0.0, "-0.0");
	expect(1, "1.0");
	expect(0.1, "0.1");
	expect(100, "100.0");
	expect(0.0001, "0.0001");
	expect(0.00001, "1e-05");
	expect(123456789.125, "123456789.125");
	expect(1e15, "1000000000000000.0");
	expect(9007199254740993.0, "9007199254740992.0");
	expect(1e16, "1e+16");
	expect(1e22, "1e+22");
	expect(5e-324, "5e-324");
	expect(1.7976931348623157e308, "1.7976931348623157e+308");
	expect(2e-44, "2e-44");
	expect(9.5367431640625e-07, "9.5367431640625e-07");
}

static void
try_integer(int64_t value)
{
	uint8_t raw[DECIMAL_INTEGER_SIZE];
	char text[32];
	const size_t size = decimal_integer(raw, value);

	assert_int_equal(snprintf(text, sizeof(text), "%" PRId64, value),
	    size);
	assert_memory_equal(text, raw, size);
}

static void
test_integers(void **state)
{
	uint64_t seed = 1, power = 1;

	(void)state;
	try_integer(0);
	try_integer(INT64_MAX);
	try_integer(INT64_MIN);
	for (unsigned i = 0; i < 19; i++, power *= 10) {
		try_integer((int64_t)power);
		try_integer((int64_t)power - 1);
		try_integer(-(int64_t)power);
	}
	for (unsigned i = 0; i < 100000; i++)
		try_integer((int64_t)next_random(&seed) >> (i & 63));
}

static int
setup(void **state)
{
	(void)state;
	decimal_init();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_powers),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_integers),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
