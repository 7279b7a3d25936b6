/* SPDX-License-Identifier: ISC */
/*
 * A child process that is kept running: states, deadlines, obituary,
 * back-off.  Supervisor only.  Knows nothing of channels; must not wait.
 */
#include <sys/socket.h>
#include <sys/wait.h>
#include <assert.h>
#include <bsd/stdlib.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/message.h"
#include "common/sandbox.h"
#include "common/util.h"
#include "supervisor/child.h"
#include "supervisor/child_priv.h"

static void	spawn(struct child *child);
static void	terminate(struct child *child, bool drain);

static void
set_timer(struct child *child, uint64_t ns)
{
	ev_timer_stop(child->loop, &child->timer);
	child->time_ns = ns;
	if (ns == 0)
		return;
	child->due_ns = clock_monotonic_ns() + ns;
	/* Relative to now, not to when this turn of the loop began. */
	ev_now_update(child->loop);
	ev_timer_set(&child->timer, (double)ns / (double)NS_PER_S, 0.);
	ev_timer_start(child->loop, &child->timer);
}

void
child_set_state(struct child *child, enum child_state state, uint64_t timer_ns)
{
	child->state = state;
	set_timer(child, timer_ns);
	if (state != CHILD_STARTING && state != CHILD_STOPPING)
		child->settled = true;
	child->ops->changed(child->owner);
}

void
child_close_messages(struct child *child)
{
	ev_io_stop(child->loop, &child->io);
	if (child->messages != -1)
		close(child->messages);
	child->messages = -1;
}

static void
back_off(struct child *child, uint64_t delay_ns)
{
	if (delay_ns == 0) {
		spawn(child);
		return;
	}
	log_warnx("%s: next start in %" PRIu64 " ms", child->label,
	    delay_ns / NS_PER_MS);
	child_set_state(child, CHILD_BACKOFF, delay_ns);
}

static bool
unusable(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_CONFIG;
}

/* What follows a child that has ended of itself. */
static void
succeed(struct child *child, int status, uint64_t up_ns)
{
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (unusable(status)) {
		log_warnx("%s: cannot use its configuration and is not "
		    "started again; change it and reload", child->label);
		child_set_state(child, CHILD_FAILED, 0);
		return;
	}
	back_off(child, backoff_delay_ns(&child->backoff, up_ns, clean,
	    arc4random()));
}

/*
 * Whether the process leaves behind what it was to store, and another one is
 * to do it.  Not at the end of everything, when it was too slow already.
 */
static bool
drain_failed(struct child *child, int status)
{
	if (!child->draining || child->ops->drained == NULL ||
	    (child->overdue && !child->wanted) || unusable(status) ||
	    child->ops->drained(child->owner))
		return false;
	child->drains++;
	log_warnx("%s: it had not stored everything: %s", child->label,
	    child->drains < CHILD_DRAINS_MAX ? "a successor does" :
	    "that is given up");
	return child->drains < CHILD_DRAINS_MAX;
}

/* There is no process any more, or only others have a part of it. */
static void
gone(struct child *child, int status, bool part)
{
	uint64_t now = clock_monotonic_ns(), up_ns;
	bool asked = child->state == CHILD_STOPPING;

	ev_child_stop(child->loop, &child->reaper);
	child_close_messages(child);
	set_timer(child, 0);
	voice_end(&child->voice);
	child_bury(child, status, part, now);
	up_ns = child->ready_ns == 0 ? 0 : now - child->ready_ns;
	child->pid = 0;
	child->stuck = false;
	child->ready_ns = 0;
	child->gone_ns = child->wanted ? now : 0;
	child->drain_only = asked && drain_failed(child, status);
	child->ops->ended(child->owner);
	if (child->drain_only)
		spawn(child);
	else if (!child->wanted)
		child_set_state(child, CHILD_STOPPED, 0);
	else if (asked)
		spawn(child);
	else
		succeed(child, status, up_ns);
}

static void
on_reaped(struct ev_loop *loop ATTR_UNUSED, ev_child *watcher,
    int events ATTR_UNUSED)
{
	gone(watcher->data, watcher->rstatus, false);
}

static void
on_ready(struct child *child, const struct message *message)
{
	child->ready_ns = clock_monotonic_ns();
	if (child->gone_ns != 0)
		child->away_ns = child->ready_ns - child->gone_ns;
	child->gone_ns = 0;
	child->sandbox = message->sandbox & SANDBOX_ALL;
	log_info("%s: process %d is ready", child->label, (int)child->pid);
	child_set_state(child, CHILD_RUNNING, CHILD_DEAF_NS);
}

/* Makes of a message what its owner said of it.  False: the child is not
 * listened to any more. */
