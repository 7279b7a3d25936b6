/* SPDX-License-Identifier: ISC */
/*
 * Outputs: one whose socket is connected anew while it sends, one that takes
 * no runs, and one that a program in the kernel sends by as well.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bpf/kernel_relay.h"
#include "common/udp.h"
#include "common/util.h"
#include "tests/unit/expected.h"
#include "tests/unit/rig.h"
#include "worker/ingest.h"
#include "worker/relay.h"

static void
disconnect(const struct rig *rig)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};

	assert_int_equal(connect(rig->output, &none, sizeof(none)), 0);
}

static void
reconnect(const struct rig *rig)
{
	struct sockaddr_in sink;
	socklen_t size = sizeof(sink);

	assert_int_equal(getsockname(rig->sink, (void *)&sink, &size), 0);
	assert_int_equal(connect(rig->output, (void *)&sink, size), 0);
}

static const struct output_state *
counts(const struct rig *rig)
{
	return output_current(&rig->segment.state->output[0]);
}

/* What could not be sent meanwhile is sent afterwards; if nobody connects the
 * socket again it is given up. */
static void
test_reconnected(void **state ATTR_UNUSED)
{
	static const uint32_t sizes[] = { 100 };
	struct segment_spec spec = {.ring_size = 1 << 20};
	struct expected expected = {sizes, 1, 0};
	struct ingest ingest;
	struct relay relay;
	struct rig rig;

	rig_open(&rig, &spec);
	relay_init(&relay, &rig.segment, &rig.output);
	ingest_init(&ingest, &rig.segment, NULL, &relay, &rig.input, NULL,
	    NULL);
	disconnect(&rig);
	expected_send(&rig, &expected, 0);
	ingest_batch(&ingest, 0);
	relay_run(&relay);
	assert_true(relay.output[0].blocked);
	assert_int_equal(counts(&rig)->counts.relay_errors, 0);
	assert_int_equal(counts(&rig)->counts.relayed, 0);

	reconnect(&rig);
	relay.output[0].blocked = false;
	relay_run(&relay);
	assert_int_equal(counts(&rig)->counts.relayed, 1);
	assert_int_equal(relay.output[0].unconnected_ns, 0);
	expected_receive(&rig, &expected, 1);

	disconnect(&rig);
	relay.output[0].unconnected_ns = clock_monotonic_ns() - RECONNECT_NS;
	expected_send(&rig, &expected, 1);
	ingest_batch(&ingest, 0);
	relay_run(&relay);
	assert_false(relay.output[0].blocked);
	assert_int_equal(counts(&rig)->counts.relay_errors, 1);
	assert_int_equal(counts(&rig)->counts.relay_unreachable, 1);
	rig_close(&rig);
}

static unsigned
messages_of_four(uint32_t one_by_one)
{
	static const uint32_t sizes[] = { 100 };
	struct segment_spec spec = {.ring_size = 1 << 20};
	struct expected expected = {sizes, 1, 0};
	struct ingest ingest;
	struct relay relay;
	struct rig rig;
	unsigned i, messages;

	spec.config.output[0].way = one_by_one;
	rig_open(&rig, &spec);
	relay_init(&relay, &rig.segment, &rig.output);
	ingest_init(&ingest, &rig.segment, NULL, &relay, &rig.input, NULL,
	    NULL);
	for (i = 0; i < 4; i++)
		expected_send(&rig, &expected, i);
	ingest_batch(&ingest, 0);
	relay_run(&relay);
	messages = rig.segment.tx->offered;
	expected_receive(&rig, &expected, 4);
	rig_close(&rig);
	return messages;
}

static void
test_one_by_one(void **state ATTR_UNUSED)
{
	assert_int_equal(messages_of_four(0), udp_sends_runs() ? 1 : 4);
	assert_int_equal(messages_of_four(1), 4);
}

static struct relay	 due_relay;
static struct ingest	 due_ingest;

/* One datagram comes, and is looked at with this limit. */
static void
one_until(struct rig *rig, struct expected *expected, uint64_t number,
    uint64_t until_ns)
{
	atomic_store(&rig->segment.state->turn.speak_until_ns, until_ns);
	expected_send(rig, expected, number);
	ingest_batch(&due_ingest, 0);
	relay_run(&due_relay);
}

/* What comes too late for this host is counted and never sent, also when its
 * turn comes again. */
static void
test_standby(void **state ATTR_UNUSED)
{
	static const uint32_t sizes[] = { 100 };
	struct segment_spec spec = {.ring_size = 1 << 20};
	struct expected expected = {sizes, 1, 0};
	struct rig rig;
	char more[128];

	rig_open(&rig, &spec);
	relay_init(&due_relay, &rig.segment, &rig.output);
	ingest_init(&due_ingest, &rig.segment, NULL, &due_relay,
	    &rig.input, NULL, NULL);
	one_until(&rig, &expected, 0, 0);
	one_until(&rig, &expected, 1, clock_boottime_ns() + NS_PER_S * 60);
	expected_receive(&rig, &expected, 2);
	one_until(&rig, &expected, 2, clock_boottime_ns());
	one_until(&rig, &expected, 3, 1);
	assert_int_equal(recv(rig.sink, more, sizeof(more), MSG_DONTWAIT), -1);
	assert_int_equal(counts(&rig)->counts.relayed, 2);
	assert_int_equal(counts(&rig)->counts.relay_standby, 2);
	assert_int_equal(counts(&rig)->counts.relay_errors, 0);
	assert_int_equal(counts(&rig)->sequence, 4);
	atomic_store(&rig.segment.state->turn.speak_until_ns, 0);
	relay_run(&due_relay);
	assert_int_equal(recv(rig.sink, more, sizeof(more), MSG_DONTWAIT), -1);
	rig_close(&rig);
}

