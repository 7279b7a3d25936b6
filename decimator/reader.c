/* SPDX-License-Identifier: ISC */
/*
 * Following one channel's ring.  Decimator.  Must not write to a segment
 * beyond its decimator's page, and must not use a byte that ring_intact() has
 * not vouched for after it was copied.
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "common/wake.h"
#include "decimator/reader_priv.h"

/*
 * One reader's share of a turn, in payload bytes.  A share takes well below a
 * millisecond, so that even hundreds of busy channels get their turn before a
 * ring of 8 MiB goes round; it is large enough that the loop around it does
 * not show.
 */
#define SHARE_BYTES	(256U * 1024)

/*
 * Payloads, copied, which the streams take a few at a time: room for the
 * largest and for what is worth gathering, well within a processor's second
 * cache.  One for all readers: there is one thread.
 */
static uint8_t	scratch[2 * RING_PAYLOAD_MAX] ATTR_ALIGNED(CACHE_LINE);
/* Where the datums of one datagram end. */
static uint32_t	ends[DATUM_FRAMED_MAX];

void
reader_publish(struct reader *reader)
{
	struct decimated_domain *progress = &reader->segment.page->progress;
	struct decimated_state *state = decimated_begin(progress);
	const struct stream *stream;
	uint32_t i;

	for (i = 0; i < reader->streams; i++) {
		stream = reader->stream[i];
		state->stream[stream->config.slot] = (struct page_stream){
			.id	= stream->config.id,
			.counts	= stream->counts,
		};
	}
	/* Until the number at the position is known there is nothing to go
	 * on from. */
	if (reader->synced) {
		state->sequence = reader->cursor.sequence;
		state->position = reader->cursor.position;
	}
	decimated_commit(progress);
}

bool
reader_ingest(struct reader *reader, struct ingest_state *ingest)
{
	if (LIKELY(ingest_read(&reader->segment.state->ingest, ingest)))
		return true;
	log_limited(&reader->unread_limit, "%s: its worker changes its "
	    "counters too fast to be read: how many datagrams are missing is "
	    "told later, or not at all", reader->name);
	return false;
}

static void
note_missed(struct reader *reader, uint64_t missed)
{
	uint32_t i;

	if (missed == 0)
		return;
	for (i = 0; i < reader->streams; i++)
		stream_gap(reader->stream[i], missed);
	log_limited(&reader->lap_limit, "%s: the decimator fell behind and "
	    "missed %" PRIu64 " datagrams; the windows they belong to are "
	    "incomplete; a larger ring_size or fewer streams help",
	    reader->name,
	    missed);
}

/* Summaries also say what the kernel had to drop. */
static void
note_lost(struct reader *reader)
{
	struct ingest_state ingest;
	uint64_t lost;
	uint32_t i;

	if (!reader_ingest(reader, &ingest))
		return;
	lost = ingest.counts.kernel_dropped;
	for (i = 0; lost > reader->lost && i < reader->streams; i++)
		stream_lost(reader->stream[i], lost - reader->lost);
	reader->lost = lost;
}

/*
 * After a lap that ended at the ring's head no record has said yet how many
 * datagrams were passed over: ingest knows.
 */
static void
settle(struct reader *reader)
{
	struct ingest_state ingest;

	if (!reader->synced || !reader_ingest(reader, &ingest) ||
	    ingest.head != reader->cursor.position ||
	    ingest.sequence < reader->cursor.sequence)
		return;
	note_missed(reader, ingest.sequence - reader->cursor.sequence);
	reader->cursor.sequence = ingest.sequence;
}

static void
push(struct reader *reader, const uint8_t *data, size_t size,
    uint64_t received_ns)
{
	uint32_t i;

	for (i = 0; i < reader->streams; i++)
		stream_push(reader->stream[i], data, size, received_ns);
}

/* The streams get bare datums, one by one. */
static void
push_framed(struct reader *reader, const uint8_t *data, size_t size,
    uint64_t received_ns)
{
	uint32_t header = reader->program->framing.size, begin = header;
	uint32_t datums, i;

	if (datum_locate(reader->program, data, size, ends, &datums) !=
	    DATUM_OK)
		return;
	for (i = 0; i < datums; i++) {
		push(reader, data + begin, ends[i] - begin, received_ns);
		begin = ends[i] + header;
	}
}

/* Hands a datagram to each stream; an invalid one only counts. */
static void
push_datagram(struct reader *reader, uint64_t sequence, const uint8_t *data,
    size_t size, uint64_t received_ns)
{
	uint32_t datums, i;

	for (i = 0; i < reader->streams; i++)
		stream_datagram(reader->stream[i], sequence);
	if (reader->program != NULL && reader->program->framing.size > 0)
		push_framed(reader, data, size, received_ns);
	else if (reader->program == NULL ||
	    datum_validate(reader->program, data, size, &datums) == DATUM_OK)
		push(reader, data, size, received_ns);
}

/* The streams have done with what was copied. */
static void
settle_streams(struct reader *reader)
{
	uint32_t i;

	for (i = 0; i < reader->streams; i++)
		stream_settle(reader->stream[i]);
	reader->copied = 0;
}

