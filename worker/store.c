/* SPDX-License-Identifier: ISC */
/*
 * The open files of a channel's archive and what of them is committed.
 * Worker, archive thread only (the closer thread does the slow ends).  Must
 * not hold up the relay, nor lose a record that the ring still has.
 */
#include <sys/random.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "worker/file.h"
#include "worker/store.h"

/* On the disk ahead of what is written. */
#define RESERVE_STEP		(UINT64_C(16) << 20)
/* Channels rotate within so much of the interval, but not later than that. */
#define ROTATE_SPREAD		10
#define ROTATE_OFFSET_MAX_NS	(10 * NS_PER_S)

static const char *
channel(const struct store *store)
{
	return store->segment->config->name;
}

static const struct archive_state *
current(const struct store *store)
{
	return archive_current(store->domain);
}

static void
name_of(const struct store *store, enum archive_stream stream,
    const struct archive_file *file, char name[static FILE_NAME_SIZE])
{
	file_name(name, channel(store), stream, file);
}

static void
count_error(struct store *store)
{
	archive_begin(store->domain)->archive_errors++;
	archive_commit(store->domain);
}

/* One line when it begins; store_commit() says when it ends. */
static void
failed(struct store *store, const char *what, const char *name)
{
	int error = errno;

	count_error(store);
	if (error == ENOSPC || error == EDQUOT)
		keeper_ask(&store->keeper);
	if (store->failing)
		return;
	store->failing = true;
	store->shed_before = current(store)->archive_shed;
	log_warnx("cannot %s %s/%s: %s; the relay goes on, the archive tries "
	    "again until it works, and counts in archive_shed what the ring "
	    "cannot hold so long", what,
	    store->segment->config->archive.directory, name, strerror(error));
}

static void
works_again(struct store *store)
{
	if (!store->failing)
		return;
	store->failing = false;
	log_info("the archive works again; %" PRIu64 " datagrams were shed",
	    current(store)->archive_shed - store->shed_before);
}

static uint8_t *
make_header(const struct store *store, enum archive_stream stream,
    const struct archive_file *file, size_t *size)
{
	const struct segment *segment = store->segment;
	bool verbatim = stream == ARCHIVE_MAIN && segment->schema != NULL &&
	    !segment->config->archive.envelope;
	char first[24], started[UTC_TEXT_SIZE], host[256] = "";
	const struct container_meta meta[] = {
		{ "mcrelay.channel", segment->config->name },
		{ "mcrelay.host", host },
		{ "mcrelay.clock", "CLOCK_REALTIME, kernel software" },
		{ "mcrelay.version", PACKAGE_VERSION },
		{ "mcrelay.first_sequence", first },
		{ "mcrelay.started", started },
		{ NULL, NULL },
	};

	gethostname(host, sizeof(host) - 1);
	snprintf(first, sizeof(first), "%" PRIu64, file->first_sequence);
	format_utc(file->started_ns, started);
	return container_header(
	    verbatim ? segment->schema : container_datagram_schema,
	    verbatim ? segment->schema_size : strlen(container_datagram_schema),
	    codec_name(segment->config->archive.codec), meta, file->sync,
	    size);
}

/* Names the new file in the segment before it exists in the directory. */
static void
announce_file(struct store *store, enum archive_stream stream,
    uint64_t first_sequence, uint64_t started_ns)
{
	struct archive_file *file = &archive_begin(store->domain)->file[stream];

	memset(file, 0, sizeof(*file));
	file->phase = FILE_CREATING;
	file->first_sequence = first_sequence;
	file->started_ns = started_ns;
	if (getrandom(file->sync, sizeof(file->sync), 0) !=
	    sizeof(file->sync))
		fatal("getrandom");
	archive_commit(store->domain);
}

static int
create(struct store *store, enum archive_stream stream,
    uint64_t first_sequence, char name[static FILE_NAME_SIZE])
{
	const struct archive_file *file = &current(store)->file[stream];
	bool again = file->phase == FILE_CREATING;
	uint64_t started_ns = clock_realtime_ns();
	int fd;

	if (!again)
		announce_file(store, stream, first_sequence, started_ns);
	for (;;) {
		name_of(store, stream, &current(store)->file[stream], name);
		fd = file_create(store->directory, name, again);
		if (fd != -1 || errno != EEXIST)
			return fd;
		/* Somebody else's file: ours begins a microsecond later. */
		again = false;
		started_ns += NS_PER_US;
		announce_file(store, stream, first_sequence, started_ns);
	}
}

