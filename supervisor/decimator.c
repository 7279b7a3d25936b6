/* SPDX-License-Identifier: ISC */
/*
 * A decimator process and what it is told.  Supervisor only.
 *
 * Nothing is queued but what there is to take back: each channel knows
 * whether its decimator has heard of its present state, and what it has not
 * heard is sent as its socket has room.  A new process is told it all again.
 */
#include <sys/socket.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/message.h"
#include "common/util.h"
#include "supervisor/channels.h"
#include "supervisor/decimator_priv.h"
#include "supervisor/runnable.h"
#include "supervisor/supervisor.h"
#include "supervisor/tell.h"

#define DECIMATOR_PROGRAM	"mcrelay-decimator"

/* A full socket or too many descriptors under way: both pass soon. */
#define RETRY_S		0.01

static bool
has_streams(const struct channel *channel)
{
	return channel->parts.streams > 0;
}

bool
decimator_send(struct decimator *decimator, const struct message *message,
    const int *fds, size_t fd_count)
{
	static struct log_limit limit;

	if (fd_send(decimator->child.messages, message, sizeof(*message), fds,
	    fd_count) == (ssize_t)sizeof(*message))
		return true;
	if (errno != EAGAIN && errno != ETOOMANYREFS && errno != ENOBUFS &&
	    errno != EPIPE && errno != ECONNRESET)
		log_limited(&limit, "%s: cannot send to it: %s",
		    decimator->child.label, strerror(errno));
	return false;
}

static bool
tell_forgotten(struct decimator *decimator)
{
	struct message message;

	memset(&message, 0, sizeof(message));
	message.type = MESSAGE_FORGET;
	while (decimator->forgets > 0) {
		message.channel = decimator->forget[decimator->forgets - 1];
		if (!decimator_send(decimator, &message, NULL, 0))
			return false;
		decimator->forgets--;
		decimator->answers++;
	}
	return true;
}

static bool
tell_look(struct decimator *decimator)
{
	static const struct message message = {.type = MESSAGE_LOOK};

	if (!decimator->look)
		return true;
	if (!decimator_send(decimator, &message, NULL, 0))
		return false;
	decimator->look = false;
	decimator->answers++;
	return true;
}

static bool
tell_log_level(struct decimator *decimator)
{
	struct message message;

	if (decimator->log_told)
		return true;
	memset(&message, 0, sizeof(message));
	message.type = MESSAGE_LOG_LEVEL;
	message.log_level = decimator->supervisor->conf->log_level;
	decimator->log_told = decimator_send(decimator, &message, NULL, 0);
	return decimator->log_told;
}

/* By which socket it shows its streams to a viewer; a new process shows them to
 * nobody. */
static bool
tell_live(struct decimator *decimator, enum live_viewer viewer)
{
	const struct supervisor *supervisor = decimator->supervisor;
	const struct message message = {.type = viewer == LIVE_WEB ?
	    MESSAGE_LIVE : MESSAGE_LIVE_FORWARD};
	int socket = viewer == LIVE_WEB ? supervisor->web.live.out :
	    supervisor->forwarder[0].live.out;

	if (decimator->live_told[viewer] || (socket == -1 &&
	    !decimator->live[viewer]))
		return true;
	if (!decimator_send(decimator, &message, &socket, socket != -1))
		return false;
	decimator->live[viewer] = socket != -1;
	decimator->live_told[viewer] = true;
	return true;
}

/* Nobody else has it, nor is it on its way back to us. */
static bool
is_free_for(const struct channel *channel, const struct decimator *decimator)
{
	return channel->decimator_holder == NULL ||
	    (channel->decimator_holder == decimator &&
	    !channel->decimator_leaving);
}

/* Nobody has followed until now: nothing was missed. */
static void
begin_anew(struct channel *channel)
{
	struct decimated_domain *progress = &channel->segment.page->progress;

	/* Nobody else writes to the page now. */
	if (channel->decimator_anew && channel->decimator_holder == NULL) {
		decimated_begin(progress)->position = 0;
		decimated_commit(progress);
	}
	channel->decimator_anew = false;
}

