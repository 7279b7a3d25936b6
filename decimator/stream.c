/* SPDX-License-Identifier: ISC */
/*
 * Reducing and sending one stream.  Decimator.  Must not block: what the
 * socket does not take at once is counted and gone.
 */
#include <sys/socket.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/datum.h"
#include "common/log.h"
#include "common/util.h"
#include "decimator/reduce.h"
#include "decimator/stream.h"

/* The largest payload of a UDP datagram over IPv4. */
#define OUTPUT_MAX	65507U

/* An output datum on its way.  One for all streams: there is one thread. */
static uint8_t	output[OUTPUT_MAX];

/* Why this stream cannot be, or NULL. */
static const char *
config_fault(const struct stream_config *config,
    const struct datum_program *program)
{
	if (config->every == 0)
		return "its window is empty";
	if (config->method > METHOD_RMS)
		return "its method is unknown";
	if (program == NULL && config->method != METHOD_PICK)
		return "a raw channel knows only the method pick";
	return NULL;
}

struct stream *
stream_new(const char *channel, const struct stream_config *config,
    const struct datum_program *program, int socket)
{
	const char *fault = config_fault(config, program);
	struct stream *stream;

	if (fault != NULL) {
		log_warnx("%s/%s: stream left out: %s", channel,
		    config->name, fault);
		close(socket);
		return NULL;
	}
	stream = xcalloc(1, sizeof(*stream));
	stream->config = *config;
	stream->channel = channel;
	stream->socket = socket;
	if (program != NULL) {
		stream->framing = program->framing;
		stream->reducer = reducer_new(program,
		    (enum decimate_method)config->method, config->every);
	}
	return stream;
}

void
stream_free(struct stream *stream)
{
	if (stream == NULL)
		return;
	if (stream->reducer != NULL)
		reducer_free(stream->reducer);
	close(stream->socket);
	free(stream);
}

void
stream_inherit(struct stream *stream, struct stream *old, bool same_program)
{
	struct reducer *fresh = stream->reducer;

	stream->counts = old->counts;
	stream->send_limit = old->send_limit;
	stream->size_limit = old->size_limit;
	if (!same_program || stream->config.method != old->config.method ||
	    stream->config.every != old->config.every)
		return;
	stream->in_window = old->in_window;
	stream->reducer = old->reducer;
	old->reducer = fresh;
}

/*
 * ECONNREFUSED speaks of an earlier datagram (nobody listened, says the
 * destination); this one has not been tried yet.
 */
static void
send_output(struct stream *stream, const uint8_t *data, size_t size)
{
	const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	ssize_t sent;

	sent = send(stream->socket, data, size, flags);
	if (sent == -1 && errno == ECONNREFUSED)
		sent = send(stream->socket, data, size, flags);
	if (sent != -1) {
		stream->counts.out++;
		return;
	}
	stream->counts.errors++;
	log_limited(&stream->send_limit, "%s/%s: cannot send to %s, the "
	    "datagram is lost: %s", stream->channel, stream->config.name,
	    stream->config.destination, strerror(errno));
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
			send_output(stream, output, header + size);
			continue;
		}
		stream->counts.errors++;
		log_limited(&stream->size_limit, "%s/%s: a datum does not "
		    "fit in a datagram of %u bytes and is left out",
		    stream->channel, stream->config.name, OUTPUT_MAX);
	}
}

static void
push_raw(struct stream *stream, const uint8_t *data, size_t size)
{
	if (++stream->in_window < stream->config.every)
		return;
	stream->in_window = 0;
	send_output(stream, data, size);
}

void
stream_push(struct stream *stream, const uint8_t *data, size_t size)
{
	enum reducer_status status;
	size_t used;

	if (stream->reducer == NULL) {
		push_raw(stream, data, size);
		return;
	}
	for (; size > 0; data += used, size -= used) {
		status = reducer_push(stream->reducer, data, size, &used);
		/* The caller has validated the datagram. */
		if (status == REDUCER_INVALID)
			return;
		if (status == REDUCER_FULL)
			emit(stream);
	}
}

void
stream_gap(struct stream *stream, uint64_t missed)
{
	stream->counts.missed += missed;
	stream->in_window = 0;
	if (stream->reducer != NULL)
		reducer_reset(stream->reducer);
}
