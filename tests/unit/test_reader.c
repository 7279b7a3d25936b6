/* SPDX-License-Identifier: ISC */
/*
 * Reading container files that may be damaged: every codec, damage at every
 * byte, files cut at every byte, bombs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/archive_support.h"
#include "tools/common/reader.h"

static void
whole(enum codec codec)
{
	struct archive archive;
	struct found found;

	archive_datagrams(&archive, codec, BLOCKS, DATAGRAMS);
	archive_write(&archive, archive.file.data, archive.file.size);
	archive_read(archive.path, &found);
	assert_int_equal(found.opened, READER_OK);
	assert_int_equal(found.blocks, BLOCKS);
	assert_int_equal(found.damaged, 0);
	assert_int_equal(found.altered, 0);
	assert_int_equal(found.bytes, archive.file.size);
	for (unsigned i = 0; i < BLOCKS; i++)
		assert_int_equal(seen_count(&found, i), DATAGRAMS);
	archive_end(&archive);
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
	struct archive archive;
	struct reader reader;
	const char *why;

	archive_datagrams(&archive, CODEC_NULL, 2, DATAGRAMS);
	archive_write(&archive, archive.file.data, archive.file.size);
	assert_int_equal(reader_open(&reader, archive.path, &why), READER_OK);
	assert_true(reader.records.datagrams);
	assert_int_equal(reader_next(&reader, &block, &why), READER_OK);
	assert_int_equal(reader_next(&reader, &block, &why), READER_OK);
	assert_int_equal(block.offset, archive.end[0]);
	assert_int_equal(block.size, archive.end[1] - archive.end[0]);
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
	archive_end(&archive);
}

/*
 * One byte of the file is wrong.  Whatever it is, nothing of the other blocks
 * is lost, and, where the records are not compressed, at most one record
 * is not as it was written before the reader saw that something is wrong.
 */
static void
damaged_at(struct archive *archive, size_t offset, uint8_t how)
{
	struct found found;
	unsigned block, missing = 0;

	archive->file.data[offset] ^= how;
	archive_write(archive, archive->file.data, archive->file.size);
	archive->file.data[offset] ^= how;
	archive_read(archive->path, &found);
	if (offset < archive->header_size)
		return;		/* not to crash is enough */
	assert_int_equal(found.opened, READER_OK);
	assert_int_equal(found.bytes, archive->file.size);
	assert_true(found.damaged <= 1);
	block = block_at(archive, offset);
	for (unsigned i = 0; i < BLOCKS; i++)
		if (i != block)
			assert_int_equal(seen_count(&found, i), DATAGRAMS);
		else
			missing = DATAGRAMS - seen_count(&found, i);
	if (archive->codec == CODEC_SNAPPY)
		assert_int_equal(found.altered, 0);
	if (found.damaged == 0)
		assert_true(missing == found.altered);
	/* The marker: all that is lost is the certainty. */
	if (offset >= archive->end[block] - AVRO_SYNC_SIZE) {
		assert_int_equal(found.damaged, 1);
		assert_int_equal(missing, 0);
	}
}

static void
every_byte(enum codec codec)
{
	static const uint8_t how[] = {0x01, 0x02, 0x10, 0x80, 0xff};
	struct archive archive;

	archive_datagrams(&archive, codec, BLOCKS, DATAGRAMS);
	for (size_t i = 0; i < archive.file.size; i++)
		for (size_t j = 0; j < NITEMS(how); j++)
			damaged_at(&archive, i, how[j]);
	archive_end(&archive);
}

static void
test_every_byte(void **state ATTR_UNUSED)
{
	each_codec(every_byte);
}

/* A file cut anywhere: all records before the cut are there. */
static void
cut_at(struct archive *archive, size_t size)
{
	const unsigned first = archive->end[0] > size ? 0 :
	    block_at(archive, size);
	struct found found;

	archive_write(archive, archive->file.data, size);
	archive_read(archive->path, &found);
	if (size < archive->header_size) {
		assert_int_equal(found.opened, READER_UNUSABLE);
		return;
	}
	assert_int_equal(found.bytes, size);
	assert_int_equal(found.altered, 0);
	for (unsigned i = 0; i < first; i++)
		assert_int_equal(seen_count(&found, i), DATAGRAMS);
	assert_int_equal(found.damaged, size != archive->header_size &&
	    (first == 0 || size != archive->end[first - 1]));
	/* The last marker is all that is missing. */
	if (size >= archive->end[first] - AVRO_SYNC_SIZE)
		assert_int_equal(seen_count(&found, first), DATAGRAMS);
}

static void
every_cut(enum codec codec)
{
	struct archive archive;

	archive_datagrams(&archive, codec, BLOCKS, DATAGRAMS);
	for (size_t size = 0; size < archive.file.size; size++)
		cut_at(&archive, size);
	archive_end(&archive);
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
	struct archive archive;
	struct found found;

	archive_datagrams(&archive, CODEC_NULL, BLOCKS, DATAGRAMS);
	archive_write(&archive, archive.file.data,
	    archive.file.size - AVRO_SYNC_SIZE - 1);
	archive_read(archive.path, &found);
	assert_int_equal(found.damaged, 1);
	assert_int_equal(seen_count(&found, BLOCKS - 1), DATAGRAMS - 1);
	archive_end(&archive);
}

/* A block of zeroes that is smaller than what it becomes. */
static void
bomb(enum codec codec)
{
	struct archive archive;
	struct found found;
	uint8_t *zeroes;

	if (codec == CODEC_NULL)
		return;
	zeroes = xcalloc(1, READER_BLOCK_MAX + 1);
	archive_begin(&archive, datagram_schema, codec);
	archive_record(&archive, zeroes, READER_BLOCK_MAX + 1);
	archive_block(&archive);
	assert_true(archive.file.size < READER_BLOCK_MAX / 16);
	archive_write(&archive, archive.file.data, archive.file.size);
	archive_read(archive.path, &found);
	assert_int_equal(found.damaged, 1);
	assert_string_equal(found.damage, "uncompresses to too much");
	archive_end(&archive);
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
	struct archive archive, inner;
	struct found found;

	archive_datagrams(&inner, CODEC_NULL, 2, DATAGRAMS);
	archive_begin(&archive, datagram_schema, CODEC_NULL);
	buffer_add_long(&archive.block, 0);
	buffer_add_long(&archive.block, 0);
	buffer_add_long(&archive.block, 0);
	buffer_add_long(&archive.block, 0);
	buffer_add_long(&archive.block, (int64_t)inner.file.size);
	archive_record(&archive, inner.file.data, inner.file.size);
	archive_block(&archive);
	archive_write(&archive, archive.file.data, archive.file.size);
	archive_read(archive.path, &found);
	assert_int_equal(found.damaged, 0);
	assert_int_equal(found.blocks, 1);
	assert_int_equal(found.altered, 1);
	archive_end(&archive);
	archive_end(&inner);
}

static void
test_not_a_container(void **state ATTR_UNUSED)
{
	static const char *const path[] = {"/nonexistent", "/dev/null",
	    "/tmp", "/etc/passwd"};
	struct found found;

	for (size_t i = 0; i < NITEMS(path); i++) {
		archive_read(path[i], &found);
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
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_cut_tail),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_fake_block),
		cmocka_unit_test(test_not_a_container),
		cmocka_unit_test(test_time_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
