/* SPDX-License-Identifier: ISC */
/*
 * The states of a supervised child, with real processes in the real event
 * loop.
 */
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <ev.h>
#include <poll.h>
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
#include "supervisor/child.h"

#define DEADLINE_NS	(20 * NS_PER_S)

enum script {
	SAY_READY,	/* then wait for TERM, MESSAGE_STOP or the end */
	EXIT_YOUNG,	/* status 3 */
	EXIT_CONFIG,	/* status 78 */
	SAY_RUBBISH,	/* then wait */
	TALK,		/* say ready and much more, then wait */
	DIE_DRAINING,	/* say ready; status 4 instead of storing */
	HANG,		/* say ready, then ignore everything but KILL */
	CANNOT_START,
};

struct fixture {
	struct child	child;
	enum script	script;
	pid_t		last_pid;
	unsigned	ended;
	unsigned	asked;		/* spawns, also those that failed */
	unsigned	ended_again;	/* with only the rest to follow */
	bool		drained;
	unsigned	heard;
	uint64_t	heard_ns[2];	/* CLOCK_MONOTONIC */
};

static volatile sig_atomic_t	terminated;

static void
on_term(int sig)
{
	(void)sig;
	terminated = 1;
}

/* TERM: status 0.  MESSAGE_STOP: status 10.  Supervisor gone: status 11. */
static _Noreturn void
wait_for_orders(int messages)
{
	struct message message;
	ssize_t got;

	while (!terminated) {
		got = recv(messages, &message, sizeof(message), 0);
		if (got == 0)
			_exit(11);
		if (got == sizeof(message) && message.type == MESSAGE_STOP)
			_exit(10);
	}
	_exit(0);
}

static _Noreturn void
run_script(enum script script, int messages)
{
	struct sigaction action = {.sa_handler = on_term};
	struct message message;
	unsigned i;

	sigaction(SIGTERM, &action, NULL);
	memset(&message, 0, sizeof(message));
	message.type = MESSAGE_READY;
	switch (script) {
	case EXIT_YOUNG:
		_exit(3);
	case EXIT_CONFIG:
		_exit(WORKER_EXIT_CONFIG);
	case SAY_RUBBISH:
		send(messages, &message, 17, 0);
		break;
	case TALK:
		send(messages, &message, sizeof(message), 0);
		message.type = MESSAGE_DIRECTORY_GONE;
		for (i = 0; i < 5; i++)
			send(messages, &message, sizeof(message), 0);
		break;
	case DIE_DRAINING:
		send(messages, &message, sizeof(message), 0);
		recv(messages, &message, sizeof(message), 0);
		_exit(4);
	case HANG:
		signal(SIGABRT, SIG_IGN);
		signal(SIGTERM, SIG_IGN);
		send(messages, &message, sizeof(message), 0);
		for (;;)
			pause();
	case SAY_READY:
	case CANNOT_START:
		send(messages, &message, sizeof(message), 0);
		break;
	}
	wait_for_orders(messages);
}

static pid_t
spawn(void *owner, int messages, int stderr_fd)
{
	struct fixture *f = owner;
	pid_t pid;

	(void)stderr_fd;
	f->asked++;
	/* Never two at a time: the one before has been reaped. */
	if (f->last_pid != 0) {
		assert_int_equal(kill(f->last_pid, 0), -1);
		assert_int_equal(errno, ESRCH);
	}
	if (f->script == CANNOT_START)
		return -1;
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0)
		run_script(f->script, messages);
	f->last_pid = pid;
	return pid;
}

static void
ended(void *owner)
{
	struct fixture *f = owner;

	assert_int_equal(f->child.pid, 0);
	f->ended++;
	f->ended_again += f->child.drain_only;
}

static bool
drained(void *owner)
{
	struct fixture *f = owner;

	return f->drained;
}

static void
changed(void *owner)
{
	struct fixture *f = owner;

	ev_break(f->child.loop, EVBREAK_ALL);
}

static void
last_words(void *owner, char *text, size_t size)
{
	(void)owner;
	snprintf(text, size, "farewell");
}

/* What comes third should not have been sent. */
static enum child_said
heard(void *owner, const struct message *message)
{
	struct fixture *f = owner;

	assert_int_equal(message->type, MESSAGE_DIRECTORY_GONE);
	if (f->heard < NITEMS(f->heard_ns))
		f->heard_ns[f->heard] = clock_monotonic_ns();
	return ++f->heard <= NITEMS(f->heard_ns) ? CHILD_SAID_NEWS :
	    CHILD_SAID_NONSENSE;
}