/* New streams are for the datums of the segment that comes with them, which
 * may be of another schema: what is left in the old one is for the old ones.
 * Where a segment begins that follows one of another layout is not known before
 * the worker of that one has ended. */
static bool
may_be_told(const struct channel *channel, const struct decimator *decimator)
{
	return channel->decimator == decimator && !channel->decimator_told &&
	    !channel->renew && channel->segment.base != NULL &&
	    !channel->foreign.worker &&
	    has_streams(channel) &&
	    parts_complete(&channel->parts, channel->conf, PART_STREAMS) &&
	    is_free_for(channel, decimator);
}

static bool
tell_channels(struct decimator *decimator)
{
	struct channel *channel;

	TAILQ_FOREACH(channel, &decimator->supervisor->channels, link) {
		if (!may_be_told(channel, decimator))
			continue;
		begin_anew(channel);
		if (!decimator_serve(decimator, channel))
			return false;
		channel->decimator_holder = decimator;
		channel->decimator_told = true;
	}
	return true;
}

void
decimator_update(struct decimator *decimator)
{
	struct ev_loop *loop = decimator->supervisor->loop;

	if (decimator->child.state != CHILD_RUNNING ||
	    decimator->foreign != 0 || decimator->child.pid == 0)
		return;
	if (!tell_log_level(decimator) || !tell_live(decimator, LIVE_WEB) ||
	    !tell_live(decimator, LIVE_FORWARDER) ||
	    !tell_forgotten(decimator) || !tell_channels(decimator) ||
	    !tell_look(decimator))
		ev_timer_again(loop, &decimator->retry);
}

static void
on_retry(struct ev_loop *loop, ev_timer *watcher, int events ATTR_UNUSED)
{
	ev_timer_stop(loop, watcher);
	decimator_update(watcher->data);
}

/*** The process. ***/

static pid_t
decimator_spawn(void *owner, int messages, int stderr_fd)
{
	struct decimator *decimator = owner;
	struct supervisor *supervisor = decimator->supervisor;
	const struct privdrop *user = &supervisor->conf->decimator_user;

	int image = images_current(supervisor, IMAGE_DECIMATOR);

	return runnable_child(supervisor, &decimator->child, DECIMATOR_PROGRAM,
	    user) ? spawn_image(&supervisor->spawn, image, DECIMATOR_PROGRAM,
	    NULL, user, stderr_fd, &messages, 1) : -1;
}

/* The holder has let go: whoever is to have it may be told. */
static void
let_go(struct channel *channel)
{
	channel->decimator_holder = NULL;
	channel->decimator_leaving = channel->decimator_told = false;
	if (channel->decimator != NULL)
		decimator_update(channel->decimator);
}

/* The next process knows of no channel. */
static void
decimator_ended(void *owner)
{
	struct decimator *decimator = owner;
	struct channel *channel;

	decimator->forgets = decimator->answers = 0;
	decimator->look = decimator->log_told = false;
	memset(decimator->live, 0, sizeof(decimator->live));
	memset(decimator->live_told, 0, sizeof(decimator->live_told));
	foreign_decimator_ended(decimator);
	TAILQ_FOREACH(channel, &decimator->supervisor->channels, link)
		if (channel->decimator_holder == decimator)
			let_go(channel);
}

static enum child_said
decimator_message(void *owner, const struct message *message)
{
	struct decimator *decimator = owner;
	struct channel *channel;

	if ((message->type != MESSAGE_FORGOTTEN &&
	    message->type != MESSAGE_LOOKED) || decimator->answers == 0)
		return CHILD_SAID_NONSENSE;
	decimator->answers--;
	decimator->watch.unanswered = 0;
	if (message->type == MESSAGE_LOOKED)
		return CHILD_SAID_ANSWER;
	/* A channel that was removed is not found, and nobody waits. */
	TAILQ_FOREACH(channel, &decimator->supervisor->channels, link)
		if (channel->number == message->channel &&
		    channel->decimator_holder == decimator &&
		    channel->decimator_leaving) {
			let_go(channel);
			break;
		}
	return CHILD_SAID_ANSWER;
}

