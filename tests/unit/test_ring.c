/* SPDX-License-Identifier: ISC */
/*
 * The ring: order, wrap, lapped readers, sleeping readers, hostile content.
 */
#include <sys/eventfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/ring.h"
#include "common/segment.h"

#define SIZE	RING_SIZE_MIN

struct writer {
	const struct ring	*ring;
	uint64_t		 head;
	uint64_t		 sequence;
	uint64_t		 random;
};

static int
setup(void **state)
{
	static struct segment segment;
	struct segment_spec spec = {.ring_size = SIZE};
	bool locked;

	snprintf(spec.config.name, sizeof(spec.config.name), "test");
	assert_int_equal(segment_create(&segment, &spec, &locked), 0);
	*state = &segment;
	return 0;
}

static int
teardown(void **state)
{
	segment_close(*state);
	return 0;
}

/* xorshift: the same lengths in every run. */
static uint64_t
next_random(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

static struct writer
writer_of(const struct segment *segment)
{
	return (struct writer){.ring = &segment->ring,
	    .head = ring_start(SIZE), .random = 88172645463325252u};
}

/* Each byte of a payload follows from the sequence number. */
static uint8_t
pattern(uint64_t sequence)
{
	return (uint8_t)(sequence * 131 + 7);
}

static void
write_one(struct writer *writer, uint32_t length, uint16_t datagram_size)
{
	struct ring_record record = {.length = length,
	    .datagram_size = datagram_size, .sequence = writer->sequence};
	uint64_t end = writer->head + ring_record_size(length);

	ring_reserve(writer->ring, end);
	memset(ring_at(writer->ring, writer->head) + sizeof(record),
	    pattern(writer->sequence), length);
	assert_int_equal(ring_append(writer->ring, writer->head, &record),
	    end);
	writer->head = end;
	writer->sequence += ring_record_datagrams(&record);
	ring_publish(writer->ring, end);
}

static void
write_random(struct writer *writer, uint32_t max)
{
	write_one(writer, (uint32_t)(next_random(&writer->random) % max), 0);
}

static void
check_payload(const struct ring_view *view)
{
	uint32_t i;

	for (i = 0; i < view->record.length; i++)
		if (view->payload[i] != pattern(view->record.sequence))
			fail_msg("byte %u of record %llu", i,
			    (unsigned long long)view->record.sequence);
}

static void
test_order_and_wrap(void **state)
{
	const struct segment *segment = *state;
	struct writer writer = writer_of(segment);
	struct ring_reader reader = {.position = writer.head};
	struct ring_view view;
	unsigned i;

	assert_int_equal(ring_next(&segment->ring, &reader, &view),
	    RING_EMPTY);
	for (i = 0; i < 20000; i++) {
		write_random(&writer, 3000);
		assert_int_equal(ring_next(&segment->ring, &reader, &view),
		    RING_RECORD);
		assert_int_equal(view.record.sequence, i);
		assert_int_equal(view.missed, 0);
		check_payload(&view);
		assert_true(ring_intact(&segment->ring, view.position));
		assert_int_equal(ring_next(&segment->ring, &reader, &view),
		    RING_EMPTY);
	}
	/* Many times around, the first time within the first 4 KiB. */
	assert_true(writer.head > 50 * (uint64_t)SIZE);
	assert_true(ring_start(SIZE) / SIZE < (ring_start(SIZE) + 4096) / SIZE);
}

static void
test_sizes(void **state)
{
	const struct segment *segment = *state;
	struct writer writer = writer_of(segment);
	struct ring_reader reader = {.position = writer.head};
	static const uint32_t lengths[] = { 0, 1, 7, 8, 9, 1472, 65507,
	    RING_PAYLOAD_MAX, 0 };
	struct ring_view view;
	unsigned i, round;

	for (round = 0; round < 50; round++) {
		for (i = 0; i < NITEMS(lengths); i++) {
			write_one(&writer, lengths[i], 0);
			assert_int_equal(ring_next(&segment->ring, &reader,
			    &view), RING_RECORD);
			assert_int_equal(view.record.length, lengths[i]);
			assert_int_equal(view.datagrams, 1);
			check_payload(&view);
		}
	}
}

static void
test_coalesced(void **state)
{
	const struct segment *segment = *state;
	struct writer writer = writer_of(segment);
	struct ring_reader reader = {.position = writer.head};
	struct ring_view view;

	write_one(&writer, 1000, 100);
	write_one(&writer, 1001, 100);
	write_one(&writer, 100, 100);
	write_one(&writer, 0, 0);
	ring_next(&segment->ring, &reader, &view);
	assert_int_equal(view.datagrams, 10);
	ring_next(&segment->ring, &reader, &view);
	assert_int_equal(view.datagrams, 11);
	assert_int_equal(view.record.sequence, 10);
	ring_next(&segment->ring, &reader, &view);
	assert_int_equal(view.datagrams, 1);
	ring_next(&segment->ring, &reader, &view);
	assert_int_equal(view.datagrams, 1);
	assert_int_equal(reader.sequence, 23);
}

/* A reader that sleeps through laps misses exactly what it did not get. */
static void
test_lapped(void **state)
{
	const struct segment *segment = *state;
	struct writer writer = writer_of(segment);
	struct ring_reader reader = {.position = writer.head};
	uint64_t got = 0, missed = 0, laps = 0;
	struct ring_view view;
	unsigned round, i;

	for (round = 0; round < 300; round++) {
		for (i = 0; i < next_random(&writer.random) % 700; i++)
			write_random(&writer, 2000);
		for (i = 0; i < next_random(&writer.random) % 300; i++) {
			enum ring_status status = ring_next(&segment->ring,
			    &reader, &view);

			if (status == RING_EMPTY)
				break;
			if (status == RING_LAPPED) {
				laps++;
				ring_resync(&segment->ring, &reader);
				/* Not at the brink of the next lap. */
				assert_true(writer.head - reader.position <=
				    SIZE - SIZE / 8);
				/* Nor further on than it has to be. */
				assert_true(writer.head - reader.position >=
				    SIZE - SIZE / 8 - SIZE / RING_BOUNDARIES -
				    2 * 2048);
				continue;
			}
			check_payload(&view);
			got++;
			missed += view.missed;
			assert_int_equal(got + missed,
			    view.record.sequence + 1);
		}
	}
	assert_true(laps > 20);
	assert_true(got > 0 && missed > 0);
}

/* What the writer is writing is not intact, before it is published. */
static void
test_reserve(void **state)
{
	const struct segment *segment = *state;
	struct writer writer = writer_of(segment);
	uint64_t first = writer.head;

	while (writer.head + ring_record_size(1000) <= first + SIZE)
		write_one(&writer, 1000, 0);
	assert_true(ring_intact(&segment->ring, first));
	ring_reserve(&segment->ring, first + SIZE);
	assert_true(ring_intact(&segment->ring, first));
	ring_reserve(&segment->ring, first + SIZE + 8);
	assert_false(ring_intact(&segment->ring, first));
	assert_true(ring_intact(&segment->ring, first + 8));
}

/* Readers of rubbish stay within the ring and come to an end. */
static void
test_hostile(void **state)
{
	const struct segment *segment = *state;
	const struct ring *ring = &segment->ring;
	struct ring_reader reader = {0};
	struct ring_view view;
	uint64_t random = 42, i;
	unsigned turn;

	for (i = 0; i < SIZE; i += 8)
		*(uint64_t *)(void *)(ring->data + i) =
		    next_random(&random) & UINT64_C(0x1ffff0003ffff);
	for (turn = 0; turn < 20000; turn++) {
		ring_reserve(ring, next_random(&random) % (8 * SIZE));
		ring_publish(ring, next_random(&random) % (8 * SIZE));
		for (i = 0; i < RING_BOUNDARIES; i++)
			atomic_store(&ring->shared->boundary[i],
			    next_random(&random) % (8 * SIZE));
		for (i = 0; i < 100; i++) {
			enum ring_status status = ring_next(ring, &reader,
			    &view);

			if (status == RING_EMPTY)
				break;
			if (status == RING_LAPPED) {
				ring_resync(ring, &reader);
				continue;
			}
			assert_true(view.record.length <= RING_PAYLOAD_MAX);
			assert_in_range((uintptr_t)view.payload,
			    (uintptr_t)ring->data, (uintptr_t)ring->data +
			    2 * SIZE - view.record.length);
		}
	}
}

struct follower {
	pthread_t		 thread;
	const struct ring	*ring;
	_Atomic uint64_t	 wake_at;
	_Atomic uint64_t	 position;	/* is done with all before */
	int			 eventfd;
	uint64_t		 total;	/* datagrams to account for */
	uint64_t		 got;
	uint64_t		 missed;
	uint64_t		 torn;	/* payloads found wrong but intact */
	uint64_t		 sleeps;
	unsigned		 delay;	/* work per record */
};

static bool
payload_right(const struct ring_view *view, unsigned delay)
{
	uint32_t i, rounds = delay + 1;
	bool right = true;

	while (rounds-- > 0)
		for (i = 0; i < view->record.length; i++)
			right &= view->payload[i] ==
			    pattern(view->record.sequence);
	return right;
}

static void
follower_sleep(struct follower *follower, uint64_t position)
{
	struct pollfd pollfd = {.fd = follower->eventfd, .events = POLLIN};
	uint64_t count;

	if (!ring_sleep(follower->ring, &follower->wake_at, position))
		return;
	follower->sleeps++;
	/* The deadline is for a broken protocol only. */
	if (poll(&pollfd, 1, 20000) != 1)
		fail_msg("a wake-up was lost");
	if (read(follower->eventfd, &count, sizeof(count)) == -1)
		fail_msg("read");
}

static void *
follow(void *argument)
{
	struct follower *follower = argument;
	struct ring_reader reader = {.position = ring_start(SIZE)};
	struct ring_view view;
	bool right;

	while (follower->got + follower->missed < follower->total) {
		/* Partner: the acquire in wait_for_followers(). */
		atomic_store_explicit(&follower->position, reader.position,
		    memory_order_release);
		switch (ring_next(follower->ring, &reader, &view)) {
		case RING_EMPTY:
			follower_sleep(follower, reader.position + 1);
			break;
		case RING_LAPPED:
			ring_resync(follower->ring, &reader);
			break;
		case RING_RECORD:
			right = payload_right(&view, follower->delay);
			if (!ring_intact(follower->ring, view.position)) {
				/* As a lap that was found out later. */
				follower->missed += view.datagrams +
				    view.missed;
				break;
			}
			follower->missed += view.missed;
			follower->got++;
			if (!right)
				follower->torn++;
			break;
		}
	}
	return NULL;
}

static void
wake_follower(struct follower *follower, uint64_t head)
{
	static const uint64_t one = 1;

	if (ring_wake_due(&follower->wake_at, head) &&
	    write(follower->eventfd, &one, sizeof(one)) == -1)
		fail_msg("write");
}

/*
 * A writer at full speed and readers of different speeds, which sleep when
 * there is nothing: no torn record is taken for good, every datagram is
 * got or missed, no wake-up is lost.
 */
static void
test_threads(void **state)
{
	const struct segment *segment = *state;
	struct writer writer = writer_of(segment);
	struct follower follower[3];
	unsigned i, n;

	memset(follower, 0, sizeof(follower));
	for (i = 0; i < NITEMS(follower); i++) {
		follower[i].ring = &segment->ring;
		follower[i].wake_at = RING_WAKE_NEVER;
		follower[i].eventfd = eventfd(0, EFD_CLOEXEC);
		follower[i].total = 1000000;
		follower[i].delay = i * 8;
		assert_int_equal(pthread_create(&follower[i].thread, NULL,
		    follow, &follower[i]), 0);
	}
	for (n = 0; n < 1000000; n++) {
		/* The last record must not be lost by a lap. */
		write_random(&writer, n < 999900 ? 600 : 60);
		for (i = 0; i < NITEMS(follower); i++)
			wake_follower(&follower[i], writer.head);
	}
	for (i = 0; i < NITEMS(follower); i++) {
		pthread_join(follower[i].thread, NULL);
		close(follower[i].eventfd);
		assert_int_equal(follower[i].torn, 0);
		assert_int_equal(follower[i].got + follower[i].missed, 1000000);
	}
}

static void
wait_for_followers(const struct writer *writer, struct follower *follower,
    unsigned count)
{
	unsigned i;

	/* Partner: the release in follow(). */
	for (i = 0; i < count; i++)
		while (writer->head + ring_record_size(600) -
		    atomic_load_explicit(&follower[i].position,
		    memory_order_acquire) > SIZE)
			sched_yield();
}

/*
 * A writer that never laps its readers: every access to the ring is ordered
 * by what ring.h says and by nothing else, which ThreadSanitizer can judge
 * (qa/tsan.sh); with laps it cannot, since they are races by design.
 */
static void
test_threads_in_step(void **state)
{
	const struct segment *segment = *state;
	struct writer writer = writer_of(segment);
	struct follower follower[2];
	unsigned i, n;

	memset(follower, 0, sizeof(follower));
	for (i = 0; i < NITEMS(follower); i++) {
		follower[i].ring = &segment->ring;
		follower[i].wake_at = RING_WAKE_NEVER;
		follower[i].position = writer.head;
		follower[i].eventfd = eventfd(0, EFD_CLOEXEC);
		follower[i].total = 100000;
		assert_int_equal(pthread_create(&follower[i].thread, NULL,
		    follow, &follower[i]), 0);
	}
	for (n = 0; n < 100000; n++) {
		wait_for_followers(&writer, follower, NITEMS(follower));
		write_random(&writer, 600);
		for (i = 0; i < NITEMS(follower); i++)
			wake_follower(&follower[i], writer.head);
	}
	for (i = 0; i < NITEMS(follower); i++) {
		pthread_join(follower[i].thread, NULL);
		close(follower[i].eventfd);
		assert_int_equal(follower[i].torn, 0);
		assert_int_equal(follower[i].got, 100000);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order_and_wrap, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_coalesced, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_lapped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reserve, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
#ifndef __SANITIZE_THREAD__	/* A lap is a race, found out afterwards. */
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
#endif
		cmocka_unit_test_setup_teardown(test_threads_in_step, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
