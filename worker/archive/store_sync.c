/* SPDX-License-Identifier: ISC */
/*
 * What of a store is on the disk, as far as the disk can be believed.  Worker,
 * archive thread (the closer thread syncs).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "worker/archive/file.h"
#include "worker/archive/store.h"
#include "worker/archive/store_priv.h"

/* Of what the mark says.  Not when the last one is under way. */
static bool
give_to_closer(struct store *store, enum archive_kind kind, int synced)
{
	char name[FILE_NAME_SIZE];
	const struct closer_file file = {store->fd[kind], name,
	    store->mark.file[kind].size, store->synced_place[kind], synced};

	store_name(store, kind, &store->mark.file[kind], name);
	if (!closer_sync(&store->closer, kind, &file, store->fresh[kind]))
		return false;
	store->fresh[kind] = false;
	return true;
}

bool
store_push(struct store *store, bool sync)
{
	unsigned i, begun = 0;

	sync = sync && store->syncing == 0;
	/* The end of a file syncs it. */
	for (i = 0; i < ARCHIVE_KINDS; i++)
		sync = sync && !store_is_full(store, i);
	for (i = 0; i < ARCHIVE_KINDS; i++)
		if (store->added[i].size > 0 &&
		    writer_push(&store->writer[i], sync))
			begun |= 1U << i;
	if (!sync || begun == 0)
		return false;
	store->syncing = store->behind = begun;
	/* Until it is committed: what fails then may have been synced. */
	store->mark = *store_state(store);
	store->mark_good = false;
	store->marked = true;
	return true;
}

void
store_sync_committed(struct store *store)
{
	unsigned i;

	store->mark = *store_state(store);
	store->mark_good = true;
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		if (store->fd[i] == -1 || !store->dirty[i])
			continue;
		if ((store->behind >> i & 1) == 0 &&
		    !give_to_closer(store, i, CLOSER_NOT_SYNCED))
			continue;
		store->dirty[i] = false;
		store->syncing |= 1U << i;
	}
}

void
store_sync(struct store *store)
{
	/* Else the last round is under way. */
	if (store->syncing == 0)
		store_sync_committed(store);
}

/* What else there is to do, or to be done about it, is the closer's. */
static void
collect_behind(struct store *store, enum archive_kind kind, bool wait)
{
	unsigned bit = 1U << kind;
	int error;

	if ((store->behind & bit) == 0)
		return;
	error = writer_synced(&store->writer[kind], wait);
	if (error == EINPROGRESS)
		return;
	store->behind &= ~bit;
	if (error == 0 && !store->fresh[kind] &&
	    store->synced_place[kind] == 0)
		store->syncing &= ~bit;
	else
		(void)give_to_closer(store, kind, error == ECANCELED ?
		    CLOSER_NOT_SYNCED : error);
}

void
store_await_sync(struct store *store, enum archive_kind kind)
{
	collect_behind(store, kind, true);
}

bool
store_syncs_behind(const struct store *store)
{
	return store->behind != 0;
}

bool
store_dirty(const struct store *store)
{
	return store->dirty[ARCHIVE_MAIN] || store->dirty[ARCHIVE_REJECTED];
}

/*
 * What was written since the last good sync may not be on the disk, and a
 * later sync will not say so again: those records are written once more, to
 * other files, as far as the ring still has them.  When that is not known (a
 * file has changed since) only new records go to new files.
 */
static void
take_back(struct store *store)
{
	const struct archive_state *durable = &store->durable;
	struct archive_state *state;
	uint64_t errors;
	unsigned i;

	if (store->durable_known) {
		state = archive_begin(store->domain);
		state->position = durable->position;
		state->sequence = durable->sequence;
		/* All but the failures, which did happen. */
		errors = state->counts.archive_errors;
		state->counts = durable->counts;
		state->counts.archive_errors = errors;
		for (i = 0; i < ARCHIVE_KINDS; i++)
			if (durable->file[i].phase == FILE_OPEN)
				state->file[i] = durable->file[i];
			else
				state->file[i].records = 0;
		store_commit_state(store);
	}
	store_roll_back(store);
	store_rotate(store);
}

bool
store_collect_sync(struct store *store)
{
	char name[FILE_NAME_SIZE];
	bool good = true;
	unsigned i;
	int error;

	if (store->syncing == 0)
		return false;
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		collect_behind(store, i, false);
		if (!closer_collect(&store->closer, i, CLOSER_SYNC, &error))
			continue;
		store->syncing &= ~(1U << i);
		if (error == 0)
			continue;
		good = false;
		store_distrust(store);
		store_name(store, i, &store_state(store)->file[i], name);
		errno = error;
		store_failed(store, "sync", name);
	}
	if (!good) {
		store->syncs_failed++;
		take_back(store);
	} else if (store->syncing == 0 && store->mark_good) {
		store->syncs_failed = 0;
		store->durable = store->mark;
		store->durable_known = true;
	}
	return !good;
}

void
store_collect_loss(struct store *store, enum archive_kind kind)
{
	struct keeper_loss loss = keeper_collect(&store->keeper, kind);

	if (loss.datagrams == 0)
		return;
	store_count_loss(store, kind, loss.datagrams, loss.payload);
	log_warnx("the disk has lost %" PRIu64 " datagrams that were "
	    "archived: counted in archive_shed", loss.datagrams);
}
