/* SPDX-License-Identifier: ISC */
/*
 * Container files for tests of the tools.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/codec.h"
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
sample_begin(struct sample *sample, const char *schema, const char *codec)
{
	memset(sample, 0, sizeof(*sample));
	sample->schema = schema;
	sample->codec = codec;
	buffer_add(&sample->file, "Obj\001", 4);
	buffer_add_long(&sample->file, 2);
	add_text(&sample->file, "avro.schema");
	add_text(&sample->file, schema);
	add_text(&sample->file, "avro.codec");
	add_text(&sample->file, codec);
	buffer_add_long(&sample->file, 0);
	buffer_add(&sample->file, sync_marker, sizeof(sync_marker));
	sample->header_size = sample->file.size;
}

void
sample_record(struct sample *sample, const void *data, size_t size)
{
	buffer_add(&sample->block, data, size);
	sample->records++;
}

uint8_t
payload_byte(int64_t sequence)
{
	return (uint8_t)(sequence * 7 + 1);
}

void
sample_datagram(struct sample *sample, int64_t sequence, size_t size)
{
	const uint64_t ns = START_NS + (uint64_t)sequence * STEP_NS;
	struct buffer *block = &sample->block;
	uint8_t *payload = xmalloc(size);

	memset(payload, payload_byte(sequence), size);
	buffer_add_long(block, (int64_t)(ns / NS_PER_US));
	buffer_add_long(block, (int64_t)(ns % NS_PER_US));
	buffer_add_long(block, sequence);
	add_text(block, "127.0.0.1:5000");
	buffer_add_long(block, (int64_t)size);
	buffer_add(block, payload, size);
	sample->records++;
	free(payload);
}

static void
compress_block(const char *name, const struct buffer *in, struct buffer *out)
{
	enum archive_codec which;
	struct codec *codec;

	if (!uncompress_find(name, &which) || which == CODEC_NULL) {
		buffer_add(out, in->data, in->size);
		return;
	}
	codec = codec_new(which);
	buffer_reserve(out, codec_bound(codec, in->size));
	out->size = codec_compress(codec, in->data, in->size, out->data,
	    out->room);
	codec_free(codec);
}

void
sample_block(struct sample *sample)
{
	struct buffer stored = {0};

	compress_block(sample->codec, &sample->block, &stored);
	buffer_add_long(&sample->file, (int64_t)sample->records);
	buffer_add_long(&sample->file, (int64_t)stored.size);
	buffer_add(&sample->file, stored.data, stored.size);
	buffer_add(&sample->file, sync_marker, sizeof(sync_marker));
	free(stored.data);
	sample->block.size = 0;
	sample->records = 0;
	assert_true(sample->blocks < NITEMS(sample->end));
	sample->end[sample->blocks++] = sample->file.size;
}

void
sample_datagrams(struct sample *sample, const char *codec, unsigned blocks,
    unsigned datagrams)
{
	sample_begin(sample, datagram_schema, codec);
	for (unsigned n = 0; n < blocks * datagrams; n++) {
		sample_datagram(sample, n, 40);
		if (sample->records == datagrams)
			sample_block(sample);
	}
}

void
sample_write(struct sample *sample, const void *data, size_t size)
{
	int fd;

	if (sample->path[0] == '\0') {
		/* In memory where possible: a disk takes its time for each of
		 * thousands of files that are written anew. */
		snprintf(sample->path, sizeof(sample->path),
		    "%s/mcrelay-test-XXXXXX",
		    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
		fd = mkstemp(sample->path);
		assert_true(fd >= 0);
		close(fd);
	}
	fd = open(sample->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

void
sample_end(struct sample *sample)
{
	if (sample->path[0] != '\0')
		unlink(sample->path);
	free(sample->file.data);
	free(sample->block.data);
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
	if (!reader->codec_known)
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
sample_read(const char *path, struct found *found)
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
each_codec(void (*test)(const char *codec))
{
	static const char *const codec[] = {"null", "deflate", "snappy",
	    "zstandard"};
	enum archive_codec which;

	for (size_t i = 0; i < NITEMS(codec); i++)
		if (uncompress_find(codec[i], &which))
			test(codec[i]);
		else
			print_message("SKIPPED: no %s in this build\n",
			    codec[i]);
}

unsigned
block_at(const struct sample *sample, size_t offset)
{
	unsigned block = 0;

	while (sample->end[block] <= offset)
		block++;
	return block;
}
