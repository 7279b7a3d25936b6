/* SPDX-License-Identifier: ISC */
/*
 * Retention.  The wall clock orders nothing: it may have been ahead by years
 * when a file was begun, or at 1970.  Which file is the oldest the catalogue
 * knows, whose lines are in the order in which files were finished.  Worker,
 * keeper thread.  Must not remove a file that is not a finished file of this
 * channel, nor more than the limits ask for.
 */
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/archive/catalog.h"
#include "worker/archive/file.h"
#include "worker/archive/recycle.h"
#include "worker/archive/retain.h"

/* 2020-01-01: a clock that says less has not been set. */
#define CLOCK_SET_NS	(UINT64_C(1577836800) * NS_PER_S)

struct kept {
	char			name[FILE_NAME_SIZE];
	enum archive_kind	kind;
	uint64_t		size;		/* bytes */
	uint64_t		disk;		/* bytes that it occupies */
	uint64_t		ended_ns;	/* at the latest */
	uint64_t		number;		/* its line in the catalogue */
	bool			held;		/* has another link */
};

struct inventory {
	struct kept	*file;
	size_t		 count;
	uint64_t	 size[ARCHIVE_KINDS];
	uint64_t	 files[ARCHIVE_KINDS];
	/* With keep_unforwarded: up to which file all is forwarded, and its
	 * line, before which the others are; 0: not known. */
	char		 forwarded[FILE_NAME_SIZE];
	uint64_t	 forwarded_number;
};

bool
retain_wanted(const struct channel_config *config)
{
	return config->archive.retain_age_ns != 0 ||
	    config->archive.retain_size != 0 ||
	    config->archive.retain_files != 0 || config->archive.min_free != 0;
}

static void
add_file(struct inventory *inventory, const char *name,
    enum archive_kind kind, const struct stat *st)
{
	struct kept *file;

	inventory->file = xgrow(inventory->file, inventory->count,
	    sizeof(*inventory->file));
	file = &inventory->file[inventory->count++];
	memcpy(file->name, name, strlen(name) + 1);
	file->kind = kind;
	file->size = (uint64_t)st->st_size;
	file->disk = (uint64_t)st->st_blocks * 512;
	file->ended_ns = (uint64_t)st->st_mtim.tv_sec * NS_PER_S +
	    (uint64_t)st->st_mtim.tv_nsec;
	file->number = UINT64_MAX;	/* finished just now: no line yet */
	file->held = st->st_nlink > 1;
	inventory->size[kind] += file->size;
	inventory->files[kind]++;
}

/* When a file began, as text that sorts: what follows the channel. */
static const char *
start_of(const struct kept *file)
{
	const char *sequence = strrchr(file->name, '_');

	return sequence - (UTC_TEXT_SIZE - 1);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct kept *)a)->name,
	    ((const struct kept *)b)->name);
}

static int
by_end(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return strcmp(start_of(x), start_of(y));
}

static void
number_file(void *argument, const char *name, uint64_t number)
{
	struct inventory *inventory = argument;
	struct kept key, *file;

	if (strcmp(name, inventory->forwarded) == 0)
		inventory->forwarded_number = number;
	snprintf(key.name, sizeof(key.name), "%s", name);
	file = bsearch(&key, inventory->file, inventory->count, sizeof(key),
	    by_name);
	if (file != NULL)
		file->number = number;
}

/* In the order in which they were finished. */
static void
sort(struct inventory *inventory, int directory)
{
	if (inventory->count == 0)
		return;
	qsort(inventory->file, inventory->count, sizeof(*inventory->file),
	    by_name);
	catalog_names(directory, number_file, inventory);
	qsort(inventory->file, inventory->count, sizeof(*inventory->file),
	    by_end);
}

/*
 * No file ended later than those of its kind that were finished after it, nor
 * in the future: what a clock says that was ahead is too late, and the time of
 * one that had not been set is not known.
 */
