/* SPDX-License-Identifier: ISC */
/*
 * Left-over .part files.  Worker.  Must not load a file, nor append to one,
 * nor throw away a byte that may be somebody's data.
 */
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/avro_walk.h"
#include "common/rename.h"
#include "common/util.h"
#include "worker/archive/recover.h"
#include "worker/archive/synced.h"

#define COPY_STEP	(64U * 1024)

bool
recover_named(const struct archive_state *state, const char *channel,
    const char *name)
{
	char mine[FILE_NAME_SIZE];
	const struct archive_file *file;
	unsigned i, k;

	for (i = 0; i < ARCHIVE_KINDS; i++) {
		for (k = 0; k < 2; k++) {
			file = k == 0 ? &state->file[i] : &state->closing[i];
			file_name(mine, channel, i, file);
			if (file->phase != FILE_NONE &&
			    strcmp(mine, name) == 0)
				return true;
		}
	}
	return false;
}

void
leftovers_add(struct leftovers *leftovers, const char *name)
{
	leftovers->name = xgrow(leftovers->name, leftovers->count,
	    sizeof(*leftovers->name));
	snprintf(leftovers->name[leftovers->count++], FILE_NAME_SIZE, "%s",
	    name);
}

int
leftovers_list(struct leftovers *leftovers, int directory,
    const char *channel, const struct archive_state *state)
{
	enum archive_kind kind;
	char name[FILE_NAME_SIZE];
	struct dirent *entry;
	DIR *dir;

	memset(leftovers, 0, sizeof(*leftovers));
	dir = file_list(directory);
	if (dir == NULL)
		return -1;
	while (leftovers->count < LEFTOVERS_MAX &&
	    (entry = readdir(dir)) != NULL) {
		if (file_is(entry->d_name, channel, FILE_SUFFIX FILE_PART,
		    &kind) && !recover_named(state, channel,
		    file_stem(name, entry->d_name, FILE_PART)))
			leftovers_add(leftovers, name);
	}
	closedir(dir);
	return 0;
}

void
leftovers_free(struct leftovers *leftovers)
{
	free(leftovers->name);
	memset(leftovers, 0, sizeof(*leftovers));
}

static bool
all_zero(const uint8_t *data, size_t size)
{
	return size == 0 || (data[0] == 0 &&
	    memcmp(data, data + 1, size - 1) == 0);
}

/* Copies what lies between two offsets; *zeros: it is nothing but zeros. */
static int
copy_range(int from, uint64_t at, uint64_t end, int to, bool *zeros)
{
	uint8_t *buffer = xmalloc(COPY_STEP);
	struct iovec iov;
	uint64_t out = 0;
	ssize_t got = 0;

	*zeros = true;
	while (at < end) {
		got = pread(from, buffer, MIN_OF(end - at,
		    (uint64_t)COPY_STEP), (off_t)at);
		if (got <= 0)
			break;
		*zeros = *zeros && all_zero(buffer, (size_t)got);
		iov = (struct iovec){buffer, (size_t)got};
		if (file_write(to, &iov, 1, out) == -1) {
			got = -1;
			break;
		}
		at += (uint64_t)got;
		out += (uint64_t)got;
	}
	free(buffer);
	return got < 0 ? -1 : 0;
}

/* Puts what follows the last whole block aside, on the disk. */
static int
keep_tail(int directory, const char *name, int fd, uint64_t from,
    uint64_t end)
{
	char torn[FILE_NAME_SIZE + 8];
	bool zeros;
	int to, result;

	snprintf(torn, sizeof(torn), "%s" ARCHIVE_TORN, name);
	to = openat(directory, torn, O_WRONLY | O_CREAT | O_TRUNC |
	    O_NOFOLLOW | O_CLOEXEC, 0644);
	if (to == -1)
		return -1;
	result = copy_range(fd, from, end, to, &zeros);
	if (result == 0 && !zeros)
		result = fdatasync(to);
	result = file_close(to, result);
	if (result == -1 || zeros)
		file_remove(directory, torn);
	return result;
}

