/* SPDX-License-Identifier: ISC */
/*
 * The archive thread: from the ring into Avro files.  Worker.  Must not wait
 * for anything but its files and its eventfd, nor allocate per datagram.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/sandbox.h"
#include "common/util.h"
#include "worker/archive/archive.h"
#include "worker/archive/archive_wait.h"
#include "worker/archive/disk_ring.h"
#include "worker/archive/gather.h"
#include "worker/archive/quarantine.h"

/* How often a failing archive is tried again: well within a second... */
#define RETRY_NS	(200 * NS_PER_MS)
/* ... and when syncs fail in a row, which costs a file each. */
#define RETRY_SYNC_NS	(800 * NS_PER_MS)
/* Laps in a row before the loop looks at its other duties. */
#define RESYNCS_MAX	16

enum gathered {
	GATHERED_FULL,	/* a block is full */
	GATHERED_ONE,	/* what is to be committed alone */
	GATHERED_ALL,	/* the ring is empty */
};

static const struct archive_state *
state(const struct archive *archive)
{
	return archive_current(&archive->segment->state->archive);
}

static bool
packs(const struct archive *archive)
{
	return archive->segment->config->archive.codec != CODEC_NULL;
}

/* An empty transaction, from where the reader stands. */
static void
begin_transaction(struct archive *archive)
{
	struct transaction *t = &archive->gathering->transaction;
	unsigned i;

	for (i = 0; i < ARCHIVE_KINDS; i++)
		block_clear(archive->gathering->block[i]);
	memset(t, 0, sizeof(*t));
	t->first_position = archive->reader.position;
	t->position = archive->reader.position;
	t->sequence = archive->reader.sequence;
	archive->flush_at_ns = 0;
}

/* Back to what is committed; nothing may be in the packer's hands. */
static void
restart_transaction(struct archive *archive)
{
	archive->reader.position = state(archive)->position;
	archive->reader.sequence = state(archive)->sequence;
	begin_transaction(archive);
}

/* One line now and then for what a transaction lost or set aside. */
static void
tell(struct archive *archive, const struct transaction *t)
{
	if (t->shed > 0)
		log_limited(&archive->limit_shed, "the archive could not keep "
		    "up: %" PRIu64 " datagrams counted in archive_shed",
		    t->shed);
	if (t->rejected > 0)
		log_limited(&archive->limit_rejected, "%" PRIu64 " datagrams "
		    "are not datums of the schema (%s): kept in the .rejected "
		    "archive", t->rejected,
		    datum_error_text(archive->last_error));
}

/* Nothing could be written: it all begins again from what is committed. */
static void
failed(struct archive *archive, const struct transaction *t)
{
	if (t->shed > 0)
		store_skip(&archive->store, t);
	archive->retry_at_ns = clock_monotonic_ns() + RETRY_NS;
	restart_transaction(archive);
	archive->notify(archive->argument);
}

/* Commits what was added.  False: it all begins again. */
static bool
commit(struct archive *archive)
{
	const struct transaction *t = &archive->store.transaction;
	bool sync = archive_sync_behind(archive);

	archive->pushed = false;
	if (store_commit(&archive->store, sync) == -1) {
		failed(archive, t);
		return false;
	}
	if (sync && store_syncs_behind(&archive->store))
		archive_synced(archive);
	archive->retry_at_ns = 0;
	tell(archive, t);
	if (archive->segment->config->archive.on_overrun == OVERRUN_BLOCK ||
	    archive_lost_ring(archive))
		archive->notify(archive->argument);
	return true;
}

/* Adds what was gathered.  False: it all begins again. */
static bool
add(struct archive *archive, struct bundle *bundle)
{
	switch (store_add(&archive->store, bundle->block,
	    &bundle->transaction)) {
	case STORE_DONE:
		return true;
	case STORE_FAILED:
		failed(archive, &bundle->transaction);
		return false;
	case STORE_TORN:
		/* What was added before is whole. */
		if (archive->store.pending)
			(void)commit(archive);
		restart_transaction(archive);
		return false;
	}
	return false;
}

/* Commits what was added already, and what the packer has in hand, for which
 * it waits.  False: it all begins again. */
static bool
settle(struct archive *archive)
{
	struct bundle *bundle = archive->packing;

	if (archive->store.pending) {
		if (commit(archive))
			restart_transaction(archive);
		return false;
	}
	if (bundle == NULL)
		return true;
	packer_wait(&archive->packer);
	archive->packing = NULL;
	return add(archive, bundle) && commit(archive);
}

/* Gives what is gathered to the packer and begins the next transaction. */
static void
pack(struct archive *archive)
{
	struct bundle *bundle = archive->gathering;
	unsigned i;

	if (!settle(archive))
		return;
	for (i = 0; i < ARCHIVE_KINDS; i++)
		block_detach(bundle->block[i]);
	/* Was it still what we validated when it was copied? */
	if (!ring_intact(&archive->segment->ring,
	    bundle->transaction.first_position)) {
		restart_transaction(archive);
		return;
	}
	bundle->transaction.loose = false;
	archive->packing = bundle;
	archive->gathering = &archive->bundle[bundle == &archive->bundle[0]];
	packer_submit(&archive->packer, bundle->block);
	begin_transaction(archive);
}

