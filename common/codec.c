/* SPDX-License-Identifier: ISC */
/*
 * The codecs of Avro container files, the compressing half.  Each library is
 * optional when mcrelay is built.
 */
#include <assert.h>
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

struct codec {
	enum archive_codec	 which;
#ifdef HAVE_ZLIB
	z_stream		 zlib;
#endif
#ifdef HAVE_SNAPPY
	const struct snappy	*snappy;
#endif
#ifdef HAVE_ZSTD
	ZSTD_CCtx		*zstd;
#endif
};

const char *const codec_words[] = {
	[CODEC_NULL] = "null",
	[CODEC_DEFLATE] = "deflate",
	[CODEC_SNAPPY] = "snappy",
	[CODEC_ZSTANDARD] = "zstandard",
	NULL,
};

const char *
codec_name(enum archive_codec which)
{
	return codec_words[which < NITEMS(codec_words) - 1 ? which :
	    CODEC_NULL];
}

const char *
codec_missing(enum archive_codec which)
{
	switch (which) {
	case CODEC_NULL:
		break;
	case CODEC_DEFLATE:
#ifndef HAVE_ZLIB
		return "zlib1g-dev";
#endif
		break;
	case CODEC_SNAPPY:
#ifndef HAVE_ZLIB
		return "zlib1g-dev";	/* its CRC */
#endif
#ifdef HAVE_SNAPPY
		if (snappy_load() != NULL)
			break;
#endif
		return "libsnappy-dev";
	case CODEC_ZSTANDARD:
#ifndef HAVE_ZSTD
		return "libzstd-dev";
#endif
		break;
	}
	return NULL;
}

#ifdef HAVE_ZLIB

/*
 * Level 1: a recorder must keep up; level 6 takes more than three times as
 * long for a file that is four per cent smaller (measured with the example's
 * accelerometer: 8 and 27 ms of CPU for a megabyte).
 */
#define DEFLATE_LEVEL		1
/* Raw, as Avro wants it: no zlib header and checksum. */
#define DEFLATE_WINDOW		(-15)
#define DEFLATE_MEMORY		8

static void
deflate_open(struct codec *codec)
{
	if (deflateInit2(&codec->zlib, DEFLATE_LEVEL, Z_DEFLATED,
	    DEFLATE_WINDOW, DEFLATE_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
		fatalx("deflate: out of memory");
}

static size_t
deflate_block(struct codec *codec, const uint8_t *data, size_t size,
    uint8_t *out, size_t room)
{
	z_stream *zlib = &codec->zlib;
	int result;

	deflateReset(zlib);
	zlib->next_in = (z_const Bytef *)(uintptr_t)data;
	zlib->avail_in = (uInt)size;
	zlib->next_out = out;
	zlib->avail_out = (uInt)room;
	result = deflate(zlib, Z_FINISH);
	assert(result == Z_STREAM_END);
	return room - zlib->avail_out;
}

#endif /* HAVE_ZLIB */

#if defined(HAVE_SNAPPY) && defined(HAVE_ZLIB)

#define SNAPPY_CRC_SIZE		4

/* Avro's snappy block ends in the CRC-32 of the plain data, big-endian. */
static size_t
snappy_block(const struct snappy *snappy, const uint8_t *data, size_t size,
    uint8_t *out, size_t room)
{
	size_t length = room - SNAPPY_CRC_SIZE;
	unsigned long crc = crc32(0, data, (uInt)size);
	snappy_status status;

	status = snappy->compress((const char *)data, size, (char *)out,
	    &length);
	assert(status == SNAPPY_OK);
	out[length++] = (uint8_t)(crc >> 24);
	out[length++] = (uint8_t)(crc >> 16);
	out[length++] = (uint8_t)(crc >> 8);
	out[length++] = (uint8_t)crc;
	return length;
}

#endif /* HAVE_SNAPPY */

struct codec *
codec_new(enum archive_codec which)
{
	struct codec *codec = xcalloc(1, sizeof(*codec));

	assert(which != CODEC_NULL && codec_missing(which) == NULL);
	codec->which = which;
#ifdef HAVE_ZLIB
	if (which == CODEC_DEFLATE)
		deflate_open(codec);
#endif
#ifdef HAVE_SNAPPY
	if (which == CODEC_SNAPPY)
		codec->snappy = snappy_load();
#endif
#ifdef HAVE_ZSTD
	if (which == CODEC_ZSTANDARD) {
		codec->zstd = ZSTD_createCCtx();
		if (codec->zstd == NULL)
			fatalx("zstandard: out of memory");
		/* A damaged block is found out when it is read. */
		ZSTD_CCtx_setParameter(codec->zstd, ZSTD_c_checksumFlag, 1);
	}
#endif
	return codec;
}

void
codec_free(struct codec *codec)
{
	if (codec == NULL)
		return;
#ifdef HAVE_ZLIB
	if (codec->which == CODEC_DEFLATE)
		deflateEnd(&codec->zlib);
#endif
#ifdef HAVE_ZSTD
	ZSTD_freeCCtx(codec->zstd);
#endif
	free(codec);
}

size_t
codec_bound(const struct codec *codec, size_t size)
{
	switch (codec->which) {
#ifdef HAVE_ZLIB
	case CODEC_DEFLATE:
		return deflateBound((z_stream *)(uintptr_t)&codec->zlib,
		    size);
#endif
#if defined(HAVE_SNAPPY) && defined(HAVE_ZLIB)
	case CODEC_SNAPPY:
		return codec->snappy->bound(size) + SNAPPY_CRC_SIZE;
#endif
#ifdef HAVE_ZSTD
	case CODEC_ZSTANDARD:
		return ZSTD_compressBound(size);
#endif
	default:
		return size;
	}
}

size_t
codec_compress(struct codec *codec, const uint8_t *data, size_t size,
    uint8_t *out, size_t room)
{
	size_t packed = 0;

	(void)data;
	(void)size;
	(void)out;
	(void)room;
	switch (codec->which) {
#ifdef HAVE_ZLIB
	case CODEC_DEFLATE:
		packed = deflate_block(codec, data, size, out, room);
		break;
#endif
#if defined(HAVE_SNAPPY) && defined(HAVE_ZLIB)
	case CODEC_SNAPPY:
		packed = snappy_block(codec->snappy, data, size, out, room);
		break;
#endif
#ifdef HAVE_ZSTD
	case CODEC_ZSTANDARD:
		packed = ZSTD_compress2(codec->zstd, out, room, data, size);
		if (ZSTD_isError(packed))
			fatalx("zstandard: %s", ZSTD_getErrorName(packed));
		break;
#endif
	default:
		fatalx("there is no codec %s", codec_name(codec->which));
	}
	return packed;
}
