/* SPDX-License-Identifier: ISC */
/*
 * Following a ring: every datagram is taken once or counted as missed,
 * whatever the writer, the predecessor or the configuration does meanwhile.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/ring.h"
#include "common/util.h"
#include "tests/unit/reader_support.h"

static void
picks_last_of_window(void **state)
{
	struct reader_fixture *f = *state;
	struct stream_counts counts;

	fake_put_numbers(&f->w, 0, 3);
	catch_up(f->reader);
	assert_numbers(&f->sink[0], 0, 0, 0);
	fake_put_numbers(&f->w, 3, 10);
	catch_up(f->reader);
	assert_numbers(&f->sink[0], 3, 4, 3);
	counts = fake_counts(&f->w, 0);
	assert_int_equal(counts.in, 13);
	assert_int_equal(counts.out, 3);
	assert_int_equal(counts.missed, 0);
	assert_int_equal(counts.errors, 0);
}

/* One record of five datagrams of 10 bytes and one of 3; then an empty one. */
static void
splits_coalesced_records(void **state)
{
	struct reader_fixture *f = *state;
	uint8_t data[53], got[100];
	unsigned i;

	f->message.stream[0].every = 1;
	f->reader = open_reader(&f->message, &f->w, f->sink, f->reader);
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	fake_put(&f->w, data, sizeof(data), 10);
	fake_put(&f->w, data, 0, 0);
	fake_put(&f->w, data, 10, 10);
	catch_up(f->reader);
	for (i = 0; i < 6; i++) {
		assert_int_equal(sink_get(&f->sink[0], got, sizeof(got)),
		    i < 5 ? 10 : 3);
		assert_memory_equal(got, data + i * 10, i < 5 ? 10 : 3);
	}
	assert_int_equal(sink_get(&f->sink[0], got, sizeof(got)), 0);
	assert_int_equal(sink_get(&f->sink[0], got, sizeof(got)), 10);
	assert_int_equal(sink_get(&f->sink[0], got, sizeof(got)), -1);
	assert_accounted(&f->w, 0);
}

/* The window under way and the datagrams that are gone are left out; what
 * comes after the gap starts a window. */
static void
lapped_window_is_dropped(void **state)
{
	struct reader_fixture *f = *state;
	struct stream_counts counts;

	f->message.stream[0].every = 16;
	f->reader = open_reader(&f->message, &f->w, f->sink, f->reader);
	fake_put_numbers(&f->w, 0, 6);
	catch_up(f->reader);
	fake_put_numbers(&f->w, 6, 3 * RING_NUMBERS);
	catch_up(f->reader);
	assert_accounted(&f->w, 0);
	counts = fake_counts(&f->w, 0);
	assert_true(counts.missed > RING_NUMBERS);
	/* Most of what was still there has been used. */
	assert_true(counts.in > RING_NUMBERS / 2);
	assert_int_equal(counts.out, (counts.in - 6) / 16);
	assert_numbers(&f->sink[0], (int64_t)(6 + counts.missed) + 15, 16,
	    (unsigned)counts.out);
}

struct writer {
	struct fake_worker	*w;
	_Atomic bool		 stop;
};

#define WORDS	4096	/* in a datagram of 32 KiB: easily torn */

static void *
write_words(void *argument)
{
	struct writer *writer = argument;
	uint64_t words[WORDS], number;
	unsigned i;

	for (number = 0; !atomic_load(&writer->stop); number++) {
		for (i = 0; i < WORDS; i++)
			words[i] = number;
		fake_put(writer->w, words, sizeof(words), 0);
	}
	return NULL;
}

/* What the reader saw; judged when the writer has stopped. */
struct seen {
	int64_t		last;
	unsigned	torn;
	unsigned	disordered;
};

static void
look_at_words(struct sink *sink, struct seen *seen)
{
	uint64_t words[WORDS];
	unsigned i;

	while (sink_get(sink, words, sizeof(words)) != -1) {
		for (i = 1; i < WORDS; i++)
			seen->torn += words[i] != words[0];
		seen->disordered += (int64_t)words[0] <= seen->last;
		seen->last = (int64_t)words[0];
	}
}

