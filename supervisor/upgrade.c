/* SPDX-License-Identifier: ISC */
/*
 * Upgrade in place.  Supervisor only; must not wait, but for the execve.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/util.h"
#include "supervisor/control.h"
#include "supervisor/events.h"
#include "supervisor/handoff.h"
#include "supervisor/notify.h"
#include "supervisor/supervisor.h"

/* To read a configuration and attach to a thousand segments, and some. */
#define CHECK_S		10.
/* For a reload, and for a client that is slow. */
#define WAIT_S		30.

#define EXIT_CANNOT_EXEC	127

bool
upgrade_busy(const struct upgrade *upgrade)
{
	return upgrade->step == UPGRADE_CHECKING ||
	    upgrade->step == UPGRADE_WAITING || upgrade->step == UPGRADE_DUE;
}

static void
tell_upgrade(struct upgrade *upgrade, const char *step, const char *detail)
{
	events_add(upgrade->supervisor, NULL, EVENT_UPGRADE,
	    json_pack("{s:s, s:s, s:o}", "step", step, "version",
	    PACKAGE_VERSION, "detail", events_text(detail)),
	    "%s: %s", step, detail);
	supervisor_notice(upgrade->supervisor);
}

static void ATTR_PRINTF(2, 3)
fail(struct upgrade *upgrade, const char *fmt, ...)
{
	struct supervisor *supervisor = upgrade->supervisor;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(upgrade->error, sizeof(upgrade->error), fmt, ap);
	va_end(ap);
	upgrade->step = UPGRADE_FAILED;
	ev_timer_stop(supervisor->loop, &upgrade->deadline);
	(void)control_hold(supervisor->control, false);
	log_warnx("no upgrade: %s; everything stays as it was",
	    upgrade->error);
	tell_upgrade(upgrade, "failed", upgrade->error);
	if (!upgrade->reload)
		return;
	upgrade->reload = false;
	supervisor_reload(supervisor);
}

/*** The check. ***/

/* What follows the fork, or the point of no return. */
static void
execute(const struct upgrade *upgrade, const char *option,
    const struct handoff *handoff)
{
	const struct supervisor *supervisor = upgrade->supervisor;
	const char *argv[9];
	char number[16];
	size_t n = 0;

	snprintf(number, sizeof(number), "%d", handoff->fd);
	argv[n++] = supervisor->program;
	argv[n++] = option;
	argv[n++] = number;
	argv[n++] = "-f";
	argv[n++] = supervisor->absolute_file;
	if (supervisor->foreground)
		argv[n++] = "-d";
	if (supervisor->verbose)
		argv[n++] = "-v";
	argv[n] = NULL;
	handoff_keep(handoff, true);
	execv(supervisor->program, (char *const *)(uintptr_t)argv);
}

static _Noreturn void
run_checker(const struct upgrade *upgrade, const struct handoff *handoff)
{
	spawn_reset_signals();
	log_close();
	if (dup2(upgrade->output, STDOUT_FILENO) == -1 ||
	    dup2(upgrade->output, STDERR_FILENO) == -1)
		_exit(EXIT_CANNOT_EXEC);
	execute(upgrade, "--check-handoff", handoff);
	dprintf(STDERR_FILENO, "cannot execute %s: %s\n",
	    upgrade->supervisor->program, strerror(errno));
	_exit(EXIT_CANNOT_EXEC);
}

/* The last line that the new program wrote to its standard error. */
static void
last_line(const struct upgrade *upgrade, char *text, size_t size)
{
	off_t end = lseek(upgrade->output, 0, SEEK_END);
	off_t from = MAX_OF(end - (off_t)size + 1, (off_t)0);
	ssize_t got = pread(upgrade->output, text, size - 1, from);
	char *line;

	text[got > 0 ? got : 0] = '\0';
	while (got > 0 && text[got - 1] == '\n')
		text[--got] = '\0';
	line = strrchr(text, '\n');
	if (line != NULL)
		memmove(text, line + 1, strlen(line));
}

static void
on_checked(struct ev_loop *loop, ev_child *watcher, int events ATTR_UNUSED)
{
	struct upgrade *upgrade = watcher->data;
	struct supervisor *supervisor = upgrade->supervisor;
	char how[128], said[256];
	int status = watcher->rstatus;

	ev_child_stop(loop, watcher);
	ev_timer_stop(loop, &upgrade->deadline);
	upgrade->checker = 0;
	last_line(upgrade, said, sizeof(said));
	close(upgrade->output);
	if (upgrade->step != UPGRADE_CHECKING)
		return;
	if (upgrade->timed_out) {
		fail(upgrade, "%s did not say within %d s whether it can take "
		    "over", supervisor->program, (int)CHECK_S);
		return;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		child_describe_exit(status, how, sizeof(how));
		fail(upgrade, "%s %s%s%s", supervisor->program, how,
		    said[0] != '\0' ? ": " : "", said);
		return;
	}
	upgrade->step = UPGRADE_WAITING;
	ev_timer_set(&upgrade->deadline, WAIT_S, 0.);
	ev_timer_start(loop, &upgrade->deadline);
	supervisor_notice(supervisor);
}

