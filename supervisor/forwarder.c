/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-forwarder: its processes, what they are told, what they say.
 * Supervisor only.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/growing.h"
#include "common/log.h"
#include "common/util.h"
#include "supervisor/channel.h"
#include "supervisor/forwarder_priv.h"
#include "supervisor/json_text.h"
#include "supervisor/memory_file.h"
#include "supervisor/runnable.h"
#include "supervisor/status.h"
#include "supervisor/supervisor.h"

#define FORWARDER_PROGRAM	"mcrelay-forwarder"
/* How often it is told how everything is. */
#define FORWARDER_STATUS_S	5U

/*** What it is told. ***/

static unsigned
number_of(const struct forwarder *forwarder)
{
	return (unsigned)(forwarder - forwarder->supervisor->forwarder);
}

/* One is enough: they are slow. */
static bool
shows_streams(const struct forwarder *forwarder)
{
	return forwarder->supervisor->conf->forward.live &&
	    number_of(forwarder) == 0;
}

/* Whether there is an archive to be read. */
static bool
has_directory(const struct channel *channel)
{
	return channel->parts.archive != -1 &&
	    channel->parts.archive_away[0] == '\0';
}

/* Every so many'th of those that are forwarded is its. */
static struct channel *
next_channel(const struct forwarder *forwarder, struct channel *after,
    unsigned *count)
{
	const struct supervisor *supervisor = forwarder->supervisor;
	const unsigned processes = conf_forwarders(supervisor->conf);
	struct channel *channel = after == NULL ?
	    TAILQ_FIRST(&supervisor->channels) : TAILQ_NEXT(after, link);

	for (; channel != NULL; channel = TAILQ_NEXT(channel, link))
		if (channel->conf->forward &&
		    (*count)++ % processes == number_of(forwarder) &&
		    has_directory(channel))
			return channel;
	return NULL;
}

static void
put_text(struct growing *out, const char *name, const char *text)
{
	if (text != NULL)
		json_text_string(out, name, text);
}

void
forwarder_put_servers(struct growing *out, const struct forward_conf *conf,
    const char *host)
{
	unsigned i;

	json_text_open(out, "servers", '[');
	for (i = 0; i < conf->servers; i++)
		json_text_string(out, NULL, conf->server[i]);
	json_text_close(out, ']');
	put_text(out, "credentials", conf->credentials);
	if (conf->tls) {
		json_text_open(out, "tls", '{');
		put_text(out, "ca", conf->ca);
		put_text(out, "certificate", conf->certificate);
		put_text(out, "key", conf->key);
		json_text_close(out, '}');
	}
	json_text_string(out, "host", host);
	json_text_number(out, "replicas", conf->replicas);
	json_text_open(out, "limits", '{');
	json_text_number(out, "age_ns", conf->age_ns);
	json_text_number(out, "size", conf->size);
	json_text_number(out, "messages", conf->messages);
	json_text_close(out, '}');
}

/* With which directory it is, so that another one is a change. */
static void
put_channel(struct growing *out, const struct conf *conf,
    const struct channel *channel)
{
	char *stream = conf_forward_name(conf->forward.stream, conf->host,
	    channel->name);
	char *subject = conf_forward_name(conf->forward.subject, conf->host,
	    channel->name);
	struct statx st = {0};

	/* As the kernel knows it: a server is not asked. */
	(void)statx(channel->parts.archive, "", AT_EMPTY_PATH |
	    AT_STATX_DONT_SYNC, STATX_INO, &st);
	json_text_open(out, NULL, '{');
	json_text_string(out, "name", channel->name);
	json_text_string(out, "stream", stream);
	json_text_string(out, "subject", subject);
	json_text_number(out, "number", channel->number);
	json_text_number(out, "major", st.stx_dev_major);
	json_text_number(out, "minor", st.stx_dev_minor);
	json_text_number(out, "inode", st.stx_ino);
	json_text_close(out, '}');
	free(stream);
	free(subject);
}

/* To be freed; "": it has nothing to do. */
static char *
compose(const struct forwarder *forwarder)
{
	const struct supervisor *supervisor = forwarder->supervisor;
	const struct privdrop *user = &supervisor->conf->decimator_user;
	struct growing out = {.text = NULL};
	struct channel *channel = NULL;
	unsigned count = 0, mine = 0;

	if (number_of(forwarder) >= conf_forwarders(supervisor->conf) ||
	    supervisor->phase == PHASE_STOPPING)
		return xstrdup("");
	json_text_open(&out, NULL, '{');
	forwarder_put_servers(&out, &supervisor->conf->forward,
	    supervisor->conf->host);
	json_text_number(&out, "user", user->uid);
	if (shows_streams(forwarder))
		json_text_number(&out, "live", 1);
	json_text_open(&out, "channels", '[');
	while (mine < FORWARD_CHANNELS_MAX && (channel =
	    next_channel(forwarder, channel, &count)) != NULL) {
		put_channel(&out, supervisor->conf, channel);
		mine++;
	}
	json_text_close(&out, ']');
	json_text_close(&out, '}');
	growing_put(&out, "", 1);
	if (mine == 0 && !shows_streams(forwarder))
		out.text[0] = '\0';
	return out.text;
}

