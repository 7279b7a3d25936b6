/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-decimator as a process: what the supervisor says over descriptor 3,
 * datums in, reduced datums out, and when it sleeps.
 */
#include <sys/socket.h>
#include <sys/wait.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/datum.h"
#include "common/ring.h"
#include "schema/schema.h"
#include "common/util.h"
#include "tests/unit/decimator_process.h"
#include "tests/unit/reader_support.h"

#define RING_SIZE	(256U * 1024)
struct fixture {
	struct fake_worker	w;
	struct sink		sink[2];
	struct message	message;
	pid_t			pid;
	int			control;
};

/* A record with one long: the datum is the long's varint. */
static const char	schema[] = "{\"type\": \"record\", \"name\": \"R\", "
			    "\"fields\": [{\"name\": \"v\", "
			    "\"type\": \"long\"}]}";

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct schema_result result;
	unsigned i;

	assert_true(schema_compile(schema, strlen(schema), NULL, &result));
	fake_open(&f->w, RING_SIZE, result.program, result.program_size,
	    NULL);
	schema_result_free(&result);
	for (i = 0; i < NITEMS(f->sink); i++)
		sink_open(&f->sink[i]);
	message_init(&f->message, "accel");
	message_add(&f->message, "mean", METHOD_MEAN, 4, 0);
	message_add(&f->message, "peaks", METHOD_MINMAX, 4, 1);
	f->pid = decimator_start(&f->control);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	unsigned i;

	if (f->pid != 0) {
		kill(f->pid, SIGKILL);
		decimator_reap(&f->pid);
	}
	close(f->control);
	for (i = 0; i < NITEMS(f->sink); i++)
		sink_close(&f->sink[i]);
	fake_close(&f->w);
	free(f);
	return 0;
}

static void
send_reader(struct fixture *f, const struct message *message,
    const struct fake_worker *w, const struct sink *sinks)
{
	int fds[FD_SLOTS];
	size_t count = message_fds(message, w, sinks, fds);

	assert_int_equal(fd_send(f->control, message, sizeof(*message), fds,
	    count), sizeof(*message));
	reader_close_fds(fds, count);
}

/* One datagram with these datums. */
static void
put_longs(struct fake_worker *w, const int64_t *values, unsigned count)
{
	uint8_t data[10 * DATUM_LONG_SIZE_MAX];
	size_t size = 0;
	unsigned i;

	assert_true(count <= 10);
	for (i = 0; i < count; i++)
		size += datum_put_long(data + size, values[i]);
	fake_put(w, data, (uint32_t)size, 0);
}

/* The next output datagram must be this datum. */
static void
expect_long(struct sink *sink, int64_t expected)
{
	uint8_t data[100];
	const uint8_t *at = data;
	ssize_t got = sink_wait(sink, data, sizeof(data));
	int64_t value;

	assert_true(got > 0);
	assert_int_equal(datum_get_long(&at, data + got, &value), DATUM_OK);
	assert_ptr_equal(at, data + got);
	assert_int_equal(value, expected);
}

static void
wait_idle(const struct fake_worker *w)
{
	WAIT_FOR(atomic_load(&w->segment.page->wake_at) == w->head + 1);
}

static void
reduces_datums(void **state)
{
	struct fixture *f = *state;
	struct stream_counts counts;

	send_reader(f, &f->message, &f->w, f->sink);
	put_longs(&f->w, (int64_t[]){10, -20}, 2);
	/* Not a datum: an endless varint; and a datum with half another. */
	fake_put(&f->w, "\xff\xff\xff", 3, 0);
	fake_put(&f->w, "\x02\x80", 2, 0);
	put_longs(&f->w, (int64_t[]){30, 100, 1, 2, 3}, 5);
	expect_long(&f->sink[0], 30);
	expect_long(&f->sink[1], -20);
	expect_long(&f->sink[1], 100);
	put_longs(&f->w, (int64_t[]){4}, 1);
	expect_long(&f->sink[0], 3);
	expect_long(&f->sink[1], 1);
	expect_long(&f->sink[1], 4);
	wait_idle(&f->w);
	counts = fake_counts(&f->w, 1);
	assert_int_equal(counts.in, 5);
	assert_int_equal(counts.out, 4);
	assert_int_equal(counts.missed, 0);
	assert_int_equal(counts.errors, 0);
}

