/* SPDX-License-Identifier: ISC */
/*
 * Workers that channels share.  Supervisor only.  Waits for nothing but room
 * in a socket, for a bounded time.
 */
#include <sys/socket.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/message.h"
#include "common/util.h"
#include "supervisor/shared.h"
#include "supervisor/supervisor.h"

/* How long one may take to look at what it was sent: as the launcher. */
#define DOOR_MS		2000
/* To end without channels, and to die of KILL. */
#define END_S		5.

bool
shared_is_quarantined(const struct channel *channel)
{
	return channel->conf != NULL && channel->conf->worker[0] != '\0' &&
	    channel->segment.base != NULL &&
	    atomic_load_explicit(&channel->segment.state->faults,
	    memory_order_relaxed) >= SHARED_FAULTS;
}

void
shared_pardon(struct channel *channel)
{
	if (channel->segment.base != NULL)
		atomic_store_explicit(&channel->segment.state->faults, 0,
		    memory_order_relaxed);
}

bool
shared_is_for(const struct channel *channel)
{
	if (channel->conf == NULL || channel->conf->worker[0] == '\0')
		return false;
	if (!shared_is_quarantined(channel))
		return true;
	log_warnx("channel %s: worker %s has died of a fault %u times in what "
	    "it did for this channel, which has a process of its own now, "
	    "until it is restarted or changed", channel->name,
	    channel->conf->worker, SHARED_FAULTS);
	return false;
}

/*** The processes. ***/

static void
drop(struct shared_worker *shared)
{
	struct supervisor *supervisor = shared->supervisor;

	ev_child_stop(supervisor->loop, &shared->reaper);
	ev_timer_stop(supervisor->loop, &shared->deadline);
	voice_end(&shared->voice);
	if (shared->door != -1)
		close(shared->door);
	TAILQ_REMOVE(&supervisor->shared, shared, link);
	free(shared);
	supervisor_notice(supervisor);
}

/* No channel is sent to it from now on. */
static void
shut(struct shared_worker *shared)
{
	if (shared->door != -1)
		close(shared->door);
	shared->door = -1;
}

static void
on_reaped(struct ev_loop *loop ATTR_UNUSED, ev_child *watcher,
    int events ATTR_UNUSED)
{
	struct shared_worker *shared = watcher->data;
	char how[128];

	child_describe_exit(watcher->rstatus, how, sizeof(how));
	if (watcher->rstatus == 0)
		log_info("worker %s: process %d %s", shared->name,
		    (int)shared->pid, how);
	else
		log_warnx("worker %s: process %d, which channels share, %s",
		    shared->name, (int)shared->pid, how);
	drop(shared);
}

/* Its channels have ended, and it has not. */
static void
on_deadline(struct ev_loop *loop, ev_timer *timer, int events ATTR_UNUSED)
{
	struct shared_worker *shared = timer->data;

	if (shared->killed) {
		log_warnx("worker %s: process %d was killed and has not "
		    "ended: it is not waited for", shared->name,
		    (int)shared->pid);
		drop(shared);
		return;
	}
	log_warnx("worker %s: process %d did not end in time: killed",
	    shared->name, (int)shared->pid);
	shared->killed = true;
	(void)kill(shared->pid, SIGKILL);
	ev_timer_again(loop, timer);
}

static int
start_process(struct shared_worker *shared, int image,
    const struct privdrop *user)
{
	char argument[CHANNEL_NAME_MAX + 2];
	int pair[2], stderr_fd;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		return -1;
	fd_set_nonblock(pair[0]);
	snprintf(argument, sizeof(argument), MESSAGE_SHARED_MARK "%s",
	    shared->name);
	stderr_fd = voice_open(&shared->voice);
	if (stderr_fd != -1) {
		shared->pid = spawn_image(&shared->supervisor->spawn, image,
		    "mcrelay-worker", argument, user, stderr_fd, &pair[1], 1);
		close(stderr_fd);
	}
	close(pair[1]);
	if (shared->pid == -1) {
		close(pair[0]);
		return -1;
	}
	shared->door = pair[0];
	return 0;
}

