/* SPDX-License-Identifier: ISC */
/*
 * Adoption of what a predecessor left.  Supervisor only.  Believes a segment
 * as far as segment_attach() and getsockname() confirm it.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/adopt.h"
#include "supervisor/conf/address.h"
#include "supervisor/fdstore.h"
#include "supervisor/handoff_parts.h"
#include "supervisor/pause.h"
#include "supervisor/segment_spec.h"
#include "supervisor/sockets.h"
#include "supervisor/supervisor.h"
#include "supervisor/tell.h"

static bool
take_segment(struct channel *channel, struct inherited *from)
{
	struct segment *segment = &channel->segment;
	const char *why;

	if (from->segment == -1)
		return false;
	if (segment_attach(segment, from->segment, SEGMENT_SUPERVISOR,
	    &why) == -1) {
		log_warnx("channel %s: what its predecessor left cannot be "
		    "used and is lost: %s", channel->name, why);
		segment->base = NULL;
		segment->fd = -1;
		return false;
	}
	segment->fd = inheritance_take(&from->segment);
	if (!segment_lock(segment))
		channel_warn_unlocked(channel);
	segment_withhold(segment);
	pause_adopt(channel);
	memcpy(channel->slot, segment->config->slot, sizeof(channel->slot));
	memcpy(channel->slot_id, segment->config->slot_id,
	    sizeof(channel->slot_id));
	for (size_t i = 0; i < STREAMS_MAX; i++)
		channel->slot[i][CHANNEL_NAME_MAX] = '\0';
	/* Or all that it has received would count as of the last second. */
	decimator_measure(channel);
	channel->decimator_rate = 0;
	return true;
}

/* The socket that it was received with is gone, and its count of drops. */
static void
forget_drops(struct channel *channel)
{
	struct ingest_domain *ingest = &channel->segment.state->ingest;

	ingest_begin(ingest)->drops_seen = 0;
	ingest_commit(ingest);
}

/* One that archives a stream is of no use without what feeds it. */
static bool
is_input(const struct channel *channel, const struct inherited *from)
{
	struct listen_config listen;

	segment_spec_listen(&channel->segment, &listen);
	if (!sockets_bound_to(from->input, &listen))
		return false;
	return address_port(&listen.address) != 0 ||
	    sockets_are_pair(from->input, from->feed);
}

/* An input is adopted with the segment that says what it was made for. */
static void
take_input(struct channel *channel, struct inherited *from)
{
	if (from->input != -1 && !is_input(channel, from)) {
		log_warnx("channel %s: its predecessor's socket has another "
		    "address: not used", channel->name);
		close(inheritance_take(&from->input));
	}
	if (from->input == -1) {
		if (from->worker.pid == 0)
			forget_drops(channel);
		return;
	}
	channel->parts.input = inheritance_take(&from->input);
	channel->parts.feed = inheritance_take(&from->feed);
	channel->parts.bound = true;
	channel->parts.have |= PART_INPUT;
}

/* An input for another address, beside the inherited one that is to be
 * emptied first. */
static void
open_next_input(struct channel *channel, struct conf_problems *problems)
{
	const struct channel_conf *conf = channel->conf;
	struct parts *next = &channel->next;

	sockets_share(channel->parts.input, true);
	parts_open(next, conf, PART_INPUT, problems);
	if (next->input != -1 && !next->bound) {
		sockets_share(next->input, true);
		if (!parts_bind(next, conf, problems))
			parts_leave_input(next, conf);
		if (next->input != -1)
			sockets_share(next->input, conf->listen.share);
	}
	sockets_share(channel->parts.input, false);
}

static void
compare(struct channel *channel, const struct conf *conf,
    struct conf_problems *problems)
{
	struct channel_config *config;
	struct segment_spec spec;
	struct listen_config listen;

	segment_spec_fill(&spec, conf, channel->conf);
	if (segment_spec_same(&channel->segment, &spec)) {
		config = (void *)(uintptr_t)channel->segment.config;
		config->log_target = spec.config.log_target;
		config->log_level = spec.config.log_level;
	} else {
		channel->renew = true;
		/* A worker that was killed has left things to be stored. */
		channel->drain = segment_spec_drains(&channel->segment, &spec);
	}
	if (channel->parts.input == -1)
		return;
	segment_spec_listen(&channel->segment, &listen);
	if (sockets_same_input(&listen, &channel->conf->listen))
		parts_adapt(&channel->parts, channel->conf, problems);
	else
		open_next_input(channel, problems);
}

static struct decimator *
find_decimator(const struct channel *channel, int number)
{
	return number == -1 ? NULL : &channel->supervisor->decimator[number];
}

/* The worker, and what goes with it. */
static void
take_worker(struct channel *channel, struct inherited *from)
{
	struct child *child = &channel->child;

	if (from->decimator_event != -1) {
		if (channel->decimator_event != -1)
			close(channel->decimator_event);
		channel->decimator_event =
		    inheritance_take(&from->decimator_event);
		channel->number = from->number;
		channel->decimator = find_decimator(channel, from->decimator);
		channel->decimator_holder = find_decimator(channel,
		    from->holder);
		channel->decimator_leaving = from->leaving;
		channel->decimator_told = from->told;
	}
	channel->reasons = from->reasons;
	tell_adopt(channel, from->told_state);
	child->mute = channel->foreign.mute;
	child_adopt(child, &from->worker);
	/* An older image does not say. */
	if (from->silence.seen_at_ns != 0)
		channel->silence = from->silence;
	from->worker.messages = from->worker.voice = -1;
	channel->old_worker = child->pid;
	channel->fresh = child->pid == 0 && child->wanted;
	/* Its segment is not known, or is to be replaced. */
	if (child->pid != 0 && child->wanted &&
	    (channel->renew || channel->segment.base == NULL))
		child_restart(child, true);
}

/* The segment is lost, or of another layout; the socket need not be: what it
 * was bound to is enough to know it by. */
static void
keep_input(struct channel *channel, struct inherited *from)
{
	if (from->input == -1)
		return;
	if (channel->conf->archives_stream ?
	    !sockets_are_pair(from->input, from->feed) :
	    !sockets_bound_to(from->input, &channel->conf->listen)) {
		close(inheritance_take(&from->input));
		return;
	}
	channel->parts.input = inheritance_take(&from->input);
	channel->parts.feed = inheritance_take(&from->feed);
	channel->parts.bound = true;
	channel->parts.have |= PART_INPUT;
}

void
adopt_channel(struct channel *channel, const struct conf *conf,
    struct inherited *from, struct conf_problems *problems)
{
	from->taken = true;
	fdstore_inherited(channel, from);
	if (foreign_take(channel, conf, from)) {
		keep_input(channel, from);
		if (channel->parts.input == -1)
			foreign_forget_drops(channel);
	} else if (take_segment(channel, from)) {
		take_input(channel, from);
		compare(channel, conf, problems);
	} else {
		keep_input(channel, from);
		/* Bounded by what there is when its segment is made. */
		channel->paused |= from->paused;
	}
	handoff_take_parts(&channel->parts, channel->conf, from);
	if (channel->supervisor->inheritance->upgrade)
		take_worker(channel, from);
	else
		tell_take_over(channel);
	/* A worker that runs is asked to drain; one that was stopped has. */
	if (!channel->fresh)
		channel->drain = false;
}

void
adopt_leaving(struct channel *channel, struct inherited *from)
{
	from->taken = true;
	fdstore_inherited(channel, from);
	if (!foreign_take_leaving(channel, from) &&
	    take_segment(channel, from))
		take_input(channel, from);
	take_worker(channel, from);
}
