/* SPDX-License-Identifier: ISC */
/*
 * The states of a supervised child, with real processes in the real event
 * loop.
 */
#include <ev.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/log.h"
#include "common/util.h"
#include "tests/unit/child_rig.h"

static void
child_runs_and_stops(void **state)
{
	struct child_rig *f = *state;

	child_rig_begin(f, SAY_READY);
	assert_int_equal(f->child.state, CHILD_STARTING);
	child_rig_wait(f, CHILD_RUNNING);
	assert_true(f->child.settled);
	child_start(&f->child);
	assert_int_equal(f->child.spawns, 1);
	child_stop(&f->child);
	assert_int_equal(f->child.state, CHILD_STOPPING);
	child_rig_wait(f, CHILD_STOPPED);
	assert_int_equal(f->ended, 1);
	assert_string_equal(f->child.last_exit, "exited with status 0");
	assert_int_equal(f->child.messages, -1);
	assert_int_equal(child_restarts(&f->child), 0);
}

/* It had said in time that it is up; only we were late. */
static void
child_was_ready_in_time(void **state)
{
	struct child_rig *f = *state;
	struct pollfd said = {.events = POLLIN};

	child_rig_begin(f, SAY_READY);
	said.fd = f->child.messages;
	assert_int_equal(poll(&said, 1, DEADLINE_NS / NS_PER_MS), 1);
	child_rig_hurry(f);
	child_rig_wait(f, CHILD_RUNNING);
	child_stop(&f->child);
	child_rig_wait(f, CHILD_STOPPED);
	assert_string_equal(f->child.last_exit, "exited with status 0");
}

/* The time of one that is asked to do something is over, and it was we who
 * looked too late: for a while nothing got on. */
static void
wait_in_vain(struct child_rig *f, enum child_state state, uint64_t time_ns)
{
	assert_int_equal(f->child.state, state);
	f->child.due_ns = clock_monotonic_ns() - CHILD_LATE_NS;
	child_rig_hurry(f);
	ev_run(f->child.loop, EVRUN_ONCE);
	assert_int_equal(f->child.state, state);
	assert_false(f->child.overdue);
	assert_true(ev_timer_remaining(f->child.loop, &f->child.timer) >
	    (double)(time_ns - NS_PER_S) / (double)NS_PER_S);
	/* Then nothing has stood still. */
	f->child.due_ns = clock_monotonic_ns();
	child_rig_hurry(f);
}

static void
child_stood_still_as_we(void **state)
{
	struct child_rig *f = *state;

	child_rig_begin(f, SAY_RUBBISH);
	while (ev_is_active(&f->child.io))
		ev_run(f->child.loop, EVRUN_ONCE);
	f->script = HANG;
	wait_in_vain(f, CHILD_STARTING, CHILD_START_NS);
	child_rig_wait(f, CHILD_BACKOFF);
	assert_string_equal(f->child.last_exit,
	    "was killed by signal 9 (Killed)");
	child_rig_wait(f, CHILD_RUNNING);
	child_stop(&f->child);
	wait_in_vain(f, CHILD_STOPPING, CHILD_STOP_NS);
	child_rig_wait(f, CHILD_STOPPED);
	assert_string_equal(f->child.last_exit,
	    "was killed by signal 9 (Killed)");
}

static void
child_killed_has_successor(void **state)
{
	struct child_rig *f = *state;
	pid_t first;

	child_rig_begin(f, SAY_READY);
	child_rig_wait(f, CHILD_RUNNING);
	first = f->child.pid;
	child_signal(&f->child, SIGKILL);
	child_rig_wait(f, CHILD_BACKOFF);
	assert_string_equal(f->child.last_exit,
	    "was killed by signal 9 (Killed)");
	child_rig_wait(f, CHILD_RUNNING);
	assert_int_not_equal(f->child.pid, first);
	assert_int_equal(child_restarts(&f->child), 1);
	assert_int_equal(f->child.deaths.signalled, 1);
}

/* One message at a time, and none any more after one it should not send. */
static void
child_is_listened_to(void **state)
{
	struct child_rig *f = *state;

	child_rig_ops.message = child_rig_heard;
	child_rig_begin(f, TALK);
	child_rig_wait(f, CHILD_RUNNING);
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
	struct child_rig *f = *state;

	child_rig_begin(f, TALK);
	child_rig_wait(f, CHILD_RUNNING);
	while (ev_is_active(&f->child.timer))
		ev_run(f->child.loop, EVRUN_ONCE);
	assert_false(ev_is_active(&f->child.io));
}

