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
	    reader->codec == CODEC_SNAPPY ? READER_BLOCK_MAX : size,
	    &reader->plain);
	return reader->plain.size >= size;
}

bool
reader_piece(struct reader *reader, const struct reader_block *block,
    size_t at, size_t size, struct buffer *out)
{
	buffer_reserve(out, size);
	out->size = size;
	if (reader->codec == CODEC_NULL)
		return reading_copy(&reader->file, out->data, size,
		    block->data_offset + at);
	if (!uncompress_again(reader, block, at + size))
		return false;
	memcpy(out->data, reader->plain.data + at, size);
	return true;
}
