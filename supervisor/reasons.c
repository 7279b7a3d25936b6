/* SPDX-License-Identifier: ISC */
/*
 * The reasons of a channel's state.  Supervisor only.  Reads what a worker
 * writes: a hostile one can only make its own channel look ill or well.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/inputs.h"
#include "common/ledger.h"
#include "common/util.h"
#include "supervisor/fanout.h"
#include "supervisor/reasons.h"
#include "supervisor/supervisor.h"

const struct reason_info reason_table[REASONS] = {
#define REASON_ROW(constant, name, severity, meaning)			\
	[REASON_##constant] = {#name, SEVERITY_##severity, meaning},
	REASON_TABLE(REASON_ROW)
#undef REASON_ROW
};

/*** Counters that rise. ***/

/* False: they change too fast to be read. */
static bool
stream_errors(const struct channel *channel, uint64_t *errors)
{
	struct decimated_state progress;
	uint32_t i;

	if (!decimated_read(&channel->segment.page->progress, &progress))
		return false;
	*errors = 0;
	for (i = 0; i < STREAMS_MAX; i++)
		if (channel->slot[i][0] != '\0' &&
		    progress.stream[i].id == channel->slot_id[i])
			*errors += progress.stream[i].counts.errors;
	return true;
}

static void
count(struct channel *channel, enum reason reason, uint64_t value)
{
	struct reasons *reasons = &channel->reasons;

	/* Less than before: they count from zero again. */
	if (reasons->known && value > reasons->of[reason].seen)
		reasons->of[reason].hold = REASON_HOLD_S;
	else if (reasons->of[reason].hold > 0)
		reasons->of[reason].hold--;
	reasons->of[reason].seen = value;
}

void
reasons_tick(struct channel *channel)
{
	struct ledger ledger;
	uint64_t errors;

	if (channel->reasons.unsettled > 0)
		channel->reasons.unsettled--;
	/* What cannot be read now is compared at the next tick. */
	if (channel->segment.base == NULL ||
	    !segment_ledger(&channel->segment, &ledger) ||
	    !stream_errors(channel, &errors)) {
		reasons_update(channel);
		return;
	}
	count(channel, REASON_STREAM_FAILING, errors);
	count(channel, REASON_OUTPUT_FAILING, ledger.relay_errors);
	count(channel, REASON_ARCHIVE_FAILING, ledger.archive_errors);
	count(channel, REASON_ARCHIVE_SHEDDING, ledger.archive_shed);
	count(channel, REASON_SOCKET_DROPPING, ledger.kernel_dropped);
	count(channel, REASON_CARD_STARVED, channel->xdp.starved);
	channel->reasons.known = true;
	reasons_update(channel);
}

/*** Facts. ***/

static enum reason
lacking(const struct lack *lack)
{
	if (lack->archive)
		return lack->error == EBUSY ? REASON_ARCHIVE_IN_USE :
		    REASON_ARCHIVE_DIRECTORY;
	if (lack->memory)
		return REASON_MEMORY_MISSING;
	if (lack->program)
		return REASON_PROGRAM_CLOSED;
	if (lack->kernel)
		return REASON_KERNEL_MISSING;
	switch (lack->error) {
	case EADDRINUSE:
		return REASON_ADDRESS_IN_USE;
	case ENODEV:
	case ENXIO:
		return REASON_INTERFACE_MISSING;
	case EADDRNOTAVAIL:
		return REASON_ADDRESS_MISSING;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
		return REASON_ROUTE_MISSING;
	case EACCES:
	case EPERM:
		return REASON_NOT_PERMITTED;
	}
	return REASON_CANNOT_OPEN;
}

static bool
streams_complete(const struct channel *channel)
{
	return parts_complete(&channel->parts, channel->conf, PART_STREAMS);
}

static bool
is_served(const struct channel *channel)
{
	return channel->parts.streams == 0 || (channel->decimator != NULL &&
	    channel->decimator_holder == channel->decimator &&
	    channel->decimator->child.state == CHILD_RUNNING);
}

