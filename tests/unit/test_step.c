/* SPDX-License-Identifier: ISC */
/*
 * A worker killed after every single instruction of receive, commit and send,
 * and of the recovery from that: nothing lost, nothing sent or kept twice.
 *
 * What a SIGKILL leaves is the segment and the kernel's state of the sockets.
 * So a child is single-stepped through one batch; after each instruction the
 * segment is copied, a successor starts on the copy with an output of its
 * own, and must come out with every datagram that had left the input socket,
 * in order, once; and what the child had sent together with what
 * the successor sent must be each of them, once.
 */
#include <sys/socket.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/rig.h"
#include "tests/unit/single_step.h"
#include "tests/unit/step_parts.h"
#include "tests/unit/step_receiver.h"
#include "worker/ingest.h"
#include "worker/ingest_hub.h"
#include "worker/relay.h"

#define STEPS_MAX	2000000
/* Recoveries begun after so many of those kills.  Where an instruction takes
 * very long, MCRELAY_TEST_EACH=N has it killed after every N-th only. */
#ifdef SANITIZED
#define BEGIN_EACH	40U
#else
#define BEGIN_EACH	400U
#endif

struct successor {
	struct segment	segment;
	struct receiver	receiver;
};

static struct rig	rig;
/* How many inputs there are, and by which all comes: the last one. */
static unsigned		inputs = 1;
/* Whether it comes by io_uring, and by one that channels share. */
static bool		by_uring;
static bool		is_shared;
/* Killed after every so many instructions. */
static unsigned		each = STEP_EACH;
/* What the supervisor pauses at the very instant of the kill. */
static uint32_t		paused_then;

/* Datagrams carry their index in every byte but that of their number. */
static void
send_all(void)
{
	const int source = inputs == 1 ? rig.source : rig.second_source;
	uint8_t payload[256], control[CMSG_SPACE(sizeof(uint16_t))] = {0};
	struct iovec iov = {payload, 102};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	uint16_t size = 30;
	unsigned i, n;
	uint8_t *p = payload;

	for (i = 0; i < 2; i++) {
		memset(payload, (int)i, sizes[i]);
		payload[NUMBER_AT] = numbers[i];
		assert_int_equal(send(source, payload, sizes[i], 0), sizes[i]);
	}
	for (i = 2; i < 6; i++)
		for (n = 0; n < sizes[i]; n++)
			*p++ = n == NUMBER_AT ? numbers[i] : (uint8_t)i;
	cmsg->cmsg_level = SOL_UDP;
	cmsg->cmsg_type = UDP_SEGMENT;
	cmsg->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(cmsg), &size, sizeof(size));
	assert_int_equal(sendmsg(source, &msg, 0), 102);
	for (i = 6; i < DATAGRAMS; i++) {
		memset(payload, (int)i, sizes[i]);
		payload[NUMBER_AT] = numbers[i];
		assert_int_equal(send(source, payload, sizes[i], 0), sizes[i]);
	}
}

/* The ring must hold datagrams 0 to count - 1. */
static void
check_ring(const struct segment *segment, unsigned count)
{
	struct ring_reader reader = {.position =
	    ring_start(segment->ring.size)};
	struct ring_view view;
	unsigned next = 0, i;
	uint32_t offset, size;

	while (ring_next(&segment->ring, &reader, &view) == RING_RECORD) {
		offset = 0;
		assert_int_equal(view.record.input, inputs - 1);
		for (i = 0; i < view.datagrams; i++, next++) {
			size = view.record.datagram_size != 0 ?
			    MIN_OF((uint32_t)view.record.datagram_size,
			    view.record.length - offset) : view.record.length;
			assert_true(next < DATAGRAMS);
			assert_int_equal(size, sizes[next]);
			assert_int_equal(view.payload[offset], next);
			assert_int_equal(view.payload[offset + size - 1],
			    next);
			offset += size;
		}
	}
	assert_int_equal(next, count);
}

static void
start_ingest(struct ingest *ingest, const struct segment *segment,
    struct relay *relay, struct ingest_ring *ring)
{
	const int sockets[] = { rig.input, rig.second };

	ingest_init(ingest, segment, NULL, relay, sockets, ring, NULL);
}

/* In a child: as a worker does it at its start. */
static struct ingest_ring *
open_ring(const struct segment *segment)
{
	const int sockets[] = { rig.input, rig.second };
	char why[URING_WHY_SIZE];

	return by_uring && !is_shared ?
	    ingest_ring_open(segment, sockets, why) : NULL;
}

/* All that has come is of the last one. */
static void
check_inputs(const struct segment *segment, unsigned count)
{
	struct input_state state[INPUTS_MAX];

	assert_true(inputs_read(segment, state));
	assert_int_equal(state[inputs - 1].counts.received, count);
	if (inputs > 1)
		assert_int_equal(state[0].counts.received, 0);
}

