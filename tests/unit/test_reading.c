/* SPDX-License-Identifier: ISC */
/*
 * The back ends by which files are read give the same: any bytes in any order,
 * files that are damaged at any place, cut off while they are read, or being
 * written.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/hash.h"
#include "common/util.h"
#include "tests/unit/archive_support.h"
#include "tools/common/followed.h"
#include "tools/common/reading.h"

#define ROOM	((size_t)16 << 10)
#define SIZE	((size_t)300001)
#define VIEWS	2000

static const struct reading_ops *const all_ops[] = {
	&reading_pread, &reading_mmap, &reading_uring,
};

/* Room of its own, which no earlier back end has written to. */
static void
each_ops(void (*test)(struct reading *reading))
{
	struct reading reading;

	for (size_t i = 0; i < NITEMS(all_ops); i++) {
		reading_begin(&reading, all_ops[i], ROOM);
		if (reading.ops != all_ops[i])
			print_message("SKIPPED: no %s here\n",
			    all_ops[i]->name);
		else
			test(&reading);
		reading_end(&reading);
	}
}

static uint8_t
byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 7 + offset / 251);
}

static int
make_file(void)
{
	uint8_t *data = xmalloc(SIZE);
	char path[] = "/tmp/mcrelay-reading-XXXXXX";
	const int fd = mkstemp(path);

	assert_int_not_equal(fd, -1);
	unlink(path);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = byte_at(i);
	assert_int_equal(write(fd, data, SIZE), SIZE);
	free(data);
	return fd;
}

static void
look(struct reading_file *file, struct buffer *room, uint64_t offset,
    size_t least, size_t most)
{
	const uint8_t *data;
	size_t got = 0;

	data = reading_view(file, offset, least, most, room, &got);
	assert_non_null(data);
	assert_true(got >= least && got <= most);
	for (size_t i = 0; i < got; i++)
		assert_int_equal(data[i], byte_at(offset + i));
}

/* Mostly onwards, as who reads; and anywhere. */
static void
look_everywhere(struct reading *reading)
{
	struct reading_file file;
	struct buffer room = {0};
	const int fd = make_file();
	uint64_t offset = 0;
	size_t most, least;

	srand(1);
	reading_open(&file, reading, fd, SIZE);
	assert_ptr_equal(file.ops, reading->ops);
	for (int i = 0; i < VIEWS; i++) {
		if (rand() % 8 == 0 || offset >= SIZE)
			offset = (uint64_t)rand() % SIZE;
		most = MIN_OF((size_t)(SIZE - offset),
		    (size_t)(1 + rand() % 40000));
		least = 1 + (size_t)rand() % most;
		look(&file, &room, offset, least, most);
		offset += least;
		if (rand() % 4 == 0)
			reading_turn(reading);
	}
	assert_false(file.cut);
	reading_close(&file);
	free(room.data);
	close(fd);
}

static void
test_bytes(void **state ATTR_UNUSED)
{
	each_ops(look_everywhere);
}

/* Two hundred at once, each some bytes further than the one before, and opened
 * and closed many times: what is read for one is no other's. */
static void
look_at_many(struct reading *reading)
{
	struct reading_file file[200];
	struct buffer room = {0};
	const int fd = make_file();

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < NITEMS(file); i++)
			reading_open(&file[i], reading, fd, SIZE);
		for (uint64_t at = 0; at < 60000; at += 3000)
			for (size_t i = 0; i < NITEMS(file); i++)
				look(&file[i], &room, at + i * 1000, 2000,
				    3000);
		for (size_t i = 0; i < NITEMS(file); i++)
			reading_close(&file[i]);
	}
	free(room.data);
	close(fd);
}

static void
test_many(void **state ATTR_UNUSED)
{
	each_ops(look_at_many);
}

/* A page that is gone is zeros, and that is said; another file's is not. */
static void
test_sigbus(void **state ATTR_UNUSED)
{
	struct reading_file file, other;
	struct buffer room = {0};
	const int fd = make_file(), other_fd = make_file();
	struct reading reading;
	const uint8_t *data;
	size_t got;

	reading_begin(&reading, &reading_mmap, SIZE);
	reading_open(&file, &reading, fd, SIZE);
	reading_open(&other, &reading, other_fd, SIZE);
	data = reading_view(&file, 0, SIZE, SIZE, &room, &got);
	assert_non_null(data);
	assert_int_equal(ftruncate(fd, 100000), 0);
	assert_int_equal(data[99999], byte_at(99999));
	assert_false(file.cut);
	assert_int_equal(data[200000], 0);
	assert_true(file.cut);
	assert_int_equal(data[SIZE - 1], 0);
	assert_null(reading_view(&file, 0, 10, 10, &room, &got));
	look(&other, &room, 0, SIZE, SIZE);
	assert_false(other.cut);
	reading_close(&file);
	reading_close(&other);
	reading_end(&reading);
	close(fd);
	close(other_fd);
}

