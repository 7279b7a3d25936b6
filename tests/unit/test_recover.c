/* SPDX-License-Identifier: ISC */
/*
 * Left-over .part files: a good one cut at every byte, with every kind of
 * tail, and files that are none; and the same in one directory at once, as a
 * worker finds it.
 */
#include <sys/stat.h>
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

#include "common/util.h"
#include "worker/archive/container.h"
#include "worker/archive/recover.h"

#define NAME	"test_20261120T213000.000000Z_0.avro"
#define BLOCKS	4

static char	directory[] = "/tmp/mcrelay-recover.XXXXXX";
static int	directory_fd;

/* A file as the archive writes it, and where its blocks end. */
static uint8_t	image[4096];
static size_t	image_size, header_size, block_end[BLOCKS];

static const uint8_t	marker[] = "0123456789abcdef";

static void
add(const void *data, size_t size)
{
	memcpy(image + image_size, data, size);
	image_size += size;
}

static void
add_block(struct block *block)
{
	struct iovec *iov;
	unsigned count, i;
	size_t size;

	count = block_finish(block, marker, &iov, &size);
	for (i = 0; i < count; i++)
		add(iov[i].iov_base, iov[i].iov_len);
	block_clear(block);
}

/* The payloads hold the sync marker, and the whole file up to there. */
static void
make_image(void)
{
	static const struct container_meta none[] = {{NULL, NULL}};
	struct ring_record record = {.family = 4};
	struct block *block = block_new(4096, NULL);
	uint8_t payload[2048], *header;
	size_t i, size;

	image_size = 0;
	header = container_header(container_datagram_schema,
	    strlen(container_datagram_schema), "null", none, marker, &size);
	add(header, size);
	header_size = size;
	free(header);
	for (i = 0; i < BLOCKS; i++) {
		block_add_datagram(block, &record, i, marker, 16);
		size = MIN_OF(image_size, sizeof(payload));
		memcpy(payload, image + image_size - size, size);
		if (i == 2)
			block_add_datagram(block, &record, i, payload, size);
		add_block(block);
		block_end[i] = image_size;
	}
	block_free(block);
}

static void
path_of(char path[256], const char *suffix)
{
	snprintf(path, 256, "%s/" NAME "%s", directory, suffix);
}

static void
put_file(const char *suffix, const void *data, size_t size)
{
	char path[256];
	int fd;

	path_of(path, suffix);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

/* Its size, -1 when there is none; with `data', what it must begin with. */
static off_t
take_file(const char *suffix, const void *data)
{
	uint8_t found[sizeof(image) * 2];
	char path[256];
	ssize_t size;
	int fd;

	path_of(path, suffix);
	fd = open(path, O_RDONLY);
	if (fd == -1)
		return -1;
	size = read(fd, found, sizeof(found));
	if (data != NULL)
		assert_memory_equal(found, data, (size_t)size);
	close(fd);
	unlink(path);
	return size;
}

static unsigned
blocks_within(size_t size)
{
	unsigned i = 0;

	while (i < BLOCKS && block_end[i] <= size)
		i++;
	return i;
}

static void
test_cut_at_every_byte(void **state ATTR_UNUSED)
{
	struct recovered recovered;
	enum recovery result;
	unsigned blocks;
	size_t cut, end;

	for (cut = 0; cut <= image_size; cut++) {
		put_file(".part", image, cut);
		result = recover_file(directory_fd, NAME, true, &recovered);
		assert_int_equal(take_file(".part", NULL), -1);
		blocks = blocks_within(cut);
		if (blocks > 0) {
			end = block_end[blocks - 1];
			assert_int_equal(result, RECOVERY_FINISHED);
			assert_int_equal(recovered.blocks, blocks);
			assert_int_equal(recovered.records,
			    blocks + (blocks > 2));
			assert_int_equal(take_file("", image), end);
			assert_int_equal(take_file(".torn", image + end),
			    cut > end ? (off_t)(cut - end) : -1);
		} else if (cut == 0 || cut == header_size) {
			assert_int_equal(result, RECOVERY_REMOVED);
		} else {
			assert_int_equal(result, RECOVERY_BAD);
			assert_int_equal(take_file(".bad", image), cut);
		}
	}
}

/* `tail' behind `blocks' whole blocks; it is kept unless it is zeros. */
static void
with_tail(unsigned blocks, const void *tail, size_t size, bool kept)
{
	uint8_t data[sizeof(image) * 2];
	struct recovered recovered;
	size_t end = block_end[blocks - 1];

	memcpy(data, image, end);
	memcpy(data + end, tail, size);
	put_file(".part", data, end + size);
	assert_int_equal(recover_file(directory_fd, NAME, true,
	    &recovered), RECOVERY_FINISHED);
	assert_int_equal(recovered.blocks, blocks);
	assert_int_equal(recovered.torn, size);
	assert_int_equal(take_file("", image), end);
	assert_int_equal(take_file(".torn", tail), kept ? (off_t)size : -1);
}

static void
test_tails(void **state ATTR_UNUSED)
{
	static const uint8_t zeros[3000];
	uint8_t garbage[3000];
	unsigned i;

	for (i = 0; i < sizeof(garbage); i++)
		garbage[i] = (uint8_t)(i * 2654435761U >> 13);
	for (i = 1; i <= BLOCKS; i++) {
		with_tail(i, zeros, sizeof(zeros), false);
		with_tail(i, garbage, sizeof(garbage), true);
		/* Another file's header, or a marker. */
		with_tail(i, image, header_size, true);
		with_tail(i, marker, 16, true);
	}
}

/* A page that never reached the disk: the file is long, but has a hole. */
static void
test_hole(void **state ATTR_UNUSED)
{
	static uint8_t big[64 * 1024];
	struct ring_record record = {.family = 4};
	struct block *block = block_new(sizeof(big), NULL);
	struct recovered recovered;
	struct iovec *iov;
	unsigned count;
	char path[256];
	size_t size;
	int fd;

	memset(big, 'x', sizeof(big));
	block_add_datagram(block, &record, 9, big, sizeof(big));
	count = block_finish(block, marker, &iov, &size);
	put_file(".part", image, image_size);
	path_of(path, ".part");
	fd = open(path, O_RDWR);
	assert_int_equal(file_write(fd, iov, count, image_size), 0);
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 32768,
	    4096) == -1)
		skip();
	close(fd);
	assert_int_equal(recover_file(directory_fd, NAME, true,
	    &recovered), RECOVERY_FINISHED);
	assert_int_equal(recovered.blocks, BLOCKS);
	assert_int_equal(recovered.torn, size);
	assert_int_equal(take_file("", image), image_size);
	path_of(path, ".torn");
	assert_int_equal(unlink(path), 0);
	block_free(block);
}

