/* SPDX-License-Identifier: ISC */
/*
 * One host hands a channel over to another, each with a ring of its own: what
 * the two send is all there is, once.
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

/* Whatever each has taken from its socket when. */
static void
test_order(void **state ATTR_UNUSED)
{
	send_both(0, 500);
	assert_true(does(&b, TURN_KEEP));
	send_both(500, 600);
	/* The one that stops is ahead, then behind. */
	send_to(&a, 0, 600);
	assert_true(does(&a, TURN_STOP));
	send_both(601, 602);
	send_to(&b, 0, 600);
	expect(&a, 0, 601);
	expect_counts(&a, 601, 0);
	does(&a, TURN_NONE);
	expect(&a, 601, 602);
}

static void
test_handed(void **state ATTR_UNUSED)
{
	send_both(0, 500);
	assert_true(does(&b, TURN_KEEP));
	send_both(500, 600);
	send_to(&b, 0, 600);
	send_to(&b, 0, 601);
	hand_over();
	send_to(&a, 0, 600);
	send_to(&a, 0, 601);
	send_both(602, 700);
	expect(&a, 0, 600);
	expect(&b, 600, 700);
	expect_counts(&a, 600, 100);
	expect_counts(&b, 100, 600);
}

static void
test_nothing(void **state ATTR_UNUSED)
{
	assert_true(does(&b, TURN_KEEP));
	send_to(&b, 0, 0);
	hand_over();
	send_both(1, 2);
	expect(&b, 0, 2);
	expect(&a, 0, 0);
}

/* Runs of datagrams are one record to the one, and many to the other. */
static void
test_runs(void **state ATTR_UNUSED)
{
	uint64_t data[32][TURN_SIZE / sizeof(uint64_t)] = {{0}};
	int size = TURN_SIZE;
	unsigned i;

	assert_true(does(&b, TURN_KEEP));
	for (i = 0; i < 32; i++)
		data[i][0] = i;
	for (i = 0; i < 20; i++)
		send_to(&a, 0, i);
	assert_int_equal(setsockopt(sender[0], SOL_UDP, UDP_SEGMENT, &size,
	    sizeof(size)), 0);
	assert_int_equal(sendto(sender[0], data, sizeof(data), 0,
	    (void *)&b.rig.input_address, sizeof(b.rig.input_address)),
	    sizeof(data));
	turn(&b);
	hand_over();
	expect(&b, 20, 32);
	expect_counts(&b, 12, 20);
}

/* What lies in the socket when the first one is to stop is sent, and where the
 * other one looks for the place. */
static void
test_socket(void **state ATTR_UNUSED)
{
	uint64_t data[TURN_SIZE / sizeof(uint64_t)] = {0};
	struct turn *its = &b.rig.segment.state->turn;
	unsigned i;

	send_both(0, 10);
	assert_true(does(&b, TURN_KEEP));
	for (i = 0; i < 40; i++) {
		data[0] = 10 + i;
		assert_int_equal(sendto(sender[0], data, sizeof(data), 0,
		    (void *)&a.rig.input_address,
		    sizeof(a.rig.input_address)), sizeof(data));
		assert_int_equal(sendto(sender[0], data, sizeof(data), 0,
		    (void *)&b.rig.input_address,
		    sizeof(b.rig.input_address)), sizeof(data));
	}
	atomic_store(&a.rig.segment.state->turn.order_until_ns, UINT64_MAX);
	atomic_store(&a.rig.segment.state->turn.order,
	    TURN_ORDER(TURN_STOP, ++orders));
	relay_run(&a.relay);
	hand_mark();
	may_send(&b, true);
	atomic_store(&its->order, TURN_ORDER(TURN_FOLLOW, ++orders));
	relay_run(&b.relay);
	assert_int_equal(counts(&b)->relayed, 0);
	turn(&b);
	assert_int_equal(atomic_load(&its->done), atomic_load(&its->order));
	expect(&a, 0, 50);
	assert_int_equal(counts(&b)->relayed, 0);
	assert_int_equal(counts(&b)->relay_standby, 50);
	does(&b, TURN_NONE);
	send_both(50, 60);
	expect(&b, 50, 60);
}

