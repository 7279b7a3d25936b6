/* SPDX-License-Identifier: ISC */
/*
 * Where a stream's datums go: to its destination, and to its archive.
 * Decimator.  Must not block: what a socket does not take at once is counted
 * and gone.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "decimator/sending.h"
#include "decimator/stream.h"
#include "decimator/stream_priv.h"

/* A supervisor that has to wait for a processor is waited for, but not long:
 * the other streams wait as well. */
#define RECONNECT_PAUSES	20U
static const struct timespec reconnect_pause = {.tv_nsec = 200000};

/*
 * ECONNREFUSED speaks of an earlier datagram (nobody listened, says the
 * destination); this one has not been tried yet.  EDESTADDRREQ: the
 * supervisor is connecting the socket anew, which takes it microseconds.
 * ECANCELED, of our own: it is another host's to be sent.
 */
static bool
try_to_send(const struct stream *stream, const struct sent_plan *plan,
    uint64_t done_ns, const uint8_t *data, size_t size)
{
	unsigned refusals = 0, pauses = 0;

	while (!stream_is_anothers(stream, done_ns)) {
		if (sending_try(stream->sending, stream->config.slot, plan,
		    stream->socket, data, size))
			return true;
		if (errno == ECONNREFUSED && refusals++ == 0)
			continue;
		if (errno != EDESTADDRREQ || pauses++ == RECONNECT_PAUSES)
			return false;
		(void)nanosleep(&reconnect_pause, NULL);
		errno = EDESTADDRREQ;
	}
	errno = ECANCELED;
	return false;
}

static void
send_away(struct stream *stream, const struct sent_plan *plan,
    uint64_t done_ns, const uint8_t *data, size_t size)
{
	if (try_to_send(stream, plan, done_ns, data, size)) {
		stream->counts.out++;
		return;
	}
	if (errno == ECANCELED) {
		stream->counts.standby++;
		return;
	}
	stream->counts.errors++;
	log_limited(&stream->send_limit, "%s/%s: cannot send to %s, the "
	    "datagram is lost: %s", stream->channel, stream->config.name,
	    stream->config.destination, strerror(errno));
}

/*
 * To the socket of the archive's worker.  What comes there waits for the
 * worker, or is counted there if its buffer is full.  ECONNREFUSED says that
 * an earlier datagram came to nobody: the archive has been stopped.
 */
static void
send_to_archive(struct stream *stream, const struct sent_plan *plan,
    const uint8_t *data, size_t size)
{
	uint32_t slot = stream->config.slot;
	bool sent;

	if (stream->feed == -1) {
		stream->counts.unarchived++;
		return;
	}
	sent = sending_try(stream->sending, slot, plan, stream->feed, data,
	    size);
	if (!sent && errno == ECONNREFUSED) {
		/* Settled by itself: should this process end at the next try,
		 * the kernel has no error any more that told of it. */
		stream->counts.unarchived++;
		sending_count(stream->sending, slot, plan->id,
		    &stream->counts);
		sent = sending_try(stream->sending, slot, plan, stream->feed,
		    data, size);
	}
	if (sent)
		return;
	stream->counts.unarchived++;
	log_limited(&stream->feed_limit, "%s/%s: cannot pass a datagram to "
	    "its archive, where it will be missing: %s", stream->channel,
	    stream->config.name, strerror(errno));
}

/* The archive first: if this process dies in between, it has at any rate what
 * others have seen.  Its successor counts the destination's as an error. */
static void
send_marked(struct stream *stream, const struct sent_mark *mark, uint32_t due,
    uint64_t done_ns, const uint8_t *data, size_t size)
{
	uint32_t slot = stream->config.slot;
	struct sent_plan plan = {
		.id	= stream->config.id,
		.mark	= *mark,
		.due	= due,
		.to	= SENT_TO_ARCHIVE,
	};

	if (stream->config.archived) {
		send_to_archive(stream, &plan, data, size);
		sending_settle(stream->sending, slot, &plan, &stream->counts);
	}
	plan.to = SENT_AWAY;
	send_away(stream, &plan, done_ns, data, size);
	sending_settle(stream->sending, slot, &plan, &stream->counts);
}

void
stream_send(struct stream *stream, const uint8_t *data, size_t size)
{
	send_marked(stream, &stream->at, stream->due, stream->done_ns, data,
	    size);
}

void
stream_flush(struct stream *stream)
{
	if (stream->packed_size == 0)
		return;
	send_marked(stream, &stream->packed_at, stream->packed_due,
	    stream->packed_done_ns, stream->packed, stream->packed_size);
	stream->packed_size = 0;
}

/* Into a datagram with others, if there may be some; not what is ours to send
 * with what is not. */
void
stream_pack(struct stream *stream, const uint8_t *data, size_t size)
{
	if (stream->packed_max - stream->packed_size < size ||
	    (stream->packed_size > 0 &&
	    stream_is_anothers(stream, stream->packed_done_ns) &&
	    !stream_is_anothers(stream, stream->done_ns)))
		stream_flush(stream);
	if (stream->packed_max < size) {
		stream_send(stream, data, size);
		return;
	}
	memcpy(stream->packed + stream->packed_size, data, size);
	stream->packed_size += size;
	stream->packed_at = stream->at;
	stream->packed_due = stream->due;
	stream->packed_done_ns = stream->done_ns;
}
