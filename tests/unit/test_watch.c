/* SPDX-License-Identifier: ISC */
/*
 * The watchdog, on a channel whose worker and decimator
 * are processes that do nothing and whose segment the test writes to.
 */
#include <sys/socket.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <ev.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/log.h"
#include "common/message.h"
#include "common/util.h"
#include "supervisor/supervisor.h"

#define FLUSH_S		3

struct fixture {
	struct channel		channel;
	struct channel_conf	conf;
	int			source;	/* connected to the input */
	struct supervisor	supervisor;
	int			peer;	/* the decimator's end */
};

static void
ignore(void *owner ATTR_UNUSED)
{
}

static const struct child_ops	ops = {.changed = ignore};

/* A bound UDP socket and one that is connected to it. */
static void
make_pair(int *in, int *out)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	*in = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	*out = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(*in, (void *)&address, size), 0);
	assert_int_equal(getsockname(*in, (void *)&address, &size), 0);
	assert_int_equal(connect(*out, (void *)&address, size), 0);
}

static pid_t
idle_process(void)
{
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	while (pid == 0)
		pause();
	return pid;
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct segment_spec spec = {.ring_size = RING_SIZE_MIN,
	    .config = {.outputs = 1, .archive.enabled = 1}};
	struct channel *channel = &f->channel;
	bool locked;

	snprintf(channel->name, sizeof(channel->name), "test");
	channel->conf = &f->conf;
	f->conf.archive.flush_interval_ns = FLUSH_S * NS_PER_S;
	assert_int_equal(segment_create(&channel->segment, &spec, &locked),
	    0);
	parts_init(&channel->parts);
	parts_expect_inputs(&channel->parts,
	    &(struct listen_config){.sources = 0}, 1);
	make_pair(&channel->parts.input[0].fd, &f->source);
	channel->parts.output[0] = dup(f->source);
	channel->parts.outputs = 1;
	child_init(&channel->child, ev_default_loop(0), &ops, f, "test",
	    "program[test]");
	channel->child.pid = idle_process();
	channel->child.state = CHILD_RUNNING;
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	struct child *child = &f->channel.child;

	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	child->pid = 0;
	child_done(child);
	parts_close(&f->channel.parts, PART_INPUT | PART_WORKER);
	close(f->source);
	segment_close(&f->channel.segment);
	free(f);
	return 0;
}

/* True: the worker was found to hang. */
static bool
check(struct fixture *f, unsigned times)
{
	while (times-- > 0)
		watch_check(&f->channel);
	return f->channel.child.hung;
}

/* A worker at work: a batch of one record, relayed or not. */
static void
receive_one(struct fixture *f, bool relayed)
{
	struct segment *segment = &f->channel.segment;
	struct ingest_state *ingest = ingest_begin(&segment->state->ingest);
	struct ring_record record = {.sequence = ingest->sequence++};
	struct output_state *output;

	ingest->counts.received++;
	ingest->batch++;
	ring_reserve(&segment->ring, ingest->head + sizeof(record));
	ingest->head = ring_append(&segment->ring, ingest->head, &record);
	ingest_commit(&segment->state->ingest);
	ring_publish(&segment->ring, ingest->head);
	if (!relayed)
		return;
	output = output_begin(&segment->state->output[0]);
	output->batch++;
	output->position = ingest->head;
	output_commit(&segment->state->output[0]);
}

static void
archive_all(struct fixture *f)
{
	struct segment *segment = &f->channel.segment;
	struct archive_state *archive = archive_begin(
	    &segment->state->archive);

	archive->position = ring_head(&segment->ring);
	archive_commit(&segment->state->archive);
}

static void
idle_is_not_hung(void **state)
{
	struct fixture *f = *state;

	receive_one(f, true);
	archive_all(f);
	assert_false(check(f, 10 * WATCH_CHECKS));
	assert_false(f->channel.watch.archive_stuck);
}

static void
input_waits(void **state)
{
	struct fixture *f = *state;

	assert_false(check(f, 1));
	/* An empty one is one as well. */
	assert_int_equal(send(f->source, "", 0, 0), 0);
	assert_false(check(f, WATCH_CHECKS - 1));
	/* It moved after all. */
	receive_one(f, true);
	archive_all(f);
	assert_false(check(f, WATCH_CHECKS));
	assert_true(check(f, 1));
	assert_int_equal(f->channel.child.state, CHILD_STOPPING);
}