/* Reads on from where the reader stands, until a block is full. */
static enum gathered
gather(struct archive *archive)
{
	const struct ring *ring = &archive->segment->ring;
	struct ring_view view;
	unsigned resyncs = 0;

	while (!gather_full(archive)) {
		switch (ring_next(ring, &archive->reader, &view)) {
		case RING_RECORD:
			gather_record(archive, &view);
			if (UNLIKELY(quarantine_alone(archive)))
				return GATHERED_ONE;
			break;
		case RING_EMPTY:
			return GATHERED_ALL;
		case RING_LAPPED:
			(void)settle(archive);
			restart_transaction(archive);
			ring_resync(ring, &archive->reader);
			if (++resyncs == RESYNCS_MAX)
				return GATHERED_ALL;
			break;
		}
	}
	return GATHERED_FULL;
}

/* Whether the next block can be gathered at once. */
static bool
behind(const struct archive *archive)
{
	return ring_head(&archive->segment->ring) -
	    archive->reader.position >
	    archive->segment->config->archive.block_size;
}

/* Of a shared ring: the steps of other channels that are ready add to it, and
 * who comes first again has all submitted. */
static void
push(struct archive *archive)
{
	if (store_push(&archive->store, archive_sync_behind(archive)))
		archive_synced(archive);
	archive->pushed = true;
}

/* Adds what is gathered, and commits: when it is behind, several blocks
 * together, as long as they need not be written `now'. */
static void
put(struct archive *archive, bool now)
{
	struct bundle *bundle = archive->gathering;
	unsigned i;

	if (!add(archive, bundle))
		return;
	if (!now && behind(archive) && store_wants_more(&archive->store))
		for (i = 0; i < ARCHIVE_KINDS; i++)
			block_clear(bundle->block[i]);
	else if (archive->ring != NULL && archive->duty.crew != NULL)
		push(archive);
	else if (commit(archive))
		begin_transaction(archive);
}

static void
flush(struct archive *archive, bool now)
{
	if (packs(archive))
		pack(archive);
	else
		put(archive, now);
}

/* Before the ring is looked at: what was received before the request is there
 * by now, and has to be in the files that it finishes. */
static void
take_rotate_request(struct archive *archive)
{
	/* Partner: the release in archive_rotate(). */
	if (!atomic_exchange_explicit(&archive->rotate, false,
	    memory_order_acquire))
		return;
	archive->rotating = true;
	archive->rotate_after = ring_head(&archive->segment->ring);
}

static void
rotate_if_due(struct archive *archive)
{
	uint64_t now = clock_realtime_ns();
	bool asked = archive->rotating &&
	    archive->reader.position >= archive->rotate_after;

	store_follow_clock(&archive->store, now);
	if (!asked && store_rotate_at(&archive->store) > now)
		return;
	(void)settle(archive);
	/* Another turn, soon: this thread must not wait for a disk. */
	if (store_syncs_behind(&archive->store))
		return;
	if (asked)
		archive->rotating = false;
	store_rotate(&archive->store);
}

static void
sync_if_due(struct archive *archive)
{
	if (!store_dirty(&archive->store) || !archive_sync_due(archive))
		return;
	store_sync(&archive->store);
	archive_synced(archive);
}

/* The committed position has moved back: nothing in hand follows it. */
static void
start_over(struct archive *archive)
{
	if (archive->packing != NULL)
		packer_wait(&archive->packer);
	archive->packing = NULL;
	restart_transaction(archive);
}

static void
sync_failed(struct archive *archive)
{
	start_over(archive);
	archive->retry_at_ns = clock_monotonic_ns() +
	    (archive->store.syncs_failed == 1 ? RETRY_NS : RETRY_SYNC_NS);
}

/* Nobody comes who could store what the ring has: it is shed. */
static void
shed_all(struct archive *archive)
{
	const struct ring *ring = &archive->segment->ring;
	enum ring_status status;
	struct span lost = {0};
	struct ring_view view;

	start_over(archive);
	while ((status = ring_next(ring, &archive->reader, &view)) !=
	    RING_EMPTY) {
		if (status == RING_LAPPED)
			ring_resync(ring, &archive->reader);
		else
			span_add(&lost, view.record.sequence,
			    view.record.received_ns, view.record.length);
	}
	lost.begins = state(archive)->sequence;
	lost.ends = archive->reader.sequence - 1;
	lost.datagrams = archive->reader.sequence - lost.begins;
	if (lost.datagrams == 0)
		return;
	store_give_up(&archive->store, archive->reader.position, &lost);
	restart_transaction(archive);
	archive->notify(archive->argument);
}

/* Whether it is failing, and has been for as long as it may. */
static bool
hopeless(const struct archive *archive)
{
	uint64_t give_up_at = atomic_load_explicit(&archive->give_up_at_ns,
	    memory_order_relaxed);

	return archive->retry_at_ns != 0 && give_up_at != 0 &&
	    clock_monotonic_ns() >= give_up_at;
}

