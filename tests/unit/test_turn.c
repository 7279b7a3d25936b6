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
#include "tests/unit/rig.h"
#include "worker/ingest.h"
#include "worker/relay.h"

#define SIZE	64U

struct host {
	struct rig	rig;
	struct relay	relay;
	struct ingest	ingest;
	int		inputs[2];
};

/* Relays, and stands by. */
static struct host	 a, b;
/* Who sends to both. */
static int		 sender[2];
static uint64_t		 orders;

static void
may_send(struct host *host, bool may)
{
	atomic_store(&host->rig.segment.state->turn.speak_until_ns,
	    may ? UINT64_MAX : 1);
}

static void
open_host(struct host *host, struct segment_spec spec)
{
	memset(host, 0, sizeof(*host));
	rig_open(&host->rig, &spec);
	host->inputs[0] = host->rig.input;
	host->inputs[1] = host->rig.second;
	relay_init(&host->relay, &host->rig.segment, &host->rig.output);
	ingest_init(&host->ingest, &host->rig.segment, NULL, &host->relay,
	    host->inputs, NULL);
}

static int
set_up_with(const struct segment_spec *spec)
{
	unsigned i;

	open_host(&a, *spec);
	open_host(&b, *spec);
	for (i = 0; i < 2; i++)
		assert_true((sender[i] = socket(AF_INET, SOCK_DGRAM, 0)) != -1);
	may_send(&a, true);
	may_send(&b, false);
	return 0;
}

static int
set_up(void **state ATTR_UNUSED)
{
	return set_up_with(&(struct segment_spec){.ring_size = 1 << 20});
}

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

static int
tear_down(void **state ATTR_UNUSED)
{
	rig_close(&a.rig);
	rig_close(&b.rig);
	close(sender[0]);
	close(sender[1]);
	return 0;
}

static void
turn(struct host *host)
{
	while (ingest_batch(&host->ingest, 0) == INGEST_MORE)
		continue;
	relay_run(&host->relay);
}

/* Source 1's are told apart from source 0's by their contents. */
static void
send_to(struct host *host, unsigned source, uint64_t number)
{
	uint64_t data[SIZE / sizeof(uint64_t)] = {number, source};

	assert_int_equal(sendto(sender[source], data, sizeof(data), 0,
	    (void *)&host->rig.input_address,
	    sizeof(host->rig.input_address)), sizeof(data));
	turn(host);
}

static void
send_both(uint64_t first, uint64_t end)
{
	for (; first < end; first++) {
		send_to(&a, 0, first);
		send_to(&b, 0, first);
	}
}

static bool
does(struct host *host, enum turn_order kind)
{
	struct turn *its = &host->rig.segment.state->turn;
	uint64_t order = kind == TURN_NONE ? 0 : TURN_ORDER(kind, ++orders);

	atomic_store(&its->order_until_ns, UINT64_MAX);
	atomic_store(&its->order, order);
	turn(host);
	return atomic_load(&its->done) == order;
}

/* As supervisors and servers do. */
static void
hand_mark(void)
{
	assert_true(does(&a, TURN_STOP));
	may_send(&a, false);
	b.rig.segment.state->turn.mark = a.rig.segment.state->turn.mark;
}

static void
hand_over(void)
{
	hand_mark();
	may_send(&b, true);
	turn(&b);
	assert_true(does(&b, TURN_FOLLOW));
	does(&b, TURN_NONE);
	does(&a, TURN_NONE);
}

/* The next that the host has sent, or -1; its source. */
static int64_t
next(const struct host *host, unsigned *source)
{
	uint64_t data[SIZE / sizeof(uint64_t)] = {0};

	if (recv(host->rig.sink, data, sizeof(data), MSG_DONTWAIT) !=
	    sizeof(data))
		return -1;
	*source = (unsigned)data[1];
	return (int64_t)data[0];
}

static void
expect(const struct host *host, uint64_t first, uint64_t end)
{
	unsigned source;

	for (; first < end; first++)
		assert_int_equal(next(host, &source), first);
	assert_int_equal(next(host, &source), -1);
}

static const struct output_counts *
counts(const struct host *host)
{
	return &output_current(&host->rig.segment.state->output[0])->counts;
}

static void
expect_counts(const struct host *host, uint64_t relayed, uint64_t standby)
{
	assert_int_equal(counts(host)->relayed, relayed);
	assert_int_equal(counts(host)->relay_standby, standby);
	assert_int_equal(counts(host)->relay_errors, 0);
}

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

static void
send_two_sources(void)
{
	unsigned i;

	assert_true(does(&b, TURN_KEEP));
	for (i = 0; i < 20; i++) {
		send_to(&a, 0, i);
		send_to(&a, 1, i);
	}
	for (i = 0; i < 25; i++)
		send_to(&b, 1, i);
	for (i = 0; i < 25; i++)
		send_to(&b, 0, i);
}

/* Of source 1 from `first' on. */
static void
expect_two_sources(uint64_t first)
{
	uint64_t expected[2] = {20, first};
	unsigned source;
	int64_t number;

	while ((number = next(&b, &source)) != -1)
		assert_int_equal(number, expected[source]++);
	assert_int_equal(expected[0], 25);
	assert_int_equal(expected[1], 25);
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
	uint64_t data[32][SIZE / sizeof(uint64_t)] = {{0}};
	int size = SIZE;
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

/* What came too late to be sent by the first one is not its last. */
static void
test_late(void **state ATTR_UNUSED)
{
	send_both(0, 10);
	may_send(&a, false);
	assert_int_equal(sendto(sender[0], "x", 1, 0,
	    (void *)&a.rig.input_address, sizeof(a.rig.input_address)), 1);
	assert_false(does(&a, TURN_STOP));
	assert_int_equal(counts(&a)->relay_standby, 1);
}

/* It has found the place, and passed so many datagrams, when it ends. */
static void
follow_and_die(unsigned datagrams)
{
	struct output_domain *domain = &b.rig.segment.state->output[0];

	atomic_store(&b.rig.segment.state->turn.order,
	    TURN_ORDER(TURN_FOLLOW, ++orders));
	turn_look(&b.relay);
	output_begin(domain)->position += datagrams * ring_record_size(SIZE);
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
		TURN_TEST(test_missing),
		TURN_TEST(test_sources),
		cmocka_unit_test_setup_teardown(test_merged, set_up_merged,
		    tear_down),
		TURN_TEST(test_equal),
		TURN_TEST(test_before),
		TURN_TEST(test_before_missing),
		TURN_TEST(test_unknown),
		TURN_TEST(test_nothing),
		TURN_TEST(test_runs),
		TURN_TEST(test_late),
		TURN_TEST(test_dies_between),
		TURN_TEST(test_successor),
		TURN_TEST(test_time),
		TURN_TEST(test_lap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
