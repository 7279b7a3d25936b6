/* SPDX-License-Identifier: ISC */
/*
 * Reads an Avro container file that may be damaged.  Tools.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/archive_names.h"
#include "common/util.h"
#include "tools/common/reader.h"
#include "tools/common/regular.h"

/* A name as it may be printed, whatever is in the file. */
static char *
printable_name(const uint8_t *name, size_t size)
{
	char *text = xasprintf("%.*s", (int)MIN_OF(size, (size_t)32),
	    (const char *)name);

	for (char *c = text; *c != '\0'; c++)
		if (*c < '!' || *c > '~')
			*c = '?';
	return text;
}

static bool
understand_header(struct reader *reader, const char **why)
{
	const uint8_t *value;
	size_t size;

	value = avro_walk_meta(&reader->walk, "avro.codec", &size);
	reader->codec_name = value == NULL ? xstrdup("null") :
	    printable_name(value, size);
	reader->codec_known = uncompress_find(reader->codec_name,
	    &reader->codec);
	value = avro_walk_meta(&reader->walk, "avro.schema", &size);
	if (value == NULL) {
		*why = "the header has no schema";
		return false;
	}
	records_open(&reader->records, (const char *)value, size);
	return true;
}

/* What direct I/O has put behind the last block, up to a whole sector. */
#define FILLED_MAX	((uint64_t)64 << 10)

static bool
ends_in(const char *text, const char *end)
{
	size_t size = strlen(text), length = strlen(end);

	return size >= length && strcmp(text + size - length, end) == 0;
}

/* Whether nothing but such zeros follow. */
static bool
filled_up(struct reader *reader)
{
	uint64_t left = reader->walk.size - reader->walk.offset, i;

	if (!reader->unfinished || left > FILLED_MAX)
		return false;
	buffer_reserve(&reader->stored, left);
	if (!avro_walk_read(&reader->walk, reader->stored.data, left,
	    reader->walk.offset))
		return false;
	for (i = 0; i < left; i++)
		if (reader->stored.data[i] != 0)
			return false;
	return true;
}

/* A recycled file ends at its last block while it is being written: what
 * follows was another's. */
static bool
is_recycled(const struct reader *reader)
{
	size_t size;

	return reader->unfinished && avro_walk_meta(&reader->walk,
	    ARCHIVE_SYNCED_KEY, &size) != NULL;
}

/* Whether it is one that is written past the page cache: then a block may be
 * there but for sectors in its middle, which are another's still. */
static bool
comes_in_any_order(const struct reader *reader)
{
	size_t size;
	const uint8_t *way = avro_walk_meta(&reader->walk, ARCHIVE_WRITE_KEY,
	    &size);

	return is_recycled(reader) && way != NULL &&
	    size == sizeof("direct") - 1 && memcmp(way, "direct", size) == 0;
}

/* So much of the file has all that was written to it. */
static uint64_t
synced_size(const struct reader *reader, uint64_t size)
{
	const struct avro_walk *walk = &reader->walk;
	uint64_t synced;
	size_t digits;
	const uint8_t *at = avro_walk_meta(walk, ARCHIVE_SYNCED_KEY, &digits);
	char text[24] = "";

	if (digits >= sizeof(text) || !avro_walk_read(walk, text, digits,
	    (uint64_t)(at - walk->header)))
		return walk->header_size;
	synced = strtoull(text, NULL, 10);
	return MIN_OF(size, MAX_OF(synced, walk->header_size));
}

/* By whom no other back end was asked for. */
static struct reading plainly = {
	.ops = &reading_pread,
	.room = (size_t)64 << 10,
};

/* Reads the header. */
static enum reader_status
begin(struct reader *reader, struct reading *reading, int fd,
    const char **why)
{
	enum avro_walk_status status;
	bool empty;

	reader->fd = fd;
	reading_open(&reader->file, &plainly, fd, 0);
	status = avro_walk_open(&reader->walk, reader->fd);
	if (status == AVRO_WALK_OK && understand_header(reader, why)) {
		reader->synced_only = comes_in_any_order(reader);
		reader_resize(reader, reader->walk.size);
		/* What is read ahead of one that is being written is old by
		 * the time that it is asked for. */
		reading_open(&reader->file, reader->unfinished ? &plainly :
		    reading, fd, reader->walk.size);
		return READER_OK;
	}
	if (status == AVRO_WALK_ERROR)
		*why = strerror(errno);
	else if (status != AVRO_WALK_OK)
		*why = reader->walk.why;
	empty = reader->unfinished && (reader->walk.size == 0 ||
	    archive_is_spare(fd));
	reader_close(reader);
	return status == AVRO_WALK_DAMAGED && empty ? READER_END :
	    READER_UNUSABLE;
}

