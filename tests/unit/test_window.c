/* SPDX-License-Identifier: ISC */
/*
 * Windows by time: which datagrams are in them, what gaps and late ones do, and
 * that one ends although nothing follows.
 */
#include <poll.h>
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
#include "common/util.h"
#include "tests/unit/reader_support.h"

/* Windows of a second, begun at this time, which is not over yet. */
#define SECOND	NS_PER_S
#define NOT_OVER	(UINT64_C(4102444800) * SECOND)
static uint64_t start_ns = NOT_OVER;

struct fixture {
	struct fake_worker	w;
	struct sink		sink;
	struct message	message;
	struct reader		*reader;
	struct schema_result	schema;
	int64_t			next;	/* number to put */
};

static void
begin(struct fixture *f, enum decimate_method method)
{
	memset(f, 0, sizeof(*f));
	assert_true(schema_compile("\"long\"", 6, NULL, &f->schema));
	fake_open(&f->w, FIXTURE_RING, f->schema.program,
	    f->schema.program_size, NULL);
	sink_open(&f->sink);
	message_init(&f->message, "accel");
	message_add(&f->message, "v", method, 0, 0);
	f->message.stream[0].interval_ns = SECOND;
	f->reader = open_reader(&f->message, &f->w, &f->sink, NULL);
	assert_non_null(f->reader);
}

static void
end(struct fixture *f)
{
	uint8_t rest[64];

	assert_int_equal(sink_get(&f->sink, rest, sizeof(rest)), -1);
	reader_close(f->reader);
	sink_close(&f->sink);
	fake_close(&f->w);
	schema_result_free(&f->schema);
}

/* The next number, so many milliseconds after the start. */
static void
put(struct fixture *f, int ms)
{
	uint8_t data[DATUM_LONG_SIZE_MAX];
	size_t size = datum_put_long(data, f->next++);

	fake_put_at(&f->w, data, (uint32_t)size, 0,
	    (uint64_t)((int64_t)start_ns + ms * (int64_t)NS_PER_MS));
}

/* More than the ring holds, all at one time. */
static uint64_t
lap(struct fixture *f, int ms)
{
	uint64_t before, taken = fake_counts(&f->w, 0).in;
	int i;

	for (i = 0; i < 2 * (int)FIXTURE_RING / 56; i++)
		put(f, ms);
	before = fake_counts(&f->w, 0).missed;
	catch_up(f->reader);
	assert_true(fake_counts(&f->w, 0).in > taken);
	return fake_counts(&f->w, 0).missed - before;
}

/* The longs of one output. */
static void
get(struct fixture *f, int64_t *values, size_t count)
{
	const uint8_t *at;
	uint8_t data[128];
	ssize_t size;
	size_t i;

	size = sink_get(&f->sink, data, sizeof(data));
	assert_true(size > 0);
	at = data;
	for (i = 0; i < count; i++)
		assert_int_equal(datum_get_long(&at, data + size, &values[i]),
		    DATUM_OK);
}

static void
expect_last(struct fixture *f, int64_t number)
{
	int64_t value;

	get(f, &value, 1);
	assert_int_equal(value, number);
}

/* What a summary of one long without a time field begins with. */
enum { FIRST, LAST, COUNT, MISSED, LOW, LOW_TIME, HIGH, HIGH_TIME, WORDS };

static void
test_boundaries(void **state ATTR_UNUSED)
{
	struct fixture f;

	begin(&f, METHOD_PICK);
	put(&f, 0);
	put(&f, 999);		/* 1 */
	put(&f, 1000);		/* 2 */
	put(&f, 1500);		/* 3; then a window without any */
	put(&f, 3000);		/* 4 */
	put(&f, 4000);		/* 5 */
	catch_up(f.reader);
	expect_last(&f, 1);
	expect_last(&f, 3);
	expect_last(&f, 4);
	end(&f);
}

static void
test_summary_of_longs(void **state ATTR_UNUSED)
{
	int64_t words[WORDS];
	struct fixture f;

	begin(&f, METHOD_SUMMARY);
	put(&f, 10);
	put(&f, 20);
	put(&f, 30);
	put(&f, 1000);
	catch_up(f.reader);
	get(&f, words, WORDS);
	assert_int_equal(words[FIRST], (int64_t)start_ns / 1000 + 10000);
	assert_int_equal(words[LAST], (int64_t)start_ns / 1000 + 30000);
	assert_int_equal(words[COUNT], 3);
	assert_int_equal(words[MISSED], 0);
	assert_int_equal(words[LOW], 0);
	assert_int_equal(words[LOW_TIME], words[FIRST]);
	assert_int_equal(words[HIGH], 2);
	assert_int_equal(words[HIGH_TIME], words[LAST]);
	end(&f);
}