static struct child_ops	ops = {
	.spawn = spawn,
	.ended = ended,
	.changed = changed,
	.last_words = last_words,
};

static void
give_up(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	*(bool *)timer->data = true;
	ev_break(loop, EVBREAK_ALL);
}

/* Runs the loop until the child is in that state. */
static void
wait_state(struct fixture *f, enum child_state state)
{
	bool late = false;
	ev_timer timer;

	ev_timer_init(&timer, give_up, (double)DEADLINE_NS / NS_PER_S, 0.);
	timer.data = &late;
	ev_now_update(f->child.loop);
	ev_timer_start(f->child.loop, &timer);
	while (f->child.state != state && !late)
		ev_run(f->child.loop, EVRUN_ONCE);
	ev_timer_stop(f->child.loop, &timer);
	assert_int_equal(f->child.state, state);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	ops.drained = NULL;
	ops.message = NULL;
	child_init(&f->child, ev_default_loop(0), &ops, f, "test",
	    "program[test]");
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	child_stop(&f->child);
	wait_state(f, CHILD_STOPPED);
	child_done(&f->child);
	free(f);
	return 0;
}

static void
begin(struct fixture *f, enum script script)
{
	f->script = script;
	child_start(&f->child);
}

static void
child_runs_and_stops(void **state)
{
	struct fixture *f = *state;

	begin(f, SAY_READY);
	assert_int_equal(f->child.state, CHILD_STARTING);
	wait_state(f, CHILD_RUNNING);
	assert_true(f->child.settled);
	child_start(&f->child);
	assert_int_equal(f->child.spawns, 1);
	child_stop(&f->child);
	assert_int_equal(f->child.state, CHILD_STOPPING);
	wait_state(f, CHILD_STOPPED);
	assert_int_equal(f->ended, 1);
	assert_string_equal(f->child.last_exit, "exited with status 0");
	assert_int_equal(f->child.messages, -1);
	assert_int_equal(child_restarts(&f->child), 0);
}

/* It had said in time that it is up; only we were late. */
static void
child_was_ready_in_time(void **state)
{
	struct fixture *f = *state;
	struct pollfd said = {.events = POLLIN};

	begin(f, SAY_READY);
	said.fd = f->child.messages;
	assert_int_equal(poll(&said, 1, DEADLINE_NS / NS_PER_MS), 1);
	ev_timer_stop(f->child.loop, &f->child.timer);
	ev_timer_set(&f->child.timer, 0., 0.);
	ev_timer_start(f->child.loop, &f->child.timer);
	wait_state(f, CHILD_RUNNING);
	child_stop(&f->child);
	wait_state(f, CHILD_STOPPED);
	assert_string_equal(f->child.last_exit, "exited with status 0");
}

static void
child_killed_has_successor(void **state)
{
	struct fixture *f = *state;
	pid_t first;

	begin(f, SAY_READY);
	wait_state(f, CHILD_RUNNING);
	first = f->child.pid;
	child_signal(&f->child, SIGKILL);
	wait_state(f, CHILD_BACKOFF);
	assert_string_equal(f->child.last_exit,
	    "was killed by signal 9 (Killed)");
	wait_state(f, CHILD_RUNNING);
	assert_int_not_equal(f->child.pid, first);
	assert_int_equal(child_restarts(&f->child), 1);
	assert_int_equal(f->child.deaths.signalled, 1);
}

/* One message at a time, and none any more after one it should not send. */
static void
child_is_listened_to(void **state)
{
	struct fixture *f = *state;

	ops.message = heard;
	begin(f, TALK);
	wait_state(f, CHILD_RUNNING);
	while (f->heard < 3)
		ev_run(f->child.loop, EVRUN_ONCE);
	assert_true(f->heard_ns[0] >= f->child.ready_ns + CHILD_DEAF_NS);
	assert_true(f->heard_ns[1] >= f->heard_ns[0] + CHILD_DEAF_NS);
	assert_false(ev_is_active(&f->child.io));
	assert_false(ev_is_active(&f->child.timer));
	assert_int_equal(f->child.state, CHILD_RUNNING);
}