static int
count_blocks(struct avro_walk *walk, bool memory, struct recovered *recovered)
{
	uint64_t trusted = synced_trusted(walk, memory);
	enum avro_walk_status status;
	struct avro_walk_block block;

	recovered->size = walk->offset;
	while ((status = avro_walk_next(walk, &block)) == AVRO_WALK_OK) {
		if (walk->offset > trusted)
			continue;
		recovered->blocks++;
		recovered->records += block.records;
		recovered->size = walk->offset;
	}
	recovered->reach = synced_place(walk) == 0 ? UINT64_MAX :
	    walk->offset;
	return status == AVRO_WALK_ERROR ? -1 : 0;
}

/* Consumes `fd'. */
static enum recovery
set_aside(int directory, const char *name, int fd)
{
	char part[FILE_NAME_SIZE + 8], bad[FILE_NAME_SIZE + 8];

	close(fd);
	snprintf(part, sizeof(part), "%s" FILE_PART, name);
	snprintf(bad, sizeof(bad), "%s" ARCHIVE_BAD, name);
	if (rename_new(directory, part, directory, bad) == -1)
		return RECOVERY_FAILED;
	return RECOVERY_BAD;
}

/* Consumes `fd'. */
static enum recovery
finish(int directory, const char *name, int fd, uint64_t size,
    struct recovered *recovered)
{
	recovered->torn = size - recovered->size;
	if (recovered->torn > 0 &&
	    keep_tail(directory, name, fd, recovered->size, size) == -1) {
		file_close(fd, -1);
		return RECOVERY_FAILED;
	}
	if (file_finish(directory, name, fd, recovered->size) == 0)
		return RECOVERY_FINISHED;
	if (errno != EEXIST)
		return RECOVERY_FAILED;
	/* A file of this name was finished before. */
	fd = file_open(directory, name, FILE_PART);
	return fd == -1 ? RECOVERY_FAILED : set_aside(directory, name, fd);
}

/* Consumes `fd'. */
static enum recovery
remove_part(int directory, const char *name, int fd)
{
	char part[FILE_NAME_SIZE + 8];

	close(fd);
	snprintf(part, sizeof(part), "%s" FILE_PART, name);
	return unlinkat(directory, part, 0) == 0 ? RECOVERY_REMOVED :
	    RECOVERY_FAILED;
}

/* Blocks beyond the first hole were never written: lseek() with SEEK_HOLE
 * finds the end of the file when there is none. */
static void
end_at_hole(struct avro_walk *walk)
{
	off_t hole = lseek(walk->fd, 0, SEEK_HOLE);

	if (hole != -1 && (uint64_t)hole < walk->size)
		walk->size = (uint64_t)hole;
}

bool
recover_whole(int fd, uint64_t size)
{
	struct recovered recovered = {0};
	struct avro_walk walk;
	bool whole;

	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	whole = avro_walk_open(&walk, fd) == AVRO_WALK_OK;
	if (whole) {
		end_at_hole(&walk);
		whole = count_blocks(&walk, false, &recovered) == 0 &&
		    recovered.size == size;
	}
	avro_walk_close(&walk);
	return whole;
}

enum recovery
recover_file(int directory, const char *name, bool memory,
    struct recovered *recovered)
{
	int fd = file_open(directory, name, FILE_PART), result = 0;
	enum avro_walk_status status;
	struct avro_walk walk;
	uint64_t size;
	bool header;

	memset(recovered, 0, sizeof(*recovered));
	if (fd == -1)
		return RECOVERY_FAILED;
	status = avro_walk_open(&walk, fd);
	size = walk.size;
	header = status == AVRO_WALK_OK;
	if (header) {
		end_at_hole(&walk);
		result = count_blocks(&walk, memory, recovered);
		size = MIN_OF(size, recovered->reach);
	}
	avro_walk_close(&walk);
	if (status == AVRO_WALK_ERROR || result == -1) {
		file_close(fd, -1);
		return RECOVERY_FAILED;
	}
	if (recovered->blocks > 0)
		return finish(directory, name, fd, size, recovered);
	if (size == 0 || (header && recovered->size == size) ||
	    archive_is_spare(fd))
		return remove_part(directory, name, fd);
	if (header && recovered->reach == size &&
	    ftruncate(fd, (off_t)size) == -1) {
		file_close(fd, -1);
		return RECOVERY_FAILED;
	}
	return set_aside(directory, name, fd);
}