/* Half a second: a reader that does not check is caught well within it. */
static void
nothing_torn_while_lapped(void **state)
{
	struct reader_fixture *f = *state;
	struct writer writer = {.w = &f->w};
	struct seen seen = {.last = -1};
	uint64_t begin = clock_monotonic_ns(), took;
	enum reader_status status;
	struct stream_counts counts;
	pthread_t thread;

	f->message.stream[0].every = 1;
	f->reader = open_reader(&f->message, &f->w, f->sink, f->reader);
	assert_int_equal(pthread_create(&thread, NULL, write_words, &writer),
	    0);
	do {
		status = reader_step(f->reader);
		look_at_words(&f->sink[0], &seen);
		counts = fake_counts(&f->w, 0);
		took = clock_monotonic_ns() - begin;
	} while (status != READER_BROKEN && took < 20 * NS_PER_S &&
	    (took < NS_PER_S / 2 || counts.missed < 500 || counts.out < 500));
	atomic_store(&writer.stop, true);
	pthread_join(thread, NULL);
	assert_int_not_equal(status, READER_BROKEN);
	catch_up(f->reader);
	look_at_words(&f->sink[0], &seen);
	assert_accounted(&f->w, 0);
	assert_true(counts.missed >= 500);
	assert_true(counts.out >= 500);
	assert_int_equal(seen.torn, 0);
	assert_int_equal(seen.disordered, 0);
}

/*** Predecessors. ***/

static void
restart_goes_on(void **state)
{
	struct reader_fixture *f = *state;

	fake_put_numbers(&f->w, 0, 10);
	catch_up(f->reader);
	assert_numbers(&f->sink[0], 3, 4, 2);
	reader_close(f->reader);
	fake_put_numbers(&f->w, 10, 10);
	f->reader = open_reader(&f->message, &f->w, f->sink, NULL);
	assert_non_null(f->reader);
	catch_up(f->reader);
	/* The window that was under way went with the predecessor. */
	assert_numbers(&f->sink[0], 13, 4, 2);
	assert_int_equal(fake_counts(&f->w, 0).in, 20);
	assert_int_equal(fake_counts(&f->w, 0).out, 4);
	assert_accounted(&f->w, 0);
}

static void
restart_counts_what_it_missed(void **state)
{
	struct reader_fixture *f = *state;

	fake_put_numbers(&f->w, 0, 10);
	catch_up(f->reader);
	reader_close(f->reader);
	fake_put_numbers(&f->w, 10, 5 * RING_NUMBERS);
	f->reader = open_reader(&f->message, &f->w, f->sink, NULL);
	assert_non_null(f->reader);
	catch_up(f->reader);
	assert_true(fake_counts(&f->w, 0).missed > 3 * RING_NUMBERS);
	assert_accounted(&f->w, 0);
}

/* The decimator died with datagrams unread, then the channel got a new
 * segment: its page says how far the old one was read. */
static void
restart_in_new_segment(void **state)
{
	struct reader_fixture *f = *state;
	struct decimated_state *page;
	struct fake_worker next;
	struct reader *reader;

	fake_put_numbers(&f->w, 0, 10);
	fake_open(&next, FIXTURE_RING, NULL, 0, &f->w);
	page = decimated_begin(&next.segment.page->progress);
	page->position = next.head;
	page->sequence = 7;
	decimated_commit(&next.segment.page->progress);
	fake_put_numbers(&next, 10, 8);
	reader = open_reader(&f->message, &next, f->sink, NULL);
	catch_up(reader);
	assert_numbers(&f->sink[0], 13, 4, 2);
	assert_int_equal(fake_counts(&next, 0).in, 8);
	assert_int_equal(fake_counts(&next, 0).missed, 3);
	reader_close(reader);
	fake_close(&next);
}