/* Who has nothing to say is not listened to. */
static void
child_talks_to_nobody(void **state)
{
	struct fixture *f = *state;

	begin(f, TALK);
	wait_state(f, CHILD_RUNNING);
	while (ev_is_active(&f->child.timer))
		ev_run(f->child.loop, EVRUN_ONCE);
	assert_false(ev_is_active(&f->child.io));
}

static void
child_restarts_on_request(void **state)
{
	struct fixture *f = *state;

	begin(f, SAY_READY);
	wait_state(f, CHILD_RUNNING);
	child_restart(&f->child, false);
	assert_int_equal(f->child.state, CHILD_STOPPING);
	/* Asked for by somebody: no back-off, however young it was. */
	wait_state(f, CHILD_STARTING);
	wait_state(f, CHILD_RUNNING);
	assert_int_equal(f->child.spawns, 2);
	assert_int_equal(f->child.backoff.failures, 0);
}

static void
child_drains(void **state)
{
	struct fixture *f = *state;

	ops.drained = drained;
	f->drained = true;
	begin(f, SAY_READY);
	wait_state(f, CHILD_RUNNING);
	child_restart(&f->child, true);
	wait_state(f, CHILD_STARTING);
	assert_string_equal(f->child.last_exit, "exited with status 10");
	wait_state(f, CHILD_RUNNING);
	child_stop(&f->child);
	wait_state(f, CHILD_STOPPED);
	assert_string_equal(f->child.last_exit, "exited with status 10");
	assert_int_equal(f->ended_again, 0);
}

/* One that dies over storing everything is followed by one that is asked the
 * same, and only then by what was wanted. */
static void
child_drains_again(void **state)
{
	struct fixture *f = *state;

	ops.drained = drained;
	begin(f, DIE_DRAINING);
	wait_state(f, CHILD_RUNNING);
	child_stop(&f->child);
	while (f->ended < 1)
		ev_run(f->child.loop, EVRUN_ONCE);
	assert_int_equal(f->ended_again, 1);
	assert_int_equal(f->child.state, CHILD_STOPPING);
	assert_true(f->child.draining);
	assert_int_equal(f->child.deaths.exited, 1);
	f->drained = true;
	wait_state(f, CHILD_STOPPED);
	assert_int_equal(f->asked, 2);
	assert_int_equal(f->ended_again, 1);
	assert_int_equal(f->child.drains, 1);
}

/* But not for ever. */
static void
child_gives_up_draining(void **state)
{
	struct fixture *f = *state;

	ops.drained = drained;
	begin(f, DIE_DRAINING);
	wait_state(f, CHILD_RUNNING);
	child_restart(&f->child, true);
	while (f->ended < CHILD_DRAINS_MAX)
		ev_run(f->child.loop, EVRUN_ONCE);
	assert_int_equal(f->ended_again, CHILD_DRAINS_MAX - 1);
	assert_false(f->child.drain_only);
	wait_state(f, CHILD_RUNNING);
	assert_int_equal(f->asked, CHILD_DRAINS_MAX + 1);
	assert_int_equal(f->child.drains, 0);
	f->drained = true;
}

/* What one that died of itself has left is stored first, too. */
static void
child_drains_after_death(void **state)
{
	struct fixture *f = *state;

	ops.drained = drained;
	begin(f, EXIT_YOUNG);
	wait_state(f, CHILD_BACKOFF);
	f->script = SAY_READY;
	f->drained = true;
	child_drain(&f->child);
	assert_int_equal(f->child.state, CHILD_STOPPING);
	child_restart(&f->child, true);
	wait_state(f, CHILD_STARTING);
	assert_string_equal(f->child.last_exit, "exited with status 10");
	wait_state(f, CHILD_RUNNING);
	assert_int_equal(f->asked, 3);
}

static void
child_is_aborted(void **state)
{
	struct fixture *f = *state;

	begin(f, SAY_READY);
	wait_state(f, CHILD_RUNNING);
	/* A stopped process would not notice ABRT alone. */
	child_signal(&f->child, SIGSTOP);
	child_abort(&f->child);
	assert_int_equal(f->child.state, CHILD_STOPPING);
	wait_state(f, CHILD_STARTING);
	assert_non_null(strstr(f->child.last_exit,
	    "was killed by signal 6 (Aborted)"));
	wait_state(f, CHILD_RUNNING);
	assert_int_equal(f->child.deaths.hung, 1);
	assert_int_equal(f->child.deaths.signalled, 0);
	/* No back-off: it had hung for long enough. */
	assert_int_equal(f->child.backoff.failures, 0);
}