/*** Its process. ***/

/* It knows what there is now. */
static unsigned
tell(struct forwarder *forwarder, int *fds)
{
	struct channel *channel = NULL;
	unsigned count = 0, mine = 0;
	size_t size = strlen(forwarder->wanted);

	memory_file_take_back(forwarder->spec);
	forwarder->spec = memory_file("mcrelay-forward", forwarder->wanted,
	    size);
	free(forwarder->told);
	forwarder->told = xstrdup(forwarder->wanted);
	while (mine < FORWARD_CHANNELS_MAX && (channel =
	    next_channel(forwarder, channel, &count)) != NULL) {
		channel->forwarder = forwarder;
		channel->forward_slot = mine;
		fds[mine++] = channel->parts.archive;
	}
	return mine;
}

static pid_t
forwarder_spawn(void *owner, int messages, int stderr_fd)
{
	struct forwarder *forwarder = owner;
	struct supervisor *supervisor = forwarder->supervisor;
	const struct privdrop *user = &supervisor->conf->decimator_user;
	int fds[FORWARD_DIRECTORY_FD - MESSAGE_FD + FORWARD_CHANNELS_MAX];
	unsigned count;

	if (!runnable_child(supervisor, &forwarder->child, FORWARDER_PROGRAM,
	    user))
		return -1;
	if (forwarder->page == NULL)
		forwarder->page = memory_file_shared("mcrelay-forward",
		    sizeof(*forwarder->page), &forwarder->page_fd);
	if (forwarder->page == NULL) {
		log_warn("%s: no memory to be shared",
		    forwarder->child.label);
		return -1;
	}
	forwarder_page_take(forwarder);
	free(forwarder->wanted);
	forwarder->wanted = compose(forwarder);
	count = tell(forwarder, fds + FORWARD_DIRECTORY_FD - MESSAGE_FD);
	if (forwarder->spec == -1) {
		log_warn("%s: cannot tell it anything",
		    forwarder->child.label);
		return -1;
	}
	fds[0] = messages;
	fds[FORWARD_SPEC_FD - MESSAGE_FD] = forwarder->spec;
	fds[FORWARD_PAGE_FD - MESSAGE_FD] = forwarder->page_fd;
	return spawn_program(&supervisor->spawn, FORWARDER_PROGRAM, NULL,
	    user, stderr_fd, fds, FORWARD_DIRECTORY_FD - MESSAGE_FD + count);
}

static void
forwarder_ended(void *owner)
{
	struct forwarder *forwarder = owner;

	forwarder_page_take(forwarder);
	memory_file_take_back(forwarder->spec);
	memory_file_take_back(forwarder->streams);
	forwarder->spec = forwarder->streams = -1;
	forwarder->look = forwarder->streams_told = false;
}

static void
forwarder_changed(void *owner)
{
	struct forwarder *forwarder = owner;

	supervisor_notice(forwarder->supervisor);
}

static enum child_said
forwarder_message(void *owner, const struct message *message)
{
	return watch_answer(message, &((struct forwarder *)owner)->look);
}

static const struct child_ops forwarder_ops = {
	.spawn		= forwarder_spawn,
	.ended		= forwarder_ended,
	.changed	= forwarder_changed,
	.message	= forwarder_message,
};

/*** What others call. ***/

void
forwarders_init(struct supervisor *supervisor)
{
	struct forwarder *forwarder;
	char label[32];
	unsigned i;

	for (i = 0; i < FORWARDERS_MAX; i++) {
		forwarder = &supervisor->forwarder[i];
		forwarder->supervisor = supervisor;
		forwarder->spec = forwarder->page_fd = -1;
		forwarder->status = forwarder->streams = -1;
		forwarder->live.out = forwarder->live.in = -1;
		forwarder->told = xstrdup("");
		forwarder->wanted = xstrdup("");
		snprintf(label, sizeof(label), i == 0 ? "forwarder" :
		    "forwarder %u", i);
		child_init(&forwarder->child, supervisor->loop,
		    &forwarder_ops, forwarder, label, FORWARDER_PROGRAM);
	}
}

