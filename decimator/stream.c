/* SPDX-License-Identifier: ISC */
/*
 * Reducing one stream.  Decimator.  Must not block.
 */
#include <string.h>

#include "common/datum.h"
#include "common/log.h"
#include "common/util.h"
#include "decimator/live.h"
#include "decimator/reduce.h"
#include "decimator/sampler.h"
#include "decimator/stream.h"
#include "decimator/stream_priv.h"

/* An output datum on its way.  One for all streams: there is one thread. */
static uint8_t	output[OUTPUT_MAX];

/* How far a datum may lag behind the window under way and count as late; one
 * from further back says that the clock was set back. */
#define LATE_NS		NS_PER_S
/*
 * How long after the end of a window by time its last datums may still come:
 * it takes them a moment from the kernel's time stamp to the ring.  What comes
 * later makes a second window of the same time.
 */
#define GRACE_NS	(100 * NS_PER_MS)

static bool
is_summary(const struct stream *stream)
{
	return decimate_yields((enum decimate_method)stream->config.method,
	    YIELD_SUMMARY);
}

/*** Output. ***/

static void
too_large(struct stream *stream)
{
	stream->counts.errors++;
	if (stream->config.archived)
		stream->counts.unarchived++;
	/* What waits to be sent must not count it once more. */
	if (stream->packed_size > 0 && stream->packed_due > 0)
		stream->packed_due--;
	log_limited(&stream->size_limit, "%s/%s: a datum does not "
	    "fit in a datagram of %u bytes and is left out",
	    stream->channel, stream->config.name, OUTPUT_MAX);
}

/* A window is full. */
static void
emit(struct stream *stream)
{
	unsigned i, outputs = reducer_outputs(stream->reducer);
	size_t header = stream->framing.size, size;

	memcpy(output, stream->framing.bytes, header);
	for (i = 0; i < outputs; i++) {
		stream->due = outputs - i - 1;
		size = reducer_emit(stream->reducer, i, output + header,
		    sizeof(output) - header);
		if (size > 0) {
			live_datum(stream, output + header, size);
			stream_pack(stream, output, header + size);
			continue;
		}
		too_large(stream);
	}
}

/* A window of samples is full. */
static void
emit_samples(struct stream *stream)
{
	unsigned i, outputs = sampler_outputs(stream->sampler);
	const uint8_t *data;
	size_t size;

	for (i = 0; i < outputs; i++) {
		stream->due = outputs - i - 1;
		data = sampler_output(stream->sampler, i, &size);
		if (size > 0)
			stream_send(stream, data, size);
		else
			too_large(stream);
	}
}

/*** Windows by time. ***/

/* Sends what the window holds; it may be empty, or torn. */
static void
close_window(struct stream *stream)
{
	bool torn = stream->window.torn;

	stream->window.open = stream->window.torn = false;
	if (stream->reducer == NULL) {
		/* Which datum would have been the last is not known. */
		if (stream->in_window > 0 && !torn)
			stream_send(stream, stream->last, stream->last_size);
		stream->in_window = 0;
		return;
	}
	/* A summary says aloud what it lacks; all others must not pretend. */
	if (reducer_count(stream->reducer) > 0 &&
	    (!torn || is_summary(stream)))
		emit(stream);
	reducer_reset(stream->reducer);
}

/* So many datagrams are missing from the window under way. */
static void
tear(struct stream *stream, uint64_t missed)
{
	stream->window.torn = true;
	if (stream->reducer != NULL)
		reducer_missed(stream->reducer, missed);
}

static void
open_window(struct stream *stream, uint64_t start_ns)
{
	struct window *w = &stream->window;
	uint64_t missed = w->missed;

	/* A gap from one window to another is in both, nobody knows how much
	 * of it in which. */
	if (w->open && missed > 0) {
		tear(stream, missed - missed / 2);
		close_window(stream);
		tear(stream, missed / 2);
	} else {
		if (w->open)
			close_window(stream);
		if (missed > 0)
			tear(stream, missed);
	}
	w->missed = 0;
	w->open = true;
	w->start_ns = start_ns;
}

/*
 * Makes the window that a datum of this time belongs to the one under way.
 * False: that one is over, and the datum must be left out.
 */
static bool
enter_window(struct stream *stream, uint64_t time_ns)
{
	uint64_t start_ns = time_ns - time_ns % stream->config.interval_ns;
	struct window *w = &stream->window;

	if (!w->open || start_ns > w->start_ns || (start_ns < w->start_ns &&
	    w->start_ns - time_ns >
	    MAX_OF(stream->config.interval_ns, (uint64_t)LATE_NS))) {
		open_window(stream, start_ns);
		return true;
	}
	if (w->missed > 0) {
		tear(stream, w->missed);
		w->missed = 0;
	}
	if (start_ns == w->start_ns)
		return true;
	if (stream->reducer != NULL)
		reducer_missed(stream->reducer, 1);
	return false;
}

/* How long it may be open from then on, without the grace. */
static uint64_t
window_left_ns(const struct stream *stream, uint64_t realtime_ns)
{
	uint64_t interval_ns = stream->config.interval_ns;
	uint64_t end_ns = stream->window.start_ns + interval_ns;

	/* Only the kernel's clock is also ours.  If it was set, a window is
	 * open for one interval at most. */
	if (stream->config.clock != CLOCK_RECEIVE)
		return interval_ns;
	return MIN_OF(end_ns > realtime_ns ? end_ns - realtime_ns : 0,
	    interval_ns);
}