static void
on_deadline(struct ev_loop *loop ATTR_UNUSED, ev_timer *watcher,
    int events ATTR_UNUSED)
{
	struct upgrade *upgrade = watcher->data;

	if (upgrade->step == UPGRADE_CHECKING) {
		upgrade->timed_out = true;
		kill(upgrade->checker, SIGKILL);
	} else
		fail(upgrade, "workers were being replaced, or a client "
		    "served, for longer than %d s", (int)WAIT_S);
}

static int
start_checker(struct upgrade *upgrade)
{
	struct supervisor *supervisor = upgrade->supervisor;
	struct handoff handoff;
	sigset_t all, before;

	if (handoff_write(&handoff, supervisor, -1) == -1)
		return -1;
	upgrade->output = memory_open("mcrelay:check");
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	upgrade->checker = upgrade->output == -1 ? -1 : fork();
	if (upgrade->checker == 0)
		run_checker(upgrade, &handoff);
	sigprocmask(SIG_SETMASK, &before, NULL);
	handoff_done(&handoff);
	if (upgrade->checker != -1)
		return 0;
	upgrade->checker = 0;
	if (upgrade->output != -1)
		close(upgrade->output);
	return -1;
}

int
upgrade_begin(struct upgrade *upgrade)
{
	struct supervisor *supervisor = upgrade->supervisor;

	if (upgrade_busy(upgrade) || upgrade->checker != 0 ||
	    supervisor->phase == PHASE_STOPPING) {
		snprintf(upgrade->error, sizeof(upgrade->error), "%s",
		    supervisor->phase == PHASE_STOPPING ?
		    "mcrelayd is ending" : "an upgrade is under way already");
		return -1;
	}
	log_info("upgrade: asking %s", supervisor->program);
	tell_upgrade(upgrade, "asking", "can the new version take over?");
	upgrade->timed_out = false;
	if (stat(supervisor->absolute_file, &upgrade->conf) == -1 ||
	    start_checker(upgrade) == -1) {
		fail(upgrade, "the check cannot be started: %s",
		    strerror(errno));
		return -1;
	}
	upgrade->step = UPGRADE_CHECKING;
	ev_child_set(&upgrade->reaper, upgrade->checker, 0);
	ev_child_start(supervisor->loop, &upgrade->reaper);
	ev_now_update(supervisor->loop);
	ev_timer_set(&upgrade->deadline, CHECK_S, 0.);
	ev_timer_start(supervisor->loop, &upgrade->deadline);
	return 0;
}

void
upgrade_cancel(struct upgrade *upgrade)
{
	if (!upgrade_busy(upgrade))
		return;
	upgrade->reload = false;
	fail(upgrade, "mcrelayd was told to end");
	if (upgrade->checker != 0)
		kill(upgrade->checker, SIGKILL);
}

void
upgrade_init(struct upgrade *upgrade, struct supervisor *supervisor)
{
	memset(upgrade, 0, sizeof(*upgrade));
	upgrade->supervisor = supervisor;
	ev_child_init(&upgrade->reaper, on_checked, 0, 0);
	ev_init(&upgrade->deadline, on_deadline);
	upgrade->reaper.data = upgrade->deadline.data = upgrade;
}

/*** The exchange. ***/

/* Whether the handoff can say all that there is to say. */
static bool
calm(const struct supervisor *supervisor)
{
	const struct channel *channel;
	unsigned i;

	if (supervisor->phase != PHASE_RUNNING ||
	    !TAILQ_EMPTY(&supervisor->leaving))
		return false;
	for (i = 0; i < NITEMS(supervisor->decimator); i++)
		if (supervisor->decimator[i].forgets > 0)
			return false;
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (channel->fresh || channel->next.have != 0 ||
		    (channel->renew && channel->child.pid != 0))
			return false;
	return true;
}

