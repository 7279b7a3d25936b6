/* SPDX-License-Identifier: ISC */
/*
 * When a silent group is joined again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "common/util.h"
#include "supervisor/silence.h"

#define START_S	1000U

/* Asks once a second from START_S on; the seconds of silence at which it was
 * due, up to `n'. */
static void
expect(uint64_t stale_after_ns, const unsigned *seconds, size_t n)
{
	struct rejoin rejoin = {0};
	unsigned s;
	size_t i = 0;

	for (s = 0; i < n; s++)
		if (rejoin_due(&rejoin, stale_after_ns, true,
		    (START_S + s) * NS_PER_S)) {
			assert_int_equal(s, seconds[i]);
			i++;
		}
	assert_int_equal(rejoin.count, n);
}

static void
distance_doubles_to_five_minutes(void **state ATTR_UNUSED)
{
	static const unsigned ten[] = {0, 10, 30, 70, 150, 310, 610, 910};
	static const unsigned one[] = {0, 1, 3, 7, 15, 31, 63, 127, 255, 511,
	    811, 1111};
	static const unsigned short_one[] = {0, 1, 3, 7};
	static const unsigned hour[] = {0, 3600, 7200};

	expect(10 * NS_PER_S, ten, NITEMS(ten));
	expect(NS_PER_S, one, NITEMS(one));
	expect(100 * NS_PER_MS, short_one, NITEMS(short_one));
	expect(3600 * NS_PER_S, hour, NITEMS(hour));
}

static void
waits_for_the_interface(void **state ATTR_UNUSED)
{
	struct rejoin rejoin = {0};
	unsigned s;

	for (s = 0; s <= 40; s++)
		(void)rejoin_due(&rejoin, 10 * NS_PER_S, true,
		    (START_S + s) * NS_PER_S);
	assert_int_equal(rejoin.count, 3);
	for (; s < 500; s++)
		assert_false(rejoin_due(&rejoin, 10 * NS_PER_S, false,
		    (START_S + s) * NS_PER_S));
	/* It may hang on another switch now. */
	for (; s < 511; s++)
		assert_int_equal(rejoin_due(&rejoin, 10 * NS_PER_S, true,
		    (START_S + s) * NS_PER_S), s == 500 || s == 510);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(distance_doubles_to_five_minutes),
		cmocka_unit_test(waits_for_the_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
