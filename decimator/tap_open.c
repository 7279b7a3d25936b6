/* SPDX-License-Identifier: ISC */
/*
 * Taking on a channel, going on where an earlier tap or decimator was, and
 * letting go of it.  Decimator.  Must not believe the message or the segment.
 */
#include <sys/stat.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "decimator/tap_state.h"

/*
 * A channel and the decimator start at the same time.  What came in while the
 * decimator was starting still counts, unless it is older than this: who
 * adds the first stream to a channel that has long been running does not
 * expect yesterday's data.
 */
#define FRESH_NS	(5 * NS_PER_S)

void
tap_close_fds(const int *fds, size_t count)
{
	while (count > 0)
		close(fds[--count]);
}

/* Whether the message can be used; it came from another process. */
static bool
message_good(const struct message *message, size_t fd_count)
{
	size_t wanted;
	uint32_t i;

	if (memchr(message->name, '\0', sizeof(message->name)) == NULL ||
	    message->streams > STREAMS_MAX)
		return false;
	wanted = TAP_FD_STREAM + (size_t)message->streams;
	for (i = 0; i < message->streams; i++) {
		wanted += message->stream[i].planned != 0;
		wanted += message->stream[i].feeds != 0;
	}
	if (fd_count != wanted)
		return false;
	for (i = 0; i < message->streams; i++)
		if (message->stream[i].slot >= STREAMS_MAX ||
		    memchr(message->stream[i].name, '\0',
		    sizeof(message->stream[i].name)) == NULL ||
		    memchr(message->stream[i].destination, '\0',
		    sizeof(message->stream[i].destination)) == NULL)
			return false;
	return true;
}

/*
 * Where a tap begins that nobody has served: at the ring's first record if it
 * is fresh, else at the head.
 */
static void
begin_new(struct tap *tap)
{
	const struct ring *ring = &tap->segment.ring;
	struct ring_reader reader = {ring_start(ring->size), 0};
	struct ingest_state ingest;
	struct ring_view view;

	ingest_read(&tap->segment.state->ingest, &ingest);
	tap->reader.position = ring_head(ring);
	tap->synced = tap->reader.position == ingest.head;
	tap->reader.sequence = tap->synced ? ingest.sequence : 0;
	if (ring_next(ring, &reader, &view) == RING_RECORD &&
	    clock_realtime_ns() - view.record.received_ns < FRESH_NS) {
		tap->reader.position = view.position;
		tap->reader.sequence = view.record.sequence;
		tap->synced = true;
	}
}

/*
 * Goes on where the predecessor stopped, or at the start of a new ring with
 * the number that it had reached in the old one.  The page may hold anything:
 * a position that does not lead to a record with a possible number is treated
 * as a lap, a number that the channel has not reached yet as none.
 */
static void
begin_at_page(struct tap *tap)
{
	const struct ring *ring = &tap->segment.ring;
	struct decimated_state progress;
	struct ring_reader reader;
	struct ingest_state ingest;
	struct ring_view view;

	decimated_read(&tap->segment.tap->progress, &progress);
	reader.position = progress.position;
	reader.sequence = progress.sequence;
	ingest_read(&tap->segment.state->ingest, &ingest);
	if (reader.position == 0 || reader.sequence > ingest.sequence) {
		begin_new(tap);
		return;
	}
	tap->synced = true;
	tap->reader = reader;
	switch (ring_next(ring, &reader, &view)) {
	case RING_EMPTY:
		return;
	case RING_RECORD:
		/* Ingest counts before it publishes. */
		ingest_read(&tap->segment.state->ingest, &ingest);
		if (reader.sequence <= ingest.sequence)
			return;
		break;
	case RING_LAPPED:
		break;
	}
	ring_resync(ring, &tap->reader);
	tap->laps++;
}