static int
open_file(struct store *store, enum archive_stream stream,
    uint64_t first_sequence)
{
	char name[FILE_NAME_SIZE];
	struct archive_file *file;
	struct iovec iov;
	uint8_t *header;
	size_t size;
	int fd, result;

	fd = create(store, stream, first_sequence, name);
	if (fd == -1) {
		failed(store, "create", name);
		return -1;
	}
	header = make_header(store, stream, &current(store)->file[stream],
	    &size);
	iov = (struct iovec){header, size};
	result = file_write(fd, &iov, 1, 0);
	free(header);
	if (result == -1) {
		failed(store, "write", name);
		close(fd);
		return -1;
	}
	file = &archive_begin(store->domain)->file[stream];
	file->phase = FILE_OPEN;
	file->size = size;
	archive_commit(store->domain);
	store->fd[stream] = fd;
	store->reserved[stream] = 0;
	log_debug("archiving to %s.part", name);
	return 0;
}

/* Gives up a file whose end cannot be cut off: recovery will do it. */
static void
abandon(struct store *store, enum archive_stream stream)
{
	close(store->fd[stream]);
	store->fd[stream] = -1;
	store->dirty[stream] = false;
	archive_begin(store->domain)->file[stream].phase = FILE_NONE;
	archive_commit(store->domain);
}

/* Cuts off what was written behind the committed sizes. */
static void
roll_back(struct store *store)
{
	unsigned i;

	for (i = 0; i < ARCHIVE_STREAMS; i++)
		if (store->fd[i] != -1 && ftruncate(store->fd[i],
		    (off_t)current(store)->file[i].size) == -1)
			abandon(store, i);
}

/* Keeps room on the disk for what comes next, and the file in one piece.  The
 * size stays: nobody sees zeros.  Where that is not possible, or nothing is
 * left, the write itself will tell. */
static void
reserve(struct store *store, enum archive_stream stream, uint64_t end)
{
	uint64_t limit = store->segment->config->archive.rotate_size;
	uint64_t step = limit == 0 ? RESERVE_STEP :
	    MIN_OF(limit, RESERVE_STEP);

	if (end <= store->reserved[stream])
		return;
	if (fallocate(store->fd[stream], FALLOC_FL_KEEP_SIZE,
	    (off_t)(end - end % step), (off_t)step) == 0)
		store->reserved[stream] = end - end % step + step;
	else
		store->reserved[stream] = UINT64_MAX;
}

static int
write_block(struct store *store, enum archive_stream stream,
    struct block *block, uint64_t first_sequence, size_t *size)
{
	const struct archive_file *file;
	char name[FILE_NAME_SIZE];
	struct iovec *iov;
	unsigned count;

	*size = 0;
	if (block->records == 0)
		return 0;
	if (store->fd[stream] == -1 &&
	    open_file(store, stream, first_sequence) == -1)
		return -1;
	file = &current(store)->file[stream];
	count = block_finish(block, file->sync, &iov, size);
	reserve(store, stream, file->size + *size);
	if (file_write(store->fd[stream], iov, count, file->size) == 0)
		return 0;
	name_of(store, stream, file, name);
	failed(store, "write", name);
	return -1;
}

/* Recording goes on in new files; those that hold records are finished. */
static void
write_failed(struct store *store)
{
	unsigned i;

	roll_back(store);
	for (i = 0; i < ARCHIVE_STREAMS; i++)
		if (store->fd[i] != -1 && current(store)->file[i].records > 0) {
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
	    current(store)->position, memory_order_release);
}

void
store_skip(struct store *store, const struct transaction *t)
{
	struct archive_state *state = archive_begin(store->domain);

	state->position = t->first_position;
	state->sequence += t->shed;
	state->archive_shed += t->shed;
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
	file->ends = span->ends;
	file->last_received_ns = span->last_received_ns;
}

