/* SPDX-License-Identifier: ISC */
/*
 * A directory in which mcrelay-worker writes: each record once, in order,
 * whatever becomes of the worker.  mcrelay-cat.
 *
 * A whole block at the end of a file that is being written need not stay: a
 * worker that is killed before it has noted the block is followed by one that
 * cuts it off, and writes its records again, perhaps in blocks of another size.
 * But they are the same records in the same order, so what was shown is known
 * by their number in the file; and that the file was cut is seen by the last
 * blocks, which are compared before one more is read.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/archive_names.h"
#include "common/datum.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/util.h"
#include "tools/cat/cat.h"
#include "tools/common/stop.h"

/* How often is looked for more. */
#define LOOK_NS		(50 * NS_PER_MS)
/* Two changes may have the same time: look again until it is so old. */
#define TIME_STEP_NS	(2 * NS_PER_S)

/* How many blocks are remembered: what a kill can take back is one or two. */
#define MARKS		16U

struct mark {
	uint64_t	offset;
	uint64_t	size;
	uint64_t	hash;		/* of all its bytes */
	uint64_t	records;	/* of the file, with this block */
};

/* The file at hand. */
struct followed {
	char		*path;
	char		*part;		/* its name while it is written */
	struct reader	 reader;
	struct mark	 mark[MARKS];
	unsigned	 marks;
	uint64_t	 passed;	/* records before the next block */
	uint64_t	 shown;		/* records */
	struct stat	 last;		/* when it was read last */
};

struct follow {
	struct cat	*cat;
	const char	*directory;
	int		 fd;		/* of it */
	void		*seen;		/* tsearch(): stems */
	uint64_t	 changed_ns;	/* when the directory was, last */
};