static void
decimator_changed(void *owner)
{
	struct decimator *decimator = owner;
	int size = 4 * 1024 * 1024;

	if (decimator->child.state == CHILD_RUNNING) {
		/* A message is large, and there may be a thousand. */
		(void)setsockopt(decimator->child.messages, SOL_SOCKET,
		    SO_SNDBUF, &size, sizeof(size));
		decimator_update(decimator);
	}
	tell_decimator(decimator);
	supervisor_notice(decimator->supervisor);
}

static const struct child_ops decimator_ops = {
	.spawn		= decimator_spawn,
	.ended		= decimator_ended,
	.died		= tell_decimator_death,
	.changed	= decimator_changed,
	.message	= decimator_message,
};

/*** What others call. ***/

void
decimator_init(struct decimator *decimator, struct supervisor *supervisor,
    unsigned number)
{
	char label[32] = "decimator";

	memset(decimator, 0, sizeof(*decimator));
	decimator->supervisor = supervisor;
	decimator->number = number;
	if (number > 0)
		snprintf(label, sizeof(label), "decimator %u", number + 1);
	child_init(&decimator->child, supervisor->loop, &decimator_ops,
	    decimator, label, DECIMATOR_PROGRAM);
	ev_timer_init(&decimator->retry, on_retry, 0., RETRY_S);
	decimator->retry.data = decimator;
}

void
decimator_done(struct decimator *decimator)
{
	child_done(&decimator->child);
	ev_timer_stop(decimator->supervisor->loop, &decimator->retry);
	free(decimator->forget);
}

void
decimator_adopt(struct decimator *decimator, struct child_image *image,
    size_t answers, const char *told_state)
{
	decimator->told_state = told_state;
	child_adopt(&decimator->child, image);
	image->messages = image->voice = -1;
	decimator->old_process = decimator->child.pid;
	decimator->answers = answers;
	decimator->log_told = decimator->child.pid != 0;
	if (decimator->child.pid == 0)
		decimator_ended(decimator);
}

void
decimator_look(struct decimator *decimator)
{
	decimator->look = true;
	decimator_update(decimator);
}

int
decimator_number(const struct decimator *decimator)
{
	return decimator == NULL ? -1 : (int)decimator->number;
}

void
decimator_tell(struct channel *channel)
{
	channel->decimator_told = false;
	if (channel->decimator != NULL)
		decimator_update(channel->decimator);
}

void
decimator_tell_parent(const struct channel *channel)
{
	char name[CHANNEL_NAME_MAX + 1];
	struct channel *parent;

	conf_parent_name(name, channel->name);
	if (strcmp(name, channel->name) == 0)
		return;
	parent = channels_find(channel->supervisor, name);
	if (parent != NULL)
		decimator_tell(parent);
}

/* A process that is ending lets go without being asked. */
static void
take_back(struct channel *channel)
{
	struct decimator *decimator = channel->decimator_holder;

	if (decimator == NULL || channel->decimator_leaving)
		return;
	channel->decimator_leaving = true;
	if (decimator->child.state != CHILD_RUNNING)
		return;
	decimator->forget = xgrow(decimator->forget, decimator->forgets,
	    sizeof(*decimator->forget));
	decimator->forget[decimator->forgets++] = channel->number;
	decimator_update(decimator);
}

void
decimator_give(struct channel *channel, struct decimator *to)
{
	if (channel->decimator == to)
		return;
	channel->decimator = to;
	channel->decimator_told = false;
	if (channel->decimator_holder != to)
		take_back(channel);
}

void
decimator_forget(struct channel *channel)
{
	channel->decimator = NULL;
	channel->decimator_told = false;
	take_back(channel);
}
