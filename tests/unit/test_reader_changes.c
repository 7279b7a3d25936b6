/* SPDX-License-Identifier: ISC */
/*
 * What happens to a reader from outside: new configurations, other segments,
 * sockets that do not take everything, hostile segments.
 */
#include <sys/socket.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/ring.h"
#include "common/util.h"
#include "tests/unit/reader_support.h"

/*** New configurations. ***/

/* The same stream keeps its window, a changed one starts anew, each sends to
 * its new socket. */
static void
streams_change(void **state)
{
	struct reader_fixture *f = *state;
	unsigned before;

	message_add(&f->message, "other", METHOD_PICK, 4, 1);
	f->reader = open_reader(&f->message, &f->w, f->sink, f->reader);
	fake_put_numbers(&f->w, 0, 2);
	catch_up(f->reader);
	before = open_fds();
	message_init(&f->message, "accel");
	message_add(&f->message, "third", METHOD_PICK, 2, 2);
	message_add(&f->message, "other", METHOD_PICK, 3, 1);
	message_add(&f->message, "view", METHOD_PICK, 4, 0);
	f->reader = open_reader(&f->message, &f->w, f->sink, f->reader);
	assert_int_equal(open_fds(), before + 1);
	fake_put_numbers(&f->w, 2, 4);
	catch_up(f->reader);
	assert_numbers(&f->sink[0], 3, 2, 2);
	assert_numbers(&f->sink[1], 4, 3, 1);
	assert_numbers(&f->sink[2], 3, 4, 1);
	assert_int_equal(fake_counts(&f->w, 0).in, 6);
	assert_int_equal(fake_counts(&f->w, 1).in, 6);
	assert_int_equal(fake_counts(&f->w, 2).in, 4);
}

/* What is sent goes to the archive as well; what does not get there is
 * counted, to the last. */
static void
stream_is_archived(void **state)
{
	struct reader_fixture *f = *state;
	struct stream_config *config = &f->message.stream[0];

	config->archived = config->feeds = 1;
	fake_put_numbers(&f->w, 0, 3);
	catch_up(f->reader);
	f->reader = open_reader(&f->message, &f->w, f->sink, f->reader);
	fake_put_numbers(&f->w, 3, 5);
	catch_up(f->reader);
	assert_numbers(&f->sink[0], 3, 4, 2);
	assert_numbers(&f->sink[1], 3, 4, 2);
	assert_int_equal(fake_counts(&f->w, 0).unarchived, 0);
	/* Nobody is there any more. */
	close(f->sink[1].receiver);
	f->sink[1].receiver = dup(f->sink[0].receiver);
	fake_put_numbers(&f->w, 8, 12);
	catch_up(f->reader);
	config->feeds = 0;
	f->reader = open_reader(&f->message, &f->w, f->sink, f->reader);
	assert_int_equal(fake_counts(&f->w, 0).unarchived, 3);
	fake_put_numbers(&f->w, 20, 4);
	catch_up(f->reader);
	assert_int_equal(fake_counts(&f->w, 0).unarchived, 4);
	assert_numbers(&f->sink[0], 11, 4, 4);
	assert_int_equal(fake_counts(&f->w, 0).out, 6);
	assert_int_equal(fake_counts(&f->w, 0).errors, 0);
}

/* A slot's new owner does not inherit its counters. */
static void
slot_changes_hands(void **state)
{
	struct reader_fixture *f = *state;

	fake_put_numbers(&f->w, 0, 6);
	catch_up(f->reader);
	message_init(&f->message, "accel");
	message_add(&f->message, "another", METHOD_PICK, 4, 0);
	f->reader = open_reader(&f->message, &f->w, f->sink, f->reader);
	assert_int_equal(fake_counts(&f->w, 0).in, 0);
	fake_put_numbers(&f->w, 6, 5);
	catch_up(f->reader);
	assert_int_equal(fake_counts(&f->w, 0).in, 5);
	assert_int_equal(fake_counts(&f->w, 0).out, 1);
}

/* The old ring is read to its end, the counters go on in the new one. */
static void
segment_changes(void **state)
{
	struct reader_fixture *f = *state;
	struct fake_worker next;

	fake_put_numbers(&f->w, 0, 4);
	catch_up(f->reader);
	fake_put_numbers(&f->w, 4, 9);
	fake_open(&next, FIXTURE_RING, NULL, 0, &f->w);
	assert_int_equal(next.sequence, 13);
	fake_put_numbers(&next, 13, 2);
	f->reader = open_reader(&f->message, &next, f->sink, f->reader);
	assert_non_null(f->reader);
	fake_put_numbers(&next, 15, 3);
	catch_up(f->reader);
	assert_int_equal(sink_number(&f->sink[0]), 3);
	assert_int_equal(sink_number(&f->sink[0]), 7);
	assert_int_equal(sink_number(&f->sink[0]), 11);
	/* The schema may be another: 12 was in a window that is gone. */
	assert_numbers(&f->sink[0], 16, 4, 1);
	assert_int_equal(fake_counts(&next, 0).in, 18);
	assert_int_equal(fake_counts(&next, 0).missed, 0);
	fake_close(&f->w);
	f->w = next;
}

