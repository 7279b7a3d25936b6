/* SPDX-License-Identifier: ISC */
/*
 * Which datagrams have ended the archive's threads.  Worker, archive and packer
 * threads.  What note_fault() calls must be safe in a signal handler.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/archive/quarantine.h"
#include "worker/last_words.h"

/* Of the datagram, in hexadecimal. */
#define TOLD_BYTES	16U

/* What the thread works on; NULL: on none. */
static _Thread_local struct archive	*watched;

/* So many deaths with the same datagram in hand: it is left out, and if that
 * was no help, shed. */
#define DEATHS_OUT	2U
#define DEATHS_SHED	4U

static void
set_out(struct quarantine *q, uint32_t datagram)
{
	if (datagram < RING_DATAGRAMS_MAX) {
		q->out[datagram / 64] |= UINT64_C(1) << (datagram % 64);
		return;
	}
	/* Which of the record's it was is not known. */
	q->out[0] = q->out[1] = UINT64_MAX;
}

/* Whoever is killed in here leaves a count too low. */
static void
note_fault(void)
{
	struct quarantine *q;
	uint64_t position;
	uint32_t datagram;

	if (watched == NULL)
		return;
	q = &watched->segment->state->quarantine;
	if (watched->reader.position ==
	    archive_current(&watched->segment->state->archive)->position)
		return;
	position = atomic_load_explicit(&watched->in_hand_at,
	    memory_order_relaxed);
	datagram = atomic_load_explicit(&watched->in_hand,
	    memory_order_relaxed);
	if (q->position != position || q->datagram != datagram)
		q->deaths = 0;
	if (q->position != position)
		q->out[0] = q->out[1] = 0;
	atomic_signal_fence(memory_order_seq_cst);
	q->position = position;
	q->datagram = datagram;
	q->until = watched->reader.position;
	q->deaths++;
	/* The one before may have had more in hand, this one has not. */
	if (q->deaths >= DEATHS_OUT && quarantine_alone(watched))
		set_out(q, datagram);
}

void
quarantine_open(struct archive *archive)
{
	const struct quarantine *q = &archive->segment->state->quarantine;

	archive->alone_until = q->until;
	atomic_store_explicit(&archive->in_hand, RING_DATAGRAMS_MAX,
	    memory_order_relaxed);
	atomic_store_explicit(&archive->in_hand_at,
	    archive_current(&archive->segment->state->archive)->position,
	    memory_order_relaxed);
	last_words_note(note_fault);
	quarantine_thread(archive);
}

void
quarantine_thread(struct archive *archive)
{
	watched = archive;
}

bool
quarantine_alone(const struct archive *archive)
{
	return archive_current(&archive->segment->state->archive)->position <
	    archive->alone_until;
}

bool
quarantine_sheds(const struct archive *archive, const struct ring_view *view)
{
	const struct quarantine *q = &archive->segment->state->quarantine;

	return UNLIKELY(view->position == q->position) &&
	    q->deaths >= DEATHS_SHED && (q->out[0] | q->out[1]) != 0;
}

bool
quarantine_has(const struct archive *archive, const struct ring_view *view,
    uint32_t i)
{
	const struct quarantine *q = &archive->segment->state->quarantine;

	return UNLIKELY(view->position == q->position) &&
	    i < RING_DATAGRAMS_MAX &&
	    (q->out[i / 64] >> (i % 64) & 1) != 0;
}

void
quarantine_tell(struct archive *archive, uint64_t sequence,
    const uint8_t *data, size_t size)
{
	char text[2 * TOLD_BYTES + 1] = "";
	size_t i;

	/* Not again when it has to be written again. */
	if (archive->told_of == sequence + 1)
		return;
	archive->told_of = sequence + 1;
	for (i = 0; i < MIN_OF(size, (size_t)TOLD_BYTES); i++)
		snprintf(text + 2 * i, 3, "%02x", data[i]);
	log_warnx("two workers have ended at the datagram with the sequence "
	    "number %" PRIu64 " (%zu bytes, which begin with %s): it is kept "
	    "in the .rejected archive", sequence, size, text);
}