static void
wait_a_while(struct cat *cat)
{
	cat_settle(cat);
	if (out_watched(&cat->out))
		stop_sleep_until(clock_monotonic_ns() + LOOK_NS);
}

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
	struct mark *mark;
	size_t size;

	if (file->marks == MARKS) {
		file->marks--;
		memmove(file->mark, file->mark + 1,
		    file->marks * sizeof(*mark));
	}
	size = datum_put_long(head, (int64_t)block->records);
	size += datum_put_long(head + size, (int64_t)block->stored_size);
	mark = &file->mark[file->marks++];
	*mark = (struct mark){
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
	const struct mark *mark;
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

static void
show_block(struct follow *follow, struct followed *file,
    const struct reader_block *block)
{
	uint64_t skip = file->shown > file->passed ?
	    file->shown - file->passed : 0;

	files_block(follow->cat, block, MIN_OF(skip, block->good));
	file->passed += block->good;
	file->shown = MAX_OF(file->shown, file->passed);
}

/* What there is of it; `final': there will not be more, and what is no block
 * is damage. */
static void
read_more(struct follow *follow, struct followed *file, bool final)
{
	struct avro_walk *walk = &file->reader.walk;
	struct reader_block block;
	enum reader_status status;
	const char *why;
	struct stat now;
	uint64_t before;

	if (fstat(file->reader.fd, &now) == -1 ||
	    (!final && unchanged(file, &now)))
		return;
	file->last = now;
	walk->size = (uint64_t)now.st_size;
	compare_marks(file);
	while (!cat_done(follow->cat)) {
		before = walk->offset;
		status = reader_next(&file->reader, &block, &why);
		if (status == READER_OK && (final || block.damage == NULL)) {
			files_damage(follow->cat, file->path, &block);
			show_block(follow, file, &block);
			if (!final)
				note_block(file, &block);
			continue;
		}
		walk->offset = before;
		if (status == READER_UNUSABLE && final)
			cat_partly(follow->cat, "%s: %s", file->path, why);
		return;
	}
}

/* Whether the worker has done with it: the name is another's, or nobody's. */
static bool
is_final(const struct follow *follow, const struct followed *file)
{
	struct stat named, opened;

	return fstatat(follow->fd, file->part, &named,
	    AT_SYMLINK_NOFOLLOW) == -1 ||
	    fstat(file->reader.fd, &opened) == -1 ||
	    named.st_ino != opened.st_ino || named.st_dev != opened.st_dev;
}

/* Waits until it has a whole header; false: there will be none. */
static bool
open_file(struct follow *follow, struct followed *file, const char *stem)
{
	const char *why = NULL;
	bool part = true, opened = false;
	struct stat st;

	while (!opened && part && !cat_done(follow->cat)) {
		part = fstatat(follow->fd, file->part, &st,
		    AT_SYMLINK_NOFOLLOW) == 0;
		opened = reader_open_at(&file->reader, follow->fd,
		    part ? file->part : stem, O_NOFOLLOW, &why) == READER_OK;
		if (!opened && part)
			wait_a_while(follow->cat);
	}
	/* What has vanished before it had a header never was a file. */
	if (!opened && !part &&
	    fstatat(follow->fd, stem, &st, AT_SYMLINK_NOFOLLOW) == 0)
		cat_partly(follow->cat, "%s: %s", file->path, why);
	return opened;
}

static void
follow_file(struct follow *follow, const char *stem)
{
	struct followed file = {
		.path = xasprintf("%s/%s", follow->directory, stem),
		.part = xasprintf("%s" ARCHIVE_PART, stem),
	};
	bool final = false;

	if (open_file(follow, &file, stem)) {
		if (files_begin(follow->cat, &file.reader, file.path))
			while (!final && !cat_done(follow->cat)) {
				final = is_final(follow, &file);
				read_more(follow, &file, final);
				if (!final && !cat_done(follow->cat))
					wait_a_while(follow->cat);
			}
		reader_close(&file.reader);
	}
	free(file.path);
	free(file.part);
}

static int
compare_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* True the first time. */
static bool
note_seen(struct follow *follow, const char *stem)
{
	char *copy;

	if (tfind(stem, &follow->seen, compare_text) != NULL)
		return false;
	copy = xstrdup(stem);
	if (tsearch(copy, &follow->seen, compare_text) == NULL)
		fatalx("out of memory");
	return true;
}

/* Shows the first file that was not shown yet; false: there is none. */
static bool
next_file(struct follow *follow)
{
	struct listing listing;
	bool found = false;

	if (!files_list(&listing, follow->directory)) {
		log_warn("%s", follow->directory);
		follow->cat->failed = true;
		return false;
	}
	for (size_t i = 0; i < listing.files && !found &&
	    !cat_done(follow->cat); i++) {
		found = note_seen(follow, listing.file[i].stem);
		if (found)
			follow_file(follow, listing.file[i].stem);
	}
	files_free(&listing);
	return found;
}

/* Those before the first one are not shown; false: it is not there. */
static bool
leave_out(struct follow *follow, const char *first)
{
	struct listing listing;
	bool found = false;

	if (!files_list(&listing, follow->directory))
		return false;
	for (size_t i = 0; i < listing.files && !found; i++) {
		found = strcmp(listing.file[i].stem, first) == 0;
		if (!found)
			note_seen(follow, listing.file[i].stem);
	}
	files_free(&listing);
	return found;
}

/* Whether there may be a file that was not seen the last time. */
static bool
directory_changed(struct follow *follow)
{
	struct stat st;
	uint64_t changed_ns;

	if (fstat(follow->fd, &st) == -1)
		return true;
	changed_ns = (uint64_t)st.st_mtim.tv_sec * NS_PER_S +
	    (uint64_t)st.st_mtim.tv_nsec;
	if (changed_ns == follow->changed_ns &&
	    changed_ns + TIME_STEP_NS < clock_realtime_ns())
		return false;
	follow->changed_ns = changed_ns;
	return true;
}

void
follow_directory(struct cat *cat, const char *directory, const char *first)
{
	struct follow follow = {
		.cat = cat,
		.directory = directory,
		.fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	};

	if (follow.fd == -1) {
		log_warn("%s", directory);
		cat->failed = true;
		return;
	}
	if (first != NULL && !leave_out(&follow, first)) {
		log_warnx("%s/%s: not a file of an archive, whose successors "
		    "could be followed", directory, first);
		cat->failed = true;
	}
	while (!cat_done(cat))
		if (!directory_changed(&follow) || !next_file(&follow))
			wait_a_while(cat);
	tdestroy(follow.seen, free);
	close(follow.fd);
}
