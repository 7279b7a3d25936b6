/* SPDX-License-Identifier: ISC */
/*
 * Text from outside on its way to a terminal.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/log.h"
#include "common/printable.h"
#include "common/utf8.h"
#include "common/util.h"

static const struct row {
	const char	*text;
	const char	*printed;	/* NULL: the same */
} rows[] = {
	{ "", NULL },
	{ "plain \\ text ~", NULL },
	{ "Gr\xc3\xb6\xc3\x9f""e \xce\xb1 \xe2\x82\xac "
	    "\xf0\x9f\x98\x80", NULL },
	{ "\xc2\xa0\xe2\x80\x8d\xe2\x80\xaf\xe2\x81\xaa", NULL },
	{ "a\nb\tc\r", "a\\u000ab\\u0009c\\u000d" },
	{ "\033[2J\007\177", "\\u001b[2J\\u0007\\u007f" },
	{ "\xc2\x80\xc2\x9b""31m\xc2\x9f", "\\u0080\\u009b31m\\u009f" },
	{ "\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f", "\\u061c\\u200e\\u200f" },
	{ "\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\xe2\x80\xae",
	    "\\u2028\\u2029\\u202a\\u202e" },
	{ "\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa9",
	    "\xe2\x81\xa5\\u2066\\u2069" },
	{ "\xff\x80\xc3", "\\xff\\x80\\xc3" },
	{ "\xc0\x9b\xed\xa0\x80\xf4\x90\x80\x80",
	    "\\xc0\\x9b\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80" },
	{ "\xe2\x80", "\\xe2\\x80" },
};

static void
test_rows(void **state ATTR_UNUSED)
{
	for (size_t i = 0; i < NITEMS(rows); i++) {
		char *safe = printable_copy(rows[i].text);

		assert_string_equal(safe, rows[i].printed != NULL ?
		    rows[i].printed : rows[i].text);
		free(safe);
	}
	/* A NUL is a character like others. */
	char out[16];

	assert_int_equal(printable(out, sizeof(out), "a\0b", 3), 8);
	assert_string_equal(out, "a\\u0000b");
}

/* With less room, a beginning of the same, of whole characters. */
static void
test_room(void **state ATTR_UNUSED)
{
	for (size_t i = 0; i < NITEMS(rows); i++) {
		char *whole = printable_copy(rows[i].text);

		for (size_t room = 1; room <= strlen(whole) + 1; room++) {
			char *out = malloc(room);
			size_t size = printable(out, room, rows[i].text,
			    strlen(rows[i].text));

			assert_true(size < room);
			assert_int_equal(strlen(out), size);
			assert_memory_equal(out, whole, size);
			assert_true(utf8_valid((const uint8_t *)out, size,
			    size));
			assert_true(size + PRINTABLE_GROWTH >= room ||
			    size == strlen(whole));
			free(out);
		}
		free(whole);
	}
	assert_int_equal(printable((char[1]){'x'}, 0, "a", 1), 0);
}

/* What `to' is given by the test, read back. */
static void
taken(FILE *file, char *text, size_t room)
{
	size_t size;

	rewind(file);
	size = fread(text, 1, room - 1, file);
	text[size] = '\0';
}

static void
test_print(void **state ATTR_UNUSED)
{
	FILE *file = tmpfile();
	char text[256];

	printable_print(file, "%s: %d\n", "a\n\033b", 3);
	printable_print(file, "%s", "c\n");
	taken(file, text, sizeof(text));
	assert_string_equal(text, "a\\u000a\\u001bb: 3\nc\\u000a");
	fclose(file);
}

/* A log line is one line, and ordinary text in it stays. */
static void
test_log(void **state ATTR_UNUSED)
{
	const int err = dup(STDERR_FILENO);
	FILE *file = tmpfile();
	char text[8192], name[1500];

	memset(name, 1, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	dup2(fileno(file), STDERR_FILENO);
	log_init("test", NULL, LOG_TARGET_STDERR, LOG_INFO);
	log_warnx("%s: %s", "Gr\xc3\xb6\xc3\x9f""e", "\n\033[2J\xc2\x9b\xff");
	log_warnx("%s", name);
	dup2(err, STDERR_FILENO);
	close(err);
	taken(file, text, sizeof(text));
	assert_true(strncmp(text, "test: Gr\xc3\xb6\xc3\x9f""e: \\u000a\\u001b"
	    "[2J\\u009b\\xff\ntest: \\u0001\\u0001", 57) == 0);
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_ptr_equal(strchr(strchr(text, '\n') + 1, '\n'),
	    text + strlen(text) - 1);
	fclose(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