/* Overruns the ring and leaves no boundary to go on from but its head. */
static void
overrun(struct fake_worker *w)
{
	static uint8_t data[65000];
	unsigned i;

	for (i = 0; i < 5; i++)
		fake_put(w, data, sizeof(data), 1000);
	for (i = 0; i < RING_BOUNDARIES; i++)
		atomic_store(&w->segment.ring.shared->boundary[i], 0);
}

/* What was missed is known even when nothing follows. */
static void
lap_without_a_next_record(void **state)
{
	struct reader_fixture *f = *state;

	overrun(&f->w);
	catch_up(f->reader);
	assert_int_equal(fake_counts(&f->w, 0).missed, 5 * 65);
	reader_close(f->reader);
	overrun(&f->w);
	f->reader = open_reader(&f->message, &f->w, f->sink, NULL);
	catch_up(f->reader);
	assert_int_equal(fake_counts(&f->w, 0).missed, 2 * 5 * 65);
	fake_put_numbers(&f->w, 5, 4);
	catch_up(f->reader);
	assert_numbers(&f->sink[0], 8, 4, 1);
	assert_int_equal(fake_counts(&f->w, 0).in, 4);
	assert_accounted(&f->w, 0);
}

/* Whatever the page says, the reader goes on with what is in the ring. */
static void
page_is_not_trusted(void **state)
{
	static const struct {
		uint64_t	position, sequence;	/* relative */
	} lies[] = {
		{1, 0}, {8, 0}, {8, 1}, {0, UINT64_MAX / 2},
		{1U << 20, 0}, {UINT64_MAX / 2, 0}, {UINT64_MAX / 2 + 8, 0},
		{(uint64_t)-8, 0}, {(uint64_t)-(int64_t)FIXTURE_RING, 0},
		{0, 1}, {0, (uint64_t)-1},
	};
	struct reader_fixture *f = *state;
	struct decimated_domain *page = &f->w.segment.page->progress;
	struct decimated_state *lie;
	struct stream_counts before, after;
	unsigned i;

	for (i = 0; i < NITEMS(lies); i++) {
		fake_put_numbers(&f->w, 0, 50);
		catch_up(f->reader);
		reader_close(f->reader);
		fake_put_numbers(&f->w, 0, 20);
		lie = decimated_begin(page);
		lie->position += lies[i].position;
		lie->sequence += lies[i].sequence;
		decimated_commit(page);
		f->reader = open_reader(&f->message, &f->w, f->sink, NULL);
		assert_non_null(f->reader);
		catch_up(f->reader);
		while (sink_number(&f->sink[0]) != -1)
			continue;
		before = fake_counts(&f->w, 0);
		fake_put_numbers(&f->w, 1000, 40);
		catch_up(f->reader);
		after = fake_counts(&f->w, 0);
		assert_int_equal(after.in - before.in, 40);
		assert_true(sink_number(&f->sink[0]) >= 1000);
		while (sink_number(&f->sink[0]) != -1)
			continue;
	}
}

/* What came while the decimator was starting counts; old data does not. */
static void
begins_with_fresh_data_only(void **state)
{
	const uint64_t hour = 3600 * NS_PER_S;
	struct reader_fixture *f = *state;
	struct fake_worker w;
	struct reader *reader;

	fake_open(&w, FIXTURE_RING, NULL, 0, NULL);
	fake_put_numbers(&w, 0, 8);
	reader = open_reader(&f->message, &w, f->sink, NULL);
	catch_up(reader);
	assert_numbers(&f->sink[0], 3, 4, 2);
	assert_accounted(&w, 0);
	reader_close(reader);
	fake_close(&w);

	fake_open(&w, FIXTURE_RING, NULL, 0, NULL);
	fake_put_at(&w, "old", 3, 0, clock_realtime_ns() - hour);
	reader = open_reader(&f->message, &w, f->sink, NULL);
	catch_up(reader);
	assert_int_equal(fake_counts(&w, 0).in, 0);
	fake_put_numbers(&w, 0, 4);
	catch_up(reader);
	assert_numbers(&f->sink[0], 3, 4, 1);
	assert_int_equal(fake_counts(&w, 0).in, 4);
	assert_int_equal(fake_counts(&w, 0).missed, 0);
	reader_close(reader);
	fake_close(&w);
}

