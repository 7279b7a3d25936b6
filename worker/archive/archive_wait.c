/* SPDX-License-Identifier: ISC */
/*
 * When the archive thread has something to do.  Worker, archive thread.
 */
#include "common/util.h"
#include "worker/archive/archive_wait.h"
#include "worker/archive/disk_ring.h"

/* The longest sleep while the wall clock may be stepped under a rotation. */
#define SLEEP_MAX_NS	(10 * NS_PER_S)

static bool
has_work(const struct archive *archive)
{
	const struct transaction *t = &archive->gathering->transaction;

	return t->archived + t->rejected + t->shed + t->paused > 0;
}

/* Nanoseconds until something is due; UINT64_MAX: nothing ever. */
static uint64_t
next_deadline(const struct archive *archive, uint64_t now)
{
	uint64_t at = UINT64_MAX, rotate_at, realtime;

	if (archive->flush_at_ns != 0)
		at = archive->flush_at_ns;
	if (archive->segment->config->archive.sync != SYNC_NONE &&
	    store_dirty(&archive->store))
		at = MIN_OF(at, archive->sync_at_ns);
	at = at == UINT64_MAX ? at : at > now ? at - now : 0;
	/* What a rotation waits for wakes us. */
	rotate_at = store_syncs_behind(&archive->store) ? UINT64_MAX :
	    store_rotate_at(&archive->store);
	if (rotate_at != UINT64_MAX) {
		realtime = clock_realtime_ns();
		rotate_at -= MIN_OF(rotate_at, realtime);
		at = MIN_OF(at, rotate_at);
		at = MIN_OF(at, SLEEP_MAX_NS);
	}
	return at;
}

/* The head position at which there is enough for a block. */
static uint64_t
wake_position(const struct archive *archive)
{
	uint64_t limit = archive->segment->config->archive.block_size;
	uint64_t bytes = archive->gathering->block[ARCHIVE_MAIN]->bytes;

	if (!has_work(archive))
		return archive->reader.position + 1;
	return archive->reader.position +
	    (bytes < limit ? limit - bytes : 1);
}

uint64_t
archive_rest(struct archive *archive)
{
	uint64_t now = clock_monotonic_ns();
	uint64_t wait = next_deadline(archive, now);

	if (archive->retry_at_ns != 0)
		return archive->retry_at_ns;
	if (!ring_sleep(&archive->segment->ring,
	    &archive->segment->state->archive_wake_at,
	    wake_position(archive)))
		return DUTY_AGAIN;
	archive->resting = true;
	if (atomic_load_explicit(&archive->stop, memory_order_acquire))
		return DUTY_AGAIN;
	return wait == UINT64_MAX ? DUTY_POSTED : now + wait;
}

void
archive_rested(struct archive *archive)
{
	if (archive->resting)
		atomic_store_explicit(
		    &archive->segment->state->archive_wake_at,
		    RING_WAKE_NEVER, memory_order_relaxed);
	archive->resting = false;
}

bool
archive_flush_due(struct archive *archive)
{
	uint64_t now;

	if (!has_work(archive))
		return false;
	if (archive->stop_at != 0 || archive->rotating)
		return true;
	now = clock_monotonic_ns();
	if (archive->flush_at_ns == 0)
		archive->flush_at_ns = now +
		    archive->segment->config->archive.flush_interval_ns;
	return now >= archive->flush_at_ns ||
	    store_rotate_at(&archive->store) <= clock_realtime_ns();
}

bool
archive_sync_due(const struct archive *archive)
{
	enum archive_sync sync = archive->segment->config->archive.sync;

	return sync == SYNC_BLOCK || (sync == SYNC_INTERVAL &&
	    clock_monotonic_ns() >= archive->sync_at_ns);
}

/* The end of a file syncs it. */
bool
archive_sync_behind(const struct archive *archive)
{
	return archive_sync_due(archive) && !archive->rotating &&
	    store_rotate_at(&archive->store) > clock_realtime_ns();
}

void
archive_synced(struct archive *archive)
{
	archive->sync_at_ns = clock_monotonic_ns() +
	    archive->segment->config->archive.flush_interval_ns;
}

bool
archive_lost_ring(struct archive *archive)
{
	if (archive->ring == NULL || archive->ring_lost ||
	    disk_ring_works(archive->ring))
		return false;
	archive->ring_lost = true;
	return true;
}