/* All that a reader says of the file. */
static uint64_t
fingerprint(struct reading *reading, const char *path)
{
	uint64_t hash = 0;
	struct reader_block block;
	enum reader_status status;
	struct reader reader;
	const char *why;
	char text[256];

	status = reader_open_by(&reader, reading, AT_FDCWD, path, 0, &why);
	if (status != READER_OK)
		return (uint64_t)status;
	while ((status = reader_next(&reader, &block, &why)) == READER_OK) {
		snprintf(text, sizeof(text), "%llu %llu %llu %llu %zu %s",
		    (unsigned long long)block.offset,
		    (unsigned long long)block.size,
		    (unsigned long long)block.records,
		    (unsigned long long)block.good, block.good_size,
		    block.damage == NULL ? "whole" : block.damage);
		hash = hash_bytes64(hash, text, strlen(text));
		if (block.good_size != 0)
			hash = hash_bytes64(hash, block.data,
			    block.good_size);
	}
	assert_int_equal(status, READER_END);
	reader_close(&reader);
	return hash;
}

static void
expect_same(const char *path)
{
	struct reading reading;
	uint64_t first = 0, hash;

	for (size_t i = 0; i < NITEMS(all_ops); i++) {
		reading_begin(&reading, all_ops[i], ROOM);
		hash = fingerprint(&reading, path);
		reading_end(&reading);
		if (i == 0)
			first = hash;
		assert_true(hash == first);
	}
}

/* One byte wrong, or cut off there: of a file, and of one that is written. */
static void
damage(const char *codec)
{
	struct sample sample;
	char part[160];
	size_t size;

	sample_datagrams(&sample, codec, BLOCKS, DATAGRAMS);
	size = sample.file.size;
	for (size_t at = 0; at < size; at += 5) {
		sample.file.data[at] ^= 0x55;
		sample_write(&sample, sample.file.data, size);
		expect_same(sample.path);
		sample.file.data[at] ^= 0x55;
		sample_write(&sample, sample.file.data, at);
		expect_same(sample.path);
		snprintf(part, sizeof(part), "%s.part", sample.path);
		assert_int_equal(rename(sample.path, part), 0);
		expect_same(part);
		assert_int_equal(rename(part, sample.path), 0);
	}
	sample_end(&sample);
}

static void
test_damage(void **state ATTR_UNUSED)
{
	each_codec(damage);
}

/* The rest is said to be missing, and where; what came before was read. */
static void
cut_while_read(struct reading *reading)
{
	struct reader_block block;
	enum reader_status status;
	struct sample sample;
	struct reader reader;
	const char *why = NULL;
	uint64_t end = 0;
	char text[64];

	sample_datagrams(&sample, "null", 16, 2000);
	sample_write(&sample, sample.file.data, sample.file.size);
	assert_int_equal(reader_open_by(&reader, reading, AT_FDCWD,
	    sample.path, 0, &why), READER_OK);
	assert_int_equal(reader_next(&reader, &block, &why), READER_OK);
	assert_int_equal(block.good, 2000);
	assert_int_equal(truncate(sample.path, (off_t)sample.end[7] - 77), 0);
	while ((status = reader_next(&reader, &block, &why)) == READER_OK) {
		assert_null(block.damage);
		end = block.offset + block.size;
	}
	assert_int_equal(status, READER_UNUSABLE);
	assert_int_equal(end, sample.end[6]);
	snprintf(text, sizeof(text), "cut off at offset %zu while",
	    sample.end[7] - 77);
	assert_ptr_equal(strstr(why, text), why);
	reader_close(&reader);
	sample_end(&sample);
}

static void
test_cut(void **state ATTR_UNUSED)
{
	each_ops(cut_while_read);
}

/* Behind the last block, within a page, of which no signal tells: who has what
 * a file held, and not a copy, may have shown zeros. */
static void
cut_behind(struct reading *reading)
{
	struct reader_block block;
	struct sample sample;
	struct reader reader;
	const char *why = NULL;

	sample_datagrams(&sample, "null", 1, 10);
	sample_write(&sample, sample.file.data, sample.file.size);
	assert_int_equal(reader_open_by(&reader, reading, AT_FDCWD,
	    sample.path, 0, &why), READER_OK);
	assert_int_equal(reader_next(&reader, &block, &why), READER_OK);
	assert_int_equal(truncate(sample.path, (off_t)sample.file.size - 60),
	    0);
	assert_int_equal(reader_next(&reader, &block, &why),
	    reading->ops == &reading_mmap ? READER_UNUSABLE : READER_END);
	reader_close(&reader);
	sample_end(&sample);
}

static void
test_cut_behind(void **state ATTR_UNUSED)
{
	each_ops(cut_behind);
}

/* As of a mapped page that the disk does not give. */
static const uint8_t *
bad_view(struct reading_file *file, uint64_t offset ATTR_UNUSED,
    size_t least, size_t most ATTR_UNUSED, struct buffer *room, size_t *got)
{
	buffer_reserve(room, least);
	memset(room->data, 0, least);
	file->cut = true;
	errno = 0;
	*got = least;
	return room->data;
}