/* A worker that died between its commit and the publication of the head: the
 * number of the next record is not known yet. */
static void
begins_behind_an_unpublished_commit(void **state)
{
	struct reader_fixture *f = *state;
	struct ingest_state *ingest;
	struct fake_worker w;
	struct reader *reader;

	fake_open(&w, FIXTURE_RING, NULL, 0, NULL);
	fake_put_at(&w, "old", 3, 0, 1);
	ingest = ingest_begin(&w.segment.state->ingest);
	ingest->head += 112;
	ingest->sequence += 1;
	ingest_commit(&w.segment.state->ingest);
	reader = open_reader(&f->message, &w, f->sink, NULL);
	catch_up(reader);
	fake_put_numbers(&w, 0, 8);
	catch_up(reader);
	assert_numbers(&f->sink[0], 3, 4, 2);
	assert_int_equal(fake_counts(&w, 0).in, 8);
	assert_int_equal(fake_counts(&w, 0).missed, 0);
	reader_close(reader);
	fake_close(&w);
}

/*** Sleeping. ***/

static void
sleeps_and_wakes(void **state)
{
	struct reader_fixture *f = *state;

	catch_up(f->reader);
	assert_int_equal(f->w.wakes, 0);
	assert_true(reader_sleep(f->reader, READER_WAKE_NEXT));
	fake_put_numbers(&f->w, 0, 3);
	assert_int_equal(f->w.wakes, 1);
	reader_woken(f->reader);
	reader_woken(f->reader);	/* again, with nothing there: no harm */
	assert_false(reader_sleep(f->reader, READER_WAKE_NEXT));
	catch_up(f->reader);
	/* Patience: up to an eighth of the ring. */
	assert_true(reader_sleep(f->reader, READER_WAKE_LATER));
	fake_put_numbers(&f->w, 3, RING_NUMBERS / 8 - 1);
	assert_int_equal(f->w.wakes, 1);
	fake_put_numbers(&f->w, 3, 2);
	assert_int_equal(f->w.wakes, 2);
	catch_up(f->reader);
	/* Nobody there any more: nobody to wake. */
	assert_true(reader_sleep(f->reader, READER_WAKE_NEXT));
	reader_close(f->reader);
	f->reader = NULL;
	fake_put_numbers(&f->w, 3, 2);
	assert_int_equal(f->w.wakes, 2);
}

/* One step takes a bounded share. */
static void
share_is_bounded(void **state)
{
	struct reader_fixture *f = *state;
	struct stream_counts counts;

	fake_put_numbers(&f->w, 0, 2000);
	assert_int_equal(reader_step(f->reader), READER_MORE);
	counts = fake_counts(&f->w, 0);
	assert_true(counts.in >= 512 && counts.in < 2000);
	while (reader_step(f->reader) == READER_MORE)
		continue;
	assert_int_equal(fake_counts(&f->w, 0).in, 2000);
}

int
main(void)
{
#define READER_TEST(f)	cmocka_unit_test_setup_teardown(f, fixture_setup, \
			    fixture_teardown)
	const struct CMUnitTest tests[] = {
		READER_TEST(picks_last_of_window),
		READER_TEST(splits_coalesced_records),
		READER_TEST(lapped_window_is_dropped),
		READER_TEST(nothing_torn_while_lapped),
		READER_TEST(restart_goes_on),
		READER_TEST(restart_counts_what_it_missed),
		READER_TEST(restart_in_new_segment),
		READER_TEST(lap_without_a_next_record),
		READER_TEST(page_is_not_trusted),
		READER_TEST(begins_with_fresh_data_only),
		READER_TEST(begins_behind_an_unpublished_commit),
		READER_TEST(sleeps_and_wakes),
		READER_TEST(share_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
