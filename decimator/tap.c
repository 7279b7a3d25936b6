/* SPDX-License-Identifier: ISC */
/*
 * Following one channel's ring.  Decimator.  Must not write to a segment
 * beyond its tap page, and must not use a byte that ring_intact() has not
 * vouched for after it was copied.
 */
#include <sys/stat.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/datum.h"
#include "common/log.h"
#include "common/ring.h"
#include "common/segment.h"
#include "common/util.h"
#include "decimator/stream.h"
#include "decimator/tap.h"

/*
 * One tap's share of a turn, in payload bytes and in records (which may be
 * empty).  A share takes well below a millisecond, so that even hundreds of
 * busy channels get their turn before a ring of 8 MiB goes round; it is large
 * enough that the loop around it does not show.
 */
#define SHARE_BYTES	(256U * 1024)
#define SHARE_RECORDS	1024U

/*
 * Laps in a row without a record in between, before the ring counts as
 * garbage.  After a lap a reader has an eighth of the ring in hand, so two in
 * a row need bad luck already.
 */
#define LAPS_MAX	64U

/*
 * A channel and the decimator start at the same time.  What came in while the
 * decimator was starting still counts, unless it is older than this: who
 * adds the first stream to a channel that has long been running does not
 * expect yesterday's data.
 */
#define FRESH_NS	(5 * NS_PER_S)

struct tap {
	char			 name[CHANNEL_NAME_MAX + 1];
	struct segment		 segment;
	dev_t			 dev;	/* which segment it is */
	ino_t			 ino;
	struct datum_program	*program; /* a private copy; NULL: raw */
	struct ring_reader	 reader;
	/* Whether reader.sequence is known; else it is 0, and the next
	 * record's number is taken for what was expected. */
	bool			 synced;
	unsigned		 laps;	/* in a row */
	int			 eventfd;
	struct stream		*stream[STREAMS_MAX];
	uint32_t		 streams;
	bool			 by_time;	/* a stream has such windows */
	bool			 taken;		/* since they were looked at */
	/* When the next of them is over (CLOCK_MONOTONIC). */
	uint64_t		 due_ns;
	struct log_limit	 lap_limit;
};

/* A record's payload, copied.  One for all taps: there is one thread. */
static uint8_t	scratch[RING_PAYLOAD_MAX];
/* Where the datums of one datagram end. */
static uint32_t	ends[DATUM_FRAMED_MAX];

/* Tells the supervisor and the next decimator how far this one came. */
static void
publish(struct tap *tap)
{
	struct tap_page *page = tap->segment.tap;
	const struct stream_counts *counts;
	struct tap_stream *slot;
	uint32_t i;

	for (i = 0; i < tap->streams; i++) {
		counts = &tap->stream[i]->counts;
		slot = &page->stream[tap->stream[i]->config.slot];
		atomic_store_explicit(&slot->in, counts->in,
		    memory_order_relaxed);
		atomic_store_explicit(&slot->out, counts->out,
		    memory_order_relaxed);
		atomic_store_explicit(&slot->missed, counts->missed,
		    memory_order_relaxed);
		atomic_store_explicit(&slot->errors, counts->errors,
		    memory_order_relaxed);
	}
	/* Until the number at the position is known there is nothing to go
	 * on from. */
	if (!tap->synced)
		return;
	atomic_store_explicit(&page->sequence, tap->reader.sequence,
	    memory_order_relaxed);
	atomic_store_explicit(&page->position, tap->reader.position,
	    memory_order_relaxed);
}

/*** Opening. ***/

void
tap_close_fds(const int *fds, size_t count)
{
	while (count > 0)
		close(fds[--count]);
}

/* Whether the message can be used; it came from another process. */
static bool
message_good(const struct control_message *message, size_t fd_count)
{
	size_t wanted;
	uint32_t i;

	if (memchr(message->name, '\0', sizeof(message->name)) == NULL ||
	    message->streams > STREAMS_MAX)
		return false;
	wanted = TAP_FD_STREAM + (size_t)message->streams;
	for (i = 0; i < message->streams; i++)
		wanted += message->stream[i].planned != 0;
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
	struct tap_page *page = tap->segment.tap;
	struct ring_reader reader;
	struct ingest_state ingest;
	struct ring_view view;

	reader.position = atomic_load_explicit(&page->position,
	    memory_order_relaxed);
	reader.sequence = atomic_load_explicit(&page->sequence,
	    memory_order_relaxed);
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
		    tap->stream[i]->config.slot == config->slot)
			return tap->stream[i];
	return NULL;
}