enum reader_status
reader_open(struct reader *reader, const char *path, const char **why)
{
	return reader_open_at(reader, AT_FDCWD, path, 0, why);
}

enum reader_status
reader_open_at(struct reader *reader, int directory, const char *path,
    int flags, const char **why)
{
	return reader_open_by(reader, &plainly, directory, path, flags, why);
}

enum reader_status
reader_open_by(struct reader *reader, struct reading *reading, int directory,
    const char *path, int flags, const char **why)
{
	const int fd = regular_open(directory, path, flags, why);

	memset(reader, 0, sizeof(*reader));
	reader->unfinished = ends_in(path, ARCHIVE_PART);
	return fd == -1 ? READER_UNUSABLE : begin(reader, reading, fd, why);
}

enum reader_status
reader_open_fd(struct reader *reader, int fd, const char **why)
{
	memset(reader, 0, sizeof(*reader));
	return begin(reader, &plainly, fd, why);
}

void
reader_resize(struct reader *reader, uint64_t size)
{
	if (reader->synced_only)
		size = synced_size(reader, size);
	avro_walk_resize(&reader->walk, size);
	reader->file.size = size;
	reader->file.cut = false;
}

void
reader_again(struct reader *reader, uint64_t size)
{
	reader_resize(reader, size);
	reader->walk.offset = reader->walk.header_size;
}

void
reader_forget_block(struct reader *reader)
{
	reading_plainly(&reader->file);
	free(reader->stored.data);
	free(reader->plain.data);
	reader->stored = reader->plain = (struct buffer){0};
}

void
reader_close(struct reader *reader)
{
	records_free(&reader->records);
	avro_walk_close(&reader->walk);
	free(reader->codec_name);
	reader_forget_block(reader);
	close(reader->fd);
}

static void
note_record(const struct reader *reader, struct reader_block *block,
    const struct record *record)
{
	if (reader->records.datagrams) {
		if (!block->sequence_known)
			block->first_sequence = record->sequence;
		block->last_sequence = record->sequence;
		block->sequence_known = true;
	}
	if (block->first_ns == RECORDS_NO_TIME)
		block->first_ns = record->time_ns;
	if (record->time_ns != RECORDS_NO_TIME)
		block->last_ns = record->time_ns;
}

/* Walks the records of the data; NULL when they are as many as claimed and
 * fill it. */
static const char *
check_records(const struct reader *reader, struct reader_block *block,
    size_t size)
{
	struct record record;
	const char *why;

	while (block->good < block->records) {
		why = records_read(&reader->records,
		    block->data + block->good_size, size - block->good_size,
		    &record);
		if (why != NULL)
			return why;
		note_record(reader, block, &record);
		block->good_size += record.size;
		block->good++;
	}
	return block->good_size == size ? NULL :
	    "bytes behind the last record";
}

/* Uncompresses and checks what is stored of the block. */
static const char *
check_data(struct reader *reader, struct reader_block *block)
{
	size_t size = block->stored_size;
	const char *why;

	block->data = block->stored;
	if (!reader->codec_known) {
		block->data = NULL;
		block->good = block->records;
		return NULL;
	}
	if (reader->codec != CODEC_NULL) {
		why = uncompress_block(reader->codec, block->stored, size,
		    READER_BLOCK_MAX, &reader->plain);
		if (why != NULL)
			return why;
		block->data = reader->plain.data;
		size = reader->plain.size;
	}
	if (reader->records.program != NULL)
		return check_records(reader, block, size);
	block->good = block->records;
	block->good_size = size;
	return NULL;
}

/* Reads `size' bytes of the block's data; false with errno. */
static bool
load(struct reader *reader, struct reader_block *block,
    const struct avro_walk_block *found, uint64_t size)
{
	size_t got;

	block->stored = avro_walk_seen(&reader->walk, found->data_offset,
	    size);
	if (block->stored == NULL)
		block->stored = reading_view(&reader->file,
		    found->data_offset, size, size, &reader->stored, &got);
	if (block->stored == NULL)
		return false;
	block->data_offset = found->data_offset;
	block->stored_size = size;
	return true;
}

static void
forget_records(struct reader_block *block)
{
	block->good = 0;
	block->good_size = 0;
	block->sequence_known = false;
	block->first_ns = block->last_ns = RECORDS_NO_TIME;
}