static void
child_restarts_on_request(void **state)
{
	struct child_rig *f = *state;

	child_rig_begin(f, SAY_READY);
	child_rig_wait(f, CHILD_RUNNING);
	child_restart(&f->child, false);
	assert_int_equal(f->child.state, CHILD_STOPPING);
	/* Asked for by somebody: no back-off, however young it was. */
	child_rig_wait(f, CHILD_STARTING);
	child_rig_wait(f, CHILD_RUNNING);
	assert_int_equal(f->child.spawns, 2);
	assert_int_equal(f->child.backoff.failures, 0);
}

static void
child_drains(void **state)
{
	struct child_rig *f = *state;

	child_rig_ops.drained = child_rig_drained;
	f->drained = true;
	child_rig_begin(f, SAY_READY);
	child_rig_wait(f, CHILD_RUNNING);
	child_restart(&f->child, true);
	child_rig_wait(f, CHILD_STARTING);
	assert_string_equal(f->child.last_exit, "exited with status 10");
	child_rig_wait(f, CHILD_RUNNING);
	child_stop(&f->child);
	child_rig_wait(f, CHILD_STOPPED);
	assert_string_equal(f->child.last_exit, "exited with status 10");
	assert_int_equal(f->ended_again, 0);
}

/* One that dies over storing everything is followed by one that is asked the
 * same, and only then by what was wanted. */
static void
child_drains_again(void **state)
{
	struct child_rig *f = *state;

	child_rig_ops.drained = child_rig_drained;
	child_rig_begin(f, DIE_DRAINING);
	child_rig_wait(f, CHILD_RUNNING);
	child_stop(&f->child);
	while (f->ended < 1)
		ev_run(f->child.loop, EVRUN_ONCE);
	assert_int_equal(f->ended_again, 1);
	assert_int_equal(f->child.state, CHILD_STOPPING);
	assert_true(f->child.draining);
	assert_int_equal(f->child.deaths.exited, 1);
	f->drained = true;
	child_rig_wait(f, CHILD_STOPPED);
	assert_int_equal(f->asked, 2);
	assert_int_equal(f->ended_again, 1);
	assert_int_equal(f->child.drains, 1);
}

/* But not for ever. */
static void
child_gives_up_draining(void **state)
{
	struct child_rig *f = *state;

	child_rig_ops.drained = child_rig_drained;
	child_rig_begin(f, DIE_DRAINING);
	child_rig_wait(f, CHILD_RUNNING);
	child_restart(&f->child, true);
	while (f->ended < CHILD_DRAINS_MAX)
		ev_run(f->child.loop, EVRUN_ONCE);
	assert_int_equal(f->ended_again, CHILD_DRAINS_MAX - 1);
	assert_false(f->child.drain_only);
	child_rig_wait(f, CHILD_RUNNING);
	assert_int_equal(f->asked, CHILD_DRAINS_MAX + 1);
	assert_int_equal(f->child.drains, 0);
	f->drained = true;
}

/* What one that died of itself has left is stored first, too. */
static void
child_drains_after_death(void **state)
{
	struct child_rig *f = *state;

	child_rig_ops.drained = child_rig_drained;
	child_rig_begin(f, EXIT_YOUNG);
	child_rig_wait(f, CHILD_BACKOFF);
	f->script = SAY_READY;
	f->drained = true;
	child_drain(&f->child);
	assert_int_equal(f->child.state, CHILD_STOPPING);
	child_restart(&f->child, true);
	child_rig_wait(f, CHILD_STARTING);
	assert_string_equal(f->child.last_exit, "exited with status 10");
	child_rig_wait(f, CHILD_RUNNING);
	assert_int_equal(f->asked, 3);
}

static void
child_is_aborted(void **state)
{
	struct child_rig *f = *state;

	child_rig_begin(f, SAY_READY);
	child_rig_wait(f, CHILD_RUNNING);
	/* A stopped process would not notice ABRT alone. */
	child_signal(&f->child, SIGSTOP);
	child_abort(&f->child);
	assert_int_equal(f->child.state, CHILD_STOPPING);
	child_rig_wait(f, CHILD_STARTING);
	assert_non_null(strstr(f->child.last_exit,
	    "was killed by signal 6 (Aborted)"));
	child_rig_wait(f, CHILD_RUNNING);
	assert_int_equal(f->child.deaths.hung, 1);
	assert_int_equal(f->child.deaths.signalled, 0);
	/* No back-off: it had hung for long enough. */
	assert_int_equal(f->child.backoff.failures, 0);
}

