/* SPDX-License-Identifier: ISC */
/*
 * The files that a store has open, and what befalls them.  Worker, archive
 * thread only.  Must not commit records: that is store.c.
 */
#include <sys/random.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "worker/archive/recycle.h"
#include "worker/archive/store_priv.h"
#include "worker/archive/synced.h"

/* One may be on its way. */
#define TRUSTED_AFTER	2U

static const char *
channel(const struct store *store)
{
	return store->segment->config->name;
}

const struct archive_state *
store_state(const struct store *store)
{
	return archive_current(store->domain);
}

void
store_name(const struct store *store, enum archive_kind kind,
    const struct archive_file *file, char name[static FILE_NAME_SIZE])
{
	file_name(name, channel(store), kind, file);
}

void
store_count_error(struct store *store)
{
	archive_begin(store->domain)->counts.archive_errors++;
	archive_commit(store->domain);
}

void
store_failed(struct store *store, const char *what, const char *name)
{
	int error = errno;

	store_count_error(store);
	if (error == ENOSPC || error == EDQUOT)
		keeper_ask(&store->keeper);
	if (error == ENOENT || error == ESTALE)
		atomic_store_explicit(
		    &store->segment->state->directory_gone, 1,
		    memory_order_relaxed);
	if (store->failing)
		return;
	store->failing = true;
	store->shed_before = store_state(store)->counts.archive_shed;
	log_warnx("cannot %s %s%s%s: %s; the relay goes on, the archive tries "
	    "again until it works, and counts in archive_shed what the ring "
	    "cannot hold so long", what,
	    store->segment->config->archive.directory,
	    name[0] != '\0' ? "/" : "", name, strerror(error));
}

void
store_distrust(struct store *store)
{
	if (store->distrust == 0 &&
	    store->segment->config->archive.recycle > 0)
		log_info("no file is written again before %u have been "
		    "finished without an error", TRUSTED_AFTER);
	store->distrust = TRUSTED_AFTER;
}

void
store_works(struct store *store)
{
	if (!store->failing)
		return;
	store->failing = false;
	/* Fewer than before: what had been shed was stored after all. */
	log_info("the archive works again; %" PRId64 " datagrams were shed",
	    MAX_OF((int64_t)0, counter_change(
	    store_state(store)->counts.archive_shed, store->shed_before)));
}

/* The address and port that datagrams are sent to; false: there is none, or
 * not one for all. */
static bool
listen_text(const struct segment *segment, char text[static ADDRESS_TEXT_SIZE])
{
	const struct sockaddr *address = (const void *)
	    &segment->input[0].address;
	const char *colon;

	if (address->sa_family == AF_UNSPEC || segment->inputs > 1)
		return false;
	format_address(address, text);
	colon = strrchr(text, ':');
	return colon != NULL && strcmp(colon, ":0") != 0;
}

static uint8_t *
make_header(const struct store *store, enum archive_kind kind,
    const struct archive_file *file, bool recycled, size_t *size)
{
	const struct segment *segment = store->segment;
	const char *datagrams = segment->inputs > 1 ?
	    container_destination_schema : container_datagram_schema;
	bool verbatim = kind == ARCHIVE_MAIN && segment->schema != NULL &&
	    !segment->config->archive.envelope;
	char first[24], started[UTC_TEXT_SIZE], host[256] = "";
	char listen[ADDRESS_TEXT_SIZE];
	const struct container_meta meta[] = {
		{ ARCHIVE_SYNCED_KEY, SYNCED_NOTHING },
		{ SYNCED_BOOT_KEY, synced_boot() },
		{ ARCHIVE_WRITE_KEY, archive_write_name(
		    segment->config->archive.write) },
		{ "mcrelay.channel", segment->config->name },
		{ "mcrelay.host", host },
		{ "mcrelay.clock", "CLOCK_REALTIME, kernel software" },
		{ "mcrelay.version", PACKAGE_VERSION },
		{ "mcrelay.first_sequence", first },
		{ "mcrelay.started", started },
		/* Of a decimated stream nothing was listened to. */
		{ listen_text(segment, listen) ? "mcrelay.listen" :
		    NULL, listen },
		{ NULL, NULL },
	};

	gethostname(host, sizeof(host) - 1);
	snprintf(first, sizeof(first), "%" PRIu64, file->first_sequence);
	format_utc(file->started_ns, started);
	return container_header(
	    verbatim ? segment->schema : datagrams,
	    verbatim ? segment->schema_size : strlen(datagrams),
	    codec_name(segment->config->archive.codec),
	    recycled || writer_notes(segment->config->archive.write) ? meta :
	    meta + 3, file->sync, size);
}

