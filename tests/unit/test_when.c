/* SPDX-License-Identifier: ISC */
/*
 * Times as users write them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/util.h"
#include "common/when.h"

/* 2026-11-20T21:30:00Z */
#define MOMENT	INT64_C(1795210200000000000)

static void
test_good(void **state ATTR_UNUSED)
{
	static const struct {
		const char	*text;
		int64_t		 ns;
	} rows[] = {
		{ "2026-11-20T21:30:00Z", MOMENT },
		{ "2026-11-20T21:30:00", MOMENT },
		{ "2026-11-20 21:30:00", MOMENT },
		{ "2026-11-20T21:30", MOMENT },
		{ "2026-11-20T21:30Z", MOMENT },
		{ "20261120T213000Z", MOMENT },
		{ "20261120T213000.000000Z", MOMENT },
		{ "20261120T2130Z", MOMENT },
		{ "20261120T2130", MOMENT },
		{ "20261120T21", MOMENT - 1800000000000 },
		{ "2026-11-20T21Z", MOMENT - 1800000000000 },
		{ "2026-11-20T22+01:00", MOMENT - 1800000000000 },
		{ "20261120T213000.123456Z", MOMENT + 123456000 },
		{ "2026-11-20T21:30:00.25Z", MOMENT + 250000000 },
		{ "2026-11-20T21:30:00,25Z", MOMENT + 250000000 },
		{ "2026-11-20T21:30:00.123456789Z", MOMENT + 123456789 },
		{ "2026-11-20T22:30:00+01:00", MOMENT },
		{ "2026-11-20T22:30:00+01", MOMENT },
		{ "20261120T160000-0530", MOMENT },
		{ "2026-11-20", MOMENT - 21 * 3600000000000 - 1800000000000 },
		{ "20261121", MOMENT + 9000000000000 },
		{ "1970-01-01", 0 },
		{ "2024-02-29T00:00:00Z", INT64_C(1709164800000000000) },
		{ "2261-12-31T23:59:59.999999999Z",
		    INT64_C(9214646399999999999) },
	};
	int64_t ns;

	for (size_t i = 0; i < NITEMS(rows); i++) {
		ns = -1;
		if (!when_parse(rows[i].text, &ns) || ns != rows[i].ns)
			fail_msg("%s: %lld", rows[i].text, (long long)ns);
	}
}

static void
test_bad(void **state ATTR_UNUSED)
{
	static const char *const rows[] = {
		"", "now", "2026", "2026-11", "2026-1120", "202611-20",
		"2026-11-20T", "2026-11-20T2", "2026-11-20T21:",
		"2026-11-20T2130",
		"20261120T21:30", "2026-11-20T21:30:00X",
		"2026-11-20T21:30:00Z ", " 2026-11-20", "2026-11-20T21:30:",
		"2026-11-20T21:30:0", "2026-11-20T21:30:00.",
		"2026-11-20T21:30:00.1234567891Z", "2026-13-20",
		"2026-00-20", "2026-11-31", "2025-02-29", "2026-11-20T24:00",
		"2026-11-20T21:60", "2026-11-20T21:30:60",
		"2026-11-20T21:30+1", "2026-11-20T21:30+25:00",
		"2026-11-20T21:30+01:60", "2026-11-20T21:30+01:00Z",
		"1969-12-31T23:59:59Z", "1970-01-01T00:30:00+01:00",
		"2262-01-01", "9999-12-31", "-2026-11-20",
		"2026-11-20T-1:30",
	};
	int64_t ns;

	for (size_t i = 0; i < NITEMS(rows); i++)
		if (when_parse(rows[i], &ns))
			fail_msg("%s: %lld", rows[i], (long long)ns);
}

/* What files are called is understood. */
static void
test_file_names(void **state ATTR_UNUSED)
{
	char text[UTC_TEXT_SIZE];
	int64_t ns;

	for (uint64_t at = 0; at < UINT64_C(9000000000000000000);
	    at += UINT64_C(86399123457000) * 997) {
		format_utc(at, text);
		assert_true(when_parse(text, &ns));
		assert_true((uint64_t)ns == at / NS_PER_US * NS_PER_US);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_file_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