static void
output_waits(void **state)
{
	struct fixture *f = *state;

	receive_one(f, false);
	archive_all(f);
	assert_false(check(f, WATCH_CHECKS));
	assert_true(check(f, 1));
}

/* That the network takes nothing is no fault of the worker's. */
static void
output_cannot(void **state)
{
	struct fixture *f = *state;
	int pair[2], *output = &f->channel.parts.output[0];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0,
	    pair), 0);
	close(*output);
	*output = pair[0];
	while (send(pair[0], "full", 4, 0) == 4)
		continue;
	receive_one(f, false);
	archive_all(f);
	assert_false(check(f, 3 * WATCH_CHECKS));
	close(pair[1]);
}

/* on_overrun: block, and the archive is a ring behind. */
static void
gate_is_closed(void **state)
{
	struct fixture *f = *state;
	struct segment *segment = &f->channel.segment;
	uint64_t start = ring_head(&segment->ring);

	((struct channel_config *)(uintptr_t)segment->config)->
	    archive.on_overrun = OVERRUN_BLOCK;
	assert_int_equal(send(f->source, "x", 1, 0), 1);
	while (ring_head(&segment->ring) - start <=
	    segment->ring.size - RX_STRIDE_MAX)
		receive_one(f, true);
	assert_false(check(f, 3 * WATCH_CHECKS));
	assert_true(f->channel.watch.archive_stuck);
	/* Now it has room, and no excuse. */
	archive_all(f);
	assert_false(check(f, WATCH_CHECKS - 1));
	assert_true(check(f, 1));
	assert_false(f->channel.watch.archive_stuck);
}

static void
archive_is_stuck(void **state)
{
	struct fixture *f = *state;

	archive_all(f);
	receive_one(f, true);
	/* It may wait for its flush interval. */
	assert_false(check(f, WATCH_CHECKS + FLUSH_S));
	assert_false(f->channel.watch.archive_stuck);
	assert_false(check(f, 1));
	assert_true(f->channel.watch.archive_stuck);
	/* That is told, and nobody is killed for it. */
	assert_false(check(f, 10 * WATCH_CHECKS));
	archive_all(f);
	assert_false(check(f, 1));
	assert_false(f->channel.watch.archive_stuck);
}

/* What cannot be read is no reason to end anybody. */
static void
unreadable_is_spared(void **state)
{
	struct fixture *f = *state;
	struct worker_state *worker = f->channel.segment.state;
	struct ingest_domain *ingest = &worker->ingest;
	struct output_domain *out = &worker->output[0];

	receive_one(f, false);
	archive_all(f);
	atomic_store(&ingest->begun, atomic_load(&ingest->generation) + 2);
	assert_false(check(f, 3 * WATCH_CHECKS));
	atomic_store(&ingest->begun, atomic_load(&ingest->generation));
	atomic_store(&out->begun, atomic_load(&out->generation) + 2);
	assert_false(check(f, 3 * WATCH_CHECKS));
	atomic_store(&out->begun, atomic_load(&out->generation));
	assert_false(check(f, WATCH_CHECKS));
	assert_true(check(f, 1));
}

/* Other states have deadlines of their own. */
static void
only_running(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(send(f->source, "x", 1, 0), 1);
	check(f, WATCH_CHECKS - 1);
	f->channel.child.state = CHILD_STARTING;
	assert_false(check(f, 10));
	f->channel.child.state = CHILD_RUNNING;
	assert_false(check(f, WATCH_CHECKS - 1));
}

/*** The decimator. ***/

/* It has the channel, and another process is at the end of `peer'. */
static void
give_decimator(struct fixture *f)
{
	static struct conf conf = {.log_level = LOG_EMERG};
	struct decimator *decimator = &f->supervisor.decimator[0];
	int pair[2];

	TAILQ_INIT(&f->supervisor.channels);
	f->supervisor.conf = &conf;
	f->supervisor.loop = ev_default_loop(0);
	/* Nobody looks at streams. */
	f->supervisor.web.live.out = -1;
	f->supervisor.forwarder[0].live.out = -1;
	decimator_init(decimator, &f->supervisor, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
	    0, pair), 0);
	decimator->child.messages = pair[0];
	decimator->child.state = CHILD_RUNNING;
	decimator->child.pid = idle_process();
	decimator->log_told = true;
	f->peer = pair[1];
	f->channel.decimator = f->channel.decimator_holder = decimator;
}

