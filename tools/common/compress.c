/* SPDX-License-Identifier: ISC */
/*
 * The codecs of Avro container blocks, the writing half.  Tools.
 */
#include <assert.h>
#include <stdbool.h>
#include <string.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef HAVE_SNAPPY
#include <snappy-c.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "tools/common/compress.h"

#ifdef HAVE_ZLIB
static bool
deflate_block(const uint8_t *data, size_t size, struct buffer *out)
{
	z_stream stream = {
		.next_in = (Bytef *)(uintptr_t)data,
		.avail_in = (uInt)size,
	};
	bool good;

	if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
	    -MAX_WBITS, MAX_MEM_LEVEL - 1, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	buffer_reserve(out, deflateBound(&stream, size));
	stream.next_out = out->data;
	stream.avail_out = (uInt)out->room;
	good = deflate(&stream, Z_FINISH) == Z_STREAM_END;
	out->size = stream.total_out;
	deflateEnd(&stream);
	return good;
}
#endif

#if defined(HAVE_ZLIB) && defined(HAVE_SNAPPY)
static bool
snappy_block(const uint8_t *data, size_t size, struct buffer *out)
{
	const uint32_t crc = (uint32_t)crc32(0, data, (uInt)size);

	buffer_reserve(out, snappy_max_compressed_length(size) + sizeof(crc));
	out->size = out->room;
	if (snappy_compress((const char *)data, size, (char *)out->data,
	    &out->size) != SNAPPY_OK)
		return false;
	for (unsigned shift = 32; shift > 0; shift -= 8)
		out->data[out->size++] = (uint8_t)(crc >> (shift - 8));
	return true;
}
#endif

#ifdef HAVE_ZSTD
static bool
zstd_block(const uint8_t *data, size_t size, struct buffer *out)
{
	buffer_reserve(out, ZSTD_compressBound(size));
	out->size = ZSTD_compress(out->data, out->room, data, size,
	    ZSTD_CLEVEL_DEFAULT);
	return !ZSTD_isError(out->size);
}
#endif

bool
compress_block(enum codec codec, const uint8_t *data, size_t size,
    struct buffer *out)
{
	switch (codec) {
	case CODEC_NULL:
		buffer_reserve(out, size);
		memcpy(out->data, data, size);
		out->size = size;
		return true;
#ifdef HAVE_ZLIB
	case CODEC_DEFLATE:
		return deflate_block(data, size, out);
#ifdef HAVE_SNAPPY
	case CODEC_SNAPPY:
		return snappy_block(data, size, out);
#endif
#endif
#ifdef HAVE_ZSTD
	case CODEC_ZSTANDARD:
		return zstd_block(data, size, out);
#endif
	default:
		assert(!"a codec that codec_find() does not return");
		return false;
	}
}
