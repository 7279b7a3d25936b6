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
#include "worker/archive/store_priv.h"

/* Channels rotate within so much of the interval, but not later than that. */
#define ROTATE_SPREAD		10
#define ROTATE_OFFSET_MAX_NS	(10 * NS_PER_S)

void
store_roll_back(struct store *store)
{
	uint64_t size;
	unsigned i;

	store->pending = store->marked = false;
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
    struct block *block, const struct span *span)
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
	    file->first_sequence != span->begins)
		store_discard(store, kind);
	if (store->fd[kind] == -1 &&
	    store_open_file(store, kind, span) == -1)
		return -1;
	file = &store_state(store)->file[kind];
	count = block_finish(block, file->sync, &iov, &size);
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

	/* Before sizes are set. */
	store_look(store);
	store_roll_back(store);
	for (i = 0; i < ARCHIVE_KINDS; i++)
		if (store->fd[i] != -1 &&
		    store_state(store)->file[i].records > 0) {
			store_rotate(store);
			break;
		}
}

void
store_commit_state(struct store *store)
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
	store_commit_state(store);
}

void
store_give_up(struct store *store, uint64_t position, const struct span *lost)
{
	struct archive_state *state = archive_begin(store->domain);

	state->position = position;
	state->sequence += lost->datagrams;
	state->counts.archive_shed += lost->datagrams;
	store_commit_state(store);
	if (store->given_up.datagrams == 0)
		store->given_up = *lost;
	else {
		store->given_up.datagrams += lost->datagrams;
		store->given_up.ends = lost->ends;
		store->given_up.last_received_ns = lost->last_received_ns;
	}
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
commit(struct store *store)
{
	const struct transaction *t = &store->transaction;
	struct archive_state *state = archive_begin(store->domain);
	unsigned i;

	for (i = 0; i < ARCHIVE_KINDS; i++) {
		state->file[i].size += store->added[i].size;
		state->file[i].records += store->added[i].records;
		state->file[i].write = store->writer[i].way;
		extend(&state->file[i], &t->span[i]);
		store->dirty[i] |= store->added[i].size > 0;
	}
	store->pending = false;
	memset(store->added, 0, sizeof(store->added));
	state->position = t->position;
	state->sequence = t->sequence;
	state->counts.archived += t->archived;
	state->counts.archived_bytes += t->archived_bytes;
	state->counts.rejected += t->rejected;
	for (i = 0; i < DATUM_ERRORS; i++)
		state->counts.rejected_by[i] += t->rejected_by[i];
	state->counts.archive_shed += t->shed;
	state->counts.archive_paused += t->paused;
	store_commit_state(store);
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
	struct addition then[ARCHIVE_KINDS];
	unsigned i;

	if (!has_added(store))
		store_look(store);
	memcpy(then, store->added, sizeof(then));
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		if (add_block(store, i, block[i], &t->span[i]) == -1) {
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
	store->transaction = *t;
	store->pending = true;
	return STORE_DONE;
}

bool
store_is_full(const struct store *store, enum archive_kind kind)
{
	uint64_t limit = store->segment->config->archive.rotate_size;

	return limit > 0 && store->added[kind].size > 0 &&
	    store_state(store)->file[kind].size + store->added[kind].size >=
	    limit;
}

bool
store_wants_more(const struct store *store)
{
	uint64_t added = 0;
	unsigned i;

	/* Less may find room where more has not. */
	if (store->failing)
		return false;
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		if (store->added[i].size == 0)
			continue;
		added += store->added[i].size;
		if (added >= store->writer[i].ops->worth ||
		    store_is_full(store, i))
			return false;
	}
	/* The ring must not wait for it. */
	return added < store->segment->ring.size / 8;
}

int
store_commit(struct store *store, bool sync)
{
	char name[FILE_NAME_SIZE];
	unsigned i;

	(void)store_push(store, sync);
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		if (store->added[i].size == 0 ||
		    writer_flush(&store->writer[i]) == 0)
			continue;
		store_name(store, i, &store_state(store)->file[i], name);
		store_failed(store, "write", name);
		write_failed(store);
		return -1;
	}
	commit(store);
	if (store->marked)
		store_sync_committed(store);
	store->marked = false;
	store_works(store);
	return 0;
}

bool
store_collect(struct store *store)
{
	unsigned i;

	for (i = 0; i < ARCHIVE_KINDS; i++) {
		store_collect_finish(store, i);
		store_collect_loss(store, i);
	}
	return store_collect_sync(store);
}

static void
resume_file(struct store *store, enum archive_kind kind)
{
	const struct archive_file file = store_state(store)->file[kind];
	char name[FILE_NAME_SIZE];
	bool cut;

	/* FILE_CREATING is resumed when there is something to write. */
	if (file.phase != FILE_OPEN)
		return;
	store_name(store, kind, &file, name);
	store->fd[kind] = file_reopen(store->directory, name, file.size);
	if (store->fd[kind] != -1) {
		store_begin_writing(store, kind);
		store->dirty[kind] = store->fresh[kind] = true;
		return;
	}
	cut = errno == ENODATA;
	if (file.records > 0) {
		store_count_error(store);
		log_warn("%s.part, left open by my predecessor: going on in a "
		    "new file", name);
		if (cut)
			keeper_leave(&store->keeper, name, kind, &file,
			    true);
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
    struct duty *client, struct crew *crew, struct disk_ring *ring)
{
	unsigned i;

	memset(store, 0, sizeof(*store));
	store->segment = segment;
	store->domain = &segment->state->archive;
	store->directory = directory;
	store->rotate_offset_ns = rotate_offset(segment->config);
	catalog_open(&store->catalog, directory, &segment->state->finished);
	/* Before a file is opened that the keeper must not touch. */
	keeper_start(&store->keeper, segment->config, directory,
	    &store->catalog, store_state(store),
	    &store->segment->state->room, client, crew);
	catalog_reserve(&store->catalog);
	closer_start(&store->closer, directory, &store->catalog, client,
	    crew);
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		store->fd[i] = -1;
		store->writer[i].ring = ring;
		store->writer[i].lane = i;
		store->writer[i].client = client;
		store_resume_closing(store, i);
		resume_file(store, i);
	}
}

void
store_close(struct store *store)
{
	unsigned i;

	store_rotate(store);
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		store_forget_created(store, i);
		closer_wait(&store->closer, i, CLOSER_SYNC);
		closer_wait(&store->closer, i, CLOSER_FINISH);
	}
	(void)store_collect(store);
	closer_stop(&store->closer);
	if (store->given_up.datagrams > 0)
		store_note_loss(store, &store->given_up);
	keeper_stop(&store->keeper);
	for (i = 0; i < ARCHIVE_KINDS; i++) {
		writer_free(&store->writer[i]);
		store_collect_loss(store, i);
	}
	keeper_done(&store->keeper);
	catalog_close(&store->catalog);
}
