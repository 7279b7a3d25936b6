/* SPDX-License-Identifier: ISC */
/*
 * A decimator process and what it is told.  Supervisor only.
 *
 * Nothing is queued but what there is to take back: each channel knows
 * whether its decimator has heard of its present state, and what it has not
 * heard is sent as its socket has room.  A new process is told it all again.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/control.h"
#include "common/log.h"
#include "common/util.h"
#include "supervisor/supervisor.h"

#define DECIMATOR_PROGRAM	"mcrelay-decimator"

/* The segment and the eventfd come before the streams' sockets, plans and
 * feeds. */
#define TAP_FDS		(2 + 3 * STREAMS_MAX)
_Static_assert(TAP_FDS <= FD_PASS_MAX, "fit in one message");

/* A full socket or too many descriptors under way: both pass soon. */
#define RETRY_S		0.01

static bool
has_streams(const struct channel *channel)
{
	return channel->parts.streams > 0;
}

static bool
send_message(struct tap *tap, const struct control_message *message,
    const int *fds, size_t fd_count)
{
	static struct log_limit limit;

	if (fd_send(tap->child.control, message, sizeof(*message), fds,
	    fd_count) == (ssize_t)sizeof(*message))
		return true;
	if (errno != EAGAIN && errno != ETOOMANYREFS && errno != ENOBUFS &&
	    errno != EPIPE && errno != ECONNRESET)
		log_limited(&limit, "%s: cannot send to it: %s",
		    tap->child.label, strerror(errno));
	return false;
}

static void
fill_stream(struct stream_config *config, const struct channel *channel,
    const struct stream_conf *conf)
{
	memcpy(config->name, conf->name, sizeof(config->name));
	format_address((const void *)&conf->to.address, config->destination);
	config->method = conf->method;
	config->range = conf->range;
	config->slot = channel_slot(channel, conf->name);
	config->id = channel->slot_id[config->slot];
	config->every = conf->every;
	config->interval_ns = conf->interval_ns;
	config->clock = conf->clock;
	config->planned = conf->plan != NULL;
	config->pack = conf->pack;
	config->derived = conf->schema_text != NULL;
	config->archived = conf->archive;
}

/* A plan as a file for the decimator, or -1. */
static int
plan_file(const struct stream_conf *conf)
{
	int fd = memfd_create("mcrelay-plan", MFD_CLOEXEC);

	if (fd == -1)
		return -1;
	if (write(fd, conf->plan, conf->plan_size) ==
	    (ssize_t)conf->plan_size)
		return fd;
	close(fd);
	return -1;
}

/* Appends the files of those streams that have a plan; false: no memory. */
static bool
add_plans(const struct channel_conf *conf, size_t streams, int *fds,
    size_t *count)
{
	size_t i;

	for (i = 0; i < streams; i++) {
		if (conf->decimate[i].plan == NULL)
			continue;
		fds[*count] = plan_file(&conf->decimate[i]);
		if (fds[*count] == -1)
			return false;
		(*count)++;
	}
	return true;
}

/* The socket that feeds the stream's archive, or -1. */
static int
feed_of(const struct channel *channel, const struct stream_conf *conf)
{
	char name[CHANNEL_NAME_MAX + 1];
	const struct channel *fed;

	if (!conf->archive || !conf_fed_name(name, channel->name, conf->name))
		return -1;
	fed = supervisor_channel(channel->supervisor, name);
	if (fed == NULL || (!fed->child.wanted && !fed->fresh))
		return -1;
	/* One for another schema waits for the end of the worker. */
	return (fed->next.have & PART_INPUT) != 0 ? fed->next.feed :
	    fed->parts.feed;
}

/* Appends the sockets of those streams that have an archive. */
static void
add_feeds(const struct channel *channel, struct control_message *message,
    int *fds, size_t *count)
{
	size_t i;
	int feed;

	for (i = 0; i < message->streams; i++) {
		feed = feed_of(channel, &channel->conf->decimate[i]);
		message->stream[i].feeds = feed != -1;
		if (feed != -1)
			fds[(*count)++] = feed;
	}
}

