/* SPDX-License-Identifier: ISC */
/*
 * Mends the sockets of all channels.  See heal.h.  Supervisor only.
 */
#include <sys/socket.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/udp.h"
#include "common/util.h"
#include "supervisor/channel.h"
#include "supervisor/channels.h"
#include "supervisor/events.h"
#include "supervisor/heal.h"
#include "supervisor/memberships.h"
#include "supervisor/sockets.h"
#include "supervisor/sockets_heal.h"
#include "supervisor/supervisor.h"

/* How often to look when nothing was heard, in seconds. */
#define LOOK_SECONDS	10U

/*** What is said. ***/

/* One socket, for what is said of it. */
struct subject {
	struct channel	*channel;
	const struct sockaddr_storage *address;
	const char	*interface;
	const char	*stream;	/* "": an input, or a relay's output */
	bool		 input;
};

static void
name_subject(const struct subject *subject, char *text, size_t size)
{
	char address[ADDRESS_TEXT_SIZE];
	const char *on = subject->interface[0] != '\0' ? " on " : "";

	format_address((const void *)subject->address, address);
	if (subject->stream[0] != '\0')
		snprintf(text, size, "%s/%s: output %s%s%s",
		    subject->channel->name, subject->stream, address, on,
		    subject->interface);
	else
		snprintf(text, size, "channel %s: %s %s%s%s",
		    subject->channel->name, subject->input ? "input" : "output",
		    address, on, subject->interface);
}

/* To the log, and as an event. */
static void ATTR_PRINTF(3, 4)
say(const struct subject *subject, bool ok, const char *fmt, ...)
{
	char name[256], text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	name_subject(subject, name, sizeof(name));
	if (ok)
		log_info("%s: %s", name, text);
	else
		log_warnx("%s: %s: goes on when that changes", name, text);
	events_add(subject->channel->supervisor, subject->channel,
	    EVENT_NETWORK, json_pack("{s:b, s:o, s:o}", "ok", ok,
	    "socket", events_text(name), "what", events_text(text)),
	    "%s: %s", name, text);
}

static void
say_failed(const struct subject *subject, struct attachment *at,
    const char *what)
{
	int error = errno;

	/* What we lack to look with says nothing of the socket. */
	if (error == at->error || parts_exhausted(error))
		return;
	at->error = error;
	say(subject, false, "cannot %s: %s", what, strerror(error));
}

static void
say_input(const struct subject *subject, const struct attachment *at)
{
	char interface[IF_NAMESIZE] = "?";

	if (!udp_is_group(subject->address)) {
		say(subject, true, "receives on the interface again");
		return;
	}
	(void)if_indextoname((unsigned)at->index, interface);
	say(subject, true, "joined on %s", interface);
}

static void
say_output(const struct subject *subject, const struct destination_conf *to,
    int fd)
{
	char from[ADDRESS_TEXT_SIZE] = "?";
	struct sockaddr_storage source;
	socklen_t size = sizeof(source);

	if (to->keep_source) {
		say(subject, true, "has a route again");
		return;
	}
	memset(&source, 0, sizeof(source));
	if (getsockname(fd, (void *)&source, &size) == 0)
		format_address((const void *)&source, from);
	say(subject, true, "sends from %s now", from);
}

/*** Sockets. ***/

static void
heal_output(struct heal *heal, const struct subject *subject, int fd,
    const struct destination_conf *to, struct attachment *at)
{
	const char *what = "";

	if (fd == -1)
		return;
	switch (sockets_heal_output(fd, to, at, &what)) {
	case HEALED_FAILED:
		say_failed(subject, at, what);
		heal->pending = true;
		return;
	case HEALED_DONE:
		say_output(subject, to, fd);
		break;
	case HEALED_NOTHING:
		/* The very same interface is back. */
		if (at->error != 0)
			say_output(subject, to, fd);
		break;
	}
	at->error = 0;
}

/* One of several may not have been bound until now. */
static enum healed
mend_input(struct input *input, const char **what)
{
	enum healed healed;

	if (input->bound)
		return sockets_heal_input(input->fd, &input->listen,
		    &input->at, what);
	if (sockets_bind(input->fd, &input->listen, what) == -1)
		return HEALED_FAILED;
	input->bound = true;
	/* Where it has been joined. */
	healed = sockets_heal_input(input->fd, &input->listen, &input->at,
	    what);
	return healed == HEALED_FAILED ? healed : HEALED_DONE;
}

static void
heal_input(struct heal *heal, struct channel *channel, struct input *input,
    bool several)
{
	const struct listen_config *listen = &input->listen;
	struct attachment *at = &input->at;
	struct subject subject = {.channel = channel, .stream = "",
	    .input = true, .address = &listen->address,
	    .interface = listen->interface};
	bool routed = at->index == 0 && listen->interface[0] == '\0' &&
	    udp_is_group(&listen->address);
	const char *what = "";
	enum healed healed;

	if (input->fd == -1 || (!input->bound && !several))
		return;
	healed = mend_input(input, &what);
	if (healed == HEALED_FAILED) {
		say_failed(&subject, at, what);
		heal->pending = true;
		return;
	}
	if (healed == HEALED_DONE || at->error != 0 || routed)
		say_input(&subject, at);
	at->error = 0;
}

