/* SPDX-License-Identifier: ISC */
/*
 * The blocks of the records of a channel, piece by piece.  mcrelay-replay.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "tools/replay/source_priv.h"

/* The buffers of all are the reader's for as long as it reads. */
static void
lend(struct source *source)
{
	if (source->reader != &source->file)
		return;
	source->file.stored = source->shared->stored;
	source->file.plain = source->shared->plain;
}

static void
take_back(struct source *source)
{
	if (source->reader != &source->file)
		return;
	source->shared->stored = source->file.stored;
	source->shared->plain = source->file.plain;
	source->file.stored = source->file.plain = (struct buffer){0};
}

/* What a record that lies across two pieces is tried with first. */
#define ACROSS_BYTES	((size_t)4 << 10)

/* Decompressors in the middle of a block, and blocks of a codec without pieces,
 * have so much together; beyond that what is before a piece is uncompressed
 * again for it. */
#define HELD_BYTES	((size_t)256 << 20)

/* Room for so much, and no more when that was for one large record.  A back end
 * that has pieces itself leaves no room for others. */
static void
make_room(struct source *source, size_t size)
{
	const size_t most = source->reader->file.ops == &reading_pread ?
	    source->shared->piece : ACROSS_BYTES;
	struct buffer *kept = &source->kept;

	if (kept->room > most && size <= most) {
		kept->data = xrealloc(kept->data, MAX_OF(size, (size_t)1));
		kept->room = size;
	}
	buffer_reserve(kept, size);
	kept->size = size;
}

/* Whether the decompressor is kept, or there is none. */
static void
hold(struct source *source, bool kept)
{
	struct source_shared *shared = source->shared;

	shared->held -= source->held;
	source->held = uncompress_memory(&source->pieces);
	if (!kept || shared->held + source->held > HELD_BYTES) {
		uncompress_end(&source->pieces);
		source->held = 0;
	}
	shared->held += source->held;
}

void
source_forget_block(struct source *source)
{
	hold(source, false);
	source->left = 0;
	source->comes = false;
}

/* What is kept of the block is its first piece. */
static void
begin_pieces(struct source *source)
{
	source->left = source->block.good;
	source->at = source->piece_at = 0;
	source->piece = source->kept.data;
	source->piece_size = source->kept.size;
	source->block.data = source->block.stored = NULL;
}

static void
keep_piece(struct source *source)
{
	struct source_shared *shared = source->shared;
	size_t size = source->block.good_size;

	if (size > shared->piece && shared->held + size <= HELD_BYTES &&
	    !uncompress_has_pieces(source->reader->codec))
		shared->held += source->held = size;
	else
		size = MIN_OF(size, shared->piece);
	make_room(source, size);
	if (source->kept.size > 0)
		memcpy(source->kept.data, source->block.data,
		    source->kept.size);
}

static void
note_damage(struct source *source)
{
	progress_clear(source->shared->progress);
	log_warnx("%s: damaged at offset %" PRIu64 ": %s; going on behind it",
	    source->path, source->block.offset, source->block.damage);
	source->damaged++;
}

/* The next block, looked at to its end, and a piece of it kept. */
static enum reader_status
look_at_block(struct source *source, const char **why)
{
	enum reader_status status;

	make_room(source, 0);
	if (reader_check(source->reader, &source->block,
	    source->shared->piece, &source->kept))
		return READER_OK;
	status = reader_next(source->reader, &source->block, why);
	/* The last block of what is being written may be to come. */
	if (status == READER_OK && source->block.open_end)
		status = READER_END;
	if (status == READER_OK)
		keep_piece(source);
	return status;
}

static bool
take_block(struct source *source)
{
	enum reader_status status;
	const char *why;

	source_forget_block(source);
	lend(source);
	status = look_at_block(source, &why);
	take_back(source);
	if (status == READER_OK)
		begin_pieces(source);
	if (status == READER_UNUSABLE)
		source_unusable(source, why);
	else if (status == READER_OK && source->block.damage != NULL)
		note_damage(source);
	return status == READER_OK;
}