static bool
tell_channel(struct tap *tap, const struct channel *channel)
{
	const struct channel_conf *conf = channel->conf;
	const struct parts *parts = &channel->parts;
	struct control_message message;
	int fds[TAP_FDS];
	size_t i, n = 0, plans, end;
	bool sent = false;

	memset(&message, 0, sizeof(message));
	message.type = CONTROL_TAP;
	message.channel = channel->number;
	memcpy(message.name, channel->name, sizeof(message.name));
	message.log_level = tap->supervisor->conf->log_level;
	message.streams = (uint32_t)parts->streams;
	message.samples = conf->samples;
	fds[n++] = channel->segment.fd;
	fds[n++] = channel->tap_event;
	for (i = 0; i < parts->streams; i++) {
		fill_stream(&message.stream[i], channel, &conf->decimate[i]);
		fds[n++] = parts->stream[i];
	}
	plans = n;
	if (add_plans(conf, parts->streams, fds, &n)) {
		end = n;
		add_feeds(channel, &message, fds, &n);
		sent = send_message(tap, &message, fds, n);
		n = end;
	}
	while (n > plans)
		close(fds[--n]);
	return sent;
}

static bool
tell_forgotten(struct tap *tap)
{
	struct control_message message;

	memset(&message, 0, sizeof(message));
	message.type = CONTROL_UNTAP;
	while (tap->forgets > 0) {
		message.channel = tap->forget[tap->forgets - 1];
		if (!send_message(tap, &message, NULL, 0))
			return false;
		tap->forgets--;
		tap->answers++;
	}
	return true;
}

static bool
tell_look(struct tap *tap)
{
	static const struct control_message message = {.type = CONTROL_LOOK};

	if (!tap->look)
		return true;
	if (!send_message(tap, &message, NULL, 0))
		return false;
	tap->look = false;
	tap->answers++;
	return true;
}

static bool
tell_log_level(struct tap *tap)
{
	struct control_message message;

	if (tap->log_told)
		return true;
	memset(&message, 0, sizeof(message));
	message.type = CONTROL_LOG_LEVEL;
	message.log_level = tap->supervisor->conf->log_level;
	tap->log_told = send_message(tap, &message, NULL, 0);
	return tap->log_told;
}

/* Nobody else has it, nor is it on its way back to us. */
static bool
is_free_for(const struct channel *channel, const struct tap *tap)
{
	return channel->tap_holder == NULL ||
	    (channel->tap_holder == tap && !channel->tap_leaving);
}

/* Nobody has followed until now: nothing was missed. */
static void
begin_anew(struct channel *channel)
{
	struct decimated_domain *progress = &channel->segment.tap->progress;

	/* Nobody else writes to the page now. */
	if (channel->tap_anew && channel->tap_holder == NULL) {
		decimated_begin(progress)->position = 0;
		decimated_commit(progress);
	}
	channel->tap_anew = false;
}

/* New streams are for the datums of the segment that comes with them, which
 * may be of another schema: what is left in the old one is for the old ones. */
static bool
may_be_told(const struct channel *channel, const struct tap *tap)
{
	return channel->tap == tap && !channel->tap_told &&
	    !channel->renew && has_streams(channel) &&
	    is_free_for(channel, tap);
}

static bool
tell_channels(struct tap *tap)
{
	struct channel *channel;

	TAILQ_FOREACH(channel, &tap->supervisor->channels, link) {
		if (!may_be_told(channel, tap))
			continue;
		begin_anew(channel);
		if (!tell_channel(tap, channel))
			return false;
		channel->tap_holder = tap;
		channel->tap_told = true;
	}
	return true;
}

void
tap_update(struct tap *tap)
{
	struct ev_loop *loop = tap->supervisor->loop;

	if (tap->child.state != CHILD_RUNNING || tap->child.pid == 0)
		return;
	if (!tell_log_level(tap) || !tell_forgotten(tap) ||
	    !tell_channels(tap) || !tell_look(tap))
		ev_timer_again(loop, &tap->retry);
}

static void
on_retry(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)events;
	ev_timer_stop(loop, watcher);
	tap_update(watcher->data);
}

/*** The process. ***/

static pid_t
decimator_spawn(void *owner, int control)
{
	struct tap *tap = owner;

	return spawn_program(&tap->supervisor->spawn, DECIMATOR_PROGRAM, NULL,
	    &control, 1);
}

/* The holder has let go: whoever is to have it may be told. */
static void
let_go(struct channel *channel)
{
	channel->tap_holder = NULL;
	channel->tap_leaving = channel->tap_told = false;
	if (channel->tap != NULL)
		tap_update(channel->tap);
}

/* The next one knows nothing. */
static void
decimator_ended(void *owner)
{
	struct tap *tap = owner;
	struct channel *channel;

	tap->forgets = tap->answers = 0;
	tap->look = tap->log_told = false;
	TAILQ_FOREACH(channel, &tap->supervisor->channels, link)
		if (channel->tap_holder == tap)
			let_go(channel);
}

