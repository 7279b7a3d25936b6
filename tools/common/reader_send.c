/* SPDX-License-Identifier: ISC */
/*
 * Blocks of a container file in pieces, for who sends them on.  Tools.
 */
#include <string.h>

#include "common/util.h"
#include "tools/common/reader.h"

bool
reader_can_send(const struct reader *reader)
{
	/* What follows the last block of one that is being written can look
	 * like another one. */
	return !reader->unfinished && reader->codec_known &&
	    reader->codec == CODEC_NULL && reader->records.program != NULL;
}

bool
reader_head(struct reader *reader, struct reader_block *block)
{
	struct avro_walk *walk = &reader->walk;
	struct avro_walk_block found;
	const uint8_t *head;
	size_t got;

	if (walk->offset >= walk->size)
		return false;
	got = (size_t)MIN_OF(walk->size - walk->offset, AVRO_HEAD_MAX);
	head = reading_view(&reader->file, walk->offset, got, got,
	    &reader->stored, &got);
	if (head == NULL || avro_walk_head(walk, head, got, &found) != NULL ||
	    found.data_size > READER_BLOCK_MAX)
		return false;
	*block = (struct reader_block){
		.offset = found.offset,
		.size = found.size,
		.data_offset = found.data_offset,
		.records = found.records,
		.stored_size = found.data_size,
		.first_ns = RECORDS_NO_TIME,
		.last_ns = RECORDS_NO_TIME,
	};
	return true;
}

const uint8_t *
reader_data(struct reader *reader, const struct reader_block *block,
    size_t at, size_t least, struct buffer *room, size_t *got)
{
	return reading_view(&reader->file, block->data_offset + at, least,
	    block->stored_size - at, room, got);
}

bool
reader_tail(struct reader *reader, const struct reader_block *block)
{
	const uint8_t *sync;
	size_t got;

	sync = reading_view(&reader->file, block->offset + block->size -
	    AVRO_SYNC_SIZE, AVRO_SYNC_SIZE, AVRO_SYNC_SIZE, &reader->stored,
	    &got);
	if (sync == NULL || reader->file.cut ||
	    memcmp(sync, reader->walk.sync, AVRO_SYNC_SIZE) != 0)
		return false;
	reader->walk.offset += block->size;
	return true;
}

/* What is read, and what is uncompressed, at a time. */
#define STORED_BYTES	((size_t)16 << 10)
#define WINDOW_BYTES	((size_t)64 << 10)

/* The next `size' bytes of the data; fewer only at their end. */
static bool
next_bytes(struct reader *reader, const struct reader_block *block,
    struct uncompress *pieces, uint8_t *out, size_t size, size_t *got)
{
	const uint8_t *stored = (const uint8_t *)"";
	size_t left, have, some;

	for (*got = 0; *got < size && !pieces->ended; *got += some) {
		left = block->stored_size - (size_t)pieces->took;
		have = 0;
		if (left > 0)
			stored = reading_view(&reader->file,
			    block->data_offset + pieces->took, 1,
			    MIN_OF(left, STORED_BYTES), &reader->stored,
			    &have);
		if (stored == NULL || uncompress_piece(pieces, stored, have,
		    have == left, out + *got, size - *got, &some) != NULL)
			return false;
	}
	return true;
}

/* Appends what there is room for, of `most' bytes. */
static void
keep_first(struct buffer *first, const uint8_t *data, size_t size, size_t most)
{
	const size_t some = MIN_OF(size, most - first->size);

	if (some == 0)
		return;
	if (first->room < first->size + some)
		buffer_reserve(first, MIN_OF(most, MAX_OF(2 * first->room,
		    first->size + some)));
	memcpy(first->data + first->size, data, some);
	first->size += some;
}

/* How many bytes of them are whole records. */
static size_t
walk_records(const struct reader *reader, struct reader_block *block,
    const struct buffer *window)
{
	struct record record;
	size_t at = 0;

	while (block->good < block->records && records_read(&reader->records,
	    window->data + at, window->size - at, &record) == NULL) {
		at += record.size;
		block->good++;
	}
	block->good_size += at;
	return at;
}

/* Whether they are as many as claimed, and fill the block. */
static bool
check_pieces(struct reader *reader, struct reader_block *block,
    struct uncompress *pieces, size_t size, struct buffer *first)
{
	struct buffer *window = &reader->plain;
	size_t got, walked;
	uint8_t *to;

	window->size = 0;
	do {
		if (window->size == window->room)
			buffer_reserve(window, MAX_OF(2 * window->room,
			    WINDOW_BYTES));
		to = window->data + window->size;
		if (!next_bytes(reader, block, pieces, to,
		    MIN_OF(window->room - window->size, MAX_OF(window->size,
		    WINDOW_BYTES)), &got))
			return false;
		keep_first(first, to, got, size);
		window->size += got;
		walked = walk_records(reader, block, window);
		window->size -= walked;
		memmove(window->data, window->data + walked, window->size);
	} while (!pieces->ended && pieces->gave < READER_BLOCK_MAX);
	return pieces->ended && window->size == 0 &&
	    block->good == block->records;
}

bool
reader_check(struct reader *reader, struct reader_block *block, size_t size,
    struct buffer *first)
{
	struct uncompress pieces;
	bool good;

	if (!uncompress_has_pieces(reader->codec) ||
	    !reader_head(reader, block) ||
	    !uncompress_begin(&pieces, reader->codec))
		return false;
	first->size = 0;
	good = check_pieces(reader, block, &pieces, size, first) &&
	    reader_tail(reader, block);
	uncompress_end(&pieces);
	return good;
}

/* Its first `size' bytes.  What is wrong with the others does not matter. */
static bool
uncompress_again(struct reader *reader, const struct reader_block *block,
    size_t size)
{
	const uint8_t *stored;
	size_t got;

	stored = reading_view(&reader->file, block->data_offset,
	    block->stored_size, block->stored_size, &reader->stored, &got);
	if (stored == NULL)
		return false;
	(void)uncompress_block(reader->codec, stored, block->stored_size,
	    READER_BLOCK_MAX, &reader->plain);
	return reader->plain.size >= size;
}

/* Up to that byte nobody needs them. */
static bool
skip_to(struct reader *reader, const struct reader_block *block,
    struct uncompress *pieces, size_t at)
{
	size_t got = 1;

	uncompress_end(pieces);
	if (!uncompress_begin(pieces, reader->codec))
		return false;
	buffer_reserve(&reader->plain, WINDOW_BYTES);
	while (pieces->gave < at && got > 0)
		if (!next_bytes(reader, block, pieces, reader->plain.data,
		    MIN_OF(at - (size_t)pieces->gave, WINDOW_BYTES), &got))
			return false;
	return pieces->gave == at;
}

bool
reader_piece(struct reader *reader, const struct reader_block *block,
    struct uncompress *pieces, size_t at, size_t size, uint8_t *out)
{
	size_t got;

	if (reader->codec == CODEC_NULL)
		return reading_copy(&reader->file, out, size,
		    block->data_offset + at);
	if (uncompress_has_pieces(reader->codec)) {
		if ((pieces->state == NULL || pieces->gave != at) &&
		    !skip_to(reader, block, pieces, at))
			return false;
		return next_bytes(reader, block, pieces, out, size, &got) &&
		    got == size;
	}
	if (!uncompress_again(reader, block, at + size))
		return false;
	memcpy(out, reader->plain.data + at, size);
	return true;
}