static void
commit(struct store *store, struct block *block[static ARCHIVE_STREAMS],
    const struct transaction *t, const size_t size[static ARCHIVE_STREAMS])
{
	struct archive_state *state = archive_begin(store->domain);
	unsigned i;

	for (i = 0; i < ARCHIVE_STREAMS; i++) {
		state->file[i].size += size[i];
		state->file[i].records += block[i]->records;
		extend(&state->file[i], &t->span[i]);
		store->dirty[i] |= size[i] > 0;
	}
	state->position = t->position;
	state->sequence = t->sequence;
	state->archived += t->archived;
	state->archived_bytes += t->archived_bytes;
	state->rejected += t->rejected;
	for (i = 0; i < DATUM_ERRORS; i++)
		state->rejected_by[i] += t->rejected_by[i];
	state->archive_shed += t->shed;
	commit_state(store);
}

enum store_result
store_commit(struct store *store,
    struct block *block[static ARCHIVE_STREAMS], const struct transaction *t)
{
	uint64_t first = current(store)->sequence + t->shed;
	size_t size[ARCHIVE_STREAMS];
	unsigned i;

	for (i = 0; i < ARCHIVE_STREAMS; i++) {
		if (write_block(store, i, block[i], first, &size[i]) == -1) {
			write_failed(store);
			return STORE_FAILED;
		}
	}
	/* The kernel has read the ring: was it still what we validated? */
	if (!t->detached &&
	    !ring_intact(&store->segment->ring, t->first_position)) {
		roll_back(store);
		return STORE_TORN;
	}
	commit(store, block, t, size);
	works_again(store);
	return STORE_DONE;
}

static void
collect_finish(struct store *store, enum archive_stream stream)
{
	char name[FILE_NAME_SIZE];
	int error;

	if (!closer_collect(&store->closer, stream, CLOSER_FINISH, &error))
		return;
	name_of(store, stream, &current(store)->closing[stream], name);
	archive_begin(store->domain)->closing[stream].phase = FILE_NONE;
	archive_commit(store->domain);
	if (error == 0) {
		log_debug("finished %s", name);
		keeper_ask(&store->keeper);
		return;
	}
	count_error(store);
	log_warnx("cannot finish %s/%s: %s; it stays there as %s.part",
	    store->segment->config->archive.directory, name, strerror(error),
	    name);
}

void
store_collect(struct store *store)
{
	unsigned i;
	int error;

	for (i = 0; i < ARCHIVE_STREAMS; i++) {
		collect_finish(store, i);
		if (!closer_collect(&store->closer, i, CLOSER_SYNC, &error) ||
		    error == 0)
			continue;
		count_error(store);
		log_warnx("cannot sync the archive in %s: %s",
		    store->segment->config->archive.directory,
		    strerror(error));
	}
}

void
store_sync(struct store *store)
{
	unsigned i;

	for (i = 0; i < ARCHIVE_STREAMS; i++)
		if (store->fd[i] != -1 && store->dirty[i] &&
		    closer_sync(&store->closer, i, store->fd[i]))
			store->dirty[i] = false;
}

bool
store_dirty(const struct store *store)
{
	return store->dirty[ARCHIVE_MAIN] || store->dirty[ARCHIVE_REJECTED];
}

/* A file without records is no use to anybody. */
static void
discard(struct store *store, enum archive_stream stream)
{
	char name[FILE_NAME_SIZE], part[FILE_NAME_SIZE + 8];

	name_of(store, stream, &current(store)->file[stream], name);
	snprintf(part, sizeof(part), "%s.part", name);
	unlinkat(store->directory, part, 0);
	abandon(store, stream);
}

/* Gives the file in `closing' to the closer; `fd' -1: has its name already. */
static void
submit_finish(struct store *store, enum archive_stream stream, int fd)
{
	const struct archive_file *file = &current(store)->closing[stream];
	char name[FILE_NAME_SIZE], line[CATALOG_LINE_SIZE];

	name_of(store, stream, file, name);
	catalog_line(line, name, stream, store->segment->config->archive.codec,
	    file, &current(store)->lost[stream]);
	closer_finish(&store->closer, stream, fd, name, file->size, line);
}