static bool
listen_on(struct child *child, enum child_said said)
{
	if (said == CHILD_SAID_NEWS)
		set_timer(child, CHILD_DEAF_NS);
	else if (said == CHILD_SAID_ANSWER)
		ev_io_start(child->loop, &child->io);
	return said != CHILD_SAID_NONSENSE;
}

/* One whose process is not its own says that. */
static void
await_end(struct child *child)
{
	if (child->hosted)
		ev_io_start(child->loop, &child->io);
}

/*
 * First a child says that it is up, later what its owner knows.  Nobody
 * listens for CHILD_DEAF_NS after news, and never again after anything that it
 * should not have said: a child that talks too much disturbs no one.
 */
static void
on_message(struct ev_loop *loop, ev_io *watcher, int events ATTR_UNUSED)
{
	struct child *child = watcher->data;
	struct message message;
	bool starting = child->state == CHILD_STARTING;
	ssize_t got;

	got = recv(child->messages, &message, sizeof(message), MSG_DONTWAIT);
	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	ev_io_stop(loop, watcher);
	if (got == sizeof(message) && child->hosted &&
	    message.type == MESSAGE_ENDED) {
		gone(child, (message.status & 0xff) << 8, true);
		return;
	}
	if (got > 0 && child->state == CHILD_STOPPING)
		await_end(child);
	if (got == 0 || got == -1 ||
	    (!starting && child->state != CHILD_RUNNING))
		return;
	if (got == sizeof(message) && starting &&
	    message.type == MESSAGE_READY)
		on_ready(child, &message);
	else if (got != sizeof(message) || starting ||
	    !listen_on(child, child->ops->message(child->owner, &message)))
		log_warnx("%s: process %d sent what is no message: it is not "
		    "listened to any more", child->label, (int)child->pid);
}

/*
 * It may have said that it is up, and we have not looked yet: with a thousand
 * to start we are late ourselves, and the loop sees only so many at a time.
 */
static bool
is_late(struct child *child)
{
	const unsigned spawns = child->spawns;

	if (ev_is_active(&child->io))
		on_message(child->loop, &child->io, EV_READ);
	return child->state == CHILD_STARTING && child->spawns == spawns;
}

/*
 * When the machine, or all that there is in it, has stood still, we are the
 * first to find that time is over: the child gets the same again.
 */
static bool
stood_still(struct child *child)
{
	if (clock_monotonic_ns() < child->due_ns + CHILD_LATE_NS)
		return false;
	set_timer(child, child->time_ns);
	return true;
}

/* The end of one that waits for a disk waits for that, too. */
static void
insist(struct child *child)
{
	if (stood_still(child))
		return;
	if (child->overdue) {
		log_warnx("%s: process %d was killed and has not ended: it "
		    "waits for a disk or a server that does not answer, and "
		    "ends when that does", child->label, (int)child->pid);
		child->stuck = true;
		child->ops->changed(child->owner);
		return;
	}
	log_warnx("%s: process %d did not end in time: killed", child->label,
	    (int)child->pid);
	child->overdue = true;
	child_signal(child, SIGKILL);
	set_timer(child, CHILD_STUCK_NS);
}

static void
on_timer(struct ev_loop *loop ATTR_UNUSED, ev_timer *watcher,
    int events ATTR_UNUSED)
{
	struct child *child = watcher->data;

	switch (child->state) {
	case CHILD_BACKOFF:
		spawn(child);
		break;
	case CHILD_STARTING:
		if (!is_late(child) || stood_still(child))
			break;
		if (child->hosted && child->ops->gets_on(child->owner)) {
			set_timer(child, CHILD_START_NS);
			break;
		}
		log_warnx("%s: process %d was not ready in time: killed",
		    child->label, (int)child->pid);
		child->settled = true;
		child_signal(child, SIGKILL);
		child->ops->changed(child->owner);
		break;
	case CHILD_STOPPING:
		insist(child);
		break;
	case CHILD_RUNNING:
		if (child->ops->message != NULL)
			ev_io_start(child->loop, &child->io);
		break;
	case CHILD_STOPPED:
	case CHILD_FAILED:
	case CHILD_WAITING:
		/* These states have no timer. */
		assert(child->state == CHILD_BACKOFF);
	}
}

/* The pair of sockets and the process; -1 when either cannot be had. */
static int
spawn_process(struct child *child)
{
	int pair[2], stderr_fd;
	pid_t pid = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) ==
	    -1) {
		log_warn("%s: cannot start it", child->label);
		return -1;
	}
	fd_set_nonblock(pair[0]);
	stderr_fd = voice_open(&child->voice);
	if (stderr_fd == -1)
		log_warn("%s: cannot start it", child->label);
	else {
		pid = child->ops->spawn(child->owner, pair[1], stderr_fd);
		close(stderr_fd);
	}
	close(pair[1]);
	if (pid == -1) {
		voice_end(&child->voice);
		close(pair[0]);
		return -1;
	}
	child->pid = pid;
	child->messages = pair[0];
	return 0;
}

