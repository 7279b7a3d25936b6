/* SPDX-License-Identifier: ISC */
/*
 * Making a stream, and going on with an earlier one.  Decimator.  Must not
 * believe its configuration.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <netinet/in.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/datum.h"
#include "common/live.h"
#include "common/log.h"
#include "common/util.h"
#include "decimator/live.h"
#include "decimator/reduce.h"
#include "decimator/sampler.h"
#include "decimator/stream.h"
#include "decimator/stream_priv.h"

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
    const struct sample_config *samples, int socket, struct sending *sending)
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
	stream->sending = sending;
	stream->feed = -1;
	if (program != NULL) {
		if (!config->derived)
			stream->framing = program->framing;
		stream->live_key = live_key(config->id, decimate_yields(
		    (enum decimate_method)config->method, YIELD_SUMMARY),
		    program, plan);
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
	live_flush();
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

	live_flush();
	stream_flush(old);
	settle_feed(old);
	stream->counts = old->counts;
	stream->at = old->at;
	stream->resume = old->resume;
	memcpy(stream->live_gap, old->live_gap, sizeof(stream->live_gap));
	stream->send_limit = old->send_limit;
	stream->feed_limit = old->feed_limit;
	stream->size_limit = old->size_limit;
	if (!same_program || !same_windows(stream, old))
		return;
	stream->in_window = old->in_window;
	stream->window = old->window;
	stream->received_ns = old->received_ns;
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