static struct shared_worker *
start(struct channel *channel, int image)
{
	struct supervisor *supervisor = channel->supervisor;
	struct shared_worker *shared = xcalloc(1, sizeof(*shared));
	char *name = xasprintf("mcrelay-worker[" MESSAGE_SHARED_MARK "%s]",
	    channel->conf->worker);

	shared->supervisor = supervisor;
	shared->pid = shared->door = -1;
	shared->log_target = (int)supervisor->conf->log_target;
	snprintf(shared->name, sizeof(shared->name), "%s",
	    channel->conf->worker);
	voice_init(&shared->voice, supervisor->loop, name);
	free(name);
	ev_init(&shared->reaper, on_reaped);
	ev_timer_init(&shared->deadline, on_deadline, 0., END_S);
	shared->reaper.data = shared->deadline.data = shared;
	TAILQ_INSERT_TAIL(&supervisor->shared, shared, link);
	if (start_process(shared, image, &channel->user) == -1) {
		log_warn("worker %s: cannot start it", shared->name);
		drop(shared);
		return NULL;
	}
	ev_child_set(&shared->reaper, shared->pid, 0);
	ev_child_start(supervisor->loop, &shared->reaper);
	log_info("worker %s: process %d is for the channels that share it",
	    shared->name, (int)shared->pid);
	return shared;
}

/*** Its channels. ***/

/* One whose channels log elsewhere has a sandbox for that. */
static struct shared_worker *
find(const struct channel *channel)
{
	const struct supervisor *supervisor = channel->supervisor;
	struct shared_worker *shared;

	TAILQ_FOREACH(shared, &supervisor->shared, link)
		if (shared->door != -1 && shared->log_target ==
		    (int)supervisor->conf->log_target &&
		    strcmp(shared->name, channel->conf->worker) == 0)
			break;
	return shared;
}

/* -1 with errno. */
static int
send_channel(const struct shared_worker *shared,
    const struct channel *channel, const int *fds, size_t count)
{
	struct message_channel message;
	struct pollfd room = {.fd = shared->door, .events = POLLOUT};
	uint64_t until = clock_monotonic_ns() + DOOR_MS * NS_PER_MS;
	ssize_t sent;

	memset(&message, 0, sizeof(message));
	memcpy(message.name, channel->name, sizeof(message.name));
	message.own_thread = channel->conf->own_thread;
	message.archive_threads = channel->conf->archive_threads;
	do
		sent = fd_send(shared->door, &message, sizeof(message), fds,
		    count);
	while (sent == -1 && (errno == EAGAIN || errno == ETOOMANYREFS) &&
	    clock_monotonic_ns() < until && poll(&room, 1, DOOR_MS) > 0);
	return sent == -1 ? -1 : 0;
}

pid_t
shared_spawn(struct channel *channel, int image, int *fds, size_t count,
    int stderr_fd)
{
	struct shared_worker *shared = find(channel);

	fds[count++] = stderr_fd;
	if (shared != NULL &&
	    send_channel(shared, channel, fds, count) == 0)
		return shared->pid;
	/* It ends, or has. */
	if (shared != NULL)
		shut(shared);
	shared = start(channel, image);
	if (shared == NULL)
		return -1;
	if (send_channel(shared, channel, fds, count) == 0)
		return shared->pid;
	log_warn("channel %s: cannot be given to worker %s", channel->name,
	    shared->name);
	return -1;
}

static struct shared_worker *
of_process(const struct channel *channel)
{
	struct shared_worker *shared;

	TAILQ_FOREACH(shared, &channel->supervisor->shared, link)
		if (shared->pid == channel->child.pid)
			break;
	return shared;
}

void
shared_note_ready(struct channel *channel)
{
	struct shared_worker *shared = of_process(channel);

	if (shared != NULL)
		shared->ready_ns = clock_monotonic_ns();
}

bool
shared_gets_on(void *owner)
{
	const struct shared_worker *shared = of_process(owner);

	return shared != NULL &&
	    clock_monotonic_ns() - shared->ready_ns < CHILD_START_NS;
}

static bool
has_channel(const struct channel_list *list, pid_t pid)
{
	const struct channel *channel;

	TAILQ_FOREACH(channel, list, link)
		if (channel->child.pid == pid)
			return true;
	return false;
}

void
shared_settle(struct supervisor *supervisor)
{
	struct shared_worker *shared;

	TAILQ_FOREACH(shared, &supervisor->shared, link) {
		if (ev_is_active(&shared->deadline) ||
		    has_channel(&supervisor->channels, shared->pid) ||
		    has_channel(&supervisor->leaving, shared->pid))
			continue;
		shut(shared);
		ev_timer_again(supervisor->loop, &shared->deadline);
	}
}

void
shared_restart(struct channel *channel)
{
	struct supervisor *supervisor = channel->supervisor;
	struct shared_worker *shared = of_process(channel);
	pid_t pid = channel->child.pid;

	if (shared != NULL)
		shut(shared);
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (channel->child.pid == pid && channel->child.wanted)
			child_restart(&channel->child, false);
}

bool
shared_gone(const struct supervisor *supervisor)
{
	return TAILQ_EMPTY(&supervisor->shared);
}

void
shared_done(struct supervisor *supervisor)
{
	struct shared_worker *shared;

	while ((shared = TAILQ_FIRST(&supervisor->shared)) != NULL)
		drop(shared);
}