/* What is to be stored is, all the same. */
static bool
is_held(const struct child *child)
{
	return child->held && !child->drain_only;
}

static void
spawn_failed(struct child *child)
{
	if (is_held(child))
		child_set_state(child, CHILD_WAITING, 0);
	else
		back_off(child, backoff_delay_ns(&child->backoff, 0, false,
		    arc4random()));
}

static void
spawn(struct child *child)
{
	assert(child->pid == 0);
	if (is_held(child)) {
		child_set_state(child, CHILD_WAITING, 0);
		return;
	}
	child->spawned_ns = clock_monotonic_ns();
	if (spawn_process(child) == -1) {
		spawn_failed(child);
		return;
	}
	child->spawns++;
	child->draining = child->hung = child->overdue = false;
	child->stuck = false;
	if (!child->drain_only)
		child->drains = 0;
	child_watch(child);
	child_set_state(child, CHILD_STARTING, CHILD_START_NS);
	if (child->drain_only)
		terminate(child, true);
}

void
child_init(struct child *child, struct ev_loop *loop,
    const struct child_ops *ops, void *owner, const char *label,
    const char *name)
{
	memset(child, 0, sizeof(*child));
	child->loop = loop;
	child->ops = ops;
	child->owner = owner;
	child->messages = -1;
	snprintf(child->label, sizeof(child->label), "%s", label);
	voice_init(&child->voice, loop, name);
	ev_child_init(&child->reaper, on_reaped, 0, 0);
	ev_init(&child->io, on_message);
	ev_init(&child->timer, on_timer);
	child->reaper.data = child->io.data = child->timer.data = child;
}

void
child_watch(struct child *child)
{
	ev_child_set(&child->reaper, child->pid, 0);
	ev_child_start(child->loop, &child->reaper);
	ev_io_set(&child->io, child->messages, EV_READ);
	if (child->ready_ns == 0)
		ev_io_start(child->loop, &child->io);
}

void
child_start(struct child *child)
{
	child->wanted = true;
	if (child->pid == 0) {
		child->backoff.failures = 0;
		spawn(child);
	}
}

static void
terminate(struct child *child, bool drain)
{
	bool begun = child->state == CHILD_STOPPING;

	if (begun && (!drain || child->draining))
		return;
	child->draining = drain;
	if (!drain || !child_tell_stop(child))
		child_signal(child, SIGTERM);
	/* A child that was asked to end before has its deadline already. */
	if (!begun)
		child_set_state(child, CHILD_STOPPING, CHILD_STOP_NS);
	await_end(child);
}

void
child_stop(struct child *child)
{
	child->wanted = false;
	child->gone_ns = 0;
	if (child->pid != 0)
		terminate(child, true);
	else if (child->state != CHILD_STOPPED) {
		child->drain_only = false;
		child_set_state(child, CHILD_STOPPED, 0);
	}
}

void
child_abandon(struct child *child)
{
	assert(child->stuck && child->pid != 0);
	ev_child_stop(child->loop, &child->reaper);
	child_close_messages(child);
	voice_end(&child->voice);
	child->pid = 0;
	child->stuck = child->drain_only = false;
	child->ops->ended(child->owner);
	child_set_state(child, CHILD_STOPPED, 0);
}

void
child_restart(struct child *child, bool drain)
{
	if (child->pid == 0) {
		child_start(child);
		return;
	}
	child->wanted = true;
	terminate(child, drain);
}

void
child_drain(struct child *child)
{
	assert(child->pid == 0);
	child->drain_only = true;
	spawn(child);
}

void
child_abort(struct child *child)
{
	assert(child->state == CHILD_RUNNING);
	child->hung = true;
	child->wanted = true;
	child_signal(child, SIGABRT);
	/* A process stopped by SIGSTOP would not notice the SIGABRT. */
	child_signal(child, SIGCONT);
	child_set_state(child, CHILD_STOPPING, CHILD_ABORT_NS);
}

void
child_done(struct child *child)
{
	assert(child->pid == 0);
	ev_timer_stop(child->loop, &child->timer);
	ev_child_stop(child->loop, &child->reaper);
	child_close_messages(child);
	voice_end(&child->voice);
}

unsigned
child_restarts(const struct child *child)
{
	return child->spawns > 0 ? child->spawns - 1 : 0;
}