/* However small the datagrams are. */
static void
large_old_ring_is_drained(void **state)
{
	const unsigned count = (8U << 20) / 48 - 200;
	struct reader_fixture *f = *state;
	struct fake_worker old, next;
	struct reader *reader;
	unsigned i;

	f->message.stream[0].every = 1000;
	fake_open(&old, 8U << 20, NULL, 0, NULL);
	reader = open_reader(&f->message, &old, f->sink, NULL);
	for (i = 0; i < count; i++)
		fake_put(&old, "", 0, 0);
	fake_open(&next, FIXTURE_RING, NULL, 0, &old);
	reader = open_reader(&f->message, &next, f->sink, reader);
	assert_int_equal(fake_counts(&next, 0).in, count);
	reader_close(reader);
	fake_close(&next);
	fake_close(&old);
}

/* A new segment that does not go on with the old one's numbers. */
static void
segment_starts_over(void **state)
{
	struct reader_fixture *f = *state;
	struct fake_worker next;

	fake_put_numbers(&f->w, 0, 100);
	catch_up(f->reader);
	while (sink_number(&f->sink[0]) != -1)
		continue;
	fake_open(&next, FIXTURE_RING, NULL, 0, NULL);
	fake_put_numbers(&next, 0, 4);
	f->reader = open_reader(&f->message, &next, f->sink, f->reader);
	assert_non_null(f->reader);
	catch_up(f->reader);
	assert_numbers(&f->sink[0], 3, 4, 1);
	assert_int_equal(fake_counts(&next, 0).in, 104);
	fake_close(&f->w);
	f->w = next;
}

static void
messages_are_checked(void **state)
{
	struct reader_fixture *f = *state;
	struct message message;
	unsigned before = open_fds(), kind;
	int fds[FD_SLOTS];
	size_t count;

	for (kind = 0; kind < 5; kind++) {
		message = f->message;
		count = message_fds(&message, &f->w, f->sink, fds);
		switch (kind) {
		case 0:
			message.streams = 2;
			break;
		case 1:
			message.streams = UINT32_MAX;
			break;
		case 2:
			memset(message.name, 'a', sizeof(message.name));
			break;
		case 3:
			message.stream[0].slot = STREAMS_MAX;
			break;
		case 4:
			memset(message.stream[0].destination, 'a',
			    sizeof(message.stream[0].destination));
			break;
		}
		assert_null(reader_open(&message, fds, count, NULL));
		assert_int_equal(open_fds(), before);
	}
}

/* Streams that make no sense are left out; the others work. */
static void
bad_streams_are_left_out(void **state)
{
	struct reader_fixture *f = *state;
	unsigned before = open_fds();

	message_init(&f->message, "accel");
	message_add(&f->message, "never", METHOD_PICK, 0, 0);
	message_add(&f->message, "mean", METHOD_MEAN, 4, 1);
	message_add(&f->message, "view", METHOD_PICK, 4, 2);
	f->reader = open_reader(&f->message, &f->w, f->sink, f->reader);
	assert_non_null(f->reader);
	assert_int_equal(open_fds(), before);
	fake_put_numbers(&f->w, 0, 4);
	catch_up(f->reader);
	assert_numbers(&f->sink[2], 3, 4, 1);
	assert_int_equal(fake_counts(&f->w, 0).in, 0);
	assert_int_equal(fake_counts(&f->w, 1).in, 0);
}

/*** Sockets that do not take everything. ***/

static void
send_errors_are_counted(void **state)
{
	struct reader_fixture *f = *state;
	struct stream_counts counts;

	close(f->sink[0].receiver);
	f->sink[0].receiver = -1;
	/* Each send but the first hears of the one before; all are tried. */
	fake_put_numbers(&f->w, 0, 40);
	catch_up(f->reader);
	counts = fake_counts(&f->w, 0);
	assert_int_equal(counts.out, 10);
	assert_int_equal(counts.errors, 0);
	/* No destination at all. */
	close(f->sink[0].sender);
	f->sink[0].sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	f->reader = open_reader(&f->message, &f->w, f->sink, f->reader);
	fake_put_numbers(&f->w, 40, 40);
	catch_up(f->reader);
	counts = fake_counts(&f->w, 0);
	assert_int_equal(counts.in, 80);
	assert_int_equal(counts.out, 10);
	assert_int_equal(counts.errors, 10);
}

