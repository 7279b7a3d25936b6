/* SPDX-License-Identifier: ISC */
/*
 * Spreads the channels over the decimator processes.  Supervisor only.
 *
 * What a channel weighs is its streams times the bytes that it has received
 * in a second lately; one that nothing is known of yet weighs by its streams
 * alone.  Nothing moves because weights change: a channel that moves loses
 * the windows that are under way.
 */
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/supervisor.h"

static uint64_t
weight(const struct channel *channel)
{
	return channel->parts.streams * (1 + channel->decimator_rate);
}

static void
sum_up(struct supervisor *supervisor)
{
	const struct channel *channel;
	unsigned i;

	for (i = 0; i < NITEMS(supervisor->decimator); i++)
		supervisor->decimator[i].load = 0;
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (channel->decimator != NULL)
			channel->decimator->load += weight(channel);
}

static void
give(struct channel *channel, struct decimator *to)
{
	if (channel->decimator != NULL)
		channel->decimator->load -= weight(channel);
	to->load += weight(channel);
	decimator_give(channel, to);
}

/* Of the processes from..to-1, the one with the least to do; the first of
 * those that are alike. */
static struct decimator *
least(struct supervisor *supervisor, unsigned from, unsigned to)
{
	struct decimator *best = &supervisor->decimator[from], *each;
	unsigned i;

	for (i = from + 1; i < to; i++) {
		each = &supervisor->decimator[i];
		if (each->load < best->load)
			best = each;
	}
	return best;
}

/*
 * The channel of the first `before' processes that makes its process and `to'
 * more alike by moving: of the process with the most to do the heaviest.  One
 * that has a single channel has none to give, however busy it is.
 */
static struct channel *
to_move(struct supervisor *supervisor, unsigned before,
    const struct decimator *to)
{
	struct channel *channel, *best = NULL;
	const struct decimator *decimator;

	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		decimator = channel->decimator;
		if (decimator == NULL || decimator->number >= before ||
		    to->load + weight(channel) >= decimator->load)
			continue;
		if (best == NULL || decimator->load > best->decimator->load ||
		    (decimator == best->decimator &&
		    weight(channel) > weight(best)))
			best = channel;
	}
	return best;
}

/* Processes that are new get their part of what the others have; nothing
 * else moves. */
static void
share(struct supervisor *supervisor, unsigned before, unsigned now)
{
	struct channel *channel;
	struct decimator *to;

	for (;;) {
		to = least(supervisor, before, now);
		channel = to_move(supervisor, before, to);
		if (channel == NULL)
			return;
		log_info("channel %s: its streams move to %s", channel->name,
		    to->child.label);
		give(channel, to);
	}
}

static void
spread(struct supervisor *supervisor)
{
	unsigned before = supervisor->decimators;
	unsigned now = supervisor->conf->decimators;
	struct channel *channel;

	supervisor->decimators = now;
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (channel->parts.streams == 0 || (channel->decimator !=
		    NULL &&
		    channel->decimator->number >= now))
			decimator_give(channel, NULL);
	sum_up(supervisor);
	if (before > 0 && now > before)
		share(supervisor, before, now);
	if (now == 0)
		return;
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (channel->parts.streams > 0 && channel->decimator == NULL)
			give(channel, least(supervisor, 0, now));
}

static bool
needed(const struct decimator *decimator)
{
	const struct channel *channel;

	TAILQ_FOREACH(channel, &decimator->supervisor->channels, link)
		if (channel->decimator == decimator)
			return true;
	return false;
}

void
decimators_update(struct supervisor *supervisor)
{
	struct decimator *decimator;
	unsigned i;

	spread(supervisor);
	for (i = 0; i < NITEMS(supervisor->decimator); i++) {
		decimator = &supervisor->decimator[i];
		if (!needed(decimator))
			child_stop(&decimator->child);
		/* Or the image before us had it wait for its next start. */
		else if (!decimator->child.wanted ||
		    decimator->child.state == CHILD_STOPPED)
			child_start(&decimator->child);
		decimator_update(decimator);
	}
}

bool
decimators_stop(struct supervisor *supervisor)
{
	struct child *child;
	bool gone = true;
	unsigned i;

	for (i = 0; i < NITEMS(supervisor->decimator); i++) {
		child = &supervisor->decimator[i].child;
		child_stop(child);
		if (child->stuck)
			child_abandon(child);
		gone = gone && child->pid == 0;
	}
	return gone;
}

void
decimators_log_level(struct supervisor *supervisor)
{
	unsigned i;

	for (i = 0; i < NITEMS(supervisor->decimator); i++) {
		supervisor->decimator[i].log_told = false;
		decimator_update(&supervisor->decimator[i]);
	}
}

void
decimators_live(struct supervisor *supervisor)
{
	unsigned i;

	for (i = 0; i < NITEMS(supervisor->decimator); i++) {
		memset(supervisor->decimator[i].live_told, 0,
		    sizeof(supervisor->decimator[i].live_told));
		decimator_update(&supervisor->decimator[i]);
	}
}

void
decimators_init(struct supervisor *supervisor)
{
	unsigned i;

	for (i = 0; i < NITEMS(supervisor->decimator); i++)
		decimator_init(&supervisor->decimator[i], supervisor, i);
}

void
decimators_done(struct supervisor *supervisor)
{
	unsigned i;

	for (i = 0; i < NITEMS(supervisor->decimator); i++)
		decimator_done(&supervisor->decimator[i]);
}

void
decimator_measure(struct channel *channel)
{
	struct ingest_state ingest;
	uint64_t before = channel->decimator_bytes, came;

	if (channel->segment.base == NULL ||
	    !ingest_read(&channel->segment.state->ingest, &ingest))
		return;
	channel->decimator_bytes = ingest.counts.received_bytes;
	/* The counters begin again with other outputs. */
	came = ingest.counts.received_bytes < before ? 0 :
	    ingest.counts.received_bytes - before;
	/* Over a few seconds. */
	channel->decimator_rate = (3 * channel->decimator_rate + came) / 4;
}