void
forwarders_done(struct supervisor *supervisor)
{
	struct forwarder *forwarder;
	unsigned i;

	for (i = 0; i < FORWARDERS_MAX; i++) {
		forwarder = &supervisor->forwarder[i];
		memory_file_take_back(forwarder->spec);
		memory_file_take_back(forwarder->status);
		memory_file_take_back(forwarder->streams);
		(void)live_pair_close(&forwarder->live);
		if (forwarder->page != NULL) {
			(void)munmap(forwarder->page,
			    sizeof(*forwarder->page));
			close(forwarder->page_fd);
		}
		free(forwarder->told);
		free(forwarder->wanted);
		child_done(&forwarder->child);
	}
}

/* For the ledgers of its channels. */
static void
tell_status(struct forwarder *forwarder)
{
	static const struct message message = {.type = MESSAGE_STATUS};
	struct growing text = {.text = NULL};

	if (forwarder->child.state != CHILD_RUNNING ||
	    ++forwarder->status_s < FORWARDER_STATUS_S)
		return;
	forwarder->status_s = 0;
	status_print(&text, NULL, forwarder->supervisor, NULL);
	memory_file_take_back(forwarder->status);
	forwarder->status = memory_file("mcrelay-status", text.text,
	    text.size);
	free(text.text);
	/* If it does not read, the next one will do. */
	if (forwarder->status != -1 && fd_send(forwarder->child.messages,
	    &message, sizeof(message), &forwarder->status, 1) == -1)
		log_debug("%s: it does not take the status",
		    forwarder->child.label);
}

/* There is a pair as long as somebody is to look. */
static void
check_live(struct forwarder *forwarder, bool wanted)
{
	struct live_pair *pair = &forwarder->live;
	bool changed = wanted ? pair->out == -1 && live_pair_open(pair) :
	    live_pair_close(pair);

	if (changed)
		decimators_live(forwarder->supervisor);
}

/* If it does not read it is told later. */
static void
tell_streams(struct forwarder *forwarder)
{
	static const struct message message = {.type = MESSAGE_STREAMS};
	int fds[2];

	if (forwarder->streams_told || forwarder->live.out == -1 ||
	    forwarder->child.state != CHILD_RUNNING)
		return;
	memory_file_take_back(forwarder->streams);
	forwarder->streams = web_streams_file(forwarder->supervisor);
	fds[0] = forwarder->streams;
	fds[1] = forwarder->live.in;
	forwarder->streams_told = forwarder->streams != -1 &&
	    fd_send(forwarder->child.messages, &message, sizeof(message), fds,
	    NITEMS(fds)) != -1;
}

static void
check(struct forwarder *forwarder)
{
	struct child *child = &forwarder->child;

	free(forwarder->wanted);
	forwarder->wanted = compose(forwarder);
	check_live(forwarder, shows_streams(forwarder) &&
	    *forwarder->wanted != '\0');
	if (*forwarder->wanted == '\0') {
		child_stop(child);
		return;
	}
	watch_check_forwarder(forwarder);
	tell_status(forwarder);
	tell_streams(forwarder);
	if (child->state == CHILD_STOPPED || child->state == CHILD_FAILED)
		child_start(child);
	else if (child->pid != 0 && child->state != CHILD_STOPPING &&
	    strcmp(forwarder->wanted, forwarder->told) != 0)
		child_restart(child, false);
}

/* One that is new, or forwarded just now, has had one. */
static void
note_served(struct channel *channel)
{
	const struct forwarder *forwarder = channel->forwarder;

	if (!channel->conf->forward)
		channel->forwarder_ns = 0;
	else if (channel->forwarder_ns == 0 || (forwarder != NULL &&
	    forwarder->child.state == CHILD_RUNNING))
		channel->forwarder_ns = clock_monotonic_ns();
}

void
forwarders_second(struct supervisor *supervisor)
{
	struct channel *channel;
	unsigned i;

	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		note_served(channel);
		forwarder_tell_worker(channel);
	}

	for (i = 0; i < FORWARDERS_MAX; i++)
		check(&supervisor->forwarder[i]);
}

void
forwarders_streams(struct supervisor *supervisor)
{
	supervisor->forwarder[0].streams_told = false;
	tell_streams(&supervisor->forwarder[0]);
}

bool
forwarders_stop(struct supervisor *supervisor)
{
	bool gone = true;
	struct child *child;
	unsigned i;

	check_live(&supervisor->forwarder[0], false);
	for (i = 0; i < FORWARDERS_MAX; i++) {
		child = &supervisor->forwarder[i].child;
		if (child->wanted)
			child_stop(child);
		if (child->stuck)
			child_abandon(child);
		gone = gone && child->pid == 0;
	}
	return gone;
}