static void
child_hangs_for_good(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	begin(f, HANG);
	wait_state(f, CHILD_RUNNING);
	before = clock_monotonic_ns();
	child_abort(&f->child);
	f->script = SAY_READY;
	wait_state(f, CHILD_STARTING);
	assert_true(clock_monotonic_ns() - before >= CHILD_ABORT_NS);
	assert_string_equal(f->child.last_exit,
	    "was killed by signal 9 (Killed)");
	wait_state(f, CHILD_RUNNING);
	assert_int_equal(f->child.deaths.hung, 1);
}

static void
child_backs_off(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	begin(f, EXIT_YOUNG);
	wait_state(f, CHILD_BACKOFF);
	assert_string_equal(f->child.last_exit, "exited with status 3");
	before = clock_monotonic_ns();
	wait_state(f, CHILD_STARTING);
	assert_true(clock_monotonic_ns() - before > 90 * NS_PER_MS);
	wait_state(f, CHILD_BACKOFF);
	assert_int_equal(f->child.backoff.failures, 2);
	/* Who is asked to start does not wait, and has a clean slate. */
	begin(f, SAY_READY);
	assert_int_equal(f->child.state, CHILD_STARTING);
	wait_state(f, CHILD_RUNNING);
	assert_int_equal(f->child.backoff.failures, 0);
}

static void
child_stops_in_backoff(void **state)
{
	struct fixture *f = *state;

	begin(f, EXIT_YOUNG);
	wait_state(f, CHILD_BACKOFF);
	child_stop(&f->child);
	assert_int_equal(f->child.state, CHILD_STOPPED);
	assert_false(ev_is_active(&f->child.timer));
}

static void
child_fails_for_good(void **state)
{
	struct fixture *f = *state;

	begin(f, EXIT_CONFIG);
	wait_state(f, CHILD_FAILED);
	assert_false(ev_is_active(&f->child.timer));
	f->script = SAY_READY;
	child_restart(&f->child, true);
	wait_state(f, CHILD_RUNNING);
}

static void
child_cannot_be_spawned(void **state)
{
	struct fixture *f = *state;

	begin(f, CANNOT_START);
	assert_int_equal(f->child.state, CHILD_BACKOFF);
	assert_int_equal(f->child.messages, -1);
	f->script = SAY_READY;
	wait_state(f, CHILD_RUNNING);
	assert_int_equal(f->asked, 2);
	assert_int_equal(f->child.spawns, 1);
}

static void
child_talks_rubbish(void **state)
{
	struct fixture *f = *state;

	begin(f, SAY_RUBBISH);
	while (ev_is_active(&f->child.io))
		ev_run(f->child.loop, EVRUN_ONCE);
	assert_int_equal(f->child.state, CHILD_STARTING);
	/* Not yet ready, it can be told to end all the same. */
	child_stop(&f->child);
	wait_state(f, CHILD_STOPPED);
}

static void
exits_are_described(void **state)
{
	char text[128];
	int status;

	(void)state;
	status = 7 << 8;
	child_describe_exit(status, text, sizeof(text));
	assert_string_equal(text, "exited with status 7");
	status = SIGSEGV | 0x80;
	child_describe_exit(status, text, sizeof(text));
	assert_string_equal(text, "was killed by signal 11 (Segmentation "
	    "fault), core dumped");
}

#define CHILD_TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CHILD_TEST(child_runs_and_stops),
		CHILD_TEST(child_was_ready_in_time),
		CHILD_TEST(child_killed_has_successor),
		CHILD_TEST(child_is_listened_to),
		CHILD_TEST(child_talks_to_nobody),
		CHILD_TEST(child_restarts_on_request),
		CHILD_TEST(child_drains),
		CHILD_TEST(child_drains_again),
		CHILD_TEST(child_gives_up_draining),
		CHILD_TEST(child_drains_after_death),
		CHILD_TEST(child_is_aborted),
		CHILD_TEST(child_hangs_for_good),
		CHILD_TEST(child_backs_off),
		CHILD_TEST(child_stops_in_backoff),
		CHILD_TEST(child_fails_for_good),
		CHILD_TEST(child_cannot_be_spawned),
		CHILD_TEST(child_talks_rubbish),
		cmocka_unit_test(exits_are_described),
	};

	log_init("test_child", NULL, LOG_TARGET_STDERR, LOG_EMERG);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
