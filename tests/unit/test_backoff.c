/* SPDX-License-Identifier: ISC */
/*
 * How long a child that died waits for its successor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/util.h"
#include "supervisor/backoff.h"

static void
backoff_doubles(void **state ATTR_UNUSED)
{
	static const uint64_t expected_ms[] = {100, 200, 400, 800, 1600, 3200,
	    6400, 12800, 25600, 30000, 30000};
	struct backoff backoff = {0};
	size_t i;

	for (i = 0; i < NITEMS(expected_ms); i++)
		assert_int_equal(backoff_delay_ns(&backoff, 0, false, 0),
		    expected_ms[i] * NS_PER_MS);
	/* For ever. */
	for (i = 0; i < 100; i++)
		assert_int_equal(backoff_delay_ns(&backoff, 1, false, 0),
		    30 * NS_PER_S);
}

static void
backoff_has_jitter(void **state ATTR_UNUSED)
{
	uint64_t delay, smallest = UINT64_MAX, largest = 0;
	uint32_t i;

	for (i = 0; i < 2000; i++) {
		struct backoff backoff = {0};

		delay = backoff_delay_ns(&backoff, 0, false, i * 2654435761U);
		smallest = MIN_OF(smallest, delay);
		largest = MAX_OF(largest, delay);
	}
	assert_in_range(smallest, 100 * NS_PER_MS, 102 * NS_PER_MS);
	assert_in_range(largest, 123 * NS_PER_MS, 125 * NS_PER_MS);
}

static void
backoff_forgets_when_healthy(void **state ATTR_UNUSED)
{
	struct backoff backoff = {5};

	assert_int_equal(backoff_delay_ns(&backoff, BACKOFF_HEALTHY_NS, false,
	    0), 0);
	assert_int_equal(backoff_delay_ns(&backoff, BACKOFF_HEALTHY_NS - 1,
	    false, 0), 100 * NS_PER_MS);
}

static void
backoff_lets_clean_exits_go(void **state ATTR_UNUSED)
{
	struct backoff backoff = {3};

	assert_int_equal(backoff_delay_ns(&backoff, BACKOFF_CLEAN_NS, true,
	    0), 0);
	/* But they may not spin. */
	assert_int_equal(backoff_delay_ns(&backoff, 1, true, 0),
	    BACKOFF_CLEAN_NS);
	/* And who was never ready has not ended well. */
	assert_int_equal(backoff_delay_ns(&backoff, 0, true, 0),
	    800 * NS_PER_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(backoff_doubles),
		cmocka_unit_test(backoff_has_jitter),
		cmocka_unit_test(backoff_forgets_when_healthy),
		cmocka_unit_test(backoff_lets_clean_exits_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