/* Names the new file in the segment before it exists in the directory. */
static void
announce_file(struct store *store, enum archive_kind kind,
    uint64_t first_sequence, uint64_t started_ns)
{
	struct archive_file *file = &archive_begin(store->domain)->file[kind];

	memset(file, 0, sizeof(*file));
	file->phase = FILE_CREATING;
	file->first_sequence = first_sequence;
	file->started_ns = started_ns;
	if (getrandom(file->sync, sizeof(file->sync), 0) !=
	    sizeof(file->sync))
		fatal("getrandom");
	archive_commit(store->domain);
}

static void
remove_part(const struct store *store, enum archive_kind kind)
{
	char name[FILE_NAME_SIZE], part[FILE_NAME_SIZE + 8];

	store_name(store, kind, &store_state(store)->file[kind], name);
	snprintf(part, sizeof(part), "%s" FILE_PART, name);
	file_remove(store->directory, part);
}

/* -1: there is none. */
static int
take_spare(const struct store *store, enum archive_kind kind,
    const char *name)
{
	const struct channel_config *config = store->segment->config;

	if (kind != ARCHIVE_MAIN || store->distrust > 0)
		return -1;
	return recycle_take(store->directory, config->name, name,
	    (unsigned)config->archive.recycle);
}

/* Of a descriptor that is new: whether an old file is under it. */
static int
create(struct store *store, enum archive_kind kind,
    const struct span *span, char name[static FILE_NAME_SIZE],
    bool *recycled)
{
	const struct archive_file *file = &store_state(store)->file[kind];
	bool again = file->phase == FILE_CREATING &&
	    file->first_sequence == span->begins;
	/* That of its first datagram, which has waited for its block.  One
	 * of several inputs may be behind the others, and the order of names
	 * has to be that of numbers. */
	uint64_t started_ns = store->segment->inputs > 1 ?
	    clock_realtime_ns() : span->first_received_ns;
	int fd;

	if (!again) {
		if (file->phase == FILE_CREATING)
			remove_part(store, kind);
		announce_file(store, kind, span->begins, started_ns);
	}
	for (;;) {
		store_name(store, kind, &store_state(store)->file[kind],
		    name);
		keeper_begun(&store->keeper, name);
		fd = again ? -1 : take_spare(store, kind, name);
		*recycled = fd != -1;
		if (fd == -1)
			fd = file_create(store->directory, name, again);
		if (fd != -1 || errno != EEXIST)
			return fd;
		/* Somebody else's file: ours begins a microsecond later. */
		again = false;
		started_ns += NS_PER_US;
		announce_file(store, kind, span->begins, started_ns);
	}
}

/*
 * What a recycled file had behind its header begins with no more than the rest
 * of a page, which is zeros.  Its first page comes last, in one piece: before
 * that the file is none, after that its header and its sync marker are whole.
 */
static int
write_header(const struct store *store, enum archive_kind kind, int fd,
    bool recycled, size_t *size)
{
	uint8_t *header = make_header(store, kind,
	    &store_state(store)->file[kind], recycled, size);
	size_t whole = recycled ? (*size + WRITER_PAGE - 1) / WRITER_PAGE *
	    WRITER_PAGE : *size, first = MIN_OF(whole, (size_t)WRITER_PAGE);
	struct iovec iov;
	int result;

	header = xrealloc(header, whole);
	memset(header + *size, 0, whole - *size);
	iov = (struct iovec){header + first, whole - first};
	result = file_write(fd, &iov, iov.iov_len > 0, first);
	iov = (struct iovec){header, first};
	if (result == 0)
		result = file_write(fd, &iov, 1, 0);
	free(header);
	return result;
}

/* Of a file that alone knows what of it is on the disk a sync that fails before
 * one was good leaves nothing: then it all begins again before the file. */
static void
begin_durable(struct store *store, enum archive_kind kind)
{
	if (store->synced_place[kind] == 0 || store_dirty(store) ||
	    store->syncing != 0)
		return;
	store->durable = *store_state(store);
	store->durable_known = true;
}

int
store_open_file(struct store *store, enum archive_kind kind,
    const struct span *span)
{
	char name[FILE_NAME_SIZE];
	struct archive_file *file;
	bool recycled;
	size_t size;
	int fd, error = keeper_behind(&store->keeper);

	if (error != 0) {
		errno = error;
		store_failed(store, "begin a file, as others cannot be "
		    "finished, in", "");
		return -1;
	}
	fd = create(store, kind, span, name, &recycled);
	if (fd == -1) {
		store_failed(store, "create", name);
		return -1;
	}
	if (write_header(store, kind, fd, recycled, &size) == -1) {
		store_failed(store, "write", name);
		close(fd);
		return -1;
	}
	file = &archive_begin(store->domain)->file[kind];
	file->phase = FILE_OPEN;
	file->size = size;
	/* Until it is known. */
	file->write = writer_back_end(&store->writer[kind],
	    store->segment->config->archive.write);
	file->clock_step_ns = store->step_ns[kind];
	archive_commit(store->domain);
	store->step_ns[kind] = 0;
	store->fd[kind] = fd;
	store_begin_writing(store, kind);
	/* By its name it may be of before a moment at which it had to end. */
	store->rotate_from_ns[kind] = clock_realtime_ns();
	store->fresh[kind] = true;
	begin_durable(store, kind);
	log_debug("archiving to %s.part", name);
	return 0;
}

