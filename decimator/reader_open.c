/* SPDX-License-Identifier: ISC */
/*
 * Taking on a channel, going on where an earlier reader or decimator was, and
 * letting go of it.  Decimator.  Must not believe the message or the segment.
 */
#include <sys/stat.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "decimator/reader_priv.h"

/*
 * A channel and the decimator start at the same time.  What came in while the
 * decimator was starting still counts, unless it is older than this: who
 * adds the first stream to a channel that has long been running does not
 * expect yesterday's data.
 */
#define FRESH_NS	(5 * NS_PER_S)

void
reader_close_fds(const int *fds, size_t count)
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
	wanted = READER_FD_STREAM + (size_t)message->streams;
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
 * Where a reader begins that nobody has served: at the ring's first record if
 * it is fresh, else at the head.
 */
static void
begin_new(struct reader *reader)
{
	const struct ring *ring = &reader->segment.ring;
	struct ring_reader cursor = {ring_start(ring->size), 0};
	struct ingest_state ingest;
	struct ring_view view;

	reader->cursor.position = ring_head(ring);
	reader->synced = reader_ingest(reader, &ingest) &&
	    reader->cursor.position == ingest.head;
	reader->cursor.sequence = reader->synced ? ingest.sequence : 0;
	if (ring_next(ring, &cursor, &view) == RING_RECORD &&
	    clock_realtime_ns() - view.record.received_ns < FRESH_NS) {
		reader->cursor.position = view.position;
		reader->cursor.sequence = view.record.sequence;
		reader->synced = true;
	}
}

/*
 * Goes on where the predecessor stopped, or at the start of a new ring with
 * the number that it had reached in the old one.  We are the page's writer now,
 * but it may hold anything:
 * a position that does not lead to a record with a possible number is treated
 * as a lap, a number that the channel has not reached yet as none.
 */
static void
begin_at_page(struct reader *reader)
{
	const struct ring *ring = &reader->segment.ring;
	const struct decimated_state *progress =
	    decimated_current(&reader->segment.page->progress);
	struct ring_reader cursor = {progress->position, progress->sequence};
	struct ingest_state ingest;
	struct ring_view view;

	if (cursor.position == 0 || !reader_ingest(reader, &ingest) ||
	    cursor.sequence > ingest.sequence) {
		begin_new(reader);
		return;
	}
	reader->synced = true;
	reader->cursor = cursor;
	switch (ring_next(ring, &cursor, &view)) {
	case RING_EMPTY:
		return;
	case RING_RECORD:
		/* Ingest counts before it publishes. */
		if (reader_ingest(reader, &ingest) &&
		    cursor.sequence <= ingest.sequence)
			return;
		break;
	case RING_LAPPED:
		break;
	}
	ring_resync(ring, &reader->cursor);
	reader->laps++;
}

/* See struct decimator_page.  Whoever dies in here has found out nothing. */
static void
look_at_death(struct reader *reader)
{
	struct decimator_page *page = reader->segment.page;
	uint64_t committed = decimated_current(&page->progress)->position;
	uint64_t taking = atomic_load_explicit(&page->taking,
	    memory_order_relaxed);
	uint64_t deaths = 1;

	if (taking == 0)
		return;
	atomic_store_explicit(&page->taking, 0, memory_order_relaxed);
	if (page->died_at == committed)
		deaths = page->deaths + 1;
	page->died_at = committed;
	page->deaths = deaths;
	page->alone_until = taking + 1;
	/* The second one had no other in hand. */
	if (deaths >= 2)
		reader->skip_at = taking;
}