static void
bound_ends(struct inventory *inventory, uint64_t now_ns)
{
	uint64_t latest[ARCHIVE_KINDS];
	struct kept *file;
	size_t i;

	for (i = 0; i < ARCHIVE_KINDS; i++)
		latest[i] = now_ns;
	for (i = inventory->count; i-- > 0;) {
		file = &inventory->file[i];
		if (file->ended_ns >= CLOCK_SET_NS)
			latest[file->kind] = MIN_OF(latest[file->kind],
			    file->ended_ns);
		file->ended_ns = latest[file->kind];
	}
}

/* Whether no file of its kind was finished later. */
static bool
is_newest(const struct inventory *inventory, const struct kept *file)
{
	const struct kept *end = inventory->file + inventory->count, *later;

	for (later = file + 1; later < end; later++)
		if (later->kind == file->kind)
			return false;
	return true;
}

/* Before sort(), which finds its line. */
static void
note_forwarded(struct inventory *inventory, const char *channel,
    int directory, const struct room *room)
{
	char part[FILE_NAME_SIZE + sizeof(ARCHIVE_PART)];

	archive_name_write(inventory->forwarded, channel, ARCHIVE_MAIN,
	    atomic_load_explicit(&room->forwarded_started_ns,
	    memory_order_relaxed), atomic_load_explicit(
	    &room->forwarded_sequence, memory_order_relaxed));
	snprintf(part, sizeof(part), "%s" ARCHIVE_PART, inventory->forwarded);
	/* It is being written: all that have a line were finished before. */
	if (faccessat(directory, part, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		inventory->forwarded_number = UINT64_MAX;
}

static int
take_inventory(struct inventory *inventory,
    const struct channel_config *config, int directory,
    const struct room *room)
{
	enum archive_kind kind;
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	memset(inventory, 0, sizeof(*inventory));
	dir = file_list(directory);
	if (dir == NULL)
		return -1;
	while ((entry = readdir(dir)) != NULL)
		if (file_is(entry->d_name, config->name, FILE_SUFFIX,
		    &kind) &&
		    fstatat(directory, entry->d_name, &st,
		    AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			add_file(inventory, entry->d_name, kind, &st);
	closedir(dir);
	if (config->archive.keep_unforwarded)
		note_forwarded(inventory, config->name, directory, room);
	sort(inventory, directory);
	return 0;
}

/* One without a line may be behind it. */
static bool
is_forwarded(const struct inventory *inventory, const struct kept *file)
{
	return file->number < inventory->forwarded_number;
}

static uint64_t
free_bytes(int directory)
{
	struct statvfs st;

	/* Not knowing is no reason to remove anything. */
	if (fstatvfs(directory, &st) == -1)
		return UINT64_MAX;
	return (uint64_t)st.f_bavail * st.f_frsize;
}

/* With what spares occupy: that is room for what comes next. */
static uint64_t
available(const struct channel_config *config, int directory)
{
	uint64_t free = free_bytes(directory);
	uint64_t spare = config->archive.recycle == 0 ? 0 :
	    recycle_bytes(directory, config->name);

	return free > UINT64_MAX - spare ? UINT64_MAX : free + spare;
}

/* Which limit of `retain' it is beyond; NULL: none. */
static const char *
beyond(const struct channel_config *config, const struct inventory *inventory,
    const struct kept *file, uint64_t now_ns)
{
	uint64_t age = config->archive.retain_age_ns;

	if (age != 0 && now_ns > age && file->ended_ns < now_ns - age)
		return "it is older than `retain: age'";
	if (config->archive.retain_files != 0 &&
	    inventory->files[file->kind] > config->archive.retain_files)
		return "there are more than `retain: files'";
	if (config->archive.retain_size != 0 &&
	    inventory->size[file->kind] > config->archive.retain_size)
		return "together they are larger than `retain: size'";
	return NULL;
}

/* Why the file has to go; NULL: it stays. */
static const char *
reason(const struct channel_config *config, const struct inventory *inventory,
    const struct kept *file, uint64_t free, uint64_t now_ns,
    uint64_t room_until_ns)
{
	static struct log_limit limit;
	const bool spared = config->archive.keep_unforwarded &&
	    file->kind == ARCHIVE_MAIN && !is_forwarded(inventory, file);
	const char *why;

	if (is_newest(inventory, file))
		return NULL;
	why = beyond(config, inventory, file, now_ns);
	if (why != NULL && !spared)
		return why;
	if (why != NULL)
		log_limited(&limit, "%s stays though %s: it is not forwarded "
		    "yet", file->name, why);
	if (free < config->archive.min_free && !file->held &&
	    file->ended_ns <= room_until_ns)
		return spared ? "less is free than `min_free', though it is "
		    "not forwarded" : "less is free than `min_free'";
	return NULL;
}

/* Removes the file, or keeps its room for another. */
static int
let_go(const struct channel_config *config, int directory,
    const struct kept *file, bool *kept)
{
	*kept = false;
	if (file->kind != ARCHIVE_MAIN || file->held)
		return unlinkat(directory, file->name, 0);
	return recycle_retire(directory, config->name, file->name,
	    (unsigned)config->archive.recycle, kept);
}

/* The device comes last: who reads it finds the rest. */
static void
tell_room(struct room *room, int directory, uint64_t min_free,
    uint64_t free_now, uint64_t oldest_ns)
{
	struct stat st;

	atomic_store_explicit(&room->free, free_now, memory_order_relaxed);
	atomic_store_explicit(&room->oldest_ns, oldest_ns,
	    memory_order_relaxed);
	atomic_store_explicit(&room->device, fstat(directory, &st) == 0 ?
	    st.st_dev : 0, memory_order_release);
	if (free_now < min_free && oldest_ns != UINT64_MAX)
		atomic_store_explicit(&room->wanted, 1, memory_order_relaxed);
}

void
retain_look(int directory, struct room *room)
{
	tell_room(room, directory, 0, free_bytes(directory), UINT64_MAX);
}

unsigned
retain_run(const struct channel_config *config, int directory,
    uint64_t now_ns, struct room *room)
{
	uint64_t until_ns = atomic_exchange_explicit(&room->until_ns, 0,
	    memory_order_acquire);
	uint64_t oldest_ns = UINT64_MAX, free_now = available(config,
	    directory);
	struct inventory inventory;
	unsigned removed = 0;
	struct kept *file;
	const char *why;
	bool kept;
	size_t i;

	if (take_inventory(&inventory, config, directory, room) == -1)
		return 0;
	bound_ends(&inventory, now_ns);
	for (i = 0; i < inventory.count; i++) {
		file = &inventory.file[i];
		why = reason(config, &inventory, file, free_now, now_ns,
		    until_ns);
		if (why == NULL) {
			if (!file->held && !is_newest(&inventory, file))
				oldest_ns = MIN_OF(oldest_ns, file->ended_ns);
			continue;
		}
		if (let_go(config, directory, file, &kept) == -1) {
			log_warn("cannot remove %s/%s",
			    config->archive.directory, file->name);
			break;
		}
		log_info("removed %s (%" PRIu64 " bytes%s): %s", file->name,
		    file->size, kept ? ", to be written again" : "", why);
		removed++;
		inventory.files[file->kind]--;
		inventory.size[file->kind] -= file->size;
		/* Some file systems free it later: do not remove for that. */
		if (!file->held && free_now < UINT64_MAX - file->disk)
			free_now += file->disk;
	}
	free(inventory.file);
	/* Others fill the disk: it is to be had at once, not some time. */
	if (free_now < config->archive.min_free)
		recycle_bound(directory, config->name, 0);
	tell_room(room, directory, config->archive.min_free, free_now,
	    oldest_ns);
	return removed;
}
