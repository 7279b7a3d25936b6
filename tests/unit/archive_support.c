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

#include "common/datum.h"
#include "common/util.h"
#include "tests/unit/archive_support.h"
#include "tools/common/compress.h"

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

void
archive_block(struct archive *archive)
{
	struct buffer stored = {0};

	assert_true(compress_block(archive->codec == CODEC_UNKNOWN ?
	    CODEC_NULL : archive->codec, archive->block.data,
	    archive->block.size, &stored));
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

static void
look_at_record(struct found *found, const struct record *record)
{
	const int64_t n = record->sequence;
	bool same = n >= 0 && n < TOTAL && record->payload_size == 40 &&
	    record->time_ns == (int64_t)(START_NS + (uint64_t)n * STEP_NS);

	for (size_t i = 0; same && i < record->payload_size; i++)
		same = record->payload[i] == payload_byte(n);
	if (same)
		found->seen[n] = true;
	else
		found->altered++;
}

static void
look_at_block(struct found *found, const struct reader *reader,
    const struct reader_block *block)
{
	const uint8_t *at = block->data;
	struct record record;

	found->bytes += block->size;
	found->blocks += block->damage == NULL;
	found->damaged += block->damage != NULL;
	if (found->damage == NULL)
		found->damage = block->damage;
	if (reader->codec == CODEC_UNKNOWN)
		return;		/* the header was damaged */
	for (uint64_t i = 0; i < block->good; i++) {
		assert_null(records_read(&reader->records, at,
		    block->good_size - (size_t)(at - block->data), &record));
		look_at_record(found, &record);
		at += record.size;
	}
	if (block->good > 0)
		assert_ptr_equal(at, block->data + block->good_size);
}

void
archive_read(const char *path, struct found *found)
{
	struct reader_block block;
	struct reader reader;
	const char *why;

	memset(found, 0, sizeof(*found));
	found->opened = reader_open(&reader, path, &why);
	if (found->opened != READER_OK) {
		assert_non_null(why);
		return;
	}
	found->bytes = reader.walk.header_size;
	if (reader.records.program != NULL)
		while (reader_next(&reader, &block, &why) == READER_OK)
			look_at_block(found, &reader, &block);
	reader_close(&reader);
}

unsigned
seen_count(const struct found *found, unsigned block)
{
	unsigned n = 0;

	for (unsigned i = 0; i < DATAGRAMS; i++)
		n += found->seen[block * DATAGRAMS + i];
	return n;
}

void
each_codec(void (*test)(enum codec))
{
	for (unsigned i = 0; i < CODEC_UNKNOWN; i++)
		if (codec_find(codec_names[i]) == i)
			test((enum codec)i);
		else
			print_message("SKIPPED: no %s in this build\n",
			    codec_names[i]);
}

unsigned
block_at(const struct archive *archive, size_t offset)
{
	unsigned block = 0;

	while (archive->end[block] <= offset)
		block++;
	return block;
}
