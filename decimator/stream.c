/* SPDX-License-Identifier: ISC */
/*
 * Reducing and sending one stream.  Decimator.  Must not block: what the
 * socket does not take at once is counted and gone, but for the moment in
 * which it is connected anew.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <netinet/in.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/datum.h"
#include "common/log.h"
#include "common/util.h"
#include "decimator/reduce.h"
#include "decimator/sampler.h"
#include "decimator/stream.h"
#include "decimator/stream_priv.h"

/* The largest payload of a UDP datagram over IPv4. */
#define OUTPUT_MAX	65507U

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

/* Why this stream cannot be, or NULL. */
static const char *
config_fault(const struct stream_config *config,
    const struct datum_program *program, const struct sample_config *samples)
{
	if (config->every == 0 && config->interval_ns == 0)
		return "its window is empty";
	if (config->method >= METHODS || config->clock > CLOCK_FIELD)
		return "its method or clock is unknown";
	if (program == NULL && samples->channels > 0)
		return sampler_fault(samples, config->method, config->range,
		    config->every);
	if (program == NULL &&
	    decimate_rows[config->method].yields != YIELD_LAST)
		return "a raw channel knows only the method pick";
	if ((decimate_rows[config->method].where & FOR_FIELDS) == 0)
		return "only samples can be filtered";
	return NULL;
}

struct datum_program *
stream_plan(const char *channel, const struct stream_config *config, int fd)
{
	struct datum_program *plan = NULL;
	const char *why = "it is empty";
	struct stat st;
	void *blob;

	if (fstat(fd, &st) == 0 && st.st_size > 0) {
		blob = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE,
		    fd, 0);
		why = "it cannot be mapped";
		if (blob != MAP_FAILED) {
			plan = datum_program_load(blob, (size_t)st.st_size,
			    &why);
			munmap(blob, (size_t)st.st_size);
		}
	}
	if (plan == NULL)
		log_warnx("%s/%s: stream left out: its program is not "
		    "usable: %s", channel, config->name, why);
	return plan;
}

/* What one datagram carries on the socket's path, as far as is known now. */
static size_t
path_payload(int socket)
{
	int mtu = 0, headers = 20 + 8;
	socklen_t size = sizeof(mtu);

	if (getsockopt(socket, IPPROTO_IP, IP_MTU, &mtu, &size) == -1) {
		headers = 40 + 8;
		size = sizeof(mtu);
		if (getsockopt(socket, IPPROTO_IPV6, IPV6_MTU, &mtu,
		    &size) == -1)
			mtu = 1280;
	}
	return mtu <= headers ? 1 :
	    MIN_OF((size_t)(mtu - headers), (size_t)OUTPUT_MAX);
}

struct stream *
stream_new(const char *channel, const struct stream_config *config,
    const struct datum_program *program, struct datum_program *plan,
    const struct sample_config *samples, int socket)
{
	const char *fault = config_fault(config, program, samples);
	struct stream *stream;

	if (fault != NULL) {
		log_warnx("%s/%s: stream left out: %s", channel,
		    config->name, fault);
		free(plan);
		close(socket);
		return NULL;
	}
	stream = xcalloc(1, sizeof(*stream));
	stream->config = *config;
	stream->channel = channel;
	stream->samples = *samples;
	if (config->pack) {
		stream->packed_max = path_payload(socket);
		stream->packed = xmalloc(stream->packed_max);
	}
	stream->program = program;
	stream->plan = plan;
	stream->socket = socket;
	stream->feed = -1;
	if (program != NULL) {
		if (!config->derived)
			stream->framing = program->framing;
		stream->reducer = reducer_new(plan != NULL ? plan : program,
		    (enum decimate_method)config->method, config->every);
	} else if (samples->channels > 0)
		stream->sampler = sampler_new(samples,
		    (enum decimate_method)config->method, config->range,
		    config->every);
	else if (config->every == 0)
		stream->last = xmalloc(OUTPUT_MAX + 1);
	return stream;
}

void
stream_free(struct stream *stream)
{
	if (stream == NULL)
		return;
	if (stream->reducer != NULL)
		reducer_free(stream->reducer);
	sampler_free(stream->sampler);
	free(stream->last);
	free(stream->packed);
	free(stream->plan);
	close(stream->socket);
	if (stream->feed != -1)
		close(stream->feed);
	free(stream);
}

