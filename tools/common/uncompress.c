/* SPDX-License-Identifier: ISC */
/*
 * The codecs of Avro container blocks, the reading half.  Tools.
 */
#include <stdbool.h>
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
static ATTR_UNUSED bool
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

static ATTR_UNUSED const char too_large[] = "uncompresses to too much";

#ifdef HAVE_ZLIB
/*
 * Behind the end of the data there may be bytes that nobody reads: Python's
 * writer leaves a part of zlib's checksum there.
 */
static const char *
inflate_block(const uint8_t *data, size_t size, size_t limit,
    struct buffer *out)
{
	z_stream stream = {
		.next_in = (Bytef *)(uintptr_t)data,
		.avail_in = (uInt)size,
	};
	const char *why = NULL;
	int rc = Z_OK;

	if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
		return "cannot allocate an inflater";
	while (why == NULL && rc != Z_STREAM_END) {
		if (!grow(out, limit)) {
			why = too_large;
			break;
		}
		stream.next_out = out->data + out->size;
		stream.avail_out = (uInt)(MIN_OF(out->room, limit) -
		    out->size);
		rc = inflate(&stream, Z_NO_FLUSH);
		out->size = (size_t)(stream.next_out - out->data);
		if (rc == Z_BUF_ERROR ||
		    (rc == Z_OK && stream.avail_in == 0 &&
		    stream.avail_out > 0))
			why = "the compressed data are cut short";
		else if (rc != Z_OK && rc != Z_STREAM_END)
			why = "the compressed data are damaged";
	}
	inflateEnd(&stream);
	return why;
}
#endif

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
		return "the compressed data are cut short";
	size -= 4;
	given = (uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 |
	    (uint32_t)crc[2] << 8 | crc[3];
	if (snappy->length((const char *)data, size, &length) != SNAPPY_OK)
		return "the compressed data are damaged";
	/* No data grow by more than this; a lie would cost memory. */
	if (length > limit || length / 64 > size)
		return too_large;
	buffer_reserve(out, length);
	out->size = length;
	if (length == 0 || snappy->uncompress((const char *)data,
	    size, (char *)out->data, &out->size) != SNAPPY_OK)
		return "the compressed data are damaged";
	if (crc32(0, out->data, (uInt)out->size) != given)
		return "the checksum (CRC-32) is wrong";
	return NULL;
}
#endif

#ifdef HAVE_ZSTD
static const char *
unzstd_block(const uint8_t *data, size_t size, size_t limit,
    struct buffer *out)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	ZSTD_inBuffer input = { .src = data, .size = size };
	ZSTD_outBuffer output;
	const char *why = NULL;
	size_t rc = 1;

	if (context == NULL)
		return "cannot allocate a decompressor";
	while (why == NULL && (rc != 0 || input.pos < input.size)) {
		if (!grow(out, limit)) {
			why = too_large;
			break;
		}
		output = (ZSTD_outBuffer){
			.dst = out->data,
			.size = MIN_OF(out->room, limit),
			.pos = out->size,
		};
		rc = ZSTD_decompressStream(context, &output, &input);
		out->size = output.pos;
		if (ZSTD_isError(rc))
			why = "the compressed data are damaged";
		else if (rc != 0 && input.pos == input.size &&
		    output.pos < output.size)
			why = "the compressed data are cut short";
	}
	ZSTD_freeDCtx(context);
	return why;
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
uncompress_block(enum archive_codec codec, const uint8_t *data ATTR_UNUSED,
    size_t size ATTR_UNUSED, size_t limit ATTR_UNUSED, struct buffer *out)
{
	out->size = 0;
	switch (codec) {
#ifdef HAVE_ZLIB
	case CODEC_DEFLATE:
		return inflate_block(data, size, limit, out);
#endif
#if defined(HAVE_ZLIB) && defined(HAVE_SNAPPY)
	case CODEC_SNAPPY:
		return unsnappy_block(data, size, limit, out);
#endif
#ifdef HAVE_ZSTD
	case CODEC_ZSTANDARD:
		return unzstd_block(data, size, limit, out);
#endif
	default:
		fatalx("there is no codec %s", codec_name(codec));
	}
}