/* Moves the stream's file to `closing' and hands it to the closer. */
static void
finish(struct store *store, enum archive_stream stream)
{
	struct archive_state *state;
	struct ledger ledger;
	int fd = store->fd[stream];

	closer_wait(&store->closer, stream, CLOSER_FINISH);
	collect_finish(store, stream);
	segment_ledger(store->segment, &ledger, NULL);
	state = archive_begin(store->domain);
	state->closing[stream] = state->file[stream];
	state->file[stream].phase = FILE_NONE;
	state->lost[stream] = ledger;
	ledger_subtract(&state->lost[stream], &state->told[stream]);
	state->told[stream] = ledger;
	archive_commit(store->domain);
	store->fd[stream] = -1;
	store->dirty[stream] = false;
	submit_finish(store, stream, fd);
}

void
store_rotate(struct store *store)
{
	unsigned i;

	for (i = 0; i < ARCHIVE_STREAMS; i++) {
		if (store->fd[i] == -1)
			continue;
		if (current(store)->file[i].records > 0)
			finish(store, i);
		else
			discard(store, i);
	}
}

static uint64_t
file_rotate_at(const struct store *store, const struct archive_file *file)
{
	const struct channel_config *config = store->segment->config;
	uint64_t interval = config->archive.rotate_interval_ns;

	if (config->archive.rotate_size > 0 &&
	    file->size >= config->archive.rotate_size)
		return 0;
	if (interval == 0)
		return UINT64_MAX;
	return ((file->started_ns - store->rotate_offset_ns) / interval + 1) *
	    interval + store->rotate_offset_ns;
}

uint64_t
store_rotate_at(const struct store *store)
{
	uint64_t at = UINT64_MAX;
	unsigned i;

	for (i = 0; i < ARCHIVE_STREAMS; i++)
		if (store->fd[i] != -1)
			at = MIN_OF(at, file_rotate_at(store,
			    &current(store)->file[i]));
	return at;
}

/* A predecessor was finishing this file: the rename may have happened. */
static void
resume_closing(struct store *store, enum archive_stream stream)
{
	const struct archive_file *file = &current(store)->closing[stream];
	char name[FILE_NAME_SIZE];
	int fd;

	if (file->phase == FILE_NONE)
		return;
	name_of(store, stream, file, name);
	fd = file_reopen(store->directory, name, file->size);
	if (fd != -1 || faccessat(store->directory, name, F_OK, 0) == 0) {
		submit_finish(store, stream, fd);
		return;
	}
	count_error(store);
	log_warn("%s.part, being finished by my predecessor", name);
	archive_begin(store->domain)->closing[stream].phase = FILE_NONE;
	archive_commit(store->domain);
}

static void
resume_file(struct store *store, enum archive_stream stream)
{
	const struct archive_file *file = &current(store)->file[stream];
	char name[FILE_NAME_SIZE];

	/* FILE_CREATING is resumed when there is something to write. */
	if (file->phase != FILE_OPEN)
		return;
	name_of(store, stream, file, name);
	store->fd[stream] = file_reopen(store->directory, name, file->size);
	if (store->fd[stream] != -1) {
		store->dirty[stream] = true;
		return;
	}
	if (file->records > 0) {
		count_error(store);
		log_warn("%s.part, left open by my predecessor: going on in a "
		    "new file", name);
	}
	archive_begin(store->domain)->file[stream].phase = FILE_NONE;
	archive_commit(store->domain);
}

/* From the name, so that it stays: hundreds of channels must not finish their
 * files in the same instant. */
static uint64_t
rotate_offset(const struct channel_config *config)
{
	uint64_t range = MIN_OF(config->archive.rotate_interval_ns /
	    ROTATE_SPREAD, ROTATE_OFFSET_MAX_NS);
	const char *p;
	uint32_t hash = 2166136261U;	/* FNV-1a */

	for (p = config->name; *p != '\0'; p++)
		hash = (hash ^ (uint8_t)*p) * 16777619U;
	return (range >> 8) * hash >> 24;
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
	    &store->catalog, current(store));
	closer_start(&store->closer, directory, &store->catalog, wake);
	for (i = 0; i < ARCHIVE_STREAMS; i++) {
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
	for (i = 0; i < ARCHIVE_STREAMS; i++)
		closer_wait(&store->closer, i, CLOSER_FINISH);
	closer_stop(&store->closer);
	keeper_stop(&store->keeper);
	catalog_close(&store->catalog);
	store_collect(store);
}