/* A late one is left out, and said so; a clock that was set is followed. */
static void
test_late(void **state ATTR_UNUSED)
{
	int64_t words[WORDS];
	struct fixture f;

	begin(&f, METHOD_SUMMARY);
	put(&f, 500);
	put(&f, 1000);
	put(&f, 999);
	put(&f, 1100);
	put(&f, -60000);
	put(&f, -59000);
	catch_up(f.reader);
	get(&f, words, WORDS);
	assert_int_equal(words[COUNT], 1);
	get(&f, words, WORDS);
	assert_int_equal(words[COUNT], 2);
	assert_int_equal(words[MISSED], 1);
	assert_int_equal(words[HIGH], 3);
	get(&f, words, WORDS);
	assert_int_equal(words[COUNT], 1);
	assert_int_equal(words[FIRST], (int64_t)start_ns / 1000 - 60000000);
	end(&f);
}

/* What was missed inside a window is all in its summary; what was missed
 * between two is in both, and none is counted twice. */
static void
test_gaps(void **state ATTR_UNUSED)
{
	uint64_t within, between;
	int64_t words[WORDS];
	struct fixture f;

	begin(&f, METHOD_SUMMARY);
	put(&f, 100);
	catch_up(f.reader);
	within = lap(&f, 200);
	between = lap(&f, 1300);
	put(&f, 2000);
	catch_up(f.reader);
	assert_true(within > 1 && between > 1);
	get(&f, words, WORDS);
	assert_int_equal(words[MISSED], within + between - between / 2);
	assert_int_equal(words[LOW], 0);
	get(&f, words, WORDS);
	assert_int_equal(words[MISSED], between / 2);
	end(&f);
}

/* Other shapes cannot say it: they are silent. */
static void
test_gaps_same(void **state ATTR_UNUSED)
{
	struct fixture f;

	begin(&f, METHOD_MEAN);
	put(&f, 100);
	catch_up(f.reader);
	assert_true(lap(&f, 200) > 0);
	assert_true(lap(&f, 1300) > 0);
	put(&f, 2000);		/* this window is whole */
	put(&f, 3000);
	catch_up(f.reader);
	expect_last(&f, f.next - 2);
	end(&f);
}

/* Nothing follows: after the window's end and the grace it is sent, once. */
static void
wait_over(struct fixture *f)
{
	uint64_t deadline_ns = clock_monotonic_ns() + 10 * SECOND;

	while (reader_due_ns(f->reader) != UINT64_MAX) {
		assert_true(clock_monotonic_ns() < deadline_ns);
		(void)poll(NULL, 0, 1);
		assert_int_equal(reader_step(f->reader), READER_IDLE);
	}
}

static void
test_silence(void **state ATTR_UNUSED)
{
	uint8_t data[16];
	struct fixture f;

	begin(&f, METHOD_PICK);
	assert_true(reader_due_ns(f.reader) == UINT64_MAX);
	put(&f, 100);
	catch_up(f.reader);
	assert_int_equal(sink_get(&f.sink, data, sizeof(data)), -1);
	wait_over(&f);
	assert_true(sink_wait(&f.sink, data, sizeof(data)) == 1);
	/* One that comes then has a window of its own, of the same time. */
	put(&f, 200);
	put(&f, 1000);
	catch_up(f.reader);
	expect_last(&f, 1);
	end(&f);
}

static void
turn_came(struct fixture *f, uint64_t realtime_ns)
{
	struct turn *turn = &f->w.segment.state->turn;

	atomic_store(&turn->since_realtime_ns, realtime_ns);
	atomic_store(&turn->since_ns, clock_boottime_ns() -
	    (clock_realtime_ns() - realtime_ns));
	atomic_store(&turn->speak_until_ns, UINT64_MAX);
}

/* Of a channel that was another host's until 3.5 s after the start: what was
 * over before that it has sent, however late it is read here. */
static void
test_turn(void **state ATTR_UNUSED)
{
	struct fixture f;
	uint64_t turn_ns;

	start_ns = (clock_realtime_ns() / SECOND - 20) * SECOND;
	turn_ns = start_ns + 3500 * NS_PER_MS;
	begin(&f, METHOD_PICK);
	turn_came(&f, turn_ns);
	put(&f, 0);
	put(&f, 1000);		/* 1 */
	put(&f, 3000);		/* 2: it is over when the turn has come */
	put(&f, 4000);		/* 3 */
	put(&f, 5000);
	catch_up(f.reader);
	wait_over(&f);
	expect_last(&f, 2);
	expect_last(&f, 3);
	expect_last(&f, 4);
	assert_int_equal(fake_counts(&f.w, 0).standby, 2);
	end(&f);

	/* The same when nothing follows. */
	begin(&f, METHOD_PICK);
	turn_came(&f, turn_ns);
	put(&f, 1000);
	catch_up(f.reader);
	wait_over(&f);
	assert_int_equal(fake_counts(&f.w, 0).standby, 1);
	end(&f);
	start_ns = NOT_OVER;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boundaries),
		cmocka_unit_test(test_summary_of_longs),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_gaps_same),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