static void
expect_bad(const void *data, size_t size)
{
	struct recovered recovered;

	put_file(".part", data, size);
	assert_int_equal(recover_file(directory_fd, NAME, true,
	    &recovered), RECOVERY_BAD);
	assert_int_equal(take_file(".bad", data), size);
}

static void
test_no_files(void **state ATTR_UNUSED)
{
	static const uint8_t zeros[5000];
	uint8_t garbage[5000];
	struct recovered recovered;
	char path[256];
	unsigned i;

	for (i = 0; i < sizeof(garbage); i++)
		garbage[i] = (uint8_t)(i * 2654435761U >> 11);
	expect_bad(zeros, sizeof(zeros));
	expect_bad(garbage, sizeof(garbage));
	expect_bad("Obj\001", 4);
	expect_bad("O", 1);
	path_of(path, ".part");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(recover_file(directory_fd, NAME, true,
	    &recovered), RECOVERY_FAILED);
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(recover_file(directory_fd, NAME, true,
	    &recovered), RECOVERY_FAILED);
	unlink(path);
}

/* The name is taken: neither file is touched. */
static void
test_clash(void **state ATTR_UNUSED)
{
	struct recovered recovered;

	put_file("", "mine", 4);
	put_file(".part", image, image_size);
	assert_int_equal(recover_file(directory_fd, NAME, true,
	    &recovered), RECOVERY_BAD);
	assert_int_equal(take_file("", "mine"), 4);
	assert_int_equal(take_file(".bad", image), image_size);
}

static void
test_list(void **state ATTR_UNUSED)
{
	struct archive_state archive = {.file[0] = {.phase = FILE_OPEN,
	    .started_ns = 1795210200 * NS_PER_S, .first_sequence = 5}};
	static const char *const names[] = {
		"test_20261120T213000.000000Z_0.avro.part",
		"test.rejected_20261120T213000.000000Z_0.avro.part",
		"test_20261120T213000.000000Z_1.avro",
		"test_20261120T213000.000000Z_2.avro.part.torn",
		"tes_20261120T213000.000000Z_0.avro.part",
		"testing_20261120T213000.000000Z_0.avro.part",
	};
	struct leftovers leftovers;
	char mine[FILE_NAME_SIZE], path[256];
	size_t i;

	file_name(mine, "test", ARCHIVE_MAIN, &archive.file[0]);
	for (i = 0; i <= NITEMS(names); i++) {
		snprintf(path, sizeof(path), "%s/%s%s", directory,
		    i < NITEMS(names) ? names[i] : mine,
		    i < NITEMS(names) ? "" : ".part");
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	assert_int_equal(leftovers_list(&leftovers, directory_fd, "test",
	    &archive), 0);
	assert_int_equal(leftovers.count, 2);
	leftovers_free(&leftovers);
	archive.file[0].phase = FILE_NONE;
	assert_int_equal(leftovers_list(&leftovers, directory_fd, "test",
	    &archive), 0);
	assert_int_equal(leftovers.count, 3);
	leftovers_free(&leftovers);
	for (i = 0; i <= NITEMS(names); i++) {
		snprintf(path, sizeof(path), "%s/%s%s", directory,
		    i < NITEMS(names) ? names[i] : mine,
		    i < NITEMS(names) ? "" : ".part");
		unlink(path);
	}
}

static int
set_up(void **state ATTR_UNUSED)
{
	make_image();
	if (mkdtemp(directory) == NULL)
		return -1;
	directory_fd = open(directory, O_DIRECTORY);
	return directory_fd == -1;
}

static int
tear_down(void **state ATTR_UNUSED)
{
	close(directory_fd);
	return rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_tails),
		cmocka_unit_test(test_hole),
		cmocka_unit_test(test_no_files),
		cmocka_unit_test(test_clash),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