static bool
ready(struct supervisor *supervisor)
{
	/* Both: the socket is held while channels settle. */
	bool alone = control_hold(supervisor->control, true);

	return calm(supervisor) && alone;
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	    a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Half a line would be lost, and the other half look like a whole one. */
static void
flush_voices(struct supervisor *supervisor)
{
	struct channel *channel;
	unsigned i;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		voice_flush(&channel->child.voice);
	for (i = 0; i < NITEMS(supervisor->decimator); i++)
		voice_flush(&supervisor->decimator[i].child.voice);
	voice_flush(&supervisor->web.child.voice);
	for (i = 0; i < NITEMS(supervisor->forwarder); i++)
		voice_flush(&supervisor->forwarder[i].child.voice);
	voice_flush(&supervisor->fleet.child.voice);
}

/* All signals are blocked; until the execve everything can be undone. */
static void
exchange(struct upgrade *upgrade)
{
	struct supervisor *supervisor = upgrade->supervisor;
	struct handoff handoff;
	struct stat now;
	unsigned i;

	if (stat(supervisor->absolute_file, &now) == -1 ||
	    !same_file(&now, &upgrade->conf)) {
		fail(upgrade, "%s has changed meanwhile: try again",
		    supervisor->absolute_file);
		return;
	}
	if (handoff_write(&handoff, supervisor,
	    control_upgrader(supervisor->control)) == -1) {
		fail(upgrade, "cannot write the handoff: %s",
		    strerror(errno));
		return;
	}
	flush_voices(supervisor);
	log_info("upgrade: executing %s", supervisor->program);
	notify_reloading();
	/* They are not handed over, and whatever the web does, its socket is
	 * free. */
	child_signal(&supervisor->web.child, SIGKILL);
	for (i = 0; i < NITEMS(supervisor->forwarder); i++)
		child_signal(&supervisor->forwarder[i].child, SIGKILL);
	child_signal(&supervisor->fleet.child, SIGKILL);
	execute(upgrade, "--handoff", &handoff);
	fail(upgrade, "cannot execute %s: %s", supervisor->program,
	    strerror(errno));
	handoff_keep(&handoff, false);
	handoff_done(&handoff);
	notify_ready();
}

void
upgrade_execute(struct upgrade *upgrade)
{
	struct supervisor *supervisor = upgrade->supervisor;
	sigset_t all, before;

	/* What comes from here on is for the new image, which starts with
	 * this mask; what libev has caught already is dealt with now. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	ev_run(supervisor->loop, EVRUN_NOWAIT);
	if (upgrade->step == UPGRADE_DUE) {
		if (ready(supervisor))
			exchange(upgrade);
		else
			upgrade->step = UPGRADE_WAITING;
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/*** The new image's children. ***/

/* Whether `child' is still to be replaced, or its successor to come up.
 * `*old' is the process to replace, 0 when that is done. */
static bool
roll(struct upgrade *upgrade, struct child *child, pid_t *old, bool drain)
{
	if (*old == 0)
		return false;
	/* Nothing ends it; its successor will be of this version. */
	if (child->stuck) {
		*old = 0;
		return false;
	}
	if (child->state == CHILD_FAILED) {
		log_warnx("upgrade: %s: its successor does not work; the "
		    "others keep the processes that they have", child->label);
		upgrade->rolling = false;
		return true;
	}
	if (child->pid == *old && child->state == CHILD_RUNNING) {
		child_restart(child, drain);
		return true;
	}
	if (child->wanted && child->state != CHILD_RUNNING &&
	    child->state != CHILD_WAITING)
		return true;
	*old = 0;
	return false;
}

static void
roll_on(struct upgrade *upgrade)
{
	struct supervisor *supervisor = upgrade->supervisor;
	struct channel *channel;
	bool all = true;
	unsigned i;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		/* It relays, and could not end before its disk answers. */
		if (channel->watch.archive_stuck &&
		    channel->child.state == CHILD_RUNNING &&
		    channel->child.pid == channel->old_worker)
			all = false;
		else if (roll(upgrade, &channel->child, &channel->old_worker,
		    channel->foreign.worker))
			return;
	for (i = 0; i < NITEMS(supervisor->decimator); i++)
		if (roll(upgrade, &supervisor->decimator[i].child,
		    &supervisor->decimator[i].old_process, false))
			return;
	if (!all)
		return;
	upgrade->rolling = false;
	log_info("upgrade: all processes are of version %s",
	    PACKAGE_VERSION);
	tell_upgrade(upgrade, "done", "all processes are of version "
	    PACKAGE_VERSION);
}

void
upgrade_taken_over(struct upgrade *upgrade)
{
	log_info("upgrade: %s has taken over; the workers follow one by one",
	    PACKAGE_VERSION);
	tell_upgrade(upgrade, "taken_over", "version " PACKAGE_VERSION
	    " has taken over");
	upgrade->step = UPGRADE_DONE;
	upgrade->rolling = true;
	supervisor_notice(upgrade->supervisor);
}

void
upgrade_turn(struct upgrade *upgrade)
{
	struct supervisor *supervisor = upgrade->supervisor;

	if (upgrade->rolling && supervisor->phase == PHASE_RUNNING)
		roll_on(upgrade);
	if (upgrade->step != UPGRADE_WAITING || !ready(supervisor))
		return;
	ev_timer_stop(supervisor->loop, &upgrade->deadline);
	upgrade->step = UPGRADE_DUE;
	ev_break(supervisor->loop, EVBREAK_ALL);
}
