/* SPDX-License-Identifier: ISC */
/*
 * The open files of a channel's archive and what of them is committed.
 * Worker, archive thread only (the closer thread does the slow ends).  Must
 * not hold up the relay, nor lose a record that the ring still has.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/util.h"
#include "worker/archive/file.h"
#include "worker/archive/store.h"
#include "worker/archive/store_files.h"

/* Channels rotate within so much of the interval, but not later than that. */
#define ROTATE_SPREAD		10
#define ROTATE_OFFSET_MAX_NS	(10 * NS_PER_S)

/* Cuts off what was written behind the committed sizes. */
static void
roll_back(struct store *store)
{
	uint64_t size;
	unsigned i;

	memset(store->added, 0, sizeof(store->added));
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		size = store_state(store)->file[i].size;
		if (store->fd[i] != -1 &&
		    (ftruncate(store->fd[i], (off_t)size) == -1 ||
		    writer_back(&store->writer[i], size) == -1))
			/* A successor's recovery cuts the file. */
			store_forget(store, i);
	}
}

/* Takes back what was added since then. */
static int
unadd(struct store *store, const struct addition then[static ARCHIVE_KINDS])
{
	unsigned i;

	for (i = 0; i < ARCHIVE_KINDS; i++) {
		if (store->added[i].size == then[i].size)
			continue;
		store->added[i] = then[i];
		if (writer_back(&store->writer[i],
		    store_state(store)->file[i].size + then[i].size) == -1)
			return -1;
	}
	return 0;
}

static int
add_block(struct store *store, enum archive_kind kind,
    struct block *block, uint64_t first_sequence)
{
	struct addition *added = &store->added[kind];
	const struct archive_file *file;
	char name[FILE_NAME_SIZE];
	struct iovec *iov;
	unsigned count;
	size_t size;

	if (block->records == 0)
		return 0;
	file = &store_state(store)->file[kind];
	/* The datagram that the file is named for has been shed. */
	if (store->fd[kind] != -1 && file->records + added->records == 0 &&
	    file->first_sequence != first_sequence)
		store_discard(store, kind);
	if (store->fd[kind] == -1 &&
	    store_open_file(store, kind, first_sequence) == -1)
		return -1;
	file = &store_state(store)->file[kind];
	count = block_finish(block, file->sync, &iov, &size);
	store_reserve(store, kind, file->size + added->size + size);
	if (writer_append(&store->writer[kind], iov, count, size) == 0) {
		added->size += size;
		added->records += block->records;
		return 0;
	}
	store_name(store, kind, file, name);
	store_failed(store, "write", name);
	return -1;
}

/* Recording goes on in new files; those that hold records are finished. */
static void
write_failed(struct store *store)
{
	unsigned i;

	roll_back(store);
	for (i = 0; i < ARCHIVE_KINDS; i++)
		if (store->fd[i] != -1 &&
		    store_state(store)->file[i].records > 0) {
			store_rotate(store);
			break;
		}
}

/* Puts the state in force and tells the gate. */
static void
commit_state(struct store *store)
{
	archive_commit(store->domain);
	/* Partner: the acquire in the gate of ingest.c: what lies before this
	 * position has been read. */
	atomic_store_explicit(&store->segment->state->archive_position,
	    store_state(store)->position, memory_order_release);
}

void
store_skip(struct store *store, const struct transaction *t)
{
	struct archive_state *state = archive_begin(store->domain);

	state->position = t->first_position;
	state->sequence += t->shed;
	state->counts.archive_shed += t->shed;
	commit_state(store);
}

static void
extend(struct archive_file *file, const struct span *span)
{
	if (span->datagrams == 0)
		return;
	if (file->datagrams == 0) {
		file->begins = span->begins;
		file->first_received_ns = span->first_received_ns;
	}
	file->datagrams += span->datagrams;
	file->payload += span->bytes;
	file->ends = span->ends;
	file->last_received_ns = span->last_received_ns;
}

static void
commit(struct store *store, const struct transaction *t)
{
	struct archive_state *state = archive_begin(store->domain);
	unsigned i;

	for (i = 0; i < ARCHIVE_KINDS; i++) {
		state->file[i].size += store->added[i].size;
		state->file[i].records += store->added[i].records;
		extend(&state->file[i], &t->span[i]);
		store->dirty[i] |= store->added[i].size > 0;
	}
	memset(store->added, 0, sizeof(store->added));
	state->position = t->position;
	state->sequence = t->sequence;
	state->counts.archived += t->archived;
	state->counts.archived_bytes += t->archived_bytes;
	state->counts.rejected += t->rejected;
	for (i = 0; i < DATUM_ERRORS; i++)
		state->counts.rejected_by[i] += t->rejected_by[i];
	state->counts.archive_shed += t->shed;
	commit_state(store);
}

