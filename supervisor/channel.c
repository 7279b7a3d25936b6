/* SPDX-License-Identifier: ISC */
/*
 * A channel and its worker.  Supervisor only.  Touches the segment's state
 * only while no worker is alive; never touches a datagram.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/message.h"
#include "common/util.h"
#include "common/wake.h"
#include "supervisor/adopt.h"
#include "supervisor/channel_priv.h"
#include "supervisor/directory.h"
#include "supervisor/fdstore.h"
#include "supervisor/pause.h"
#include "supervisor/report.h"
#include "supervisor/room.h"
#include "supervisor/runnable.h"
#include "supervisor/schema_files.h"
#include "supervisor/segment_spec.h"
#include "supervisor/shared.h"
#include "supervisor/sockets.h"
#include "supervisor/supervisor.h"
#include "supervisor/tell.h"
#include "supervisor/waiting.h"

#define WORKER_PROGRAM	"mcrelay-worker"

/*** The segment. ***/

void
channel_warn_unlocked(struct channel *channel)
{
	channel->unlocked = true;
	if (channel->supervisor->locking_warned)
		return;
	channel->supervisor->locking_warned = true;
	log_warn("channel %s: its memory cannot be locked and may be swapped "
	    "out, as may that of others: raise the limit on locked memory "
	    "(RLIMIT_MEMLOCK, LimitMEMLOCK= in systemd)", channel->name);
}

static int
make_segment(struct channel *channel, const struct conf *conf)
{
	struct segment fresh, *old = &channel->segment;
	struct ledger before;
	struct segment_spec spec;
	bool locked, told;

	segment_spec_fill(&spec, conf, channel->conf);
	/* What goes with the old one is counted there. */
	xdp_path_settle(channel);
	if (old->base != NULL) {
		spec.predecessor = old;
		segment_spec_keep_slots(&spec, old);
	}
	/* Of one of another layout its own worker tells. */
	told = old->base != NULL && !channel->foreign.worker &&
	    segment_ledger(old, &before);
	/* Twice the memory is not needed: the old one has what it needs. */
	spec.later = channel->foreign.worker;
	if (segment_create(&fresh, &spec, &locked) == -1)
		return -1;	/* there is the old one, or none */
	channel->unlocked = false;
	if (!locked)
		channel_warn_unlocked(channel);
	segment_withhold(&fresh);
	if (old->base != NULL) {
		channel_inherit_decimator(channel, &fresh);
		segment_close(old);
	}
	*old = fresh;
	if (told)
		channel_tell_left(channel, &before);
	pause_apply(channel);
	fleet_apply(channel);
	channel->renew = false;
	channel_note_slots(channel);
	return 0;
}

static void
leave_segment(struct channel *channel)
{
	struct lack *lack = &channel->parts.lack;
	int error = errno;

	/* Of several things the first is told; what a stream lacks is none
	 * that the channel waits for. */
	if (lack->error != 0 && !parts_complete(&channel->parts, channel->conf,
	    PART_INPUT | PART_WORKER))
		return;
	*lack = (struct lack){.error = error, .memory = true};
	snprintf(lack->detail, sizeof(lack->detail), "cannot make its ring of "
	    "%" PRIu64 " MiB: %s", channel->conf->ring_size >> 20,
	    strerror(error));
}

bool
channel_make_segment(struct channel *channel, const struct conf *conf)
{
	/* Who has the old one, or is to store what it holds, comes first. */
	if (channel->segment.base != NULL && (!channel->renew ||
	    channel->drain || channel->child.pid != 0))
		return false;
	if (make_segment(channel, conf) == 0)
		return true;
	leave_segment(channel);
	return false;
}

/*** The worker. ***/

/* Clears what the last worker left in the segment for the supervisor. */
static void
prepare_state(struct channel *channel)
{
	struct worker_state *state = channel->segment.state;

	state->last_words[0] = '\0';
	atomic_store_explicit(&state->working, 0, memory_order_relaxed);
	atomic_store_explicit(&state->drained, 0, memory_order_relaxed);
}

static pid_t
spawn_worker(struct channel *channel, int image, int segment, int messages,
    int stderr_fd)
{
	struct supervisor *supervisor = channel->supervisor;
	int fds[CHANNEL_DESCRIPTORS_MAX];
	size_t count;
	pid_t pid;

	/* Before the worker uses it: a next supervisor must find it. */
	fdstore_channel(channel);
	count = channel_descriptors(channel, messages, segment, fds);
	channel->child.hosted = shared_is_for(channel) &&
	    segment == channel->segment.fd;
	if (channel->child.hosted)
		pid = shared_spawn(channel, image, fds, count, stderr_fd);
	else
		pid = spawn_image(&supervisor->spawn, image, WORKER_PROGRAM,
		    channel->name, &channel->user, stderr_fd, fds, count);
	if (pid != -1)
		rundir_write_pid(&supervisor->rundir, channel->name, pid);
	return pid;
}