/* The counters that an earlier decimator left in the stream's slot. */
static void
load_counts(const struct tap *tap, struct stream *stream)
{
	const struct tap_stream *slot =
	    &tap->segment.tap->stream[stream->config.slot];
	struct stream_counts *counts = &stream->counts;

	counts->in = atomic_load_explicit(&slot->in, memory_order_relaxed);
	counts->out = atomic_load_explicit(&slot->out, memory_order_relaxed);
	counts->missed = atomic_load_explicit(&slot->missed,
	    memory_order_relaxed);
	counts->errors = atomic_load_explicit(&slot->errors,
	    memory_order_relaxed);
}

/*
 * A stream that the old tap did not have starts its counters from zero, even
 * if its slot was another stream's a moment ago.
 */
static struct stream *
open_stream(struct tap *tap, const struct stream_config *config, int socket,
    struct datum_program *plan, struct tap *old, bool same_segment)
{
	struct stream *stream, *before;

	stream = stream_new(tap->name, config, tap->program, plan, socket);
	if (stream == NULL)
		return NULL;
	before = find_stream(old, config);
	if (before != NULL)
		stream_inherit(stream, before, same_segment);
	else if (old == NULL)
		load_counts(tap, stream);
	tap->by_time |= config->every == 0;
	tap->stream[tap->streams++] = stream;
	return stream;
}