/* The file is as long as it was: that is another error. */
static void
test_bad_disk(void **state ATTR_UNUSED)
{
	const struct reading_ops bad = { .name = "bad",
	    .open = reading_pread.open, .close = reading_pread.close,
	    .view = bad_view };
	struct reader_block block;
	struct reading reading;
	struct sample sample;
	struct reader reader;
	const char *why = NULL;

	sample_datagrams(&sample, "null", 1, 10);
	sample_write(&sample, sample.file.data, sample.file.size);
	reading_begin(&reading, &bad, ROOM);
	assert_int_equal(reader_open_by(&reader, &reading, AT_FDCWD,
	    sample.path, 0, &why), READER_OK);
	assert_int_equal(reader_next(&reader, &block, &why),
	    READER_UNUSABLE);
	assert_string_equal(why, strerror(EIO));
	reader_close(&reader);
	reading_end(&reading);
	sample_end(&sample);
}

/* The second block comes when the first has been read, to where there were
 * zeros. */
static void
written_meanwhile(struct reading *reading)
{
	struct reader_block block;
	struct sample sample;
	struct reader reader;
	const char *why = NULL;
	size_t rest;
	int fd;

	sample_datagrams(&sample, "null", 2, 10);
	rest = sample.file.size - sample.end[0];
	strcpy(sample.path, "/tmp/mcrelay-written-XXXXXX.part");
	fd = mkstemps(sample.path, sizeof(".part") - 1);
	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, sample.file.data, sample.end[0]),
	    sample.end[0]);
	assert_int_equal(ftruncate(fd, (off_t)sample.file.size), 0);
	assert_int_equal(reader_open_by(&reader, reading, AT_FDCWD,
	    sample.path, 0, &why), READER_OK);
	assert_int_equal(reader_next(&reader, &block, &why), READER_OK);
	assert_int_equal(pwrite(fd, sample.file.data + sample.end[0], rest,
	    (off_t)sample.end[0]), rest);
	assert_int_equal(reader_next(&reader, &block, &why), READER_OK);
	assert_null(block.damage);
	assert_int_equal(block.good, 10);
	reader_close(&reader);
	close(fd);
	sample_end(&sample);
}

static void
test_written(void **state ATTR_UNUSED)
{
	each_ops(written_meanwhile);
}

/* A head that promises more than is read as a whole costs no memory. */
static void
too_large_to_send(struct reading *reading)
{
	struct reader_block block;
	struct sample sample;
	struct reader reader;
	const char *why = NULL;
	const size_t size = READER_BLOCK_MAX + 1;

	sample_begin(&sample, datagram_schema, "null");
	buffer_add_long(&sample.file, 1);
	buffer_add_long(&sample.file, (int64_t)size);
	sample_write(&sample, sample.file.data, sample.file.size);
	assert_int_equal(truncate(sample.path, (off_t)(sample.file.size +
	    size + AVRO_SYNC_SIZE)), 0);
	assert_int_equal(reader_open_by(&reader, reading, AT_FDCWD,
	    sample.path, 0, &why), READER_OK);
	assert_true(reader_can_send(&reader));
	assert_false(reader_head(&reader, &block));
	reader_close(&reader);
	sample_end(&sample);
}

static void
test_too_large(void **state ATTR_UNUSED)
{
	each_ops(too_large_to_send);
}

/* A file that is cut while its last block is being read, as by who comes after
 * a killed worker, and goes on: so does who follows it. */
static void
test_followed_cut(void **state ATTR_UNUSED)
{
	const char *stem = "followed.avro", *why = NULL;
	char directory[] = "/tmp/mcrelay-followed-XXXXXX";
	struct followed file;
	struct reader_block block;
	struct sample sample;
	uint64_t skip;
	int at, fd;

	assert_non_null(mkdtemp(directory));
	at = open(directory, O_DIRECTORY);
	sample_datagrams(&sample, "null", 2, 10);
	fd = openat(at, "followed.avro.part", O_RDWR | O_CREAT, 0600);
	assert_int_equal(write(fd, sample.file.data, sample.file.size),
	    sample.file.size);
	assert_int_equal(followed_open(&file, at, stem, &why),
	    FOLLOWED_BLOCK);
	assert_int_equal(followed_next(&file, &block, &skip, &why),
	    FOLLOWED_BLOCK);
	assert_int_equal(ftruncate(fd, (off_t)sample.end[0] + 40), 0);
	assert_int_equal(followed_next(&file, &block, &skip, &why),
	    FOLLOWED_NOTHING);
	assert_int_equal(pwrite(fd, sample.file.data, sample.file.size, 0),
	    sample.file.size);
	assert_int_equal(followed_next(&file, &block, &skip, &why),
	    FOLLOWED_BLOCK);
	assert_int_equal(block.good, 10);
	assert_int_equal(skip, 0);
	followed_close(&file);
	unlinkat(at, "followed.avro.part", 0);
	rmdir(directory);
	close(fd);
	close(at);
	free(sample.file.data);
	free(sample.block.data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_sigbus),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_cut_behind),
		cmocka_unit_test(test_bad_disk),
		cmocka_unit_test(test_written),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_followed_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
