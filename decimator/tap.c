/* SPDX-License-Identifier: ISC */
/*
 * Following one channel's ring.  Decimator.  Must not write to a segment
 * beyond its tap page, and must not use a byte that ring_intact() has not
 * vouched for after it was copied.
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "decimator/tap_state.h"

/*
 * One tap's share of a turn, in payload bytes.  A share takes well below a
 * millisecond, so that even hundreds of busy channels get their turn before a
 * ring of 8 MiB goes round; it is large enough that the loop around it does
 * not show.
 */
#define SHARE_BYTES	(256U * 1024)

/*
 * Payloads, copied, which the streams take a few at a time: room for the
 * largest and for what is worth gathering, well within a processor's second
 * cache.  One for all taps: there is one thread.
 */
static uint8_t	scratch[2 * RING_PAYLOAD_MAX] ATTR_ALIGNED(CACHE_LINE);
/* Where the datums of one datagram end. */
static uint32_t	ends[DATUM_FRAMED_MAX];

void
tap_publish(struct tap *tap)
{
	struct decimated_domain *progress = &tap->segment.tap->progress;
	struct decimated_state *state = decimated_begin(progress);
	const struct stream *stream;
	uint32_t i;

	for (i = 0; i < tap->streams; i++) {
		stream = tap->stream[i];
		state->stream[stream->config.slot] = (struct tap_stream){
			.id	= stream->config.id,
			.in	= stream->counts.in,
			.out	= stream->counts.out,
			.missed	= stream->counts.missed,
			.errors	= stream->counts.errors,
			.unarchived = stream->counts.unarchived,
		};
	}
	/* Until the number at the position is known there is nothing to go
	 * on from. */
	if (tap->synced) {
		state->sequence = tap->reader.sequence;
		state->position = tap->reader.position;
	}
	decimated_commit(progress);
}

uint64_t
tap_lost(const struct tap *tap)
{
	struct ingest_state ingest;

	ingest_read(&tap->segment.state->ingest, &ingest);
	return ingest.kernel_dropped;
}

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

/* Summaries also say what the kernel had to drop. */
static void
note_lost(struct tap *tap)
{
	uint64_t lost = tap_lost(tap);
	uint32_t i;

	for (i = 0; lost > tap->lost && i < tap->streams; i++)
		stream_lost(tap->stream[i], lost - tap->lost);
	tap->lost = lost;
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

/* The streams have done with what was copied. */
static void
settle_streams(struct tap *tap)
{
	uint32_t i;

	for (i = 0; i < tap->streams; i++)
		stream_settle(tap->stream[i]);
	tap->copied = 0;
}

/* Copies and uses a record; false: it was overwritten meanwhile. */
static bool
take_record(struct tap *tap, const struct ring_view *view)
{
	size_t left = view->record.length, size;
	uint8_t *data;
	uint32_t i;

	if (sizeof(scratch) - tap->copied < left)
		settle_streams(tap);
	data = scratch + tap->copied;
	memcpy(data, view->payload, left);
	if (!ring_intact(&tap->segment.ring, view->position))
		return false;
	if (tap->synced)
		note_missed(tap, view->missed);
	tap->synced = true;
	tap->copied += ROUND_UP(left, (size_t)CACHE_LINE);
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
	uint32_t bytes = 0, records = 0, i;

	note_lost(tap);
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
	settle_streams(tap);
	for (i = 0; i < tap->streams; i++)
		stream_flush(tap->stream[i]);
	tap_publish(tap);
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