static void
take_decimator(struct fixture *f)
{
	struct decimator *decimator = &f->supervisor.decimator[0];

	kill(decimator->child.pid, SIGKILL);
	waitpid(decimator->child.pid, NULL, 0);
	decimator->child.pid = 0;
	decimator_done(decimator);
	ev_timer_stop(f->supervisor.loop, &f->supervisor.turn);
	close(f->peer);
}

/* A decimator at work. */
static void
decimate_all(struct fixture *f)
{
	struct decimated_domain *progress = &f->channel.segment.page->progress;

	decimated_begin(progress)->position =
	    ring_head(&f->channel.segment.ring);
	decimated_commit(progress);
}

/* Whether it has been asked to look since it was last asked that here. */
static bool
asked(struct fixture *f)
{
	struct message message;

	return recv(f->peer, &message, sizeof(message), MSG_DONTWAIT) ==
	    (ssize_t)sizeof(message) && message.type == MESSAGE_LOOK;
}

static void
answer(struct fixture *f)
{
	static const struct message message = {.type = MESSAGE_LOOKED};
	struct child *child = &f->supervisor.decimator[0].child;

	assert_int_equal(child->ops->message(child->owner, &message),
	    CHILD_SAID_ANSWER);
}

/* True: the decimator was found to hang. */
static bool
check_decimator(struct fixture *f, unsigned times)
{
	struct decimator *decimator = &f->supervisor.decimator[0];

	while (times-- > 0 && !decimator->child.hung) {
		watch_check(&f->channel);
		watch_check_decimator(decimator);
	}
	return decimator->child.hung;
}

static void
idle_decimator(void **state)
{
	struct fixture *f = *state;

	give_decimator(f);
	receive_one(f, true);
	decimate_all(f);
	assert_false(check_decimator(f, 10 * WATCH_CHECKS));
	assert_false(asked(f));
	take_decimator(f);
}

static void
silent_decimator(void **state)
{
	struct fixture *f = *state;

	give_decimator(f);
	receive_one(f, true);
	decimate_all(f);
	assert_false(check_decimator(f, 1));
	receive_one(f, true);
	assert_false(check_decimator(f, WATCH_CHECKS - 1));
	assert_true(asked(f));
	/* It took its time. */
	answer(f);
	decimate_all(f);
	assert_false(check_decimator(f, WATCH_CHECKS));
	assert_false(asked(f));
	receive_one(f, true);
	assert_true(check_decimator(f, WATCH_CHECKS));
	assert_int_equal(f->supervisor.decimator[0].child.state,
	    CHILD_STOPPING);
	assert_false(f->channel.child.hung);
	take_decimator(f);
}

/* A ring that only seems to have something, or one that it has given up: it
 * lives as long as it answers. */
static void
hostile_page(void **state)
{
	struct fixture *f = *state;
	unsigned i, times = 0;

	give_decimator(f);
	receive_one(f, true);
	for (i = 0; i < 10 * WATCH_CHECKS; i++) {
		assert_false(check_decimator(f, 1));
		if (asked(f)) {
			answer(f);
			times++;
		}
	}
	assert_in_range(times, 9, 10);
	take_decimator(f);
}

/* One that owes another answer hangs as well, whatever its page says. */
static void
channel_not_let_go(void **state)
{
	struct fixture *f = *state;

	give_decimator(f);
	decimator_give(&f->channel, NULL);
	assert_int_equal(f->supervisor.decimator[0].answers, 1);
	decimate_all(f);
	assert_false(check_decimator(f, WATCH_CHECKS - 1));
	assert_true(check_decimator(f, 1));
	take_decimator(f);
}

#define WATCH_TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WATCH_TEST(idle_is_not_hung),
		WATCH_TEST(input_waits),
		WATCH_TEST(output_waits),
		WATCH_TEST(output_cannot),
		WATCH_TEST(gate_is_closed),
		WATCH_TEST(archive_is_stuck),
		WATCH_TEST(unreadable_is_spared),
		WATCH_TEST(only_running),
		WATCH_TEST(idle_decimator),
		WATCH_TEST(silent_decimator),
		WATCH_TEST(hostile_page),
		WATCH_TEST(channel_not_let_go),
	};

	log_init("test_watch", NULL, LOG_TARGET_STDERR, LOG_EMERG);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
