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

/* Room for so much, and no more when that was for one large record. */
static void
make_room(struct source *source, size_t size)
{
	struct buffer *piece = &source->piece;

	if (piece->room > source->shared->piece &&
	    size <= source->shared->piece) {
		free(piece->data);
		*piece = (struct buffer){0};
	}
	buffer_reserve(piece, size);
	piece->size = size;
}

static void
keep_piece(struct source *source)
{
	const size_t size = MIN_OF(source->block.good_size,
	    source->shared->piece);

	source->left = source->block.good;
	source->at = source->piece_at = 0;
	make_room(source, size);
	if (size > 0)
		memcpy(source->piece.data, source->block.data, size);
	source->block.data = source->block.stored = NULL;
}

static void
note_damage(struct source *source)
{
	progress_clear(source->shared->progress);
	log_warnx("%s: damaged at offset %" PRIu64 ": %s; going on behind it",
	    source->path, source->block.offset, source->block.damage);
	source->damaged++;
}

bool
source_next_block(struct source *source)
{
	enum reader_status status;
	const char *why;

	lend(source);
	status = reader_next(source->reader, &source->block, &why);
	/* The last block of what is being written may be to come. */
	if (status == READER_OK && source->block.open_end)
		status = READER_END;
	if (status == READER_OK)
		keep_piece(source);
	take_back(source);
	if (status == READER_UNUSABLE)
		source_unusable(source, why);
	else if (status == READER_OK && source->block.damage != NULL)
		note_damage(source);
	return status == READER_OK;
}

/* Reads a piece of the block again, from the record on. */
static bool
read_piece(struct source *source, size_t size)
{
	bool good;

	make_room(source, MIN_OF(size, source->block.good_size - source->at));
	source->piece_at = source->at;
	lend(source);
	good = reader_piece(source->reader, &source->block, source->at,
	    source->piece.size, &source->piece);
	take_back(source);
	return good;
}

bool
source_next_record(struct source *source)
{
	const size_t room = source->shared->piece;
	size_t behind = source->at - source->piece_at, size;

	while (records_read(&source->reader->records, source->piece.data +
	    behind, source->piece.size - behind, &source->record) != NULL) {
		size = source->piece.size - behind;
		if (source->at + size >= source->block.good_size)
			return false;
		if (!read_piece(source, MAX_OF(room, behind == 0 ? 2 * size :
		    0)))
			return false;
		behind = 0;
	}
	source->at += source->record.size;
	source->left--;
	return true;
}

bool
source_has_to_read(const struct source *source)
{
	return source->left == 0 || source->at >= source->piece_at +
	    source->piece.size;
}
