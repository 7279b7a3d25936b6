/* SPDX-License-Identifier: ISC */
/*
 * The codecs of Avro container blocks, the reading half.  Tools.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "common/codec.h"
#include "common/log.h"
#ifdef HAVE_SNAPPY
#include "common/snappy.h"
#endif
#include "common/util.h"
#include "tools/common/uncompress.h"

/* How much more room an unfinished block gets at a time, at first. */
#define GROW_BYTES	(256U * 1024)

void
buffer_reserve(struct buffer *buffer, size_t size)
{
	if (size <= buffer->room)
		return;
	buffer->data = xrealloc(buffer->data, size);
	buffer->room = size;
}

/* Whether there is room for more, within the limit. */
static bool
grow(struct buffer *out, size_t limit)
{
	if (out->size < out->room && out->size < limit)
		return true;
	if (out->size >= limit)
		return false;
	buffer_reserve(out, MIN_OF(limit,
	    MAX_OF(2 * out->room, (size_t)GROW_BYTES)));
	return true;
}

static const char too_large[] = "uncompresses to too much";

static ATTR_UNUSED const char cut_short[] =
    "the compressed data are cut short";
static ATTR_UNUSED const char data_damaged[] =
    "the compressed data are damaged";

#ifdef HAVE_ZLIB
/* What zlib has beside its window of 32 KiB. */
#define INFLATE_BYTES	((size_t)40 << 10)

static void *
inflate_begin(void)
{
	z_stream *stream = xcalloc(1, sizeof(*stream));

	if (inflateInit2(stream, -MAX_WBITS) == Z_OK)
		return stream;
	free(stream);
	return NULL;
}

/*
 * Behind the end of the data there may be bytes that nobody reads: Python's
 * writer leaves a part of zlib's checksum there.
 */
static const char *
inflate_piece(struct uncompress *pieces, const uint8_t *data, size_t size,
    bool last, uint8_t *out, size_t room)
{
	z_stream *stream = pieces->state;
	int rc;

	stream->next_in = (Bytef *)(uintptr_t)data;
	stream->avail_in = (uInt)size;
	stream->next_out = out;
	stream->avail_out = (uInt)room;
	rc = inflate(stream, Z_NO_FLUSH);
	pieces->took += size - stream->avail_in;
	pieces->gave += room - stream->avail_out;
	pieces->ended = rc == Z_STREAM_END;
	if (rc == Z_BUF_ERROR || (rc == Z_OK && last &&
	    stream->avail_in == 0 && stream->avail_out > 0))
		return cut_short;
	return rc == Z_OK || pieces->ended ? NULL : data_damaged;
}
#endif

#ifdef HAVE_ZSTD
/* More than one frame may follow one another. */
static const char *
unzstd_piece(struct uncompress *pieces, const uint8_t *data, size_t size,
    bool last, uint8_t *out, size_t room)
{
	ZSTD_inBuffer input = { .src = data, .size = size };
	ZSTD_outBuffer output = { .dst = out, .size = room };
	size_t rc;

	do
		rc = ZSTD_decompressStream(pieces->state, &output, &input);
	while (!ZSTD_isError(rc) && input.pos < size && output.pos < room);
	pieces->took += input.pos;
	pieces->gave += output.pos;
	if (ZSTD_isError(rc))
		return data_damaged;
	pieces->ended = rc == 0 && last && input.pos == size;
	return rc != 0 && last && input.pos == size && output.pos < room ?
	    cut_short : NULL;
}
#endif

static const char *
copy_piece(struct uncompress *pieces, const uint8_t *data, size_t size,
    bool last, uint8_t *out, size_t room)
{
	const size_t some = MIN_OF(size, room);

	memcpy(out, data, some);
	pieces->took += some;
	pieces->gave += some;
	pieces->ended = last && some == size;
	return NULL;
}

bool
uncompress_has_pieces(enum archive_codec codec)
{
	return codec != CODEC_SNAPPY;
}

bool
uncompress_begin(struct uncompress *pieces, enum archive_codec codec)
{
	*pieces = (struct uncompress){ .codec = codec };
	switch (codec) {
	case CODEC_NULL:
		return true;
#ifdef HAVE_ZLIB
	case CODEC_DEFLATE:
		pieces->state = inflate_begin();
		break;
#endif
#ifdef HAVE_ZSTD
	case CODEC_ZSTANDARD:
		pieces->state = ZSTD_createDCtx();
		break;
#endif
	default:
		fatalx("codec %s has no pieces", codec_name(codec));
	}
	return pieces->state != NULL;
}

