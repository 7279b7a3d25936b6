/* SPDX-License-Identifier: ISC */
/*
 * The ring's slower half; the rest is inline in ring.h.  Worker, decimator
 * and tests.  Must not trust a byte of what it reads from shared memory.
 */
#include <string.h>

#include "common/ring.h"

/* Readers that were lapped go on with at least this part of the ring in hand
 * before they are lapped again. */
#define RESYNC_MARGIN(ring)	((ring)->size / 8)

uint64_t
ring_append(const struct ring *ring, uint64_t position,
    const struct ring_record *record)
{
	uint64_t chunk = ring->size / RING_BOUNDARIES;
	uint64_t end = position + ring_record_span(record);

	memcpy(ring_at(ring, position), record, sizeof(*record));
	/* The first record of each chunk is the one that begins in it while
	 * the byte before it belongs to another chunk. */
	if (end / chunk != position / chunk)
		atomic_store_explicit(&ring->shared->boundary[
		    end / chunk % RING_BOUNDARIES], end,
		    memory_order_relaxed);
	return end;
}

uint64_t
ring_append_pad(const struct ring *ring, uint64_t position, uint64_t size)
{
	struct ring_record pad = {.flags = RING_PAD,
	    .length = (uint32_t)(size - sizeof(pad))};

	return ring_append(ring, position, &pad);
}

/* Copies a record's header and says whether it makes sense at `position'. */
static bool
read_header(const struct ring *ring, uint64_t position, uint64_t head,
    struct ring_record *record)
{
	uint64_t left = head - position;

	if (left < sizeof(*record) || position % RING_ALIGN != 0)
		return false;
	memcpy(record, ring_at(ring, position), sizeof(*record));
	return record->length <= RING_PAYLOAD_MAX &&
	    ring_record_span(record) <= left;
}

enum ring_status
ring_next(const struct ring *ring, struct ring_reader *reader,
    struct ring_view *view)
{
	uint64_t head = ring_head(ring);

	for (;;) {
		if (reader->position == head)
			return RING_EMPTY;
		if (head - reader->position > ring->size ||
		    !read_header(ring, reader->position, head,
		    &view->record) || !ring_intact(ring, reader->position))
			return RING_LAPPED;
		if (LIKELY((view->record.flags & RING_PAD) == 0))
			break;
		reader->position += ring_record_span(&view->record);
	}
	if (view->record.sequence < reader->sequence)
		return RING_LAPPED;
	view->position = reader->position;
	view->payload = ring_at(ring, reader->position) +
	    sizeof(struct ring_record);
	view->datagrams = ring_record_datagrams(&view->record);
	view->missed = view->record.sequence - reader->sequence;
	reader->position += ring_record_span(&view->record);
	reader->sequence = view->record.sequence + view->datagrams;
	return RING_RECORD;
}

void
ring_resync(const struct ring *ring, struct ring_reader *reader)
{
	uint64_t head = ring_head(ring);
	uint64_t reserve = atomic_load_explicit(&ring->shared->reserve,
	    memory_order_relaxed);
	uint64_t best = head, boundary;
	unsigned i;

	for (i = 0; i < RING_BOUNDARIES; i++) {
		boundary = atomic_load_explicit(&ring->shared->boundary[i],
		    memory_order_relaxed);
		if (boundary > reader->position && boundary < best &&
		    reserve - boundary <= ring->size - RESYNC_MARGIN(ring))
			best = boundary;
	}
	reader->position = best;
}
