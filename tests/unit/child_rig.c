/* SPDX-License-Identifier: ISC */
/*
 * A supervised child that follows a script, and the loop it is supervised in.
 * Tests only.
 */
#include <sys/socket.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/message.h"
#include "tests/unit/child_rig.h"

static volatile sig_atomic_t	terminated;

static void
on_term(int sig ATTR_UNUSED)
{
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
run_script(enum child_script script, int messages)
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
spawn(void *owner, int messages, int stderr_fd ATTR_UNUSED)
{
	struct child_rig *f = owner;
	pid_t pid;

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
	struct child_rig *f = owner;

	assert_int_equal(f->child.pid, 0);
	f->ended++;
	f->ended_again += f->child.drain_only;
}

bool
child_rig_drained(void *owner)
{
	struct child_rig *f = owner;

	return f->drained;
}

static void
changed(void *owner)
{
	struct child_rig *f = owner;

	ev_break(f->child.loop, EVBREAK_ALL);
}

static void
last_words(void *owner ATTR_UNUSED, char *text, size_t size)
{
	snprintf(text, size, "farewell");
}

enum child_said
child_rig_heard(void *owner, const struct message *message)
{
	struct child_rig *f = owner;

	assert_int_equal(message->type, MESSAGE_DIRECTORY_GONE);
	if (f->heard < NITEMS(f->heard_ns))
		f->heard_ns[f->heard] = clock_monotonic_ns();
	return ++f->heard <= NITEMS(f->heard_ns) ? CHILD_SAID_NEWS :
	    CHILD_SAID_NONSENSE;
}

struct child_ops	child_rig_ops = {
	.spawn = spawn,
	.ended = ended,
	.changed = changed,
	.last_words = last_words,
};

static void
give_up(struct ev_loop *loop, ev_timer *timer, int events ATTR_UNUSED)
{
	*(bool *)timer->data = true;
	ev_break(loop, EVBREAK_ALL);
}

void
child_rig_wait(struct child_rig *f, enum child_state state)
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

int
child_rig_setup(void **state)
{
	struct child_rig *f = xcalloc(1, sizeof(*f));

	child_rig_ops.drained = NULL;
	child_rig_ops.message = NULL;
	child_init(&f->child, ev_default_loop(0), &child_rig_ops, f, "test",
	    "program[test]");
	*state = f;
	return 0;
}

int
child_rig_teardown(void **state)
{
	struct child_rig *f = *state;

	child_stop(&f->child);
	child_rig_wait(f, CHILD_STOPPED);
	child_done(&f->child);
	free(f);
	return 0;
}

void
child_rig_begin(struct child_rig *f, enum child_script script)
{
	f->script = script;
	child_start(&f->child);
}

void
child_rig_hurry(struct child_rig *f)
{
	ev_timer_stop(f->child.loop, &f->child.timer);
	ev_timer_set(&f->child.timer, 0., 0.);
	ev_timer_start(f->child.loop, &f->child.timer);
}