void
store_begin_writing(struct store *store, enum archive_kind kind)
{
	const struct archive_config *config = &store->segment->config->archive;
	const struct archive_file *file = &store_state(store)->file[kind];
	struct writer *writer = &store->writer[kind];
	enum archive_write how = config->write;

	store->rotate_from_ns[kind] = file->started_ns;
	store->synced_place[kind] = synced_place_of(store->fd[kind]);
	writer->recycled = file_size(store->fd[kind]) > (off_t)file->size;
	/* One that was begun when another way was asked for. */
	if (writer_notes(how) && store->synced_place[kind] == 0)
		how = WRITE_BUFFERED;
	writer_open(writer, how, store->fd[kind], file->size,
	    config->rotate_size);
	archive_begin(store->domain)->file[kind].write = writer->way;
	archive_commit(store->domain);
}

/* Which of the rejected datagrams a disk has lost it does not say: those of
 * the most frequent causes are taken for lost, so that the causes still add
 * up to what is left. */
static void
take_off_causes(struct archive_counts *counts, uint64_t datagrams)
{
	uint64_t *most, off;
	unsigned i;

	while (datagrams > 0) {
		most = &counts->rejected_by[0];
		for (i = 1; i < DATUM_ERRORS; i++)
			if (counts->rejected_by[i] > *most)
				most = &counts->rejected_by[i];
		off = MIN_OF(*most, datagrams);
		if (off == 0)
			return;
		*most -= off;
		datagrams -= off;
	}
}

void
store_count_loss(struct store *store, enum archive_kind kind,
    uint64_t datagrams, uint64_t payload)
{
	struct archive_state *state = archive_begin(store->domain);

	state->counts.archive_shed += datagrams;
	if (kind == ARCHIVE_MAIN) {
		state->counts.archived -= datagrams;
		state->counts.archived_bytes -= payload;
	} else {
		state->counts.rejected -= datagrams;
		take_off_causes(&state->counts, datagrams);
	}
	archive_commit(store->domain);
	/* An earlier state does not know of it. */
	store->durable_known = store->mark_good = false;
}

/*
 * The file has been removed under our hands, perhaps with its directory: what
 * it held is shed after all, and recording goes on in a new file.
 */
static void
vanish(struct store *store, enum archive_kind kind)
{
	const struct archive_file *file = &store_state(store)->file[kind];
	char name[FILE_NAME_SIZE];

	store_name(store, kind, file, name);
	errno = ENOENT;
	store_failed(store, "go on with", name);
	file = &store_state(store)->file[kind];
	store_count_loss(store, kind, file->datagrams, file->payload);
	store_forget(store, kind);
}

/* Somebody has cut the file.  When it is read back, what is not there any more
 * is shed after all; recording goes on in a new file. */
static void
cut_short(struct store *store, enum archive_kind kind)
{
	char name[FILE_NAME_SIZE];

	store_name(store, kind, &store_state(store)->file[kind], name);
	store_count_error(store);
	log_warnx("%s.part is shorter than what was written to it: somebody "
	    "else has changed it; going on in a new file", name);
	store->doubted[kind] = true;
	store_rotate(store);
}

void
store_look(struct store *store)
{
	struct stat st;
	unsigned i;

	for (i = 0; i < ARCHIVE_KINDS; i++) {
		if (store->fd[i] == -1 || fstat(store->fd[i], &st) == -1)
			continue;
		if (st.st_nlink == 0)
			vanish(store, i);
		else if ((uint64_t)st.st_size <
		    store_state(store)->file[i].size)
			cut_short(store, i);
	}
}

void
store_forget(struct store *store, enum archive_kind kind)
{
	store_await_sync(store, kind);
	/* It has the descriptor. */
	closer_wait(&store->closer, kind, CLOSER_SYNC);
	writer_close(&store->writer[kind]);
	close(store->fd[kind]);
	store->fd[kind] = -1;
	store->added[kind] = (struct addition){0, 0};
	store->dirty[kind] = false;
	store->durable_known = store->mark_good = false;
	archive_begin(store->domain)->file[kind].phase = FILE_NONE;
	archive_commit(store->domain);
}

void
store_forget_created(struct store *store, enum archive_kind kind)
{
	if (store_state(store)->file[kind].phase != FILE_CREATING)
		return;
	remove_part(store, kind);
	archive_begin(store->domain)->file[kind].phase = FILE_NONE;
	archive_commit(store->domain);
}

void
store_discard(struct store *store, enum archive_kind kind)
{
	remove_part(store, kind);
	store_forget(store, kind);
}
