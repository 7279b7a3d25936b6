/* SPDX-License-Identifier: ISC */
/*
 * From a record of the ring into the blocks of the transaction in hand.
 * Worker, archive thread.  Must not allocate.
 */
#include "common/util.h"
#include "worker/archive/gather.h"
#include "worker/archive/quarantine.h"

/* The archive holds bare datums: headers stay behind. */
static void
add_framed(struct archive *archive, const uint8_t *data, uint32_t datums)
{
	uint32_t header = archive->program->framing.size, begin = header, i;

	for (i = 0; i < datums; i++) {
		block_add(archive->gathering->block[ARCHIVE_MAIN], data + begin,
		    archive->end[i] - begin, 1);
		begin = archive->end[i] + header;
	}
}

static enum datum_error
validate(struct archive *archive, const uint8_t *data, size_t size,
    uint32_t *datums)
{
	if (archive->program == NULL)
		return DATUM_OK;
	if (archive->program->framing.size == 0)
		return datum_validate(archive->program, data, size, datums);
	return datum_locate(archive->program, data, size, archive->end,
	    datums);
}

static void
add_datagram(struct archive *archive, const struct ring_view *view,
    uint32_t i, const uint8_t *data, size_t size)
{
	uint64_t sequence = view->record.sequence + i;
	struct transaction *t = &archive->gathering->transaction;
	struct block *block = archive->gathering->block[ARCHIVE_MAIN];
	enum datum_error error;
	uint32_t datums = 0;

	/* Partner: note_fault(). */
	atomic_store_explicit(&archive->in_hand, i, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	if (UNLIKELY(quarantine_has(archive, view, i))) {
		quarantine_tell(archive, sequence, data, size);
		error = DATUM_QUARANTINED;
	} else
		error = validate(archive, data, size, &datums);
	if (UNLIKELY(error != DATUM_OK)) {
		archive->last_error = error;
		t->rejected++;
		t->rejected_by[error]++;
		span_add(&t->span[ARCHIVE_REJECTED], sequence,
		    view->record.received_ns, size);
		block_add_datagram(archive->gathering->block[ARCHIVE_REJECTED],
		    &view->record, sequence, data, size);
		return;
	}
	t->archived++;
	span_add(&t->span[ARCHIVE_MAIN], sequence, view->record.received_ns,
	    size);
	t->archived_bytes += size;
	if (archive->program == NULL ||
	    archive->segment->config->archive.envelope)
		block_add_datagram(block, &view->record, sequence, data, size);
	else if (archive->program->framing.size > 0)
		add_framed(archive, data, datums);
	else
		block_add(block, data, size, datums);
}

void
gather_record(struct archive *archive, const struct ring_view *view)
{
	struct transaction *t = &archive->gathering->transaction;
	uint32_t size = view->record.datagram_size != 0 ?
	    view->record.datagram_size :
	    view->record.length;
	uint32_t i, offset = 0, left = view->record.length;
	uint32_t datagrams = view->datagrams;

	/* Partner: note_fault(). */
	atomic_store_explicit(&archive->in_hand_at, view->position,
	    memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	if (t->archived + t->rejected + t->paused == 0)
		t->first_position = view->position;
	if (!t->loose)
		t->loose_position = view->position;
	t->loose = true;
	t->shed += view->missed;
	if (UNLIKELY(quarantine_sheds(archive, view))) {
		t->shed += datagrams;
		datagrams = 0;
	} else if (UNLIKELY((view->record.flags & RING_NO_ARCHIVE) != 0)) {
		t->paused += datagrams;
		datagrams = 0;
	}
	for (i = 0; i < datagrams; i++) {
		size = MIN_OF(size, left);
		add_datagram(archive, view, i, view->payload + offset, size);
		offset += size;
		left -= size;
	}
	atomic_store_explicit(&archive->in_hand, RING_DATAGRAMS_MAX,
	    memory_order_relaxed);
	atomic_store_explicit(&archive->in_hand_at, t->first_position,
	    memory_order_relaxed);
	t->position = archive->reader.position;
	t->sequence = archive->reader.sequence;
}

bool
gather_full(const struct archive *archive)
{
	uint64_t limit = archive->segment->config->archive.block_size;
	const struct transaction *t = &archive->gathering->transaction;
	unsigned i;

	/* What adds nothing must not fill the ring. */
	if (UNLIKELY(t->paused > 0 &&
	    archive->reader.position - t->first_position >= limit))
		return true;
	for (i = 0; i < ARCHIVE_KINDS; i++)
		if (archive->gathering->block[i]->bytes >= limit ||
		    !block_has_room(archive->gathering->block[i],
		    RING_DATAGRAMS_MAX))
			return true;
	return false;
}