/* Whether everything that was in the ring when we were asked is stored, or
 * cannot be. */
static bool
finished(struct archive *archive)
{
	/* Partner: the release in archive_stop(). */
	if (archive->stop_at == 0 &&
	    atomic_load_explicit(&archive->stop, memory_order_acquire))
		archive->stop_at = ring_head(&archive->segment->ring);
	if (archive->stop_at == 0)
		return false;
	/* Unless it is to give up, a successor finds it in the ring. */
	return state(archive)->position >= archive->stop_at ||
	    (archive->retry_at_ns != 0 &&
	    atomic_load_explicit(&archive->give_up_at_ns,
	    memory_order_relaxed) == 0);
}

static uint64_t
turn(struct archive *archive)
{
	enum gathered gathered;
	bool due;

	if (store_collect(&archive->store))
		sync_failed(archive);
	if (atomic_exchange_explicit(&archive->make_room, false,
	    memory_order_relaxed))
		keeper_ask(&archive->store.keeper);
	if (atomic_load_explicit(&archive->segment->state->room.wanted,
	    memory_order_relaxed) != 0)
		archive->notify(archive->argument);
	if (hopeless(archive))
		shed_all(archive);
	if (archive->retry_at_ns > clock_monotonic_ns())
		return archive->retry_at_ns;
	if (archive->packing != NULL &&
	    (archive->stop_at != 0 || !packer_busy(&archive->packer)))
		(void)settle(archive);
	take_rotate_request(archive);
	gathered = gather(archive);
	due = archive_flush_due(archive);
	if (UNLIKELY(gathered == GATHERED_ONE)) {
		flush(archive, true);
		(void)settle(archive);
	} else if (due || gathered == GATHERED_FULL)
		flush(archive, due);
	else if (archive->store.pending)
		(void)settle(archive);
	if (archive->pushed)
		return DUTY_AGAIN;
	rotate_if_due(archive);
	sync_if_due(archive);
	return gathered == GATHERED_ALL && archive->stop_at == 0 ?
	    archive_rest(archive) : DUTY_AGAIN;
}

static void
begin(struct archive *archive)
{
	const struct channel_config *config = archive->segment->config;
	bool alone = archive->duty.crew == NULL;

	/* The closer thread, which store_open() starts, goes along. */
	if (alone && config->archive.cpu >= 0 &&
	    thread_pin(config->archive.cpu) == -1)
		log_warn("cannot archive on CPU %d", config->archive.cpu);
	quarantine_open(archive);
	store_open(&archive->store, archive->segment, archive->directory,
	    &archive->duty, archive->helpers, archive->ring);
	if (packs(archive))
		packer_start(&archive->packer, config->archive.codec,
		    archive);
	if (alone)
		sandbox_thread(SANDBOX_WITH_FILES,
		    disk_ring_fd(archive->ring));
	restart_transaction(archive);
	archive->begun = true;
}

static void
end(struct archive *archive)
{
	if (packs(archive))
		packer_stop(&archive->packer);
	store_close(&archive->store);
	if (archive_gave_up(archive))
		log_warnx("the archive could not store %" PRIu64 " datagrams "
		    "before its end: counted in archive_shed",
		    archive->store.given_up.datagrams);
	/* Partner: the acquire in archive_ended(). */
	atomic_store_explicit(&archive->ended, true, memory_order_release);
	archive->notify(archive->argument);
}

static uint64_t
step(void *argument)
{
	struct archive *archive = argument;
	uint64_t at_ns = DUTY_OVER;

	quarantine_thread(archive);
	if (!archive->begun)
		begin(archive);
	if (archive->pushed && commit(archive))
		begin_transaction(archive);
	archive_rested(archive);
	if (finished(archive))
		end(archive);
	else
		at_ns = turn(archive);
	archive->duty.also = store_syncs_behind(&archive->store) ?
	    disk_ring_fd(archive->ring) : -1;
	quarantine_thread(NULL);
	return at_ns;
}

void
archive_start(struct archive *archive, const struct segment *segment,
    const struct datum_program *program, int directory,
    struct disk_ring *ring, const struct archive_crews *crews,
    void (*notify)(void *), void *argument)
{
	int error;

	memset(archive, 0, sizeof(*archive));
	archive->segment = segment;
	archive->program = program;
	archive->directory = directory;
	archive->ring = ring;
	archive->notify = notify;
	archive->argument = argument;
	archive->helpers = crews != NULL ? crews->helpers : NULL;
	archive_open_bundles(archive, packs(archive) ? 2 : 1);
	if (program != NULL && program->framing.size > 0)
		archive->end = xcalloc(DATUM_FRAMED_MAX, sizeof(uint32_t));
	archive->gathering = &archive->bundle[0];
	error = duty_start(&archive->duty, crews != NULL ? crews->archive :
	    NULL, step, archive);
	if (error != 0)
		fatalx("cannot start the archive thread: %s",
		    strerror(error));
}