/* A socket whose buffer is full does not hold the others. */
static void
full_socket_does_not_block(void **state)
{
	struct reader_fixture *f = *state;
	struct stream_counts full, free_one;
	struct sink jam;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
	    pair), 0);
	jam = f->sink[0];
	f->sink[0] = (struct sink){.sender = pair[0], .receiver = pair[1]};
	message_add(&f->message, "free", METHOD_PICK, 400, 1);
	f->reader = open_reader(&f->message, &f->w, f->sink, f->reader);
	fake_put_numbers(&f->w, 0, 2000);
	catch_up(f->reader);
	full = fake_counts(&f->w, 0);
	free_one = fake_counts(&f->w, 1);
	assert_true(full.errors > 0);
	assert_true(full.out > 0);
	assert_int_equal(full.out + full.errors, 500);
	assert_int_equal(free_one.out, 5);
	assert_int_equal(free_one.errors, 0);
	sink_close(&jam);
}

/*** Hostile segments. ***/

static void
not_a_segment(void **state)
{
	struct reader_fixture *f = *state;
	unsigned before = open_fds();
	int fds[FD_SLOTS];
	size_t count;

	count = message_fds(&f->message, &f->w, f->sink, fds);
	/* The eventfd in the segment's place. */
	assert_int_equal(dup2(fds[READER_FD_EVENT], fds[READER_FD_SEGMENT]),
	    fds[READER_FD_SEGMENT]);
	assert_null(reader_open(&f->message, fds, count, NULL));
	assert_int_equal(open_fds(), before);
	/* In the place of a good one: the old reader goes with it. */
	count = message_fds(&f->message, &f->w, f->sink, fds);
	assert_int_equal(dup2(fds[READER_FD_EVENT], fds[READER_FD_SEGMENT]),
	    fds[READER_FD_SEGMENT]);
	assert_null(reader_open(&f->message, fds, count, f->reader));
	f->reader = NULL;
	assert_int_equal(open_fds(), before - 2);
}

static void
not_a_program(void **state)
{
	uint8_t junk[200];
	struct reader_fixture *f = *state;
	unsigned before = open_fds();
	struct fake_worker w;

	memset(junk, 0x5a, sizeof(junk));
	fake_open(&w, FIXTURE_RING, junk, sizeof(junk), NULL);
	assert_null(open_reader(&f->message, &w, f->sink, NULL));
	fake_close(&w);
	assert_int_equal(open_fds(), before);
}

/* Overwrites any of the ring's words and bytes; then the reader looks at it. */
static void
garble(struct fake_worker *w)
{
	struct ring_shared *shared = w->segment.ring.shared;
	uint64_t value = (uint64_t)random() << (random() % 34);
	uint8_t *p;

	switch (random() % 6) {
	case 0:
		atomic_store(&shared->head, value);
		break;
	case 1:
		atomic_store(&shared->head, w->head +
		    (uint64_t)(random() % 4096) * RING_ALIGN);
		break;
	case 2:
		atomic_store(&shared->reserve, value);
		break;
	case 3:
		atomic_store(&shared->boundary[random() % RING_BOUNDARIES],
		    value);
		break;
	case 4:
		for (p = w->segment.ring.data; random() % 100 != 0; )
			p[random() % FIXTURE_RING] = (uint8_t)random();
		break;
	case 5:
		w->head += (uint64_t)(random() % 64) * RING_ALIGN;
		fake_put_numbers(w, 0, 1 + (unsigned)random() % 100);
		break;
	}
}

static void
garbage_does_no_harm(void **state)
{
	struct reader_fixture *f = *state;
	unsigned broken = 0, i;

	srandom(1);
	for (i = 0; i < 3000; i++) {
		garble(&f->w);
		if (reader_step(f->reader) != READER_BROKEN)
			continue;
		broken++;
		reader_close(f->reader);
		f->reader = open_reader(&f->message, &f->w, f->sink, NULL);
		assert_non_null(f->reader);
	}
	assert_true(broken > 0);
	assert_true(broken < i);
}

int
main(void)
{
#define READER_TEST(f)	cmocka_unit_test_setup_teardown(f, fixture_setup, \
			    fixture_teardown)
	const struct CMUnitTest tests[] = {
		READER_TEST(streams_change),
		READER_TEST(stream_is_archived),
		READER_TEST(slot_changes_hands),
		READER_TEST(segment_changes),
		READER_TEST(large_old_ring_is_drained),
		READER_TEST(segment_starts_over),
		READER_TEST(messages_are_checked),
		READER_TEST(bad_streams_are_left_out),
		READER_TEST(send_errors_are_counted),
		READER_TEST(full_socket_does_not_block),
		READER_TEST(not_a_segment),
		READER_TEST(not_a_program),
		READER_TEST(garbage_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