static bool
has_added(const struct store *store)
{
	return store->added[ARCHIVE_MAIN].size +
	    store->added[ARCHIVE_REJECTED].size > 0;
}

enum store_result
store_add(struct store *store, struct block *block[static ARCHIVE_KINDS],
    struct transaction *t)
{
	uint64_t first = store_state(store)->sequence + t->shed;
	struct addition then[ARCHIVE_KINDS];
	unsigned i;

	if (!has_added(store))
		store_look(store);
	memcpy(then, store->added, sizeof(then));
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		if (add_block(store, i, block[i], first) == -1) {
			write_failed(store);
			return STORE_FAILED;
		}
	}
	/* It was read from the ring: was that still what we validated? */
	if (t->loose &&
	    !ring_intact(&store->segment->ring, t->loose_position)) {
		if (unadd(store, then) == 0)
			return STORE_TORN;
		write_failed(store);
		return STORE_FAILED;
	}
	t->loose = false;
	return STORE_DONE;
}

bool
store_wants_more(const struct store *store)
{
	const struct archive_file *file;
	uint64_t limit = store->segment->config->archive.rotate_size;
	uint64_t added = 0;
	unsigned i;

	for (i = 0; i < ARCHIVE_KINDS; i++) {
		file = &store_state(store)->file[i];
		if (store->added[i].size == 0)
			continue;
		added += store->added[i].size;
		if (added >= store->writer[i].ops->worth || (limit > 0 &&
		    file->size + store->added[i].size >= limit))
			return false;
	}
	/* The ring must not wait for it. */
	return added < store->segment->ring.size / 8;
}

enum store_result
store_commit(struct store *store, const struct transaction *t)
{
	char name[FILE_NAME_SIZE];
	unsigned i;

	for (i = 0; i < ARCHIVE_KINDS; i++) {
		if (store->added[i].size == 0 ||
		    writer_flush(&store->writer[i]) == 0)
			continue;
		store_name(store, i, &store_state(store)->file[i], name);
		store_failed(store, "write", name);
		write_failed(store);
		return STORE_FAILED;
	}
	commit(store, t);
	store_works(store);
	return STORE_DONE;
}

static void
collect_finish(struct store *store, enum archive_kind kind)
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
		keeper_ask(&store->keeper);
		return;
	}
	store_count_error(store);
	log_warnx("cannot finish %s/%s: %s; it stays there as %s.part, to be "
	    "tried again", store->segment->config->archive.directory, name,
	    strerror(error), name);
	keeper_leave(&store->keeper, name, kind, &file);
}

/* What a disk has lost of files that are finished is shed after all. */
static void
collect_loss(struct store *store, enum archive_kind kind)
{
	struct keeper_loss loss = keeper_collect(&store->keeper, kind);

	if (loss.datagrams == 0)
		return;
	store_count_loss(store, kind, loss.datagrams, loss.payload);
	log_warnx("the disk has lost %" PRIu64 " datagrams that were "
	    "archived: counted in archive_shed", loss.datagrams);
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
		commit_state(store);
	}
	roll_back(store);
	store_rotate(store);
}

static bool
collect_sync(struct store *store)
{
	char name[FILE_NAME_SIZE];
	bool good = true;
	unsigned i;
	int error;

	if (store->syncing == 0)
		return false;
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		if (!closer_collect(&store->closer, i, CLOSER_SYNC, &error))
			continue;
		store->syncing &= ~(1U << i);
		if (error == 0)
			continue;
		good = false;
		store_name(store, i, &store_state(store)->file[i], name);
		errno = error;
		store_failed(store, "sync", name);
	}
	if (!good)
		take_back(store);
	else if (store->syncing == 0 && store->mark_good) {
		store->durable = store->mark;
		store->durable_known = true;
	}
	return !good;
}

bool
store_collect(struct store *store)
{
	unsigned i;

	for (i = 0; i < ARCHIVE_KINDS; i++) {
		collect_finish(store, i);
		collect_loss(store, i);
	}
	return collect_sync(store);
}

void
store_sync(struct store *store)
{
	unsigned i;

	if (store->syncing != 0)
		return;		/* the last round is under way */
	store->mark = *store_state(store);
	store->mark_good = true;
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		if (store->fd[i] == -1 || !store->dirty[i] ||
		    !closer_sync(&store->closer, i, store->fd[i],
		    store->fresh[i]))
			continue;
		store->dirty[i] = store->fresh[i] = false;
		store->syncing |= 1U << i;
	}
}