/*
 * A block with a readable head, without its marker: its data reach up to
 * `end' at the most.  With a schema to check against, what is there of its
 * records can be told from what is not.  Sets *whole when the marker is all
 * that is wrong.  False with errno.
 */
static bool
salvage(struct reader *reader, struct reader_block *block,
    const struct avro_walk_block *found, uint64_t end, bool *whole)
{
	uint64_t size;
	bool all;

	if (reader->records.program == NULL || !reader->codec_known ||
	    end <= found->data_offset)
		return true;
	size = MIN_OF(end - found->data_offset, found->data_size);
	if (size > READER_BLOCK_MAX)
		return true;
	all = size == found->data_size;
	if (!load(reader, block, found, size))
		return false;
	*whole = check_data(reader, block) == NULL && all;
	return true;
}

/* There is no block here: go on at the next marker, or at the end. */
static bool
skip_damage(struct reader *reader, struct reader_block *block,
    const struct avro_walk_block *found)
{
	struct avro_walk *walk = &reader->walk;
	const uint64_t start = walk->offset;
	uint64_t end = walk->size;
	bool whole = false;

	block->damage = walk->why;
	if (avro_walk_resync(walk, start))
		end = walk->offset - AVRO_SYNC_SIZE;
	else
		walk->offset = walk->size;
	if (found->data_size != 0) {
		block->records = found->records;
		if (!salvage(reader, block, found, end, &whole))
			return false;
	}
	if (whole)
		walk->offset = MIN_OF(walk->size, start + found->size);
	block->size = walk->offset - start;
	block->open_end = reader->unfinished && walk->offset >= walk->size;
	return true;
}

static bool
check_block(struct reader *reader, struct reader_block *block,
    const struct avro_walk_block *found)
{
	block->size = found->size;
	block->records = found->records;
	if (found->data_size > READER_BLOCK_MAX) {
		block->damage = "larger than this program reads (64 MiB)";
		return true;
	}
	if (!load(reader, block, found, found->data_size))
		return false;
	block->damage = check_data(reader, block);
	return true;
}

/* An error of the system; what came of a file that was cut off is not
 * believed, and that it was is found out at the latest by what is missing. */
static enum reader_status
fail(struct reader *reader, const char **why)
{
	/* A page that could not be read says no errno. */
	const int error = reader->file.cut ? EIO : errno;
	struct stat now;

	*why = strerror(error);
	if (fstat(reader->fd, &now) == -1 ||
	    (uint64_t)now.st_size >= reader->walk.size)
		return READER_UNUSABLE;
	snprintf(reader->why, sizeof(reader->why), "cut off at offset %" PRIu64
	    " while it was being read", (uint64_t)now.st_size);
	*why = reader->why;
	return READER_UNUSABLE;
}

static bool
ends_before(const struct reader *reader, uint64_t offset)
{
	struct stat now;

	return fstat(reader->fd, &now) == 0 &&
	    (uint64_t)now.st_size < offset;
}

/* That is told from damage; one that is being written is cut to its size when
 * it is finished. */
static bool
is_cut(const struct reader *reader)
{
	return ends_before(reader, reader->walk.size);
}

/* Whether what was looked at up to there may not have been the file's. */
static bool
is_lost(const struct reader *reader, uint64_t offset)
{
	return reader->file.cut || (reader->file.ops->is_file &&
	    ends_before(reader, offset));
}

enum reader_status
reader_next(struct reader *reader, struct reader_block *block,
    const char **why)
{
	struct avro_walk_block found;
	bool good;

	memset(&found, 0, sizeof(found));
	memset(block, 0, sizeof(*block));
	forget_records(block);
	block->offset = reader->walk.offset;
	switch (avro_walk_next(&reader->walk, &found)) {
	case AVRO_WALK_OK:
		good = check_block(reader, block, &found);
		break;
	case AVRO_WALK_DAMAGED:
		if (is_recycled(reader) || filled_up(reader))
			return READER_END;
		good = skip_damage(reader, block, &found);
		break;
	case AVRO_WALK_END:
		if (!is_lost(reader, reader->walk.size))
			return READER_END;
		/* FALLTHROUGH */
	default:
		good = false;
	}
	if (good && !is_lost(reader, block->offset + block->size) &&
	    (block->damage == NULL || reader->unfinished || !is_cut(reader)))
		return READER_OK;
	return fail(reader, why);
}
