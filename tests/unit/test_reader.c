/* SPDX-License-Identifier: ISC */
/*
 * Reading container files that may be damaged: every codec, damage at every
 * byte, files cut at every byte, bombs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/archive_support.h"
#include "tools/common/reader.h"

static void
whole(const char *codec)
{
	struct sample sample;
	struct found found;

	sample_datagrams(&sample, codec, BLOCKS, DATAGRAMS);
	sample_write(&sample, sample.file.data, sample.file.size);
	sample_read(sample.path, &found);
	assert_int_equal(found.opened, READER_OK);
	assert_int_equal(found.blocks, BLOCKS);
	assert_int_equal(found.damaged, 0);
	assert_int_equal(found.altered, 0);
	assert_int_equal(found.bytes, sample.file.size);
	for (unsigned i = 0; i < BLOCKS; i++)
		assert_int_equal(seen_count(&found, i), DATAGRAMS);
	sample_end(&sample);
}

static void
test_whole(void **state ATTR_UNUSED)
{
	each_codec(whole);
}

static void
test_block_report(void **state ATTR_UNUSED)
{
	struct reader_block block;
	struct sample sample;
	struct reader reader;
	const char *why;

	sample_datagrams(&sample, "null", 2, DATAGRAMS);
	sample_write(&sample, sample.file.data, sample.file.size);
	assert_int_equal(reader_open(&reader, sample.path, &why), READER_OK);
	assert_true(reader.records.datagrams);
	assert_int_equal(reader_next(&reader, &block, &why), READER_OK);
	assert_int_equal(reader_next(&reader, &block, &why), READER_OK);
	assert_int_equal(block.offset, sample.end[0]);
	assert_int_equal(block.size, sample.end[1] - sample.end[0]);
	assert_int_equal(block.records, DATAGRAMS);
	assert_int_equal(block.good, DATAGRAMS);
	assert_int_equal(block.first_sequence, DATAGRAMS);
	assert_int_equal(block.last_sequence, 2 * DATAGRAMS - 1);
	assert_true(block.first_ns == (int64_t)(START_NS +
	    DATAGRAMS * STEP_NS));
	assert_true(block.last_ns == (int64_t)(START_NS +
	    (2 * DATAGRAMS - 1) * STEP_NS));
	assert_int_equal(reader_next(&reader, &block, &why), READER_END);
	reader_close(&reader);
	sample_end(&sample);
}

/*
 * One byte of the file is wrong.  Whatever it is, nothing of the other blocks
 * is lost, and, where the records are not compressed, at most one record
 * is not as it was written before the reader saw that something is wrong.
 */
static void
damaged_at(struct sample *sample, size_t offset, uint8_t how)
{
	struct found found;
	unsigned block, missing = 0;

	sample->file.data[offset] ^= how;
	sample_write(sample, sample->file.data, sample->file.size);
	sample->file.data[offset] ^= how;
	sample_read(sample->path, &found);
	if (offset < sample->header_size)
		return;		/* not to crash is enough */
	assert_int_equal(found.opened, READER_OK);
	assert_int_equal(found.bytes, sample->file.size);
	assert_true(found.damaged <= 1);
	block = block_at(sample, offset);
	for (unsigned i = 0; i < BLOCKS; i++)
		if (i != block)
			assert_int_equal(seen_count(&found, i), DATAGRAMS);
		else
			missing = DATAGRAMS - seen_count(&found, i);
	if (strcmp(sample->codec, "snappy") == 0)
		assert_int_equal(found.altered, 0);
	if (found.damaged == 0)
		assert_true(missing == found.altered);
	/* The marker: all that is lost is the certainty. */
	if (offset >= sample->end[block] - AVRO_SYNC_SIZE) {
		assert_int_equal(found.damaged, 1);
		assert_int_equal(missing, 0);
	}
}

static void
every_byte(const char *codec)
{
	static const uint8_t how[] = {0x01, 0x02, 0x10, 0x80, 0xff};
	struct sample sample;

	sample_datagrams(&sample, codec, BLOCKS, DATAGRAMS);
	for (size_t i = 0; i < sample.file.size; i++)
		for (size_t j = 0; j < NITEMS(how); j++)
			damaged_at(&sample, i, how[j]);
	sample_end(&sample);
}

static void
test_every_byte(void **state ATTR_UNUSED)
{
	each_codec(every_byte);
}

/* xorshift: the same numbers in every run. */
static uint32_t
next_random(uint32_t below)
{
	static uint64_t random = 88172645463325252U;

	random ^= random << 13;
	random ^= random >> 7;
	random ^= random << 17;
	return (uint32_t)(random >> 32) % below;
}