/* What came is not what was expected: what of it is good, as a whole, without
 * the records that have been sent. */
static bool
take_block_again(struct source *source)
{
	uint64_t sent = source->sent;

	source->comes = false;
	if (!take_block(source))
		return false;
	while (sent > 0 && source->left > 0 && source_next_record(source))
		sent--;
	return true;
}

static bool
begin_block(struct source *source)
{
	if (source->reader == &source->file &&
	    reader_can_send(source->reader)) {
		lend(source);
		source->comes = reader_head(source->reader, &source->block);
		take_back(source);
	}
	if (!source->comes)
		return take_block(source);
	source->left = source->block.records;
	source->sent = 0;
	source->at = source->piece_at = source->piece_size = 0;
	source->piece = (const uint8_t *)"";
	/* For where it is in the file. */
	source->block.good_size = source->block.stored_size;
	return true;
}

bool
source_next_block(struct source *source)
{
	bool whole;

	if (!source->comes)
		return begin_block(source);
	lend(source);
	whole = source->at == source->block.stored_size &&
	    reader_tail(source->reader, &source->block);
	take_back(source);
	source->comes = false;
	return whole ? begin_block(source) : take_block_again(source);
}

/* The next piece of the block, from the record on; what there is of that is
 * kept. */
static bool
read_piece(struct source *source, size_t size)
{
	const size_t behind = source->at - source->piece_at;
	const size_t have = source->piece_size - behind;
	struct buffer *kept = &source->kept;
	bool good;

	size = MIN_OF(size, source->block.good_size - source->at);
	memmove(kept->data, kept->data + behind, have);
	make_room(source, size);
	lend(source);
	good = reader_piece(source->reader, &source->block, &source->pieces,
	    source->at + have, size - have, kept->data + have);
	take_back(source);
	hold(source, good && source->at + size < source->block.good_size);
	source->piece = kept->data;
	source->piece_size = size;
	return good;
}

/* The next piece of what comes, with so much in it if there is so much. */
static bool
await_piece(struct source *source, size_t least)
{
	const size_t left = source->block.stored_size - source->at;

	make_room(source, 0);
	source->piece = reader_data(source->reader, &source->block,
	    source->at, MIN_OF(least, left), &source->kept,
	    &source->piece_size);
	return source->piece != NULL;
}

static bool
next_piece(struct source *source)
{
	const size_t behind = source->at - source->piece_at;
	const size_t size = source->piece_size - behind;
	bool good;

	if (source->at + size >= source->block.good_size)
		return false;
	if (source->comes)
		good = await_piece(source, size == 0 ? 1 : MAX_OF(2 * size,
		    ACROSS_BYTES));
	else
		good = read_piece(source, MAX_OF(source->shared->piece,
		    behind == 0 || size >= source->shared->piece ?
		    2 * size : 0));
	source->piece_at = source->at;
	return good;
}

bool
source_is_cut(const struct source *source)
{
	return source->reader != NULL && source->reader->file.cut;
}

bool
source_next_record(struct source *source)
{
	size_t behind = source->at - source->piece_at;

	while (records_read(&source->reader->records, source->piece + behind,
	    source->piece_size - behind, &source->record) != NULL) {
		if (!next_piece(source))
			return false;
		behind = 0;
	}
	if (source_is_cut(source))
		return false;
	source->at += source->record.size;
	source->left--;
	source->sent++;
	return true;
}

bool
source_recover(struct source *source)
{
	return source->comes && take_block_again(source);
}

bool
source_has_to_read(const struct source *source)
{
	if (source->left != 0 && source->at < source->piece_at +
	    source->piece_size)
		return false;
	return !source->comes || !reading_at_hand(&source->file.file,
	    source->block.data_offset + source->at);
}
