/* SPDX-License-Identifier: ISC */
/*
 * Spreads the channels over the decimator processes.  Supervisor only.
 *
 * What a channel weighs is its streams times the bytes that it has received
 * in a second lately; one that nothing is known of yet weighs by its streams
 * alone.  Nothing moves because weights change: a channel that moves loses
 * the windows that are under way.
 */
#include "common/log.h"
#include "common/util.h"
#include "supervisor/supervisor.h"

static uint64_t
weight(const struct channel *channel)
{
	return channel->parts.streams * (1 + channel->tap_rate);
}

static void
sum_up(struct supervisor *supervisor)
{
	const struct channel *channel;
	unsigned i;

	for (i = 0; i < NITEMS(supervisor->tap); i++)
		supervisor->tap[i].load = 0;
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (channel->tap != NULL)
			channel->tap->load += weight(channel);
}

static void
give(struct channel *channel, struct tap *to)
{
	if (channel->tap != NULL)
		channel->tap->load -= weight(channel);
	to->load += weight(channel);
	tap_give(channel, to);
}

/* Of the processes from..to-1, the one with the least to do; the first of
 * those that are alike. */
static struct tap *
least(struct supervisor *supervisor, unsigned from, unsigned to)
{
	struct tap *best = &supervisor->tap[from], *each;
	unsigned i;

	for (i = from + 1; i < to; i++) {
		each = &supervisor->tap[i];
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
to_move(struct supervisor *supervisor, unsigned before, const struct tap *to)
{
	struct channel *channel, *best = NULL;
	const struct tap *tap;

	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		tap = channel->tap;
		if (tap == NULL || tap->number >= before ||
		    to->load + weight(channel) >= tap->load)
			continue;
		if (best == NULL || tap->load > best->tap->load ||
		    (tap == best->tap && weight(channel) > weight(best)))
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
	struct tap *to;

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
		if (channel->parts.streams == 0 || (channel->tap != NULL &&
		    channel->tap->number >= now))
			tap_give(channel, NULL);
	sum_up(supervisor);
	if (before > 0 && now > before)
		share(supervisor, before, now);
	if (now == 0)
		return;
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (channel->parts.streams > 0 && channel->tap == NULL)
			give(channel, least(supervisor, 0, now));
}

static bool
needed(const struct tap *tap)
{
	const struct channel *channel;

	TAILQ_FOREACH(channel, &tap->supervisor->channels, link)
		if (channel->tap == tap)
			return true;
	return false;
}

void
taps_update(struct supervisor *supervisor)
{
	struct tap *tap;
	unsigned i;

	spread(supervisor);
	for (i = 0; i < NITEMS(supervisor->tap); i++) {
		tap = &supervisor->tap[i];
		if (!needed(tap))
			child_stop(&tap->child);
		else if (!tap->child.wanted)
			child_start(&tap->child);
		tap_update(tap);
	}
}

bool
taps_stop(struct supervisor *supervisor)
{
	bool gone = true;
	unsigned i;

	for (i = 0; i < NITEMS(supervisor->tap); i++) {
		child_stop(&supervisor->tap[i].child);
		gone = gone && supervisor->tap[i].child.pid == 0;
	}
	return gone;
}

void
taps_log_level(struct supervisor *supervisor)
{
	unsigned i;

	for (i = 0; i < NITEMS(supervisor->tap); i++) {
		supervisor->tap[i].log_told = false;
		tap_update(&supervisor->tap[i]);
	}
}

void
taps_init(struct supervisor *supervisor)
{
	unsigned i;

	for (i = 0; i < NITEMS(supervisor->tap); i++)
		tap_init(&supervisor->tap[i], supervisor, i);
}

void
taps_done(struct supervisor *supervisor)
{
	unsigned i;

	for (i = 0; i < NITEMS(supervisor->tap); i++)
		tap_done(&supervisor->tap[i]);
}

void
tap_measure(struct channel *channel)
{
	struct ingest_state ingest;
	uint64_t before = channel->tap_bytes, came;

	ingest_read(&channel->segment.state->ingest, &ingest);
	channel->tap_bytes = ingest.received_bytes;
	/* The counters begin again with other outputs. */
	came = ingest.received_bytes < before ? 0 :
	    ingest.received_bytes - before;
	/* Over a few seconds. */
	channel->tap_rate = (3 * channel->tap_rate + came) / 4;
}