/* How many have left the input, by the index of the first that has not: where
 * the kernel takes many messages by one call, all or none. */
static unsigned
taken(void)
{
	uint8_t first = DATAGRAMS;

	(void)recv(inputs == 1 ? rig.input : rig.second, &first, 1,
	    MSG_PEEK | MSG_DONTWAIT);
#ifdef HAVE_LINUX
	assert_true(first == 0 || first == DATAGRAMS);
#endif
	return first;
}

/* Starts a successor on what the dead one left, and asks for the outcome. */
static void
check_successor(struct successor *successor, const struct segment *left,
    struct receiver *before)
{
	struct segment *segment = &successor->segment;
	struct receiver *after = &successor->receiver;
	unsigned count = taken(), relayed;
	struct ledger ledger;
	struct ingest ingest;
	struct relay relay;

	step_copy(segment, left);
	if (paused_then != 0)
		atomic_fetch_xor(&segment->state->paused, paused_then);
	receiver_clear(after);
	relay_init(&relay, segment, &after->sender);
	/* By sockets, whatever its predecessor had. */
	start_ingest(&ingest, segment, &relay, NULL);
	relay_run(&relay);
	check_ring(segment, count);
	assert_true(segment_ledger(segment, &ledger));
	/* They are committed together. */
	relayed = paused_then == 0 || ledger.relay_paused == 0 ? count : 0;
	receivers_wait(before, after, relayed);
	receivers_check(before, after, relayed);
	assert_int_equal(ledger.received, count);
	check_inputs(segment, count);
	assert_int_equal(ledger.relayed, relayed);
	assert_int_equal(ledger.relay_paused, count - relayed);
	assert_int_equal(ledger.relay_errors, 0);
	assert_int_equal(ledger.sequence_gaps, counted[count].gaps);
	assert_int_equal(ledger.sequence_repeats, counted[count].repeats);
	assert_int_equal(ledger.sequence_reordered, counted[count].reordered);
}

/* The child stops itself at both ends of what is stepped through. */
static void
child_batch(int output, uint32_t stride)
{
	static struct ingest ingest;
	static struct relay relay;
	struct ingest_ring *ring = open_ring(&rig.segment);
	struct ingest_hub *hub = is_shared ? step_hub() : NULL;
	const int sockets[] = { rig.input, rig.second };
	unsigned i;

	relay_init(&relay, &rig.segment, &output);
	start_ingest(&ingest, &rig.segment, &relay, ring);
	ingest.each[inputs - 1].stride = stride;
	single_step_here();
	if (hub != NULL) {
		step_join(hub, &ingest, sockets);
		step_take(hub, &ingest, &relay);
		_exit(ingest_by_ring(&ingest) ? 1 : 0);
	}
	/* Of several, the others have been announced before. */
	for (i = 0; i < inputs; i++)
		ingest_batch(&ingest, i);
	relay_run(&relay);
	/* Nothing comes, but buffers are given back. */
	if (by_uring)
		ingest_batch(&ingest, inputs - 1);
	_exit(0);
}

static void
child_recovery(const struct segment *segment, int output)
{
	static struct ingest ingest;
	static struct relay relay;
	struct ingest_ring *ring = open_ring(segment);
	struct ingest_hub *hub = is_shared ? step_hub() : NULL;
	const int sockets[] = { rig.input, rig.second };

	single_step_here();
	relay_init(&relay, segment, &output);
	start_ingest(&ingest, segment, &relay, ring);
	if (hub != NULL)
		step_join(hub, &ingest, sockets);
	relay_run(&relay);
	_exit(0);
}

static void
open_rig(void)
{
	struct segment_spec spec = {.ring_size = RING_SIZE, .inputs = inputs};

	spec.config.sender_sequence =
	    (struct sender_sequence_config){ SENDER_SEQUENCE_U8,
	    NUMBER_AT };
	spec.config.uring = (struct uring_config){.enabled = by_uring,
	    .queue_depth = BUFFERS, .sq_thread_cpu = -1};
	rig_open(&rig, &spec);
}

static void
open_successor(struct successor *successor)
{
	struct segment_spec spec = {.ring_size = RING_SIZE,
	    .input = rig.segment.input, .inputs = inputs};
	bool locked;

	spec.config = *rig.segment.config;
	assert_int_equal(segment_create(&successor->segment, &spec, &locked),
	    0);
	receiver_open(&successor->receiver);
}

static void
close_successor(struct successor *successor)
{
	segment_close(&successor->segment);
	receiver_close(&successor->receiver);
}

