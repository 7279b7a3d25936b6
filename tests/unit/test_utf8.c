/* SPDX-License-Identifier: ISC */
/*
 * UTF-8 in texts of all lengths, whatever lies behind them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/compiler.h"
#include "common/utf8.h"

#define SIZE_MOST	100U

/* A text in memory that ends `behind' bytes after it, which are no UTF-8. */
static bool
valid(const uint8_t *text, size_t size, size_t behind)
{
	uint8_t *copy = malloc(size + behind + (size + behind == 0));
	bool result;

	memcpy(copy, text, size);
	memset(copy + size, 0xff, behind);
	result = utf8_valid(copy, size, size + behind);
	free(copy);
	return result;
}

static void
test_lengths(void **state ATTR_UNUSED)
{
	uint8_t text[SIZE_MOST];
	size_t size, at, behind;

	for (behind = 0; behind <= 2 * UTF8_SHORT; behind++)
		for (size = 0; size <= SIZE_MOST; size++) {
			memset(text, 'a', sizeof(text));
			assert_true(valid(text, size, behind));
			for (at = 0; at < size; at++) {
				text[at] = 0x80;
				assert_false(valid(text, size, behind));
				text[at] = 0x7f;
			}
		}
}

/* A character of three bytes, or what is there of it. */
static void
test_characters(void **state ATTR_UNUSED)
{
	uint8_t text[SIZE_MOST + 3];
	size_t size, at, behind;

	for (behind = 0; behind <= UTF8_SHORT; behind += UTF8_SHORT / 2)
		for (size = 0; size <= SIZE_MOST; size++)
			for (at = 0; at < size; at++) {
				memset(text, 'a', sizeof(text));
				memcpy(text + at, "\xe2\x82\xac", 3);
				assert_int_equal(valid(text, size, behind),
				    at + 3 <= size);
			}
}

static void
test_byte_order_mark(void **state ATTR_UNUSED)
{
	static const struct {
		const char	*text;
		const char	*without;
	} cases[] = {
		{ "\xef\xbb\xbf\"int\"", "\"int\"" },
		{ "\xef\xbb\xbf", "" },
		{ "\xef\xbb", "\xef\xbb" },
		{ "\"int\"", "\"int\"" },
		{ "", "" },
	};
	char text[16];
	size_t size;
	unsigned i;

	for (i = 0; i < NITEMS(cases); i++) {
		size = strlen(cases[i].text);
		memcpy(text, cases[i].text, size + 1);
		utf8_drop_mark(text, &size);
		assert_int_equal(size, strlen(cases[i].without));
		assert_memory_equal(text, cases[i].without, size);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_characters),
		cmocka_unit_test(test_byte_order_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
