/* SPDX-License-Identifier: ISC */
/*
 * How a store's files end: when they are due, and what happens then.  Worker,
 * archive thread (the closer thread does the slow part).
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "worker/archive/file.h"
#include "worker/archive/store.h"
#include "worker/archive/store_priv.h"
#include "worker/archive/synced.h"

/* The least that is told of. */
#define STEP_NS		((int64_t)NS_PER_S)

/* Gives the file in `closing' to the closer; `fd' -1: has its name already. */
static void
submit_finish(struct store *store, enum archive_kind kind, int fd,
    uint64_t synced_place)
{
	const struct archive_state *state = store_state(store);
	const struct archive_file *file = &state->closing[kind];
	char name[FILE_NAME_SIZE], line[CATALOG_LINE_SIZE];
	const struct closer_file end = {fd, name, file->size,
	    synced_place, CLOSER_NOT_SYNCED};

	store_name(store, kind, file, name);
	catalog_line(line, name, kind, store->segment->config->archive.codec,
	    file, state->lost_known[kind] ? &state->lost[kind] : NULL);
	closer_finish(&store->closer, kind, &end, line, store->doubted[kind]);
	store->doubted[kind] = false;
}

void
store_collect_finish(struct store *store, enum archive_kind kind)
{
	struct archive_file file = store_state(store)->closing[kind];
	char name[FILE_NAME_SIZE];
	int error;

	if (!closer_collect(&store->closer, kind, CLOSER_FINISH, &error))
		return;
	store_name(store, kind, &file, name);
	archive_begin(store->domain)->closing[kind].phase = FILE_NONE;
	archive_commit(store->domain);
	if (error == 0) {
		log_debug("finished %s", name);
		store->distrust -= store->distrust > 0;
		keeper_ask(&store->keeper);
		return;
	}
	store_distrust(store);
	store_count_error(store);
	log_warnx("cannot finish %s/%s: %s; it stays there as %s.part, to be "
	    "tried again", store->segment->config->archive.directory, name,
	    strerror(error), name);
	keeper_leave(&store->keeper, name, kind, &file,
	    !closer_was_lossy(&store->closer, kind));
}

/* Moves the kind's file to `closing' and hands it to the closer. */
static void
finish(struct store *store, enum archive_kind kind)
{
	struct archive_state *state;
	struct ledger ledger;
	bool known;
	int fd = store->fd[kind];

	closer_wait(&store->closer, kind, CLOSER_FINISH);
	store_collect_finish(store, kind);
	known = segment_ledger(store->segment, &ledger);
	state = archive_begin(store->domain);
	state->closing[kind] = state->file[kind];
	state->file[kind].phase = FILE_NONE;
	state->lost_known[kind] = known;
	if (known) {
		ledger_since(&state->lost[kind], &ledger, &state->told[kind]);
		state->told[kind] = ledger;
	}
	archive_commit(store->domain);
	store_await_sync(store, kind);
	writer_close(&store->writer[kind]);
	store->fd[kind] = -1;
	store->dirty[kind] = false;
	store->durable_known = store->mark_good = false;
	submit_finish(store, kind, fd, store->synced_place[kind]);
}

void
store_note_loss(struct store *store, const struct span *lost)
{
	const struct archive_file file = {
		.started_ns = clock_realtime_ns(),
		.first_sequence = lost->begins,
		.begins = lost->begins,
		.ends = lost->ends,
		.first_received_ns = lost->first_received_ns,
		.last_received_ns = lost->last_received_ns,
	};
	char name[FILE_NAME_SIZE], line[CATALOG_LINE_SIZE];
	struct ledger_change losses;
	struct ledger ledger;
	bool known = segment_ledger(store->segment, &ledger);

	if (known)
		ledger_since(&losses, &ledger,
		    &store_state(store)->told[ARCHIVE_MAIN]);
	store_name(store, ARCHIVE_MAIN, &file, name);
	catalog_line(line, name, ARCHIVE_MAIN,
	    store->segment->config->archive.codec, &file,
	    known ? &losses : NULL);
	if (catalog_add(&store->catalog, line) == -1)
		log_warn("cannot add what was lost to " CATALOG_NAME);
}

void
store_rotate(struct store *store)
{
	unsigned i;

	for (i = 0; i < ARCHIVE_KINDS; i++) {
		if (store->fd[i] == -1)
			continue;
		if (store_state(store)->file[i].records > 0)
			finish(store, i);
		else
			store_discard(store, i);
	}
}

static uint64_t
file_rotate_at(const struct store *store, enum archive_kind kind)
{
	const struct archive_file *file = &store_state(store)->file[kind];
	const struct channel_config *config = store->segment->config;
	uint64_t interval = config->archive.rotate_interval_ns;

	if (config->archive.rotate_size > 0 &&
	    file->size >= config->archive.rotate_size)
		return 0;
	if (interval == 0)
		return UINT64_MAX;
	return ((store->rotate_from_ns[kind] - store->rotate_offset_ns) /
	    interval + 1) * interval + store->rotate_offset_ns;
}

uint64_t
store_rotate_at(const struct store *store)
{
	uint64_t at = UINT64_MAX;
	unsigned i;

	for (i = 0; i < ARCHIVE_KINDS; i++)
		if (store->fd[i] != -1)
			at = MIN_OF(at, file_rotate_at(store, i));
	return at;
}

/* By how much the clock was set since the last look; 0: only disciplined. */
static int64_t
clock_step(struct store *store, uint64_t now_ns)
{
	uint64_t boot = clock_boottime_ns();
	int64_t elapsed = (int64_t)(boot - store->looked_at_ns);
	int64_t step = (int64_t)(now_ns - store->looked_real_ns) - elapsed;
	bool first = store->looked_at_ns == 0;

	store->looked_at_ns = boot;
	store->looked_real_ns = now_ns;
	/* NTP slews by half a millisecond a second at most. */
	return first || (step < STEP_NS + elapsed / 1000 &&
	    step > -STEP_NS - elapsed / 1000) ? 0 : step;
}

void
store_follow_clock(struct store *store, uint64_t now_ns)
{
	int64_t step = clock_step(store, now_ns);
	struct archive_state *state;
	unsigned i;

	if (step == 0)
		return;
	log_warnx("the clock was set %s by %.1f s: rotation goes by the new "
	    "time", step < 0 ? "back" : "ahead",
	    fabs((double)step) / (double)NS_PER_S);
	state = archive_begin(store->domain);
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		if (store->fd[i] == -1) {
			store->step_ns[i] += step;
			continue;
		}
		state->file[i].clock_step_ns += step;
		store->rotate_from_ns[i] = MIN_OF(store->rotate_from_ns[i],
		    now_ns);
	}
	archive_commit(store->domain);
}

void
store_resume_closing(struct store *store, enum archive_kind kind)
{
	const struct archive_file *file = &store_state(store)->closing[kind];
	char name[FILE_NAME_SIZE];
	int fd;

	if (file->phase == FILE_NONE)
		return;
	store_name(store, kind, file, name);
	fd = file_reopen(store->directory, name, file->size);
	if (fd != -1 || faccessat(store->directory, name, F_OK, 0) == 0) {
		submit_finish(store, kind, fd,
		    fd == -1 ? 0 : synced_place_of(fd));
		return;
	}
	store_count_error(store);
	log_warn("%s.part, being finished by my predecessor", name);
	archive_begin(store->domain)->closing[kind].phase = FILE_NONE;
	archive_commit(store->domain);
}