/* Overwrites, takes out, or doubles a stretch. */
static void
mutate(struct buffer *file)
{
	const uint32_t at = next_random((uint32_t)file->size);
	const uint32_t left = (uint32_t)file->size - at;
	const uint32_t size = 1 + next_random(MIN_OF(left, 64U));

	switch (next_random(4)) {
	case 0:
		for (uint32_t i = 0; i < size; i++)
			file->data[at + i] = (uint8_t)next_random(256);
		break;
	case 1:
		memset(file->data + at, (int)next_random(2) * 0xff, size);
		break;
	case 2:
		memmove(file->data + at, file->data + at + size, left - size);
		file->size -= size;
		break;
	default:
		memmove(file->data + next_random((uint32_t)file->size - size +
		    1), file->data + at, size);
	}
}

/* Several damages at once, the header included: every byte of the file is
 * still accounted for, and nothing worse happens. */
static void
any_damage(const char *codec)
{
	struct sample sample;
	struct buffer file = {0};
	struct found found;

	sample_datagrams(&sample, codec, BLOCKS, DATAGRAMS);
	for (unsigned i = 0; i < 1500; i++) {
		file.size = 0;
		buffer_add(&file, sample.file.data, sample.file.size);
		for (uint32_t n = 1 + next_random(4); n > 0; n--)
			mutate(&file);
		sample_write(&sample, file.data, file.size);
		sample_read(sample.path, &found);
		if (found.opened == READER_OK && found.blocks != 0)
			assert_int_equal(found.bytes, file.size);
	}
	free(file.data);
	sample_end(&sample);
}

static void
test_any_damage(void **state ATTR_UNUSED)
{
	each_codec(any_damage);
}

/* A file cut anywhere: all records before the cut are there. */
static void
cut_at(struct sample *sample, size_t size)
{
	const unsigned first = sample->end[0] > size ? 0 :
	    block_at(sample, size);
	struct found found;

	sample_write(sample, sample->file.data, size);
	sample_read(sample->path, &found);
	if (size < sample->header_size) {
		assert_int_equal(found.opened, READER_UNUSABLE);
		return;
	}
	assert_int_equal(found.bytes, size);
	assert_int_equal(found.altered, 0);
	for (unsigned i = 0; i < first; i++)
		assert_int_equal(seen_count(&found, i), DATAGRAMS);
	assert_int_equal(found.damaged, size != sample->header_size &&
	    (first == 0 || size != sample->end[first - 1]));
	/* The last marker is all that is missing. */
	if (size >= sample->end[first] - AVRO_SYNC_SIZE)
		assert_int_equal(seen_count(&found, first), DATAGRAMS);
}

static void
every_cut(const char *codec)
{
	struct sample sample;

	sample_datagrams(&sample, codec, BLOCKS, DATAGRAMS);
	for (size_t size = 0; size < sample.file.size; size++)
		cut_at(&sample, size);
	sample_end(&sample);
}

static void
test_every_cut(void **state ATTR_UNUSED)
{
	each_codec(every_cut);
}

/* Uncompressed, even what is left of the block that was cut is saved. */
static void
test_cut_tail(void **state ATTR_UNUSED)
{
	struct sample sample;
	struct found found;

	sample_datagrams(&sample, "null", BLOCKS, DATAGRAMS);
	sample_write(&sample, sample.file.data,
	    sample.file.size - AVRO_SYNC_SIZE - 1);
	sample_read(sample.path, &found);
	assert_int_equal(found.damaged, 1);
	assert_int_equal(seen_count(&found, BLOCKS - 1), DATAGRAMS - 1);
	sample_end(&sample);
}

/* Up to a whole sector, in a file that is being written; no byte more. */
static void
test_zeros(void **state ATTR_UNUSED)
{
	struct sample sample;
	struct found found;
	uint8_t *data;
	char part[sizeof(sample.path) + 8];

	sample_datagrams(&sample, "null", BLOCKS, DATAGRAMS);
	data = xcalloc(1, sample.file.size + 3000);
	memcpy(data, sample.file.data, sample.file.size);
	sample_write(&sample, data, sample.file.size + 3000);
	sample_read(sample.path, &found);
	assert_int_equal(found.damaged, 1);
	(void)snprintf(part, sizeof(part), "%s.part", sample.path);
	assert_int_equal(rename(sample.path, part), 0);
	sample_read(part, &found);
	assert_int_equal(found.damaged, 0);
	assert_int_equal(found.blocks, BLOCKS);
	assert_int_equal(rename(part, sample.path), 0);
	data[sample.file.size + 2999] = 1;
	sample_write(&sample, data, sample.file.size + 3000);
	assert_int_equal(rename(sample.path, part), 0);
	sample_read(part, &found);
	assert_int_equal(found.damaged, 1);
	assert_int_equal(rename(part, sample.path), 0);
	free(data);
	sample_end(&sample);
}