#ifdef HAVE_LINUX
/* The turn came so long ago, and when the clock said that; whether what had
 * come before that is sent now. */
static bool
sends_late(struct rig *rig, uint64_t ago_ns, uint64_t realtime_ns)
{
	struct turn *turn = &rig->segment.state->turn;
	char data[8];

	rig_send(rig, "a", 1);
	atomic_store(&turn->since_realtime_ns, realtime_ns);
	atomic_store(&turn->since_ns, clock_boottime_ns() - ago_ns);
	atomic_store(&turn->speak_until_ns, UINT64_MAX);
	ingest_batch(&due_ingest, 0);
	relay_run(&due_relay);
	return recv(rig->sink, data, sizeof(data), MSG_DONTWAIT) == 1;
}

/* What was in the socket when the turn came is another host's, as the kernel
 * has stamped it before; also for the next worker.  A clock that was set back
 * says so of what comes now, and is not believed. */
static void
test_late(void **state ATTR_UNUSED)
{
	struct segment_spec spec = {.ring_size = 1 << 20};
	uint64_t later = clock_realtime_ns() + 3600 * NS_PER_S;
	struct rig rig;

	rig_open(&rig, &spec);
	relay_init(&due_relay, &rig.segment, &rig.output);
	ingest_init(&due_ingest, &rig.segment, NULL, &due_relay,
	    &rig.input, NULL, NULL);
	assert_false(sends_late(&rig, 0, later));
	relay_init(&due_relay, &rig.segment, &rig.output);
	assert_false(sends_late(&rig, 0, later));
	assert_true(sends_late(&rig, 30 * NS_PER_S, later));
	assert_true(sends_late(&rig, 0, clock_realtime_ns() - 30 * NS_PER_S));
	assert_true(sends_late(&rig, 61 * NS_PER_S, later));
	assert_int_equal(counts(&rig)->counts.relayed, 3);
	assert_int_equal(counts(&rig)->counts.relay_standby, 2);
	rig_close(&rig);
}
#endif

#ifdef HAVE_LINUX
/* One datagram comes, marked so; whether it is sent. */
static bool
sends_marked(struct rig *rig, uint32_t mark)
{
	char data[8];

	assert_int_equal(setsockopt(rig->source, SOL_SOCKET, SO_MARK, &mark,
	    sizeof(mark)), 0);
	rig_send(rig, "a", 1);
	ingest_batch(&due_ingest, 0);
	relay_run(&due_relay);
	return recv(rig->sink, data, sizeof(data), MSG_DONTWAIT) == 1;
}

/* What a program in the kernel has sent is not sent again; what it has sent by
 * other outputs is, and so is what it could not. */
static void
test_by_kernel(void **state ATTR_UNUSED)
{
	struct segment_spec spec = {.ring_size = 1 << 20};
	struct ring_record *first;
	struct rig rig;
	const int on = 1;
	const uint32_t none = 0;

	spec.config.output[0].slot = 3;
	spec.config.output[0].way = OUTPUT_KERNEL;
	rig_open(&rig, &spec);
	if (setsockopt(rig.input, SOL_SOCKET, SO_RCVMARK, &on,
	    sizeof(on)) == -1 || setsockopt(rig.source, SOL_SOCKET, SO_MARK,
	    &none, sizeof(none)) == -1) {
		rig_close(&rig);
		print_message("marks need CAP_NET_ADMIN and Linux 6.0\n");
		skip();
	}
	relay_init(&due_relay, &rig.segment, &rig.output);
	ingest_init(&due_ingest, &rig.segment, NULL, &due_relay,
	    &rig.input, NULL, NULL);
	first = (void *)ring_at(&rig.segment.ring,
	    counts(&rig)->position);
	assert_false(sends_marked(&rig, KERNEL_MARK | 1 << 3));
	assert_int_equal(first->flags, RING_KERNEL);
	assert_int_equal(ring_record_scope(first), 0);
	assert_false(sends_marked(&rig, KERNEL_MARK | 0xffff));
	assert_int_equal(counts(&rig)->counts.kernel_relayed, 2);
	assert_true(sends_marked(&rig, 0));
	assert_true(sends_marked(&rig, KERNEL_MARK | 1 << 2));
	assert_true(sends_marked(&rig, 1 << 3));
	assert_int_equal(counts(&rig)->counts.kernel_relay_errors, 0);
	assert_true(sends_marked(&rig, KERNEL_MARK | KERNEL_MARK_FAILED));
	assert_false(sends_marked(&rig, KERNEL_MARK | KERNEL_MARK_FAILED |
	    1 << 3));
	assert_int_equal(counts(&rig)->counts.kernel_relay_errors, 1);
	assert_int_equal(counts(&rig)->counts.kernel_relayed, 3);
	assert_int_equal(counts(&rig)->counts.relayed, 4);
	assert_int_equal(counts(&rig)->sequence, 7);
	rig_close(&rig);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reconnected),
		cmocka_unit_test(test_one_by_one),
		cmocka_unit_test(test_standby),
#ifdef HAVE_LINUX
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_by_kernel),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
