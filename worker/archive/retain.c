/* SPDX-License-Identifier: ISC */
/*
 * Retention.  Worker, keeper thread.  Must not remove a file that is not a
 * finished file of this channel, nor more than the limits ask for.
 */
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/archive/file.h"
#include "worker/archive/retain.h"

struct kept {
	char			name[FILE_NAME_SIZE];
	enum archive_kind	kind;
	uint64_t		size;		/* bytes */
	uint64_t		disk;		/* bytes that it occupies */
	uint64_t		ended_ns;	/* last written to */
	bool			held;		/* has another link */
};

struct inventory {
	struct kept	*file;
	size_t		 count;
	size_t		 room;
	uint64_t	 size[ARCHIVE_KINDS];
	uint64_t	 files[ARCHIVE_KINDS];
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

	if (inventory->count == inventory->room) {
		inventory->room = MAX_OF((size_t)64, inventory->room * 2);
		inventory->file = xrealloc(inventory->file,
		    inventory->room * sizeof(*inventory->file));
	}
	file = &inventory->file[inventory->count++];
	memcpy(file->name, name, strlen(name) + 1);
	file->kind = kind;
	file->size = (uint64_t)st->st_size;
	file->disk = (uint64_t)st->st_blocks * 512;
	file->ended_ns = (uint64_t)st->st_mtim.tv_sec * NS_PER_S +
	    (uint64_t)st->st_mtim.tv_nsec;
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
by_age(const void *a, const void *b)
{
	return strcmp(start_of(a), start_of(b));
}

static int
take_inventory(struct inventory *inventory, const char *channel,
    int directory)
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
		if (file_is(entry->d_name, channel, FILE_SUFFIX, &kind) &&
		    fstatat(directory, entry->d_name, &st,
		    AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			add_file(inventory, entry->d_name, kind, &st);
	closedir(dir);
	if (inventory->count > 0)
		qsort(inventory->file, inventory->count,
		    sizeof(*inventory->file), by_age);
	return 0;
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

/* Why the file has to go; NULL: it stays. */
static const char *
reason(const struct channel_config *config, const struct inventory *inventory,
    const struct kept *file, uint64_t free, uint64_t now_ns)
{
	uint64_t age = config->archive.retain_age_ns;
	const struct kept *newest = &inventory->file[inventory->count - 1];

	if (age != 0 && now_ns > age && file->ended_ns < now_ns - age)
		return "it is older than `retain: age'";
	if (config->archive.retain_files != 0 &&
	    inventory->files[file->kind] > config->archive.retain_files)
		return "there are more than `retain: files'";
	if (config->archive.retain_size != 0 &&
	    inventory->size[file->kind] > config->archive.retain_size)
		return "together they are larger than `retain: size'";
	if (free < config->archive.min_free && !file->held && file != newest)
		return "less is free than `min_free'";
	return NULL;
}

unsigned
retain_run(const struct channel_config *config, int directory,
    uint64_t now_ns)
{
	uint64_t free_now = free_bytes(directory);
	struct inventory inventory;
	unsigned removed = 0;
	struct kept *file;
	const char *why;
	size_t i;

	if (take_inventory(&inventory, config->name, directory) == -1)
		return 0;
	for (i = 0; i < inventory.count; i++) {
		file = &inventory.file[i];
		why = reason(config, &inventory, file, free_now, now_ns);
		if (why == NULL)
			continue;
		if (unlinkat(directory, file->name, 0) == -1) {
			log_warn("cannot remove %s/%s",
			    config->archive.directory, file->name);
			break;
		}
		log_info("removed %s (%" PRIu64 " bytes): %s", file->name,
		    file->size, why);
		removed++;
		inventory.files[file->kind]--;
		inventory.size[file->kind] -= file->size;
		/* Some file systems free it later: do not remove for that. */
		if (!file->held && free_now < UINT64_MAX - file->disk)
			free_now += file->disk;
	}
	free(inventory.file);
	return removed;
}
