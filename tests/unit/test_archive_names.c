/* SPDX-License-Identifier: ISC */
/*
 * Names of an archive's files: exactly those that mcrelay writes.  Each text
 * lies alone in the heap, so that a sanitizer sees who reads beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/archive_names.h"

/* 2026-11-20T21:30:00.123456Z */
#define MOMENT	UINT64_C(1795210200123456000)

static bool
parse(const char *text, const char *channel, struct archive_name *name)
{
	char *alone = strdup(text);
	const bool is = archive_name_parse(alone, channel, name);

	if (is)
		name->ending = text + (name->ending - alone);
	free(alone);
	return is;
}

static void
test_written(void **state ATTR_UNUSED)
{
	static const uint64_t sequences[] = {0, 7, 10, UINT64_MAX};
	struct archive_name name;
	char text[ARCHIVE_NAME_SIZE];

	for (unsigned i = 0; i < 2 * NITEMS(sequences); i++) {
		const enum archive_kind kind = i % 2 == 0 ?
		    ARCHIVE_MAIN : ARCHIVE_REJECTED;

		archive_name_write(text, "a_b.c", kind, MOMENT,
		    sequences[i / 2]);
		assert_true(parse(text, "a_b.c", &name));
		assert_int_equal(name.kind, kind);
		assert_true(name.started_ns == MOMENT);
		assert_true(name.first_sequence == sequences[i / 2]);
		assert_string_equal(name.ending, ".avro");
		assert_true(parse(text, NULL, &name));
		assert_int_equal(name.channel_size, 5);
		assert_int_equal(name.kind, kind);
		assert_false(parse(text, "a_b", &name));
		assert_false(parse(text, "a_b.cd", &name));
	}
}

static void
test_endings(void **state ATTR_UNUSED)
{
	struct archive_name name;

	assert_true(parse("a_20261120T213000.123456Z_0.avro.part", "a",
	    &name));
	assert_string_equal(name.ending, ARCHIVE_AVRO ARCHIVE_PART);
	assert_true(parse("a_20261120T213000.123456Z_0.avro.torn", "a",
	    &name));
	assert_true(parse("a_20261120T213000.123456Z_0.avro.bad", "a",
	    &name));
	/* Of a channel that is called so. */
	assert_true(parse("a.rejected_20261120T213000.123456Z_0.avro",
	    "a.rejected", &name));
	assert_int_equal(name.kind, ARCHIVE_MAIN);
}

static void
test_others(void **state ATTR_UNUSED)
{
	static const char *const others[] = {
		"", "_", "__", "a", "a_", "a_.avro", "a_0.avro",
		"a_notes.avro", "a_20261120_0.avro", "a.rejected_.avro",
		"a_20261120T213000.123456Z.avro",
		"a_20261120T213000.123456Z_.avro",
		"a_20261120T213000.123456Z_x.avro",
		"a_20261120T213000.123456Z_-1.avro",
		"a_20261120T213000.123456Z_+1.avro",
		"a_20261120T213000.123456Z_ 1.avro",
		"a_20261120T213000.123456Z_01.avro",
		"a_20261120T213000.123456Z_18446744073709551616.avro",
		"a_20261120T213000.123456Z_1.avro~",
		"a_20261120T213000.123456Z_1.avro.part.torn",
		"a_20261120T213000.123456Z_1",
		"a_20261120T213000.123456_1.avro",
		"a_20261120T213000.12345Z_1.avro",
		"a_20261120T213000,123456Z_1.avro",
		"a_20261320T213000.123456Z_1.avro",
		"a_20260230T213000.123456Z_1.avro",
		"a_20261120T253000.123456Z_1.avro",
		"a_20261120t213000.123456Z_1.avro",
		"a_ 0261120T213000.123456Z_1.avro",
		"a_-0261120T213000.123456Z_1.avro",
		"a_19691231T235959.999999Z_1.avro",
		"a_99991231T235959.999999Z_1.avro",
		"a-20261120T213000.123456Z_1.avro",
		"_20261120T213000.123456Z_1.avro",
		".rejected_20261120T213000.123456Z_1.avro",
		"ab_20261120T213000.123456Z_1.avro",
		"a.rejecte_20261120T213000.123456Z_1.avro",
		"a_copy_20261120T213000.123456Z_1.avro",
		"A_20261120T213000.123456Z_1.avro",
	};
	static const char *const strange[] = {
		"", ".rejected", ".a", "../a", "a/b", "a b", "a\n", "a\033[m",
		"\xc3\xa4",
	};
	struct archive_name name;

	for (size_t i = 0; i < NITEMS(others); i++)
		if (parse(others[i], "a", &name))
			fail_msg("%s", others[i]);
	for (size_t i = 0; i < NITEMS(strange); i++) {
		char *text = xasprintf("%s_20261120T213000.123456Z_1.avro",
		    strange[i]);

		if (parse(text, NULL, &name))
			fail_msg("%s", text);
		free(text);
	}
}

/* No longer than a channel's can be. */
static void
test_long(void **state ATTR_UNUSED)
{
	char text[2 * CHANNEL_NAME_MAX + 64];
	struct archive_name name;

	for (size_t n = 1; n <= 2 * CHANNEL_NAME_MAX; n++) {
		memset(text, 'x', n);
		strcpy(text + n, "_20261120T213000.123456Z_1.avro");
		assert_int_equal(parse(text, NULL, &name),
		    n <= CHANNEL_NAME_MAX);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written),
		cmocka_unit_test(test_endings),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
