/* SPDX-License-Identifier: ISC */
/*
 * What the relay thread asks of the archive's, and what it makes and frees for
 * it.  Worker, relay thread.  Must not wait for it, but in archive_join().
 */
#include <stdlib.h>

#include "worker/archive/archive.h"

static void
bundle_open(struct bundle *bundle, const struct segment *segment,
    const struct destinations *destinations)
{
	unsigned i;

	for (i = 0; i < ARCHIVE_KINDS; i++)
		bundle->block[i] = block_new(
		    segment->config->archive.block_size,
		    destinations->count > 1 ? destinations : NULL);
}

static void
name_destinations(struct destinations *destinations,
    const struct segment *segment)
{
	unsigned i;

	destinations->count = segment->inputs;
	for (i = 0; i < segment->inputs; i++)
		destinations->each[i].length = inputs_text(&segment->input[i],
		    destinations->each[i].text);
}

void
archive_open_bundles(struct archive *archive, unsigned count)
{
	unsigned i;

	name_destinations(&archive->destinations, archive->segment);
	for (i = 0; i < count; i++)
		bundle_open(&archive->bundle[i], archive->segment,
		    &archive->destinations);
}

void
archive_published(struct archive *archive, uint64_t head)
{
	if (ring_wake_due(&archive->segment->state->archive_wake_at, head))
		duty_post(&archive->duty);
}

void
archive_rotate(struct archive *archive)
{
	/* Partner: the acquire in take_rotate_request(): it sees the ring as
	 * far as this thread has filled it. */
	atomic_store_explicit(&archive->rotate, true, memory_order_release);
	duty_post(&archive->duty);
}

void
archive_make_room(struct archive *archive)
{
	atomic_store_explicit(&archive->make_room, true,
	    memory_order_relaxed);
	duty_post(&archive->duty);
}

void
archive_give_up_at(struct archive *archive, uint64_t at_ns)
{
	atomic_store_explicit(&archive->give_up_at_ns, at_ns,
	    memory_order_relaxed);
	duty_post(&archive->duty);
}

void
archive_stop(struct archive *archive)
{
	/* Partner: the acquire in finished(): the head is seen as well. */
	atomic_store_explicit(&archive->stop, true, memory_order_release);
	duty_post(&archive->duty);
}

bool
archive_ended(struct archive *archive)
{
	return atomic_load_explicit(&archive->ended, memory_order_acquire);
}

bool
archive_gave_up(const struct archive *archive)
{
	return archive->store.given_up.datagrams > 0;
}

void
archive_join(struct archive *archive)
{
	unsigned i;

	duty_join(&archive->duty);
	free(archive->end);
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		block_free(archive->bundle[0].block[i]);
		block_free(archive->bundle[1].block[i]);
	}
}