/* Copies and uses a record; false: it was overwritten meanwhile. */
static bool
take_record(struct reader *reader, const struct ring_view *view)
{
	size_t left = view->record.length, size;
	uint8_t *data;
	uint32_t i;

	if (sizeof(scratch) - reader->copied < left)
		settle_streams(reader);
	data = scratch + reader->copied;
	memcpy(data, view->payload, left);
	if (!ring_intact(&reader->segment.ring, view->position))
		return false;
	/* Partner: look_at_death() of a successor. */
	atomic_store_explicit(&reader->segment.page->taking, view->position,
	    memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	if (reader->synced)
		note_missed(reader, view->missed);
	reader->synced = true;
	reader->copied += ROUND_UP(left, (size_t)CACHE_LINE);
	for (i = 0; i < view->datagrams; i++) {
		size = view->datagrams > 1 ?
		    MIN_OF(left, (size_t)view->record.datagram_size) : left;
		push_datagram(reader, view->record.sequence + i, data, size,
		    view->record.received_ns);
		data += size;
		left -= size;
	}
	return true;
}

/* It has ended two decimators; its channel's archive has it as usual. */
static bool
skip_record(struct reader *reader, const struct ring_view *view)
{
	uint32_t i;

	reader->skip_at = 0;
	if (!ring_intact(&reader->segment.ring, view->position))
		return false;
	log_warnx("%s: two decimators have ended at the datagrams with the "
	    "sequence numbers %" PRIu64 " to %" PRIu64 ": they are not "
	    "decimated", reader->name, view->record.sequence,
	    view->record.sequence + view->datagrams - 1);
	if (reader->synced)
		note_missed(reader, view->missed);
	reader->synced = true;
	for (i = 0; i < reader->streams; i++)
		stream_skip(reader->stream[i], view->datagrams);
	return true;
}

static bool
use_record(struct reader *reader, const struct ring_view *view)
{
	return view->position == reader->skip_at ?
	    skip_record(reader, view) : take_record(reader, view);
}

static uint32_t
share_records(const struct reader *reader)
{
	return reader->cursor.position < atomic_load_explicit(
	    &reader->segment.page->alone_until, memory_order_relaxed) ?
	    1 : SHARE_RECORDS;
}

/*
 * Windows by time stay open until something later comes; when nothing does,
 * until their time is over.  Only for a reader that has caught up: what is
 * still in the ring may belong to them.
 */
static void
close_windows(struct reader *reader)
{
	uint64_t now_ns, due_ns;
	uint32_t i;

	if (!reader->by_time)
		return;
	now_ns = clock_monotonic_ns();
	reader->due_ns = UINT64_MAX;
	for (i = 0; i < reader->streams; i++) {
		if (reader->taken)
			stream_wait(reader->stream[i], now_ns,
			    clock_realtime_ns());
		due_ns = stream_close_due(reader->stream[i], now_ns);
		reader->due_ns = MIN_OF(reader->due_ns, due_ns);
	}
	reader->taken = false;
}

uint64_t
reader_due_ns(const struct reader *reader)
{
	return reader->due_ns;
}

enum reader_status
reader_step(struct reader *reader)
{
	const struct ring *ring = &reader->segment.ring;
	enum reader_status status = READER_MORE;
	enum ring_status next;
	struct ring_reader before;
	struct ring_view view;
	uint32_t bytes = 0, records = 0, most = share_records(reader), i;

	note_lost(reader);
	while (bytes < SHARE_BYTES && records < most) {
		before = reader->cursor;
		next = ring_next(ring, &reader->cursor, &view);
		if (next == RING_EMPTY) {
			if (reader->laps > 0)
				settle(reader);
			status = records > 0 ? READER_CAUGHT_UP : READER_IDLE;
			close_windows(reader);
			break;
		}
		if (next == RING_RECORD && use_record(reader, &view)) {
			reader->laps = 0;
			reader->taken = true;
			bytes += view.record.length;
			records++;
			continue;
		}
		reader->cursor = before;
		ring_resync(ring, &reader->cursor);
		if (++reader->laps == LAPS_MAX) {
			status = READER_BROKEN;
			break;
		}
	}
	settle_streams(reader);
	for (i = 0; i < reader->streams; i++)
		stream_flush(reader->stream[i]);
	reader_publish(reader);
	/* Partner: look_at_death() of a successor. */
	atomic_store_explicit(&reader->segment.page->taking, 0,
	    memory_order_release);
	return status;
}

/*** Sleeping. ***/

bool
reader_sleep(struct reader *reader, enum reader_patience patience)
{
	const struct ring *ring = &reader->segment.ring;
	uint64_t bytes = patience == READER_WAKE_NEXT ? 1 : ring->size / 8;

	return ring_sleep(ring, &reader->segment.page->wake_at,
	    reader->cursor.position + bytes);
}

enum log_target
reader_log_target(const struct reader *reader)
{
	return reader->segment.config->log_target == LOG_TARGET_SYSLOG ?
	    LOG_TARGET_SYSLOG : LOG_TARGET_STDERR;
}

int
reader_fd(const struct reader *reader)
{
	return reader->eventfd;
}

void
reader_woken(struct reader *reader)
{
	/* Nothing there is as good: the ring is looked at in either case. */
	wake_take(reader->eventfd);
}

const char *
reader_name(const struct reader *reader)
{
	return reader->name;
}
