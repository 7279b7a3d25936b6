/* SPDX-License-Identifier: ISC */
/*
 * Walks an Avro object container file block by block.  Worker (recovery) and
 * tools.  Must not believe a length before it has bounded it.
 */
#include <sys/stat.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/avro_walk.h"
#include "common/datum.h"
#include "common/util.h"

#define HEADER_STEP	(64U * 1024)
#define SEARCH_STEP	(256U * 1024)
/* Blocks of which some are read at once. */
#define SMALL_BLOCK	(SEARCH_STEP / 4)

enum parsed {
	PARSED_WHOLE,
	PARSED_SHORT,	/* more bytes may help */
	PARSED_BAD,
};

static enum avro_walk_status
damaged(struct avro_walk *walk, const char *why)
{
	walk->why = why;
	return AVRO_WALK_DAMAGED;
}

/* Up to `size' bytes; fewer only at the end of the file. */
static ssize_t
read_some(int fd, void *data, size_t size, uint64_t offset)
{
	size_t done = 0;
	ssize_t got;

	while (done < size) {
		got = pread(fd, (uint8_t *)data + done, size - done,
		    (off_t)(offset + done));
		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

bool
avro_walk_read(const struct avro_walk *walk, void *data, size_t size,
    uint64_t offset)
{
	return read_some(walk->fd, data, size, offset) == (ssize_t)size;
}

static enum parsed
get_long(const uint8_t **at, const uint8_t *end, int64_t *value)
{
	switch (datum_get_long(at, end, value)) {
	case DATUM_OK:
		return PARSED_WHOLE;
	case DATUM_SHORT:
		return PARSED_SHORT;
	default:
		return PARSED_BAD;
	}
}

/* A string or bytes: *data points into the buffer. */
static enum parsed
get_bytes(const uint8_t **at, const uint8_t *end, const uint8_t **data,
    size_t *size)
{
	enum parsed parsed;
	int64_t length;

	parsed = get_long(at, end, &length);
	if (parsed != PARSED_WHOLE)
		return parsed;
	if (length < 0 || (uint64_t)length > AVRO_HEADER_MAX)
		return PARSED_BAD;
	if ((uint64_t)length > (uint64_t)(end - *at))
		return PARSED_SHORT;
	*data = *at;
	*size = (size_t)length;
	*at += length;
	return PARSED_WHOLE;
}

/* The number of entries that follow in the map, 0 at its end. */
static enum parsed
get_count(const uint8_t **at, const uint8_t *end, uint64_t *count)
{
	enum parsed parsed;
	int64_t value, size;

	parsed = get_long(at, end, &value);
	if (parsed != PARSED_WHOLE)
		return parsed;
	if (value == INT64_MIN)
		return PARSED_BAD;
	*count = (uint64_t)(value < 0 ? -value : value);
	/* A negative count is followed by the size of the entries. */
	return value < 0 ? get_long(at, end, &size) : PARSED_WHOLE;
}

struct entry {
	const uint8_t	*key;
	size_t		 key_size;
	const uint8_t	*value;
	size_t		 value_size;
};

/*
 * Goes through the map of the header, up to the entry of `key' (NULL: to its
 * end).  *at is left behind what was read.
 */
static enum parsed
walk_map(const uint8_t **at, const uint8_t *end, const char *key,
    struct entry *entry)
{
	enum parsed parsed;
	uint64_t count;

	while ((parsed = get_count(at, end, &count)) == PARSED_WHOLE &&
	    count > 0) {
		for (; count > 0; count--) {
			parsed = get_bytes(at, end, &entry->key,
			    &entry->key_size);
			if (parsed == PARSED_WHOLE)
				parsed = get_bytes(at, end, &entry->value,
				    &entry->value_size);
			if (parsed != PARSED_WHOLE)
				return parsed;
			if (key != NULL && entry->key_size == strlen(key) &&
			    memcmp(entry->key, key, entry->key_size) == 0)
				return PARSED_WHOLE;
		}
	}
	entry->key = NULL;
	return parsed;
}

static const uint8_t	magic[4] = {'O', 'b', 'j', 1};

static enum parsed
parse_header(struct avro_walk *walk, size_t have)
{
	const uint8_t *at = walk->header, *end = walk->header + have;
	struct entry entry;
	enum parsed parsed;

	if (memcmp(at, magic, MIN_OF(have, sizeof(magic))) != 0)
		return PARSED_BAD;
	if (have < sizeof(magic))
		return PARSED_SHORT;
	at += sizeof(magic);
	parsed = walk_map(&at, end, NULL, &entry);
	if (parsed != PARSED_WHOLE)
		return parsed;
	if (end - at < AVRO_SYNC_SIZE)
		return PARSED_SHORT;
	memcpy(walk->sync, at, AVRO_SYNC_SIZE);
	walk->header_size = (size_t)(at - walk->header) + AVRO_SYNC_SIZE;
	return PARSED_WHOLE;
}

static enum avro_walk_status
read_header(struct avro_walk *walk)
{
	uint64_t most = MIN_OF(walk->size, AVRO_HEADER_MAX);
	size_t room = HEADER_STEP;
	enum parsed parsed;
	ssize_t got;

	for (;; room *= 2) {
		room = MIN_OF(room, (size_t)most);
		walk->header = xrealloc(walk->header, room);
		got = read_some(walk->fd, walk->header, room, 0);
		if (got == -1)
			return AVRO_WALK_ERROR;
		parsed = parse_header(walk, (size_t)got);
		if (parsed == PARSED_WHOLE) {
			walk->header = xrealloc(walk->header,
			    walk->header_size);
			return AVRO_WALK_OK;
		}
		if (parsed == PARSED_BAD)
			return damaged(walk, "not an Avro file's header");
		if (room == most || (size_t)got < room)
			return damaged(walk, "the header is cut off");
	}
}

enum avro_walk_status
avro_walk_open(struct avro_walk *walk, int fd)
{
	enum avro_walk_status status;
	struct stat st;

	memset(walk, 0, sizeof(*walk));
	walk->fd = fd;
	if (fstat(fd, &st) == -1)
		return AVRO_WALK_ERROR;
	if (!S_ISREG(st.st_mode))
		return damaged(walk, "not a regular file");
	if (st.st_size == 0)
		return damaged(walk, "empty");
	walk->size = (uint64_t)st.st_size;
	status = read_header(walk);
	walk->offset = walk->header_size;
	return status;
}

void
avro_walk_close(struct avro_walk *walk)
{
	free(walk->header);
	free(walk->window);
	walk->header = NULL;
	walk->window = NULL;
}

const char *
avro_walk_head(const struct avro_walk *walk, const uint8_t *head, size_t have,
    struct avro_walk_block *block)
{
	const uint8_t *at = head, *end = head + have;
	int64_t records, size;

	if (get_long(&at, end, &records) != PARSED_WHOLE ||
	    get_long(&at, end, &size) != PARSED_WHOLE)
		return "no whole block head";
	if (records <= 0)
		return "a block without records";
	if (size <= 0 || (uint64_t)size > AVRO_BLOCK_MAX)
		return "a block of an impossible size";
	block->offset = walk->offset;
	block->records = (uint64_t)records;
	block->data_offset = walk->offset + (uint64_t)(at - head);
	block->data_size = (uint64_t)size;
	block->size = (uint64_t)(at - head) + (uint64_t)size + AVRO_SYNC_SIZE;
	if (block->size > walk->size - walk->offset)
		return "the block is cut off";
	return NULL;
}

/*** Bytes in the window. ***/

static bool
has_seen(const struct avro_walk *walk, uint64_t offset, size_t size)
{
	return offset >= walk->window_offset && offset + size <=
	    walk->window_offset + walk->window_size;
}

/* An error leaves nothing in it. */
static void
fill_window(struct avro_walk *walk, uint64_t offset)
{
	ssize_t got;

	if (walk->window == NULL)
		walk->window = xmalloc(SEARCH_STEP);
	got = read_some(walk->fd, walk->window, SEARCH_STEP, offset);
	walk->window_offset = offset;
	walk->window_size = got > 0 ? (size_t)got : 0;
}

const uint8_t *
avro_walk_seen(const struct avro_walk *walk, uint64_t offset, size_t size)
{
	return walk->ahead && has_seen(walk, offset, size) ?
	    walk->window + (offset - walk->window_offset) : NULL;
}

void
avro_walk_resize(struct avro_walk *walk, uint64_t size)
{
	walk->size = size;
	walk->window_size = 0;
}

static ssize_t
read_at(const struct avro_walk *walk, void *data, size_t size,
    uint64_t offset)
{
	const uint8_t *seen = avro_walk_seen(walk, offset, size);

	if (seen == NULL)
		return read_some(walk->fd, data, size, offset);
	memcpy(data, seen, size);
	return (ssize_t)size;
}

/*** Block by block. ***/

/* The block at walk->offset as a whole, and those behind it; its head may be
 * all that is known. */
static void
look_ahead(struct avro_walk *walk, uint64_t size)
{
	if (walk->ahead && !walk->large &&
	    !has_seen(walk, walk->offset, (size_t)size))
		fill_window(walk, walk->offset);
}

enum avro_walk_status
avro_walk_next(struct avro_walk *walk, struct avro_walk_block *block)
{
	uint8_t head[AVRO_HEAD_MAX], sync[AVRO_SYNC_SIZE];
	const char *why;
	ssize_t got;

	if (walk->offset >= walk->size)
		return AVRO_WALK_END;
	look_ahead(walk, sizeof(head));
	got = read_at(walk, head, sizeof(head), walk->offset);
	if (got == -1)
		return AVRO_WALK_ERROR;
	why = avro_walk_head(walk, head, (size_t)got, block);
	if (why != NULL)
		return damaged(walk, why);
	walk->large = block->size > SMALL_BLOCK;
	look_ahead(walk, block->size);
	got = read_at(walk, sync, sizeof(sync),
	    walk->offset + block->size - sizeof(sync));
	if (got == -1)
		return AVRO_WALK_ERROR;
	if (got != sizeof(sync) || memcmp(sync, walk->sync, sizeof(sync)) != 0)
		return damaged(walk, "no sync marker behind the block");
	walk->offset += block->size;
	return AVRO_WALK_OK;
}

/* Has the file from `from' on in the window, a marker's length at least; false
 * when there is no more. */
static bool
look_at(struct avro_walk *walk, uint64_t from)
{
	if (has_seen(walk, from, AVRO_SYNC_SIZE))
		return true;
	fill_window(walk, from);
	walk->searched += walk->window_size;
	return walk->window_size >= AVRO_SYNC_SIZE;
}

bool
avro_walk_resync(struct avro_walk *walk, uint64_t from)
{
	const uint8_t *found;
	size_t skip;

	while (look_at(walk, from)) {
		skip = (size_t)(from - walk->window_offset);
		found = memmem(walk->window + skip, walk->window_size - skip,
		    walk->sync, AVRO_SYNC_SIZE);
		if (found != NULL) {
			walk->offset = walk->window_offset +
			    (uint64_t)(found - walk->window) + AVRO_SYNC_SIZE;
			return true;
		}
		/* A marker may lie across two steps. */
		from = walk->window_offset + walk->window_size -
		    AVRO_SYNC_SIZE + 1;
	}
	return false;
}

const uint8_t *
avro_walk_meta(const struct avro_walk *walk, const char *key, size_t *size)
{
	const uint8_t *at = walk->header + sizeof(magic);
	struct entry entry;

	if (walk->header_size == 0)
		return NULL;
	if (walk_map(&at, walk->header + walk->header_size, key, &entry) !=
	    PARSED_WHOLE || entry.key == NULL)
		return NULL;
	*size = entry.value_size;
	return entry.value;
}