/* The head claims fewer records than there are. */
static void
test_fewer_records(void **state ATTR_UNUSED)
{
	struct sample sample;
	struct found found;

	sample_begin(&sample, datagram_schema, "null");
	for (int i = 0; i < DATAGRAMS; i++)
		sample_datagram(&sample, i, 40);
	sample.records--;
	sample_block(&sample);
	sample_write(&sample, sample.file.data, sample.file.size);
	sample_read(sample.path, &found);
	assert_int_equal(found.damaged, 1);
	assert_string_equal(found.damage, "bytes behind the last record");
	assert_int_equal(seen_count(&found, 0), DATAGRAMS - 1);
	sample_end(&sample);
}

/* A block of zeroes that is smaller than what it becomes. */
static void
bomb(const char *codec)
{
	struct sample sample;
	struct found found;
	uint8_t *zeroes;

	if (strcmp(codec, "null") == 0)
		return;
	zeroes = xcalloc(1, READER_BLOCK_MAX + 1);
	sample_begin(&sample, datagram_schema, codec);
	sample_record(&sample, zeroes, READER_BLOCK_MAX + 1);
	sample_block(&sample);
	assert_true(sample.file.size < READER_BLOCK_MAX / 16);
	sample_write(&sample, sample.file.data, sample.file.size);
	sample_read(sample.path, &found);
	assert_int_equal(found.damaged, 1);
	assert_string_equal(found.damage, "uncompresses to too much");
	sample_end(&sample);
	free(zeroes);
}

static void
test_bomb(void **state ATTR_UNUSED)
{
	each_codec(bomb);
}

/* The payload holds the marker, and a whole block of another file. */
static void
test_fake_block(void **state ATTR_UNUSED)
{
	struct sample sample, inner;
	struct found found;

	sample_datagrams(&inner, "null", 2, DATAGRAMS);
	sample_begin(&sample, datagram_schema, "null");
	buffer_add_long(&sample.block, 0);
	buffer_add_long(&sample.block, 0);
	buffer_add_long(&sample.block, 0);
	buffer_add_long(&sample.block, 0);
	buffer_add_long(&sample.block, (int64_t)inner.file.size);
	sample_record(&sample, inner.file.data, inner.file.size);
	sample_block(&sample);
	sample_write(&sample, sample.file.data, sample.file.size);
	sample_read(sample.path, &found);
	assert_int_equal(found.damaged, 0);
	assert_int_equal(found.blocks, 1);
	assert_int_equal(found.altered, 1);
	sample_end(&sample);
	sample_end(&inner);
}

static void
test_not_a_container(void **state ATTR_UNUSED)
{
	static const char *const path[] = {"/nonexistent", "/dev/null",
	    "/tmp", "/etc/passwd"};
	struct found found;

	for (size_t i = 0; i < NITEMS(path); i++) {
		sample_read(path[i], &found);
		assert_int_equal(found.opened, READER_UNUSABLE);
	}
}

/* The time field of a schema of one's own, in its unit. */
static void
test_time_field(void **state ATTR_UNUSED)
{
	static const char schema[] = "{\"type\":\"record\",\"name\":\"R\","
	    "\"fields\":[{\"name\":\"a\",\"type\":\"string\"},"
	    "{\"name\":\"head\",\"type\":{\"type\":\"record\",\"name\":\"H\","
	    "\"fields\":[{\"name\":\"n\",\"type\":\"long\"},"
	    "{\"name\":\"time\",\"type\":[\"null\",{\"type\":\"long\","
	    "\"logicalType\":\"timestamp-millis\"}]}]}}]}";
	static const uint8_t datum[] = {2, 'x', 4, 2, 20, 2, 'y', 6, 0};
	struct records records;
	struct record record;

	assert_true(records_open(&records, schema, strlen(schema)));
	assert_false(records.datagrams);
	assert_int_equal(records.time_unit_ns, NS_PER_MS);
	assert_null(records_read(&records, datum, sizeof(datum), &record));
	assert_int_equal(record.size, 5);
	assert_int_equal(record.time_ns, 10 * NS_PER_MS);
	assert_null(records_read(&records, datum + 5, 4, &record));
	assert_int_equal(record.size, 4);
	assert_true(record.time_ns == RECORDS_NO_TIME);
	assert_non_null(records_read(&records, datum + 5, 3, &record));
	records_free(&records);
	assert_false(records_open(&records, "{}", 2));
	assert_non_null(records.error);
	records_free(&records);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_block_report),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_any_damage),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_cut_tail),
		cmocka_unit_test(test_zeros),
		cmocka_unit_test(test_fewer_records),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_fake_block),
		cmocka_unit_test(test_not_a_container),
		cmocka_unit_test(test_time_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
