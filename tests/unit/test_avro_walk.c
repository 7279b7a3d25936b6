/* SPDX-License-Identifier: ISC */
/*
 * Walking container files: whole, cut at every byte, and hostile.
 */
#include <sys/mman.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/avro_walk.h"
#include "common/datum.h"

#define BLOCKS	5

struct image {
	uint8_t	 bytes[8192];
	size_t	 size;
	size_t	 header;
	size_t	 end[BLOCKS];	/* of each block */
};

static const uint8_t	marker[AVRO_SYNC_SIZE] = "0123456789abcdef";

static void
put(struct image *image, const void *data, size_t size)
{
	memcpy(image->bytes + image->size, data, size);
	image->size += size;
}

static void
put_long(struct image *image, int64_t value)
{
	image->size += datum_put_long(image->bytes + image->size, value);
}

static void
put_text(struct image *image, const char *text)
{
	put_long(image, (int64_t)strlen(text));
	put(image, text, strlen(text));
}

static void
put_block(struct image *image, int64_t records, const void *data, size_t size)
{
	put_long(image, records);
	put_long(image, (int64_t)size);
	put(image, data, size);
	put(image, marker, sizeof(marker));
}

static void
put_header(struct image *image)
{
	memset(image, 0, sizeof(*image));
	put(image, "Obj\001", 4);
	put_long(image, 2);
	put_text(image, "avro.schema");
	put_text(image, "\"bytes\"");
	put_text(image, "avro.codec");
	put_text(image, "null");
	/* The same with a size before the entries. */
	put_long(image, -1);
	put_long(image, 4);
	put_text(image, "k");
	put_text(image, "v");
	put_long(image, 0);
	put(image, marker, sizeof(marker));
	image->header = image->size;
}

/* The third block's payload holds a marker and a whole block. */
static void
make(struct image *image)
{
	struct image inner = {.size = 0};
	uint8_t data[300];
	unsigned i;

	put_block(&inner, 1, "payload", 7);
	put(&inner, marker, sizeof(marker));
	put_block(&inner, 1, "payload", 7);
	put_header(image);
	for (i = 0; i < BLOCKS; i++) {
		memset(data, (int)i, sizeof(data));
		if (i == 2)
			put_block(image, 1, inner.bytes, inner.size);
		else
			put_block(image, i + 1, data, 60 * (i + 1));
		image->end[i] = image->size;
	}
}

static int
file_of(const struct image *image, size_t size)
{
	int fd = memfd_create("walk", MFD_CLOEXEC);

	assert_int_equal(write(fd, image->bytes, size), size);
	return fd;
}

static void
test_whole(void **state ATTR_UNUSED)
{
	struct avro_walk_block block;
	struct avro_walk walk;
	struct image image;
	const uint8_t *value;
	size_t size;
	unsigned i;
	int fd;

	make(&image);
	fd = file_of(&image, image.size);
	assert_int_equal(avro_walk_open(&walk, fd), AVRO_WALK_OK);
	assert_int_equal(walk.header_size, image.header);
	value = avro_walk_meta(&walk, "k", &size);
	assert_non_null(value);
	assert_memory_equal(value, "v", 1);
	assert_int_equal(size, 1);
	assert_non_null(avro_walk_meta(&walk, "avro.codec", &size));
	assert_null(avro_walk_meta(&walk, "avro.code", &size));
	for (i = 0; i < BLOCKS; i++) {
		assert_int_equal(avro_walk_next(&walk, &block), AVRO_WALK_OK);
		assert_int_equal(walk.offset, image.end[i]);
		assert_int_equal(block.records, i == 2 ? 1 : i + 1);
		assert_int_equal(block.data_offset + block.data_size +
		    AVRO_SYNC_SIZE, image.end[i]);
	}
	assert_int_equal(avro_walk_next(&walk, &block), AVRO_WALK_END);
	avro_walk_close(&walk);
	close(fd);
}

/* How many whole blocks a file that ends after `size' bytes has. */
static unsigned
blocks_within(const struct image *image, size_t size)
{
	unsigned i = 0;

	while (i < BLOCKS && image->end[i] <= size)
		i++;
	return i;
}