/* Maps the segment and finds the place to begin.  NULL, or a reason. */
static const char *
attach(struct reader *reader, int fd, const struct stat *st)
{
	struct ingest_state ingest;
	const char *why;

	if (segment_attach(&reader->segment, fd, SEGMENT_DECIMATOR, &why) == -1)
		return why;
	reader->dev = st->st_dev;
	reader->ino = st->st_ino;
	if (reader->segment.program != NULL) {
		/* A private copy: the segment's may change under us. */
		reader->program = datum_program_load(reader->segment.program,
		    reader->segment.program_size, &why);
		if (reader->program == NULL)
			return why;
	}
	reader->sending = xcalloc(1, sizeof(*reader->sending));
	if (!sending_open(reader->sending, &reader->segment, fd))
		return "its page cannot be mapped twice";
	reader->lost = reader_ingest(reader, &ingest) ?
	    ingest.counts.kernel_dropped : UINT64_MAX;
	begin_at_page(reader);
	look_at_death(reader);
	return NULL;
}

/* Takes over the old reader's segment, program and cursor. */
static void
adopt(struct reader *reader, struct reader *old)
{
	reader->segment = old->segment;
	reader->sending = old->sending;
	old->sending = NULL;
	reader->dev = old->dev;
	reader->ino = old->ino;
	reader->program = old->program;
	reader->cursor = old->cursor;
	reader->synced = old->synced;
	reader->lost = old->lost;
	memset(&old->segment, 0, sizeof(old->segment));
	old->program = NULL;
}

/*
 * Reads the old ring to its end: its worker is gone.  A writer that goes on
 * nevertheless does not hold us for more than one round of the ring.
 */
static void
drain(struct reader *old)
{
	/* As many as a ring of empty datagrams takes. */
	uint64_t shares = LAPS_MAX + old->segment.ring.size /
	    (SHARE_RECORDS * sizeof(struct ring_record));

	while (shares-- > 0 && reader_step(old) == READER_MORE)
		continue;
}

static struct stream *
find_stream(const struct reader *reader, const struct stream_config *config)
{
	uint32_t i;

	for (i = 0; reader != NULL && i < reader->streams; i++)
		if (strcmp(reader->stream[i]->config.name, config->name) == 0 &&
		    reader->stream[i]->config.slot == config->slot &&
		    reader->stream[i]->config.id == config->id)
			return reader->stream[i];
	return NULL;
}

/* What an earlier decimator left in the stream's slot, if it is the stream's.
 * A number that the channel has not reached is no mark. */
static void
load_counts(struct reader *reader, struct stream *stream)
{
	struct sent_mark mark = {0, 0};
	struct ingest_state ingest;

	if (sending_recall(reader->sending, stream->config.slot,
	    stream->config.id, stream->config.archived != 0, &stream->counts,
	    &mark) && reader_ingest(reader, &ingest) &&
	    mark.sequence < ingest.sequence)
		stream->resume = mark;
}

/* A stream that the old reader did not have may have been an earlier one's. */
static struct stream *
open_stream(struct reader *reader, const struct message *message,
    const struct stream_config *config, int socket,
    struct datum_program *plan, struct reader *old, bool same_segment)
{
	struct stream *stream, *before;

	stream = stream_new(reader->name, config, reader->program, plan,
	    &message->samples, socket, reader->sending);
	if (stream == NULL)
		return NULL;
	before = find_stream(old, config);
	if (before != NULL)
		stream_inherit(stream, before, same_segment);
	else
		load_counts(reader, stream);
	reader->by_time |= config->every == 0;
	reader->stream[reader->streams++] = stream;
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
next_stream(struct reader *reader, const struct message *message,
    const struct stream_config *config, struct stream_fds *fds,
    struct reader *old, bool same_segment)
{
	int socket = *fds->socket++, feed = config->feeds ? *fds->feed++ : -1;
	struct datum_program *plan = NULL;
	struct stream *stream = NULL;