static void
heal_inputs(struct heal *heal, struct channel *channel, struct parts *parts)
{
	size_t i;

	/* Those of a pair are on the loopback interface, and stay. */
	if (channel->conf->archives_stream)
		return;
	for (i = 0; i < parts->inputs; i++)
		heal_input(heal, channel, &parts->input[i],
		    parts->inputs > 1);
}

static void
heal_outputs(struct heal *heal, struct channel *channel,
    struct parts *parts)
{
	const struct channel_conf *conf = channel->conf;
	struct subject subject = {.channel = channel, .stream = ""};
	size_t i;

	for (i = 0; i < MIN_OF(parts->outputs, conf->relays); i++) {
		subject.address = &conf->relay[i].address;
		subject.interface = conf->relay[i].interface;
		heal_output(heal, &subject, parts->output[i], &conf->relay[i],
		    &parts->output_at[i]);
	}
}

static void
heal_streams(struct heal *heal, struct channel *channel,
    struct parts *parts)
{
	const struct channel_conf *conf = channel->conf;
	struct subject subject = {.channel = channel};
	size_t i;

	for (i = 0; i < MIN_OF(parts->streams, conf->decimates); i++) {
		subject.stream = conf->decimate[i].name;
		subject.address = &conf->decimate[i].to.address;
		subject.interface = conf->decimate[i].to.interface;
		heal_output(heal, &subject, parts->stream[i],
		    &conf->decimate[i].to, &parts->stream_at[i]);
	}
}

/* What is still used but not configured any more will be replaced soon, by
 * what is in `next'. */
static void
heal_channel(struct heal *heal, struct channel *channel)
{
	struct parts *parts = &channel->parts, *next = &channel->next;

	heal_inputs(heal, channel,
	    (next->have & PART_INPUT) != 0 ? next : parts);
	heal_outputs(heal, channel,
	    (next->have & PART_WORKER) != 0 ? next : parts);
	heal_streams(heal, channel, parts);
}

/*** Interfaces that know nothing of their groups. ***/

/* Of a list that changes while it is read some may be left out; who leaves and
 * joins loses what arrives in between. */
#define MISSING_MAX	3U

static bool
is_missing(const struct memberships *memberships, struct input *input)
{
	struct attachment *at = &input->at;

	if (input->fd == -1 || at->index == 0 ||
	    !udp_is_group(&input->listen.address) ||
	    memberships_have(memberships, at->index, &input->listen.address))
		at->missing = 0;
	else
		at->missing++;
	return at->missing > 0;
}

static bool
any_missing_of(const struct memberships *memberships, struct parts *parts)
{
	bool any = false;
	size_t i;

	for (i = 0; i < parts->inputs; i++)
		any = is_missing(memberships, &parts->input[i]) || any;
	return any;
}

static bool
any_missing(struct supervisor *supervisor)
{
	struct memberships memberships;
	struct channel *channel;
	bool any = false;

	memberships_read(&memberships);
	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		any = any_missing_of(&memberships, &channel->parts) || any;
		any = any_missing_of(&memberships, &channel->next) || any;
	}
	memberships_free(&memberships);
	return any;
}

static void
leave_missing(const struct parts *parts)
{
	const struct input *input;
	size_t i;

	for (i = 0; i < parts->inputs; i++) {
		input = &parts->input[i];
		if (input->at.missing >= MISSING_MAX)
			sockets_leave(input->fd, &input->listen,
			    input->at.index);
	}
}

/* An interface that went, and came again under its index, has forgotten what
 * its sockets have joined.  All of them leave before one joins: the kernel
 * counts them. */
static void
leave_forgotten(struct supervisor *supervisor)
{
	struct channel *channel;
	unsigned i;

	for (i = 0; i < MISSING_MAX; i++)
		if (!any_missing(supervisor))
			return;
	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		leave_missing(&channel->parts);
		leave_missing(&channel->next);
	}
}

/*** All of them. ***/

static void
look(struct heal *heal)
{
	struct supervisor *supervisor = heal->supervisor;
	struct channel *channel;

	heal->seconds = 0;
	heal->pending = false;
	if (supervisor->phase == PHASE_STOPPING)
		return;
	leave_forgotten(supervisor);
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		heal_channel(heal, channel);
}

static void
on_changed(void *owner)
{
	struct heal *heal = owner;

	look(heal);
	xdp_path_changed(heal->supervisor);
	channels_retry(heal->supervisor);
	kernel_path_update(heal->supervisor);
	xdp_path_update(heal->supervisor);
}

void
heal_start(struct heal *heal, struct supervisor *supervisor)
{
	int fd = netwatch_open(false);

	heal->supervisor = supervisor;
	heal->netwatch.owner = heal;
	heal->netwatch.changed = on_changed;
	heal->netwatch.receive = recv;
	if (fd != -1)
		netwatch_start(&heal->netwatch, supervisor->loop, fd);
	else
		log_warn("the kernel cannot be asked to tell when the network "
		    "changes: looks at it once a second");
}

void
heal_stop(struct heal *heal)
{
	netwatch_stop(&heal->netwatch);
}

void
heal_second(struct heal *heal)
{
	if (++heal->seconds >= LOOK_SECONDS || heal->pending ||
	    !netwatch_active(&heal->netwatch))
		look(heal);
}