/* A gap drops the window under way in the reducer, too. */
static void
gap_drops_the_window(void **state)
{
	struct fixture *f = *state;
	unsigned i;
	int status;

	put_longs(&f->w, (int64_t[]){1000000}, 1);
	send_reader(f, &f->message, &f->w, f->sink);
	wait_idle(&f->w);
	assert_int_equal(fake_counts(&f->w, 0).in, 1);
	kill(f->pid, SIGSTOP);
	assert_int_equal(waitpid(f->pid, &status, WUNTRACED), f->pid);
	assert_true(WIFSTOPPED(status));
	for (i = 0; i < 4 * RING_SIZE / 56; i++)
		put_longs(&f->w, (int64_t[]){5}, 1);
	kill(f->pid, SIGCONT);
	wait_idle(&f->w);
	assert_true(fake_counts(&f->w, 0).missed > 2 * RING_SIZE / 56);
	assert_int_equal(fake_counts(&f->w, 0).in +
	    fake_counts(&f->w, 0).missed, f->w.sequence);
	expect_long(&f->sink[0], 5);
	expect_long(&f->sink[1], 5);
}

/*
 * No traffic, no wake-ups: watched for 300 ms, sixty times the pace.  One
 * switch may still be under way when it is first seen asleep.
 */
static void
idle_costs_nothing(void **state)
{
	static const char key[] = "voluntary_ctxt_switches:";
	struct fixture *f = *state;
	struct pollfd nothing = {.fd = f->control, .events = POLLIN};
	long before;

	send_reader(f, &f->message, &f->w, f->sink);
	put_longs(&f->w, (int64_t[]){1, 1, 1, 1}, 4);
	expect_long(&f->sink[0], 1);
	wait_idle(&f->w);
	WAIT_FOR(process_fact(f->pid, "State:") == 'S');
	before = process_fact(f->pid, key);
	assert_int_equal(poll(&nothing, 1, 300), 0);
	assert_in_range(process_fact(f->pid, key), before, before + 1);
	assert_true(f->w.wakes <= 1);
}

/* A channel with traffic does not cost its worker a wake-up per batch. */
static void
traffic_wakes_seldom(void **state)
{
	struct fixture *f = *state;
	uint64_t until;
	unsigned records = 0;

	send_reader(f, &f->message, &f->w, f->sink);
	wait_idle(&f->w);
	until = clock_monotonic_ns() + 200 * NS_PER_MS;
	while (clock_monotonic_ns() < until) {
		put_longs(&f->w, (int64_t[]){1}, 1);
		records++;
		usleep(50);
	}
	assert_true(f->w.wakes >= 1);
	assert_true(f->w.wakes < records / 10);
}

/*** What the supervisor says. ***/

static void
forget_forgets_the_channel(void **state)
{
	struct fixture *f = *state;
	unsigned before = process_fds(f->pid);
	struct message forget;

	send_reader(f, &f->message, &f->w, f->sink);
	wait_idle(&f->w);
	assert_int_equal(process_fds(f->pid), before + 3);
	message_init(&forget, "accel");
	forget.type = MESSAGE_FORGET;
	assert_int_equal(fd_send(f->control, &forget, sizeof(forget), NULL, 0),
	    sizeof(forget));
	WAIT_FOR(atomic_load(&f->w.segment.page->wake_at) == RING_WAKE_NEVER);
	WAIT_FOR(process_fds(f->pid) == before);
	/* And again, for a channel that it does not have. */
	assert_int_equal(fd_send(f->control, &forget, sizeof(forget), NULL, 0),
	    sizeof(forget));
	send_reader(f, &f->message, &f->w, f->sink);
	wait_idle(&f->w);
}

static void
odd_messages_are_left_out(void **state)
{
	struct fixture *f = *state;
	unsigned before = process_fds(f->pid);
	struct message odd = f->message;
	int fds[FD_SLOTS];
	size_t count;

	count = message_fds(&odd, &f->w, f->sink, fds);
	assert_int_equal(fd_send(f->control, &odd, 10, fds, count), 10);
	assert_int_equal(fd_send(f->control, &odd, sizeof(odd), fds, 1),
	    sizeof(odd));
	odd.type = 12345;
	assert_int_equal(fd_send(f->control, &odd, sizeof(odd), fds, count),
	    sizeof(odd));
	odd.type = MESSAGE_LOG_LEVEL;
	assert_int_equal(fd_send(f->control, &odd, sizeof(odd), NULL, 0),
	    sizeof(odd));
	/* A ring in an eventfd. */
	odd.type = MESSAGE_SERVE;
	assert_int_equal(dup2(fds[READER_FD_EVENT], fds[READER_FD_SEGMENT]),
	    fds[READER_FD_SEGMENT]);
	assert_int_equal(fd_send(f->control, &odd, sizeof(odd), fds, count),
	    sizeof(odd));
	reader_close_fds(fds, count);
	send_reader(f, &f->message, &f->w, f->sink);
	wait_idle(&f->w);
	assert_int_equal(process_fds(f->pid), before + 3);
}