/* What the network has taken from a socket (heal.h), of `n' of them. */
static bool
any_lost(const struct attachment *at, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (at[i].error != 0)
			return true;
	return false;
}

/* The same of the inputs, and *which it is; how many. */
static size_t
lost_inputs(const struct parts *parts, const struct input **which)
{
	size_t i, count = 0;

	for (i = 0; i < parts->inputs; i++)
		if (parts->input[i].at.error != 0 && count++ == 0)
			*which = &parts->input[i];
	return count;
}

/* Why the kernel does not share out a port of the channel, and *which it is; 0:
 * it does. */
static int
mixed_up(const struct parts *parts, const struct input **which)
{
	int error;
	size_t i;

	for (i = 0; i < parts->inputs; i++)
		if ((error = fanout_error(
		    &parts->input[i].listen.address)) != 0) {
			*which = &parts->input[i];
			return error;
		}
	return 0;
}

/* Nobody asks for members of one of the groups. */
static bool
lacks_querier(const struct channel *channel)
{
	const struct parts *parts = &channel->parts;
	size_t i;

	for (i = 0; i < parts->inputs; i++)
		if (querier_missing(&channel->supervisor->querier,
		    parts->input[i].at.index,
		    &parts->input[i].listen.address))
			return true;
	return false;
}

static bool
holds(const struct channel *channel, enum reason reason)
{
	const struct lack *lack = channel_lack(channel);
	const struct parts *parts = &channel->parts;
	const struct input *which;

	if (reason_table[reason].severity == SEVERITY_WAITING)
		return lack != NULL && lacking(lack) == reason;
	if (channel->asleep)
		return reason == REASON_STANDBY;
	if (channel->child.state != CHILD_RUNNING)
		return false;
	switch (reason) {
	case REASON_INPUT_LOST:
		return lost_inputs(parts, &which) > 0;
	case REASON_PORT_MIXED_UP:
		return mixed_up(parts, &which) != 0;
	case REASON_OUTPUT_LOST:
		return any_lost(parts->output_at, parts->outputs);
	case REASON_STREAM_LOST:
		return any_lost(parts->stream_at, parts->streams);
	case REASON_STREAM_OUTPUT:
		return !streams_complete(channel);
	case REASON_DECIMATOR_AWAY:
		return streams_complete(channel) && (!is_served(channel) ||
		    watch_streams_idle(channel));
	case REASON_ARCHIVE_AWAY:
		return parts->archive_away[0] != '\0';
	case REASON_ARCHIVE_STUCK:
		return channel->watch.archive_stuck;
	case REASON_FORWARD_REFUSED:
		return forwarder_refused(channel);
	case REASON_FORWARD_BEHIND:
		return forwarder_behind(channel);
	case REASON_FLEET_AWAY:
		return fleet_is_away(channel);
	case REASON_KERNEL_FAILING:
		return channel->kernel_failure.error != 0;
	case REASON_KERNEL_FALLBACK:
		return kernel_path_falls_back(channel) ||
		    xdp_path_falls_back(channel);
	case REASON_NO_DATAGRAMS:
		return channel->silence.stale;
	case REASON_ARCHIVE_PAUSED:
		return (channel->paused & RING_NO_ARCHIVE) != 0;
	case REASON_RELAY_PAUSED:
		return (channel->paused & RING_NO_RELAY) != 0;
	case REASON_STANDBY:
		return fleet_is_standby(channel);
	case REASON_MEMORY_UNLOCKED:
		return channel->unlocked;
	case REASON_QUARANTINED:
		return shared_is_quarantined(channel);
	case REASON_NO_QUERIER:
		return lacks_querier(channel);
	default:
		return channel->reasons.of[reason].hold > 0;
	}
}

/* Between one worker and the next nothing can be told; nor what had been, when
 * somebody has ended it. */
