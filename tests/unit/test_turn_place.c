/* SPDX-License-Identifier: ISC */
/*
 * Where the host that follows goes on: the place that the other one's last
 * datagrams have in its own ring.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/turn_hosts.h"

static int
set_up_merged(void **state ATTR_UNUSED)
{
	return set_up_with(&(struct segment_spec){
		.ring_size = 1 << 20,
		.inputs = 2,
		.config.sender_sequence.type = SENDER_SEQUENCE_U64LE,
		.config.merge_window_ns = 3600 * NS_PER_S,
	});
}

/* The last that was sent has not come to the other; and one before. */
static void
test_missing(void **state ATTR_UNUSED)
{
	assert_true(does(&b, TURN_KEEP));
	send_both(0, 80);
	send_to(&a, 0, 80);
	send_both(81, 90);
	send_to(&a, 0, 90);
	send_to(&a, 0, 91);
	hand_over();
	send_both(92, 100);
	expect(&a, 0, 92);
	expect(&b, 92, 100);
}

/* Two sources come in different orders to the two hosts. */
static void
test_sources(void **state ATTR_UNUSED)
{
	send_two_sources();
	hand_over();
	expect_two_sources(20);
	expect_counts(&b, 10, 40);
}

static void
send_by(struct host *host, unsigned path, uint64_t number)
{
	const struct sockaddr_in *to = path == 0 ? &host->rig.input_address :
	    &host->rig.second_address;

	assert_int_equal(sendto(sender[path], &number, sizeof(number), 0,
	    (const void *)to, sizeof(*to)), sizeof(number));
	while (ingest_batch(&host->ingest, path) == INGEST_MORE)
		continue;
	assert_true(ingest_release(&host->ingest, MERGE_RELEASE_ALL));
	relay_run(&host->relay);
}

static void
expect_merged(const struct host *host, uint64_t first, uint64_t end)
{
	uint64_t number;

	for (; first < end; first++) {
		assert_int_equal(recv(host->rig.sink, &number, sizeof(number),
		    MSG_DONTWAIT), sizeof(number));
		assert_int_equal(number, first);
	}
	assert_int_equal(recv(host->rig.sink, &number, sizeof(number),
	    MSG_DONTWAIT), -1);
}

/* Of several paths each host may have each datagram by another. */
static void
test_merged(void **state ATTR_UNUSED)
{
	uint64_t i;

	assert_true(does(&b, TURN_KEEP));
	for (i = 0; i < 100; i++) {
		send_by(&a, i % 2, i);
		send_by(&a, 1 - i % 2, i);
		send_by(&b, i < 90 ? i % 2 : 1 - i % 2, i);
	}
	for (; i < 110; i++)
		send_by(&b, i % 2, i);
	hand_over();
	expect_merged(&a, 0, 100);
	expect_merged(&b, 100, 110);
	expect_counts(&b, 10, 100);
}

/* What cannot be told apart is rather sent twice. */
static void
test_equal(void **state ATTR_UNUSED)
{
	unsigned i, source, count = 0;

	assert_true(does(&b, TURN_KEEP));
	for (i = 0; i < 100; i++)
		send_both(7, 8);
	send_to(&b, 0, 7);
	hand_over();
	while (next(&b, &source) != -1)
		count++;
	assert_int_equal(count, 101 - TURN_MARK_MAX);
}

static void
send_and_expect(const uint64_t *said, unsigned from, unsigned end)
{
	unsigned i, source;

	for (i = 8; i < end; i++)
		send_to(&b, 0, said[i]);
	hand_over();
	for (i = from; i < end; i++)
		assert_int_equal(next(&b, &source), said[i]);
	assert_int_equal(next(&b, &source), -1);
}

static const uint64_t	 said[] = {1, 5, 5, 2, 5, 5, 3, 5, 5, 4, 5};

/* Among equal ones, those before tell. */
static void
test_before(void **state ATTR_UNUSED)
{
	unsigned i;

	assert_true(does(&b, TURN_KEEP));
	for (i = 0; i < 8; i++)
		send_both(said[i], said[i] + 1);
	send_and_expect(said, 8, NITEMS(said));
}

/* If the one before it has not come here, they do not: it is sent twice. */
static void
test_before_missing(void **state ATTR_UNUSED)
{
	unsigned i;

	assert_true(does(&b, TURN_KEEP));
	for (i = 0; i < 7; i++)
		send_both(said[i], said[i] + 1);
	send_to(&a, 0, 9);
	send_both(said[7], said[7] + 1);
	send_and_expect(said, 7, NITEMS(said));
}

/* Nothing of it is known again: all that was kept is sent.  So it is when the
 * other host has heard nothing. */
static void
test_unknown(void **state ATTR_UNUSED)
{
	assert_true(does(&b, TURN_KEEP));
	send_to(&a, 0, 1000);
	send_to(&b, 0, 0);
	send_to(&b, 0, 1);
	hand_over();
	expect(&b, 0, 2);
	expect(&a, 1000, 1001);
}

#define TURN_TEST(test)	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TURN_TEST(test_missing),
		TURN_TEST(test_sources),
		cmocka_unit_test_setup_teardown(test_merged, set_up_merged,
		    tear_down),
		TURN_TEST(test_equal),
		TURN_TEST(test_before),
		TURN_TEST(test_before_missing),
		TURN_TEST(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