static void
open_streams(struct tap *tap, const struct control_message *message,
    const int *sockets, struct tap *old, bool same_segment)
{
	/* The channel's counters may have begun anew: so do these. */
	bool count_on = same_segment || old == NULL ||
	    old->segment.config->counted_from ==
	    tap->segment.config->counted_from;
	const int *plans = sockets + message->streams;
	const struct stream_config *config;
	struct datum_program *plan;
	struct stream *stream;
	uint32_t i;

	for (i = 0; i < message->streams; i++) {
		config = &message->stream[i];
		plan = NULL;
		if (config->planned) {
			plan = stream_plan(tap->name, config, *plans);
			close(*plans++);
			if (plan == NULL) {
				close(sockets[i]);
				continue;
			}
		}
		stream = open_stream(tap, config, sockets[i], plan, old,
		    same_segment);
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
tap_open(const struct control_message *message, const int *fds,
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
	publish(tap);
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

/*** Following. ***/

static void
note_missed(struct tap *tap, uint64_t missed)
{
	uint32_t i;

	if (missed == 0)
		return;
	for (i = 0; i < tap->streams; i++)
		stream_gap(tap->stream[i], missed);
	log_limited(&tap->lap_limit, "%s: the decimator fell behind and "
	    "missed %" PRIu64 " datagrams; the windows they belong to are "
	    "incomplete; a larger ring_size or fewer streams help", tap->name,
	    missed);
}

/*
 * After a lap that ended at the ring's head no record has said yet how many
 * datagrams were passed over: ingest knows.
 */
static void
settle(struct tap *tap)
{
	struct ingest_state ingest;

	ingest_read(&tap->segment.state->ingest, &ingest);
	if (!tap->synced || ingest.head != tap->reader.position ||
	    ingest.sequence < tap->reader.sequence)
		return;
	note_missed(tap, ingest.sequence - tap->reader.sequence);
	tap->reader.sequence = ingest.sequence;
}

static void
push(struct tap *tap, const uint8_t *data, size_t size, uint64_t received_ns)
{
	uint32_t i;

	for (i = 0; i < tap->streams; i++)
		stream_push(tap->stream[i], data, size, received_ns);
}

/* The streams get bare datums, one by one. */
static void
push_framed(struct tap *tap, const uint8_t *data, size_t size,
    uint64_t received_ns)
{
	uint32_t header = tap->program->framing.size, begin = header;
	uint32_t datums, i;

	if (datum_locate(tap->program, data, size, ends, &datums) != DATUM_OK)
		return;
	for (i = 0; i < datums; i++) {
		push(tap, data + begin, ends[i] - begin, received_ns);
		begin = ends[i] + header;
	}
}

/* Hands a datagram to each stream; an invalid one only counts. */
static void
push_datagram(struct tap *tap, const uint8_t *data, size_t size,
    uint64_t received_ns)
{
	uint32_t datums, i;

	for (i = 0; i < tap->streams; i++)
		tap->stream[i]->counts.in++;
	if (tap->program != NULL && tap->program->framing.size > 0)
		push_framed(tap, data, size, received_ns);
	else if (tap->program == NULL ||
	    datum_validate(tap->program, data, size, &datums) == DATUM_OK)
		push(tap, data, size, received_ns);
}

/* Copies and uses a record; false: it was overwritten meanwhile. */
static bool
take_record(struct tap *tap, const struct ring_view *view)
{
	size_t left = view->record.length, size;
	const uint8_t *data = scratch;
	uint32_t i;

	memcpy(scratch, view->payload, view->record.length);
	if (!ring_intact(&tap->segment.ring, view->position))
		return false;
	if (tap->synced)
		note_missed(tap, view->missed);
	tap->synced = true;
	for (i = 0; i < view->datagrams; i++) {
		size = view->datagrams > 1 ?
		    MIN_OF(left, (size_t)view->record.segment) : left;
		push_datagram(tap, data, size, view->record.received_ns);
		data += size;
		left -= size;
	}
	return true;
}

/*
 * Windows by time stay open until something later comes; when nothing does,
 * until their time is over.  Only for a tap that has caught up: what is still
 * in the ring may belong to them.
 */
static void
close_windows(struct tap *tap)
{
	uint64_t now_ns, due_ns;
	uint32_t i;

	if (!tap->by_time)
		return;
	now_ns = clock_monotonic_ns();
	tap->due_ns = UINT64_MAX;
	for (i = 0; i < tap->streams; i++) {
		if (tap->taken)
			stream_wait(tap->stream[i], now_ns,
			    clock_realtime_ns());
		due_ns = stream_close_due(tap->stream[i], now_ns);
		tap->due_ns = MIN_OF(tap->due_ns, due_ns);
	}
	tap->taken = false;
}

uint64_t
tap_due_ns(const struct tap *tap)
{
	return tap->due_ns;
}

enum tap_status
tap_step(struct tap *tap)
{
	const struct ring *ring = &tap->segment.ring;
	enum tap_status status = TAP_MORE;
	enum ring_status next;
	struct ring_reader before;
	struct ring_view view;
	uint32_t bytes = 0, records = 0;

	while (bytes < SHARE_BYTES && records < SHARE_RECORDS) {
		before = tap->reader;
		next = ring_next(ring, &tap->reader, &view);
		if (next == RING_EMPTY) {
			if (tap->laps > 0)
				settle(tap);
			status = records > 0 ? TAP_CAUGHT_UP : TAP_IDLE;
			close_windows(tap);
			break;
		}
		if (next == RING_RECORD && take_record(tap, &view)) {
			tap->laps = 0;
			tap->taken = true;
			bytes += view.record.length;
			records++;
			continue;
		}
		tap->reader = before;
		ring_resync(ring, &tap->reader);
		if (++tap->laps == LAPS_MAX) {
			status = TAP_BROKEN;
			break;
		}
	}
	publish(tap);
	return status;
}

/*** Sleeping. ***/

bool
tap_sleep(struct tap *tap, enum tap_patience patience)
{
	const struct ring *ring = &tap->segment.ring;
	uint64_t bytes = patience == TAP_WAKE_NEXT ? 1 : ring->size / 8;

	return ring_sleep(ring, &tap->segment.tap->wake_at,
	    tap->reader.position + bytes);
}

enum log_target
tap_log_target(const struct tap *tap)
{
	return tap->segment.config->log_target == LOG_TARGET_SYSLOG ?
	    LOG_TARGET_SYSLOG : LOG_TARGET_STDERR;
}

int
tap_fd(const struct tap *tap)
{
	return tap->eventfd;
}

void
tap_woken(struct tap *tap)
{
	uint64_t count;
	ssize_t got;

	/* Nothing there is as good: the ring is looked at in either case. */
	got = read(tap->eventfd, &count, sizeof(count));
	(void)got;
}

const char *
tap_name(const struct tap *tap)
{
	return tap->name;
}