static void
update_settled(struct channel *channel)
{
	struct reasons *reasons = &channel->reasons;

	switch (channel->child.state) {
	case CHILD_STARTING:
	case CHILD_STOPPING:
	case CHILD_BACKOFF:
		reasons->unsettled = REASON_SETTLE_S;
		break;
	case CHILD_STOPPED:
	case CHILD_FAILED:
		/* One that is new, or taken over, has yet to be started. */
		if (!channel->child.wanted && !channel->fresh)
			reasons->unsettled = 0;
		break;
	case CHILD_RUNNING:
	case CHILD_WAITING:
		break;
	}
}

void
reasons_update(struct channel *channel)
{
	struct reasons *reasons = &channel->reasons;
	unsigned i;
	bool now;

	update_settled(channel);
	for (i = 0; i < REASONS; i++) {
		now = holds(channel, i);
		if (now && !reasons->of[i].lasts)
			reasons->of[i].since_ns = clock_realtime_ns();
		reasons->of[i].holds = now;
		reasons->of[i].lasts = now ||
		    (reasons->of[i].lasts && reasons->unsettled > 0);
	}
}

/* Which of several inputs, and why. */
static const char *
input_detail(const struct channel *channel, char *text, size_t size)
{
	const struct input *which = NULL;
	size_t lost = lost_inputs(&channel->parts, &which);
	char input[INPUT_TEXT_SIZE], more[48] = "";

	if (lost == 0 || which == NULL || channel->parts.inputs < 2)
		return reason_table[REASON_INPUT_LOST].meaning;
	(void)inputs_text(&which->listen, input);
	if (lost > 1)
		snprintf(more, sizeof(more), ", and %zu more of %zu inputs",
		    lost - 1, channel->parts.inputs);
	snprintf(text, size, "input %s: %s%s", input,
	    strerror(which->at.error), more);
	return text;
}

static const char *
port_detail(const struct channel *channel, char *text, size_t size)
{
	const struct input *which = NULL;
	char input[INPUT_TEXT_SIZE];
	int error = mixed_up(&channel->parts, &which);

	if (error == 0 || which == NULL)
		return reason_table[REASON_PORT_MIXED_UP].meaning;
	(void)inputs_text(&which->listen, input);
	snprintf(text, size, "%s: no program for the kernel: %s%s: datagrams "
	    "may come to another channel, which refuses them", input,
	    strerror(error), fanout_advice(error));
	return text;
}

const char *
reasons_detail(const struct channel *channel, enum reason reason)
{
	static char text[INPUT_TEXT_SIZE + 160];
	const struct lack *lack = channel_lack(channel);

	if (reason_table[reason].severity == SEVERITY_WAITING && lack != NULL)
		return lack->detail;
	if (reason == REASON_INPUT_LOST)
		return input_detail(channel, text, sizeof(text));
	if (reason == REASON_PORT_MIXED_UP)
		return port_detail(channel, text, sizeof(text));
	if (reason == REASON_KERNEL_FALLBACK && xdp_path_falls_back(channel))
		return channel->xdp.why;
	if (reason == REASON_KERNEL_FAILING ||
	    reason == REASON_KERNEL_FALLBACK)
		return kernel_path_why(channel, text, sizeof(text));
	if (reason == REASON_STREAM_OUTPUT &&
	    channel->parts.lack.error != 0)
		return channel->parts.lack.detail;
	if (reason == REASON_ARCHIVE_AWAY &&
	    channel->parts.archive_away[0] != '\0')
		return channel->parts.archive_away;
	return reason_table[reason].meaning;
}

enum severity
reasons_worst(const struct channel *channel)
{
	enum severity worst = SEVERITY_NOTE;
	unsigned i;

	for (i = 0; i < REASONS; i++)
		if (channel->reasons.of[i].holds)
			worst = MAX_OF(worst, reason_table[i].severity);
	return worst;
}