/* There was no hand-over: what was kept is let go, also where it may send
 * meanwhile, and where a worker has died of it. */
static void
test_let_go(void **state ATTR_UNUSED)
{
	struct turn *its = &b.rig.segment.state->turn;

	assert_true(does(&b, TURN_KEEP));
	send_both(0, 10);
	its->mark.count = TURN_MARK_ALL;
	may_send(&b, true);
	atomic_store(&its->order, TURN_ORDER(TURN_FOLLOW, ++orders));
	turn_look(&b.relay);
	turn_heard(&b.relay);
	relay_init(&b.relay, &b.rig.segment, &b.rig.output);
	send_to(&b, 0, 10);
	expect(&b, 10, 11);
	assert_int_equal(atomic_load(&its->done), atomic_load(&its->order));
	assert_int_equal(counts(&b)->relay_standby, 10);
}

/* It has found the place, and passed so many datagrams, when it ends. */
static void
follow_and_die(unsigned datagrams)
{
	struct output_domain *domain = &b.rig.segment.state->output[0];

	atomic_store(&b.rig.segment.state->turn.order,
	    TURN_ORDER(TURN_FOLLOW, ++orders));
	turn_look(&b.relay);
	turn_heard(&b.relay);
	output_begin(domain)->position += datagrams *
	    ring_record_size(TURN_SIZE);
	output_commit(domain);
	relay_init(&b.relay, &b.rig.segment, &b.rig.output);
}

/* Between what the other host has sent of one source and of the next: what is
 * to be sent there is not taken for that. */
static void
test_dies_between(void **state ATTR_UNUSED)
{
	send_two_sources();
	hand_mark();
	follow_and_die(22);
	may_send(&b, true);
	turn(&b);
	expect_two_sources(22);
}

/* A worker that is killed is followed by one that does the same. */
static void
test_successor(void **state ATTR_UNUSED)
{
	assert_true(does(&b, TURN_KEEP));
	send_both(0, 100);
	assert_true(does(&a, TURN_STOP));
	relay_init(&a.relay, &a.rig.segment, &a.rig.output);
	relay_init(&b.relay, &b.rig.segment, &b.rig.output);
	send_both(100, 110);
	expect(&a, 0, 100);
	may_send(&a, false);
	b.rig.segment.state->turn.mark = a.rig.segment.state->turn.mark;
	follow_and_die(50);
	may_send(&b, true);
	turn(&b);
	expect(&b, 100, 110);
}

/* An order whose time is over is none, also when nobody takes it back. */
static void
test_time(void **state ATTR_UNUSED)
{
	struct turn *its = &b.rig.segment.state->turn;

	assert_true(does(&b, TURN_KEEP));
	send_both(0, 10);
	expect_counts(&b, 0, 0);
	atomic_store(&its->order_until_ns, clock_boottime_ns());
	send_both(10, 11);
	expect_counts(&b, 0, 11);
}

/* More than the ring holds is kept no more, and is not an error. */
static void
test_lap(void **state ATTR_UNUSED)
{
	uint64_t i;

	tear_down(NULL);
	set_up_with(&(struct segment_spec){.ring_size = RING_SIZE_MIN});
	assert_true(does(&b, TURN_KEEP));
	for (i = 0; i < 5000; i++)
		send_to(&b, 0, i);
	assert_true(counts(&b)->relay_standby > 0);
	assert_int_equal(counts(&b)->relay_errors, 0);
	for (i = 4000; i < 4990; i++)
		send_to(&a, 0, i);
	expect(&a, 4000, 4990);
	hand_over();
	expect(&b, 4990, 5000);
}

#define TURN_TEST(test)	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TURN_TEST(test_order),
		TURN_TEST(test_handed),
		TURN_TEST(test_nothing),
		TURN_TEST(test_runs),
		TURN_TEST(test_socket),
		TURN_TEST(test_let_go),
		TURN_TEST(test_dies_between),
		TURN_TEST(test_successor),
		TURN_TEST(test_time),
		TURN_TEST(test_lap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