/* Maps the segment and finds the place to begin.  NULL, or a reason. */
static const char *
attach(struct tap *tap, int fd, const struct stat *st)
{
	const char *why;

	if (segment_attach(&tap->segment, fd, SEGMENT_TAP, &why) == -1)
		return why;
	tap->dev = st->st_dev;
	tap->ino = st->st_ino;
	if (tap->segment.program != NULL) {
		/* A private copy: the segment's may change under us. */
		tap->program = datum_program_load(tap->segment.program,
		    tap->segment.program_size, &why);
		if (tap->program == NULL)
			return why;
	}
	tap->lost = tap_lost(tap);
	begin_at_page(tap);
	return NULL;
}

/* Takes over the old tap's segment, program and cursor. */
static void
adopt(struct tap *tap, struct tap *old)
{
	tap->segment = old->segment;
	tap->dev = old->dev;
	tap->ino = old->ino;
	tap->program = old->program;
	tap->reader = old->reader;
	tap->synced = old->synced;
	tap->lost = old->lost;
	memset(&old->segment, 0, sizeof(old->segment));
	old->program = NULL;
}

/*
 * Reads the old ring to its end: its worker is gone.  A writer that goes on
 * nevertheless does not hold us for more than one round of the ring.
 */
static void
drain(struct tap *old)
{
	/* As many as a ring of empty datagrams takes. */
	uint64_t shares = LAPS_MAX + old->segment.ring.size /
	    (SHARE_RECORDS * sizeof(struct ring_record));

	while (shares-- > 0 && tap_step(old) == TAP_MORE)
		continue;
}

static struct stream *
find_stream(const struct tap *tap, const struct stream_config *config)
{
	uint32_t i;

	for (i = 0; tap != NULL && i < tap->streams; i++)
		if (strcmp(tap->stream[i]->config.name, config->name) == 0 &&
		    tap->stream[i]->config.slot == config->slot &&
		    tap->stream[i]->config.id == config->id)
			return tap->stream[i];
	return NULL;
}

/* The counters that an earlier decimator left in the stream's slot, if they
 * are the stream's. */
static void
load_counts(const struct tap *tap, struct stream *stream)
{
	struct stream_counts *counts = &stream->counts;
	struct decimated_state progress;
	struct tap_stream slot;

	decimated_read(&tap->segment.tap->progress, &progress);
	slot = progress.stream[stream->config.slot];
	if (slot.id != stream->config.id)
		return;
	counts->in = slot.in;
	counts->out = slot.out;
	counts->missed = slot.missed;
	counts->errors = slot.errors;
	counts->unarchived = slot.unarchived;
}

/* A stream that the old tap did not have may have been an earlier one's. */
static struct stream *
open_stream(struct tap *tap, const struct message *message,
    const struct stream_config *config, int socket,
    struct datum_program *plan, struct tap *old, bool same_segment)
{
	struct stream *stream, *before;

	stream = stream_new(tap->name, config, tap->program, plan,
	    &message->samples, socket);
	if (stream == NULL)
		return NULL;
	before = find_stream(old, config);
	if (before != NULL)
		stream_inherit(stream, before, same_segment);
	else
		load_counts(tap, stream);
	tap->by_time |= config->every == 0;
	tap->stream[tap->streams++] = stream;
	return stream;
}

/* The descriptors of the streams, as far as they have not been used. */
struct stream_fds {
	const int	*socket;
	const int	*plan;
	const int	*feed;
};

static void
sort_fds(struct stream_fds *fds, const struct message *message,
    const int *first)
{
	uint32_t i;

	fds->socket = first;
	fds->plan = fds->feed = first + message->streams;
	for (i = 0; i < message->streams; i++)
		fds->feed += message->stream[i].planned != 0;
}

/* Uses one stream's descriptors; NULL: it cannot be. */
static struct stream *
next_stream(struct tap *tap, const struct message *message,
    const struct stream_config *config, struct stream_fds *fds,
    struct tap *old, bool same_segment)
{
	int socket = *fds->socket++, feed = config->feeds ? *fds->feed++ : -1;
	struct datum_program *plan = NULL;
	struct stream *stream = NULL;