	if (config->planned) {
		plan = stream_plan(reader->name, config, *fds->plan);
		close(*fds->plan++);
	}
	if (config->planned && plan == NULL)
		close(socket);
	else
		stream = open_stream(reader, message, config, socket, plan, old,
		    same_segment);
	if (stream != NULL)
		stream_feed(stream, feed);
	else if (feed != -1)
		close(feed);
	return stream;
}

static void
open_streams(struct reader *reader, const struct message *message,
    const int *first, struct reader *old, bool same_segment)
{
	/* The channel's counters may have begun anew: so do these. */
	bool count_on = same_segment || old == NULL ||
	    old->segment.config->counted_from ==
	    reader->segment.config->counted_from;
	struct stream_fds fds;
	struct stream *stream;
	uint32_t i;

	sort_fds(&fds, message, first);
	for (i = 0; i < message->streams; i++) {
		stream = next_stream(reader, message, &message->stream[i], &fds,
		    old, same_segment);
		if (stream != NULL && !count_on)
			memset(&stream->counts, 0, sizeof(stream->counts));
	}
}

/* Attaches to another segment than the old reader's; NULL, or a reason. */
static const char *
replace(struct reader *reader, int fd, const struct stat *st,
    struct reader *old)
{
	struct ingest_state ingest;
	const char *why;

	if (old != NULL)
		drain(old);
	why = attach(reader, fd, st);
	if (why != NULL || old == NULL || !old->synced)
		return why;
	/* Datagrams are numbered on from one segment to the next; if not,
	 * the new one is like that of a new channel. */
	if (!reader_ingest(reader, &ingest) ||
	    old->cursor.sequence > ingest.sequence)
		return NULL;
	reader->cursor.position = ring_start(reader->segment.ring.size);
	reader->cursor.sequence = MAX_OF(old->cursor.sequence,
	    MIN_OF(reader->segment.config->counted_from, ingest.sequence));
	reader->synced = true;
	return NULL;
}

struct reader *
reader_open(const struct message *message, const int *fds,
    size_t fd_count, struct reader *old)
{
	const char *why = NULL;
	struct reader *reader = NULL;
	bool same_segment;
	struct stat st;

	if (!message_good(message, fd_count)) {
		log_warnx("a message that makes no sense from the supervisor: "
		    "is it of another version?");
		reader_close_fds(fds, fd_count);
		reader_close(old);
		return NULL;
	}
	reader = xcalloc(1, sizeof(*reader));
	memcpy(reader->name, message->name, sizeof(reader->name));
	reader->eventfd = fds[READER_FD_EVENT];
	reader->due_ns = UINT64_MAX;
	if (fstat(fds[READER_FD_SEGMENT], &st) == -1)
		why = "cannot look at it";
	same_segment = why == NULL && old != NULL && old->dev == st.st_dev &&
	    old->ino == st.st_ino;
	if (same_segment)
		adopt(reader, old);
	else if (why == NULL)
		why = replace(reader, fds[READER_FD_SEGMENT], &st, old);
	close(fds[READER_FD_SEGMENT]);
	if (why != NULL) {
		log_warnx("%s: not decimated: its segment is not usable: %s",
		    reader->name, why);
		reader_close_fds(fds + READER_FD_STREAM,
		    fd_count - READER_FD_STREAM);
		reader_close(old);
		reader_close(reader);
		return NULL;
	}
	open_streams(reader, message, fds + READER_FD_STREAM, old,
	    same_segment);
	reader_close(old);
	reader_publish(reader);
	return reader;
}

void
reader_close(struct reader *reader)
{
	if (reader == NULL)
		return;
	while (reader->streams > 0)
		stream_free(reader->stream[--reader->streams]);
	/* The writer need not wake anybody. */
	if (reader->segment.page != NULL)
		atomic_store_explicit(&reader->segment.page->wake_at,
		    RING_WAKE_NEVER, memory_order_relaxed);
	if (reader->sending != NULL)
		sending_close(reader->sending);
	free(reader->sending);
	segment_close(&reader->segment);
	free(reader->program);
	close(reader->eventfd);
	free(reader);
}