static void
test_cut(void **state ATTR_UNUSED)
{
	struct avro_walk_block block;
	enum avro_walk_status status;
	struct avro_walk walk;
	struct image image;
	unsigned found, whole;
	size_t cut;
	int fd;

	make(&image);
	for (cut = 0; cut <= image.size; cut++) {
		fd = file_of(&image, cut);
		status = avro_walk_open(&walk, fd);
		assert_int_equal(status, cut < image.header ?
		    AVRO_WALK_DAMAGED : AVRO_WALK_OK);
		for (found = 0; status == AVRO_WALK_OK; found++)
			status = avro_walk_next(&walk, &block);
		whole = blocks_within(&image, cut);
		if (cut >= image.header) {
			assert_int_equal(found, whole + 1);
			assert_int_equal(walk.offset, whole == 0 ?
			    image.header : image.end[whole - 1]);
			assert_int_equal(status, cut == walk.offset ?
			    AVRO_WALK_END : AVRO_WALK_DAMAGED);
		}
		avro_walk_close(&walk);
		close(fd);
	}
}

/* What stands where the first block should be. */
static void
expect_damage(const struct image *image, const char *why)
{
	struct avro_walk_block block;
	struct avro_walk walk;
	int fd = file_of(image, image->size);

	assert_int_equal(avro_walk_open(&walk, fd), AVRO_WALK_OK);
	assert_int_equal(avro_walk_next(&walk, &block), AVRO_WALK_DAMAGED);
	assert_string_equal(walk.why, why);
	assert_int_equal(walk.offset, image->header);
	avro_walk_close(&walk);
	close(fd);
}

static void
test_hostile_blocks(void **state ATTR_UNUSED)
{
	static const int64_t sizes[] = {0, -1, INT64_MIN, INT64_MAX,
	    INT64_C(1) << 40};
	struct image image;
	size_t i;

	for (i = 0; i < 5; i++) {
		put_header(&image);
		put_long(&image, 1);
		put_long(&image, sizes[i]);
		put_block(&image, 1, "payload", 7);
		expect_damage(&image, "a block of an impossible size");
	}
	put_header(&image);
	put_block(&image, 0, "payload", 7);
	expect_damage(&image, "a block without records");
	put_header(&image);
	put_block(&image, 1, "payload", 7);
	image.bytes[image.size - 1] ^= 1;
	expect_damage(&image, "no sync marker behind the block");
	put_header(&image);
	image.size += 4096;
	expect_damage(&image, "a block without records");
	put_header(&image);
	memset(image.bytes + image.size, 0xff, 64);
	image.size += 64;
	expect_damage(&image, "no whole block head");
}

static void
test_hostile_headers(void **state ATTR_UNUSED)
{
	static const int64_t counts[] = {INT64_MIN, INT64_MAX, -INT64_MAX};
	struct avro_walk walk;
	struct image image;
	size_t i;
	int fd;

	for (i = 0; i < 3; i++) {
		memset(&image, 0, sizeof(image));
		put(&image, "Obj\001", 4);
		put_long(&image, counts[i]);
		image.size = sizeof(image.bytes);
		fd = file_of(&image, image.size);
		assert_int_equal(avro_walk_open(&walk, fd),
		    AVRO_WALK_DAMAGED);
		avro_walk_close(&walk);
		close(fd);
	}
}

static void
test_resync(void **state ATTR_UNUSED)
{
	struct avro_walk_block block;
	struct avro_walk walk;
	struct image image;
	int fd;

	make(&image);
	image.bytes[image.end[0]] = 0;
	fd = file_of(&image, image.size);
	assert_int_equal(avro_walk_open(&walk, fd), AVRO_WALK_OK);
	assert_int_equal(avro_walk_next(&walk, &block), AVRO_WALK_OK);
	assert_int_equal(avro_walk_next(&walk, &block), AVRO_WALK_DAMAGED);
	assert_true(avro_walk_resync(&walk, walk.offset));
	assert_int_equal(walk.offset, image.end[1]);
	assert_int_equal(avro_walk_next(&walk, &block), AVRO_WALK_OK);
	assert_false(avro_walk_resync(&walk, image.size - 5));
	avro_walk_close(&walk);
	close(fd);
}

#define MARKERS		20000U
/* More than is read at once, and not in step with it. */
#define MARKER_STEPS	3
static const size_t marker_step[MARKER_STEPS] = {
	AVRO_SYNC_SIZE, AVRO_SYNC_SIZE + 1, 300001,
};

/* However near the markers are, no byte is read more than once, but for those
 * in which the next marker may begin. */