static void
child_hangs_for_good(void **state)
{
	struct child_rig *f = *state;
	uint64_t before;

	child_rig_begin(f, HANG);
	child_rig_wait(f, CHILD_RUNNING);
	before = clock_monotonic_ns();
	child_abort(&f->child);
	f->script = SAY_READY;
	child_rig_wait(f, CHILD_STARTING);
	assert_true(clock_monotonic_ns() - before >= CHILD_ABORT_NS);
	assert_string_equal(f->child.last_exit,
	    "was killed by signal 9 (Killed)");
	child_rig_wait(f, CHILD_RUNNING);
	assert_int_equal(f->child.deaths.hung, 1);
}

static void
child_backs_off(void **state)
{
	struct child_rig *f = *state;
	uint64_t before;

	child_rig_begin(f, EXIT_YOUNG);
	child_rig_wait(f, CHILD_BACKOFF);
	assert_string_equal(f->child.last_exit, "exited with status 3");
	before = clock_monotonic_ns();
	child_rig_wait(f, CHILD_STARTING);
	assert_true(clock_monotonic_ns() - before > 90 * NS_PER_MS);
	child_rig_wait(f, CHILD_BACKOFF);
	assert_int_equal(f->child.backoff.failures, 2);
	/* Who is asked to start does not wait, and has a clean slate. */
	child_rig_begin(f, SAY_READY);
	assert_int_equal(f->child.state, CHILD_STARTING);
	child_rig_wait(f, CHILD_RUNNING);
	assert_int_equal(f->child.backoff.failures, 0);
}

static void
child_stops_in_backoff(void **state)
{
	struct child_rig *f = *state;

	child_rig_begin(f, EXIT_YOUNG);
	child_rig_wait(f, CHILD_BACKOFF);
	child_stop(&f->child);
	assert_int_equal(f->child.state, CHILD_STOPPED);
	assert_false(ev_is_active(&f->child.timer));
}

static void
child_fails_for_good(void **state)
{
	struct child_rig *f = *state;

	child_rig_begin(f, EXIT_CONFIG);
	child_rig_wait(f, CHILD_FAILED);
	assert_false(ev_is_active(&f->child.timer));
	f->script = SAY_READY;
	child_restart(&f->child, true);
	child_rig_wait(f, CHILD_RUNNING);
}

static void
child_cannot_be_spawned(void **state)
{
	struct child_rig *f = *state;

	child_rig_begin(f, CANNOT_START);
	assert_int_equal(f->child.state, CHILD_BACKOFF);
	assert_int_equal(f->child.messages, -1);
	f->script = SAY_READY;
	child_rig_wait(f, CHILD_RUNNING);
	assert_int_equal(f->asked, 2);
	assert_int_equal(f->child.spawns, 1);
}

static void
child_talks_rubbish(void **state)
{
	struct child_rig *f = *state;

	child_rig_begin(f, SAY_RUBBISH);
	while (ev_is_active(&f->child.io))
		ev_run(f->child.loop, EVRUN_ONCE);
	assert_int_equal(f->child.state, CHILD_STARTING);
	/* Not yet ready, it can be told to end all the same. */
	child_stop(&f->child);
	child_rig_wait(f, CHILD_STOPPED);
}

static void
exits_are_described(void **state ATTR_UNUSED)
{
	char text[128];
	int status;

	status = 7 << 8;
	child_describe_exit(status, text, sizeof(text));
	assert_string_equal(text, "exited with status 7");
	status = SIGSEGV | 0x80;
	child_describe_exit(status, text, sizeof(text));
	assert_string_equal(text, "was killed by signal 11 (Segmentation "
	    "fault), core dumped");
}

#define CHILD_TEST(name) \
	cmocka_unit_test_setup_teardown(name, child_rig_setup, \
	    child_rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CHILD_TEST(child_runs_and_stops),
		CHILD_TEST(child_was_ready_in_time),
		CHILD_TEST(child_stood_still_as_we),
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
