/* SPDX-License-Identifier: ISC */
/*
 * When the archive thread has something to do, and its sleep until then.
 * Worker, archive thread.
 */
#include <poll.h>

#include "common/util.h"
#include "common/wake.h"
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

static void
wait_for(struct archive *archive, uint64_t ns)
{
	struct timespec timeout = {.tv_sec = (time_t)(ns / NS_PER_S),
	    .tv_nsec = (long)(ns % NS_PER_S)};
	struct pollfd pollfd[] = {{.fd = archive->wake, .events = POLLIN},
	    {.fd = store_syncs_behind(&archive->store) ?
	    disk_ring_fd(archive->ring) : -1, .events = POLLIN}};

	if (ppoll(pollfd, 2, ns == UINT64_MAX ? NULL : &timeout, NULL) > 0 &&
	    pollfd[0].revents != 0)
		wake_take(archive->wake);
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

void
archive_sleep(struct archive *archive)
{
	_Atomic uint64_t *wake_at = &archive->segment->state->archive_wake_at;
	uint64_t now = clock_monotonic_ns();
	uint64_t wait = next_deadline(archive, now);

	if (archive->retry_at_ns != 0) {
		wait_for(archive, archive->retry_at_ns > now ?
		    archive->retry_at_ns - now : 0);
		return;
	}
	if (!ring_sleep(&archive->segment->ring, wake_at,
	    wake_position(archive)))
		return;
	if (!atomic_load_explicit(&archive->stop, memory_order_acquire))
		wait_for(archive, wait);
	atomic_store_explicit(wake_at, RING_WAKE_NEVER, memory_order_relaxed);
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
