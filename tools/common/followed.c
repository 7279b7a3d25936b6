/* SPDX-License-Identifier: ISC */
/*
 * A file that is being written, followed.  Tools, and mcrelay-forwarder.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/datum.h"
#include "common/hash.h"
#include "common/util.h"
#include "tools/common/followed.h"

/* Two changes may have the same time: look again until it is so old. */
#define TIME_STEP_NS	(2 * NS_PER_S)

static bool
same_moment(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Whether nothing has happened to the file since it was read. */
static bool
unchanged(const struct followed *file, const struct stat *now)
{
	const int64_t age_ns = (int64_t)clock_realtime_ns() -
	    (int64_t)now->st_mtim.tv_sec * (int64_t)NS_PER_S -
	    now->st_mtim.tv_nsec;

	return file->last.st_size == now->st_size &&
	    same_moment(&file->last.st_mtim, &now->st_mtim) &&
	    same_moment(&file->last.st_ctim, &now->st_ctim) &&
	    age_ns > (int64_t)TIME_STEP_NS;
}

/* The hash of what is there now; false: it cannot be read, or not so far. */
static bool
hash_of(struct followed *file, uint64_t offset, uint64_t size, uint64_t *hash)
{
	struct reader *reader = &file->reader;

	buffer_reserve(&reader->stored, size);
	if (!avro_walk_read(&reader->walk, reader->stored.data, size, offset))
		return false;
	*hash = hash_bytes64(HASH_BEGIN64, reader->stored.data, size);
	return true;
}

/* Of the block as it was read, not as it may be in the file by now: a larger
 * one may begin with the same data. */
static void
note_block(struct followed *file, const struct reader_block *block)
{
	uint8_t head[2 * DATUM_LONG_SIZE_MAX];
	struct followed_mark *mark;
	size_t size;

	if (file->marks == FOLLOWED_MARKS) {
		file->marks--;
		memmove(file->mark, file->mark + 1,
		    file->marks * sizeof(*mark));
	}
	size = datum_put_long(head, (int64_t)block->records);
	size += datum_put_long(head + size, (int64_t)block->stored_size);
	mark = &file->mark[file->marks++];
	*mark = (struct followed_mark){
		.offset = block->offset,
		.size = block->size,
		.hash = hash_bytes64(HASH_BEGIN64, head, size),
		.records = file->passed,
	};
	mark->hash = hash_bytes64(mark->hash, block->stored,
	    block->stored_size);
	mark->hash = hash_bytes64(mark->hash, file->reader.walk.sync,
	    AVRO_SYNC_SIZE);
}

/* Goes back to before what has been taken back. */
static void
compare_marks(struct followed *file)
{
	struct avro_walk *walk = &file->reader.walk;
	const struct followed_mark *mark;
	uint64_t hash;

	while (file->marks > 0) {
		mark = &file->mark[file->marks - 1];
		if (hash_of(file, mark->offset, mark->size, &hash) &&
		    hash == mark->hash) {
			walk->offset = mark->offset + mark->size;
			file->passed = mark->records;
			return;
		}
		file->marks--;
	}
	walk->offset = walk->header_size;
	file->passed = 0;
}

/* Whether the worker has done with it: the name is another's, or nobody's. */
static bool
is_final(const struct followed *file)
{
	struct stat named, opened;

	return fstatat(file->directory, file->part, &named,
	    AT_SYMLINK_NOFOLLOW) == -1 ||
	    fstat(file->reader.fd, &opened) == -1 ||
	    named.st_ino != opened.st_ino || named.st_dev != opened.st_dev;
}

/* Looks what there is; false: nothing new. */
static bool
begin_reading(struct followed *file)
{
	struct stat now;

	file->final = is_final(file);
	if (fstat(file->reader.fd, &now) == -1 ||
	    (!file->final && unchanged(file, &now)))
		return false;
	file->last = now;
	if (file->final)
		file->reader.synced_only = false;
	reader_resize(&file->reader, (uint64_t)now.st_size);
	/* While it is written to, blocks may be taken back. */
	file->reader.walk.ahead = file->final;
	compare_marks(file);
	file->reading = true;
	return true;
}

enum followed_status
followed_next(struct followed *file, struct reader_block *block,
    uint64_t *skip, const char **why)
{
	struct avro_walk *walk = &file->reader.walk;
	enum reader_status status;
	uint64_t before;

	if (!file->reading && !begin_reading(file))
		return file->final ? FOLLOWED_END : FOLLOWED_NOTHING;
	before = walk->offset;
	status = reader_next(&file->reader, block, why);
	if (status == READER_OK && (file->final || block->damage == NULL)) {
		*skip = file->taken > file->passed ?
		    MIN_OF(file->taken - file->passed, block->good) : 0;
		file->passed += block->good;
		file->taken = MAX_OF(file->taken, file->passed);
		if (!file->final)
			note_block(file, block);
		return FOLLOWED_BLOCK;
	}
	walk->offset = before;
	file->reading = false;
	if (!file->final)
		return FOLLOWED_NOTHING;
	return status == READER_UNUSABLE ? FOLLOWED_UNUSABLE : FOLLOWED_END;
}

enum followed_status
followed_open(struct followed *file, int directory, const char *stem,
    const char **why)
{
	struct stat st;
	bool part;

	memset(file, 0, sizeof(*file));
	file->directory = directory;
	snprintf(file->part, sizeof(file->part), "%s" ARCHIVE_PART, stem);
	part = fstatat(directory, file->part, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (reader_open_at(&file->reader, directory, part ? file->part : stem,
	    O_NOFOLLOW, why) == READER_OK)
		return FOLLOWED_BLOCK;
	if (part)
		return FOLLOWED_NOTHING;
	/* What has vanished before it had a header never was a file. */
	return fstatat(directory, stem, &st, AT_SYMLINK_NOFOLLOW) == 0 ?
	    FOLLOWED_UNUSABLE : FOLLOWED_END;
}

void
followed_close(struct followed *file)
{
	reader_close(&file->reader);
}