static void
test_resync_reads_once(void **state ATTR_UNUSED)
{
	struct avro_walk walk;
	struct image image;
	unsigned markers, found;
	off_t size;
	int fd;

	for (unsigned i = 0; i < MARKER_STEPS; i++) {
		memset(&image, 0, sizeof(image));
		put_header(&image);
		fd = file_of(&image, image.size);
		markers = i + 1 < MARKER_STEPS ? MARKERS : MARKERS / 1000;
		size = (off_t)(image.size + markers * marker_step[i]);
		assert_int_equal(ftruncate(fd, size), 0);
		for (unsigned n = 1; n <= markers; n++)
			assert_int_equal(pwrite(fd, marker, sizeof(marker),
			    (off_t)(image.size + n * marker_step[i] -
			    sizeof(marker))), sizeof(marker));
		assert_int_equal(avro_walk_open(&walk, fd), AVRO_WALK_OK);
		for (found = 0; avro_walk_resync(&walk, walk.offset); found++)
			assert_int_equal(walk.offset, image.size +
			    (found + 1) * marker_step[i]);
		assert_int_equal(found, markers);
		assert_true(walk.searched >= (uint64_t)size - image.size);
		assert_true(walk.searched <= (uint64_t)size + (uint64_t)size /
		    1000);
		avro_walk_close(&walk);
		close(fd);
	}
}

/* Blocks of all sizes, more than are read ahead at once; `end' says where each
 * one ends. */
#define MANY		400U

static int
file_of_many(uint64_t *end)
{
	static uint8_t data[100000];
	struct image image;
	size_t size, head;
	unsigned i, seed = 1;
	int fd;

	memset(&image, 0, sizeof(image));
	put_header(&image);
	fd = file_of(&image, image.size);
	end[0] = image.size;
	for (i = 1; i <= MANY; i++) {
		seed = seed * 1103515245U + 12345U;
		/* One in eight is not read ahead. */
		size = 1 + (seed >> 8) % (i % 8 == 0 ? sizeof(data) : 9000);
		memset(data, (int)i, size);
		image.size = 0;
		put_long(&image, i);
		put_long(&image, (int64_t)size);
		head = image.size;
		assert_int_equal(write(fd, image.bytes, head), head);
		assert_int_equal(write(fd, data, size), size);
		assert_int_equal(write(fd, marker, sizeof(marker)),
		    sizeof(marker));
		end[i] = end[i - 1] + head + size + sizeof(marker);
	}
	return fd;
}

static void
test_ahead(void **state ATTR_UNUSED)
{
	struct avro_walk_block block;
	struct avro_walk walk;
	uint64_t end[MANY + 1];
	const uint8_t *data;
	unsigned i, seen = 0;
	int fd = file_of_many(end);

	assert_int_equal(avro_walk_open(&walk, fd), AVRO_WALK_OK);
	walk.ahead = true;
	for (i = 1; i <= MANY; i++) {
		assert_int_equal(avro_walk_next(&walk, &block), AVRO_WALK_OK);
		assert_int_equal(walk.offset, end[i]);
		assert_int_equal(block.records, i);
		data = avro_walk_seen(&walk, block.data_offset,
		    block.data_size);
		if (data == NULL)
			continue;
		seen++;
		assert_int_equal(data[0], i & 0xff);
		assert_int_equal(data[block.data_size - 1], i & 0xff);
	}
	assert_int_equal(avro_walk_next(&walk, &block), AVRO_WALK_END);
	assert_in_range(seen, MANY * 7 / 8, MANY - 1);
	avro_walk_close(&walk);
	close(fd);
}

/* What was read ahead of a file that is being written is not what is in it
 * when it is looked at again. */
static void
test_ahead_changed(void **state ATTR_UNUSED)
{
	struct avro_walk_block block;
	struct avro_walk walk;
	struct image image, other;
	int fd;

	make(&image);
	memset(&other, 0, sizeof(other));
	put_block(&other, 1, "another one", 11);
	fd = file_of(&image, image.size);
	assert_int_equal(avro_walk_open(&walk, fd), AVRO_WALK_OK);
	walk.ahead = true;
	assert_int_equal(avro_walk_next(&walk, &block), AVRO_WALK_OK);
	assert_int_equal(ftruncate(fd, (off_t)image.end[0]), 0);
	assert_int_equal(pwrite(fd, other.bytes, other.size,
	    (off_t)image.end[0]), other.size);
	avro_walk_resize(&walk, image.end[0] + other.size);
	assert_int_equal(avro_walk_next(&walk, &block), AVRO_WALK_OK);
	assert_int_equal(block.data_size, 11);
	assert_memory_equal(avro_walk_seen(&walk, block.data_offset, 11),
	    "another one", 11);
	assert_int_equal(avro_walk_next(&walk, &block), AVRO_WALK_END);
	avro_walk_close(&walk);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_hostile_blocks),
		cmocka_unit_test(test_hostile_headers),
		cmocka_unit_test(test_resync),
		cmocka_unit_test(test_resync_reads_once),
		cmocka_unit_test(test_ahead),
		cmocka_unit_test(test_ahead_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