void
stream_wait(struct stream *stream, uint64_t monotonic_ns,
    uint64_t realtime_ns)
{
	struct window *w = &stream->window;

	if (w->open)
		w->close_at_ns = monotonic_ns + GRACE_NS +
		    window_left_ns(stream, realtime_ns);
}

uint64_t
stream_close_due(struct stream *stream, uint64_t monotonic_ns)
{
	struct window *w = &stream->window;

	if (!w->open)
		return UINT64_MAX;
	if (monotonic_ns < w->close_at_ns)
		return w->close_at_ns;
	if (w->missed > 0)
		tear(stream, w->missed);
	w->missed = 0;
	/* As for somebody who has not been late. */
	stream->done_ns += window_left_ns(stream, stream->done_ns) + GRACE_NS;
	close_window(stream);
	return UINT64_MAX;
}

/*** Input. ***/

/* Whether the datum at hand is in what a predecessor has sent. */
static bool
was_sent(const struct stream *stream)
{
	const struct sent_mark *at = &stream->at, *resume = &stream->resume;

	return UNLIKELY(at->sequence <= resume->sequence) &&
	    (at->sequence < resume->sequence || at->datum < resume->datum);
}

/* It is, and so is what was missed before it: in that, or in windows that
 * are gone. */
static void
pass_over(struct stream *stream)
{
	stream->window.missed = 0;
	if (stream->reducer != NULL)
		reducer_reset(stream->reducer);
}

/* As by enter_window(); the datum has been looked at then, in either case. */
static bool
enter_by_time(struct stream *stream, uint64_t time_ns)
{
	bool entered = enter_window(stream, time_ns);

	stream->at.datum++;
	return entered;
}

static void
push_raw(struct stream *stream, const uint8_t *data, size_t size,
    uint64_t received_ns)
{
	if (stream->config.every == 0 && stream->sampler == NULL) {
		if (!enter_by_time(stream, received_ns))
			return;
		stream->in_window++;
		stream->last_size = MIN_OF(size, (size_t)OUTPUT_MAX);
		memcpy(stream->last, data, stream->last_size);
		return;
	}
	stream->at.datum++;
	if (stream->sampler != NULL) {
		if (sampler_push(stream->sampler, data, size))
			emit_samples(stream);
		return;
	}
	if (++stream->in_window < stream->config.every)
		return;
	stream->in_window = 0;
	stream_send(stream, data, size);
}

static void
push_datum(struct stream *stream, const uint8_t *data, uint64_t received_ns)
{
	const struct stream_config *config = &stream->config;
	uint64_t time_ns = received_ns;
	bool early = false;

	if (config->every == 0) {
		/* A time that cannot be is no better than none. */
		if (config->clock == CLOCK_FIELD &&
		    !reducer_time(stream->reducer, data, &time_ns))
			time_ns = received_ns;
		if (!enter_by_time(stream, time_ns))
			return;
		early = time_ns % config->interval_ns <
		    config->interval_ns / 2;
	} else
		stream->at.datum++;
	stream->received_ns = received_ns;
	if (reducer_take(stream->reducer, data, received_ns, early) ==
	    REDUCER_FULL)
		emit(stream);
}

void
stream_push(struct stream *stream, const uint8_t *data, size_t size,
    uint64_t received_ns)
{
	size_t used;

	stream->done_ns = received_ns;
	if (stream->reducer == NULL) {
		if (was_sent(stream))
			pass_over(stream);
		else
			push_raw(stream, data, size, received_ns);
		return;
	}
	/* The caller has validated the datagram. */
	for (; size > 0; data += used, size -= used) {
		if (!reducer_look(stream->reducer, data, size, &used))
			return;
		if (was_sent(stream)) {
			pass_over(stream);
			stream->at.datum++;
		} else
			push_datum(stream, data, received_ns);
	}
}

void
stream_settle(struct stream *stream)
{
	if (stream->reducer != NULL)
		reducer_settle(stream->reducer);
}

void
stream_lost(struct stream *stream, uint64_t lost)
{
	live_missed(stream, lost);
	if (!is_summary(stream))
		return;
	if (stream->config.every == 0)
		stream->window.missed += lost;
	else
		reducer_missed(stream->reducer, lost);
}

void
stream_gap(struct stream *stream, uint64_t missed)
{
	stream->counts.missed += missed;
	live_missed(stream, missed);
	if (stream->config.every == 0) {
		stream->window.missed += missed;
		return;
	}
	if (is_summary(stream)) {
		reducer_missed(stream->reducer, missed);
		return;
	}
	stream->in_window = 0;
	if (stream->reducer != NULL)
		reducer_reset(stream->reducer);
	if (stream->sampler != NULL)
		sampler_reset(stream->sampler);
}

void
stream_skip(struct stream *stream, uint64_t skipped)
{
	/* Like a gap, but for what it counts as. */
	stream_gap(stream, skipped);
	stream->counts.missed -= skipped;
	stream->counts.skipped += skipped;
}