/* One that is to be replaced is first.  False: the channel waits. */
static bool
has_segment(struct channel *channel)
{
	if (!channel->renew)
		return true;
	if (make_segment(channel, channel->supervisor->conf) == -1) {
		leave_segment(channel);
		return false;
	}
	decimator_tell(channel);
	budget_tell(channel);
	return true;
}

static pid_t
worker_spawn(void *owner, int messages, int stderr_fd)
{
	struct channel *channel = owner;
	int image = foreign_worker(channel);

	channel->child.mute = channel->foreign.mute;
	/* One of another version stores what is left of that. */
	if (channel->foreign.worker && image != -1) {
		channel->child.drain_only = true;
		return spawn_worker(channel, image, channel->foreign.segment,
		    messages, stderr_fd);
	}
	if (channel->foreign.worker)
		foreign_give_up(channel);
	xdp_path_settle(channel);
	if (!channel->child.drain_only && (!runnable_worker(channel) ||
	    !has_segment(channel))) {
		channel->child.held = true;
		return -1;
	}
	prepare_state(channel);
	xdp_path_give(channel);
	image = images_current(channel->supervisor, IMAGE_WORKER);
	return spawn_worker(channel, image, channel->segment.fd, messages,
	    stderr_fd);
}

/* Of a channel that is stopped others may use it. */
static void
release_archive(struct channel *channel)
{
	if (!channel->fresh && !channel->child.wanted &&
	    channel->child.pid == 0)
		directory_close(&channel->parts);
}

static void
worker_ended(void *owner)
{
	struct channel *channel = owner;

	rundir_remove_pid(&channel->supervisor->rundir, channel->name);
	shared_settle(channel->supervisor);
	/* Nothing here is to change before the old segment is empty. */
	if (channel->foreign.worker && !foreign_worker_ended(channel))
		return;
	tell_files(channel);
	/* One more worker stores what the old segment has. */
	if (channel->child.drain_only)
		return;
	channel_take_next(channel);
	if (channel->child.wanted)
		waiting_hold(channel);
	if (!channel->child.wanted)
		channel_settle(channel);
	release_archive(channel);
}

static void
worker_changed(void *owner)
{
	struct channel *channel = owner;

	if (channel->child.state == CHILD_RUNNING) {
		channel->lacked[0] = '\0';
		shared_note_ready(channel);
		silence_begin(&channel->silence);
	}
	waiting_say(channel);
	tell_state(channel);
	supervisor_notice(channel->supervisor);
}

static bool
worker_drained(void *owner)
{
	struct channel *channel = owner;

	if (channel->foreign.worker)
		return foreign_drained(channel);
	/* Nothing is to be had of a segment that was lost. */
	if (channel->segment.base == NULL)
		return true;
	/* Partner: the release in the worker's finish(). */
	return atomic_load_explicit(&channel->segment.state->drained,
	    memory_order_acquire) != 0;
}

static enum child_said
worker_message(void *owner, const struct message *message)
{
	struct channel *channel = owner;

	if (message->type == MESSAGE_DIRECTORY_GONE)
		directory_missed(channel);
	else if (message->type == MESSAGE_ROOM_WANTED)
		room_check(channel->supervisor, false);
	else
		return CHILD_SAID_NONSENSE;
	return CHILD_SAID_NEWS;
}

static const struct child_ops worker_ops = {
	.spawn		= worker_spawn,
	.ended		= worker_ended,
	.died		= tell_death,
	.changed	= worker_changed,
	.last_words	= channel_last_words,
	.gets_on	= shared_gets_on,
	.drained	= worker_drained,
	.message	= worker_message,
};

/*** Life. ***/

static struct channel *
make_channel(struct supervisor *supervisor, const char *name)
{
	struct channel *channel = xcalloc(1, sizeof(*channel));
	char *label = xasprintf("channel %s", name);
	char *own = xasprintf(WORKER_PROGRAM "[%s]", name);

	channel->supervisor = supervisor;
	channel->fresh = true;
	channel->number = supervisor->next_number++;
	snprintf(channel->name, sizeof(channel->name), "%s", name);
	child_init(&channel->child, supervisor->loop, &worker_ops, channel,
	    label, own);
	free(own);
	free(label);
	parts_init(&channel->parts);
	parts_init(&channel->next);
	xdp_socket_init(&channel->xdp.socket);
	channel->segment.fd = -1;
	channel->foreign.segment = -1;
	channel->decimator_event = -1;
	return channel;
}

/* What was not inherited is made. */
static void
complete(struct channel *channel, const struct conf *conf,
    struct conf_problems *problems)
{
	unsigned which = PART_ALL & ~channel->parts.have;

	/* One that was stopped has none. */
	if (!channel->fresh || channel->child.pid != 0 ||
	    fleet_sleeps(channel))
		which &= ~(unsigned)PART_INPUT;
	parts_open(&channel->parts, channel->conf, which, problems);
	if (channel->child.pid == 0 && !channel->drain)
		channel_take_next(channel);
	if (channel->decimator_event == -1)
		channel->decimator_event = wake_open();
	if (channel->decimator_event == -1)
		report_error(problems, "channel %s: eventfd: %s",
		    channel->name, strerror(errno));
	(void)channel_make_segment(channel, conf);
	release_archive(channel);
	channel_assign_slots(channel);
}

