/* SPDX-License-Identifier: ISC */
/*
 * Container files for tests of the tools.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef HAVE_SNAPPY
#include <snappy-c.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "common/datum.h"
#include "common/util.h"
#include "tests/unit/archive_support.h"

const char datagram_schema[] =
    "{\"type\":\"record\",\"name\":\"Datagram\",\"namespace\":\"mcrelay\","
    "\"fields\":["
    "{\"name\":\"received\",\"type\":{\"type\":\"long\","
    "\"logicalType\":\"timestamp-micros\"}},"
    "{\"name\":\"received_ns\",\"type\":\"int\"},"
    "{\"name\":\"sequence\",\"type\":\"long\"},"
    "{\"name\":\"source\",\"type\":\"string\"},"
    "{\"name\":\"payload\",\"type\":\"bytes\"}]}";

const char *const codec_names[] = {
	[CODEC_NULL] = "null",
	[CODEC_DEFLATE] = "deflate",
	[CODEC_SNAPPY] = "snappy",
	[CODEC_ZSTANDARD] = "zstandard",
	[CODEC_UNKNOWN] = "xz",
};

static const uint8_t sync_marker[16] = "0123456789abcdef";

void
buffer_add(struct buffer *buffer, const void *data, size_t size)
{
	if (buffer->size + size > buffer->room)
		buffer_reserve(buffer, 2 * (buffer->size + size));
	memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
}

void
buffer_add_long(struct buffer *buffer, int64_t value)
{
	uint8_t out[DATUM_LONG_SIZE_MAX];

	buffer_add(buffer, out, datum_put_long(out, value));
}

static void
add_text(struct buffer *buffer, const char *text)
{
	buffer_add_long(buffer, (int64_t)strlen(text));
	buffer_add(buffer, text, strlen(text));
}

void
archive_begin(struct archive *archive, const char *schema, enum codec codec)
{
	memset(archive, 0, sizeof(*archive));
	archive->schema = schema;
	archive->codec = codec;
	buffer_add(&archive->file, "Obj\001", 4);
	buffer_add_long(&archive->file, 2);
	add_text(&archive->file, "avro.schema");
	add_text(&archive->file, schema);
	add_text(&archive->file, "avro.codec");
	add_text(&archive->file, codec_names[codec]);
	buffer_add_long(&archive->file, 0);
	buffer_add(&archive->file, sync_marker, sizeof(sync_marker));
	archive->header_size = archive->file.size;
}

void
archive_record(struct archive *archive, const void *data, size_t size)
{
	buffer_add(&archive->block, data, size);
	archive->records++;
}

uint8_t
payload_byte(int64_t sequence)
{
	return (uint8_t)(sequence * 7 + 1);
}

void
archive_datagram(struct archive *archive, int64_t sequence, size_t size)
{
	const uint64_t ns = START_NS + (uint64_t)sequence * STEP_NS;
	struct buffer *block = &archive->block;
	uint8_t *payload = xmalloc(size);

	memset(payload, payload_byte(sequence), size);
	buffer_add_long(block, (int64_t)(ns / NS_PER_US));
	buffer_add_long(block, (int64_t)(ns % NS_PER_US));
	buffer_add_long(block, sequence);
	add_text(block, "127.0.0.1:5000");
	buffer_add_long(block, (int64_t)size);
	buffer_add(block, payload, size);
	archive->records++;
	free(payload);
}

#ifdef HAVE_ZLIB
static void
deflate_block(const struct buffer *in, struct buffer *out)
{
	z_stream stream = {.next_in = in->data,
	    .avail_in = (uInt)in->size};

	assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, -15, 8,
	    Z_DEFAULT_STRATEGY), Z_OK);
	buffer_reserve(out, deflateBound(&stream, in->size));
	stream.next_out = out->data;
	stream.avail_out = (uInt)out->room;
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	out->size = stream.total_out;
	deflateEnd(&stream);
}
#endif

#ifdef HAVE_SNAPPY
static void
snappy_block(const struct buffer *in, struct buffer *out)
{
	const uint32_t crc = (uint32_t)crc32(0, in->data, (uInt)in->size);
	const uint8_t tail[4] = { (uint8_t)(crc >> 24),
	    (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc };

	buffer_reserve(out, snappy_max_compressed_length(in->size));
	out->size = out->room;
	assert_int_equal(snappy_compress((const char *)in->data, in->size,
	    (char *)out->data, &out->size), SNAPPY_OK);
	buffer_add(out, tail, sizeof(tail));
}
#endif

static void
compress_block(enum codec codec, const struct buffer *in, struct buffer *out)
{
	switch (codec) {
#ifdef HAVE_ZLIB
	case CODEC_DEFLATE:
		deflate_block(in, out);
		break;
#endif
#ifdef HAVE_SNAPPY
	case CODEC_SNAPPY:
		snappy_block(in, out);
		break;
#endif
#ifdef HAVE_ZSTD
	case CODEC_ZSTANDARD:
		buffer_reserve(out, ZSTD_compressBound(in->size));
		out->size = ZSTD_compress(out->data, out->room, in->data,
		    in->size, 3);
		assert_false(ZSTD_isError(out->size));
		break;
#endif
	default:
		buffer_add(out, in->data, in->size);
	}
}

void
archive_block(struct archive *archive)
{
	struct buffer stored = {0};

	compress_block(archive->codec, &archive->block, &stored);
	buffer_add_long(&archive->file, (int64_t)archive->records);
	buffer_add_long(&archive->file, (int64_t)stored.size);
	buffer_add(&archive->file, stored.data, stored.size);
	buffer_add(&archive->file, sync_marker, sizeof(sync_marker));
	free(stored.data);
	archive->block.size = 0;
	archive->records = 0;
	assert_true(archive->blocks < NITEMS(archive->end));
	archive->end[archive->blocks++] = archive->file.size;
}

void
archive_datagrams(struct archive *archive, enum codec codec, unsigned blocks,
    unsigned datagrams)
{
	archive_begin(archive, datagram_schema, codec);
	for (unsigned n = 0; n < blocks * datagrams; n++) {
		archive_datagram(archive, n, 40);
		if (archive->records == datagrams)
			archive_block(archive);
	}
}

void
archive_write(struct archive *archive, const void *data, size_t size)
{
	int fd;

	if (archive->path[0] == '\0') {
		strcpy(archive->path, "/tmp/mcrelay-test-XXXXXX");
		fd = mkstemp(archive->path);
		assert_true(fd >= 0);
		close(fd);
	}
	assert_int_equal(truncate(archive->path, 0), 0);
	fd = open(archive->path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

void
archive_end(struct archive *archive)
{
	if (archive->path[0] != '\0')
		unlink(archive->path);
	free(archive->file.data);
	free(archive->block.data);
}
