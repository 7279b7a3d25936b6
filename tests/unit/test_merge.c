/* SPDX-License-Identifier: ISC */
/*
 * Inputs that are paths of one stream: which numbers go on, in which order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <syslog.h>
#include <cmocka.h>

#include "common/log.h"
#include "common/util.h"
#include "tests/unit/merge_script.h"

static bool	at_once;

static void
run(const int *expected)
{
	static struct world world;
	static int numbers[NUMBERS_MAX];
	unsigned n, i;

	script_make(&world.segment, SENDER_SEQUENCE_U16BE);
	script_start(&world, at_once);
	script_go_through(&world);
	n = script_result(&world.segment, numbers);
	for (i = 0; i < n && expected[i] == numbers[i]; i++)
		;
	if (i < n || expected[i] != END)
		fail_msg("number %u is %d instead of %d", i, i < n ?
		    numbers[i] : END, expected[i]);
	script_check(&world.segment);
	segment_close(&world.segment);
}

#define RUN(messages_of, ...) do {					\
	script_set(messages_of, NITEMS(messages_of));			\
	run((const int[]){__VA_ARGS__, END});				\
} while (0)

static void
test_order(void **state ATTR_UNUSED)
{
	static const struct message_script two[] = {
		{0, 10, 1}, {0, 11, 1}, {0, 14, 1}, {1, 10, 3}, {0, 15, 2},
		{1, 13, 1}, {1, 14, 4}, {0, 20, 1}, {0, 19, 1},
	};
	/* The path that is behind brings what comes before the first. */
	static const struct message_script behind[] = {
		{0, 7, 1}, {1, 5, 3}, {0, 8, 1},
	};
	static const struct message_script dead[] = {
		{2, 1, 3}, {2, 5, 2}, {2, 4, 1}, {2, 7, 1},
	};
	/* It goes on as it comes, each time. */
	static const struct message_script unnumbered[] = {
		{0, 1, 1}, {0, SHORT, 1}, {1, 2, 1}, {1, SHORT, 1}, {1, 1, 1},
	};

	RUN(two, 10, 11, 12, 13, 14, 15, 16, 17, 19, 20);
	RUN(behind, 5, 6, 7, 8);
	RUN(dead, 1, 2, 3, 4, 5, 6, 7);
	RUN(unnumbered, SHORT, SHORT, 1, 2);
}

static void
test_wrap(void **state ATTR_UNUSED)
{
	static const struct message_script wrap[] = {
		{0, 65533, 2}, {1, 65535, 1}, {1, 0, 2}, {0, 1, 1}, {0, 3, 1},
		{1, 2, 2},
	};

	RUN(wrap, 65533, 65534, 65535, 0, 1, 2, 3);
}

/* The sender begins anew; one path has brought that before the other has come
 * to the end of what was before, and brings what the first had lost of it. */
static void
test_restart(void **state ATTR_UNUSED)
{
	static const struct message_script near[] = {
		{0, 100, 1}, {0, 101, 1}, {1, 100, 1}, {0, 103, 1},
		{0, 104, 1}, {0, 100, 1}, {0, 101, 1}, {1, 101, 1},
		{1, 102, 1}, {1, 103, 2}, {1, 100, 1}, {1, 101, 1},
		{1, 102, 1}, {0, 102, 2},
	};
	/* Also when nobody has seen the numbers lately. */
	static const struct message_script far[] = {
		{0, 40000, 2}, {1, 40000, 2}, {0, 3, 1}, {1, 40002, 1},
		{0, 4, 1}, {1, 3, 3}, {0, 5, 2},
	};

	at_once = true;
	RUN(near, 100, 101, 103, 104, 102, 100, 101, 102, 103);
	at_once = false;
	RUN(far, 40000, 40001, 40002, 3, 4, 5, 6);
}

/* A single one that does not belong there. */
static void
test_stray(void **state ATTR_UNUSED)
{
	static const struct message_script stray[] = {
		{0, 100, 2}, {1, 100, 2}, {0, 30000, 1}, {0, 102, 1},
		{1, 102, 2}, {0, 103, 2}, {1, 104, 1},
	};
	/* Late beyond what any network does: it has gone on before. */
	static const struct message_script late[] = {
		{0, 100, 4}, {1, 100, 4}, {0, 104, 2}, {0, 101, 1},
		{0, 106, 1}, {1, 104, 4}, {0, 107, 1},
	};

	RUN(stray, 100, 101, 30000, 102, 103, 104);
	at_once = true;
	RUN(late, 100, 101, 102, 103, 104, 105, 106, 107);
	at_once = false;
}

/* A path is behind by more than is known of the numbers: what it brings is
 * copies, and it does not become the stream. */
static void
test_lag(void **state ATTR_UNUSED)
{
	static struct message_script lag[2 * 400];
	static int expected[64 * 400 + 1];
	unsigned i, n = 0;

	for (i = 0; i < 400; i++) {
		lag[n++] = (struct message_script){0, (int)i * 64, 64};
		if (i >= 200)
			lag[n++] = (struct message_script){1,
			    (int)(i - 200) * 64, 64};
	}
	for (i = 0; i < 64 * 400; i++)
		expected[i] = (int)i;
	expected[i] = END;
	script_set(lag, n);
	run(expected);
}

/* More waits than there is room for. */
static void
test_full(void **state ATTR_UNUSED)
{
	static struct message_script full[300];
	static int expected[64 * 300 + 1];
	unsigned i, n = 0;

	for (i = 0; i < 300; i++)
		full[i] = (struct message_script){0, (int)i * 65, 64};
	for (i = 0; i < 300 * 65; i++)
		if (i % 65 != 64)
			expected[n++] = (int)i;
	expected[n] = END;
	script_set(full, NITEMS(full));
	run(expected);
}

/* Each number comes by one path at least, in any order within a few. */
static void
test_random(void **state ATTR_UNUSED)
{
	static struct message_script mixed[60000];
	static int expected[20001];
	unsigned i, j, n = 0;
	struct message_script swap;

	srandom(7);
	for (i = 0; i < 20000; i++) {
		for (j = 0; j < 2; j++)
			if (random() % 5 != 0 || j == i % 2)
				mixed[n++] = (struct message_script){(int)j,
				    (int)((i + 60000) & 0xffff), 1};
		expected[i] = (int)((i + 60000) & 0xffff);
	}
	expected[i] = END;
	for (i = 0; i + 20 < n; i += 20)
		for (j = 0; j < 10; j++) {
			unsigned a = i + (unsigned)random() % 20;

			swap = mixed[i + j];
			mixed[i + j] = mixed[a];
			mixed[a] = swap;
		}
	script_set(mixed, n);
	run(expected);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_stray),
		cmocka_unit_test(test_lag),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_random),
	};

	log_set_level(LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