bool
store_dirty(const struct store *store)
{
	return store->dirty[ARCHIVE_MAIN] || store->dirty[ARCHIVE_REJECTED];
}

/* Gives the file in `closing' to the closer; `fd' -1: has its name already. */
static void
submit_finish(struct store *store, enum archive_kind kind, int fd)
{
	const struct archive_state *state = store_state(store);
	const struct archive_file *file = &state->closing[kind];
	char name[FILE_NAME_SIZE], line[CATALOG_LINE_SIZE];

	store_name(store, kind, file, name);
	catalog_line(line, name, kind, store->segment->config->archive.codec,
	    file, state->lost_known[kind] ? &state->lost[kind] : NULL);
	closer_finish(&store->closer, kind, fd, name, file->size, line);
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
	collect_finish(store, kind);
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
	writer_close(&store->writer[kind]);
	store->fd[kind] = -1;
	store->dirty[kind] = false;
	store->durable_known = store->mark_good = false;
	submit_finish(store, kind, fd);
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

void
store_follow_clock(struct store *store, uint64_t now_ns)
{
	uint64_t *from;
	unsigned i;

	for (i = 0; i < ARCHIVE_KINDS; i++) {
		from = &store->rotate_from_ns[i];
		if (store->fd[i] == -1 || now_ns + NS_PER_S > *from)
			continue;
		log_warnx("the clock was set back by %.0f s: the open file "
		    "ends at the next rotation by the new time",
		    (double)(*from - now_ns) / (double)NS_PER_S);
		*from = now_ns;
	}
}

/* A predecessor was finishing this file: the rename may have happened. */
static void
resume_closing(struct store *store, enum archive_kind kind)
{
	const struct archive_file *file = &store_state(store)->closing[kind];
	char name[FILE_NAME_SIZE];
	int fd;

	if (file->phase == FILE_NONE)
		return;
	store_name(store, kind, file, name);
	fd = file_reopen(store->directory, name, file->size);
	if (fd != -1 || faccessat(store->directory, name, F_OK, 0) == 0) {
		submit_finish(store, kind, fd);
		return;
	}
	store_count_error(store);
	log_warn("%s.part, being finished by my predecessor", name);
	archive_begin(store->domain)->closing[kind].phase = FILE_NONE;
	archive_commit(store->domain);
}

static void
resume_file(struct store *store, enum archive_kind kind)
{
	const struct archive_file *file = &store_state(store)->file[kind];
	char name[FILE_NAME_SIZE];

	/* FILE_CREATING is resumed when there is something to write. */
	if (file->phase != FILE_OPEN)
		return;
	store_name(store, kind, file, name);
	store->fd[kind] = file_reopen(store->directory, name, file->size);
	if (store->fd[kind] != -1) {
		store_begin_writing(store, kind);
		store->dirty[kind] = store->fresh[kind] = true;
		return;
	}
	if (file->records > 0) {
		store_count_error(store);
		log_warn("%s.part, left open by my predecessor: going on in a "
		    "new file", name);
	}
	archive_begin(store->domain)->file[kind].phase = FILE_NONE;
	archive_commit(store->domain);
}

/* From the name, so that it stays: hundreds of channels must not finish their
 * files in the same instant. */
static uint64_t
rotate_offset(const struct channel_config *config)
{
	uint64_t range = MIN_OF(config->archive.rotate_interval_ns /
	    ROTATE_SPREAD, ROTATE_OFFSET_MAX_NS);

	return (range >> 8) * hash_text32(config->name) >> 24;
}

void
store_open(struct store *store, const struct segment *segment, int directory,
    int wake)
{
	unsigned i;

	memset(store, 0, sizeof(*store));
	store->segment = segment;
	store->domain = &segment->state->archive;
	store->directory = directory;
	store->rotate_offset_ns = rotate_offset(segment->config);
	catalog_open(&store->catalog, directory);
	/* Before a file is opened that the keeper must not touch. */
	keeper_start(&store->keeper, segment->config, directory,
	    &store->catalog, store_state(store), wake);
	closer_start(&store->closer, directory, &store->catalog, wake);
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		store->fd[i] = -1;
		resume_closing(store, i);
		resume_file(store, i);
	}
}

void
store_close(struct store *store)
{
	unsigned i;

	store_rotate(store);
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		closer_wait(&store->closer, i, CLOSER_SYNC);
		closer_wait(&store->closer, i, CLOSER_FINISH);
	}
	(void)store_collect(store);
	closer_stop(&store->closer);
	keeper_stop(&store->keeper);
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		writer_free(&store->writer[i]);
		collect_loss(store, i);
	}
	keeper_done(&store->keeper);
	catalog_close(&store->catalog);
}