static void
ends_with_the_supervisor(void **state)
{
	struct fixture *f = *state;
	int status;

	send_reader(f, &f->message, &f->w, f->sink);
	close(f->control);
	status = decimator_reap(&f->pid);
	f->control = -1;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
ends_on_term(void **state)
{
	struct fixture *f = *state;
	int status;

	send_reader(f, &f->message, &f->w, f->sink);
	wait_idle(&f->w);
	/* Not on these. */
	kill(f->pid, SIGINT);
	kill(f->pid, SIGHUP);
	put_longs(&f->w, (int64_t[]){1, 1, 1, 1}, 4);
	expect_long(&f->sink[0], 1);
	kill(f->pid, SIGTERM);
	status = decimator_reap(&f->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(atomic_load(&f->w.segment.page->wake_at),
	    RING_WAKE_NEVER);
}

static void
killed_one_has_a_successor(void **state)
{
	struct fixture *f = *state;
	int64_t i;

	send_reader(f, &f->message, &f->w, f->sink);
	for (i = 0; i < 5; i++)
		put_longs(&f->w, &i, 1);
	wait_idle(&f->w);
	kill(f->pid, SIGKILL);
	assert_true(WIFSIGNALED(decimator_reap(&f->pid)));
	close(f->control);
	for (i = 5; i < 10; i++)
		put_longs(&f->w, &i, 1);
	f->pid = decimator_start(&f->control);
	send_reader(f, &f->message, &f->w, f->sink);
	wait_idle(&f->w);
	expect_long(&f->sink[0], 2);	/* 1.5, half away from zero */
	expect_long(&f->sink[0], 7);	/* 6.5 */
	assert_int_equal(fake_counts(&f->w, 0).in, 10);
	assert_int_equal(fake_counts(&f->w, 0).out, 2);
	assert_int_equal(fake_counts(&f->w, 0).missed, 0);
}

/*** Many channels. ***/

struct flood {
	struct fake_worker	*w;
	_Atomic bool		 stop;
};

static void *
flood(void *argument)
{
	struct flood *flood = argument;

	while (!atomic_load(&flood->stop))
		fake_put_numbers(flood->w, 0, 100);
	return NULL;
}

#define CHANNELS	50

/* One floods its ring as fast as it can; the others get their turn. */
static void
flood_does_not_starve(void **state)
{
	struct fixture *f = *state;
	struct fake_worker *others = calloc(CHANNELS, sizeof(*others));
	struct message message;
	struct flood flooder;
	pthread_t thread;
	unsigned i, round;

	message_init(&message, "many");
	message_add(&message, "view", METHOD_PICK, 1, 0);
	for (i = 0; i < CHANNELS; i++) {
		fake_open(&others[i], RING_SIZE, NULL, 0, NULL);
		message.channel = 100 + i;
		send_reader(f, &message, &others[i], f->sink);
		wait_idle(&others[i]);
	}
	flooder = (struct flood){.w = &others[0]};
	/* What the flood brings goes elsewhere, and little of it. */
	message.channel = 100;
	message.stream[0].every = 1000000;
	send_reader(f, &message, &others[0], &f->sink[1]);
	assert_int_equal(pthread_create(&thread, NULL, flood, &flooder), 0);
	for (round = 0; round < 20; round++) {
		for (i = 1; i < CHANNELS; i++)
			fake_put_numbers(&others[i], i, 1);
		for (i = 1; i < CHANNELS; i++) {
			uint8_t data[NUMBERED_SIZE];

			sink_wait(&f->sink[0], data, sizeof(data));
		}
	}
	atomic_store(&flooder.stop, true);
	pthread_join(thread, NULL);
	wait_idle(&others[0]);
	for (i = 1; i < CHANNELS; i++)
		assert_int_equal(fake_counts(&others[i], 0).out, 20);
	for (i = 0; i < CHANNELS; i++)
		fake_close(&others[i]);
	free(others);
}

int
main(void)
{
#define TEST(f)		cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(reduces_datums),
		TEST(gap_drops_the_window),
		TEST(idle_costs_nothing),
		TEST(traffic_wakes_seldom),
		TEST(forget_forgets_the_channel),
		TEST(odd_messages_are_left_out),
		TEST(ends_with_the_supervisor),
		TEST(ends_on_term),
		TEST(killed_one_has_a_successor),
		TEST(flood_does_not_starve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