struct channel *
channel_new(struct supervisor *supervisor, const struct conf *conf,
    const struct channel_conf *channel_conf, struct conf_problems *problems)
{
	struct channel *channel = make_channel(supervisor,
	    channel_conf->name);
	struct inherited *from = NULL;

	channel->conf = channel_conf;
	channel->user = channel_conf->user;
	if (rundir_name_taken(channel->name))
		report_error(problems, "channel %s: its pid file would be "
		    "the daemon's: choose another name", channel->name);
	pause_load(channel);
	if (supervisor->inheritance != NULL)
		from = inheritance_find(supervisor->inheritance,
		    channel->name);
	if (from != NULL)
		adopt_channel(channel, conf, from, problems);
	complete(channel, conf, problems);
	return channel;
}

struct channel *
channel_new_leaving(struct supervisor *supervisor, struct inherited *from)
{
	struct channel *channel = make_channel(supervisor, from->name);

	/* An older image does not say, and had one for all. */
	channel->user = from->user.uid != 0 ? from->user :
	    supervisor->conf->decimator_user;
	adopt_leaving(channel, from);
	return channel;
}

void
channel_start(struct channel *channel, struct conf_problems *problems)
{
	bool stopped = !channel->fresh && !channel->child.wanted;
	bool complete, drain;

	if (fleet_sleeps(channel)) {
		channel_stop(channel);
		channel->asleep = true;
		return;
	}
	channel->fresh = channel->asleep = false;
	fdstore_settle();
	complete = waiting_open(channel, problems);
	drain = complete && channel->drain && channel->child.pid == 0;
	if (complete) {
		channel->drain = false;
		budget_tell(channel);
		schema_files_have_written(&channel->parts, channel->conf,
		    false);
	}
	/* Its segment may be what the failed worker could not use. */
	if (channel->child.state == CHILD_FAILED)
		channel->renew = true;
	channel->child.wanted = true;
	if (drain)
		child_drain(&channel->child);
	else
		child_start(&channel->child);
	if (stopped || channel->lacked[0] != '\0')
		decimator_tell_parent(channel);
}

/* A worker that died has left something to be stored, or to be finished. */
static bool
has_left(struct channel *channel)
{
	const struct child *child = &channel->child;

	return child->pid == 0 && child->state != CHILD_FAILED &&
	    channel->parts.archive != -1 && (channel_pending(channel) > 0 ||
	    (child->spawns > 0 && child->state != CHILD_STOPPED &&
	    !worker_drained(channel)));
}

void
channel_stop(struct channel *channel)
{
	bool before = channel->child.wanted;

	channel->fresh = channel->asleep = false;
	if (has_left(channel)) {
		channel->child.wanted = false;
		child_drain(&channel->child);
	} else
		child_stop(&channel->child);
	kernel_path_leave(channel);
	if (channel->child.pid == 0)
		channel_settle(channel);
	release_archive(channel);
	if (before)
		decimator_tell_parent(channel);
}

static void
change_streams(struct channel *channel, struct parts *parts)
{
	bool before = channel->parts.streams > 0;
	struct parts streams = *parts;

	streams.have &= PART_STREAMS;
	parts->have &= ~(unsigned)PART_STREAMS;
	parts_move(&channel->parts, &streams);
	channel_assign_slots(channel);
	/* Nobody has followed until now: nothing was missed. */
	if (!before)
		channel->decimator_anew = true;
	if (channel->parts.streams > 0)
		decimator_tell(channel);
	else if (before)
		decimator_forget(channel);
}

void
channel_change(struct channel *channel, const struct channel_conf *conf,
    enum conf_change change, struct parts *parts)
{
	channel->conf = conf;
	/* Not only at the next round: another host may have it. */
	fleet_apply(channel);
	if (change == CHANGE_NONE)
		return;
	if (change != CHANGE_STREAMS)
		channel->renew = true;
	xdp_path_leave(channel);
	change_streams(channel, parts);
	schema_files_have_written((parts->have & PART_WORKER) != 0 ? parts :
	    &channel->parts, channel->conf, channel->watch.archive_stuck);
	if (change == CHANGE_STREAMS)
		return;
	parts_move(&channel->next, parts);
	/* Only one of its kind can store what a worker that died has left. */
	if (channel->child.state == CHILD_BACKOFF && !worker_drained(channel))
		child_drain(&channel->child);
	else if (channel->child.pid == 0)
		channel_take_next(channel);
	if (channel->child.wanted) {
		waiting_hold(channel);
		child_restart(&channel->child, true);
	}
	release_archive(channel);
}

void
channel_log_level(struct channel *channel, int level)
{
	struct message message;

	if (channel->segment.base == NULL)
		return;
	/* For the next worker: one word, read once, at its start. */
	((struct channel_config *)(uintptr_t)channel->segment.config)->
	    log_level = level;
	memset(&message, 0, sizeof(message));
	message.type = MESSAGE_LOG_LEVEL;
	message.log_level = level;
	child_send(&channel->child, &message);
}
