/* SPDX-License-Identifier: ISC */
/*
 * Adoption of what a predecessor left.  Supervisor only.  Believes a segment
 * as far as segment_attach() and getsockname() confirm it.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/inputs.h"
#include "common/log.h"
#include "common/util.h"
#include "supervisor/adopt.h"
#include "supervisor/conf/address.h"
#include "supervisor/fdstore.h"
#include "supervisor/handoff_parts.h"
#include "supervisor/pause.h"
#include "supervisor/segment_spec.h"
#include "supervisor/sockets.h"
#include "supervisor/sockets_heal.h"
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
	fleet_adopt(channel);
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
forget_drops(struct channel *channel, size_t i)
{
	const struct segment *segment = &channel->segment;
	struct ingest_state *state = inputs_begin(segment);

	inputs_of(segment, state)[i].drops_seen = 0;
	ingest_commit(&segment->state->ingest);
}

/* Is it the socket for this?  Of several that are bound to one group it is the
 * interface that tells; an interface that is away tells nothing, and then it is
 * the socket's place.  One that could not be bound has nothing but that. */
static bool
fits(const struct inherited_input *input, const struct listen_config *listen,
    bool placed)
{
	if (input->fd == -1)
		return false;
	if (input->unbound)
		return placed;
	return sockets_bound_to(input->fd, listen) &&
	    (placed || sockets_on_interface(input->fd, listen));
}

/* -1: there is none. */
static int
find_input(const struct inherited *from, const struct listen_config *listen,
    size_t place)
{
	int i;

	for (i = 0; i < INPUTS_MAX; i++)
		if (fits(&from->input[i], listen, false))
			return i;
	return fits(&from->input[place], listen, true) ? (int)place : -1;
}

/* Inputs of parts that expect them.  One that archives a stream is of no use
 * without what feeds it. */
static void
take_inputs(struct channel *channel, struct inherited *from)
{
	struct parts *parts = &channel->parts;
	struct input *input;
	bool pair = parts->inputs == 1 &&
	    address_port(&parts->input[0].listen.address) == 0;
	size_t i;
	int place;

	for (i = 0; i < parts->inputs; i++) {
		input = &parts->input[i];
		channel->foreign.was[i] = -1;
		place = find_input(from, &input->listen, i);
		if (place == -1 || (pair && !sockets_are_pair(
		    from->input[place].fd, from->feed)))
			continue;
		input->fd = inheritance_take(&from->input[place].fd);
		input->bound = !from->input[place].unbound;
		input->at.error = from->input[place].error;
		channel->foreign.was[i] = place;
	}
	if (parts_has_input(parts)) {
		parts->feed = inheritance_take(&from->feed);
		parts->have |= PART_INPUT;
	} else
		parts_close(parts, PART_INPUT);
}

/* Inputs are adopted with the segment that says what they were made for. */
static void
take_segment_inputs(struct channel *channel, struct inherited *from)
{
	const struct segment *segment = &channel->segment;
	struct listen_config *listen = xcalloc(segment->inputs,
	    sizeof(*listen));
	uint32_t i;

	for (i = 0; i < segment->inputs; i++)
		listen[i] = segment_spec_listen(segment, i);
	parts_expect_inputs(&channel->parts, listen, segment->inputs);
	free(listen);
	take_inputs(channel, from);
	for (i = 0; i < INPUTS_MAX; i++)
		if (from->input[i].fd != -1) {
			log_warnx("channel %s: its predecessor's socket has "
			    "another address: not used", channel->name);
			close(inheritance_take(&from->input[i].fd));
		}
	for (i = 0; i < segment->inputs && from->worker.pid == 0; i++)
		if (i >= channel->parts.inputs ||
		    channel->parts.input[i].fd == -1)
			forget_drops(channel, i);
}

/* Inputs for other addresses, beside the inherited ones that are to be
 * emptied first. */
static void
open_next_inputs(struct channel *channel, struct conf_problems *problems)
{
	const struct channel_conf *conf = channel->conf;
	struct parts *next = &channel->next;

	if (conf->inputs > 1 || channel->parts.inputs > 1)
		parts_keep_inputs(next, conf, &channel->parts);
	parts_share(&channel->parts, true);
	parts_open(next, conf, PART_INPUT, problems);
	if (parts_unbound(next)) {
		parts_share(next, true);
		if (!parts_bind(next, conf, problems))
			parts_leave_inputs(next, conf);
	}
	parts_share(&channel->parts, false);
	parts_adapt(next, conf, problems);
}

static bool
same_inputs(const struct parts *parts, const struct channel_conf *conf)
{
	size_t i;

	for (i = 0; i < parts->inputs && parts->inputs == conf->inputs; i++)
		if (!sockets_same_input(&parts->input[i].listen,
		    &conf->listen[i]))
			return false;
	return parts->inputs == conf->inputs;
}

static void
compare(struct channel *channel, const struct conf *conf,
    struct conf_problems *problems)
{
	struct channel_config *config;
	struct segment_spec spec;

	segment_spec_fill(&spec, conf, channel->conf);
	segment_spec_keep_slots(&spec, &channel->segment);
	if (segment_spec_same(&channel->segment, &spec)) {
		config = (void *)(uintptr_t)channel->segment.config;
		config->log_target = spec.config.log_target;
		config->log_level = spec.config.log_level;
	} else {
		channel->renew = true;
		/* A worker that was killed has left things to be stored. */
		channel->drain = segment_spec_drains(&channel->segment, &spec);
	}
	if (!parts_has_input(&channel->parts))
		return;
	if (same_inputs(&channel->parts, channel->conf))
		parts_adapt(&channel->parts, channel->conf, problems);
	else
		open_next_inputs(channel, problems);
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

/* The segment is lost, or of another layout; the sockets need not be: what
 * they were bound to is enough to know them by. */
void
adopt_inputs(struct channel *channel, struct inherited *from)
{
	const struct channel_conf *conf = channel->conf;
	int i;

	if ((channel->parts.have & PART_INPUT) != 0)
		return;
	parts_expect_inputs(&channel->parts, conf->listen, conf->inputs);
	take_inputs(channel, from);
	for (i = 0; i < INPUTS_MAX; i++)
		if (from->input[i].fd != -1)
			close(inheritance_take(&from->input[i].fd));
}

void
adopt_channel(struct channel *channel, const struct conf *conf,
    struct inherited *from, struct conf_problems *problems)
{
	from->taken = true;
	fdstore_inherited(channel, from);
	if (foreign_take(channel, conf, from)) {
		if (!parts_has_input(&channel->parts))
			foreign_forget_drops(channel);
	} else if (take_segment(channel, from)) {
		take_segment_inputs(channel, from);
		compare(channel, conf, problems);
	} else {
		adopt_inputs(channel, from);
		/* Bounded by what there is when its segment is made. */
		channel->paused |= from->paused;
	}
	handoff_take_parts(&channel->parts, channel->conf, from);
	xdp_path_adopt(channel, inheritance_take(&from->xdp_socket),
	    inheritance_take(&from->xdp_memory));
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
		take_segment_inputs(channel, from);
	take_worker(channel, from);
}