void
stream_feed(struct stream *stream, int feed)
{
	stream->feed = feed;
}

static bool
same_windows(const struct stream *a, const struct stream *b)
{
	const struct stream_config *c = &a->config, *d = &b->config;

	if (c->method != d->method || c->every != d->every ||
	    c->interval_ns != d->interval_ns || c->clock != d->clock ||
	    memcmp(&a->samples, &b->samples, sizeof(a->samples)) != 0)
		return false;
	if (a->plan == NULL || b->plan == NULL)
		return a->plan == b->plan;
	return a->plan->size == b->plan->size &&
	    memcmp(a->plan, b->plan, a->plan->size) == 0;
}

/* The last datagram that came to nobody has yet to be counted. */
static void
settle_feed(struct stream *stream)
{
	socklen_t size = sizeof(int);
	int error = 0;

	if (stream->feed != -1 && getsockopt(stream->feed, SOL_SOCKET,
	    SO_ERROR, &error, &size) == 0 && error == ECONNREFUSED)
		stream->counts.unarchived++;
}

/* What belongs to the window goes over, with the plan that it lives by. */
void
stream_inherit(struct stream *stream, struct stream *old, bool same_program)
{
	struct stream fresh = *stream;

	stream_flush(old);
	settle_feed(old);
	stream->counts = old->counts;
	stream->send_limit = old->send_limit;
	stream->feed_limit = old->feed_limit;
	stream->size_limit = old->size_limit;
	if (!same_program || !same_windows(stream, old))
		return;
	stream->in_window = old->in_window;
	stream->window = old->window;
	stream->last_size = old->last_size;
	stream->last = old->last;
	old->last = fresh.last;
	stream->plan = old->plan;
	old->plan = fresh.plan;
	stream->reducer = old->reducer;
	old->reducer = fresh.reducer;
	stream->sampler = old->sampler;
	old->sampler = fresh.sampler;
}

/*** Output. ***/

static void
too_large(struct stream *stream)
{
	stream->counts.errors++;
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
		size = reducer_emit(stream->reducer, i, output + header,
		    sizeof(output) - header);
		if (size > 0) {
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

void
stream_wait(struct stream *stream, uint64_t monotonic_ns,
    uint64_t realtime_ns)
{
	struct window *w = &stream->window;
	uint64_t interval_ns = stream->config.interval_ns;
	uint64_t left_ns = interval_ns, end_ns = w->start_ns + interval_ns;

	if (!w->open)
		return;
	/* Only the kernel's clock is also ours.  If it was set, a window is
	 * open for one interval at most. */
	if (stream->config.clock == CLOCK_RECEIVE)
		left_ns = MIN_OF(end_ns > realtime_ns ? end_ns - realtime_ns :
		    0, interval_ns);
	w->close_at_ns = monotonic_ns + left_ns + GRACE_NS;
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
	close_window(stream);
	return UINT64_MAX;
}

/*** Input. ***/

static void
push_raw(struct stream *stream, const uint8_t *data, size_t size,
    uint64_t received_ns)
{
	if (stream->sampler != NULL) {
		if (sampler_push(stream->sampler, data, size))
			emit_samples(stream);
		return;
	}
	if (stream->config.every == 0) {
		if (!enter_window(stream, received_ns))
			return;
		stream->in_window++;
		stream->last_size = MIN_OF(size, (size_t)OUTPUT_MAX);
		memcpy(stream->last, data, stream->last_size);
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
		if (!enter_window(stream, time_ns))
			return;
		early = time_ns % config->interval_ns <
		    config->interval_ns / 2;
	}
	if (reducer_take(stream->reducer, data, received_ns, early) ==
	    REDUCER_FULL)
		emit(stream);
}

void
stream_push(struct stream *stream, const uint8_t *data, size_t size,
    uint64_t received_ns)
{
	size_t used;

	if (stream->reducer == NULL) {
		push_raw(stream, data, size, received_ns);
		return;
	}
	/* The caller has validated the datagram. */
	for (; size > 0; data += used, size -= used) {
		if (!reducer_look(stream->reducer, data, size, &used))
			return;
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