static enum child_said
decimator_message(void *owner, const struct control_message *message)
{
	struct tap *tap = owner;
	struct channel *channel;

	if ((message->type != CONTROL_UNTAPPED &&
	    message->type != CONTROL_LOOKED) || tap->answers == 0)
		return CHILD_SAID_NONSENSE;
	tap->answers--;
	tap->watch.unanswered = 0;
	if (message->type == CONTROL_LOOKED)
		return CHILD_SAID_ANSWER;
	/* A channel that was removed is not found, and nobody waits. */
	TAILQ_FOREACH(channel, &tap->supervisor->channels, link)
		if (channel->number == message->channel &&
		    channel->tap_holder == tap && channel->tap_leaving) {
			let_go(channel);
			break;
		}
	return CHILD_SAID_ANSWER;
}

static void
decimator_changed(void *owner)
{
	struct tap *tap = owner;
	int size = 4 * 1024 * 1024;

	if (tap->child.state == CHILD_RUNNING) {
		/* A message is large, and there may be a thousand. */
		(void)setsockopt(tap->child.control, SOL_SOCKET, SO_SNDBUF,
		    &size, sizeof(size));
		tap_update(tap);
	}
	supervisor_notice(tap->supervisor);
}

static void
decimator_last_words(void *owner, char *text, size_t size)
{
	(void)owner;
	(void)size;
	text[0] = '\0';
}

static const struct child_ops decimator_ops = {
	.spawn		= decimator_spawn,
	.ended		= decimator_ended,
	.changed	= decimator_changed,
	.last_words	= decimator_last_words,
	.message	= decimator_message,
};

/*** What others call. ***/

void
tap_init(struct tap *tap, struct supervisor *supervisor, unsigned number)
{
	char label[32] = "decimator";

	memset(tap, 0, sizeof(*tap));
	tap->supervisor = supervisor;
	tap->number = number;
	if (number > 0)
		snprintf(label, sizeof(label), "decimator %u", number + 1);
	child_init(&tap->child, supervisor->loop, &decimator_ops, tap, label);
	ev_timer_init(&tap->retry, on_retry, 0., RETRY_S);
	tap->retry.data = tap;
}

void
tap_done(struct tap *tap)
{
	child_done(&tap->child);
	ev_timer_stop(tap->supervisor->loop, &tap->retry);
	free(tap->forget);
}

void
tap_adopt(struct tap *tap, struct child_image *image, size_t answers)
{
	child_adopt(&tap->child, image);
	image->control = -1;
	tap->old_process = tap->child.pid;
	tap->answers = answers;
	tap->log_told = tap->child.pid != 0;
	if (tap->child.pid == 0)
		decimator_ended(tap);
}

void
tap_look(struct tap *tap)
{
	tap->look = true;
	tap_update(tap);
}

int
tap_number(const struct tap *tap)
{
	return tap == NULL ? -1 : (int)tap->number;
}

void
tap_tell(struct channel *channel)
{
	channel->tap_told = false;
	if (channel->tap != NULL)
		tap_update(channel->tap);
}

void
tap_tell_parent(const struct channel *channel)
{
	char name[CHANNEL_NAME_MAX + 1];
	struct channel *parent;

	conf_fed_parent(name, channel->name);
	if (strcmp(name, channel->name) == 0)
		return;
	parent = supervisor_channel(channel->supervisor, name);
	if (parent != NULL)
		tap_tell(parent);
}

/* One that is ending lets go without being asked. */
static void
take_back(struct channel *channel)
{
	struct tap *tap = channel->tap_holder;

	if (tap == NULL || channel->tap_leaving)
		return;
	channel->tap_leaving = true;
	if (tap->child.state != CHILD_RUNNING)
		return;
	tap->forget = xrealloc(tap->forget,
	    (tap->forgets + 1) * sizeof(*tap->forget));
	tap->forget[tap->forgets++] = channel->number;
	tap_update(tap);
}

void
tap_give(struct channel *channel, struct tap *to)
{
	if (channel->tap == to)
		return;
	channel->tap = to;
	channel->tap_told = false;
	if (channel->tap_holder != to)
		take_back(channel);
}

void
tap_forget(struct channel *channel)
{
	channel->tap = NULL;
	channel->tap_told = false;
	take_back(channel);
}