static void
run_batch(uint32_t stride, uint32_t paused)
{
	struct successor successor;
	struct receiver direct;
	unsigned steps = 0;
	pid_t pid;

	open_rig();
	atomic_store(&rig.segment.state->paused, paused);
	open_successor(&successor);
	receiver_open(&direct);
	send_all();
	pid = fork();
	if (pid == 0)
		child_batch(direct.sender, stride);
	single_step_begin(pid);
	while (single_step(pid)) {
		receiver_drain(&direct);
		if (steps++ % each == 0)
			check_successor(&successor, &rig.segment, &direct);
		assert_true(steps < STEPS_MAX);
	}
	check_successor(&successor, &rig.segment, &direct);
	assert_int_equal(direct.count, paused == 0 ? DATAGRAMS : 0);
	print_message("killed after %u instructions\n", steps / each);
	assert_true(steps > 500);
	receiver_close(&direct);
	close_successor(&successor);
	rig_close(&rig);
}

/* Steps through a recovery that starts from what is in `dead'. */
static unsigned
step_recovery(struct successor *dead, struct successor *second,
    struct receiver *before)
{
	unsigned steps = 0;
	pid_t pid = fork();

	if (pid == 0)
		child_recovery(&dead->segment, before->sender);
	single_step_begin(pid);
	while (single_step(pid)) {
		receiver_drain(before);
		if (steps++ % each == 0)
			check_successor(second, &dead->segment, before);
		assert_true(steps < STEPS_MAX);
	}
	return steps;
}

/* The same for recoveries that are killed. */
static void
run_recovery(uint32_t stride)
{
	struct successor first, second;
	struct receiver direct, before;
	unsigned steps = 0, total = 0;
	pid_t pid;

	open_rig();
	open_successor(&first);
	open_successor(&second);
	receiver_open(&direct);
	receiver_open(&before);
	send_all();
	pid = fork();
	if (pid == 0)
		child_batch(direct.sender, stride);
	single_step_begin(pid);
	while (single_step(pid)) {
		receiver_drain(&direct);
		if (++steps % (each * BEGIN_EACH) != 0)
			continue;
		/* With what is still being delivered. */
		check_successor(&second, &rig.segment, &direct);
		step_copy(&first.segment, &rig.segment);
		receiver_copy(&before, &direct);
		total += step_recovery(&first, &second, &before);
	}
	print_message("killed after %u instructions of recovery\n",
	    total / each);
	assert_true(total > 1000);
	receiver_close(&direct);
	receiver_close(&before);
	close_successor(&first);
	close_successor(&second);
	rig_close(&rig);
}

/* Nothing lands in the ring; the first two do, of the third a part; all do. */
static const uint32_t	strides[] = { 0, 88, RX_STRIDE_MAX };

static void
test_batch(void **state ATTR_UNUSED)
{
	unsigned i;

	for (i = 0; i < NITEMS(strides); i++)
		run_batch(strides[i], 0);
}

/* A pause that begins, or ends, at the instant of the kill. */
static void
test_pause(void **state ATTR_UNUSED)
{
	unsigned i;

	paused_then = RING_NO_ARCHIVE | RING_NO_RELAY;
	for (i = 0; i < NITEMS(strides); i++) {
		run_batch(strides[i], 0);
		run_batch(strides[i], paused_then);
	}
	paused_then = 0;
}

static void
test_recovery(void **state ATTR_UNUSED)
{
	unsigned i;

	for (i = 0; i < NITEMS(strides); i++)
		run_recovery(strides[i]);
}

/* The same by the second of two inputs, to which the in-flight area was the
 * first one's just before. */
static void
test_second_input(void **state ATTR_UNUSED)
{
	unsigned i;

	inputs = 2;
	for (i = 0; i < NITEMS(strides); i++) {
		run_batch(strides[i], 0);
		run_recovery(strides[i]);
	}
	inputs = 1;
}

#ifdef HAVE_URING
/* The batches that follow give back what the first had its buffers in. */
static void
test_uring(void **state ATTR_UNUSED)
{
	by_uring = true;
	for (inputs = 1; inputs <= 2; inputs++) {
		run_batch(0, 0);
		run_recovery(0);
	}
	by_uring = false;
	inputs = 1;
}

/* The same by one that channels share, which the channel joins and leaves; all
 * of it where there is time. */
static void
test_shared_uring(void **state)
{
	is_shared = true;
	if (getenv("MCRELAY_TEST_LONG") != NULL)
		test_uring(state);
	else {
		by_uring = true;
		run_batch(0, 0);
		by_uring = false;
	}
	is_shared = false;
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_recovery),
		cmocka_unit_test(test_second_input),
#ifdef HAVE_URING
		cmocka_unit_test(test_uring),
		cmocka_unit_test(test_shared_uring),
#endif
	};
	const char *wish = getenv("MCRELAY_TEST_EACH");

	if (wish != NULL && atoi(wish) > 0)
		each = (unsigned)atoi(wish);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