	if (config->planned) {
		plan = stream_plan(tap->name, config, *fds->plan);
		close(*fds->plan++);
	}
	if (config->planned && plan == NULL)
		close(socket);
	else
		stream = open_stream(tap, message, config, socket, plan, old,
		    same_segment);
	if (stream != NULL)
		stream_feed(stream, feed);
	else if (feed != -1)
		close(feed);
	return stream;
}

static void
open_streams(struct tap *tap, const struct message *message,
    const int *first, struct tap *old, bool same_segment)
{
	/* The channel's counters may have begun anew: so do these. */
	bool count_on = same_segment || old == NULL ||
	    old->segment.config->counted_from ==
	    tap->segment.config->counted_from;
	struct stream_fds fds;
	struct stream *stream;
	uint32_t i;

	sort_fds(&fds, message, first);
	for (i = 0; i < message->streams; i++) {
		stream = next_stream(tap, message, &message->stream[i], &fds,
		    old, same_segment);
		if (stream != NULL && !count_on)
			memset(&stream->counts, 0, sizeof(stream->counts));
	}
}

/* Attaches to another segment than the old tap's; NULL, or a reason. */
static const char *
replace(struct tap *tap, int fd, const struct stat *st, struct tap *old)
{
	struct ingest_state ingest;
	const char *why;

	if (old != NULL)
		drain(old);
	why = attach(tap, fd, st);
	if (why != NULL || old == NULL || !old->synced)
		return why;
	/* Datagrams are numbered on from one segment to the next; if not,
	 * the new one is like that of a new channel. */
	ingest_read(&tap->segment.state->ingest, &ingest);
	if (old->reader.sequence > ingest.sequence)
		return NULL;
	tap->reader.position = ring_start(tap->segment.ring.size);
	tap->reader.sequence = MAX_OF(old->reader.sequence,
	    MIN_OF(tap->segment.config->counted_from, ingest.sequence));
	tap->synced = true;
	return NULL;
}

struct tap *
tap_open(const struct message *message, const int *fds,
    size_t fd_count, struct tap *old)
{
	const char *why = NULL;
	struct tap *tap = NULL;
	bool same_segment;
	struct stat st;

	if (!message_good(message, fd_count)) {
		log_warnx("a message that makes no sense from the supervisor: "
		    "is it of another version?");
		tap_close_fds(fds, fd_count);
		tap_close(old);
		return NULL;
	}
	tap = xcalloc(1, sizeof(*tap));
	memcpy(tap->name, message->name, sizeof(tap->name));
	tap->eventfd = fds[TAP_FD_EVENT];
	tap->due_ns = UINT64_MAX;
	if (fstat(fds[TAP_FD_SEGMENT], &st) == -1)
		why = "cannot look at it";
	same_segment = why == NULL && old != NULL && old->dev == st.st_dev &&
	    old->ino == st.st_ino;
	if (same_segment)
		adopt(tap, old);
	else if (why == NULL)
		why = replace(tap, fds[TAP_FD_SEGMENT], &st, old);
	close(fds[TAP_FD_SEGMENT]);
	if (why != NULL) {
		log_warnx("%s: not decimated: its segment is not usable: %s",
		    tap->name, why);
		tap_close_fds(fds + TAP_FD_STREAM, fd_count - TAP_FD_STREAM);
		tap_close(old);
		tap_close(tap);
		return NULL;
	}
	open_streams(tap, message, fds + TAP_FD_STREAM, old, same_segment);
	tap_close(old);
	tap_publish(tap);
	return tap;
}

void
tap_close(struct tap *tap)
{
	if (tap == NULL)
		return;
	while (tap->streams > 0)
		stream_free(tap->stream[--tap->streams]);
	/* The writer need not wake anybody. */
	if (tap->segment.tap != NULL)
		atomic_store_explicit(&tap->segment.tap->wake_at,
		    RING_WAKE_NEVER, memory_order_relaxed);
	segment_close(&tap->segment);
	free(tap->program);
	close(tap->eventfd);
	free(tap);
}