void
uncompress_end(struct uncompress *pieces)
{
#ifdef HAVE_ZLIB
	if (pieces->state != NULL && pieces->codec == CODEC_DEFLATE) {
		inflateEnd(pieces->state);
		free(pieces->state);
	}
#endif
#ifdef HAVE_ZSTD
	if (pieces->codec == CODEC_ZSTANDARD)
		ZSTD_freeDCtx(pieces->state);
#endif
	*pieces = (struct uncompress){0};
}

size_t
uncompress_memory(const struct uncompress *pieces)
{
#ifdef HAVE_ZLIB
	if (pieces->codec == CODEC_DEFLATE)
		return INFLATE_BYTES;
#endif
#ifdef HAVE_ZSTD
	if (pieces->codec == CODEC_ZSTANDARD)
		return ZSTD_sizeof_DCtx(pieces->state);
#endif
	return 0;
}

const char *
uncompress_piece(struct uncompress *pieces, const uint8_t *data, size_t size,
    bool last, uint8_t *out, size_t room, size_t *got)
{
	const uint64_t before = pieces->gave;
	const char *why;

	switch (pieces->codec) {
#ifdef HAVE_ZLIB
	case CODEC_DEFLATE:
		why = inflate_piece(pieces, data, size, last, out, room);
		break;
#endif
#ifdef HAVE_ZSTD
	case CODEC_ZSTANDARD:
		why = unzstd_piece(pieces, data, size, last, out, room);
		break;
#endif
	default:
		why = copy_piece(pieces, data, size, last, out, room);
	}
	*got = (size_t)(pieces->gave - before);
	return why;
}

static const char *
uncompress_all(enum archive_codec codec, const uint8_t *data, size_t size,
    size_t limit, struct buffer *out)
{
	struct uncompress pieces;
	const char *why = NULL;
	size_t got;

	if (!uncompress_begin(&pieces, codec))
		return "cannot allocate a decompressor";
	while (why == NULL && !pieces.ended) {
		if (!grow(out, limit)) {
			why = too_large;
			break;
		}
		why = uncompress_piece(&pieces, data + pieces.took,
		    size - pieces.took, true, out->data + out->size,
		    MIN_OF(out->room, limit) - out->size, &got);
		out->size += got;
	}
	uncompress_end(&pieces);
	return why;
}

#if defined(HAVE_ZLIB) && defined(HAVE_SNAPPY)
static const char *
unsnappy_block(const uint8_t *data, size_t size, size_t limit,
    struct buffer *out)
{
	const struct snappy *snappy = snappy_load();
	const uint8_t *crc = data + size - 4;
	size_t length;
	uint32_t given;

	if (size < 4)
		return cut_short;
	size -= 4;
	given = (uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 |
	    (uint32_t)crc[2] << 8 | crc[3];
	if (snappy->length((const char *)data, size, &length) != SNAPPY_OK)
		return data_damaged;
	/* No data grow by more than this; a lie would cost memory. */
	if (length > limit || length / 64 > size)
		return too_large;
	buffer_reserve(out, length);
	out->size = length;
	if (length == 0 || snappy->uncompress((const char *)data,
	    size, (char *)out->data, &out->size) != SNAPPY_OK)
		return data_damaged;
	if (crc32(0, out->data, (uInt)out->size) != given)
		return "the checksum (CRC-32) is wrong";
	return NULL;
}
#endif

bool
uncompress_find(const char *name, enum archive_codec *which)
{
	static const enum archive_codec codecs[] = {
		CODEC_NULL, CODEC_DEFLATE, CODEC_SNAPPY, CODEC_ZSTANDARD,
	};

	for (size_t i = 0; i < NITEMS(codecs); i++)
		if (strcmp(codec_name(codecs[i]), name) == 0) {
			*which = codecs[i];
			return codec_missing(codecs[i]) == NULL;
		}
	return false;
}

const char *
uncompress_block(enum archive_codec codec, const uint8_t *data, size_t size,
    size_t limit, struct buffer *out)
{
	out->size = 0;
#if defined(HAVE_ZLIB) && defined(HAVE_SNAPPY)
	if (codec == CODEC_SNAPPY)
		return unsnappy_block(data, size, limit, out);
#endif
	return uncompress_all(codec, data, size, limit, out);
}
